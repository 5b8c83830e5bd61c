"""A control plane on a rig, brought up as an operator brings it up, and the questions a test asks it."""

import base64
import contextlib
import functools
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import unittest

import client
from rig import BALANCER_PORT, BUILD, VIP, Rig, call, missing, scratch, until, write

CLIENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "client.py")
COMPONENTS = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"]
UP_SECONDS = float(os.environ.get("MAINSTAY_HA_UP_SECONDS", "300"))
URL = f"https://{VIP}:{BALANCER_PORT}"

LONG_SECONDS = 15.0  # without service: worth to be looked into, so what was said is printed
TELLING = re.compile(r"Entering|VRRP_Script|Script .* now|effective priority|(elected|lost|changed) leader|is (UP|DOWN)|(UP|DOWN)\.$")
CONFIGURATION = f"""apiVersion: kubeadm.k8s.io/v1beta2
kind: ClusterConfiguration
kubernetesVersion: v1.20.2
controlPlaneEndpoint: {VIP}:{BALANCER_PORT}
---
apiVersion: mainstay.dev/v1
kind: Cluster
loadBalancer:
  kind: haproxy
  virtualIP: {VIP}/24
  interface: eth0
nodes:
"""


class Cluster:
    def __init__(self, rig):
        self.rig = rig
        self.load = None
        self.started = None

    @property
    def book(self):
        return self.rig.file("book")

    @property
    def credentials(self):
        return self.rig.file("credentials")

    def urls(self):
        return [f"https://{node.address}:6443" for node in self.rig]

    # ---- up

    def bring_up(self, way="join", say=lambda text: None):
        """By `mainstay init` and `join`, or by the trees of `mainstay render`."""
        start = time.monotonic()
        self.rig.make()
        for node in self.rig:
            node.boot()
        first, *others = self.rig
        if way == "join":
            self.init(first)
            for node in others:
                self.join(node, first)
        else:
            self.install_trees()
        self.take_credentials(first)
        self.whole()
        say(f"up in {time.monotonic() - start:.0f} s")

    def configuration(self):
        return CONFIGURATION + "".join(f"- {{name: {n.name}, address: {n.address}}}\n" for n in self.rig)

    def install_trees(self):
        """Rendered somewhere, copied to each machine, put into place there by what lies in the tree."""
        write(self.rig.file("kubeadm.yaml"), self.configuration())
        call(os.path.join(BUILD, "mainstay"), "render", "--config", self.rig.file("kubeadm.yaml"),
             "--out", self.rig.file("trees"))
        for node in self.rig:
            self.change_tree(self.rig.file("trees", node.name))
            shutil.copytree(self.rig.file("trees", node.name), node.path("tree"))
            # Debian's haproxy has brought a configuration, which is replaced.
            node.run("sh", os.path.join(node.path("tree"), "join.sh"), "--force")
        for node in self.rig:  # the agent's flags came with the tree
            node.shutdown()
        for node in self.rig:
            node.boot()

    def change_tree(self, tree):
        """What an operator does to a rendered tree before it is copied: nothing here."""

    def init(self, node):
        """A first node."""
        write(node.path("etc/mainstay/kubeadm.yaml"), self.configuration())
        node.mainstay("init", "--config", "/etc/mainstay/kubeadm.yaml", "--advertise-address", node.address,
                      "--timeout", f"{UP_SECONDS:.0f}s")

    def join(self, node, first):
        sealed = self.rig.file(f"{node.name}.sealed")
        if os.path.exists(sealed):  # of an earlier machine of that name
            os.unlink(sealed)
        key = first.mainstay("pki", "export", sealed, "--for", node.name).stdout.strip()
        node.mainstay("join", sealed, "--key", key, "--advertise-address", node.address)

    # ---- the client's side

    def take_credentials(self, node=None):
        """What the client may hold: an administrator's certificate and etcd's client certificate."""
        node = node or next(iter(self.rig))
        os.makedirs(self.credentials, exist_ok=True)
        pki = node.path("etc/kubernetes/pki")
        for source, target in [("ca.crt", "ca.crt"), ("etcd/ca.crt", "etcd-ca.crt"),
                               ("apiserver-etcd-client.crt", "etcd-client.crt"),
                               ("apiserver-etcd-client.key", "etcd-client.key")]:
            shutil.copy(os.path.join(pki, source), os.path.join(self.credentials, target))
        shutil.copy(node.path("etc/kubernetes/admin.conf"), self.rig.file("admin.conf"))
        config = json.loads(self.kubectl("config", "view", "--raw", "-o", "json").stdout)
        user = config["users"][0]["user"]
        for field, name in [("client-certificate-data", "client.crt"), ("client-key-data", "client.key")]:
            write(os.path.join(self.credentials, name), base64.b64decode(user[field]).decode())

    def kubectl(self, *words, input=None, check=True):
        done = subprocess.run(
            self.rig.in_client("kubectl", "--kubeconfig", self.rig.file("admin.conf"), *words), check=False,
            capture_output=True, text=True, **({"input": input} if input else {"stdin": subprocess.DEVNULL}))
        if check and done.returncode != 0:
            raise RuntimeError(f"kubectl {' '.join(words)}: {done.stderr}")
        return done

    def _client(self, *words):
        return self.rig.in_client(sys.executable, CLIENT, *map(str, words))

    def _run_client(self, *words):
        return subprocess.run(self._client(*words), capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL, preexec_fn=self.rig.client_cell.enter)

    def whole(self, seconds=UP_SECONDS):
        """Waits until nothing is missing; an AssertionError says what is."""
        done = self._run_client("whole", self.credentials, seconds, URL, *self.urls())
        if done.returncode != 0:
            raise AssertionError(f"not whole after {seconds:.0f} s:\n{done.stdout}{done.stderr}")

    def start_load(self, *flags):
        self.kubectl("create", "namespace", client.NAMESPACE, check=False)
        self.load = subprocess.Popen(self._client("load", self.credentials, URL, self.book, *flags),
                                     stdin=subprocess.DEVNULL,
                                     start_new_session=True, preexec_fn=self.rig.client_cell.enter)
        until(lambda: os.path.exists(self.book) and client.summary(self.book)["writes"] >= 20, "the load")

    def stop_load(self):
        if self.load:
            self.load.send_signal(signal.SIGTERM)
            self.load.wait(60)
            self.load = None

    def check_snapshot(self, revision, began, ended):
        """Exactly what had been acknowledged is there: nothing of what came after the snapshot's revision."""
        done = self._run_client("snapshot", self.credentials, self.book, revision, began, ended, *self.urls())
        if done.returncode != 0:
            raise AssertionError("the snapshot is not what was acknowledged:\n" + done.stdout + done.stderr)
        return done.stdout.strip()

    def check(self):
        """Everything that was acknowledged is there, from each API server by itself."""
        done = self._run_client("check", self.credentials, self.book, *self.urls())
        if done.returncode != 0:
            raise AssertionError("acknowledged writes are not there:\n" + done.stdout + done.stderr)
        return done.stdout.strip()


