"""`mainstay pki` interrupted at each call that changes the disk, one after the other: killed, with a disk that is full
from there on, or with that call failing. Whatever is there then is whole and fits together, no key is lost, and the
same command again completes it."""

import base64
import glob
import os
import re
import shutil
import subprocess
import tempfile
import unittest

import harness

AT_WRITE = os.path.join(harness.BUILD, "tests", "at-write")
NOT_THERE, KILLED = 77, 128 + 9
# A kill at each call; the other two at every so many only, or at each with 1.
STRIDE = int(os.environ.get("MAINSTAY_TEST_WRITE_STRIDE", "17"))


def public_key(text):
    """The point of a P-256 key, private or public, or of the (first) certificate's key; None where the text is not whole."""
    found = re.fullmatch(rb"(?s)-----BEGIN ([A-Z ]+)-----\n([A-Za-z0-9+/=\n]+)-----END \1-----\n"
                         rb"(?:.*-----END \1-----\n)?", text)
    try:
        der = base64.b64decode(found[2], validate=False)
    except (TypeError, ValueError):
        return None
    length = der[1] + 2 if der[1] < 0x80 else int.from_bytes(der[2:2 + (der[1] & 0x7f)], "big") + 2 + (der[1] & 0x7f)
    point = re.search(rb"(?s)\x03\x42\x00(\x04.{64})", der)
    return point[1] if point and length == len(der) else None


def read(path):
    with open(path, "rb") as f:
        return f.read()


class Interrupted(unittest.TestCase):
    begin = ["init", "--node-name=m0", "--advertise-address=10.0.0.1"]

    def setUp(self):
        if not os.path.exists(AT_WRITE):
            self.skipTest("the build has no tests/at-write")
        memory = "/dev/shm" if os.path.isdir("/dev/shm") else None  # where a thousand fsyncs cost nothing
        self.place = tempfile.mkdtemp(prefix="mainstay-pki-interrupted-", dir=memory)
        self.addCleanup(shutil.rmtree, self.place)
        self.root = os.path.join(self.place, "root")
        self.pristine = os.path.join(self.place, "pristine")
        self.kubernetes = os.path.join(self.root, "etc/kubernetes")
        self.pki = os.path.join(self.kubernetes, "pki")
        self.places = ["--dir", self.pki, "--manifests", os.path.join(self.kubernetes, "manifests")]
        self.environment = {**os.environ, "MAINSTAY_SOCKET": self.place + "/none"}
        os.mkdir(self.root)
        if self.begin:
            self.do(*self.begin, f"--root={self.root}")

    def do(self, *words, status=0, cwd=None):
        done = subprocess.run([harness.MAINSTAY, *words], capture_output=True, text=True, env=self.environment, cwd=cwd)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def interrupt(self, mode, n, words, cwd=None):
        """The exit status, and whether there were so many calls."""
        report = os.path.join(self.place, "report")
        done = subprocess.run([AT_WRITE, mode, str(n), "--report", report, "--", harness.MAINSTAY, *words],
                              capture_output=True, text=True, env=self.environment, cwd=cwd)
        if done.returncode == NOT_THERE:
            self.skipTest("no seccomp notification here")
        self.assertLessEqual(done.returncode, KILLED, done.stderr)
        count, self.call = read(report).decode().split()
        self.said = done.stdout + done.stderr
        return done.returncode, int(count) >= n

    def files(self):
        """Every plain file below the root, and what the links lead to."""
        found = {}
        for directory, _, names in os.walk(self.root):
            for name in names:
                path = os.path.join(directory, name)
                if os.path.isfile(path):
                    found[os.path.relpath(path, self.root)] = read(path)
        return found

    def by_name(self, files):
        """Those that have their own names: no backup, nothing beside."""
        return {n: c for n, c in files.items()
                if not re.search(r"\.\d{8}-\d{6}(\.\d+)?$", n) and "/." not in "/" + n}

    def assert_whole(self, files):
        """Each file is one that openssl reads, and each certificate belongs to its key."""
        named = self.by_name(files)
        for name, content in named.items():
            if name.endswith((".key", ".crt", ".pem", ".cert", ".next")):
                self.assertIsNotNone(public_key(content), name)
            if name.endswith(".conf"):
                fields = dict(re.findall(rb"(?m)^ *([a-z-]+-data): (.*)$", content))
                self.assertEqual(*(public_key(base64.b64decode(fields[f]))
                                   for f in (b"client-certificate-data", b"client-key-data")), name)
            stem, suffix = os.path.splitext(name)
            key = named.get({".pem": stem + "-key.pem"}.get(suffix, stem + ".key"))
            if suffix in (".crt", ".cert", ".pem") and not stem.endswith("-key") and key is not None:
                self.assertEqual(public_key(content), public_key(key), name)
        signer, key = named.get("etc/kubernetes/pki/ca-signer.crt"), named.get("etc/kubernetes/pki/ca.key")
        if signer:
            self.assertEqual(public_key(signer), public_key(key), "ca-signer.crt")

    def assert_kept(self, before, files):
        """No key that there was is lost."""
        now = set(files.values())
        for name, content in before.items():
            if b"PRIVATE KEY" in content or name.endswith(".conf"):
                self.assertIn(content, now, name)

    def assert_tidy(self, again=""):
        left = [n for n in self.files() if "/." in n or n.endswith((".new", ".next"))]
        links = [p for p in glob.glob(self.root + "/**", recursive=True) if os.path.islink(p)]
        swaps = glob.glob(self.root + "/**/.*", recursive=True)
        self.assertEqual((left, links, swaps), ([], [], []), again)

    def restore(self):
        shutil.rmtree(self.root)
        shutil.copytree(self.pristine, self.root)

    def at_every_write(self, *words, prepare=None, complete=None, cwd=None, modes=("--kill", "--full", "--fail")):
        """`complete`: what is done after each interruption, instead of the same command once more."""
        if prepare:
            prepare()
        shutil.copytree(self.root, self.pristine)
        before = self.files()
        for mode in modes:
            n, went_on, stride = 1, True, 1 if mode == "--kill" else STRIDE
            while went_on:
                self.restore()
                status, went_on = self.interrupt(mode, n, words, cwd)
                with self.subTest(mode=mode, n=n, call=self.call, words=words[:2]):
                    self.assert_interrupted(mode, status, went_on)
                    self.assert_whole(self.files())
                    self.assert_kept(before, self.files())
                    complete() if complete else self.do(*words, cwd=cwd)
                    self.assert_whole(self.files())
                    self.assert_kept(before, self.files())
                    self.assert_tidy(self.said)
                n += stride
            self.assertGreater(n, 5)

    def assert_interrupted(self, mode, status, went_on):
        if mode == "--kill":
            self.assertEqual(status, KILLED if went_on else 0, self.said)
        elif went_on and status != 0:
            self.assertRegex(self.said, r"No space left on device|Input/output error")
        else:
            self.assertEqual(status, 0, self.said)


