"""What `mainstay pki` leaves in its memory when it ends: no private key, in none of the forms that it went through.
The memory is read at the last system call, exit_group."""

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
NOT_THERE = 77


def read(path):
    with open(path, "rb") as f:
        return f.read()


def integers(der):
    """Every INTEGER and OCTET STRING of a DER text of any depth, as bytes without leading zeros."""
    at = 0
    while at + 2 <= len(der):
        tag, n, start = der[at], der[at + 1], at + 2
        if n & 0x80:
            start += n & 0x7f
            n = int.from_bytes(der[at + 2:start], "big")
        if tag in (0x30, 0xa0):
            yield from integers(der[start:start + n])
        elif tag in (0x02, 0x04):
            yield der[start:start + n].lstrip(b"\0")
        at = start + n


def secrets(pem):
    """name → bytes that must not be found of a private key: its text, and its numbers in both orders of bytes."""
    body = b"".join(pem.split(b"\n")[1:-2])
    der = base64.b64decode(body)
    numbers = [n for n in integers(der) if len(n) >= 30]
    if b"RSA" in pem.split(b"\n")[0]:
        numbers = numbers[1:]  # the modulus is public
    else:
        numbers = numbers[:1]
    found = {"text": pem.split(b"\n")[1][20:60]}
    for i, number in enumerate(numbers):
        found[f"number {i}"] = number[:24]
        found[f"number {i}, its end"] = number[-24:]
        found[f"number {i} reversed"] = number[::-1][:24]
        found[f"number {i} reversed, its end"] = number[::-1][-24:]
    return found


class Memory(unittest.TestCase):
    def setUp(self):
        if not os.path.exists(AT_WRITE):
            self.skipTest("the build has no tests/at-write")
        if "san" in os.path.basename(harness.BUILD.rstrip("/")):
            self.skipTest("a sanitizer keeps what was freed for itself")
        self.root = tempfile.mkdtemp(prefix="mainstay-pki-memory-")
        self.addCleanup(shutil.rmtree, self.root)
        self.pki = self.root + "/etc/kubernetes/pki"
        self.dump = self.root + "/memory"

    def run_dumped(self, *words):
        done = subprocess.run([AT_WRITE, "--report", self.root + "/report", "--memory", self.dump, "--",
                               harness.MAINSTAY, *words], capture_output=True, text=True, cwd=self.root,
                              env={**os.environ, "MAINSTAY_SOCKET": self.root + "/none"})
        if done.returncode == NOT_THERE:
            self.skipTest("no seccomp notification here")
        self.assertEqual(done.returncode, 0, done.stderr)
        memory = read(self.dump)
        self.assertGreater(len(memory), 100000)
        return memory, done.stdout

    def keys(self):
        found = {}
        for path in glob.glob(self.root + "/**/*key*", recursive=True) + glob.glob(self.pki + "/../*.conf"):
            text = read(path)
            for line in re.findall(rb"client-key-data: (.*)", text):
                text = base64.b64decode(line)
            if b"PRIVATE KEY" in text:
                found[os.path.relpath(path, self.root)] = text
        return found

    def assert_wiped(self, memory, least):
        keys = self.keys()
        self.assertGreaterEqual(len(keys), least)
        left = [(name, what) for name, pem in keys.items() for what, secret in secrets(pem).items() if secret in memory]
        self.assertEqual(left, [])

    def init(self, *words):
        return self.run_dumped("pki", "init", f"--root={self.root}", "--node-name=m0", "--advertise-address=10.0.0.1",
                               *words)[0]

    def test_the_search_finds_what_is_there(self):
        """That it is no test of nothing: the names of the files are in that memory, and a key's text in a program that
        holds one."""
        memory = self.init()
        self.assertIn(b"apiserver", memory)
        done = subprocess.run([AT_WRITE, "--report", self.root + "/report", "--memory", self.dump, "--", "sh", "-c",
                               f'key="$(cat {self.pki}/ca.key)"; exit 0'])
        self.assertEqual(done.returncode, 0)
        self.assertIn(secrets(read(self.pki + "/ca.key"))["text"], read(self.dump))

    def test_made(self):
        self.assert_wiped(self.init(), 15 - 1)

    def test_made_rsa(self):
        self.assert_wiped(self.init("--key-type=rsa-2048"), 15 - 1)

    def test_kept(self):
        self.init()
        self.assert_wiped(self.init(), 15 - 1)

    def test_renewed_and_rotated(self):
        self.init()
        for words in (["renew", "all"], ["renew", "all", "--new-key"], *[["rotate-ca", "ca", "--force"]] * 3):
            with self.subTest(words):
                memory, _ = self.run_dumped("pki", *words, "--dir", self.pki, "--manifests", "/nowhere")
                self.assert_wiped(memory, 15 - 1)

    def test_sealed_and_opened(self):
        self.init("--key-type=rsa-2048")
        memory, key = self.run_dumped("pki", "export", "--dir", self.pki, "--for", "m1", self.root + "/sealed")
        self.assert_wiped(memory, 15 - 1)
        memory, _ = self.run_dumped("pki", "import", self.root + "/sealed", "--key", key.strip(), "--for", "m1", "--dir",
                                    self.root + "/other")
        self.assert_wiped(memory, 15 + 3)

    def test_as_guides_do(self):
        for algorithm, size in (("rsa", 2048), ("ecdsa", 256)):
            with self.subTest(algorithm):
                with open(self.root + "/csr.json", "w") as f:
                    f.write('{"CN": "ca", "key": {"algo": "%s", "size": %d}}' % (algorithm, size))
                memory, _ = self.run_dumped("pki", "gencert", "-initca", "-bare", algorithm, "csr.json")
                self.assert_wiped(memory, 1)


if __name__ == "__main__":
    harness.main()
