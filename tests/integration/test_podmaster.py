"""podmaster against a real etcd with mutual TLS: one node at a time has the manifest, whatever dies."""

import http.server
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

from harness import BUILD, MAINSTAY, WAIT_SECONDS, free_ports, main

PODMASTER = os.path.join(BUILD, "podmaster")
PUT = "put the manifest there"
TAKEN = "took the manifest away"
TTL = 5
MANIFEST = """kind: Pod
metadata: # one
  name: x
"""


def guarded(text, state):
    """What podmaster makes of it."""
    return text.replace("  name:", f'  annotations:\n    mainstay.dev/fence: "{state}"\n  name:', 1)



class Process:
    """A process whose output is awaited line by line."""

    def __init__(self, command, **kwargs):
        self.lines = []
        self.rest = b""
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
            left = max(end - time.monotonic(), 0)
            ready, _, _ = select.select([self.process.stdout], [], [], left)
            data = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            if not data:
                raise AssertionError(f"no line with \"{text}\":\n" + "\n".join(self.lines[-30:]))
            self.rest += data

    def kill(self, number=signal.SIGKILL):
        self.process.send_signal(number)
        status = self.process.wait(WAIT_SECONDS)
        return status

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.kill()
        self.process.stdout.close()


class Etcd:
    def __init__(self, directory):
        self.dir = directory
        client, peer, metrics = free_ports(3)
        self.url = f"https://127.0.0.1:{client}"
        self.pki = os.path.join(directory, "etc/kubernetes/pki")
        subprocess.run([MAINSTAY, "init", "--root", directory, "--node-name", "m0", "--only", "etcd",
                        "--advertise-address", "127.0.0.1", "--etcd-client-port", str(client),
                        "--etcd-peer-port", str(peer), "--etcd-metrics-port", str(metrics)],
                       check=True, stdout=subprocess.DEVNULL)
        files = [f"{self.pki}/etcd/ca.crt", f"{self.pki}/apiserver-etcd-client.crt",
                 f"{self.pki}/apiserver-etcd-client.key"]
        self.tls = [f"--{flag}={file}" for flag, file in zip(("cacert", "cert", "key"), files)]
        self.podmaster_tls = [f"--etcd-{flag}={file}"
                              for flag, file in zip(("cafile", "certfile", "keyfile"), files)]
        self.command = [
            "etcd", "--name", "m0", "--data-dir", os.path.join(directory, "data"),
            "--listen-client-urls", self.url, "--advertise-client-urls", self.url,
            "--listen-peer-urls", f"https://127.0.0.1:{peer}",
            "--initial-advertise-peer-urls", f"https://127.0.0.1:{peer}",
            "--initial-cluster", f"m0=https://127.0.0.1:{peer}",
            "--cert-file", f"{self.pki}/etcd/server.crt", "--key-file", f"{self.pki}/etcd/server.key",
            "--trusted-ca-file", f"{self.pki}/etcd/ca.crt", "--client-cert-auth",
            "--peer-cert-file", f"{self.pki}/etcd/peer.crt",
            "--peer-key-file", f"{self.pki}/etcd/peer.key",
            "--peer-trusted-ca-file", f"{self.pki}/etcd/ca.crt", "--peer-client-cert-auth"]
        self.process = None
        self.start()

    def start(self):
        log = open(os.path.join(self.dir, "etcd.log"), "ab")
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()
        # etcdctl waits for the member by itself.
        self.ctl("endpoint", "health")

    def ctl(self, *words):
        return subprocess.run(
            ["etcdctl", "--endpoints", self.url, "--dial-timeout", "30s", "--command-timeout", "30s"]
            + self.tls + list(words), check=True, env=dict(os.environ, ETCDCTL_API="3"),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=WAIT_SECONDS).stdout

    def stop(self):
        self.process.kill()
        self.process.wait(WAIT_SECONDS)


