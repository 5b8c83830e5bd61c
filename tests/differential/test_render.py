"""What `mainstay render` writes beside what the real kubeadm 1.20.2 writes for the same file: manifests compared
field by field as parsed YAML. Where ours are different on purpose, a row of CHOSEN says so and why; each row must
be used. kubeadm 1.20.2 reads v1beta1 and v1beta2; that we read v1beta3 and v1beta4 right is shown by files that
say the same in the newer form."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import yaml

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "integration"))
import harness  # noqa: E402
import programs  # noqa: E402

COMPONENTS = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"]

CLUSTER = "apiVersion: kubeadm.k8s.io/v1beta2\nkind: ClusterConfiguration\nkubernetesVersion: v1.20.2\n"
INIT = """---
apiVersion: kubeadm.k8s.io/v1beta2
kind: InitConfiguration
nodeRegistration: {name: master-0}
localAPIEndpoint: {advertiseAddress: "%s"%s}
"""
V4 = INIT % ("10.0.0.5", "")
CONFIGURATIONS = {
    "plain": CLUSTER + V4,
    "v1beta1": (CLUSTER + V4).replace("v1beta2", "v1beta1"),
    "an endpoint and another port": CLUSTER + "controlPlaneEndpoint: lb.example.org:8443\n" + INIT % (
        "10.0.0.5", ", bindPort: 7443"),
    "a balancer": CLUSTER + "controlPlaneEndpoint: 10.0.0.100:8443\n" + V4 + """---
apiVersion: mainstay.dev/v1
kind: Cluster
loadBalancer: {kind: haproxy, virtualIP: 10.0.0.100/24, interface: eth0}
""",
    "networks and names": CLUSTER + """clusterName: other
networking: {serviceSubnet: 172.30.5.0/24, dnsDomain: k8s.example, podSubnet: 10.244.0.0/16}
""" + V4,
    "arguments": CLUSTER + """apiServer:
  extraArgs: {authorization-mode: "RBAC,Node,Webhook", v: "4", audit-log-path: "/a: b \\"c\\"", enable-admission-plugins: ""}
controllerManager:
  extraArgs: {bind-address: 0.0.0.0, node-cidr-mask-size: "20", leader-elect: "false"}
scheduler:
  extraArgs: {bind-address: 10.0.0.5, profiling: "false"}
etcd:
  local:
    dataDir: /srv/etcd data
    extraArgs: {listen-metrics-urls: "http://10.0.0.5:7381,http://127.0.0.1:2381", snapshot-count: "5000",
                advertise-client-urls: "https://10.0.0.5:2379,https://etcd.example:2379"}
""" + V4,
    "volumes": CLUSTER + """apiServer:
  extraVolumes:
  - {name: audit, hostPath: /var/log/audit, mountPath: /logs, pathType: DirectoryOrCreate}
  - {name: cloud, hostPath: /etc/cloud.conf, mountPath: /etc/cloud.conf, readOnly: true, pathType: File}
  - {name: ca-certs, hostPath: /etc/other/certs, mountPath: /etc/ssl/certs, readOnly: true, pathType: Directory}
controllerManager:
  extraArgs: {flex-volume-plugin-dir: /opt/flex}
  extraVolumes: [{name: cloud, hostPath: /etc/cloud.conf, mountPath: /etc/cloud.conf, readOnly: true, pathType: File}]
scheduler:
  extraVolumes: [{name: policy, hostPath: /etc/policy, mountPath: /etc/policy}]
""" + V4,
    "images and directories": CLUSTER + """imageRepository: registry.example:5000/k8s
certificatesDir: /srv/kubernetes/pki
etcd: {local: {dataDir: /srv/etcd, imageRepository: other.example, imageTag: 3.4.14-1}}
""" + V4,
    "another patch release": CLUSTER.replace("v1.20.2", "v1.20.0") + V4,
    "the release before": CLUSTER.replace("v1.20.2", "v1.19.7") + V4,
    "external etcd": CLUSTER + """etcd:
  external:
    endpoints: ["https://10.0.0.8:2379", "https://10.0.0.9:2379"]
    caFile: /etc/theirs/ca.crt
    certFile: /etc/theirs/client/c.crt
    keyFile: /etc/kubernetes/pki/theirs.key
