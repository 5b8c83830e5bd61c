"""mainstay init and render as an operator types them: what is made, kept, refused and left alone."""

import os
import shutil
import subprocess
import tempfile
import unittest

from harness import MAINSTAY, WAIT_SECONDS, main

COMPONENTS = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"]
FLAGS = ["--node-name", "m0", "--advertise-address", "10.0.0.5"]


def mainstay(*words, cwd=None):
    return subprocess.run([MAINSTAY, *words], cwd=cwd, stdin=subprocess.DEVNULL, text=True,
                          capture_output=True, timeout=WAIT_SECONDS)


class Init(unittest.TestCase):
    def setUp(self):
        self.root = tempfile.mkdtemp(prefix="mainstay-init-")
        self.addCleanup(shutil.rmtree, self.root)
        self.manifests = self.path("etc/kubernetes/manifests")

    def path(self, name):
        return os.path.join(self.root, name)

    def init(self, *flags, status=0):
        done = mainstay("init", "--root", self.root, *FLAGS, *flags)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def files(self):
        """Every file with its content and mode."""
        found = {}
        for directory, _, names in os.walk(self.root):
            for name in names:
                path = os.path.join(directory, name)
                with open(path) as f:
                    found[os.path.relpath(path, self.root)] = (f.read(), os.stat(path).st_mode)
        return found

    def test_a_second_time_changes_nothing(self):
        self.init()
        before = self.files()
        done = self.init()
        self.assertEqual(self.files(), before)
        self.assertIn("0 files made", done.stdout)
        self.assertEqual(sorted(os.listdir(self.manifests)), [f"{c}.yaml" for c in COMPONENTS])
        for component in COMPONENTS:
            mode = before[f"etc/kubernetes/manifests/{component}.yaml"][1]
            self.assertEqual(mode & 0o777, 0o600)

    def test_everything_is_below_the_root(self):
        self.init()
        for component in COMPONENTS:
            with open(os.path.join(self.manifests, component + ".yaml")) as f:
                for line in f:
                    if "path: " in line and "/" in line.split("path: ")[1]:
                        self.assertRegex(line, "/(livez|readyz|healthz|health|etc/ssl/certs)\"?\n$|"
                                               + self.root + "/")
        self.assertEqual(os.stat(self.path("var/lib/etcd")).st_mode & 0o777, 0o700)

    def test_a_changed_manifest_is_not_replaced(self):
        self.init()
        path = os.path.join(self.manifests, "etcd.yaml")
        with open(path, "a") as f:
            f.write("# mine\n")
        before = self.files()
        done = self.init("--apiserver-port", "7443", status=1)
        self.assertIn(f"{path} is there and differs", done.stderr)
        self.assertIn("--force", done.stderr)
        self.assertEqual(self.files(), before)
        self.init("--only", "kube-scheduler")
        self.assertEqual(self.files(), before)
        done = self.init("--force")
        self.assertIn("replaced " + path, done.stdout)
        with open(path) as f:
            self.assertNotIn("# mine", f.read())

    def test_force_does_not_replace_keys(self):
        self.init()
        before = self.files()
        self.init("--force", "--apiserver-arg", "v=4")
        after = self.files()
        changed = sorted(name for name in after if after[name] != before.get(name))
        self.assertEqual(changed, ["etc/kubernetes/manifests/kube-apiserver.yaml"])

    def test_only_some(self):
        self.init("--only", "etcd,scheduler")
        self.assertEqual(sorted(os.listdir(self.manifests)), ["etcd.yaml", "kube-scheduler.yaml"])
        self.init("--only", "kube-apiserver", "--only", "kube-controller-manager")
        self.assertEqual(sorted(os.listdir(self.manifests)), [f"{c}.yaml" for c in COMPONENTS])

    def test_bad_certificates_stop_before_the_manifests(self):
        self.init()
        shutil.rmtree(self.manifests)
        with open(self.path("etc/kubernetes/pki/apiserver.crt"), "w") as f:
            f.write("garbage")
        done = self.init(status=1)
        self.assertIn("apiserver.crt", done.stdout)
        self.assertIn("holds no certificate", done.stdout)
        self.assertIn("no manifest was written", done.stderr)
        self.assertFalse(os.path.exists(self.manifests))

    def test_a_directory_that_cannot_be_written(self):
        with open(self.path("file"), "w"):
            pass
        done = self.init("--pki-dir", self.path("file/pki"), status=1)
        self.assertIn("Not a directory", done.stderr)

    def test_directories_of_ones_choice(self):
        self.init("--pki-dir", self.path("p"), "--kubeconfig-dir", self.path("k"),
                  "--manifests", self.path("m"), "--etcd-data-dir", self.path("d"))
        self.assertEqual(sorted(os.listdir(self.root)), ["d", "etc", "k", "m", "p"])
        self.assertEqual(os.listdir(self.path("etc")), ["mainstay"])
        with open(self.path("m/kube-scheduler.yaml")) as f:
            self.assertIn(f"--kubeconfig={self.root}/k/scheduler.conf", f.read())

    def test_relative_directories(self):
        os.mkdir(self.path("here"))
        done = mainstay("init", "--root", "../there", *FLAGS, cwd=self.path("here"))
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(self.path("there/etc/kubernetes/manifests/etcd.yaml")) as f:
            self.assertIn(f"--data-dir={self.root}/there/var/lib/etcd\"", f.read())

    def test_kubeadms_names_of_flags(self):
        self.init("--apiserver-bind-port", "7443", "--cert-dir", self.path("c"),
                  "--apiserver-advertise-address", "10.0.0.6", "--kubernetes-version", "1.20.4")
        with open(os.path.join(self.manifests, "kube-apiserver.yaml")) as f:
            text = f.read()
        self.assertIn(f"--tls-cert-file={self.root}/c/apiserver.crt", text)
        self.assertIn("10.0.0.6:7443", text)
        self.assertIn("kube-apiserver:v1.20.4", text)

    def test_this_machines_name_and_address_are_the_defaults(self):
        done = mainstay("init", "--root", self.root)
        if "give --advertise-address" in done.stderr:
            self.skipTest("this machine has no address but the loopback's")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(done.stdout.startswith(f"Node {os.uname().nodename.lower()}, "))

    def test_wrong_usage_changes_nothing(self):
        for flags in (["extra"], ["--only", "kubelet"], ["--key-type", "dsa"], ["--nonsense"],
                      ["--apiserver-port", "70000"], ["--apiserver-port", "0"],
                      ["--scheduler-port", "6443"], ["--advertise-address", "m0"],
                      ["--pki-dir", "/a/../b"], ["--etcd-arg", "=x"],
                      ["--etcd-initial-cluster-state", "old"]):
            with self.subTest(flags):
                done = self.init(*flags, status=2)
                self.assertIn("--help", done.stderr)
                self.assertEqual(os.listdir(self.root), [])

    def test_names_that_cannot_be_certified(self):
        for flags, status in ((["--node-name", "M0"], 2), (["--service-cidr", "10.96.0.0"], 1),
                              (["--apiserver-cert-extra-sans", "a b"], 1),
                              (["--control-plane-endpoint", ":1"], 2)):
            with self.subTest(flags):
                self.init(*flags, status=status)
                self.assertEqual(os.listdir(self.root), [])


class Render(unittest.TestCase):
    def test_render_is_what_init_writes(self):
        with tempfile.TemporaryDirectory(prefix="mainstay-render-") as root:
            mainstay("init", "--root", root, *FLAGS)
            for component in COMPONENTS:
                done = mainstay("render", component, "--root", root, *FLAGS)
                with open(f"{root}/etc/kubernetes/manifests/{component}.yaml") as f:
                    self.assertEqual(done.stdout, f.read())

    def test_all_are_several_documents_that_validate(self):
        done = mainstay("render", "--all", *FLAGS)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.count("\n---\n"), 3)
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
            f.write(done.stdout)
            f.flush()
            done = mainstay("validate", f.name)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_wrong_usage(self):
        for words in ([], ["--all", "etcd"], ["kubelet"], ["etcd", "--etcd-data-dir", "a/../b"]):
            with self.subTest(words):
                done = mainstay("render", *words)
                self.assertEqual(done.returncode, 2)
                self.assertEqual(done.stdout, "")


if __name__ == "__main__":
    main()