# ---- for tests


def each_round(test):
    """Once, or MAINSTAY_HA_ROUNDS times."""
    @functools.wraps(test)
    def rounds(self):
        for _ in range(int(os.environ.get("MAINSTAY_HA_ROUNDS", "1"))):
            test(self)
    return rounds


class HaTest(unittest.TestCase):
    """A cluster under load for the tests of a class. What was measured is printed as a table at its end."""

    way = "join"  # how the nodes come up: see Cluster.bring_up
    load_flags = ()

    @classmethod
    def setUpClass(cls):
        reason = missing()
        if reason:
            raise unittest.SkipTest(reason)
        cls.begin(Rig(scratch()))
        start = time.monotonic()
        cls.cluster.bring_up(cls.way)
        cls.table.append((f"three nodes up, by mainstay {'init and join' if cls.way == 'join' else 'render'}", f"{time.monotonic() - start:.0f} s, "
                          f"{sum(n.cell.memory() or 0 for n in cls.rig) >> 20} MB"))
        cls.cluster.start_load(*cls.load_flags)

    @classmethod
    def begin(cls, rig):
        """From here on the rig goes away with us, whatever happens to this process: its guard sees to that."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.default_int_handler)
        cls.table = []
        cls.rig = rig
        cls.cluster = Cluster(rig)
        cls.guard = subprocess.Popen([sys.executable, os.path.join(os.path.dirname(CLIENT), "rig.py"), "guard",
                                      rig.directory], stdin=subprocess.PIPE, start_new_session=True)
        cls.addClassCleanup(cls.take_down)

    @classmethod
    def take_down(cls):
        try:
            cls.cluster.stop_load()
        finally:
            cls.guard.stdin.close()
            cls.guard.wait()
            cls.rig.down()
        for what, measured in cls.table:
            print(f"  {what:<58} {measured}")
        sys.stdout.flush()

    # ---- who is who

    def etcd_leader(self):
        status = json.loads(self.etcdctl("endpoint", "status", "--cluster", "-w", "json").stdout)
        leader = next(s["Status"]["leader"] for s in status)
        address = next(s["Endpoint"] for s in status if s["Status"]["header"]["member_id"] == leader)
        return next(n for n in self.rig if n.address in address)

    def etcdctl(self, *words):
        c = self.cluster.credentials
        done = subprocess.run(self.rig.in_client(
            "env", "ETCDCTL_API=3", "etcdctl", "--endpoints", ",".join(f"https://{n.address}:2379" for n in self.rig),
            "--cacert", f"{c}/etcd-ca.crt", "--cert", f"{c}/etcd-client.crt", "--key", f"{c}/etcd-client.key", *words),
            capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL)
        return done

    def balancing_node(self):
        """The one that has the virtual address."""
        return until(lambda: next((n for n in self.rig if f"inet {VIP}/" in n.run("ip", "addr").stdout), None),
                     "a node has the virtual address")

    def roles(self, node):
        """ (it led etcd, had the virtual address, …)"""
        found = []
        if node is self.etcd_leader():
            found.append("etcd's leader")
        if f"inet {VIP}/" in node.run("ip", "addr").stdout:
            found.append("has the address")
        return f" ({', '.join(found)})" if found else ""

    def pid(self, node, name):
        """The PID, as this machine counts, of a component."""
        for pid in node.cell.processes():
            with contextlib.suppress(OSError):
                if os.path.basename(os.readlink(f"/proc/{pid}/exe")) == name:
                    return pid
        raise AssertionError(f"{name} does not run on {node.name}")

    # ---- a fault

    def served(self, seconds=UP_SECONDS):
        """There are answers to new writes."""
        mark = time.monotonic()
        until(lambda: client.summary(self.cluster.book, mark)["writes"] >= 10, "new writes are answered", seconds)

    def said(self, node, name, words, since):
        """Whether a pod of a node has said something since a moment (RFC 3339)."""
        for path in glob.glob(node.path(f"var/log/pods/*_{name}-*/*/*.log")):
            with open(path, errors="replace") as f:
                if any(line[:19] >= since and words in line for line in f):
                    return True
        return False

    def tell(self, since):
        """What the balancers, the virtual address's keepers and etcd said since a moment (RFC 3339), in order."""
        said = []
        for node in self.rig:
            for path in glob.glob(node.path("var/log/pods/*/*/*.log")):
                with open(path, errors="replace") as f:
                    said += [f"{line[:23]} {node.name} {line[31:240].strip()}" for line in f
                             if line[:19] >= since and TELLING.search(line)]
        print("\n".join(sorted(said)), flush=True)

    def tell_nodes(self, *pods):
        """What each node has to say after a failure, and these pods of it."""
        for node in self.rig:
            print(f"---- {node.name}\n{node.console()}")
            with contextlib.suppress(Exception):
                print(node.mainstay("get", "pods", check=False).stdout)
                for pod in pods:
                    print(node.mainstay("logs", pod, "--tail", "30", check=False).stdout)

    @contextlib.contextmanager
    def fault(self, what):
        """Measures what the client saw of the fault in its body, and ends when the cluster is whole again.
        Gives a dictionary that has the client's summary afterwards."""
        seen = {}
        start, since = time.monotonic(), time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
        try:
            yield seen
            cured = time.monotonic()
            self.cluster.whole()
            self.served()
        except BaseException:
            self.tell_nodes()
            raise
        end = time.monotonic()
        seen.update(client.summary(self.cluster.book, start, end))
        self.table.append((what, f"{client.describe(seen)}; whole {end - cured:.0f} s after"))
        print(f"  {what}: {client.describe(seen)}; whole {end - cured:.0f} s after the cure", flush=True)
        if seen["write gap"] > LONG_SECONDS:
            self.tell(since)
        self.assertEqual(seen["lost"], [], "acknowledged writes were lost")
        self.assertIsNone(self.cluster.load.poll(), "the client ended")
        self.cluster.check()
