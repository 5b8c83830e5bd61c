"""`mainstay pki init`: kubeadm's file, the layout of /srv/kubernetes, a CA that is elsewhere, and what goes wrong:
files that are no configuration, keys that are not the CA's, full disks, kills at any moment."""

import os
import random
import shutil
import subprocess
import tempfile
import time
import unittest

import harness

CLUSTER = "apiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfiguration\n"
INIT = "apiVersion: kubeadm.k8s.io/v1beta3\nkind: InitConfiguration\n"
KILLS = int(os.environ.get("MAINSTAY_TEST_KILLS", "20"))


def openssl(*words):
    return subprocess.run(["openssl", *words], capture_output=True, text=True, check=True).stdout


class PkiInitTest(unittest.TestCase):
    def setUp(self):
        self.root = tempfile.mkdtemp(prefix="mainstay-pki-init-")
        self.addCleanup(shutil.rmtree, self.root)
        self.pki = self.path("etc/kubernetes/pki")

    def path(self, *names):
        return os.path.join(self.root, *names)

    def write(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)
        return self.path(name)

    def read(self, name):
        with open(self.path(name)) as f:
            return f.read()

    def words(self, *words):
        return [harness.MAINSTAY, "pki", "init", "--root", self.root, "--node-name=m0", *words]

    def init(self, *words, status=0, address=True):
        done = subprocess.run(self.words(*(["--advertise-address=10.0.0.5"] if address else []), *words),
                              capture_output=True, text=True, timeout=harness.WAIT_SECONDS)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def contents(self):
        found = {}
        for directory, _, names in os.walk(self.root):
            for name in names:
                with open(os.path.join(directory, name), "rb") as f:
                    found[os.path.relpath(os.path.join(directory, name), self.root)] = f.read()
        return found

    def names_in(self, certificate):
        return openssl("x509", "-in", os.path.join(self.pki, certificate), "-noout", "-ext", "subjectAltName")

    def verify(self, ca, certificate, purpose):
        openssl("verify", "-x509_strict", "-purpose", purpose, "-CAfile", os.path.join(self.pki, ca),
                os.path.join(self.pki, certificate))


