"""What the tests of the load balancer share: real HAProxy and others in a network namespace of the test's own, in
which the nodes' addresses are the only ones, and kube-apiservers by a double of what a balancer sees of them
(tests/tools/apiserver-double.py).
"""

import ctypes
import http.client
import os
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
from harness import MAINSTAY, WAIT_SECONDS, AgentTest

DOUBLE = os.path.join(harness.SOURCE, "tests", "tools", "apiserver-double.py")
CLONE_NEWNET = 0x40000000
PORT, API_PORT = 8443, 6443
NODES = {f"m{i}": f"10.99.0.{i}" for i in range(1, 5)}
VIRTUAL_IP = "10.99.0.100"
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


def enter_own_network(*programs):
    """For setUpModule(): all tests of the file run in there, or are skipped."""
    why_not = lacks("openssl", "ip", *programs) or own_network()
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
