"""`mainstay etcd` against real etcd clusters of one and three members with mutual TLS."""

import re
import shutil
import signal
import subprocess
import tempfile
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
        dead = [m for m in self.cluster.followers() if m is not self.m0][0]
        dead.kill()
        new = self.cluster.add_node()
        words = [MAINSTAY, "etcd", "member", "replace", dead.name, "--node", f"{new.name}={new.host}",
                 "--manifests", self.m0.manifests]
        for number, text in ((signal.SIGKILL, "removed "), (signal.SIGINT, "--initial-cluster=")):
            command = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for line in command.stdout:
                if text in line:
                    break
            command.send_signal(number)
            _, err = command.communicate(timeout=WAIT_SECONDS)
            if number == signal.SIGINT:
                self.assertIn("run the same command again", err)
        waiting = self.m0.mainstay("member", "replace", dead.name, "--node", f"{new.name}={new.host}", "--wait=1ms",
                                   status=1)
        self.assertIn("is a member already", waiting)
        self.assertIn("has not started yet", waiting)
        initial = re.search(r"--initial-cluster=(\S+)", waiting).group(1)
        new.init(initial, "existing")
        new.start()
        self.m0.mainstay("member", "replace", dead.name, "--node", f"{new.name}={new.host}")
        self.assertEqual(sorted(m["name"] for m in self.m0.status()["members"]),
                         sorted(m.name for m in self.cluster.members if m is not dead))


if __name__ == "__main__":
    main()
