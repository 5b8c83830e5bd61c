"""mainstay render --out as an operator types it: a tree per node, what is in it, what stays the same, what is
refused; and three real etcds that find each other out of such trees."""

import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
import unittest

import yaml

from harness import MAINSTAY, WAIT_SECONDS, main

CONFIG = """apiVersion: kubeadm.k8s.io/v1beta2
kind: ClusterConfiguration
kubernetesVersion: v1.20.2
controlPlaneEndpoint: 10.0.0.100:8443
"""
DOCUMENT = "---\napiVersion: mainstay.dev/v1\nkind: Cluster\n"
THREE = ["--node", "m1=10.0.0.1", "--node", "m2=10.0.0.2", "--node", "m3=10.0.0.3"]
VIP = ["--virtual-ip", "10.0.0.100/24", "--interface", "eth0"]


def openssl(*words):
    return subprocess.run(["openssl", *words], check=True, capture_output=True, text=True).stdout


class TreeCase(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="mainstay-render-")
        self.addCleanup(shutil.rmtree, self.dir)
        self.out = self.path("out")

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def write(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)
        return self.path(name)

    def read(self, *names):
        with open(self.path("out", *names)) as f:
            return f.read()

    def run_render(self, *words, config=CONFIG, status=0):
        flags = ["--config", self.write("k.yaml", config)] if config is not None else []
        done = subprocess.run([MAINSTAY, "render", *flags, *words], cwd=self.dir, stdin=subprocess.DEVNULL, text=True,
                              capture_output=True, timeout=WAIT_SECONDS)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def render(self, *words, **more):
        return self.run_render("--out", self.out, *words, **more)

    def files(self, where=None):
        """Every file: its mode and a hash of what is in it."""
        found = {}
        for directory, _, names in os.walk(where or self.out):
            for name in names:
                path = os.path.join(directory, name)
                with open(path, "rb") as f:
                    found[os.path.relpath(path, where or self.out)] = (
                        oct(os.stat(path).st_mode), hashlib.sha256(f.read()).hexdigest())
        return found

    def manifest(self, node, name):
        return yaml.safe_load(self.read(node, "etc/kubernetes/manifests", name + ".yaml"))

    def command(self, node, name):
        return self.manifest(node, name)["spec"]["containers"][0]["command"]

    def manifests(self, node):
        return sorted(name[:-5] for name in os.listdir(self.path("out", node, "etc/kubernetes/manifests")))

    def names(self, *where):
        """The subject alternative names of a certificate."""
        text = openssl("x509", "-noout", "-ext", "subjectAltName", "-in", self.path("out", *where))
        return {word.split(":", 1)[1].strip() for word in text.split("\n", 1)[1].split(",")}


