"""The load balancer: real HAProxy, nginx, keepalived and etcd; kube-apiservers by a double of what a balancer
sees of them (tests/tools/apiserver-double.py). All of it in network namespaces of this program's own, in which
the nodes' addresses are the only ones.
"""

import contextlib
import ctypes
import glob
import http.client
import json
import os
import re
import select
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import harness
from harness import MAINSTAY, WAIT_SECONDS, AgentTest, container, free_ports, main, pid_of

DOUBLE = os.path.join(harness.SOURCE, "tests", "tools", "apiserver-double.py")
CLONE_NEWNET = 0x40000000
PORT, API_PORT = 8443, 6443
NODES = {f"m{i}": f"10.99.0.{i}" for i in range(1, 5)}
DELAY = 4  # seconds that a double serves on for: HAProxy asks every two seconds


def own_network():
    """A network of this process's own; None, or why there is none."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        return f"no network namespace: {os.strerror(ctypes.get_errno())}"
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for address in NODES.values():
        subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True)
    return None


def lacks(*programs):
    return next((f"{program} is not installed" for program in programs if not shutil.which(program)), None)


def setUpModule():
    why_not = lacks("haproxy", "openssl", "ip") or own_network()
    if why_not:
        raise unittest.SkipTest(why_not)


def cluster_yaml(names, **balancer):
    listed = "".join(f"- {{name: {name}, address: {NODES[name]}}}\n" for name in names)
    fields = "".join(f"  {key}: {value}\n" for key, value in {"kind": "haproxy", "port": PORT, **balancer}.items())
    return f"""apiVersion: kubeadm.k8s.io/v1beta2