class Podmaster(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="mainstay-podmaster-")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.etcd = Etcd(self.dir)
        self.addCleanup(self.etcd.stop)
        self.source = os.path.join(self.dir, "pod.yaml")
        self.write_source(MANIFEST)

    def write_source(self, text):
        with open(self.source + ".new", "w") as f:
            f.write(text)
        os.rename(self.source + ".new", self.source)

    def destination(self, name):
        return os.path.join(self.dir, name, "manifests", "pod.yaml")

    def start(self, name, *flags, first="https://127.0.0.1:1"):
        process = Process([PODMASTER, "--etcd-endpoints", first + "," + self.etcd.url,
                           *self.etcd.podmaster_tls, "--name", name, "--key-name", "/test/pod",
                           "--lease-ttl", str(TTL), "--stop-time", "1", "--source", self.source,
                           "--destination", self.destination(name),
                           "--state-dir", os.path.join(self.dir, name), *flags])
        self.addCleanup(process.end)
        return process

    def pair(self):
        """Two of them; the first has the manifest."""
        a = self.start("a")
        a.await_line(PUT)
        b = self.start("b")
        b.await_line("held by a ")
        self.assert_at("a")
        return a, b

    def assert_at(self, *names):
        there = [n for n in ("a", "b") if os.path.exists(self.destination(n))]
        self.assertEqual(there, list(names))

    def test_one_has_it(self):
        self.pair()
        with open(self.destination("a")) as f:
            self.assertEqual(f.read(), guarded(MANIFEST, os.path.join(self.dir, "a", "pod.yaml.lease")))
        self.assertEqual(os.stat(self.destination("a")).st_mode & 0o777, 0o600)
        self.assertIn("a ", self.etcd.ctl("get", "--print-value-only", "/test/pod"))

    def test_a_killed_holder_is_replaced(self):
        a, b = self.pair()
        a.kill()
        a.await_line(TAKEN)  # by its watch, which has outlived it
        self.assert_at()
        b.await_line(PUT)
        self.assert_at("b")

    def test_a_hung_holder_is_replaced(self):
        a, b = self.pair()
        a.process.send_signal(signal.SIGSTOP)
        a.await_line(TAKEN)
        self.assert_at()
        b.await_line(PUT)
        a.process.send_signal(signal.SIGCONT)
        a.await_line("held by b ")
        self.assert_at("b")

    def test_a_holder_that_is_told_to_stop_hands_over(self):
        a, b = self.pair()
        a.process.send_signal(signal.SIGTERM)
        a.await_line(TAKEN)
        a.await_line("released the lease")
        self.assertEqual(a.process.wait(WAIT_SECONDS), 0)
        b.await_line(PUT)
        self.assert_at("b")

    def test_a_follower_that_is_told_to_stop_changes_nothing(self):
        a, b = self.pair()
        self.assertEqual(b.kill(signal.SIGTERM), 0)
        self.assert_at("a")

    def test_a_holder_that_comes_back_goes_on(self):
        a, _ = self.pair()
        before = os.stat(self.destination("a"))
        a.kill()
        again = self.start("a")
        again.await_line("holds the lease")
        # The dead one's watch ends without having done anything: end of file, no line.
        with self.assertRaises(AssertionError):
            a.await_line(TAKEN)
        self.assertEqual(os.stat(self.destination("a")).st_ino, before.st_ino)
        self.assertFalse([line for line in again.lines if PUT in line])

    def test_without_etcd_the_manifest_goes_before_the_lease(self):
        a, b = self.pair()
        self.etcd.stop()
        a.await_line(TAKEN)
        self.assert_at()
        self.etcd.start()
        # Either may win now, and the other one must not.
        streams = {a.process.stdout: a, b.process.stdout: b}
        winner = None
        while not winner:
            ready, _, _ = select.select(list(streams), [], [], WAIT_SECONDS)
            self.assertTrue(ready, "nobody wins the lease")
            for stream in ready:
                process = streams[stream]
                process.rest += os.read(stream.fileno(), 65536)
                if PUT.encode() in process.rest:
                    winner = process
        self.assert_at("a" if winner is a else "b")

    def test_changes_of_the_source_are_passed_on(self):
        a, _ = self.pair()
        self.write_source("kind: Pod # no metadata\n")
        a.await_line("not taken: " + self.source + ": is not the manifest of one Pod")
        self.assert_at("a")
        self.write_source(MANIFEST.replace("one", "two"))
        a.await_line(PUT)
        with open(self.destination("a")) as f:
            self.assertIn("# two", f.read())

    def test_a_source_that_goes_away_changes_nothing(self):
        a, _ = self.pair()
        os.unlink(self.source)
        a.await_line("No such file")
        self.assert_at("a")

    def test_a_manifest_that_is_removed_comes_back(self):
        a, _ = self.pair()
        os.unlink(self.destination("a"))
        a.await_line(PUT)
        self.assert_at("a")

    def test_deleting_the_key_moves_the_pod(self):
        a, b = self.pair()
        self.etcd.ctl("del", "/test/pod")
        b.await_line("is gone, and the lease of its holder is not")
        a.await_line(TAKEN)
        b.await_line("holds the lease")
        b.await_line(PUT)

    def test_a_key_deleted_before_a_new_one_looks_is_not_free(self):
        """The holder is stopped and sees nothing; the new one has never seen it hold the key."""
        a = self.start("a")
        a.await_line(PUT)
        a.process.send_signal(signal.SIGSTOP)
        self.etcd.ctl("del", "/test/pod")
        b = self.start("b")
        b.await_line("is gone, and the lease of its holder is not")
        self.assert_at("a")
        b.await_line(PUT)
        self.assert_at("b")  # the fence was first
        a.process.send_signal(signal.SIGCONT)
        a.await_line("held by b ")

    def test_a_holder_stops_where_the_twin_is_deleted(self):
        a, b = self.pair()
        self.etcd.ctl("del", "mainstay.dev/lease:/test/pod")
        a.await_line(TAKEN)
        b.await_line(PUT)
        self.assert_at("b")

    def test_a_compacted_store_can_be_followed(self):
        a, b = self.pair()
        b.kill(signal.SIGTERM)
        for i in range(3):
            self.etcd.ctl("put", "/test/other", str(i))
        revision = self.etcd.ctl("get", "/test/other", "-w", "fields")
        number = [line.split(":")[1].strip() for line in revision.splitlines() if "Revision" in line][0]
        self.etcd.ctl("compact", number)
        b = self.start("b")
        b.await_line("held by a ")
        a.kill(signal.SIGTERM)
        b.await_line(PUT)
        self.assertFalse([line for line in b.lines if "ended the watch" in line])

    def test_a_member_that_never_answers_is_passed_over(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            a = self.start("a", first=f"https://127.0.0.1:{silent.getsockname()[1]}")
            a.await_line(PUT)
            os.unlink(self.destination("a"))
            a.await_line(PUT)  # so it has renewed the lease in between
            self.assertFalse([line for line in a.lines if TAKEN in line])

    def test_a_member_of_another_ca_is_not_trusted(self):
        other = tempfile.mkdtemp(prefix="mainstay-podmaster-other-")
        self.addCleanup(shutil.rmtree, other, ignore_errors=True)
        ours, self.etcd.podmaster_tls = self.etcd.podmaster_tls, []
        flags = ["--etcd-cafile", os.path.join(other, "ca.crt"), *ours[1:]]
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=other", "-keyout",
                        os.path.join(other, "ca.key"), "-out", flags[1]], check=True,
                       stderr=subprocess.DEVNULL)
        a = self.start("a", *flags)
        self.assertIn("certificate", a.await_line("cannot look at the key"))
        self.assert_at()

    def test_a_leftover_manifest_is_not_trusted(self):
        os.makedirs(os.path.dirname(self.destination("b")))
        with open(self.destination("b"), "w") as f:
            f.write("kind: Pod\n")
        self.start("a").await_line(PUT)
        b = self.start("b")
        b.await_line(TAKEN)
        b.await_line("held by a ")
        self.assert_at("a")

    def test_two_for_one_manifest_are_refused(self):
        self.start("a").await_line(PUT)
        second = self.start("a")
        second.await_line("another podmaster runs")
        self.assertEqual(second.process.wait(WAIT_SECONDS), 1)
        self.assert_at("a")

    def test_wrong_usage(self):
        for flags in (["--lease-ttl", "1"], ["--stop-time", "4"], ["--nonsense"], ["argument"]):
            with self.subTest(flags):
                self.assertEqual(self.start("a", *flags).process.wait(WAIT_SECONDS), 2)


