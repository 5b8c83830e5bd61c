"""`mainstay etcd` against real etcd clusters of one and three members with mutual TLS."""

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

from etcd_cluster import HAVE_ETCD, Cluster, Writer, await_true
from harness import MAINSTAY, WAIT_SECONDS, main


@unittest.skipUnless(HAVE_ETCD, "needs etcd and etcdctl (Debian: etcd-server, etcd-client)")
class Etcd(unittest.TestCase):
    members, flags = 1, ()

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="mainstay-etcd-")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.cluster = Cluster(self.dir, self.members, self.flags)
        self.addCleanup(self.cluster.stop)
        self.cluster.start()
        self.m0 = self.cluster.members[0]


class OneMember(Etcd):
    def test_status_and_health(self):
        text = self.m0.mainstay("status")
        self.assertRegex(text, rf"(?m)^m0 +{self.m0.url} +leader +yes +\d+ +\S+Ki +\S+Ki +0 +[\d.]+ms +-$")
        self.assertIn("\n1 member, 1 healthy: none may fail\n", text)
        wide = self.m0.mainstay("status", "-o", "wide")
        self.assertIn("3.4.", wide)
        self.assertIn(self.m0.peer_url, wide)
        self.assertIn("healthy: true", self.m0.mainstay("status", "-o", "yaml"))
        health = self.m0.mainstay("health")
        self.assertRegex(health, rf"(?m)^member [0-9a-f]+ is healthy: got healthy result from {self.m0.url} ")
        self.assertIn("\ncluster is healthy\n", health)

    def test_the_flags_of_etcdctl(self):
        tls = ["--endpoints", self.m0.url, "--cacert", f"{self.m0.pki}/etcd/ca.crt",
               "--cert", f"{self.m0.pki}/etcd/server.crt", "--key", f"{self.m0.pki}/etcd/server.key"]
        done = subprocess.run([MAINSTAY, "etcd", "member", "list", *tls], stdout=subprocess.PIPE, text=True, check=True)
        self.assertRegex(done.stdout, rf"(?m)^[0-9a-f]+ +started +m0 +{self.m0.peer_url} +{self.m0.url} +false$")
        bare = tls[:1] + [self.m0.url.removeprefix("https://")] + tls[2:]
        done = subprocess.run([MAINSTAY, "etcd", "health", *bare], stdout=subprocess.PIPE, text=True, check=True)
        self.assertIn("cluster is healthy", done.stdout)

    def test_wrong_ca_and_nobody_there(self):
        with open(f"{self.m0.pki}/front-proxy-ca.crt") as f:
            self.assertIn("CERTIFICATE", f.read())
        wrong = self.m0.mainstay("status", "--cacert", f"{self.m0.pki}/front-proxy-ca.crt", status=1)
        self.assertRegex(wrong, r"error: https://\S+: .*certificate")
        none = self.m0.mainstay("health", "--cert", "/nowhere.crt", status=1)
        self.assertIn("error: /nowhere.crt: No such file or directory", none)
        without = self.m0.mainstay("health", "--endpoints", "https://127.0.0.1:1", "--command-timeout=1s", status=1)
        self.assertIn("cluster is unavailable", without)
        self.assertRegex(without, r"error: https://127.0.0.1:1: .*[Cc]onnect")
        self.assertIn("not http", self.m0.mainstay("status", "--endpoints", "ftp://127.0.0.1:1", status=1))
        empty = tempfile.mkdtemp(dir=self.dir)
        done = subprocess.run([MAINSTAY, "etcd", "status", "--manifests", empty], stderr=subprocess.PIPE, text=True,
                              check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("says where etcd is", done.stderr)

    def test_the_last_member_stays(self):
        self.assertIn("the only member", self.m0.mainstay("member", "remove", "m0", status=1))
        self.assertIn("there would be 2 members, 1 healthy: no quorum",
                      self.m0.mainstay("member", "add", "m9=127.0.0.9", "--learner=false", status=1))
        unknown = self.m0.mainstay("member", "remove", "m8", status=1)
        self.assertRegex(unknown, r"etcd has no member m8; there are m0 \([0-9a-f]+\)")

    def test_words(self):
        for words, text in (([], "say what to do"), (["statsu"], 'did you mean "status"'),
                            (["status", "x"], 'takes no "x"'), (["member"], "member list, add"),
                            (["member", "remove"], "say which: mainstay etcd member remove NAME"),
                            (["member", "replace", "m0"], "--node NAME=IP"),
                            (["member", "add", "m9"], "NAME=IP")):
            self.assertIn(text, self.m0.mainstay(*words, status=2), words)


class ThreeMembers(Etcd):
    members = 3

    def test_margin(self):
        text = self.m0.mainstay("status")
        self.assertEqual(len(re.findall(r"(?m)^m\d .* yes ", text)), 3)
        self.assertEqual(len(re.findall(r" leader ", text)), 1)
        self.assertIn("3 members, 3 healthy: 1 may fail", text)

        dead = self.cluster.followers()[0]
        dead.kill()
        left = [m for m in self.cluster.members if m is not dead]
        left[0].ctl("endpoint", "health")
        left[1].ctl("endpoint", "health")
        text = left[0].mainstay("status", "--command-timeout=2s", status=1)
        self.assertRegex(text, rf"(?m)^{dead.name} .* no ")
        self.assertIn("3 members, 2 healthy: none may fail", text)
        health = left[0].mainstay("health", "--command-timeout=2s", status=1)
        self.assertRegex(health, r"(?m)^member [0-9a-f]+ is unreachable: https://.*(Failed to connect|refused)")
        self.assertIn("cluster is degraded", health)
        refused = left[0].mainstay("member", "remove", left[0].name, "--command-timeout=2s", status=1)
        self.assertIn(f"without {left[0].name} there would be 2 members, 1 healthy: no quorum, 2 are needed", refused)
        self.assertIn("--force", refused)
        # From the dead member's node, whose own etcd does not answer, the others are found all the same.
        self.assertIn("2 healthy", dead.mainstay("status", "--command-timeout=2s", status=1))

        left[1].kill()
        text = left[0].mainstay("status", "--command-timeout=2s", status=1)
        self.assertIn("3 members, 0 healthy: no quorum, 2 are needed", text)
        self.assertIn("cluster is unavailable", left[0].mainstay("health", "--command-timeout=2s", status=1))
        refused = left[0].mainstay("member", "remove", dead.name, "--command-timeout=2s", status=1)
        self.assertIn("only with a quorum", refused)
        self.assertIn("snapshot restore", refused)

    def test_a_frozen_leader(self):
        """Whoever asks while the others elect another one hears of two that are healthy, not of a lost quorum."""
        frozen = self.cluster.leader()
        other = self.cluster.followers()[0]
        frozen.process.send_signal(signal.SIGSTOP)
        self.addCleanup(frozen.process.send_signal, signal.SIGCONT)
        said = other.mainstay("status", "--command-timeout=4s", status=1)
        self.assertIn("3 members, 2 healthy: none may fail", said)
        self.assertRegex(said, rf"(?m)^{frozen.name}: https://.*timed out")

    def test_defrag_one_after_the_other(self):
        for i in range(40):
            self.m0.ctl("put", "/big", "x" * 100000)
        revision = self.m0.status()["members"][0]["raftIndex"]
        self.assertGreater(revision, 40)
        compacted = self.m0.ctl("get", "/big", "-w", "json")
        self.m0.ctl("compact", "--physical", str(json.loads(compacted)["header"]["revision"]))
        leader = self.cluster.leader().name
        said = self.m0.mainstay("defrag")
        order = re.findall(r"(?m)^(m\d): ([\d.]+)Mi -> ([\d.]+)(Ki|Mi), took [\d.]+s$", said)
        self.assertEqual(len(order), 3, said)
        self.assertEqual(order[-1][0], leader)
        for _, before, after, unit in order:
            self.assertLess(float(after) / (1024 if unit == "Ki" else 1), float(before) / 2)
        one = self.cluster.followers()[0]
        self.assertRegex(self.m0.mainstay("defrag", one.name), rf"^{one.name}: .*\n$")
        self.assertIn("etcd has no member m7", self.m0.mainstay("defrag", "m7", status=1))

        other = [m for m in self.cluster.followers() if m is not self.m0][-1]
        other.kill()
        refused = self.m0.mainstay("defrag", "--command-timeout=2s", status=1)
        self.assertIn(f"{other.name} is not healthy", refused)
        self.assertNotIn("->", refused)

    def test_move_leader(self):
        leader, follower = self.cluster.leader(), self.cluster.followers()[0]
        self.assertIn(f"transferred from {leader.name} to {follower.name}", self.m0.mainstay("move-leader", follower.name))
        self.assertEqual(self.cluster.leader().name, follower.name)
        self.assertIn("is the leader", self.m0.mainstay("move-leader", follower.name))
        self.assertIn("no member m7", self.m0.mainstay("move-leader", "m7", status=1))

    def test_a_member_of_its_own(self):
        """Added as a learner, promoted when it has caught up, removed again."""
        new = self.cluster.add_node()
        added = self.m0.mainstay("member", "add", f"{new.name}={new.host}")
        self.assertRegex(added, r"(?m)^Member [0-9a-f]+ added to the cluster as a learner$")
        initial = re.search(r'ETCD_INITIAL_CLUSTER="(.*)"', added).group(1)
        self.assertIn(f"{new.name}={new.peer_url}", initial)
        self.assertIn("has not started", self.m0.mainstay("member", "promote", new.peer_url, status=1))
        self.assertIn("one at a time", self.m0.mainstay("member", "add", "m9=127.0.0.9", status=1))
        new.init(initial, "existing")
        new.start()
        self.m0.ctl("put", "a", "b")

        def promoted():
            done = subprocess.run([MAINSTAY, "etcd", "member", "promote", new.name, "--manifests", self.m0.manifests],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
            self.assertRegex(done.stdout, "has not caught up|no member|promoted|not started")
            return done.returncode == 0
        await_true(promoted)
        self.assertIn("votes already", self.m0.mainstay("member", "promote", new.name))
        even = self.m0.mainstay("status")
        self.assertIn("4 members, 4 healthy: 1 may fail", even)
        self.assertIn("an even number", even)
        removed = self.m0.mainstay("member", "remove", new.name)
        self.assertIn("3 members, 3 healthy: 1 may fail", removed)

    def test_a_dead_member_is_replaced_while_writes_go_on(self):
        for member in self.cluster.members:
            self.m0.ctl("put", f"/mainstay/nodes/{member.name}", "{}")
        dead = [m for m in self.cluster.followers() if m is not self.m0][0]
        with Writer(self.cluster) as writer:
            refused = self.m0.mainstay("member", "replace", dead.name, "--node", "m3=127.0.0.4", status=1)
            self.assertIn(f"{dead.name} is healthy", refused)
            dead.kill()
            new = self.cluster.add_node()
            command = subprocess.Popen(
                [MAINSTAY, "etcd", "member", "replace", dead.name, "--node", f"{new.name}={new.host}",
                 "--manifests", self.m0.manifests], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            lines = []
            for line in command.stdout:
                lines.append(line)
                if "--initial-cluster=" in line:
                    break
            initial = re.search(r"--initial-cluster=(\S+)", lines[-1]).group(1)
            self.assertNotIn(dead.name + "=", initial)
            new.init(initial, "existing")
            new.start()
            rest = command.stdout.read()
            text = "".join(lines) + rest
            self.assertEqual(command.wait(WAIT_SECONDS), 0, text)
            command.stdout.close()
        self.assertIn(f"promoted  {new.name}", rest)
        self.assertGreater(len(writer.acknowledged), 0)
        self.assertEqual(writer.missing(new), [])
        self.assertIn("3 members, 3 healthy: 1 may fail", self.m0.mainstay("status"))
        nodes = self.m0.ctl("get", "--prefix", "--keys-only", "/mainstay/nodes/").split()
        self.assertNotIn(f"/mainstay/nodes/{dead.name}", nodes)
        with open(self.m0.manifest) as f:
            manifest = f.read()
        self.assertIn(f"{new.name}={new.peer_url}", manifest)
        self.assertNotIn(f"{dead.name}={dead.peer_url}", manifest)
        # The rest of the file is as it was, and again there is nothing to do.
        self.assertIn("name the members that there are", self.m0.mainstay("member", "sync"))
        # A second time: it is done already.
        again = self.m0.mainstay("member", "replace", dead.name, "--node", f"{new.name}={new.host}")
        self.assertIn("is a member already", again)

    def test_an_interrupted_replacement_goes_on(self):
        """A machine that comes back empty, with its name and address; the command is killed on its way."""
        dead = [m for m in self.cluster.followers() if m is not self.m0][0]
        dead.kill()
        shutil.rmtree(dead.data)
        replace = ["member", "replace", dead.name, "--node", f"{dead.name}={dead.host}"]
        for number, text in ((signal.SIGKILL, "removed "), (signal.SIGINT, "--initial-cluster=")):
            command = subprocess.Popen([MAINSTAY, "etcd", *replace, "--manifests", self.m0.manifests],
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for line in command.stdout:
                if text in line:
                    break
            command.send_signal(number)
            _, err = command.communicate(timeout=WAIT_SECONDS)
            if number == signal.SIGINT:
                self.assertIn("run the same command again", err)
        waiting = self.m0.mainstay(*replace, "--wait=1ms", status=1)
        self.assertIn("is a member already", waiting)
        self.assertIn("has not started yet", waiting)
        dead.init(re.search(r"--initial-cluster=(\S+)", waiting).group(1), "existing")
        dead.start()
        self.assertIn(f"promoted  {dead.name}", self.m0.mainstay(*replace))
        self.assertIn("3 members, 3 healthy: 1 may fail", self.m0.mainstay("status"))
        self.assertEqual(self.m0.ctl("get", "--prefix", "--keys-only", "/mainstay/etcd/"), "")
        # A name that never was one's is no interrupted replacement.
        self.assertIn("no member m7", self.m0.mainstay("member", "replace", "m7", "--node", "m8=127.0.0.8", status=1))


class Quota(Etcd):
    flags = ("quota-backend-bytes=1000000", "auto-compaction-mode=revision", "auto-compaction-retention=1")

    def test_a_full_database_is_told_and_cleared(self):
        self.assertEqual(self.m0.mainstay("alarm", "list"), "")
        for i in range(100):
            if "exceeded" in self.m0.ctl("put", f"/big/{i}", "x" * 50000, check=False):
                break
        status = self.m0.mainstay("status", status=1)
        self.assertRegex(status, r"(?m)^m0 .* NOSPACE$")
        self.assertIn("alarm NOSPACE of m0: its database has reached --quota-backend-bytes", status)
        self.assertIn("mainstay etcd alarm disarm", status)
        self.assertIn("alarm NOSPACE", self.m0.mainstay("health", status=1))
        self.assertRegex(self.m0.mainstay("alarm", "list", status=1), r"^memberID:\d+ alarm:NOSPACE \(m0\)$")
        self.m0.ctl("del", "--prefix", "/big/")
        header = json.loads(self.m0.ctl("get", "/big/0", "-w", "json"))["header"]
        self.m0.ctl("compact", "--physical", str(header["revision"]))
        self.m0.mainstay("defrag")
        self.assertIn("disarmed", self.m0.mainstay("alarm", "disarm"))
        self.assertIn("OK", self.m0.ctl("put", "/small", "x"))
        self.assertIn("cluster is healthy", self.m0.mainstay("health"))


class Gateway:
    """What answers as a member of another version would."""

    def __init__(self, version, prefix="/v3"):
        self.others, gateway = [self], self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                member = str(gateway.server.server_port)
                status = {"header": {"cluster_id": "1", "member_id": member, "revision": "7"}, "version": version,
                          "leader": str(gateway.others[0].server.server_port), "raftTerm": "2", "dbSize": "20480"}
                answers = {"/maintenance/status": status, "/kv/range": {"header": status["header"]},
                           "/cluster/member/list": {"members": [
                               {"ID": str(g.server.server_port), "name": f"m{i}", "clientURLs": [g.url],
                                "peerURLs": [g.url]} for i, g in enumerate(gateway.others)]},
                           "/maintenance/alarm": {}}
                path = self.path.removeprefix(prefix)
                known = self.path.startswith(prefix + "/") and path in answers
                body = json.dumps(answers[path]).encode() if known else b"Not Found\n"
                self.send_response(200 if known else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class OtherVersions(unittest.TestCase):
    def run_status(self, *gateways):
        for gateway in gateways:
            gateway.others = gateways
            self.addCleanup(gateway.close)
        done = subprocess.run([MAINSTAY, "etcd", "status", "--endpoints", gateways[0].url], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout

    def test_mixed(self):
        said = self.run_status(Gateway("3.4.23"), Gateway("3.5.9"), Gateway("3.5.9"))
        self.assertIn("the members run different versions (3.4.23 on m0, 3.5.9 on m1, 3.5.9 on m2)", said)

    def test_an_old_one(self):
        """etcd 3.3 has its gateway elsewhere, and does not tell how much of its database is in use."""
        said = self.run_status(Gateway("3.3.27", "/v3beta"))
        self.assertRegex(said, r"(?m)^m0 .* leader +yes +2 +20Ki +- ")


@unittest.skipUnless(HAVE_ETCD, "needs etcd and etcdctl (Debian: etcd-server, etcd-client)")
class ClusterFile(Etcd):
    members = 3

    def test_where_no_manifest_is(self):
        """A node without etcd (a balancer's, an apiserver's) finds it by the cluster's file."""
        file = os.path.join(self.dir, "cluster.yaml")
        with open(file, "w") as f:
            f.write(f"""apiVersion: kubeadm.k8s.io/v1beta2
kind: ClusterConfiguration
kubernetesVersion: v1.20.2
certificatesDir: {self.m0.pki}
etcd:
  external:
    endpoints: [{", ".join(m.url for m in self.cluster.members)}]
    caFile: {self.m0.pki}/etcd/ca.crt
    certFile: {self.m0.pki}/etcd/server.crt
    keyFile: {self.m0.pki}/etcd/server.key
---
apiVersion: mainstay.dev/v1
kind: Cluster
nodes:
- name: a1
  address: 127.0.0.9
""")
        self.m0.kill()
        empty = tempfile.mkdtemp(dir=self.dir)
        words = [MAINSTAY, "etcd", "status", "--manifests", empty, "--cluster-file", file, "--command-timeout=2s"]

        def two_are_left():  # once they have a leader again
            done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False)
            self.assertEqual(done.returncode, 1, done.stdout)
            return "3 members, 2 healthy: none may fail" in done.stdout
        await_true(two_are_left)
        with open(file, "a") as f:
            f.write("nonsense: [")
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout, r"error: .*cluster.yaml:\d+:\d+: ")


if __name__ == "__main__":
    main()