kind: ClusterConfiguration
kubernetesVersion: v1.20.2
controlPlaneEndpoint: "{balancer.get("virtualIP", "balancer.example").split("/")[0]}:{PORT}"
---
apiVersion: mainstay.dev/v1
kind: Cluster
nodes:
{listed}loadBalancer:
{fields}"""


class Process:
    """A process whose output is awaited line by line."""

    def __init__(self, command, **kwargs):
        self.lines, self.rest = [], b""
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, **kwargs)

    def await_line(self, text):
        """The next line with the text in it; earlier ones are used up."""
        end = time.monotonic() + WAIT_SECONDS
        while True:
            while b"\n" in self.rest:
                line, self.rest = self.rest.split(b"\n", 1)
                self.lines.append(line.decode(errors="replace"))
                if text in self.lines[-1]:
                    return self.lines[-1]
            ready, _, _ = select.select([self.process.stdout], [], [], max(end - time.monotonic(), 0))
            data = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            if not data:
                raise AssertionError(f"no line with \"{text}\":\n" + "\n".join(self.lines[-30:]))
            self.rest += data

    def end(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(number)
            try:
                self.process.wait(WAIT_SECONDS / 4)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(WAIT_SECONDS)
        self.process.stdout.close()


class Certificates:
    """A CA, and a certificate of it as kube-apiserver has one."""

    def __init__(self, pki):
        os.makedirs(pki)
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        self.ca, self.cert, self.key = (os.path.join(pki, n) for n in ("ca.crt", "apiserver.crt", "apiserver.key"))
        ca_key = os.path.join(pki, "ca.key")
        self.run("req", "-x509", *key, "-days", "2", "-subj", "/CN=kubernetes-ca", "-keyout", ca_key, "-out", self.ca)
        self.run("req", "-x509", *key, "-days", "2", "-subj", "/CN=kube-apiserver", "-CA", self.ca, "-CAkey", ca_key,
                 "-addext", "subjectAltName=DNS:kubernetes", "-addext", "extendedKeyUsage=serverAuth",
                 "-addext", "basicConstraints=critical,CA:FALSE", "-keyout", self.key, "-out", self.cert)

    @staticmethod
    def run(*words):
        subprocess.run(["openssl", *words], check=True, capture_output=True)

    def connect(self, address="127.0.0.1", port=PORT):
        context = ssl.create_default_context(cafile=self.ca)
        raw = socket.create_connection((address, port), WAIT_SECONDS)
        connection = http.client.HTTPConnection("kubernetes", timeout=WAIT_SECONDS)
        connection.sock = context.wrap_socket(raw, server_hostname="kubernetes")
        return connection

    def ask(self, connection=None, path="/"):
        own = connection is None
        connection = connection or self.connect()
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.read().decode(), answer.will_close
        finally:
            if own:
                connection.close()


class Requests(threading.Thread):
    """Asks without end, by new connections or one that is kept; what fails is told at the end."""

    def __init__(self, certificates, kept):
        super().__init__(daemon=True)
        self.certificates, self.kept = certificates, kept
        self.over, self.answers, self.failures = threading.Event(), [], []
        self.start()

    def run(self):
        connection = None
        while not self.over.wait(0.01):
            try:
                began = time.monotonic()
                if not connection:
                    connection = self.certificates.connect()
                server, closes = self.certificates.ask(connection)
                self.answers.append((began, server))
            except (OSError, http.client.HTTPException) as e:
                self.failures.append(f"{len(self.answers)} answers, then {e!r}")
                closes = True
            if connection and (closes or not self.kept):
                connection.close()
                connection = None

    def end(self):
        self.over.set()
        self.join(WAIT_SECONDS)
        return self.failures

    def await_server(self, name):
        """Until a new connection leads to this server."""
        since = time.monotonic()
        while name not in self.servers_since(since) and time.monotonic() < since + WAIT_SECONDS:
            self.over.wait(0.05)
        if name not in self.servers_since(since):
            raise AssertionError(f"no connection led to {name}: {self.answers[-5:]} {self.failures[:3]}")

    def servers_since(self, when):
        return {server for began, server in self.answers if began > when}


class Watch(threading.Thread):
    """A connection on which news come until the server's end, over and over; .broken: by no server's will."""

    def __init__(self, certificates):
        super().__init__(daemon=True)
        self.certificates, self.over = certificates, threading.Event()
        self.news, self.watches, self.broken, self.first = 0, 0, [], threading.Event()
        self.start()

    def run(self):
        while not self.over.is_set():
            try:
                connection = self.certificates.connect()
                connection.request("GET", "/watch")
                answer = connection.getresponse()
                self.watches += 1
                while not self.over.is_set() and answer.readline():
                    self.news += 1
                    self.first.set()
                connection.close()
            except (OSError, http.client.HTTPException) as e:
                self.broken.append(repr(e))

    def end(self):
        self.over.set()
        self.join(WAIT_SECONDS)
        return self.broken


class BalancerTest(AgentTest):
    def setUp(self):
        self.root = tempfile.mkdtemp(prefix="mainstay-balancer-")
        os.chmod(self.root, 0o755)
        self.addCleanup(shutil.rmtree, self.root, ignore_errors=True)
        self.certificates = Certificates(self.path("etc/kubernetes/pki"))
        self.write("etc/mainstay/cluster.yaml", cluster_yaml(["m1", "m2", "m3"]))
        for directory in ("run/haproxy", "etc/haproxy", "run/nginx"):
            os.makedirs(self.path(directory))

    def path(self, name):
        return os.path.join(self.root, name)

    def read(self, name):
        with open(self.path(name)) as f:
            return f.read()

    def write(self, name, text):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path + ".new", "w") as f:
            f.write(text)
        os.rename(path + ".new", path)

    def balancer(self, *words, status=0, node="m1"):
        done = subprocess.run([MAINSTAY, "balancer", *words, "--root", self.root, "--node-name", node],
                              capture_output=True, text=True, timeout=WAIT_SECONDS)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def double(self, name, address=None, port=API_PORT, prefix=()):
        process = Process([*prefix, sys.executable, DOUBLE, name, address or NODES[name], str(port),
                           self.certificates.cert, self.certificates.key, str(DELAY)])
        self.addCleanup(process.end, signal.SIGKILL)
        process.await_line("serving")
        return process

    def process(self, *command, **kwargs):
        process = Process([str(word) for word in command], **kwargs)
        self.addCleanup(process.end)
        return process

    def haproxy(self):
        self.balancer("render", "--write", "--offline", "haproxy.cfg")
        return self.process("haproxy", "-W", "-db", "-f", self.path("etc/haproxy/haproxy.cfg"))

    def servers(self):
        """What HAProxy has, by its runtime socket."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(WAIT_SECONDS)
            s.connect(self.path("run/haproxy/admin.sock"))
            s.sendall(b"show servers state\n")
            text = b"".join(iter(lambda: s.recv(65536), b"")).decode()
        return {line.split()[3] for line in text.splitlines() if len(line.split()) > 10 and line[0] != "#"}