""" + V4,
    "external etcd without TLS": CLUSTER + "etcd: {external: {endpoints: ['http://10.0.0.9:2379']}}\n" + V4,
    "IPv6": CLUSTER + "networking: {serviceSubnet: 'fd00:96::/112'}\n" + INIT % ("fd00::5", ""),
}

# Where, which component and field (of flatten()), and why it is not kubeadm's. The values are (theirs, ours).
CHOSEN = [
    (r"spec\.securityContext\.seccompProfile\.type", lambda t, o: (t, o) == (None, "RuntimeDefault"),
     "kubeadm does so from 1.21 on: a filter costs nothing and stops much"),
    (r"spec\.containers\.[^.]*\.image", lambda t, o: t.replace("k8s.gcr.io/", "registry.k8s.io/") == o,
     "k8s.gcr.io has been frozen since 2023, registry.k8s.io has the same images"),
    (r"spec\.containers\.etcd\.volumeMounts\.etcd-certs\.readOnly", lambda t, o: (t, o) == (None, True),
     "etcd has no reason to write to its keys"),
    (r"spec\.containers\.etcd\.command\.initial-cluster-state", lambda t, o: (t, o) == (None, ["new"]),
     "etcd's default, said so that a node that joins differs in one word"),
    (r"spec\.(containers\.kube-[^.]*\.volumeMounts|volumes)\.(etc-pki|usr-share-ca-certificates|"
     r"usr-local-share-ca-certificates|etc-ca-certificates)\..*", lambda t, o: o is None,
     "kubeadm mounts these where the machine that it runs on has them; a tree for another machine must not depend on "
     "that, and Go reads /etc/ssl/certs/ca-certificates.crt, which is no link"),
    (r"spec\.containers\.kube-(controller-manager|scheduler)\.(command\.bind-address|[a-z]*Probe\.httpGet\.host)",
     lambda t, o: (t, o) in (("127.0.0.1", "::1"), (["127.0.0.1"], ["::1"])),
     "on a node with IPv6 addresses the loopback's is ::1 everywhere"),
    (r"spec\.containers\.kube-apiserver\.command\.shutdown-delay-duration", lambda t, o: (t, o) == (None, ["10s"]),
     "a balancer has to leave before kube-apiserver goes"),
    (r"spec\.containers\.kube-(controller-manager|scheduler)\.command\.secure-port",
     lambda t, o: (t, o) in ((None, ["10257"]), (None, ["10259"])),
     "the default, said because the probe below names it, and --scheduler-port changes both"),
    (r"metadata\.annotations\.mainstay\.dev/backoff", lambda t, o: (t, o) == (None, "1s..60s"),
     "an etcd whose disk was full for a while must not wait for five minutes once there is room"),
    (r"metadata\.annotations\.mainstay\.dev/depends-on", lambda t, o: (t, o) == (None, "etcd"),
     "a node that is shut down must stop kube-apiserver before its etcd"),
    (r"spec\.terminationGracePeriodSeconds", lambda t, o: (t, o) == (None, 75),
     "the grace period that goes with the delay"),
    (r"spec\.containers\.kube-apiserver\.command\.service-account-(issuer|signing-key-file)",
     lambda t, o: o is None, "before 1.20 these are not needed; kubeadm 1.20 passes them to 1.19 too"),
]
NAMED = ("containers", "volumes", "volumeMounts", "env")


def flags_of(command):
    """Of each flag its values in order; and the program."""
    found = {"": [command[0]]}
    for word in command[1:]:
        name, _, value = word.lstrip("-").partition("=")
        found.setdefault(name, []).append(value)
    return found


def flatten(value, path="", key=""):
    """{path: scalar}. What is empty or a default that YAML may leave out is not there."""
    if key == "command":
        return {f"{path}.{name}": values for name, values in flags_of(value).items()}
    if isinstance(value, list):
        value = {item["name"]: item for item in value} if key in NAMED else dict(enumerate(value))
    if isinstance(value, dict):
        found = {}
        for name, inner in value.items():
            found.update(flatten(inner, f"{path}.{name}".lstrip("."), str(name)))
        return found
    return {} if value in (None, "", False) else {path: value}


@unittest.skipIf(programs.why_not_kubeadm(), programs.why_not_kubeadm())
@unittest.skipIf(os.geteuid() != 0, "needs root (kubeadm writes to /etc/kubernetes only)")
class RenderTest(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.kubeadm = programs.kubeadm_program()
        self.dir = tempfile.mkdtemp(prefix="mainstay-render-")
        self.addCleanup(shutil.rmtree, self.dir)

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def write(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)
        return self.path(name)

    def run_tool(self, *words):
        done = subprocess.run(words, capture_output=True, text=True, timeout=harness.WAIT_SECONDS)
        self.assertEqual(done.returncode, 0, f"{words}\n{done.stdout}{done.stderr}")
        return done.stdout

    def theirs(self, text):
        """In a mount namespace of its own, whose /etc is a directory of this test's."""
        etc = tempfile.mkdtemp(dir=self.dir)
        with open(os.path.join(etc, "config.yaml"), "w") as f:
            f.write(text)
        self.run_tool("unshare", "--mount", "--propagation", "private", "sh", "-ec",
                      'mount --bind "$1" /etc; "$2" init phase control-plane all --config /etc/config.yaml; '
                      '"$2" init phase etcd local --config /etc/config.yaml', "sh", etc, self.kubeadm)
        found = {}
        where = os.path.join(etc, "kubernetes/manifests")
        for name in os.listdir(where):
            with open(os.path.join(where, name)) as f:
                found[name[:-5]] = yaml.safe_load(f)
        return found

    def ours(self, text):
        said = self.run_tool(harness.MAINSTAY, "render", "--all", "--config", self.write("config.yaml", text))
        return {pod["metadata"]["name"]: pod for pod in yaml.safe_load_all(said)}

    def test_every_configuration(self):
        used = set()
        for name, text in CONFIGURATIONS.items():
            theirs, ours = self.theirs(text), self.ours(text)
            self.assertEqual(sorted(theirs), sorted(ours), name)
            self.assertEqual("etcd" in ours, "external" not in name)
            for component in sorted(ours):
                with self.subTest(name, component=component):
                    self.compare(flatten(theirs[component]), flatten(ours[component]), used)
        unused = [CHOSEN[i][0] for i in range(len(CHOSEN)) if i not in used]
        self.assertFalse(unused, "listed differences that there are not")

    def compare(self, theirs, ours, used):
        self.assertGreater(len(ours), 30)
        other = {}
        for path in sorted(set(theirs) | set(ours)):
            their, our = theirs.get(path), ours.get(path)
            if their == our:
                continue
            rows = [i for i, (where, what, _) in enumerate(CHOSEN) if re.fullmatch(where, path) and what(their, our)]
            used.update(rows)
            if not rows:
                other[path] = (their, our)
        self.assertFalse(other, "field: (kubeadm's, ours)")


