"""`mainstay pki init` beside the real kubeadm 1.20.2: the same configuration through both, and what each
made compared: certificate by certificate, kubeconfig by kubeconfig, mode by mode."""

import base64
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "integration"))
import harness  # noqa: E402
import programs  # noqa: E402
from test_cfssl import fields, openssl  # noqa: E402

WHY_NOT = programs.why_not_kubeadm()

CLUSTER = """apiVersion: kubeadm.k8s.io/v1beta2
kind: ClusterConfiguration
kubernetesVersion: v1.20.2
certificatesDir: %(pki)s
"""
INIT = """---
apiVersion: kubeadm.k8s.io/v1beta2
kind: InitConfiguration
nodeRegistration: {name: Master-0}
localAPIEndpoint: {advertiseAddress: %s}
"""
V4 = INIT % "10.0.0.5"
V6 = INIT % "'fd00::5'"
EXTERNAL = """etcd:
  external:
    endpoints: ["https://10.0.0.9:2379"]
    caFile: %(etcd)s/ca.crt
    certFile: %(etcd)s/client.crt
    keyFile: %(etcd)s/client.key
"""
# Each is the rest of a ClusterConfiguration and the document after it.
CONFIGURATIONS = {
    "plain": ("", V4),
    "an endpoint": ("controlPlaneEndpoint: lb.example.org\n", V4),
    "an endpoint with a port": ("controlPlaneEndpoint: lb.example.org:8443\n", V4),
    "an address as the endpoint": ("controlPlaneEndpoint: 10.0.0.100:8443\n", V4),
    "names": ('apiServer: {certSANs: [b.example.org, a.example.org, 10.9.9.9, "*.wild.example", "fd00::99", '
              "10.0.0.5, kubernetes]}\netcd: {local: {dataDir: /var/lib/etcd, serverCertSANs: [etcd.example.org, "
              "10.7.7.7], peerCertSANs: [peer.example.org, 10.8.8.8]}}\n", V4),
    "services": ("networking: {serviceSubnet: 172.30.5.0/24, dnsDomain: k8s.example, podSubnet: 10.244.0.0/16}\n"
                 "clusterName: other\n", V4.replace("}\n", ", bindPort: 7443}\n", 2).replace(
                     "{name: Master-0, bindPort: 7443}", "{name: Master-0}")),
    "IPv6": ("networking: {serviceSubnet: 'fd00:96::/112'}\n", V6),
    "IPv6 endpoint": ("networking: {serviceSubnet: 'fd00:96::/112'}\ncontrolPlaneEndpoint: '[fd00::100]:8443'\n", V6),
    "external etcd": (EXTERNAL, V4),
}


def data_of(path, key):
    """What a kubeconfig holds in base64, as a file of its own."""
    with open(path) as f:
        text = re.search(key + r": (\S+)", f.read())[1]
    out = f"{path}.{key}.pem"
    with open(out, "wb") as f:
        f.write(base64.b64decode(text))
    os.chmod(out, 0o600)
    return out


def frame(path):
    """A kubeconfig without its secrets."""
    with open(path) as f:
        return re.sub(r"-data: \S+", "-data: DATA", f.read())


def comparable(pem):
    """The fields, without what our leaves say and kubeadm's leave unsaid (the identifier of their own key, and
    that they are no CA, which means the same), and the life to the day: our NotBefore is five minutes in the past."""
    found = fields(pem)
    found["extensions"] = [e for e in found["extensions"]
                           if "Subject Key Identifier" not in e and "CA:FALSE" not in e]
    found["extensions"] = [", ".join(sorted(re.split(r", |\n +", e))) if "Alternative Name" in e else e
                           for e in found["extensions"]]  # kubeadm sorts its names, which are a set
    found["validity"] = round(found["validity"].total_seconds() / 86400)
    found.pop("in the past")
    return found