class Draining(BalancerTest):
    def test_a_rolling_restart_fails_no_request(self):
        doubles = {name: self.double(name) for name in ("m1", "m2", "m3")}
        haproxy = self.haproxy()
        for name in doubles:
            haproxy.await_line(f"Health check for server kube-apiserver/{name} succeeded")
        clients = [Requests(self.certificates, kept=kept) for kept in (False, True)]
        watch = Watch(self.certificates)
        for name in ("m1", "m2"):
            process = doubles[name].process
            process.send_signal(signal.SIGTERM)
            haproxy.await_line(f"Server kube-apiserver/{name} is stopping")
            left = time.monotonic()
            self.assertIsNone(process.poll(), "it is left while it still serves")
            self.assertEqual(process.wait(WAIT_SECONDS), 0)
            self.assertNotIn(name, clients[0].servers_since(left), "a new connection to one that drains")
            doubles[name] = self.double(name)
            haproxy.await_line(f"Server kube-apiserver/{name} is UP")
        clients[0].await_server("m2")  # one that is back gets connections again
        failures = [client.end() for client in clients] + [watch.end()]
        self.assertEqual(failures, [[], [], []])
        for client in clients:
            self.assertGreater(len(client.answers), 100)
        self.assertGreater(watch.news, 20)

    def test_who_is_left_and_who_keeps_connections(self):
        doubles = {name: self.double(name) for name in ("m1", "m2")}
        own, self.certificates = self.certificates, Certificates(self.path("other"))
        self.double("m3")  # it answers, with a certificate of another CA
        self.certificates = own
        haproxy = self.haproxy()
        haproxy.await_line("Server kube-apiserver/m3 is DOWN")
        connections = {}
        while len(connections) < 2:
            connection = self.certificates.connect()
            connections[self.certificates.ask(connection)[0]] = connection
        # A lost etcd is another thing than an orderly end: its connections are of no use.
        doubles["m1"].process.send_signal(signal.SIGUSR1)
        haproxy.await_line("Server kube-apiserver/m1 is DOWN")
        with self.assertRaises((OSError, http.client.HTTPException)):
            self.certificates.ask(connections["m1"])
        doubles["m1"].process.send_signal(signal.SIGUSR2)
        haproxy.await_line("Server kube-apiserver/m1 is UP")
        # Frozen: nothing would ever tell the client.
        doubles["m2"].process.send_signal(signal.SIGSTOP)
        haproxy.await_line("Server kube-apiserver/m2 is DOWN")
        with self.assertRaises((OSError, http.client.HTTPException)):
            self.certificates.ask(connections["m2"])
        self.assertEqual(self.certificates.ask()[0], "m1")


NODE_KEYS = "/mainstay/nodes/"


class Etcd:
    """One member without certificates."""

    def __init__(self, test, directory):
        client, peer = free_ports(2)
        self.url = f"http://127.0.0.1:{client}"
        self.command = ["etcd", "--name", "m0", "--data-dir", directory, "--listen-client-urls", self.url,
                        "--advertise-client-urls", self.url, "--listen-peer-urls", f"http://127.0.0.1:{peer}",
                        "--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}",
                        "--initial-cluster", f"m0=http://127.0.0.1:{peer}"]
        self.test = test
        self.start()

    def start(self):
        self.process = self.test.process(*self.command)
        self.ctl("endpoint", "health")

    def stop(self):
        self.process.end(signal.SIGKILL)

    def ctl(self, *words):
        subprocess.run(["etcdctl", "--endpoints", self.url, "--dial-timeout", "30s", "--command-timeout", "30s",
                        *words], check=True, env=dict(os.environ, ETCDCTL_API="3"), capture_output=True,
                       timeout=WAIT_SECONDS)

    def register(self, name, **changes):
        entry = {"address": NODES[name], "roles": ["control-plane", "etcd"], "apiServerPort": API_PORT, **changes}
        self.ctl("put", NODE_KEYS + name, json.dumps(entry))

    def leave(self, name):
        self.ctl("del", NODE_KEYS + name)


