"""Real etcd clusters on loopback, each member with a node's tree of its own (`mainstay init`), mutual TLS."""

import base64
import json
import os
import shutil
import signal
import ssl
import subprocess
import threading
import time
import urllib.request

from harness import MAINSTAY, WAIT_SECONDS, free_ports

HAVE_ETCD = shutil.which("etcd") and shutil.which("etcdctl")


class Member:
    """One member: its tree (certificates, manifest), its process."""

    def __init__(self, cluster, number):
        self.cluster = cluster
        self.name = f"m{number}"
        self.host = f"127.0.0.{number + 1}"
        self.dir = os.path.join(cluster.dir, self.name)
        self.pki = os.path.join(self.dir, "etc/kubernetes/pki")
        self.manifests = os.path.join(self.dir, "etc/kubernetes/manifests")
        self.manifest = os.path.join(self.manifests, "etcd.yaml")
        self.data = os.path.join(self.dir, "var/lib/etcd")
        self.url = f"https://{self.host}:{cluster.client_port}"
        self.peer_url = f"https://{self.host}:{cluster.peer_port}"
        self.process = None

    def init(self, initial_cluster, state="new", extra=()):
        """The tree, with the cluster's one CA in it."""
        if self is not self.cluster.members[0]:
            for name in ("ca.crt", "ca.key", "etcd/ca.crt", "etcd/ca.key", "front-proxy-ca.crt",
                         "front-proxy-ca.key", "sa.key", "sa.pub"):
                to = os.path.join(self.pki, name)
                os.makedirs(os.path.dirname(to), exist_ok=True)
                shutil.copy2(os.path.join(self.cluster.members[0].pki, name), to)
        subprocess.run([MAINSTAY, "init", "--force", "--root", self.dir, "--node-name", self.name, "--only", "etcd",
                        "--advertise-address", self.host, "--etcd-client-port", str(self.cluster.client_port),
                        "--etcd-peer-port", str(self.cluster.peer_port),
                        "--etcd-metrics-port", str(self.cluster.metrics_port),
                        "--etcd-initial-cluster", initial_cluster, "--etcd-initial-cluster-state", state,
                        *[f"--etcd-arg={flag}" for flag in (*self.cluster.flags, *extra)]],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def command(self):
        """What the manifest says, for a process without a container."""
        lines = open(self.manifest).read().split("command:")[1].split("resources:")[0].splitlines()
        words = [line.strip()[2:].strip('"') for line in lines if line.strip().startswith("- ")]
        # init's localhost would be one and the same for all members here.
        here = {"--listen-client-urls": self.url,
                "--listen-metrics-urls": f"http://{self.host}:{self.cluster.metrics_port}"}
        flags = [word.split("=", 1) for word in words[1:]]
        return words[:1] + [f"{name}={here.get(name, value)}" for name, value in flags]

    def start(self):
        with open(os.path.join(self.dir, "etcd.log"), "ab") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def kill(self, number=signal.SIGKILL):
        if self.process:
            self.process.send_signal(number)
            self.process.wait(WAIT_SECONDS)
            self.process = None

    def mainstay(self, *words, status=0, **kwargs):
        """`mainstay etcd WORDS` as on this node; what it says, on both channels."""
        where = [] if words[:2] in (("snapshot", "verify"), ("snapshot", "list")) else ["--manifests", self.manifests]
        done = subprocess.run([MAINSTAY, "etcd", *words, *where], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=WAIT_SECONDS * 4, **kwargs)
        if done.returncode != status:
            raise AssertionError(f"{words}: exit status {done.returncode}, not {status}:\n{done.stdout}")
        return done.stdout

    def status(self):
        """The JSON of `mainstay etcd status`, whether all is well or not."""
        done = subprocess.run([MAINSTAY, "etcd", "status", "-o", "json", "--manifests", self.manifests],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=WAIT_SECONDS * 4)
        if not done.stdout:
            raise AssertionError(done.stderr)
        return json.loads(done.stdout)

    def ctl(self, *words, check=True, **kwargs):
        """etcdctl of this member."""
        done = subprocess.run(
            ["etcdctl", "--endpoints", self.url, "--dial-timeout", "20s", "--command-timeout", "20s",
             "--cacert", f"{self.pki}/etcd/ca.crt", "--cert", f"{self.pki}/etcd/server.crt",
             "--key", f"{self.pki}/etcd/server.key", *words], env=dict(os.environ, ETCDCTL_API="3"),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=WAIT_SECONDS * 2, **kwargs)
        if check and done.returncode != 0:
            raise AssertionError(f"etcdctl {words}: {done.stdout}")
        return done.stdout


class Cluster:
    def __init__(self, directory, n, flags=()):
        self.dir = directory
        self.client_port, self.peer_port, self.metrics_port = free_ports(3)
        self.flags = flags
        self.members = []
        for i in range(n):
            self.members.append(Member(self, i))
        initial = ",".join(f"{m.name}={m.peer_url}" for m in self.members)
        for member in self.members:
            member.init(initial)

    def start(self):
        for member in self.members:
            member.start()
        for member in self.members:
            member.ctl("endpoint", "health")

    def add_node(self):
        """A further node without a tree yet."""
        self.members.append(Member(self, len(self.members)))
        return self.members[-1]

    def stop(self):
        for member in self.members:
            member.kill()

    def leader(self):
        return self.by_role("leader")[0]

    def followers(self):
        return self.by_role("follower")

    def by_role(self, role):
        members = self.members[0].status()["members"]
        names = [m["name"] for m in members if m["leader"] == (role == "leader")]
        return [m for m in self.members if m.name in names]


class Writer:
    """Writes numbered keys one after the other, through whichever member answers, and remembers what was acknowledged."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.acknowledged = []
        self.stopping = threading.Event()
        self.moved_on = threading.Condition()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def put(self, member, key, value):
        body = json.dumps({"key": base64.b64encode(key.encode()).decode(),
                           "value": base64.b64encode(value.encode()).decode()}).encode()
        tls = ssl.create_default_context(cafile=f"{member.pki}/etcd/ca.crt")
        tls.load_cert_chain(f"{member.pki}/etcd/server.crt", f"{member.pki}/etcd/server.key")
        request = urllib.request.Request(f"{member.url}/v3/kv/put", data=body)
        with urllib.request.urlopen(request, context=tls, timeout=2) as reply:
            return "header" in json.load(reply)

    def run(self):
        number = 0
        while not self.stopping.is_set():
            for member in list(self.cluster.members):
                try:
                    if member.process and self.put(member, f"/w/{number}", f"value-{number}"):
                        with self.moved_on:
                            self.acknowledged.append(number)
                            self.moved_on.notify_all()
                        break
                except (OSError, ValueError):
                    continue
            number += 1

    def await_more(self, n):
        """Until n more were acknowledged; all that are."""
        with self.moved_on:
            least = len(self.acknowledged) + n
            if not self.moved_on.wait_for(lambda: len(self.acknowledged) >= least, WAIT_SECONDS):
                raise AssertionError("no write is acknowledged")
            return list(self.acknowledged)

    def __enter__(self):
        self.thread.start()
        self.await_more(5)
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join(WAIT_SECONDS)

    def missing(self, member, acknowledged=None):
        """What was acknowledged and this member does not have."""
        have = set(member.ctl("get", "--prefix", "--keys-only", "/w/").split())
        return [n for n in (self.acknowledged if acknowledged is None else acknowledged) if f"/w/{n}" not in have]


def await_true(what, seconds=WAIT_SECONDS):
    """etcd's own changes of state have nothing to wait on but itself: asks again until it is so."""
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            raise AssertionError(f"never: {what}")
        time.sleep(0.05)
