"""mainstay init and render as an operator types them: what is made, kept, refused and left alone."""

import email.utils
import http.server
import json
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import unittest

from harness import MAINSTAY, WAIT_SECONDS, free_ports, main

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


class Preflight(unittest.TestCase):
    """What init --check says, in names that --ignore-preflight-errors takes."""

    def setUp(self):
        self.root = tempfile.mkdtemp(prefix="mainstay-preflight-")
        self.addCleanup(shutil.rmtree, self.root)
        ports = free_ports(6)
        names = ["apiserver-port", "controller-manager-port", "scheduler-port", "etcd-client-port",
                 "etcd-peer-port", "etcd-metrics-port"]
        self.ports = dict(zip(names, ports))
        self.flags = ["--root", self.root, "--node-name", "m0", "--advertise-address", "127.0.0.1",
                      *[f"--{name}={port}" for name, port in self.ports.items()]]

    def check(self, *flags, status=None):
        done = mainstay("init", "--check", "-o", "json", *self.flags, *flags)
        said = json.loads(done.stdout)
        self.assertEqual(done.returncode, 1 if said["errors"] else 0)
        if status is not None:
            self.assertEqual(done.returncode, status, done.stdout)
        self.assertEqual(os.listdir(self.root), [])
        return said

    def findings(self, said, name):
        return [(item["verdict"], item["text"]) for item in said["items"]
                if item["name"] == name or item["name"].startswith(name + "-")]

    def test_every_check_has_its_say(self):
        said = self.check()
        for name in ("AdvertiseAddress", "Hostname", "Port", "Swap", "Mem", "DiskSpace", "Cgroups", "Clock",
                     "Versions", "Manifests", "EtcdData", "EtcdDisk", "ClockSkew"):
            self.assertTrue(self.findings(said, name), name)
        self.assertEqual({verdict for verdict, _ in self.findings(said, "Port")}, {"good"})

    def test_a_port_that_is_taken(self):
        port = self.ports["etcd-peer-port"]
        with socket.socket() as s:
            s.bind(("127.0.0.1", port))
            s.listen()
            [(verdict, text)] = self.findings(self.check(status=1), f"Port-{port}")
            self.assertEqual(verdict, "error")
            self.assertRegex(text, rf"etcd needs 127.0.0.1:{port}, which python\S* \(PID {os.getpid()}\) has")
            for ignored in (f"Port-{port}", "port", "Swap,Port", "all"):
                said = self.check(f"--ignore-preflight-errors={ignored}", status=0)
                self.assertEqual([item["ignored"] for item in said["items"] if item["name"] == f"Port-{port}"], [True])
            # Another address of this host is another place.
            self.check("--advertise-address", "127.0.0.2", status=0)
        with socket.socket() as s:  # who listens everywhere is in everybody's way
            s.bind(("0.0.0.0", port))
            s.listen()
            self.check("--advertise-address", "127.0.0.2", status=1)

    def test_an_address_of_another_machine(self):
        [(verdict, text)] = self.findings(self.check("--advertise-address", "192.0.2.77", status=1),
                                          "AdvertiseAddress")
        self.assertEqual(verdict, "error")
        self.assertIn("192.0.2.77 is no address of this machine", text)

    def test_directories_that_are_not_empty(self):
        with tempfile.TemporaryDirectory() as data, tempfile.TemporaryDirectory() as manifests:
            os.mkdir(os.path.join(data, "member"))
            with open(os.path.join(manifests, "other.yaml"), "w") as f:
                f.write("{}")
            said = self.check("--etcd-data-dir", data, "--manifests", manifests, status=1)
        [(verdict, text)] = self.findings(said, "EtcdData")
        self.assertEqual(verdict, "error")
        self.assertIn("mainstay reset", text)
        [(verdict, text)] = self.findings(said, "Manifests")
        self.assertEqual(verdict, "warning")
        self.assertIn("other.yaml", text)

    def test_names_that_mean_nothing(self):
        said = self.check("--control-plane-endpoint", "nowhere.invalid:6443", "--node", "m0=127.0.0.1",
                          "--node", "m1.invalid=127.0.0.9", status=1)
        self.assertEqual([verdict for verdict, _ in self.findings(said, "NameResolution-endpoint")], ["error"])
        self.assertIn("m1.invalid (127.0.0.9)",
                      [text for verdict, text in self.findings(said, "NameResolution") if verdict == "warning"][0])

    def test_the_clock_of_another_node(self):
        for offset, verdict, words in ((0, "good", "agree"), (-600, "error", "ahead of"), (30, "warning", "behind")):
            with self.subTest(offset), Dated(offset) as other:
                said = self.check(f"--apiserver-port={other.port}", "--node", "m0=127.0.0.1", "--node", "m9=127.0.0.9")
                [(found, text)] = self.findings(said, "ClockSkew")
                self.assertEqual((found, words in text), (verdict, True), text)

    def test_wrong_usage(self):
        self.assertEqual(mainstay("init", *self.flags, "-o", "json").returncode, 2)
        self.assertEqual(mainstay("init", *self.flags, "--check", "-o", "yaml").returncode, 2)
        done = mainstay("init", *self.flags, "--check", "--ignore-preflight-errors=Prot")
        self.assertIn('no check is called "Prot"', done.stderr)

    def test_files_below_a_directory_are_written_in_spite_of_errors(self):
        done = mainstay("init", *self.flags, "--advertise-address", "192.0.2.77")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("warning  AdvertiseAddress: (ignored)", done.stderr)


class Dated:
    """A node at 127.0.0.9 that answers by TLS, and whose clock is off by so many seconds."""

    def __init__(self, offset):
        self.offset = offset

    def __enter__(self):
        self.dir = tempfile.TemporaryDirectory()
        mainstay("pki", "init", "--root", self.dir.name, "--node-name", "m9", "--advertise-address", "127.0.0.9")
        offset = self.offset

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(404)
                self.end_headers()

            def date_time_string(self, timestamp=None):
                return email.utils.formatdate(time.time() + offset, usegmt=True)

            def log_message(self, *words):
                pass

        self.server = http.server.HTTPServer(("127.0.0.9", 0), Handler)
        self.port = self.server.server_port
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        pki = os.path.join(self.dir.name, "etc/kubernetes/pki")
        context.load_cert_chain(pki + "/apiserver.crt", pki + "/apiserver.key")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *why):
        self.server.shutdown()
        self.server.server_close()
        self.dir.cleanup()


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