@unittest.skipIf(lacks("etcd", "etcdctl"), str(lacks("etcd", "etcdctl")))
class Following(BalancerTest):
    def follow(self, etcd):
        return self.process(MAINSTAY, "balancer", "follow", "--root", self.root, "--node-name", "m1",
                            "--endpoints", etcd.url)

    def configured(self):
        return re.findall(r"^    server (\S+) (\S+)$", self.read("etc/haproxy/haproxy.cfg"), re.M)

    def await_configured(self, follow, *names):
        follow.await_line("haproxy.cfg: written anew")
        self.assertEqual(self.configured(), [(name, f"{NODES[name]}:{API_PORT}") for name in names])

    def test_what_etcd_knows_is_written_and_nothing_worse(self):
        etcd = Etcd(self, self.path("etcd"))
        follow = self.follow(etcd)
        follow.await_line("no kube-apiserver is registered")
        self.assertEqual([name for name, _ in self.configured()], ["m1", "m2", "m3"])
        etcd.register("m1")
        self.await_configured(follow, "m1")
        etcd.register("m4")
        self.await_configured(follow, "m1", "m4")
        # A node with etcd alone is no server.
        etcd.register("m2", roles=["etcd"])
        etcd.register("m3")
        self.await_configured(follow, "m1", "m3", "m4")
        before = self.read("etc/haproxy/haproxy.cfg")
        # An entry that is none changes nothing, and is told.
        etcd.register("m2", address="10.99.0.2\n    server evil 10.0.0.1:1")
        follow.await_line("/mainstay/nodes/m2: address: must be an IP address")
        self.assertEqual(self.read("etc/haproxy/haproxy.cfg"), before)
        # Without etcd it stays as it is; then what has changed meanwhile is taken up.
        etcd.stop()
        follow.await_line("the balancer's files stay as they are")
        self.assertEqual(self.read("etc/haproxy/haproxy.cfg"), before)
        etcd.start()
        etcd.leave("m2")
        etcd.leave("m4")
        self.await_configured(follow, "m1", "m3")
        # All gone: the cluster's file, never nothing.
        for name in ("m1", "m3"):
            etcd.leave(name)
        follow.await_line("no kube-apiserver is registered")
        follow.process.send_signal(signal.SIGTERM)
        self.assertEqual(follow.process.wait(WAIT_SECONDS), 0)
        self.assertGreater(len(self.configured()), 0)

    def test_a_new_file_that_haproxy_does_not_take(self):
        etcd = Etcd(self, self.path("etcd"))
        etcd.register("m1")
        follow = self.follow(etcd)
        follow.await_line("written anew")
        before = self.read("etc/haproxy/haproxy.cfg")
        os.rename(self.certificates.ca, self.certificates.ca + ".away")
        etcd.register("m2")
        follow.await_line("haproxy does not take the new one")
        self.assertEqual(self.read("etc/haproxy/haproxy.cfg"), before)
        os.rename(self.certificates.ca + ".away", self.certificates.ca)
        follow.await_line("written anew")
        self.assertEqual([name for name, _ in self.configured()], ["m1", "m2"])

    def test_the_static_pods_take_a_node_in_and_let_it_go(self):
        """Everything as rendered, run by the agent: a node more and a node less while connections last."""
        etcd = Etcd(self, self.path("etcd"))
        for name in ("m1", "m2", "m4"):
            self.double(name)
        for name in ("m1", "m2"):
            etcd.register(name)
        self.balancer("render", "--write", "--endpoints", etcd.url)
        agent = self.agent()
        programs = os.path.join(agent.path("root"), "images/localhost/mainstay/host/bin")
        os.makedirs(programs)
        os.symlink(MAINSTAY, os.path.join(programs, "mainstay"))
        follow = self.read("etc/kubernetes/manifests/balancer-follow.yaml")
        follow = follow.replace("    - follow\n", f"    - follow\n    - --endpoints={etcd.url}\n")
        agent.drop("haproxy.yaml", self.read("etc/kubernetes/manifests/haproxy.yaml"))
        agent.drop("balancer-follow.yaml", follow)
        pid = pid_of(agent.wait_ready_pod("haproxy"), "haproxy")
        agent.wait_ready_pod("balancer-follow")
        self.assertEqual(self.servers(), {"m1", "m2"})
        watch = Watch(self.certificates)
        clients = [Requests(self.certificates, kept=kept) for kept in (False, True)]
        for change, servers in ((lambda: etcd.register("m4"), {"m1", "m2", "m4"}),
                                (lambda: etcd.leave("m2"), {"m1", "m4"})):
            after = agent.last_event()
            change()
            event = agent.wait_event("FilesChanged", "haproxy", after=after)
            self.assertIn("sending SIGUSR2 to container haproxy", event["message"])
            self.await_servers(servers)
        clients[0].await_server("m4")
        self.assertEqual([client.end() for client in clients] + [watch.end()], [[], [], []])
        self.assertEqual(watch.watches, 1, "the connection of before is there still")
        self.assertGreater(watch.news, 10)
        self.assertEqual(pid_of(agent.pod("haproxy"), "haproxy"), pid)

    def await_servers(self, wanted):
        """HAProxy's new worker answers at the socket once it has taken over; the old one does until then."""
        end = time.monotonic() + WAIT_SECONDS
        found = None
        while found != wanted and time.monotonic() < end:
            with contextlib.suppress(OSError):
                found = self.servers()
        self.assertEqual(found, wanted)