class Made(Interrupted):
    begin = None

    def init(self, *words):
        return ["pki", "init", f"--root={self.root}", "--node-name=m0", "--advertise-address=10.0.0.1", *words]

    def until_all_are_there(self, n, *words):
        """`n`: how many files."""
        words = self.init(*words)

        def complete():
            self.do(*words)
            self.assertEqual(len(self.files()), n)
        self.at_every_write(*words, complete=complete)

    def test_kubeadms_layout(self):
        self.until_all_are_there(26)

    def test_the_layout_of_the_guides(self):
        self.until_all_are_there(8, "--layout=srv")

    def test_requests_for_a_ca_elsewhere(self):
        self.until_all_are_there(22, "--csr-only")

    def test_a_pair_as_guides_make_it(self):
        """All of it is there, or nothing: what was done needs --force."""
        with open(self.root + "/csr.json", "w") as f:
            f.write('{"CN": "ca", "key": {"algo": "ecdsa", "size": 256}}')
        words = ["pki", "gencert", "-initca", "-bare", "ca", "csr.json"]

        def complete():
            there = {n for n in ("ca.pem", "ca-key.pem", "ca.csr") if os.path.exists(os.path.join(self.root, n))}
            done = subprocess.run([harness.MAINSTAY, *words], capture_output=True, text=True, cwd=self.root)
            self.assertIn(len(there), (0, 3))
            self.assertEqual(done.returncode, 1 if there else 0, done.stderr)
            if there:
                self.assertIn("is there already and is left alone", done.stderr)
        self.at_every_write(*words, cwd=self.root, complete=complete)


