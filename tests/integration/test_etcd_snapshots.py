"""`mainstay etcd snapshot` against real etcd clusters: saved under load, verified, restored to new ones."""

import base64
import hashlib
import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import unittest

import machine
from etcd_cluster import HAVE_ETCD, Cluster, Writer, await_true
from harness import MAINSTAY, SOURCE, WAIT_SECONDS, Agent, main


def database(size=64 << 10):
    """What looks like one."""
    return b"\0" * 16 + b"\xed\xda\x0c\xed" + os.urandom(size - 20)


def snapshot_lines(data, chunk=16 << 10):
    whole = data + hashlib.sha256(data).digest()
    return [json.dumps({"result": {"remaining_bytes": str(max(len(data) - i, 0)),
                                   "blob": base64.b64encode(whole[i:i + chunk]).decode()}}).encode() + b"\n"
            for i in range(0, len(whole), chunk)]


class FakeEtcd:
    """A member whose snapshot does what a test wants: `lines`, and then it holds the stream open, or cuts it off."""

    def __init__(self, lines, hold):
        self.lines, self.hold = lines, hold
        self.sent, self.release = threading.Event(), threading.Event()
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                if not self.path.endswith("/snapshot"):
                    body = json.dumps({"header": {"cluster_id": "1", "member_id": "2", "revision": "7"}, "leader": "2",
                                       "version": "3.4.23", "dbSize": "1"}).encode()
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                    return
                self.send_response(200)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                for line in fake.lines:
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
                self.wfile.flush()
                fake.sent.set()
                if fake.hold:
                    fake.release.wait(WAIT_SECONDS)
                    self.close_connection = True
                else:
                    self.wfile.write(b"0\r\n\r\n")

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # clients that went away
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.release.set()
        self.server.shutdown()
        self.server.server_close()