VIRTUAL_IP = "10.99.0.100"


@unittest.skipIf(lacks("keepalived", "curl"), str(lacks("keepalived", "curl")))
class VirtualAddress(BalancerTest):
    """Two machines on one wire. What stands at the balancer's port there is a double itself."""

    def setUp(self):
        super().setUp()
        self.write("etc/mainstay/cluster.yaml",
                   cluster_yaml(["m1", "m2"], virtualIP=f"{VIRTUAL_IP}/24", interface="eth0"))
        self.spaces = {name: f"mainstay-{os.getpid()}-{name}" for name in ("m1", "m2")}
        for space in self.spaces.values():
            self.ip("netns", "add", space)
            self.addCleanup(self.ip, "netns", "delete", space)
        self.ip("link", "add", "eth0", "netns", self.spaces["m1"], "type", "veth", "peer", "name", "eth0",
                "netns", self.spaces["m2"])
        for name, space in self.spaces.items():
            for words in (["address", "add", f"{NODES[name]}/24", "dev", "eth0"], ["link", "set", "eth0", "up"],
                          ["link", "set", "lo", "up"]):
                self.ip("-n", space, *words)

    @staticmethod
    def ip(*words):
        return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout

    def inside(self, name):
        return ["ip", "netns", "exec", self.spaces[name]]

    def has_address(self, name):
        return VIRTUAL_IP in self.ip("-n", self.spaces[name], "address")

    def keepalived(self, name):
        """As its manifest runs it, with the files of a root of the node's own."""
        root = self.path(name)
        os.makedirs(os.path.join(root, "etc/mainstay"), exist_ok=True)
        os.makedirs(os.path.join(root, "run/keepalived"), exist_ok=True)
        shutil.copy(self.path("etc/mainstay/cluster.yaml"), os.path.join(root, "etc/mainstay"))
        with contextlib.suppress(FileExistsError):
            os.symlink(self.path("etc/kubernetes"), os.path.join(root, "etc/kubernetes"))
        self.render(name)
        return self.process(*self.inside(name), "keepalived", "--dont-fork", "--log-console", "--vrrp",
                            f"--use-file={root}/etc/keepalived/keepalived.conf",
                            f"--pid={root}/run/keepalived/mainstay.pid",
                            f"--vrrp_pid={root}/run/keepalived/mainstay-vrrp.pid")

    def render(self, name):
        shutil.copy(self.path("etc/mainstay/cluster.yaml"), self.path(f"{name}/etc/mainstay"))
        for file in ("check-apiserver", "keepalived.conf"):
            done = subprocess.run([MAINSTAY, "balancer", "render", file, "--write", "--offline", "--root",
                                   self.path(name), "--node-name", name], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)

    def test_the_address_moves_when_the_check_fails_and_stays_then(self):
        doubles = {name: self.double(name, "0.0.0.0", PORT, self.inside(name)) for name in self.spaces}
        running = {"m1": self.keepalived("m1")}
        running["m1"].await_line("Entering MASTER STATE")
        self.assertTrue(self.has_address("m1"))
        running["m2"] = self.keepalived("m2")
        running["m2"].await_line("Entering BACKUP STATE")
        doubles["m1"].end(signal.SIGKILL)
        running["m1"].await_line("Entering FAULT STATE")
        running["m2"].await_line("Entering MASTER STATE")
        self.assertEqual([self.has_address(name) for name in ("m1", "m2")], [False, True])
        self.assertEqual(subprocess.run([*self.inside("m1"), "curl", "-s", "--cacert", self.certificates.ca, "--resolve",
                                         f"kubernetes:{PORT}:{VIRTUAL_IP}", f"https://kubernetes:{PORT}/"],
                                        capture_output=True, text=True, timeout=WAIT_SECONDS).stdout, "m2")
        # m1 is well again, and leaves the address where it is.
        self.double("m1", "0.0.0.0", PORT, self.inside("m1"))
        running["m1"].await_line("Entering BACKUP STATE")
        # A third node: the configuration is read anew, and the address stays.
        self.write("etc/mainstay/cluster.yaml",
                   cluster_yaml(["m1", "m2", "m3"], virtualIP=f"{VIRTUAL_IP}/24", interface="eth0"))
        for name in self.spaces:
            self.render(name)
            running[name].process.send_signal(signal.SIGHUP)
            running[name].await_line("Reload complete")
        self.assertIn(NODES["m3"], self.read("m2/etc/keepalived/keepalived.conf"))
        self.assertEqual([self.has_address(name) for name in ("m1", "m2")], [False, True])
        running["m2"].end()
        running["m1"].await_line("Entering MASTER STATE")
        self.assertTrue(self.has_address("m1"))

    def test_the_static_pod(self):
        self.double("m1", "0.0.0.0", PORT, self.inside("m1"))
        self.balancer("render", "--write", "--offline", "check-apiserver")
        self.balancer("render", "--write", "--offline", "keepalived.conf")
        os.mkdir(self.path("run/keepalived"))
        agent = self.agent(start=False)
        agent.start(preexec=lambda: self.enter("m1"))
        agent.drop("keepalived.yaml", self.balancer("render", "--offline", "keepalived.yaml").stdout)
        pid = pid_of(agent.wait_ready_pod("keepalived"), "keepalived")
        logs = self.process(MAINSTAY, "logs", "keepalived", "-f", "--socket", agent.socket)
        logs.await_line("Entering MASTER STATE")
        self.assertTrue(self.has_address("m1"))
        # It comes again after a crash, though its process id is the same and its files are there.
        os.kill(pid, signal.SIGKILL)
        agent.wait(lambda pods: any(container(p, "keepalived")["restartCount"] == 1 for p in pods.values()), "restart")
        logs = self.process(MAINSTAY, "logs", "keepalived", "-f", "--socket", agent.socket)
        logs.await_line("Entering MASTER STATE")
        self.assertTrue(self.has_address("m1"))
        # Its configuration changes: it reads it, and keeps the address.
        self.write("etc/mainstay/cluster.yaml",
                   cluster_yaml(["m1", "m2", "m3"], virtualIP=f"{VIRTUAL_IP}/24", interface="eth0"))
        self.balancer("render", "--write", "--offline", "keepalived.conf")
        self.assertIn("sending SIGHUP", agent.wait_event("FilesChanged", "keepalived")["message"])
        logs.await_line("Reload complete")
        self.assertTrue(self.has_address("m1"))

    def enter(self, name):
        with open(f"/run/netns/{self.spaces[name]}") as f:
            if ctypes.CDLL(None).setns(f.fileno(), CLONE_NEWNET) != 0:
                raise OSError("setns")