class Changed(Interrupted):
    def pki_do(self, word, *more):
        return self.do("pki", word, *self.places, *more)

    def check(self):
        self.do("pki", "check", *self.places[2:])

    def test_a_pair_is_replaced_as_guides_do(self):
        with open(self.root + "/csr.json", "w") as f:
            f.write('{"CN": "ca", "key": {"algo": "ecdsa", "size": 256}}')
        words = ["pki", "gencert", "-initca", "-force", "-bare", "ca", "csr.json"]
        self.at_every_write(*words, cwd=self.root, prepare=lambda: self.do(*words, cwd=self.root))

    def renew(self, *more):
        words = ["pki", "renew", *self.places, *more]
        self.at_every_write(*words, complete=lambda: (self.do(*words), self.check()))

    def test_renewed_with_the_same_keys(self):
        self.renew("apiserver", "etcd/peer", "admin.conf")

    def test_renewed_with_new_keys(self):
        self.renew("--new-key", "apiserver", "etcd/peer", "admin.conf")

    def test_rescue(self):
        for name in ("apiserver-kubelet-client", "apiserver-etcd-client", "etcd/server", "etcd/healthcheck-client"):
            os.unlink(os.path.join(self.pki, name + ".crt"))
        words = ["pki", "rescue", *self.places]
        self.at_every_write(*words)

    def test_sealed(self):
        sealed = os.path.join(self.root, "m1.keys")
        words = ["pki", "export", *self.places[:2], "--for", "m1", sealed]

        def complete():
            if os.path.exists(sealed):
                key = re.search(r"(?m)^[A-Za-z0-9+/]{43}=$", self.said).group()
                self.do("pki", "import", sealed, "--key", key, "--for", "m1", "--dir", self.place + "/opened",
                        "--force")
            else:
                self.do(*words)
        self.at_every_write(*words, complete=complete)

    def transfer(self):
        """What another cluster's node exports."""
        other, self.sealed = os.path.join(self.place, "other"), os.path.join(self.place, "sealed")
        self.do("init", f"--root={other}", "--node-name=m1", "--advertise-address=10.0.0.2")
        out = self.do("pki", "export", "--dir", other + "/etc/kubernetes/pki", "--for", "m0", self.sealed)
        return ["pki", "import", self.sealed, "--for", "m0", "--key", re.search(r"(?m)^[A-Za-z0-9+/]{43}=$", out).group()]

    def test_imported(self):
        words = [*self.transfer(), "--dir", self.pki]
        self.at_every_write(*words, prepare=lambda: shutil.rmtree(self.pki))

    def test_imported_over_others(self):
        words = [*self.transfer(), "--dir", self.pki, "--force"]

        def prepare():
            shutil.copytree(self.pki, self.place + "/pki")
            shutil.rmtree(self.pki)
            for name in ("ca", "sa", "front-proxy-ca", "etcd/ca"):
                for path in glob.glob(f"{self.place}/pki/{name}.*"):
                    os.makedirs(os.path.join(self.pki, os.path.dirname(name)), exist_ok=True)
                    shutil.copy(path, os.path.join(self.pki, os.path.dirname(name)))
        self.at_every_write(*words, prepare=prepare)


class Rotated(Interrupted):
    def rotate(self):
        return self.do("pki", "rotate-ca", *self.places, "ca", "--force")

    def step(self, number):
        """What is interrupted goes on to be done by the next call."""
        def complete():
            said = self.rotate()
            if f"Step {number} of 3" not in said and number < 3:  # it was done but for what it says
                self.assertIn(f"Step {number + 1} of 3", said)
            self.do("pki", "check", *self.places[2:])
            for _ in range(3):
                if not os.path.exists(self.pki + "/ca.key.next"):
                    break
                self.rotate()

        for _ in range(1, number):
            self.rotate()
        self.at_every_write("pki", "rotate-ca", *self.places, "ca", "--force", complete=complete)

    def test_the_first_step(self):
        self.step(1)

    def test_the_second_step(self):
        self.step(2)

    def test_the_third_step(self):
        self.step(3)


if __name__ == "__main__":
    harness.main()
