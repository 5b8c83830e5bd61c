"""`mainstay pki` over a control plane's life: renewing what has aged, and coming back from where everything has
expired. Offline, with openssl as the judge."""

import base64
import glob
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import tempfile
import unittest

import harness

DAY = 86400
JUMP = os.path.join(harness.BUILD, "tests", "libclock-jump.so")


def places(word, etc):
    """Where things are, as far as the word takes it."""
    flags = [] if word in ("check", "token") else ["--dir", etc + "/pki"]
    return flags + ([] if word in ("export", "kubeconfig", "token") else ["--manifests", etc + "/manifests"])


class LifeTest(unittest.TestCase):
    def setUp(self):
        self.root = tempfile.mkdtemp(prefix="mainstay-pki-life-")
        self.addCleanup(shutil.rmtree, self.root)
        self.kubernetes = os.path.join(self.root, "etc/kubernetes")
        self.pki = os.path.join(self.kubernetes, "pki")
        self.places = ["--dir", self.pki, "--manifests", os.path.join(self.kubernetes, "manifests")]
        self.environment = {**os.environ, "MAINSTAY_SOCKET": self.root + "/none"}
        self.run_mainstay("init", f"--root={self.root}", "--node-name=m0", "--advertise-address=10.0.0.1")

    def run_mainstay(self, *arguments, status=0):
        done = subprocess.run([harness.MAINSTAY, *arguments], capture_output=True, text=True, env=self.environment)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def do(self, word, *arguments, status=0):
        return self.run_mainstay("pki", word, *places(word, self.kubernetes), *arguments, status=status)

    def check(self, status=0):
        return self.run_mainstay("pki", "check", *self.places[2:], status=status).stdout

    def path(self, name):
        return os.path.join(self.kubernetes if name.endswith(".conf") else self.pki, name)

    def read(self, name):
        with open(self.path(name), "rb") as f:
            return f.read()

    def openssl(self, name, *arguments):
        done = subprocess.run(["openssl", "x509", "-in", self.path(name), "-noout", *arguments],
                              capture_output=True, text=True, check=True)
        return done.stdout

    def backups(self, name):
        return [p for p in sorted(glob.glob(self.path(name) + ".*")) if re.search(r"\.\d{8}-\d{6}(\.\d+)?$", p)]

    def travel(self, days):
        """Every further command believes that it is so many days later."""
        if not os.path.exists(JUMP):
            self.skipTest("the build has no tests/libclock-jump.so")
        with open(self.root + "/jump", "wb") as f:
            f.write(struct.pack("qq", days * DAY, 0))
        self.environment.update(LD_PRELOAD=JUMP, CLOCK_JUMP_FILE=self.root + "/jump",
                                ASAN_OPTIONS=os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0")


class RenewTest(LifeTest):
    SAME = ("-subject", "-issuer", "-pubkey", "-ext", "subjectAltName,keyUsage,extendedKeyUsage,basicConstraints")

    def test_all_with_the_same_keys(self):
        names = ["apiserver.crt", "etcd/server.crt", "front-proxy-client.crt"]
        before = {name: (self.openssl(name, *self.SAME), self.openssl(name, "-serial")) for name in names}
        keys = {p: open(p).read() for p in glob.glob(self.pki + "/**/*.key", recursive=True)}
        out = self.do("renew", "all").stdout
        self.assertEqual(len(re.findall("^renewed ", out, re.M)), 10, out)
        for name in names:
            self.assertEqual(self.openssl(name, *self.SAME), before[name][0])
            self.assertNotEqual(self.openssl(name, "-serial"), before[name][1])
            self.assertEqual(len(self.backups(name)), 1)
            self.assertEqual(os.stat(self.path(name)).st_mode & 0o777, 0o644)
        self.assertEqual({p: open(p).read() for p in keys}, keys)
        self.assertEqual(os.stat(self.path("admin.conf")).st_mode & 0o777, 0o600)
        self.assertEqual(os.stat(self.backups("admin.conf")[0]).st_mode & 0o777, 0o600)
        self.check()

    def test_who_must_restart(self):
        out = self.do("renew", "all").stdout
        self.assertRegex(out, "(?m)^restart  kube-scheduler: ")
        self.assertRegex(out, "(?m)^restart  kube-controller-manager: ")
        self.assertRegex(out, "(?m)^nothing to do for etcd: ")
        self.assertRegex(out, "(?m)^nothing to do for kube-apiserver: ")

    def test_a_kubeconfig_keeps_everything_else(self):
        path = self.path("admin.conf")
        with open(path, "a") as f:
            f.write("# a remark of mine\n")
        before = self.read("admin.conf").decode().splitlines()
        self.do("renew", "admin.conf", "--new-key")
        after = self.read("admin.conf").decode().splitlines()
        changed = [old.split(":")[0].strip() for old, new in zip(before, after) if old != new]
        self.assertEqual(len(before), len(after))
        self.assertEqual(changed, ["client-certificate-data", "client-key-data"])

    def test_a_new_key(self):
        key, public = self.read("apiserver.key"), self.openssl("apiserver.crt", "-pubkey")
        self.do("renew", "apiserver", "--new-key")
        self.assertNotEqual(self.read("apiserver.key"), key)
        self.assertNotEqual(self.openssl("apiserver.crt", "-pubkey"), public)
        with open(self.backups("apiserver.key")[0], "rb") as f:
            self.assertEqual(f.read(), key)
        for path in (self.path("apiserver.key"), self.backups("apiserver.key")[0]):
            self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        self.check()

    def test_only_what_has_aged(self):
        self.assertIn("Nothing needs to be renewed", self.do("renew", "-if-older-than=2/3").stdout)
        self.travel(250)
        out = self.do("renew", "-if-older-than=2/3", "--dry-run").stdout
        self.assertEqual(len(re.findall("^would renew ", out, re.M)), 10, out)
        self.assertEqual(self.backups("apiserver.crt"), [])
        self.do("renew", "apiserver")
        out = self.do("renew", "--days", "200").stdout
        self.assertEqual(len(re.findall("^renewed ", out, re.M)), 9, out)
        self.assertNotIn("apiserver.crt", out)

    def test_what_cannot_be_renewed_says_what_to_do(self):
        self.assertIn("rotate-ca", self.do("renew", "ca", status=1).stderr)
        self.assertIn("is no certificate", self.do("renew", "nothing", status=1).stderr)
        self.assertIn("-if-older-than takes", self.do("renew", "-if-older-than=5/3", status=1).stderr)
        self.assertIn("say what to renew", self.do("renew", status=2).stderr)
        elsewhere = os.path.join(self.root, "ca.key")
        os.rename(self.path("ca.key"), elsewhere)
        before = self.read("apiserver.crt")
        self.assertIn("name both with -ca and -ca-key", self.do("renew", "apiserver", status=1).stdout)
        self.assertEqual(self.read("apiserver.crt"), before)
        self.do("renew", "apiserver", "-ca", self.path("ca.crt"), "-ca-key", elsewhere)
        self.check_pair("apiserver")

    def check_pair(self, base):
        """The certificate belongs to the key."""
        key = subprocess.run(["openssl", "pkey", "-in", self.path(base + ".key"), "-pubout"], capture_output=True,
                             text=True, check=True).stdout
        self.assertEqual(self.openssl(base + ".crt", "-pubkey"), key, base)

    def test_one_at_a_time(self):
        import fcntl
        fd = os.open(self.pki, os.O_RDONLY)
        self.addCleanup(os.close, fd)
        fcntl.flock(fd, fcntl.LOCK_EX)
        self.assertIn("another `mainstay pki` writes into", self.do("renew", "all", status=1).stderr)
        self.assertEqual(self.backups("apiserver.crt"), [])

    def test_a_full_disk_loses_nothing(self):
        small = os.path.join(self.root, "small")
        os.mkdir(small)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", small], capture_output=True).returncode:
            self.skipTest("no tmpfs can be mounted here")
        self.addCleanup(subprocess.run, ["umount", small], check=True)
        shutil.copytree(self.pki, small + "/pki")
        with open(small + "/fill", "wb", buffering=0) as f:
            with self.assertRaises(OSError):
                while True:
                    f.write(b"x" * 4096)
        files = lambda: {p: open(p).read() for p in glob.glob(small + "/pki/**/*.*", recursive=True)}
        before = files()
        done = self.run_mainstay("pki", "renew", "--dir", small + "/pki", "--manifests", "/nowhere", "--new-key", "all",
                                 status=1)
        self.assertIn("No space left on device", done.stdout)
        self.assertEqual(files(), before)

    def test_kill_at_every_moment(self):
        rounds = int(os.environ.get("MAINSTAY_TEST_KILLS", "25"))
        pairs = [p[len(self.pki) + 1:-4] for p in glob.glob(self.pki + "/**/*.key", recursive=True) if "sa.key" not in p]
        chance = random.Random(5)
        for _ in range(rounds):
            child = subprocess.Popen([harness.MAINSTAY, "pki", "renew", *self.places, "--new-key", "all"],
                                     env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                child.wait(chance.uniform(0.002, 0.05))
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGKILL)
                child.wait()
            for base in pairs:
                self.check_pair(base)
        self.do("renew", "etcd/peer")
        for base in pairs:
            self.check_pair(base)
        self.check()


class RescueTest(LifeTest):
    def test_a_year_later(self):
        self.travel(400)
        self.assertIn("expired on", self.check(status=1))
        ca = self.read("ca.crt")
        out = self.do("rescue").stdout
        self.assertEqual(len(re.findall("^renewed ", out, re.M)), 10, out)
        self.check()
        self.assertEqual(self.read("ca.crt"), ca)

    def test_the_ca_has_expired_too(self):
        key = self.read("ca.key")
        self.travel(3700)
        self.assertIn("mainstay pki rescue", self.do("renew", "all", status=1).stdout)
        out = self.do("rescue").stdout
        self.assertEqual(len(re.findall("^renewed ", out, re.M)), 13, out)
        self.assertRegex(out, "(?m)^restart  kube-apiserver: ")
        self.check()
        self.assertEqual(self.read("ca.key"), key)
        self.assertIn("not well", self.old_check())

    def old_check(self):
        """What is new is not valid in the past: the clock is told."""
        self.environment.pop("LD_PRELOAD")
        return self.run_mainstay("pki", "check", *self.places[2:], status=1).stderr

    def test_without_the_ca_key(self):
        os.unlink(self.path("front-proxy-ca.key"))
        self.travel(3700)
        done = self.do("rescue", status=1)
        self.assertIn("this CA has expired, and its key is not here", done.stdout)
        self.assertRegex(done.stdout, "(?m)^renewed  .*/apiserver.crt")


class RotateTest(LifeTest):
    LEAVES = ("apiserver.crt", "apiserver-kubelet-client.crt")

    def snapshot(self, name):
        """What a component that has just started holds in its memory: its trust and its certificates."""
        place = os.path.join(self.root, name)
        os.mkdir(place)
        for file in ("ca.crt",) + self.LEAVES:
            shutil.copy(self.path(file), place)
        for conf in ("admin.conf", "scheduler.conf"):
            fields = dict(re.findall("(?m)^ *([a-z-]+-data): (.*)$", self.read(conf).decode()))
            for file, field in ((conf + ".ca", "certificate-authority-data"), (conf, "client-certificate-data")):
                with open(os.path.join(place, file), "wb") as f:
                    f.write(base64.b64decode(fields[field]))
        return place

    def assert_trusts(self, one, other, answer=True):
        """Whether everything of the one is trusted by the other."""
        for leaf in self.LEAVES + ("admin.conf", "scheduler.conf"):
            for trust in ("ca.crt", "admin.conf.ca", "scheduler.conf.ca"):
                done = subprocess.run(["openssl", "verify", "-CAfile", os.path.join(other, trust),
                                       os.path.join(one, leaf)], capture_output=True, text=True)
                self.assertEqual(done.returncode == 0, answer, (one, other, leaf, trust, done.stderr))

    def certificates_in(self, name):
        return self.read(name).count(b"BEGIN CERTIFICATE")

    def test_three_steps_and_each_beside_the_next(self):
        self.assertIn("no rotation is under way", self.do("rotate-ca", "ca", "--status").stdout)
        before, old_key = self.snapshot("before"), self.read("ca.key")
        out = self.do("rotate-ca", "ca", "--force").stdout
        self.assertIn("Step 1 of 3", out)
        self.assertRegex(out, r"(?m)^written  \S+/kube-controller-manager.yaml: it names \S+/ca-signer.crt now")
        self.assertRegex(out, "(?m)^restart  kube-scheduler: ")
        self.assertIn("step 1 of 3 is done", self.do("rotate-ca", "ca", "--status").stdout)
        self.assertEqual((self.certificates_in("ca.crt"), self.certificates_in("ca-signer.crt")), (2, 1))
        self.assertEqual(self.read("ca.key"), old_key)
        self.check()
        one = self.snapshot("one")
        self.assertIn("Step 2 of 3", self.do("rotate-ca", "ca").stdout)
        self.assertIn("step 2 of 3 is done", self.do("rotate-ca", "ca", "--status").stdout)
        self.assertNotEqual(self.read("ca.key"), old_key)
        self.assertEqual(os.stat(self.path("ca.key")).st_mode & 0o777, 0o600)
        self.check()
        two = self.snapshot("two")
        self.assertIn("Step 3 of 3", self.do("rotate-ca", "ca").stdout)
        self.assertEqual(self.certificates_in("ca.crt"), 1)
        self.assertEqual(self.read("ca.crt"), self.read("ca-signer.crt"))
        self.check()
        three = self.snapshot("three")
        for a, b in ((before, one), (one, two), (two, three)):
            self.assert_trusts(a, b, answer=True)
            self.assert_trusts(b, a, answer=True)
        self.assert_trusts(before, three, answer=False)
        self.assert_trusts(three, before, answer=False)
        self.assertIn("no rotation is under way", self.do("rotate-ca", "ca", "--status").stdout)
        self.assertIn("within the last day", self.do("rotate-ca", "ca", status=1).stderr)

    def test_renewed_between_the_steps(self):
        """A certificate that is renewed on the way is signed by whoever signs then."""
        self.do("rotate-ca", "etcd/ca", "--force")
        self.do("renew", "etcd/server", "--new-key")
        self.check()
        self.do("rotate-ca", "etcd/ca")
        self.do("renew", "etcd/server")
        self.do("rotate-ca", "etcd/ca")
        self.check()
        self.assertEqual(self.certificates_in("etcd/ca.crt"), 1)

    def test_an_interrupted_step_is_completed(self):
        ca, conf = self.read("front-proxy-ca.crt"), self.path("front-proxy-client.crt")
        self.do("rotate-ca", "front-proxy-ca", "--force")
        with open(self.path("front-proxy-ca.crt"), "wb") as f:
            f.write(ca)  # as after a crash behind the key
        self.assertIn("was interrupted", self.do("rotate-ca", "front-proxy-ca", "--status").stdout)
        self.assertIn("Step 1 of 3", self.do("rotate-ca", "front-proxy-ca").stdout)
        leaf = self.read("front-proxy-client.crt")
        self.assertIn("Step 2 of 3", self.do("rotate-ca", "front-proxy-ca").stdout)
        with open(conf, "wb") as f:
            f.write(leaf)  # as after a crash before it
        self.assertIn("1 certificates are still", self.do("rotate-ca", "front-proxy-ca", "--status").stdout)
        self.assertIn("Step 2 of 3", self.do("rotate-ca", "front-proxy-ca").stdout)
        self.assertIn("Step 3 of 3", self.do("rotate-ca", "front-proxy-ca").stdout)
        self.check()

    def test_killed_at_any_moment(self):
        chance, done = random.Random(7), 0
        for _ in range(200):
            child = subprocess.Popen([harness.MAINSTAY, "pki", "rotate-ca", *self.places, "ca", "--force"],
                                     env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            try:
                out = child.communicate(timeout=chance.uniform(0.003, 0.06))[0]
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGKILL)
                out = child.communicate()[0]
            self.check()
            done = 3 if b"Step 3 of 3" in out else done
            if done:
                break
        while not done:
            done = b"Step 3 of 3" in self.do("rotate-ca", "ca", "--force").stdout.encode()
        self.check()
        self.assertEqual(self.certificates_in("ca.crt"), 1)

    def test_bad_names(self):
        self.assertIn("is no CA of this node", self.do("rotate-ca", "apiserver", status=1).stderr)
        self.assertIn("takes one CA", self.do("rotate-ca", status=2).stderr)
        os.unlink(self.path("front-proxy-ca.key"))
        self.assertIn("its key is not here", self.do("rotate-ca", "front-proxy-ca", status=1).stderr)


class NodesTest(LifeTest):
    """A CA that three control-plane nodes share is rotated on all of them, a step after the other."""

    NAMES = ("m0", "m1", "m2")

    def setUp(self):
        super().setUp()
        self.roots = {"m0": self.root}
        for i, name in enumerate(self.NAMES[1:], 1):
            self.roots[name] = os.path.join(self.root, name)
            self.carry(name)
            self.run_mainstay("init", f"--root={self.roots[name]}", f"--node-name={name}",
                              f"--advertise-address=10.0.0.{i + 1}")

    def on(self, node, word, *arguments, status=0):
        etc = os.path.join(self.roots[node], "etc/kubernetes")
        done = self.run_mainstay("pki", word, *places(word, etc), *arguments, status=status)
        return done.stdout + done.stderr

    def seal(self, node):
        file = tempfile.mktemp(dir=self.root)
        return file, re.search(r"(?m)^[A-Za-z0-9+/]{43}=$", self.on("m0", "export", "--for", node, file)).group()

    def carry(self, node, *more, status=0, sealed=None):
        file, key = sealed or self.seal(node)
        return self.on(node, "import", file, "--key", key, "--for", node, *more, status=status)

    def pieces(self):
        """What each node shows, and whom each trusts: as files' contents."""
        shows, trusts = {}, {}
        for node, root in self.roots.items():
            etc = os.path.join(root, "etc/kubernetes")
            for name in ("apiserver.crt", "apiserver-kubelet-client.crt"):
                with open(f"{etc}/pki/{name}") as f:
                    shows[node, name] = f.read()
            with open(etc + "/pki/ca.crt") as f:
                trusts[node, "ca.crt"] = f.read()
            for name in ("admin.conf", "controller-manager.conf", "scheduler.conf"):
                with open(f"{etc}/{name}") as f:
                    fields = dict(re.findall("(?m)^ *([a-z-]+-data): (.*)$", f.read()))
                shows[node, name] = base64.b64decode(fields["client-certificate-data"]).decode()
                trusts[node, name] = base64.b64decode(fields["certificate-authority-data"]).decode()
        return shows, trusts

    def assert_all_trust_all(self, *also):
        """Now, and whoever has not restarted since the state before."""
        now = self.pieces()
        for shows, trusts in [(now[0], now[1])] + [p for old in also for p in ((now[0], old[1]), (old[0], now[1]))]:
            for trust in set(trusts.values()):
                bundle = os.path.join(self.root, "bundle")
                with open(bundle, "w") as f:
                    f.write(trust)
                shown = []
                for i, text in enumerate(sorted(set(shows.values()))):
                    shown.append(f"{self.root}/shown{i}")
                    with open(shown[-1], "w") as f:
                        f.write(text)
                done = subprocess.run(["openssl", "verify", "-CAfile", bundle, *shown], capture_output=True, text=True)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        for node in self.NAMES:
            self.on(node, "check")
        return now

    def files_of(self, node):
        found = {}
        for path in glob.glob(self.roots[node] + "/etc/**/*.*", recursive=True):
            if os.path.isfile(path):
                with open(path) as f:
                    found[path] = f.read()
        return found

    def test_step_by_step(self):
        state = self.assert_all_trust_all()
        for step in (1, 2, 3):
            self.assertIn(f"Step {step} of 3 is done here", self.on("m0", "rotate-ca", "ca", "--force"))
            state = self.assert_all_trust_all(state)
            for node in self.NAMES[1:]:
                out = self.carry(node)
                self.assertIn("does the rest of this step on this node", out)
                self.assert_all_trust_all()
                self.assertIn(f"Step {step} of 3 is done here", self.on(node, "rotate-ca", "ca"))
                state = self.assert_all_trust_all(state)
            where = {1: "step 1 of 3 is done", 2: "step 2 of 3 is done", 3: None}[step]
            for node in self.NAMES:
                said = self.on(node, "check")
                self.assertIn(where, said) if where else self.assertNotIn("of 3", said)
        shows, trusts = self.pieces()
        self.assertEqual(len({t for (_, name), t in trusts.items()}), 1)
        for node in self.NAMES[1:]:
            self.assertNotIn("goes on", self.carry(node))

    def assert_verified(self, ca, names, *also):
        """Whom each node trusts by this CA's file, against what each shows; also against what was there before."""
        now = {}
        for node, root in self.roots.items():
            pki = os.path.join(root, "etc/kubernetes/pki")
            for name in (ca, *names):
                with open(f"{pki}/{name}.crt") as f:
                    now[node, name] = f.read()

        def verify(trusting, showing):
            for trust in {text for (_, name), text in trusting.items() if name == ca}:
                for shown in {text for (_, name), text in showing.items() if name != ca}:
                    paths = []
                    for file, text in (("trust", trust), ("shown", shown)):
                        paths.append(os.path.join(self.root, file))
                        with open(paths[-1], "w") as f:
                            f.write(text)
                    done = subprocess.run(["openssl", "verify", "-CAfile", *paths], capture_output=True, text=True)
                    self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        verify(now, now)
        for old in also:  # who has not restarted since
            verify(old, now)
            verify(now, old)
        for node in self.NAMES:
            self.on(node, "check")
        return now

    def steps_begun_on(self, node, ca):
        return len(glob.glob(f"{self.roots[node]}/etc/kubernetes/pki/{ca}.key.next"))

    def rotate_on_all(self, ca, names):
        state = first = self.assert_verified(ca, names)
        for step in (1, 2, 3):
            self.assertIn(f"Step {step} of 3 is done here", self.on("m0", "rotate-ca", ca, "--force"))
            state = self.assert_verified(ca, names, state)
            for node in self.NAMES[1:]:
                self.assertIn(f"/{ca}.crt: its rotation", self.carry(node))
                state = self.assert_verified(ca, names, state)
                self.assertEqual(self.steps_begun_on(node, ca), 0)
                said = self.on(node, "rotate-ca", ca, "--force")
                self.assertIn(f"Step {step} of 3 is done here", said)
                self.assertNotIn("call this again here", said)
                state = self.assert_verified(ca, names, state)
                self.assertEqual(self.steps_begun_on(node, ca), 0)
                if step < 3:  # nothing begins here
                    before = self.files_of(node)
                    said = self.on(node, "rotate-ca", ca, "--force", status=1)
                    self.assertIn("on the node where the rotation was begun", said)
                    self.assertEqual(self.files_of(node), before)
        self.assertEqual(len({state[node, ca] for node in self.NAMES}), 1)
        for node in self.NAMES:
            for name in (ca, *names):
                self.assertNotEqual(state[node, name], first[node, name])
            self.assertEqual(state[node, ca].count("BEGIN CERTIFICATE"), 1)
        for node in self.NAMES[1:]:
            self.assertNotIn("goes on", self.carry(node))
            self.assertFalse(os.path.exists(f"{self.roots[node]}/etc/kubernetes/pki/{ca}.led"))
        # The next one can begin on any of them.
        self.assertIn("Step 1 of 3 is done here", self.on("m1", "rotate-ca", ca, "--force"))
        self.assertEqual(self.steps_begun_on("m1", ca), 1)

    def test_that_of_etcd_step_by_step(self):
        self.rotate_on_all("etcd/ca", ["etcd/server", "etcd/peer", "etcd/healthcheck-client", "apiserver-etcd-client"])

    def test_the_node_where_it_was_begun_is_gone(self):
        for _ in (1, 2):
            self.on("m0", "rotate-ca", "etcd/ca", "--force")
            self.carry("m1")
            self.on("m1", "rotate-ca", "etcd/ca")
        said = self.on("m1", "rotate-ca", "etcd/ca", status=1)
        os.unlink(re.search(r"remove (\S+/ca\.led),", said).group(1))
        self.assertIn("Step 3 of 3 is done here", self.on("m1", "rotate-ca", "etcd/ca"))

    def test_that_of_the_front_proxy_step_by_step(self):
        self.rotate_on_all("front-proxy-ca", ["front-proxy-client"])

    def test_the_other_nodes_do_not_go_ahead(self):
        self.on("m0", "rotate-ca", "ca", "--force")
        self.carry("m1")
        self.assertIn("The next step begins on the node where the rotation was begun",
                      self.on("m1", "rotate-ca", "ca", "--force"))
        before = self.files_of("m1")
        said = self.on("m1", "rotate-ca", "ca", "--force", status=1)
        self.assertIn("The new one's key is on the node where the rotation was begun", said)
        self.assertEqual(self.files_of("m1"), before)

    def test_neither_back_nor_past_a_step(self):
        sealed = {0: self.seal("m1")}
        for step in (1, 2, 3):
            self.on("m0", "rotate-ca", "ca", "--force")
            sealed[step] = self.seal("m1")
        self.carry("m1", sealed=sealed[1])
        self.on("m1", "rotate-ca", "ca")
        before = self.files_of("m1")
        self.assertIn("its second step was left out on this node", self.carry("m1", sealed=sealed[3], status=1))
        self.assertIn("is further in the rotation", self.carry("m1", sealed=sealed[0], status=1))
        self.assertEqual(self.files_of("m1"), before)
        self.carry("m1", sealed=sealed[2])
        self.on("m1", "rotate-ca", "ca")
        self.assertIn("is further in the rotation", self.carry("m1", sealed=sealed[1], status=1))
        self.carry("m1", sealed=sealed[3])
        self.on("m1", "rotate-ca", "ca")
        self.assertIn("is further in the rotation", self.carry("m1", sealed=sealed[2], status=1))
        self.assertIn("is there already, and is another", self.carry("m2", sealed=self.seal("m2"), status=1))

    def test_a_ca_that_was_rescued_goes_on_too(self):
        self.travel(3700)
        self.on("m0", "rescue")
        self.assertIn("goes on", self.carry("m1"))
        self.on("m1", "rescue")
        self.on("m1", "check")


class AgentTest(harness.AgentTest):
    """The agent renews by itself what has aged, and a pod takes it by restart-on-change."""

    def setUp(self):
        self.root = tempfile.mkdtemp(prefix="mainstay-pki-agent-")
        self.addCleanup(shutil.rmtree, self.root)
        self.pki = os.path.join(self.root, "etc/kubernetes/pki")
        if not os.path.exists(JUMP):
            self.skipTest("the build has no tests/libclock-jump.so")
        with open(self.root + "/jump", "wb") as f:
            f.write(struct.pack("qq", -300 * DAY, 0))
        subprocess.run([harness.MAINSTAY, "init", f"--root={self.root}", "--node-name=m0",
                        "--advertise-address=10.0.0.1"], check=True, capture_output=True,
                       env={**os.environ, "LD_PRELOAD": JUMP, "CLOCK_JUMP_FILE": self.root + "/jump",
                            "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"})

    def read(self, name):
        with open(os.path.join(self.pki, name)) as f:
            return f.read()

    def events(self, a, reason, n):
        """The first n of them."""
        found = []
        for event in a.watch("/mainstay/v1/events?watch=true&after=0"):
            if event["reason"] == reason:
                found.append(event["message"])
            if len(found) == n:
                return found
        return found

    def test_what_has_aged_is_renewed_once(self):
        before = self.read("apiserver.crt")
        a = self.agent(f"--renew-certificates={self.pki}")
        messages = self.events(a, "CertificateRenewed", 10)
        self.assertTrue(any("/etcd/peer.crt  until " in m for m in messages), messages)
        self.assertTrue(any("/admin.conf  until " in m for m in messages), messages)
        after = self.read("apiserver.crt")
        self.assertNotEqual(after, before)
        done = subprocess.run([harness.MAINSTAY, "pki", "renew", "--if-older-than=2/3", "--dir", self.pki, "--manifests",
                               a.manifests], capture_output=True, text=True)
        self.assertIn("Nothing needs to be renewed", done.stdout)

    def test_switched_on_by_a_reload(self):
        config = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n"
        a = self.agent(config=config)
        before = self.read("apiserver.crt")
        a.write("config.yaml", config + f"renewCertificates: {self.pki}\n")
        done = a.cli("reload")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("renewCertificates", done.stdout)
        a.wait_ready()
        self.assertEqual(len(self.events(a, "CertificateRenewed", 10)), 10)
        self.assertNotEqual(self.read("apiserver.crt"), before)

    def test_a_pod_that_mounts_them_restarts(self):
        text = harness.pod_yaml("user", [harness.COMPONENT, "say", "up"],
                                extra=f"  volumes:\n  - {{name: certs, hostPath: {{path: {self.pki}}}}}\n",
                                container_extra="    volumeMounts:\n    - {name: certs, mountPath: /run/certs}\n")
        a = self.agent()
        a.drop("user.yaml", text.replace("  namespace: default\n", "  namespace: default\n  annotations: "
                                         "{mainstay.dev/restart-on-change: certs}\n"))
        a.wait_ready_pod("user")
        a.wait(lambda pods: os.path.exists(a.path("root", "state", "changes", "default_user-node1.files")) or
               a.drop("poke.yaml", harness.pod_yaml("poke", [harness.COMPONENT, "say", "up"])), "what it knows of them")
        a.flags = [*a.flags, f"--renew-certificates={self.pki}"]
        a.restart()
        self.assertIn("restarting container main", a.wait_event("FilesChanged", "user")["message"])

    def test_a_failure_is_told(self):
        os.unlink(os.path.join(self.pki, "etcd/ca.key"))
        a = self.agent(f"--renew-certificates={self.pki}")
        messages = self.events(a, "CertificateNotRenewed", 4)
        self.assertTrue(all("name both with -ca and -ca-key" in m for m in messages), messages)

    def test_not_switched_on(self):
        before = self.read("apiserver.crt")
        a = self.agent()
        a.drop("one.yaml", harness.pod_yaml("one", [harness.COMPONENT, "say", "up"]))
        a.wait_ready_pod("one")
        self.assertEqual(self.read("apiserver.crt"), before)


class UsersTest(LifeTest):
    def test_a_kubeconfig(self):
        conf = os.path.join(self.root, "jane.conf")
        out = self.do("kubeconfig", "--user=jane", "--org=dev", "--server=https://10.0.0.1:6443", "--days=7").stdout
        with open(conf, "w") as f:
            f.write(out)
        self.assertIn("server: https://10.0.0.1:6443\n", out)
        self.assertIn("current-context: jane@kubernetes\n", out)
        fields = dict(re.findall("(?m)^ *([a-z-]+-data): (.*)$", out))
        with open(conf + ".crt", "wb") as f:
            f.write(base64.b64decode(fields["client-certificate-data"]))
        self.assertEqual(base64.b64decode(fields["certificate-authority-data"]), self.read("ca.crt"))
        subprocess.run(["openssl", "verify", "-purpose", "sslclient", "-CAfile", self.path("ca.crt"), conf + ".crt"],
                       check=True, capture_output=True)
        text = subprocess.run(["openssl", "x509", "-in", conf + ".crt", "-noout", "-subject"], capture_output=True,
                              text=True, check=True).stdout
        self.assertEqual(text.split("subject=")[1].strip(), "O = dev, CN = jane")
        self.assertIn("kubeconfig takes", self.do("kubeconfig", "--user=jane", status=2).stderr)

    def test_tokens(self):
        tokens = {self.do("token").stdout for _ in range(20)}
        self.assertEqual(len(tokens), 20)
        for token in tokens:
            self.assertRegex(token, r"\A[a-z0-9]{6}\.[a-z0-9]{16}\n\Z")
        self.assertRegex(self.do("token", "--user=jane", "--org=dev,ops").stdout,
                         r'\A[0-9a-f]{32},jane,jane,"dev,ops"\n\Z')
        self.assertIn("cannot be in the name", self.do("token", "--user=a,b", status=1).stderr)


class TransferTest(LifeTest):
    SHARED = {"ca.crt": 0o644, "ca.key": 0o600, "front-proxy-ca.crt": 0o644, "front-proxy-ca.key": 0o600,
              "etcd/ca.crt": 0o644, "etcd/ca.key": 0o600, "sa.key": 0o600, "sa.pub": 0o644}

    def setUp(self):
        super().setUp()
        self.file = os.path.join(self.root, "m1.keys")
        self.to = os.path.join(self.root, "other/pki")
        self.key = self.do("export", "--for", "m1", self.file).stdout.strip()

    def put(self, *arguments, status=0, key=None):
        return self.run_mainstay("pki", "import", self.file, "--key", key or self.key, "--dir", self.to, "--for", "m1",
                                 *arguments, status=status)

    def there(self):
        return sorted(os.path.relpath(p, self.to) for p in glob.glob(self.to + "/**/*.*", recursive=True))

    def test_what_arrives(self):
        self.assertEqual(os.stat(self.file).st_mode & 0o777, 0o600)
        with open(self.file, "rb") as f:
            self.assertNotIn(b"BEGIN", f.read())
        self.put()
        self.assertEqual(self.there(), sorted(self.SHARED))
        for name, mode in self.SHARED.items():
            with open(os.path.join(self.to, name), "rb") as f:
                self.assertEqual(f.read(), self.read(name))
            self.assertEqual(os.stat(os.path.join(self.to, name)).st_mode & 0o777, mode, name)
        self.assertEqual(len(re.findall("(?m)^kept ", self.put().stdout)), 8)

    def test_the_key_from_standard_input(self):
        done = subprocess.run([harness.MAINSTAY, "pki", "import", self.file, "--key", "-", "--dir", self.to, "--node-name", "m1"],
                              input=self.key + "\n", capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.there(), sorted(self.SHARED))

    def test_nothing_is_overwritten(self):
        os.makedirs(self.to)
        with open(self.to + "/sa.key", "w") as f:
            f.write("mine")
        self.assertIn("is there already, and is another: nothing was written", self.put(status=1).stderr)
        self.assertEqual(self.there(), ["sa.key"])
        self.put("--force")
        with open(glob.glob(self.to + "/sa.key.*")[0]) as f:
            self.assertEqual(f.read(), "mine")
        self.assertIn("File exists", self.do("export", "--for", "m1", self.file, status=1).stderr)

    def test_every_changed_byte_is_noticed(self):
        with open(self.file, "rb") as f:
            good = f.read()
        for at in [0, 12, 14, 15, 20, 30, 40, len(good) // 2, len(good) - 1]:
            with open(self.file, "wb") as f:
                f.write(good[:at] + bytes([good[at] ^ 1]) + good[at + 1:])
            self.put(status=1)
        for cut in (0, 5, 20, len(good) - 1):
            with open(self.file, "wb") as f:
                f.write(good[:cut])
            self.put(status=1)
        self.assertEqual(self.there(), [])

    def test_another_node(self):
        """A file for one node does not become another's by mistake."""
        done = self.put("--for", "m2", status=1)
        self.assertIn("is sealed for the node m1, and this one is called m2", done.stderr)
        self.assertIn("say --for m1", done.stderr)
        done = self.run_mainstay("pki", "import", self.file, "--key", self.key, "--dir", self.to, status=1)
        self.assertIn(f"this one is called {os.uname().nodename.lower()}", done.stderr)
        self.assertEqual(self.there(), [])

    def test_another_key(self):
        other = base64.b64encode(bytes(32)).decode()
        self.assertIn("this is not its key", self.put(status=1, key=other).stderr)
        self.assertIn("is none that", self.put(status=1, key="abc").stderr)
        self.assertEqual(self.there(), [])


if __name__ == "__main__":
    harness.main()