class Rendered(BalancerTest):
    def test_machines_that_balance_alone_and_workers(self):
        """`mainstay render`: a balancer's machine gets the CA and no key; a worker's files point at the endpoint."""
        out = self.path("trees")
        config = cluster_yaml(["m1", "m2", "m3"], virtualIP=f"{VIRTUAL_IP}/24", interface="eth0", nodes="[lb1=10.99.0.9]")
        self.write("cluster.yaml", config)
        subprocess.run([MAINSTAY, "render", "--config", self.path("cluster.yaml"), "--out", out], check=True,
                       capture_output=True)
        files = {os.path.relpath(os.path.join(at, name), os.path.join(out, "lb1"))
                 for at, _, names in os.walk(os.path.join(out, "lb1")) for name in names}
        self.assertLessEqual({"etc/haproxy/haproxy.cfg", "etc/keepalived/keepalived.conf",
                              "etc/kubernetes/manifests/haproxy.yaml"}, files)
        self.assertEqual({name for name in files if "/pki/" in name}, {"etc/kubernetes/pki/ca.crt"})
        for name in ("etc/kubernetes/bootstrap-kubelet.conf", "var/lib/kube-proxy/kubeconfig.conf"):
            text = self.read(f"trees/worker/{name}")
            self.assertIn(f'server: "https://{VIRTUAL_IP}:{PORT}"', text)
            if shutil.which("kubectl"):
                view = subprocess.run(["kubectl", "config", "view", "--minify", "--kubeconfig", f"{out}/worker/{name}",
                                       "-o", "jsonpath={.clusters[0].cluster.server}"], check=True,
                                      capture_output=True, text=True).stdout
                self.assertEqual(view, f"https://{VIRTUAL_IP}:{PORT}")
        self.assertEqual(self.read("trees/worker/etc/kubernetes/pki/ca.crt"), self.read("trees/m1/etc/kubernetes/pki/ca.crt"))

    def test_each_program_takes_what_is_rendered(self):
        """Its own check finds the file good, for IPv4 and IPv6 and for many nodes."""
        os.makedirs(self.path("etc/keepalived"))
        for address, virtual in (("10.98.0.{}", "10.98.0.200/24"), ("fd00::{}", "fd00::c8/64")):
            nodes = "".join(f"- {{name: n{i}, address: '{address.format(i)}'}}\n" for i in range(1, 32))
            text = cluster_yaml(["m1"], virtualIP=f"'{virtual}'", interface="lo")
            text = re.sub(r"controlPlaneEndpoint.*", "controlPlaneEndpoint: balancer.example:8443", text)
            self.write("etc/mainstay/cluster.yaml", text.replace(f"- {{name: m1, address: {NODES['m1']}}}\n", nodes))
            shutil.rmtree(self.path("etc/keepalived"))
            # --write asks haproxy and keepalived, and would fail.
            for file in ("haproxy.cfg", "check-apiserver", "keepalived.conf"):
                self.assertIn("written", self.balancer("render", "--write", "--offline", file, node="n1").stdout)
                self.assertIn("kept", self.balancer("render", "--write", "--offline", file, node="n1").stdout)

    def test_mistakes_are_told(self):
        self.assertIn('has no node "m9"', self.balancer("render", "--offline", status=1, node="m9").stderr)
        self.assertIn('no file "x.cfg"', self.balancer("render", "--offline", "x.cfg", status=1).stderr)
        self.balancer("render", "follow", "x", status=2)
        self.balancer("follow", "--write", status=2)
        self.balancer(status=2)
        # Without any way to etcd it says so, and takes the file's nodes.
        done = self.balancer("render", "haproxy.cfg")
        self.assertIn("knows no way to etcd", done.stderr)
        self.assertIn("server m3 10.99.0.3:6443", done.stdout)
        done = self.balancer("render", "--endpoints", "http://127.0.0.1:1", status=1)
        self.assertIn("--offline takes the nodes from the cluster's file", done.stderr)
        os.unlink(self.certificates.ca)
        done = self.balancer("render", "--write", "--offline", "haproxy.cfg", status=1)
        self.assertIn("haproxy does not take the new one", done.stderr)
        self.assertFalse(os.path.exists(self.path("etc/haproxy/haproxy.cfg")))
        self.write("etc/mainstay/cluster.yaml", cluster_yaml(["m1"], kind="none"))
        self.assertIn("runs no balancer", self.balancer("render", "--offline", status=1).stderr)
        self.write("etc/mainstay/cluster.yaml", "kind: [")
        self.assertIn("cluster.yaml:", self.balancer("render", "--offline", status=1).stderr)
        os.unlink(self.path("etc/mainstay/cluster.yaml"))
        self.assertIn("No such file", self.balancer("render", "--offline", status=1).stderr)


