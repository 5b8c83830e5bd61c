"""How packaging/kubernetes-binaries downloads: by hash, or not at all."""

import functools
import hashlib
import http.server
import io
import os
import subprocess
import tarfile
import tempfile
import threading
import unittest

import harness

SCRIPT = os.path.join(harness.SOURCE, "packaging", "kubernetes-binaries")
COMPONENTS = ["kube-apiserver", "kube-controller-manager", "kube-scheduler"]


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *words):
        pass


def make_archive(path):
    with tarfile.open(path, "w:gz") as tar:
        for name in COMPONENTS:
            text = f"#!/bin/sh\necho {name}\n".encode()
            member = tarfile.TarInfo("kubernetes/server/bin/" + name)
            member.size, member.mode = len(text), 0o755
            tar.addfile(member, io.BytesIO(text))
    with open(path, "rb") as f:
        return hashlib.sha512(f.read()).hexdigest()


@unittest.skipUnless(os.uname().machine == "x86_64", "the official archive is for amd64")
class Download(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="mainstay-test-")
        self.addCleanup(directory.cleanup)
        self.dir = directory.name
        os.mkdir(os.path.join(self.dir, "site"))
        self.hash = make_archive(os.path.join(self.dir, "site", "server.tar.gz"))
        handler = functools.partial(Quiet, directory=os.path.join(self.dir, "site"))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{server.server_address[1]}/server.tar.gz"

    def run_script(self, sha512, url=None):
        env = dict(os.environ, MAINSTAY_CACHE=os.path.join(self.dir, "cache"),
                   MAINSTAY_KUBERNETES_FROM="download", MAINSTAY_KUBERNETES_ARCHIVE=url or self.url,
                   MAINSTAY_KUBERNETES_SHA512=sha512, no_proxy="127.0.0.1")
        env.pop("MAINSTAY_KUBERNETES_BIN", None)
        return subprocess.run([SCRIPT], env=env, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=harness.WAIT_SECONDS)

    def test_the_right_hash(self):
        done = self.run_script(self.hash)
        self.assertEqual(done.returncode, 0, done.stderr)
        where = done.stdout.strip()
        for name in COMPONENTS:
            out = subprocess.run([os.path.join(where, name)], capture_output=True, text=True, check=True)
            self.assertEqual(out.stdout, name + "\n")
        self.assertEqual(self.run_script("0" * 128).stdout.strip(), where)  # what is there is not got again

    def test_a_wrong_hash_is_thrown_away(self):
        done = self.run_script("0" * 128)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("hash", done.stderr)
        left = [f for _, _, files in os.walk(os.path.join(self.dir, "cache")) for f in files]
        self.assertFalse([f for f in left if f.startswith("kube-") or f.endswith(".gz")], left)

    def test_a_site_that_is_not_there(self):
        done = self.run_script(self.hash, "http://127.0.0.1:9/nothing.tar.gz")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("cannot be reached", done.stderr)


if __name__ == "__main__":
    harness.main()