class Trees(TreeCase):
    # ---- what is in a tree ----

    def test_three_stacked_nodes(self):
        self.render(*THREE, *VIP)
        members = ",".join(f"m{i}=https://10.0.0.{i}:2380" for i in (1, 2, 3))
        for i in (1, 2, 3):
            node, address = f"m{i}", f"10.0.0.{i}"
            self.assertEqual(self.manifests(node), [
                "balancer-follow", "etcd", "haproxy", "keepalived", "kube-apiserver", "kube-controller-manager",
                "kube-scheduler"])
            self.assertIn(f"--initial-cluster={members}", self.command(node, "etcd"))
            self.assertIn("--initial-cluster-state=new", self.command(node, "etcd"))
            self.assertIn(f"--name={node}", self.command(node, "etcd"))
            api = self.manifest(node, "kube-apiserver")
            self.assertIn("--etcd-servers=https://127.0.0.1:2379", self.command(node, "kube-apiserver"))
            self.assertIn("--shutdown-delay-duration=10s", self.command(node, "kube-apiserver"))
            self.assertGreaterEqual(api["spec"]["terminationGracePeriodSeconds"], 10 + 60)
            names = self.names(node, "etc/kubernetes/pki/apiserver.crt")
            self.assertLessEqual({node, address, "10.0.0.100", "127.0.0.1", "10.96.0.1", "kubernetes.default.svc"},
                                 names)
            self.assertNotIn(f"10.0.0.{i % 3 + 1}", names)
            for which in ("server", "peer"):
                self.assertLessEqual({node, address, "localhost", "127.0.0.1"},
                                     self.names(node, f"etc/kubernetes/pki/etcd/{which}.crt"))
            self.assertIn("server: https://10.0.0.100:8443", self.read(node, "etc/kubernetes/admin.conf"))
            self.assertIn(f"server: https://{address}:6443", self.read(node, "etc/kubernetes/scheduler.conf"))
            self.assertIn(f"--hostname-override={node} --node-ip={address}", self.read(node, "etc/mainstay/node.env"))
            self.assertIn("RequiresMountsFor=/etc/kubernetes /var/lib/etcd\n",
                          self.read(node, "etc/systemd/system/mainstayd.service.d/cluster.conf"))
            self.assertIn('check program "kube-apiserver"', self.read(node, "etc/monit/conf-enabled/mainstay"))
            self.assertIn("/etc/kubernetes/manifests", self.read(node, "etc/monit/conf-enabled/mainstay"))
            self.assertNotIn(self.dir, self.read(node, "etc/monit/conf-enabled/mainstay"))

    def test_authorities_are_made_once(self):
        self.render(*THREE, *VIP)
        for name in ("ca.crt", "ca.key", "front-proxy-ca.crt", "front-proxy-ca.key", "etcd/ca.crt", "etcd/ca.key",
                     "sa.key", "sa.pub"):
            texts = {self.read(f"m{i}", "etc/kubernetes/pki", name) for i in (1, 2, 3)}
            self.assertEqual(texts, {self.read(".cluster/pki", name)}, name)
        self.assertEqual(os.stat(self.path("out/.cluster")).st_mode & 0o777, 0o700)
        for name, (mode, _) in self.files().items():
            if name.endswith(".key") or re.fullmatch(r"m./etc/kubernetes/[a-z-]*\.conf", name):
                self.assertTrue(mode.endswith("600"), name)
        for i in (1, 2, 3):
            openssl("verify", "-CAfile", self.path("out/.cluster/pki/etcd/ca.crt"),
                    self.path(f"out/m{i}/etc/kubernetes/pki/etcd/peer.crt"))

    def test_the_same_input_gives_the_same_bytes(self):
        self.render(*THREE, *VIP)
        before = self.files()
        done = self.render(*THREE, *VIP)
        self.assertEqual(self.files(), before)
        self.assertIn("0 files made, 0 changed", done.stdout)
        # Elsewhere, everything but keys and certificates is the same too.
        self.run_render("--out", self.path("again"), *THREE, *VIP)
        again = self.files(self.path("again"))
        secret = (".key", ".crt", ".pub", "/admin.conf", "/kubelet.conf", "/controller-manager.conf", "/scheduler.conf")
        self.assertEqual({n: v for n, v in again.items() if not n.endswith(secret)},
                         {n: v for n, v in before.items() if not n.endswith(secret)})
        self.assertEqual(sorted(again), sorted(before))

    def test_what_was_rendered_is_read_again(self):
        """cluster.yaml says all of it: out of it comes the same tree."""
        config = CONFIG + ("apiServer:\n  extraArgs: {v: '4', audit-log-path: ''}\n  extraVolumes:\n  - {name: audit, hostPath: /a, "
                           "mountPath: '/b \"c\"', readOnly: true, pathType: Directory}\n"
                           "scheduler: {extraArgs: {profiling: 'false'}}\n"
                           "etcd: {local: {dataDir: /srv/etcd, extraArgs: {heartbeat-interval: '500'}}}\n"
                           "networking: {podSubnet: 10.244.0.0/16, dnsDomain: k.example}\nclusterName: other\n"
                           "---\napiVersion: kubeadm.k8s.io/v1beta2\nkind: InitConfiguration\n"
                           "localAPIEndpoint: {bindPort: 7443}\n")
        self.render(*THREE, *VIP, "--etcd-node", "e1=10.0.0.9", "--etcd-discovery", "https://d.example/x", config=config)
        before = self.files()
        self.render(config=self.read("m1/etc/mainstay/cluster.yaml"))
        self.assertEqual(self.files(), before)

    def test_a_change_changes_what_it_must(self):
        self.render(*THREE, *VIP)
        before = self.files()
        done = self.render(*THREE, *VIP, config=CONFIG.replace("v1.20.2", "v1.20.4"))
        after = self.files()
        changed = {os.path.basename(n) for n in after if after[n] != before.get(n)}
        self.assertEqual(changed, {"kube-apiserver.yaml", "kube-controller-manager.yaml", "kube-scheduler.yaml",
                                   "cluster.yaml"})
        self.assertIn(", 12 changed,", done.stdout)

    def test_what_is_rendered_no_more_is_removed(self):
        self.render(*THREE, *VIP)
        self.write("out/m1/etc/kubernetes/manifests/mine.yaml", "")
        done = self.render(*THREE, "--load-balancer", "nginx")
        self.assertIn("nginx", self.manifests("m1"))
        self.assertNotIn("haproxy", self.manifests("m1"))
        self.assertNotIn("keepalived", self.manifests("m1"))
        self.assertIn("mine", self.manifests("m1"))
        self.assertIn("removed", done.stdout)
        done = self.render(*THREE[:2], *VIP)
        self.assertIn("out/m2: the cluster has no such node (any more)", done.stderr)
        self.assertTrue(os.path.exists(self.path("out/m2/etc/kubernetes/pki/apiserver.key")))

    def test_every_manifest_is_valid(self):
        self.render(*THREE, *VIP)
        done = subprocess.run([MAINSTAY, "validate", self.path("out/m1/etc/kubernetes/manifests")], text=True,
                              capture_output=True, timeout=WAIT_SECONDS)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    # ---- other topologies ----

    def test_etcd_on_nodes_of_its_own(self):
        self.render("--node", "m1=10.0.0.1", *(w for i in (1, 2, 3) for w in ("--etcd-node", f"e{i}=10.0.1.{i}")),
                    "--apiserver-node", "a1=10.0.0.7")
        self.assertEqual(self.manifests("e1"), ["etcd"])
        self.assertEqual([m for m in self.manifests("m1") if m.startswith(("kube", "etcd"))],
                         ["kube-apiserver", "kube-controller-manager", "kube-scheduler"])
        self.assertEqual([m for m in self.manifests("a1") if m.startswith(("kube", "etcd"))], ["kube-apiserver"])
        servers = "--etcd-servers=" + ",".join(f"https://10.0.1.{i}:2379" for i in (1, 2, 3))
        self.assertIn(servers, self.command("m1", "kube-apiserver"))
        self.assertIn(servers, self.command("a1", "kube-apiserver"))
        self.assertEqual(sorted(n for n in self.files(self.path("out/e1/etc/kubernetes")) if "manifests" not in n), [
            "pki/etcd/ca.crt", "pki/etcd/ca.key", "pki/etcd/healthcheck-client.crt", "pki/etcd/healthcheck-client.key",
            "pki/etcd/peer.crt", "pki/etcd/peer.key", "pki/etcd/server.crt", "pki/etcd/server.key"])
        self.assertFalse(os.path.exists(self.path("out/m1/etc/kubernetes/pki/etcd/server.key")))
        self.assertTrue(os.path.exists(self.path("out/m1/etc/kubernetes/pki/apiserver-etcd-client.key")))
        self.assertFalse(os.path.exists(self.path("out/a1/etc/kubernetes/scheduler.conf")))
        self.assertTrue(os.path.exists(self.path("out/a1/etc/kubernetes/admin.conf")))

    def test_external_etcd(self):
        config = CONFIG + ("etcd: {external: {endpoints: ['https://e1:2379', 'https://e2:2379'], caFile: /e/ca.crt, "
                           "certFile: /e/c.crt, keyFile: /e/c.key}}\n")
        self.render(*THREE, config=config)
        self.assertNotIn("etcd", self.manifests("m1"))
        command = self.command("m1", "kube-apiserver")
        for flag in ("--etcd-servers=https://e1:2379,https://e2:2379", "--etcd-cafile=/e/ca.crt",
                     "--etcd-certfile=/e/c.crt", "--etcd-keyfile=/e/c.key"):
            self.assertIn(flag, command)
        mounts = self.manifest("m1", "kube-apiserver")["spec"]["containers"][0]["volumeMounts"]
        self.assertIn({"name": "etcd-certs-0", "mountPath": "/e", "readOnly": True}, mounts)
        self.assertFalse(os.path.exists(self.path("out/m1/etc/kubernetes/pki/etcd")))
        done = self.render(*THREE, "--etcd-node", "e1=10.0.0.9", config=config, status=1)
        self.assertIn("node e1: cannot run etcd where etcd.external says", done.stderr)

    def test_machines_for_the_balancer(self):
        self.render(*THREE, config=CONFIG + DOCUMENT + "loadBalancer: {nodes: [lb1=10.0.0.9, lb2=10.0.0.10]}\n")
        self.assertIn("haproxy", self.manifests("lb1"))
        self.assertNotIn("kube-apiserver", self.manifests("lb1"))
        self.assertNotIn("haproxy", self.manifests("m1"))
        self.assertEqual(list(self.files(self.path("out/lb1/etc/kubernetes/pki"))), ["ca.crt"])
        self.assertIn("10.0.0.9", self.names("m1", "etc/kubernetes/pki/apiserver.crt"))

    def test_without_a_balancer_nothing_is_delayed(self):
        self.render("--node", "m1=10.0.0.1", config=CONFIG.replace("10.0.0.100:8443", "10.0.0.1:6443"))
        self.assertEqual(self.manifests("m1"), ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"])
        self.assertNotIn("terminationGracePeriodSeconds", self.manifest("m1", "kube-apiserver")["spec"])
        self.assertFalse([w for w in self.command("m1", "kube-apiserver") if "shutdown-delay" in w])

    def test_even_counts_are_warned_of(self):
        done = self.render(*THREE[:4])
        self.assertIn("2 etcd members bear no more failures than 1", done.stderr)
        self.assertIn("use an odd number, 3 or 5", done.stderr)
        self.assertNotIn("odd number", self.render(*THREE).stderr)

    def test_ipv6(self):
        config = CONFIG.replace("10.0.0.100:8443", "'[fd00::100]:8443'") + "networking: {serviceSubnet: 'fd00:96::/112'}\n"
        self.render("--node", "m1=fd00:0::1", "--node", "m2=fd00::2", "--node", "m3=fd00::3", config=config)
        self.assertIn("--initial-cluster=m1=https://[fd00::1]:2380,m2=https://[fd00::2]:2380,"
                      "m3=https://[fd00::3]:2380", self.command("m1", "etcd"))
        self.assertIn("--bind-address=::1", self.command("m1", "kube-scheduler"))
        self.assertEqual(self.manifest("m1", "kube-scheduler")["spec"]["containers"][0]["livenessProbe"]["httpGet"]
                         ["host"], "::1")

    # ---- versions ----

    def test_flags_of_the_version(self):
        rows = {
            "v1.19.16": ({"--insecure-port=0", "--port=0"}, {"--service-account-issuer", "--experimental"}, "3.4.13-0"),
            "v1.21.0": ({"--insecure-port=0", "--port=0", "--service-account-issuer"}, {"--experimental"}, "3.4.13-0"),
            "1.22.3": ({"--port=0", "--experimental-initial-corrupt-check=true"}, {"--insecure-port"}, "3.5.4-0"),
            "v1.24.0": ({"--experimental-initial-corrupt-check=true"}, {"--insecure-port", "--port="}, "3.5.4-0"),
            "v1.31.1": ({"--experimental-watch-progress-notify-interval=5s"}, {"--port="}, "3.5.24-0"),
            "v1.34.0": ({"--feature-gates=InitialCorruptCheck=true"}, {"--experimental"}, "3.6.5-0"),
        }
        for version, (there, not_there, etcd) in rows.items():
            with self.subTest(version):
                text = self.run_render("--all", "--node-name", "m0", "--advertise-address", "10.0.0.5",
                                       config=CONFIG.replace("v1.20.2", version)).stdout
                pods = list(yaml.safe_load_all(text))
                words = [w for pod in pods for w in pod["spec"]["containers"][0]["command"]]
                for flag in there:
                    self.assertTrue([w for w in words if w.startswith(flag)], flag)
                for flag in not_there:
                    self.assertFalse([w for w in words if w.startswith(flag)], flag)
                images = [pod["spec"]["containers"][0]["image"] for pod in pods]
                self.assertEqual(images[0], f"registry.k8s.io/etcd:{etcd}")
                self.assertTrue(images[1].endswith(":v" + version.lstrip("v")))
        for version in ("v1.18.0", "stable-1", "'1.20'", "v2.0.0"):
            self.assertIn("Kubernetes version", self.run_render(
                "etcd", "--node-name", "m0", "--advertise-address", "10.0.0.5", status=2,
                config=CONFIG.replace("v1.20.2", version)).stderr)

    def test_one_node_on_stdout(self):
        self.render(*THREE, *VIP)
        text = self.run_render("kube-apiserver", *THREE, *VIP, "--node-name", "m2").stdout
        self.assertEqual(text, self.read("m2/etc/kubernetes/manifests/kube-apiserver.yaml"))
        self.assertIn("which of the 3 nodes?", self.run_render("etcd", *THREE, status=2).stderr)
        self.assertIn("no such node", self.run_render("etcd", *THREE, "--node-name", "m9", status=2).stderr)

    # ---- templates and discovery ----

    def test_templates(self):
        pod = ("apiVersion: v1\nkind: Pod\nmetadata: {name: mine}\nspec:\n  containers:\n  - name: mine\n    image: x\n"
               "    command: [x, --name=${NODE_NAME}, --ip, ${NODE_IP}, '$${HOME} $(POD) ${DISCOVERY_TOKEN}']\n")
        self.render(*THREE, "--template", self.write("mine.yaml", pod), "--discovery-token", "abc-1")
        self.assertEqual(self.command("m2", "mine"), ["x", "--name=m2", "--ip", "10.0.0.2", "${HOME} $(POD) abc-1"])
        self.assertIn('check program "mine"', self.read("m2/etc/monit/conf-enabled/mainstay"))
        shutil.rmtree(self.out)
        wrong = self.write("wrong.yaml", pod.replace("image", "imgae").replace("${DISCOVERY_TOKEN}", ""))
        self.assertIn("wrong.yaml:6:5: spec.containers[0].image: is required", self.render(*THREE, "--template", wrong, status=1).stderr)
        self.assertIn("no manifest is called so", self.render(*THREE, "--template", self.write("x.txt", pod),
                                                              status=1).stderr)
        self.assertFalse(os.path.exists(self.out))
        template = self.write("mine.yaml", "name: ${NODE_NAME}\nip: ${NODE_IP}\n# ${DISCOVERY_TOKEN} $${HOME} $(POD)\n")
        done = self.run_render("--template", template, "--node", "x=10.0.0.4", "--discovery-token", "t", config=None)
        self.assertEqual(done.stdout, "name: x\nip: 10.0.0.4\n# t ${HOME} $(POD)\n")
        bad = self.write("bad.yaml", "a: b\nc: ${NODE_NAM}\n")
        for words in (["--template", bad, "--node", "x=10.0.0.4"], ):
            said = self.run_render(*words, config=None, status=2).stderr
            self.assertIn(f"{bad}:2:4: there is no ${{NODE_NAM}}; did you mean ${{NODE_NAME}}?: known are NODE_NAME, "
                          "NODE_IP, DISCOVERY_TOKEN", said)
        self.assertIn("bad.yaml:2:4", self.render(*THREE, "--template", bad, status=1).stderr)
        self.assertFalse(os.path.exists(self.out))
        said = self.run_render("--template", template, "--node", "x=10.0.0.4", config=None, status=2).stderr
        self.assertIn("mine.yaml:3:3: ${DISCOVERY_TOKEN} has no value: give --discovery-token TOKEN", said)
        clash = self.write("etcd.yaml", "")
        self.assertIn("rendered already", self.render(*THREE, "--template", clash, status=1).stderr)

    def test_discovery(self):
        self.render(*THREE, "--discovery-token", "6c007a14",
                    config=CONFIG + DOCUMENT + "etcdDiscovery: https://discovery.example/${DISCOVERY_TOKEN}\n")
        command = self.command("m1", "etcd")
        self.assertIn("--discovery=https://discovery.example/6c007a14", command)
        self.assertFalse([w for w in command if w.startswith("--initial-cluster")])
        self.assertIn("say what the token is", self.render(
            *THREE, "--etcd-discovery", "https://d/${DISCOVERY_TOKEN}", status=1).stderr)
        for token in ("a b", "", "a/b", "x" * 200, "$(id)"):
            self.render(*THREE, "--etcd-discovery", "https://d/${DISCOVERY_TOKEN}", "--discovery-token", token, status=1)

    # ---- join.sh ----

    def test_join_puts_a_tree_into_place(self):
        self.render(*THREE, *VIP)
        place = self.path("place")
        join = self.path("out/m1/join.sh")

        def run(*words, status=0):
            done = subprocess.run(["sh", join, *words], env={**os.environ, "ROOT": place}, text=True,
                                  capture_output=True, timeout=WAIT_SECONDS)
            self.assertEqual(done.returncode, status, done.stderr)
            return done.stderr
        run()
        mine = {n: v for n, v in self.files(self.path("out/m1")).items() if n not in ("join.sh", ".rendered")}
        self.assertEqual(self.files(place), mine)
        self.assertEqual(os.stat(os.path.join(place, "var/lib/etcd")).st_mode & 0o777, 0o700)
        run()
        self.assertEqual(self.files(place), mine)
        # Another manifest: only with --force.
        self.render(*THREE, *VIP, config=CONFIG.replace("v1.20.2", "v1.20.4"))
        self.assertIn("kube-apiserver.yaml: is there and differs; --force replaces it", run(status=1))
        self.assertEqual(self.files(place), mine)
        run("--force")
        self.assertIn("v1.20.4", open(os.path.join(place, "etc/kubernetes/manifests/kube-apiserver.yaml")).read())
        # Another key: never.
        before = self.files(place)
        shutil.rmtree(self.out)
        self.render(*THREE, *VIP)
        for words in ([], ["--force"]):
            self.assertIn("pki/ca.key: another one is there, and is never replaced", run(*words, status=1))
            self.assertEqual(self.files(place), before)

    def test_join_knows_its_machine(self):
        if os.geteuid() != 0:
            self.skipTest("needs root (else join.sh goes no further)")
        self.render(*(w.replace("10.0.0.", "203.0.113.") for w in THREE))
        done = subprocess.run(["sh", self.path("out/m1/join.sh")], text=True, capture_output=True, timeout=WAIT_SECONDS)
        self.assertEqual(done.returncode, 1)
        self.assertIn("does not have the address 203.0.113.1: is it m1?", done.stderr)

    # ---- bad input ----

    def test_bad_input_changes_nothing(self):
        nodes = DOCUMENT + "nodes:\n"
        rows = [
            (["--node", "m1"], CONFIG, "a node is NAME=IP"),
            (["--node", "m1=10.0.0.256"], CONFIG, 'node m1: "10.0.0.256" is no IP address'),
            (["--node", "m1=0.0.0.0"], CONFIG, "no machine can have the address 0.0.0.0"),
            (["--node", "m1=224.0.0.1"], CONFIG, "no machine can have"),
            (["--node", "M1=10.0.0.1"], CONFIG, '"M1" is no name for a node'),
            (["--node", "../x=10.0.0.1"], CONFIG, "is no name for a node"),
            (["--node", "=10.0.0.1"], CONFIG, "is no name for a node"),
            (["--node", "a=10.0.0.1", "--node", "b=10.0.0.1"], CONFIG, "nodes a and b have the same address 10.0.0.1"),
            (["--node", "a=fd00::1", "--node", "b=fd00:0:0::1"], CONFIG, "nodes a and b have the same address fd00::1"),
            (["--node", "a=10.0.0.1", "--node", "a=10.0.0.2"], CONFIG, "node a is there twice"),
            ([], CONFIG, "which nodes?"),
            ([*THREE, "--virtual-ip", "10.0.0.2/24"], CONFIG, "the virtual IP 10.0.0.2 is node m2's own address"),
            ([*THREE, "--virtual-ip", "10.0.0.100"], CONFIG, "the length of its network is missing"),
            ([*THREE, "--virtual-ip", "10.0.0.100/33"], CONFIG, "missing or wrong"),
            ([*THREE, "--load-balancer", "haproxy"], CONFIG.replace(":8443", ":6443"), "would both listen at port 6443"),
            ([], CONFIG + nodes + "- {name: m1, address: 10.0.0.1, roles: [etdc]}\n",
             'k.yaml:9:41: nodes.roles: no role "etdc"; did you mean "etcd"?'),
            ([], CONFIG + nodes + "- {name: m1}\n", "node m1 has no address"),
            ([], CONFIG + nodes + "- {address: 10.0.0.1}\n", "a node must have a name"),
            ([], CONFIG + nodes + "- m1=10.0.0.300\n", "k.yaml:9:3: nodes: node m1"),
            ([], CONFIG + DOCUMENT + "loadBalancer: {kind: traefik}\n", 'no load balancer "traefik"'),
            ([], CONFIG + DOCUMENT + DOCUMENT, "a second Cluster"),
            ([], CONFIG + DOCUMENT.replace("v1", "v2"), "use mainstay.dev/v1"),
            (THREE, CONFIG + "apiServer: {extraArgs: {v: 4}}\n", "must be a string, not a number: put it between quotes"),
            (THREE, CONFIG + "apiServer: {extraArgs: [{value: x}]}\n", "extraArgs.name: must be there"),
            (THREE, CONFIG + "apiServer: {extraVolumes: [{name: x, hostPath: yy, mountPath: /z}]}\n", "no absolute path"),
            (THREE, CONFIG + "apiServer: {extraEnvs: [{name: x, valueFrom: {}}]}\n", "valueFrom is not done here"),
            (THREE, CONFIG.replace("v1.20.2", "v1.3.0"), "older than v1.19"),
            (THREE, CONFIG + "certificatesDir: '/a b'\n", "can stand in all the files"),
            (THREE, CONFIG + "networking: {serviceSubnet: 10.96.0.0}\n", "service CIDR"),
            (THREE, CONFIG + "#" + "x" * (1 << 20), "larger than"),
            ([*THREE, "etcd"], CONFIG, "--out writes all components"),
            ([*THREE, "--node-name", "x"], CONFIG, "a node is given by --node"),
        ]
        for words, config, message in rows:
            with self.subTest(message):
                done = subprocess.run([MAINSTAY, "render", "--out", self.out, "--config", self.write("k.yaml", config),
                                       *words], cwd=self.dir, text=True, capture_output=True, timeout=WAIT_SECONDS)
                self.assertIn(done.returncode, (1, 2), done.stdout)
                self.assertIn(message, done.stderr)
                self.assertFalse(os.path.exists(self.out), done.stdout)

    def test_unknown_fields_are_told_with_the_nearest(self):
        said = self.render(*THREE, config=CONFIG + DOCUMENT + "loadBalancer: {virtualIp: 10.0.0.100/24}\nnode: []\n").stderr
        self.assertIn('k.yaml:8:16: loadBalancer.virtualIp: mainstay knows no such field, it is passed over; did you '
                      'mean "virtualIP"?', said)
        self.assertIn('did you mean "nodes"?', said)

    def test_another_clusters_keys_are_not_replaced(self):
        self.render(*THREE)
        shutil.rmtree(self.path("out/.cluster"))
        before = self.files()
        done = self.render(*THREE, status=1)
        self.assertIn("another one than", done.stderr)
        self.assertEqual({n: v for n, v in self.files().items() if not n.startswith(".cluster")}, before)

    def test_a_link_in_the_tree_is_not_followed(self):
        os.makedirs(self.path("out/m1"))
        os.makedirs(self.path("elsewhere"))
        os.symlink(self.path("elsewhere"), self.path("out/m1/etc"))
        done = self.render(*THREE, status=1)
        self.assertIn("out/m1/etc", done.stderr)


def why_no_etcd():
    return None if shutil.which("etcd") and shutil.which("etcdctl") else "etcd and etcdctl are not there"


@unittest.skipIf(why_no_etcd(), why_no_etcd())
class Etcd(TreeCase):
    """Real members on addresses of the loopback, run in place from the trees."""

    def port(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            return s.getsockname()[1]

    def start(self, command):
        """A member; its command line comes from the manifest, but for the port of metrics, which is one for all."""
        log = open(self.path(f"etcd-{len(self.running)}.log"), "w")
        self.addCleanup(log.close)
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "ETCD_UNSUPPORTED_ARCH": "arm64"})
        self.running.append(process)

    def end(self):
        for process in self.running:
            process.kill()
            process.wait()

    def etcdctl(self, pki, *words, check=True):
        return subprocess.run(["etcdctl", "--cacert", pki + "/etcd/ca.crt", "--cert", pki + "/etcd/peer.crt", "--key",
                               pki + "/etcd/peer.key", *words], env={**os.environ, "ETCDCTL_API": "3"}, text=True,
                              capture_output=True, timeout=WAIT_SECONDS, check=check)

    def members(self, *more):
        """Starts the three and waits for a cluster that has elected a leader and writes."""
        self.running = []
        self.addCleanup(self.end)
        client, peer = self.port(), self.port()
        self.render("--node", "m1=127.0.0.1", "--node", "m2=127.0.0.2", "--node", "m3=127.0.0.3",
                    "--root", self.out + "/${NODE_NAME}", "--etcd-client-port", str(client), "--etcd-peer-port",
                    str(peer), *more, config=CONFIG.replace("10.0.0.100:8443", "127.0.0.1:6443"))
        for node in ("m1", "m2", "m3"):
            command = [w for w in self.command(node, "etcd") if not w.startswith("--listen-metrics-urls")]
            command = [w.replace(f"https://127.0.0.1:{client},", "") if w.startswith("--listen-client-urls") else w
                       for w in command]
            self.start(command)
        pki = self.path("out/m2/etc/kubernetes/pki")
        endpoints = ",".join(f"https://127.0.0.{i}:{client}" for i in (1, 2, 3))
        limit = time.monotonic() + WAIT_SECONDS
        while True:  # etcdctl waits by itself, for as long as it is told to
            done = self.etcdctl(pki, "--endpoints", endpoints, "--dial-timeout=5s", "endpoint", "health", check=False)
            if done.returncode == 0:
                break
            dead = [p for p in self.running if p.poll() is not None]
            self.assertFalse(dead, dead and open(self.path("etcd-0.log")).read()[-3000:])
            self.assertLess(time.monotonic(), limit, done.stderr)
        self.etcdctl(pki, "--endpoints", endpoints, "put", "a", "b")
        status = json.loads(self.etcdctl(pki, "--endpoints", endpoints, "endpoint", "status", "-w", "json").stdout)
        self.assertEqual(len({s["Status"]["leader"] for s in status}), 1)
        listed = json.loads(self.etcdctl(pki, "--endpoints", endpoints, "member", "list", "-w", "json").stdout)
        self.assertEqual(sorted(m["name"] for m in listed["members"]), ["m1", "m2", "m3"])

    def test_three_members_find_each_other(self):
        self.members()

    def test_three_members_find_each_other_by_discovery(self):
        port, token = self.port(), "3e86b59982e49066c5d813af1c2e2579cbf573de"
        url = f"http://127.0.0.1:{port}"
        keeper = subprocess.Popen(
            ["etcd", "--name=keeper", "--enable-v2=true", f"--data-dir={self.path('keeper')}",
             f"--listen-client-urls={url}", f"--advertise-client-urls={url}", "--listen-peer-urls=http://127.0.0.1:0",
             "--initial-advertise-peer-urls=http://127.0.0.1:1", "--initial-cluster=keeper=http://127.0.0.1:1"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(keeper.wait)
        self.addCleanup(keeper.kill)
        subprocess.run(["curl", "-sSf", "--retry", "30", "--retry-connrefused", "--retry-delay", "1", "-X", "PUT", "-d",
                        "value=3", f"{url}/v2/keys/discovery/{token}/_config/size"], check=True, capture_output=True,
                       timeout=WAIT_SECONDS)
        self.members("--etcd-discovery", url + "/v2/keys/discovery/${DISCOVERY_TOKEN}", "--discovery-token", token)


if __name__ == "__main__":
    main()