NGINX_CACHE = os.path.expanduser("~/.cache/mainstay/nginx-stream")


def nginx():
    """The program, the line that loads its stream module, and why there is none: of Debian's packages, which are
    unpacked and not installed, as in test_nginx.py."""
    module = "usr/lib/nginx/modules/ngx_stream_module.so"
    if shutil.which("nginx") and glob.glob("/etc/nginx/modules-enabled/*stream*.conf"):
        return shutil.which("nginx"), "", None
    if not os.path.exists(os.path.join(NGINX_CACHE, module)):
        with tempfile.TemporaryDirectory() as directory:
            os.chmod(directory, 0o755)
            done = subprocess.run(["apt-get", "download", "-q", "nginx", "libnginx-mod-stream"], cwd=directory,
                                  capture_output=True, text=True)
            packages = glob.glob(os.path.join(directory, "*.deb"))
            if done.returncode != 0 or len(packages) != 2:
                return None, None, f"nginx cannot be downloaded: {done.stderr.strip()[-200:]}"
            for package in packages:
                subprocess.run(["dpkg-deb", "-x", package, NGINX_CACHE], check=True)
    return (os.path.join(NGINX_CACHE, "usr/sbin/nginx"),
            f"load_module {os.path.join(NGINX_CACHE, module)};", None)


