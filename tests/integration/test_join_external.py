"""mainstay join where etcd is external: what kube-apiserver needs to speak to it travels in the sealed file, goes where
the cluster's file says, and leaves with reset. The etcd is a real one, with mutual TLS."""

import os
import shutil
import subprocess
import tempfile
import unittest

import etcd_cluster
from harness import MAINSTAY, WAIT_SECONDS, main

CONFIG = """apiVersion: kubeadm.k8s.io/v1beta2
kind: ClusterConfiguration
kubernetesVersion: v1.20.2
etcd:
  external:
    endpoints: ["{url}"]
    caFile: {dir}/ca.pem
    certFile: {dir}/client.pem
    keyFile: {dir}/keys/client-key.pem
"""
NODES = ["--node", "m1=127.0.0.1", "--node", "m2=127.0.0.2"]
FILES = {"ca.pem": 0o644, "client.pem": 0o644, "keys/client-key.pem": 0o600}


@unittest.skipUnless(etcd_cluster.HAVE_ETCD, "etcd and etcdctl are not installed")
class ExternalEtcd(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.etcd_dir = tempfile.mkdtemp(prefix="mainstay-external-etcd-")
        cls.addClassCleanup(shutil.rmtree, cls.etcd_dir)
        cls.etcd = etcd_cluster.Cluster(cls.etcd_dir, 1)
        cls.addClassCleanup(cls.etcd.stop)
        cls.etcd.start()

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="mainstay-join-external-")
        self.addCleanup(shutil.rmtree, self.dir)
        self.client = self.path("client")
        member = self.etcd.members[0]
        os.makedirs(os.path.join(self.client, "keys"))
        for name, source in (("ca.pem", "ca.crt"), ("client.pem", "healthcheck-client.crt"),
                             ("keys/client-key.pem", "healthcheck-client.key")):
            shutil.copy(os.path.join(member.pki, "etcd", source), os.path.join(self.client, name))
        self.config = self.path("kubeadm.yaml")
        with open(self.config, "w") as f:
            f.write(CONFIG.format(url=member.url, dir=self.client))
        self.mainstay("init", "--root", self.path("m1"), "--node-name", "m1", "--config", self.config, *NODES)
        self.files = self.read()

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def mainstay(self, *words, status=0):
        done = subprocess.run([MAINSTAY, *words], text=True, capture_output=True, stdin=subprocess.DEVNULL,
                              timeout=WAIT_SECONDS, env={**os.environ, "MAINSTAY_SOCKET": self.path("none")})
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        self.errors = done.stderr
        return done.stdout + done.stderr

    def read(self):
        """{name: content} of the files that are there, as the cluster's file names them."""
        found = {}
        for name in FILES:
            path = os.path.join(self.client, name)
            if os.path.exists(path):
                with open(path, "rb") as f:
                    found[name] = f.read()
        return found

    def seal(self):
        file = tempfile.mktemp(dir=self.dir, suffix=".sealed")
        said = self.mainstay("pki", "export", "--for", "m2", file, "--root", self.path("m1"))
        return [file, "--key", said.splitlines()[0]]

    def join(self, sealed, status=0):
        return self.mainstay("join", *sealed, "--root", self.path("m2"), "--node-name", "m2", status=status)

    def away(self):
        shutil.rmtree(self.client)  # this is another machine now

    def test_a_node_joins_with_what_was_sealed(self):
        sealed = self.seal()
        self.assertNotIn("warning", self.errors)
        self.away()
        said = self.join(sealed)
        self.assertEqual(self.read(), self.files)
        for name, mode in FILES.items():
            path = os.path.join(self.client, name)
            self.assertIn(f"written  {path}\n", said)
            self.assertEqual(os.stat(path).st_mode & 0o777, mode, path)
        # They are what the manifest names, and what opens etcd.
        manifests = self.path("m2/etc/kubernetes/manifests")
        self.assertEqual(sorted(os.listdir(manifests)), ["kube-apiserver.yaml", "kube-controller-manager.yaml",
                                                         "kube-scheduler.yaml"])
        with open(os.path.join(manifests, "kube-apiserver.yaml")) as f:
            self.assertIn(f"--etcd-keyfile={self.client}/keys/client-key.pem", f.read())
        self.assertIn("is healthy", self.mainstay("etcd", "health", "--manifests", manifests))
        # Again: nothing to do.
        said = self.join(sealed)
        self.assertIn("0 files made", said)
        self.assertIn(f"kept     {self.client}/keys/client-key.pem\n", said)
        # What join has brought, reset takes away.
        self.mainstay("reset", "--root", self.path("m2"), "--node-name", "m2", "--yes")
        self.assertEqual(self.read(), {})

    def test_what_was_there_stays(self):
        sealed = self.seal()
        self.join(sealed)
        self.mainstay("reset", "--root", self.path("m2"), "--node-name", "m2", "--yes")
        self.assertEqual(self.read(), self.files)
        with open(os.path.join(self.client, "client.pem"), "w") as f:
            f.write("another")
        before = self.read()
        said = self.join(sealed, status=1)
        self.assertIn(f"{self.client}/client.pem is there already, and is another", said)
        self.assertEqual(self.read(), before)
        self.assertFalse(os.path.exists(self.path("m2/etc/kubernetes/manifests/kube-apiserver.yaml")))

    def test_import_puts_them_there_too(self):
        sealed = self.seal()
        self.away()
        self.mainstay("pki", "import", *sealed, "--for", "m2", "--root", self.path("m2"))
        self.assertEqual(self.read(), self.files)
        with open(os.path.join(self.client, "ca.pem"), "w") as f:
            f.write("another")
        self.mainstay("pki", "import", *sealed, "--for", "m2", "--root", self.path("m2"), status=1)
        self.mainstay("pki", "import", *sealed, "--for", "m2", "--root", self.path("m2"), "--force")
        self.assertEqual(self.read(), self.files)
        [old] = [name for name in os.listdir(self.client) if name.startswith("ca.pem.")]
        with open(os.path.join(self.client, old)) as f:
            self.assertEqual(f.read(), "another")

    def test_what_is_not_here_does_not_travel(self):
        os.unlink(os.path.join(self.client, "keys/client-key.pem"))
        sealed = self.seal()
        self.assertIn(f"warning: {self.client}/keys/client-key.pem is not here and does not travel", self.errors)
        self.away()
        said = self.join(sealed, status=1)
        self.assertIn("client-key.pem", said)
        self.assertFalse(os.path.exists(self.path("m2/etc/kubernetes/manifests/kube-apiserver.yaml")))

    def edit_cluster(self, old, new):
        path = self.path("m1/etc/mainstay/cluster.yaml")
        with open(path) as f:
            text = f.read()
        self.assertIn(old, text)
        with open(path, "w") as f:
            f.write(text.replace(old, new))

    def test_paths_that_cannot_be(self):
        self.edit_cluster(f"{self.client}/ca.pem", f"{self.client}/../client/ca.pem")
        sealed = self.seal()
        self.away()
        for command in (["join", *sealed, "--root", self.path("m2"), "--node-name", "m2"],
                        ["pki", "import", *sealed, "--for", "m2", "--root", self.path("m2")],
                        ["pki", "import", *sealed, "--for", "m2", "--root", self.path("m2"), "--force"]):
            with self.subTest(command[:2]):
                self.assertIn("cannot be the path of a file", self.mainstay(*command, status=1))
                self.assertEqual(self.read(), {})

    def test_the_key_of_another_certificate(self):
        shutil.copy(self.path("m1/etc/kubernetes/pki/ca.key"), os.path.join(self.client, "keys/client-key.pem"))
        sealed = self.seal()
        self.away()
        self.assertIn("external-etcd/client.key: is not the key of external-etcd/client.crt", self.join(sealed, status=1))
        self.assertEqual(self.read(), {})

    def test_kubeadms_usual_places(self):
        """The guides put them among the other keys, and there the CA travels as etcd/ca.crt."""
        pki = self.path("m1/etc/kubernetes/pki")
        os.makedirs(pki + "/etcd")
        for name, to in (("ca.pem", "etcd/ca.crt"), ("client.pem", "apiserver-etcd-client.crt"),
                         ("keys/client-key.pem", "apiserver-etcd-client.key")):
            shutil.copy(os.path.join(self.client, name), os.path.join(pki, to))
            self.edit_cluster(os.path.join(self.client, name), os.path.join(pki, to))
        sealed = self.seal()
        self.assertNotIn("warning", self.errors)
        self.assertIn("10 files", self.errors)  # the CAs and sa's, three of etcd, the cluster's
        shutil.rmtree(pki)
        self.mainstay("pki", "import", *sealed, "--for", "m2", "--root", self.path("m1"))
        for name in ("etcd/ca.crt", "apiserver-etcd-client.crt", "apiserver-etcd-client.key", "ca.crt", "sa.key"):
            self.assertTrue(os.path.exists(os.path.join(pki, name)), name)
        self.assertEqual(os.stat(pki + "/apiserver-etcd-client.key").st_mode & 0o777, 0o600)


if __name__ == "__main__":
    main()