class Files(unittest.TestCase):
    """Files, with a member that answers as the test wants."""

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="mainstay-snapshot-")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.out = os.path.join(self.dir, "out")
        os.mkdir(self.out)

    def fake(self, lines, hold=False):
        fake = FakeEtcd(lines, hold)
        self.addCleanup(fake.close)
        return fake

    def save(self, fake, *words, wait=True, path=None):
        process = subprocess.Popen([MAINSTAY, "etcd", "snapshot", "save", *words, "--endpoints", fake.url]
                                   + ([path or os.path.join(self.out, "a.db")] if path != "" else []),
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if not wait:
            return process
        said, _ = process.communicate(timeout=WAIT_SECONDS)
        return process.returncode, said

    def test_what_arrives_whole_is_kept(self):
        data = database()
        status, said = self.save(self.fake(snapshot_lines(data)))
        self.assertEqual(status, 0, said)
        path = os.path.join(self.out, "a.db")
        with open(path, "rb") as f:
            self.assertEqual(f.read(), data + hashlib.sha256(data).digest())
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        self.assertEqual(os.listdir(self.out), ["a.db"])

    def test_what_does_not_is_not(self):
        lines = snapshot_lines(database())
        other = json.dumps({"result": {"blob": base64.b64encode(b"\1" * 16384).decode()}}).encode() + b"\n"
        error = b'{"error":{"grpc_code":14,"message":"etcdserver: server stopped"}}\n'
        for name, sent, text in (("a piece is another", [lines[0], other, *lines[2:]], "did not arrive as etcd has sent"),
                                 ("the end is missing", lines[:-1], "did not arrive as etcd has sent"),
                                 ("nothing", [], "did not arrive as etcd has sent"),
                                 ("an error", [lines[0], error], "server stopped"),
                                 ("nonsense", [lines[0], b"<html>\n"], "not understood"),
                                 ("no base64", [b'{"result":{"blob":"***"}}\n'], "not understood"),
                                 ("another file", snapshot_lines(os.urandom(8192)), "no snapshot of etcd's")):
            with self.subTest(name):
                status, said = self.save(self.fake(sent))
                self.assertEqual(status, 1)
                self.assertIn(text, said)
                self.assertEqual(os.listdir(self.out), [])

    def test_a_cut_connection(self):
        fake = self.fake(snapshot_lines(database())[:2], hold=True)
        process = self.save(fake, wait=False)
        self.assertTrue(fake.sent.wait(WAIT_SECONDS))
        fake.release.set()
        said, _ = process.communicate(timeout=WAIT_SECONDS)
        self.assertEqual(process.returncode, 1, said)
        self.assertEqual(os.listdir(self.out), [])

    def test_silence_ends(self):
        fake = self.fake(snapshot_lines(database())[:2], hold=True)
        status, said = self.save(fake, "--command-timeout=1s")
        self.assertEqual(status, 1, said)
        self.assertEqual(os.listdir(self.out), [])

    def test_killed_in_the_middle(self):
        for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
            fake = self.fake(snapshot_lines(database())[:2], hold=True)
            process = self.save(fake, wait=False)
            self.assertTrue(fake.sent.wait(WAIT_SECONDS))
            process.send_signal(number)
            said, _ = process.communicate(timeout=WAIT_SECONDS)
            self.assertEqual(process.returncode, -9 if number == signal.SIGKILL else 1, said)
            self.assertEqual(os.listdir(self.out), [], number)

    def test_a_name_that_is_taken(self):
        fake = self.fake(snapshot_lines(database()))
        path = os.path.join(self.out, "a.db")
        with open(path, "w") as f:
            f.write("mine")
        status, said = self.save(fake)
        self.assertEqual(status, 1)
        self.assertIn("is there already; --force", said)
        with open(path) as f:
            self.assertEqual(f.read(), "mine")
        status, said = self.save(fake, "--force")
        self.assertEqual(status, 0, said)
        self.assertEqual(os.listdir(self.out), ["a.db"])
        self.assertGreater(os.stat(path).st_size, 1000)

    @unittest.skipUnless(os.geteuid() == 0, "mounts a file system")
    def test_a_full_disk(self):
        small = os.path.join(self.dir, "small")
        os.mkdir(small)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small], check=True)
        try:
            status, said = self.save(self.fake(snapshot_lines(database(256 << 10))), path=f"{small}/a.db")
            self.assertEqual(status, 1)
            self.assertIn("No space left on device", said)
            self.assertEqual(os.listdir(small), [])
            status, said = self.save(self.fake(snapshot_lines(database(16 << 10))), path=f"{small}/a.db")
            self.assertEqual(status, 0, said)
        finally:
            subprocess.run(["umount", small], check=True)

    def test_retention(self):
        for hour in range(4):
            with open(os.path.join(self.out, f"etcd-2020010{hour + 1}T000000Z.db"), "w") as f:
                f.write("old")
        for name in ("etcd-mine.db", "keep.me", "etcd-20200101T000000Z.db.bak"):
            with open(os.path.join(self.out, name), "w") as f:
                f.write("mine")
        status, said = self.save(self.fake(snapshot_lines(database())), "--dir", self.out, "--keep=2", path="")
        self.assertEqual(status, 0, said)
        names = sorted(os.listdir(self.out))
        self.assertEqual([n for n in names if n.startswith("etcd-2020")],
                         ["etcd-20200101T000000Z.db.bak", "etcd-20200104T000000Z.db"])
        self.assertTrue({"etcd-mine.db", "keep.me"} <= set(names))
        # What cannot be taken removes nothing.
        status, said = self.save(self.fake([]), "--dir", self.out, "--keep=1", path="")
        self.assertEqual(status, 1)
        self.assertEqual(sorted(os.listdir(self.out)), names)
        listed = subprocess.run([MAINSTAY, "etcd", "snapshot", "list", "--dir", self.out], stdout=subprocess.PIPE,
                                text=True, check=False)
        self.assertEqual(listed.returncode, 1)  # "old" is none
        self.assertRegex(listed.stdout, r"etcd-20200104T000000Z.db +- +.*is no snapshot")
        self.assertRegex(listed.stdout, r"etcd-20\d{6}T\d{6}Z.db +64Ki +yes")

    def test_again_and_again(self):
        process = self.save(self.fake(snapshot_lines(database())), "--dir", self.out, "--keep=2", "--every=1s", wait=False,
                            path="")
        try:
            said = [process.stdout.readline() for _ in range(4)]
            self.assertRegex("".join(said), r"(?s)saved .*saved .*saved .*removed ")
            # Another one beside it would count its files as its own.
            status, other = self.save(self.fake(snapshot_lines(database())), "--dir", self.out, path="")
            self.assertEqual(status, 1)
            self.assertIn("another `mainstay etcd snapshot save` writes", other)
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=WAIT_SECONDS)
        self.assertEqual(process.returncode, 0)
        self.assertLessEqual(len(os.listdir(self.out)), 3)

    def test_a_round_that_fails_is_tried_again(self):
        process = self.save(self.fake([]), "--dir", self.out, "--every=1h", wait=False, path="")
        try:
            self.assertIn("trying again in 60 s", process.stdout.readline())
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=WAIT_SECONDS)
        self.assertEqual(process.returncode, 0)

    def test_verify(self):
        data = database(8192)
        good = data + hashlib.sha256(data).digest()
        flipped = bytearray(good)
        flipped[5000] ^= 1
        for name, content, status, text in (("good", good, 0, "is whole: 8.0Ki, SHA-256 "),
                                            ("flipped", flipped, 1, "is damaged: its SHA-256 is"),
                                            ("short", good[:-512], 1, "damaged"), ("cut", good[:-40], 1, "not whole"),
                                            ("copied", data, 1, "no checksum behind it"), ("empty", b"", 1, "no snapshot"),
                                            ("text", b"hello" * 1000, 1, "no snapshot")):
            path = os.path.join(self.out, name)
            with open(path, "wb") as f:
                f.write(content)
            done = subprocess.run([MAINSTAY, "etcd", "snapshot", "verify", path], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, check=False)
            self.assertEqual(done.returncode, status, name)
            self.assertIn(text, done.stdout, name)
            told = subprocess.run([MAINSTAY, "etcd", "snapshot", "verify", path, "-o", "json"], stdout=subprocess.PIPE,
                                  text=True, check=False)
            self.assertEqual(json.loads(told.stdout)["snapshots"][0]["whole"], status == 0)
        for path, text in (("/nowhere", "No such file"), (self.out, "is no file")):
            done = subprocess.run([MAINSTAY, "etcd", "snapshot", "verify", path], stderr=subprocess.PIPE, text=True,
                                  check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn(text, done.stderr)


@unittest.skipUnless(HAVE_ETCD, "needs etcd and etcdctl (Debian: etcd-server, etcd-client)")
class Restores(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="mainstay-snapshot-")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.file = os.path.join(self.dir, "a.db")

    def start_cluster(self, n, name):
        directory = os.path.join(self.dir, name)
        os.mkdir(directory)
        cluster = Cluster(directory, n)
        self.addCleanup(cluster.stop)
        return cluster

    def keys(self, member):
        return {int(key[len("/w/"):]) for key in member.ctl("get", "--prefix", "--keys-only", "/w/").split()}

    def test_under_load_to_three_new_nodes(self):
        old = self.start_cluster(3, "old")
        old.start()
        with Writer(old) as writer:
            before = writer.await_more(20)
            follower = old.followers()[0]
            said = follower.mainstay("snapshot", "save", self.file)
            writer.await_more(5)
        self.assertIn("its SHA-256 is right", said)
        verified = follower.mainstay("snapshot", "verify", self.file)
        self.assertIn("is whole", verified)
        self.assertRegex(verified, r"revision \d+, \d+ keys \(etcdctl\)")
        old.stop()

        new = self.start_cluster(3, "new")
        restored = []
        for member in new.members:
            said = member.mainstay("snapshot", "restore", self.file)
            restored.append(re.search(r"new cluster \((restored-[0-9a-f]{16})\)", said).group(1))
            self.assertIn("on each of the other 2 nodes", said)
        self.assertEqual(len(set(restored)), 1)
        new.start()
        for member in new.members:
            have = self.keys(member)
            self.assertEqual(set(before) - have, set())  # all that was acknowledged before
            self.assertEqual({n for n in writer.acknowledged if n <= max(have)} - have, set())  # and no gap behind it
            self.assertLess(len(have), len(writer.acknowledged) + 1)
        self.assertIn("3 members, 3 healthy: 1 may fail", new.members[0].mainstay("status"))
        new.members[1].ctl("put", "/goes", "on")

    def test_a_quorum_is_asked_for(self):
        cluster = self.start_cluster(3, "c")
        cluster.start()
        for member in cluster.members[1:]:
            member.kill()
        m0 = cluster.members[0]
        refused = m0.mainstay("snapshot", "save", self.file, "--command-timeout=2s", status=1)
        self.assertIn("no member answers with a quorum behind it", refused)
        self.assertIn("--force", refused)
        self.assertFalse(os.path.exists(self.file))
        m0.mainstay("snapshot", "save", self.file, "--force")
        self.assertIn("is whole", m0.mainstay("snapshot", "verify", self.file))

    def test_old_members_must_be_gone(self):
        cluster = self.start_cluster(3, "c")
        cluster.start()
        m0, m1, m2 = cluster.members
        m0.ctl("put", "/w/1", "x")
        m0.mainstay("snapshot", "save", self.file)
        m0.ctl("put", "/w/2", "x")
        running = m0.mainstay("snapshot", "restore", self.file, status=1)
        self.assertRegex(running, r"etcd still runs at https://\S+. Stop it on every node first")
        m1.kill()
        m2.kill()
        with_own = m0.mainstay("snapshot", "restore", self.file, "--socket=/nowhere", status=1)
        self.assertIn("no agent is here that could stop it", with_own)
        m0.kill()
        self.assertEqual(os.listdir(m0.data), ["member"])
        m1.start()  # two that were forgotten
        m2.start()
        m2.ctl("endpoint", "health")
        self.assertIn("etcd still runs at", m0.mainstay("snapshot", "restore", self.file, status=1))
        m1.kill()
        m2.kill()
        self.assertEqual(os.listdir(m0.data), ["member"])
        for member in cluster.members:
            said = member.mainstay("snapshot", "restore", self.file)
            kept = re.search(r"the old data is in (\S+)", said).group(1)
            self.assertEqual(os.listdir(kept), ["member"])
        cluster.start()
        self.assertEqual(self.keys(m2), {1})
        # The old data was not touched: it still is what it was.
        self.assertEqual(sorted(os.listdir(os.path.join(kept, "member"))), ["snap", "wal"])

    def test_what_cannot_be_restored_changes_nothing(self):
        cluster = self.start_cluster(1, "c")
        cluster.start()
        m0 = cluster.members[0]
        m0.mainstay("snapshot", "save", self.file)
        m0.kill()
        with open(self.file, "r+b") as f:
            f.seek(9000)
            f.write(b"x" * 8)
        inode = os.stat(os.path.join(m0.data, "member")).st_ino
        self.assertIn("is damaged", m0.mainstay("snapshot", "restore", self.file, status=1))
        self.assertIn("No such file", m0.mainstay("snapshot", "restore", self.file + "x", status=1))
        self.assertEqual(os.stat(os.path.join(m0.data, "member")).st_ino, inode)
        self.assertEqual(os.listdir(m0.data), ["member"])

    def test_to_one_new_node_by_flags(self):
        old = self.start_cluster(1, "old")
        old.start()
        old.members[0].ctl("put", "/w/1", "x")
        old.members[0].mainstay("snapshot", "save", self.file)
        data = os.path.join(self.dir, "data")
        empty = os.path.join(self.dir, "empty")
        os.mkdir(empty)
        done = subprocess.run([MAINSTAY, "etcd", "snapshot", "restore", self.file, "--manifests", empty], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("give --name, --data-dir", done.stdout)
        words = [MAINSTAY, "etcd", "snapshot", "restore", self.file, "--manifests", empty, "--name=n1",
                 "--initial-advertise-peer-urls=https://127.0.0.1:1"]
        for _ in range(3):  # killed somewhere behind "made": what is there is whole, the old or the new
            process = subprocess.Popen([*words, "--data-dir", data], stdout=subprocess.PIPE, text=True)
            process.stdout.readline()
            process.kill()
            process.communicate()
            if os.path.exists(os.path.join(data, "member")):
                self.assertEqual(sorted(os.listdir(os.path.join(data, "member"))), ["snap", "wal"])
        done = subprocess.run([*words, "--data-dir", data], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              check=False)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertEqual(sorted(os.listdir(os.path.join(data, "member"))), ["snap", "wal"])

    @unittest.skipUnless(os.geteuid() == 0, "mounts a file system")
    def test_a_full_disk(self):
        old = self.start_cluster(1, "old")
        old.start()
        m0 = old.members[0]
        m0.mainstay("snapshot", "save", self.file)
        m0.kill()
        small = os.path.join(self.dir, "small")
        os.mkdir(small)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", small], check=True)
        try:
            os.makedirs(f"{small}/data/member")
            said = m0.mainstay("snapshot", "restore", self.file, f"--data-dir={small}/data", status=1)
            self.assertIn("nothing was changed", said)
            self.assertEqual(os.listdir(f"{small}/data"), ["member"])
            self.assertEqual(os.listdir(f"{small}/data/member"), [])
        finally:
            subprocess.run(["umount", small], check=True)


@unittest.skipUnless(HAVE_ETCD, "needs etcd and etcdctl (Debian: etcd-server, etcd-client)")
class WithAnAgent(unittest.TestCase):
    def test_etcd_is_stopped_and_started(self):
        agent = Agent(node="m0")
        self.addCleanup(agent.close)
        directory = os.path.join(agent.dir, "cluster")
        os.mkdir(directory)
        cluster = Cluster(directory, 1)
        m0 = cluster.members[0]
        with open(m0.manifest) as f:
            agent.drop("etcd.yaml", f.read())
        agent.wait_ready_pod("etcd")
        m0.manifests = agent.manifests
        m0.ctl("put", "/w/1", "x")
        file = os.path.join(agent.dir, "a.db")
        m0.mainstay("snapshot", "save", file)
        m0.ctl("put", "/w/2", "x")
        snapshots = os.path.join(agent.dir, "snapshots")
        with open(os.path.join(SOURCE, "packaging/etcd/etcd-snapshot.yaml")) as f:
            shipped = f.read()
        for usual, here in (("/usr/local/bin/mainstay", MAINSTAY), ("/var/lib/mainstay/etcd-snapshots", snapshots),
                            ("/etc/kubernetes/manifests", agent.manifests), ("/etc/kubernetes/pki", m0.pki)):
            self.assertIn(usual, shipped)
            shipped = shipped.replace(usual, here)
        agent.drop("etcd-snapshot.yaml", shipped)
        agent.wait_ready_pod("etcd-snapshot")
        await_true(lambda: os.path.isdir(snapshots) and os.listdir(snapshots))
        listed = m0.mainstay("snapshot", "list", "--dir", snapshots)
        self.assertRegex(listed, r"etcd-\w+\.db +\S+ +yes")

        said = m0.mainstay("snapshot", "restore", file, "--socket", agent.socket)
        self.assertRegex(said, r"(?s)made .*stopped +pod/etcd\nswapped .*started +pod/etcd")
        await_true(lambda: m0.ctl("get", "--prefix", "--keys-only", "/w/", check=False).split() == ["/w/1"])


@unittest.skipUnless(HAVE_ETCD, "needs etcd and etcdctl (Debian: etcd-server, etcd-client)")
class Schedule(unittest.TestCase):
    def test_the_timer(self):
        """mainstay-etcd-snapshot.timer under a real systemd, in its sandbox."""
        why_not = machine.why_no_machines()
        if why_not:
            self.skipTest(why_not)
        programs = {**machine.PROGRAMS, os.path.realpath(shutil.which("etcd")): "/usr/local/bin/etcd"}
        m = machine.Machine(programs=programs)
        self.addCleanup(m.close)
        units = ["mainstay-etcd-snapshot.service", "mainstay-etcd-snapshot.timer"]
        for unit in units:
            shutil.copy(os.path.join(SOURCE, "packaging/systemd", unit), m.path("etc/systemd/system", unit))
        m.write("etc/default/mainstay-etcd-snapshot",
                'ETCD_SNAPSHOT_OPTS="--keep 1 --endpoints http://127.0.0.1:2379"\n')
        self.assertTrue(m.boot(), m.console()[-3000:])
        self.assertEqual(m.run("systemd-analyze", "--man=no", "verify", *units), "")
        client, peer = "http://127.0.0.1:2379", "http://127.0.0.1:2380"
        m.run("systemd-run", "--unit=etcd", "--property=Type=notify", "etcd", "--data-dir", "/tmp/etcd",
              "--listen-client-urls", client, "--advertise-client-urls", client,
              "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
              "--initial-cluster", "default=" + peer)
        for _ in range(2):
            m.run("systemctl", "start", units[0])
        self.assertEqual(m.run("systemctl", "show", "-P", "Result", units[0]).strip(), "success")
        listed = m.run("mainstay", "etcd", "snapshot", "list")
        self.assertRegex(listed, r"^FILE +SIZE +WHOLE\n/var/lib/mainstay/etcd-snapshots/etcd-\w+\.db +\S+ +yes\n$")
        self.assertEqual(m.run("stat", "-c", "%a", "/var/lib/mainstay/etcd-snapshots").strip(), "700")
        m.run("systemctl", "enable", "--now", units[1])
        self.assertTrue(m.run("systemctl", "show", "-P", "NextElapseUSecRealtime", units[1]).strip())


if __name__ == "__main__":
    main()