NGINX, LOAD_STREAM, NO_NGINX = nginx()  # before setUpModule() takes the world's network away


@unittest.skipIf(NO_NGINX, str(NO_NGINX))
class Nginx(BalancerTest):
    def render(self, *nodes):
        """The rendered file, with the module from where it was unpacked."""
        self.write("etc/mainstay/cluster.yaml", cluster_yaml(nodes, kind="nginx"))
        text = self.balancer("render", "--offline", "kube-apiserver.conf").stdout
        include = "include /etc/nginx/modules-enabled/*.conf;"
        self.assertIn(include, text)
        self.write("etc/nginx/kube-apiserver.conf", text.replace(include, LOAD_STREAM))
        return self.path("etc/nginx/kube-apiserver.conf")

    def test_servers_come_and_go(self):
        doubles = {name: self.double(name) for name in ("m1", "m2", "m3")}
        config = self.render("m1", "m2")
        subprocess.run([NGINX, "-t", "-e", "stderr", "-c", config], check=True, capture_output=True)
        manifest = self.balancer("render", "--offline", "nginx.yaml").stdout
        self.assertIn("daemon off;", manifest)
        running = self.process(NGINX, "-e", "stderr", "-c", config, "-g", "daemon off;")
        running.await_line("start worker process")
        watch = Watch(self.certificates)
        clients = [Requests(self.certificates, kept=kept) for kept in (False, True)]
        self.assertTrue(watch.first.wait(WAIT_SECONDS))
        # A reload with a node more: the old workers go on with the connections that they have.
        self.render("m1", "m2", "m3")
        running.process.send_signal(signal.SIGHUP)
        clients[0].await_server("m3")
        self.assertEqual((watch.watches, watch.broken), (1, []))
        # One that is being stopped is noticed when it has closed its port: the next server is asked instead.
        doubles["m3"].process.send_signal(signal.SIGTERM)
        self.assertEqual(doubles["m3"].process.wait(WAIT_SECONDS), 0)
        self.assertEqual([client.end() for client in clients] + [watch.end()], [[], [], []])
        self.assertTrue({"m1", "m2"} & clients[0].servers_since(time.monotonic() - 1))


if __name__ == "__main__":
    main()