class StaleLeader(http.server.BaseHTTPRequestHandler):
    """An etcd that reads and writes in term 3, and whose renewals come from the leader of term 2."""
    protocol_version = "HTTP/1.1"
    keys = {}

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        header = {"revision": "7", "raft_term": "3"}
        if self.path.endswith("/lease/grant"):
            answer = {"header": header, "ID": "5", "TTL": asked["TTL"]}
        elif self.path.endswith("/lease/keepalive"):
            answer = {"result": {"header": dict(header, raft_term="2"), "ID": "5", "TTL": str(TTL)}}
        elif self.path.endswith("/kv/txn"):
            answer = {"header": header, "succeeded": True, "responses": [self.operate(o) for o in asked["success"]]}
        else:
            answer = {"header": header}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def operate(self, operation):
        if "request_put" in operation:
            put = operation["request_put"]
            self.keys[put["key"]] = dict(put, create_revision="7", mod_revision="7", version="1")
            return {"response_put": {}}
        found = self.keys.get(operation["request_range"]["key"])
        return {"response_range": {"kvs": [found], "count": "1"} if found else {}}

    def log_message(self, *_):
        pass


class Renewals(unittest.TestCase):
    def test_a_renewal_by_who_was_the_leader_does_not_count(self):
        directory = tempfile.mkdtemp(prefix="mainstay-podmaster-")
        self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
        StaleLeader.keys.clear()
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), StaleLeader)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        source, destination = (os.path.join(directory, name) for name in ("pod.yaml", "there.yaml"))
        with open(source, "w") as f:
            f.write(MANIFEST)
        a = Process([PODMASTER, "--etcd-servers", f"http://127.0.0.1:{server.server_port}", "--whoami", "a",
                     "--key", "/test/pod", "--ttl", str(TTL), "--stop-time", "1", "--source-file", source,
                     "--dest-file", destination, "--state-dir", directory])
        self.addCleanup(a.end)
        a.await_line(PUT)  # what was granted went through the consensus
        a.await_line("a member of etcd does not know its leader yet")
        a.await_line(TAKEN)
        self.assertFalse(os.path.exists(destination))


if __name__ == "__main__":
    main()