class ConfigurationTest(PkiInitTest):
    def test_flags_override_the_file(self):
        config = self.write("k.yaml", CLUSTER + "apiServer: {certSANs: [of.the.file]}\n"
                            "controlPlaneEndpoint: lb.of.the.file:8443\nclusterName: mine\n---\n" + INIT +
                            "nodeRegistration: {name: other}\nlocalAPIEndpoint: {advertiseAddress: 10.0.0.9, "
                            "bindPort: 7443}\n---\napiVersion: kubelet.config.k8s.io/v1beta1\n"
                            "kind: KubeletConfiguration\nanything: goes\n")
        self.init("--config", config, "--apiserver-cert-extra-sans=of.the.flag,10.1.1.1")
        names = self.names_in("apiserver.crt")
        for name in ("DNS:m0", "10.0.0.5", "of.the.flag", "10.1.1.1", "lb.of.the.file"):
            self.assertIn(name, names)
        for name in ("other", "10.0.0.9", "of.the.file,"):
            self.assertNotIn(name, names.replace("lb.of.the.file", ""))
        self.assertIn("server: https://lb.of.the.file:8443", self.read("etc/kubernetes/kubelet.conf"))
        self.assertIn("name: system:node:m0@mine", self.read("etc/kubernetes/kubelet.conf"))
        self.assertIn("server: https://10.0.0.5:7443", self.read("etc/kubernetes/scheduler.conf"))

    def test_unknown_fields_are_told_with_the_nearest(self):
        config = self.write("k.yaml", CLUSTER + "apiServer:\n  certSans: [x]\n")
        self.assertIn("k.yaml:4:3: apiServer.certSans: kubeadm knows no such field, it is passed over; did you mean "
                      '"certSANs"?', self.init("--config", config).stderr)

    def test_what_cannot_be_read_changes_nothing(self):
        rows = {
            "a: [": "is the file cut off?",
            "": "neither a ClusterConfiguration nor",
            "- x": "has no apiVersion and kind",
            "apiVersion: v1\nkind: Pod\n": "neither a ClusterConfiguration",
            "apiVersion: kubeadm.k8s.io/v1beta5\nkind: ClusterConfiguration\n": "v1beta5",
            CLUSTER + "apiServer: {certSANs: x}\n": "apiServer.certSANs: must be a list, not a string",
            CLUSTER + "apiServer: {certSANs: [5]}\n": "apiServer.certSANs: must be a string, not a number",
            CLUSTER + "apiServer: []\n": "apiServer: must be a mapping",
            CLUSTER + "clusterName: 5\n": "clusterName: must be a string",
            CLUSTER + "clusterName: a\nclusterName: b\n": "clusterName",
            CLUSTER + "---\n" + CLUSTER: "a second ClusterConfiguration",
            CLUSTER + "networking: {serviceSubnet: 10.0.0.0}\n": "10.0.0.0",
            CLUSTER + "controlPlaneEndpoint: 'a b'\n": "a b",
            CLUSTER + "apiServer: {certSANs: ['a b']}\n": "a b",
            CLUSTER + "etcd: {local: {dataDir: /x}, external: {endpoints: []}}\n": "either local or external",
            CLUSTER + "etcd: {external: {certFile: /x}}\n": "together",
            CLUSTER + "etcd: {external: {caFile: x}}\n": "absolute",
            CLUSTER + "featureGates: {PublicKeysECDSA: 1}\n": "PublicKeysECDSA",
            INIT + "localAPIEndpoint: {bindPort: 70000}\n": "bindPort: must be a port",
            INIT + "skipPhases: [certs/etcd-ca]\n": "certs/etcd-ca",
            INIT.replace("Init", "Join"): "JoinConfiguration",
        }
        for text, message in rows.items():
            with self.subTest(text):
                done = self.init("--config", self.write("k.yaml", text), status=1)
                self.assertIn(message, done.stderr)
                self.assertEqual(list(self.contents()), ["k.yaml"])
        self.assertIn("No such file", self.init("--config", self.path("none"), status=1).stderr)

    def test_external_etcd_is_looked_at(self):
        config = self.write("k.yaml", CLUSTER + "etcd: {external: {endpoints: ['https://e:2379'], caFile: /e/ca.crt, "
                            "certFile: /e/c.crt, keyFile: /e/c.key}}\n")
        done = self.init("--config", config, status=1)
        self.assertIn("/e/ca.crt", done.stdout)
        os.mkdir(self.path("e"))
        for name in ("ca", "c"):
            openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=x",
                    "-addext", "extendedKeyUsage=clientAuth", "-keyout", self.path(f"e/{name}.key"), "-out",
                    self.path(f"e/{name}.crt"))
        self.assertRegex(self.init("--config", config).stdout, r"kept +\S+/e/c.crt")
        self.assertFalse(os.path.exists(os.path.join(self.pki, "etcd")))
        self.assertFalse(os.path.exists(os.path.join(self.pki, "apiserver-etcd-client.crt")))
        shutil.copy(self.path("e/ca.key"), self.path("e/c.key"))
        self.assertIn("does not belong to the key", self.init("--config", config, status=1).stdout)