# Pairs that mean the same: v1beta2, and a newer form of it.
V1BETA2 = CLUSTER + """controlPlaneEndpoint: 10.0.0.100:6443
imageRepository: registry.example/k8s
certificatesDir: /srv/pki
clusterName: other
networking: {podSubnet: 10.244.0.0/16}
apiServer:
  certSANs: [a.example]
  timeoutForControlPlane: 4m0s
  extraArgs: {v: "4", audit-log-path: /a}
  extraVolumes: [{name: audit, hostPath: /a, mountPath: /a, pathType: DirectoryOrCreate}]
controllerManager: {extraArgs: {v: "2"}}
scheduler: {extraArgs: {v: "3"}}
etcd: {local: {dataDir: /srv/etcd, imageTag: 3.4.14-1, extraArgs: {heartbeat-interval: "500"}}}
""" + INIT % ("10.0.0.5", ", bindPort: 7443")
V1BETA3 = V1BETA2.replace("v1beta2", "v1beta3")
V1BETA4 = re.sub(r"extraArgs: \{(.*?)\}", lambda m: "extraArgs: [" + ", ".join(
    "{name: %s, value: %s}" % tuple(pair.split(": ")) for pair in m[1].split(", ")) + "]",
    V1BETA2.replace("v1beta2", "v1beta4").replace("  timeoutForControlPlane: 4m0s\n", ""))


class NewerForms(unittest.TestCase):
    maxDiff = None

    def render(self, text):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
            f.write(text)
            f.flush()
            done = subprocess.run([harness.MAINSTAY, "render", "--all", "--config", f.name], capture_output=True,
                                  text=True, timeout=harness.WAIT_SECONDS)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("knows no such field", done.stderr)
        return done.stdout

    def test_the_same_in_every_form(self):
        expected = self.render(V1BETA2)
        self.assertIn("--audit-log-path=/a", expected)
        self.assertEqual(self.render(V1BETA3), expected)
        self.assertIn("{name: audit-log-path, value: /a}", V1BETA4)
        self.assertEqual(self.render(V1BETA4), expected)

    def test_what_only_v1beta4_can_say(self):
        said = self.render(V1BETA4.replace("{name: v, value: \"4\"}", "{name: v, value: \"4\"}, {name: tls-sni-cert-key, "
                                           "value: a}, {name: tls-sni-cert-key, value: b}").replace(
            "scheduler: {", "scheduler: {extraEnvs: [{name: HTTP_PROXY, value: 'http://p:3128'}, {name: E}], "))
        pods = {pod["metadata"]["name"]: pod["spec"]["containers"][0] for pod in yaml.safe_load_all(said)}
        words = pods["kube-apiserver"]["command"]
        at = words.index("--tls-sni-cert-key=a")
        self.assertEqual(words[at:at + 2], ["--tls-sni-cert-key=a", "--tls-sni-cert-key=b"])
        self.assertEqual(pods["kube-scheduler"]["env"],
                         [{"name": "HTTP_PROXY", "value": "http://p:3128"}, {"name": "E", "value": ""}])


if __name__ == "__main__":
    harness.main()
