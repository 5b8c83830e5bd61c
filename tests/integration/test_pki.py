"""`mainstay pki list` over a control plane's files, without an agent."""

import json
import os
import shutil
import subprocess
import tempfile
import unittest

import harness


class ListTest(unittest.TestCase):
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


if __name__ == "__main__":
    harness.main()