class SrvTest(PkiInitTest):
    FILES = ["basic_auth.csv", "ca.crt", "ca.key", "known_tokens.csv", "kubecfg.crt", "kubecfg.key", "server.cert",
             "server.key"]

    def setUp(self):
        super().setUp()
        self.pki = self.path("srv/kubernetes")

    def test_what_guides_expect_is_there_and_stays(self):
        self.init("--layout=srv", "--apiserver-cert-extra-sans=master.example.org")
        self.assertEqual(sorted(os.listdir(self.pki)), self.FILES)
        self.verify("ca.crt", "server.cert", "sslserver")
        self.verify("ca.crt", "kubecfg.crt", "sslclient")
        self.assertIn("DNS:master.example.org", self.names_in("server.cert"))
        for name in self.FILES:
            mode = os.stat(os.path.join(self.pki, name)).st_mode & 0o777
            self.assertEqual(mode, 0o644 if name.endswith((".crt", ".cert")) else 0o600, name)
        tokens = [line.split(",") for line in self.read("srv/kubernetes/known_tokens.csv").splitlines()]
        secrets = [row[0] for row in tokens] + [self.read("srv/kubernetes/basic_auth.csv").split(",")[0]]
        self.assertEqual(len(set(secrets)), len(secrets))
        for secret in secrets:
            self.assertRegex(secret, "^[0-9a-f]{32}$")
        self.assertIn("kubelet", [row[1] for row in tokens])
        before = self.contents()
        self.assertIn("0 files made, 5 kept", self.init("--layout=srv", "--apiserver-cert-extra-sans="
                                                        "master.example.org").stdout)
        self.assertEqual(self.contents(), before)

    def test_csv_files_are_checked_and_left_alone(self):
        self.init("--layout=srv")
        path = os.path.join(self.pki, "known_tokens.csv")
        os.chmod(path, 0o644)
        self.assertIn("chmod 600", self.init("--layout=srv", status=1).stdout)
        os.chmod(path, 0o600)
        self.write("srv/kubernetes/known_tokens.csv", "a,b,c\nd,e\n")
        self.assertIn("line 2 is not", self.init("--layout=srv", status=1).stdout)
        self.assertEqual(self.read("srv/kubernetes/known_tokens.csv"), "a,b,c\nd,e\n")
        os.unlink(path)
        self.assertIn("1 files made, 4 kept", self.init("--layout=srv").stdout)


class ExternalCaTest(PkiInitTest):
    """The CAs are made in one place, and only their certificates are taken to the node."""

    LEAVES = {"apiserver": ("ca", "server"), "apiserver-kubelet-client": ("ca", "client"),
              "front-proxy-client": ("front-proxy-ca", "client"), "etcd/server": ("etcd/ca", "peer"),
              "etcd/peer": ("etcd/ca", "peer"), "etcd/healthcheck-client": ("etcd/ca", "client"),
              "apiserver-etcd-client": ("etcd/ca", "client")}
    CLIENTS = ["admin.conf", "controller-manager.conf", "scheduler.conf", "kubelet.conf"]

    def setUp(self):
        super().setUp()
        subprocess.run([harness.MAINSTAY, "pki", "init", "--root", self.path("office"), "--node-name=x",
                        "--advertise-address=10.0.0.1"], check=True, capture_output=True)
        self.office = self.path("office/etc/kubernetes/pki")
        self.write("ca-config.json", """{"signing": {"profiles": {
            "server": {"expiry": "8760h", "usages": ["signing", "key encipherment", "server auth"]},
            "client": {"expiry": "8760h", "usages": ["signing", "key encipherment", "client auth"]},
            "peer": {"expiry": "8760h", "usages": ["signing", "key encipherment", "server auth", "client auth"]}}}}""")

    def sign(self, ca, profile, request, to):
        where = f"{self.office}/{ca}"
        subprocess.run([harness.MAINSTAY, "pki", "sign", f"-ca={where}.crt", f"-ca-key={where}.key",
                        f"-config={self.path('ca-config.json')}", f"-profile={profile}", "-bare", self.path("signed"),
                        "-force", request], check=True, capture_output=True)
        shutil.copy(self.path("signed.pem"), to)

    def test_requests_are_signed_elsewhere(self):
        csr = self.path("csr")
        done = self.init("--csr-only", "--csr-dir", csr)
        self.assertIn("mainstay pki sign", done.stdout)
        self.assertEqual([n for n in self.contents() if n.startswith("etc") and not n.endswith(".key")], [])
        before = self.contents()
        self.assertIn("0 files made, 11 kept", self.init("--csr-only", "--csr-dir", csr).stdout)
        self.assertEqual(self.contents(), before)
        for ca in ("ca", "front-proxy-ca", "etcd/ca"):
            shutil.copy(f"{self.office}/{ca}.crt", f"{self.pki}/{ca}.crt")
        done = self.init(status=1)
        self.assertIn("`mainstay pki init --csr-only` makes apiserver.csr; sign that where the key is", done.stdout)
        for name, (ca, profile) in self.LEAVES.items():
            self.sign(ca, profile, f"{csr}/{name}.csr", f"{self.pki}/{name}.crt")
        for name in self.CLIENTS:
            self.sign("ca", "client", f"{csr}/{name}.csr", self.path("etc/kubernetes", name + ".crt"))
        self.assertIn("kubelet.conf", self.init().stdout)
        self.verify("ca.crt", "apiserver.crt", "sslserver")
        self.assertIn("DNS:m0", self.names_in("apiserver.crt"))
        self.verify("etcd/ca.crt", "etcd/peer.crt", "sslclient")
        kubelet = self.read("etc/kubernetes/kubelet.conf")
        self.assertIn("user: system:node:m0", kubelet)
        self.assertIn("O = system:nodes", openssl("x509", "-noout", "-subject", "-in",
                                                  self.path("etc/kubernetes/kubelet.conf.crt")))
        self.assertIn("0 files made, 15 kept", self.init().stdout)
        self.assertFalse([n for n in os.listdir(self.pki) if n == "ca.key"])

    def test_a_certificate_for_another_key_is_told(self):
        self.init("--csr-only")
        for ca in ("ca", "front-proxy-ca", "etcd/ca"):
            shutil.copy(f"{self.office}/{ca}.crt", f"{self.pki}/{ca}.crt")
        shutil.copy(f"{self.office}/apiserver.crt", f"{self.pki}/apiserver.crt")
        self.assertIn("does not belong to the key beside it", self.init(status=1).stdout)