@unittest.skipIf(WHY_NOT, WHY_NOT)
class KubeadmTest(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.kubeadm = programs.kubeadm_program()
        self.dir = tempfile.mkdtemp(prefix="mainstay-kubeadm-")
        self.addCleanup(shutil.rmtree, self.dir)

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def config(self, who, cluster, rest):
        os.makedirs(self.path(who), exist_ok=True)
        with open(self.path(who, "config.yaml"), "w") as f:
            f.write(CLUSTER % {"pki": self.path(who, "pki")} + cluster % {"etcd": self.path("etcd")} + rest)
        return self.path(who, "config.yaml")

    def run_tool(self, *words):
        done = subprocess.run(words, capture_output=True, text=True, timeout=harness.WAIT_SECONDS)
        self.assertEqual(done.returncode, 0, f"{words}\n{done.stdout}{done.stderr}")
        return done.stdout

    def make_etcd(self):
        """What somebody else's etcd asks its clients for."""
        os.makedirs(self.path("etcd"))
        where = self.path("etcd")
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=theirs", "-keyout", where + "/ca.key",
                "-out", where + "/ca.crt")
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=client", "-keyout", where + "/client.key",
                "-out", where + "/client.csr")
        with open(where + "/ext", "w") as f:
            f.write("extendedKeyUsage=clientAuth\n")
        openssl("x509", "-req", "-in", where + "/client.csr", "-CA", where + "/ca.crt", "-CAkey", where + "/ca.key",
                "-CAcreateserial", "-days", "90", "-extfile", where + "/ext", "-out", where + "/client.crt")

    def make(self, cluster, rest, key_type):
        theirs = self.config("theirs", cluster + ("featureGates: {PublicKeysECDSA: true}\n"
                                                  if key_type == "ecdsa-p256" else ""), rest)
        ours = self.config("ours", cluster, rest)
        self.run_tool(self.kubeadm, "init", "phase", "certs", "all", "--config", theirs)
        self.run_tool(self.kubeadm, "init", "phase", "kubeconfig", "all", "--config", theirs,
                      "--kubeconfig-dir", self.path("theirs"))
        self.run_tool(harness.MAINSTAY, "pki", "init", "--config", ours, "--kubeconfig-dir", self.path("ours"),
                      "--key-type", key_type)

    def files(self, who):
        """Every file and directory with its mode."""
        found = {}
        for directory, names, files in os.walk(self.path(who)):
            for name in names + files:
                path = os.path.join(directory, name)
                found[os.path.relpath(path, self.path(who))] = oct(os.stat(path).st_mode)
        return found

    def compare(self, ecdsa=False):
        ours, theirs = self.files("ours"), self.files("theirs")
        self.assertEqual(ours, theirs)
        for name in sorted(ours):
            mine, other = self.path("ours", name), self.path("theirs", name)
            if name.endswith(".crt"):
                self.assertEqual(comparable(mine), comparable(other), name)
            elif name.endswith(".conf"):
                self.assertEqual(frame(mine), frame(other), name)
                pair = [comparable(data_of(p, "client-certificate-data")) for p in (mine, other)]
                if ecdsa:  # kubeadm's gate does not reach its kubeconfigs
                    self.assertEqual([p.pop("key") for p in pair], [[("256", ""), ("", "P-256")], [("2048", "")]])
                self.assertEqual(*pair, name)
            elif name.endswith(".key"):
                with open(mine) as a, open(other) as b:
                    self.assertEqual(a.readline(), b.readline(), name)
        self.assertEqual(*(openssl("pkey", "-pubin", "-in", self.path(who, "pki/sa.pub"), "-text_pub", "-noout")
                           .splitlines()[0] for who in ("ours", "theirs")))
        return ours

    def test_every_configuration(self):
        for name, (cluster, rest) in CONFIGURATIONS.items():
            with self.subTest(name):
                for who in os.listdir(self.dir):
                    shutil.rmtree(self.path(who))
                if "external" in cluster:
                    self.make_etcd()
                self.make(cluster, rest, "rsa-2048")
                files = self.compare()
                self.assertEqual("pki/etcd/ca.crt" in files, "external" not in cluster)

    def test_ecdsa(self):
        """kubeadm's feature gate PublicKeysECDSA is what ours does without being asked."""
        self.make("", V4, "ecdsa-p256")
        self.compare(ecdsa=True)

    def test_each_keeps_what_the_other_made(self):
        self.make("", V4, "rsa-2048")
        for kind in ("pki", "admin.conf", "controller-manager.conf", "scheduler.conf", "kubelet.conf"):
            os.rename(self.path("ours", kind), self.path("x"))
            os.rename(self.path("theirs", kind), self.path("ours", kind))
            os.rename(self.path("x"), self.path("theirs", kind))
        before = self.contents("ours"), self.contents("theirs")
        said = self.run_tool(harness.MAINSTAY, "pki", "init", "--config", self.path("ours/config.yaml"),
                             "--kubeconfig-dir", self.path("ours"))
        self.assertIn("0 files made, 15 kept", said)
        for phase in ("certs", "kubeconfig"):
            where = ["--kubeconfig-dir", self.path("theirs")] if phase == "kubeconfig" else []
            self.run_tool(self.kubeadm, "init", "phase", phase, "all", "--config", self.path("theirs/config.yaml"),
                          *where)
        self.assertEqual((self.contents("ours"), self.contents("theirs")), before)

    def contents(self, who):
        found = {}
        for name in self.files(who):
            if os.path.isfile(self.path(who, name)):
                with open(self.path(who, name), "rb") as f:
                    found[name] = f.read()
        return found

    @unittest.skipIf(os.geteuid() != 0, "needs root (kubeadm looks into /etc/kubernetes only)")
    def test_check_expiration_accepts_ours(self):
        etc = self.path("etc")
        config = self.config("ours", "", V4)
        with open(config) as f:
            text = f.read().replace(self.path("ours/pki"), "/etc/kubernetes/pki")
        self.run_tool(harness.MAINSTAY, "pki", "init", "--config", config, "--cert-dir", etc + "/kubernetes/pki",
                      "--kubeconfig-dir", etc + "/kubernetes")
        with open(etc + "/kubernetes/config.yaml", "w") as f:
            f.write(text)
        # A mount namespace of its own: this machine's /etc stays as it is.
        said = self.run_tool("unshare", "--mount", "--propagation", "private", "sh", "-c",
                             'mount --bind "$1" /etc && exec "$2" certs check-expiration '
                             "--config /etc/kubernetes/config.yaml", "sh", etc, self.kubeadm)
        rows = {line.split()[0]: line for line in said.splitlines() if " UTC" in line}
        self.assertEqual(sorted(rows), sorted(
            ["admin.conf", "apiserver", "apiserver-etcd-client", "apiserver-kubelet-client",
             "controller-manager.conf", "etcd-healthcheck-client", "etcd-peer", "etcd-server", "front-proxy-client",
             "scheduler.conf", "ca", "etcd-ca", "front-proxy-ca"]), said)
        for name, row in rows.items():
            self.assertRegex(row, r" 9y | 36[34]d ", name)
            self.assertRegex(row.rstrip(), r"no$", name)  # externally managed
        self.assertNotIn("MISSING", said)


if __name__ == "__main__":
    harness.main()
