"""`mainstay pki list` and `check` over a control plane's files, without an agent."""

import json
import os
import shutil
import subprocess
import tempfile
import unittest

import harness


class PkiTest(unittest.TestCase):
    def setUp(self):
        self.root = tempfile.mkdtemp(prefix="mainstay-pki-")
        self.addCleanup(shutil.rmtree, self.root)
        self.run_mainstay("init", f"--root={self.root}", "--node-name=m0", "--advertise-address=10.0.0.1")
        self.pki = os.path.join(self.root, "etc/kubernetes/pki")

    def run_mainstay(self, *arguments, status=0):
        done = subprocess.run([harness.MAINSTAY, *arguments], capture_output=True, text=True,
                              env={**os.environ, "MAINSTAY_SOCKET": self.root + "/none"})
        self.assertEqual(done.returncode, status, done.stderr)
        return done


class ListTest(PkiTest):
    def list(self, *more, status=0):
        return self.run_mainstay("pki", "list", "--dir", self.pki, "--manifests",
                                 os.path.join(self.root, "etc/kubernetes/manifests"), *more, status=status)

    def test_every_certificate_with_its_users(self):
        rows = {line.split()[0]: line for line in self.list("-o", "wide").stdout.splitlines()[1:]}
        self.assertEqual(sorted(rows), sorted(
            ["admin.conf", "apiserver-etcd-client.crt", "apiserver-kubelet-client.crt", "apiserver.crt", "ca.crt",
             "controller-manager.conf", "etcd/ca.crt", "etcd/healthcheck-client.crt", "etcd/peer.crt",
             "etcd/server.crt", "front-proxy-ca.crt", "front-proxy-client.crt", "scheduler.conf"]))
        self.assertIn("kube-apiserver --tls-cert-file", rows["apiserver.crt"])
        self.assertIn("10.0.0.1", rows["apiserver.crt"])
        self.assertIn("etcd --trusted-ca-file, etcd --peer-trusted-ca-file, kube-apiserver --etcd-cafile",
                      rows["etcd/ca.crt"])
        self.assertIn("itself", rows["ca.crt"])
        self.assertIn("[##########]", rows["apiserver.crt"])

    def test_json_is_certinfo_and_more(self):
        found = {os.path.relpath(o["file"], self.pki): o for o in json.loads(self.list("-o", "json").stdout)}
        peer = found["etcd/peer.crt"]
        self.assertEqual(peer["subject"]["common_name"], "m0")
        self.assertIn("10.0.0.1", peer["sans"])
        self.assertFalse(peer["ca"])
        self.assertTrue(found["etcd/ca.crt"]["ca"])
        self.assertEqual(peer["used_by"], ["etcd --peer-cert-file"])

    def test_what_cannot_be_read_is_told(self):
        with open(os.path.join(self.pki, "apiserver.crt"), "w") as f:
            f.write("no certificate")
        os.unlink(os.path.join(self.pki, "etcd/peer.crt"))
        done = self.list(status=1)
        self.assertIn("apiserver.crt: ", done.stderr)
        self.assertIn("used by kube-apiserver --tls-cert-file", done.stderr)
        self.assertIn("etcd/peer.crt: No such file", done.stderr)
        self.assertIn("etcd/server.crt", done.stdout)

    def test_nothing_there(self):
        done = self.run_mainstay("pki", "list", "--dir", "/nowhere", "--manifests", "/nowhere")
        self.assertIn("mainstay init", done.stderr)
        self.assertEqual(done.stdout, "")


class CheckTest(PkiTest):
    def setUp(self):
        super().setUp()
        self.manifests = os.path.join(self.root, "etc/kubernetes/manifests")

    def check(self, *more, status=0):
        return self.run_mainstay("pki", "check", "--manifests", self.manifests, *more, status=status)

    def bad(self):
        done = self.check(status=1)
        return [line for line in done.stdout.splitlines() if line.startswith("BAD")]

    def path(self, name):
        return os.path.join(self.pki, name)

    def edit(self, name, old, new):
        path = os.path.join(self.manifests, name)
        with open(path) as f:
            text = f.read()
        self.assertIn(old, text)
        with open(path, "w") as f:
            f.write(text.replace(old, new))

    def test_what_init_makes_is_good(self):
        lines = self.check().stdout.splitlines()
        self.assertEqual(len(lines), 9)
        self.assertTrue(all(line.startswith("good") for line in lines), lines)

    def test_a_flag_with_an_address_that_is_in_no_certificate(self):
        self.edit("etcd.yaml", "--advertise-client-urls=https://10.0.0.1:2379",
                  "--advertise-client-urls=https://10.0.0.9:2379,https://[fd00::9]:2379")
        bad = self.bad()
        self.assertEqual(len(bad), 1)
        self.assertIn("etcd --cert-file", bad[0])
        self.assertIn("does not name 10.0.0.9", bad[0])
        self.assertIn("does not name fd00::9", bad[0])

    def test_pieces_that_do_not_belong_together(self):
        shutil.copy(self.path("etcd/peer.key"), self.path("apiserver.key"))
        shutil.copy(self.path("apiserver-etcd-client.crt"), self.path("etcd/server.crt"))
        shutil.copy(self.path("front-proxy-ca.crt"), self.path("etcd/ca.crt"))
        bad = {line.split()[1][len(self.pki) + 1:]: line for line in self.bad()}
        self.assertIn("does not belong to the key", bad["apiserver.crt"])
        self.assertIn("may not be used by a server", bad["etcd/server.crt"])
        self.assertIn("was not issued by this CA", bad["etcd/peer.crt"])
        self.assertIn("was not issued by this CA", bad["apiserver-etcd-client.crt"])
        self.assertNotIn("front-proxy-client.crt", bad)

    def test_modes(self):
        os.chmod(self.path("apiserver.key"), 0o644)
        os.chmod(self.path("etcd/peer.crt"), 0o666)
        os.chmod(os.path.join(self.root, "etc/kubernetes/scheduler.conf"), 0o604)
        bad = self.bad()
        self.assertEqual(len(bad), 3)
        for words in ("chmod 600", "chmod 644", "holds a key and may be read by everybody"):
            self.assertTrue(any(words in line for line in bad), (words, bad))

    def test_what_ends_soon(self):
        self.assertEqual(self.check("--days", "364").returncode, 0)
        lines = self.check("--days", "366", status=1).stdout.splitlines()
        self.assertTrue(any("ends in" in line for line in lines))

    def test_files_that_are_gone(self):
        os.unlink(self.path("apiserver.crt"))
        self.assertIn("No such file", self.bad()[0])


if __name__ == "__main__":
    harness.main()