class FaultTest(PkiInitTest):
    def assert_refused_and_unchanged(self, message, status=1):
        before = self.contents()
        done = self.init(status=status)
        self.assertIn(message, done.stdout + done.stderr)
        after = self.contents()
        self.assertEqual({n: after.get(n) for n in before}, before)

    def in_pki(self, name):
        return os.path.join(self.pki, name)

    def test_a_flag_of_another_word_is_not_passed_over(self):
        done = self.init("--dir", self.in_pki(""), status=2)
        self.assertIn("pki init takes no --dir; it takes --config, --layout, --cert-dir", done.stderr)
        self.assertFalse(os.path.exists(self.in_pki("ca.crt")))

    def test_the_wrong_key_for_a_ca(self):
        self.init()
        shutil.copy(self.in_pki("etcd/ca.key"), self.in_pki("ca.key"))
        os.unlink(self.in_pki("apiserver.crt"))
        self.assert_refused_and_unchanged("does not belong to the key beside it")
        self.assertFalse(os.path.exists(self.in_pki("apiserver.crt")))

    def test_a_ca_that_has_gone_is_not_replaced(self):
        self.init()
        for name in ("etcd/ca.key", "etcd/ca.crt"):
            os.unlink(self.in_pki(name))
        self.assert_refused_and_unchanged("is missing, but etcd/server.crt, which it signed, is here")
        self.assertFalse(os.path.exists(self.in_pki("etcd/ca.crt")))

    def test_an_expired_ca(self):
        os.makedirs(self.pki)
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                "/CN=kubernetes", "-keyout", self.in_pki("ca.key"), "-out", self.path("csr"))
        self.write("index", "")
        config = self.write("ca.conf", f"[ca]\ndefault_ca = it\n[it]\ndatabase = {self.path('index')}\npolicy = any\n"
                            f"new_certs_dir = {self.root}\nrand_serial = yes\ndefault_md = sha256\n"
                            "x509_extensions = x\n"
                            "[any]\ncommonName = supplied\n[x]\nbasicConstraints = critical, CA:true\n")
        openssl("ca", "-batch", "-selfsign", "-config", config, "-keyfile", self.in_pki("ca.key"), "-in",
                self.path("csr"), "-startdate", "20200101000000Z", "-enddate", "20210101000000Z", "-notext", "-out",
                self.in_pki("ca.crt"))
        self.assert_refused_and_unchanged("expired on")
        self.assertFalse(os.path.exists(self.in_pki("apiserver.crt")))

    def test_keys_that_everybody_may_read(self):
        self.init()
        os.chmod(self.in_pki("ca.key"), 0o644)
        os.unlink(self.in_pki("apiserver.crt"))
        self.assert_refused_and_unchanged("chmod 600")

    @unittest.skipIf(os.geteuid() != 0, "needs root to become somebody else")
    def test_keys_that_cannot_be_read(self):
        self.init()
        subprocess.run(["chown", "-R", "nobody", self.root], check=True)
        os.chown(self.in_pki("ca.key"), 0, 0)
        os.chmod(self.root, 0o755)
        done = subprocess.run(self.words("--advertise-address=10.0.0.5"), user="nobody", capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout, r"wrong +\S+/ca.key\n +Permission denied")

    def test_garbage_and_missing_pieces(self):
        self.init()
        self.write("etc/kubernetes/pki/apiserver.key", "garbage")
        self.assert_refused_and_unchanged("holds no unencrypted private key")
        os.unlink(self.in_pki("apiserver.key"))
        self.assert_refused_and_unchanged("its private key")

    @unittest.skipIf(os.geteuid() != 0, "needs root to mount")
    def test_a_full_disk_in_the_middle(self):
        """With a few kilobytes more each time: what is made stays and is good, and at last it is all there."""
        where = self.path("etc")
        os.mkdir(where)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "none", where], check=True)
        self.addCleanup(subprocess.run, ["umount", where], check=True)
        before, refused = {}, 0
        for size in range(16, 400, 12):
            subprocess.run(["mount", "-o", f"remount,size={size}k", where], check=True)
            done = subprocess.run(self.words("--advertise-address=10.0.0.5"), capture_output=True, text=True)
            after = self.contents()
            self.assertEqual({n: after[n] for n in before}, before)
            self.assertEqual([n for n in after if ".tmp-" in n], [])
            self.assertNotIn(b"", after.values())
            before = after
            if done.returncode == 0:
                break
            refused += 1
            self.assertIn("No space left on device", done.stdout + done.stderr)
        self.assertGreater(refused, 2)
        self.assertIn("0 files made, 15 kept", self.init().stdout)

    def test_killed_at_any_moment(self):
        """Each run is killed at a moment of its own; what is there is never half-written, never changes, and the
        next run completes it."""
        started = time.monotonic()
        self.init()
        whole = time.monotonic() - started
        kills = 0
        for i in range(KILLS):
            shutil.rmtree(self.path("etc"))
            before = {}
            while True:
                process = subprocess.Popen(self.words("--advertise-address=10.0.0.5"), stdout=subprocess.DEVNULL,
                                           stderr=subprocess.PIPE)
                try:
                    process.wait(timeout=random.uniform(0, whole))
                except subprocess.TimeoutExpired:
                    process.kill()
                said = process.communicate()[1]
                after = {n: c for n, c in self.contents().items() if ".tmp-" not in n}
                self.assertEqual({n: after[n] for n in before}, before)
                for name, content in after.items():
                    end = b"\n" if name.endswith(".conf") else b"-----\n"
                    self.assertTrue(content.endswith(end), name)
                before = after
                if process.returncode == 0:
                    break
                self.assertEqual(process.returncode, -9, said)
                kills += 1
            self.assertEqual([n for n in self.contents() if ".tmp-" in n], [])
            self.assertIn("0 files made, 15 kept", self.init().stdout)
        self.assertGreater(kills, KILLS // 4)

    def test_two_at_once(self):
        both = [subprocess.Popen(self.words("--advertise-address=10.0.0.5", "--key-type=rsa-2048"), text=True,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
        for process in both:
            process.said = process.communicate(timeout=harness.WAIT_SECONDS)
        statuses = sorted(p.returncode for p in both)
        self.assertIn(statuses, ([0, 0], [0, 1]))
        for process in both:
            if process.returncode:
                self.assertIn("another `mainstay pki` writes into", process.said[1])
        self.assertIn("0 files made, 15 kept", self.init().stdout)


if __name__ == "__main__":
    harness.main()
