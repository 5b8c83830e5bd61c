"""Renewal and CA rotation of a running single-node control plane, under a client that reads and writes all the
while: requests fail only while a component restarts, and every one is counted."""

import os
import re
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import test_control_plane as control_plane
from test_control_plane import harness


class Client(threading.Thread):
    """Writes a number and reads it back, again and again, by the kubeconfig as it is then."""

    def __init__(self, kubectl):
        super().__init__(daemon=True)
        self.kubectl, self.done, self.good, self.failed = kubectl, threading.Event(), 0, []

    def run(self):
        while not self.done.is_set():
            begin, number = time.monotonic(), str(self.good + len(self.failed))
            put = self.kubectl("annotate", "--overwrite", "namespace", "default", f"number={number}")
            get = self.kubectl("get", "namespace", "default", "-o", "jsonpath={.metadata.annotations.number}")
            if put.returncode == 0 and get.stdout == number:
                self.good += 1
            else:
                self.failed.append((begin, time.monotonic(), put.stderr + get.stderr + get.stdout))

    def stop(self):
        self.done.set()
        self.join()


class Rotation(unittest.TestCase):
    # As it is there, but not its tests.
    setUpClass = classmethod(control_plane.ControlPlane.setUpClass.__func__)
    kubectl = classmethod(control_plane.ControlPlane.kubectl.__func__)
    until = classmethod(control_plane.ControlPlane.until.__func__)

    def setUp(self):
        self.until(lambda: self.kubectl("get", "namespace", "default").returncode == 0, "the namespace default")
        self.restarts = []
        self.client = Client(self.kubectl)
        self.client.start()
        self.addCleanup(self.client.stop)

    def pki_do(self, *words, status=0):
        done = subprocess.run([harness.MAINSTAY, "pki", *words, "--dir", self.pki, "--manifests", self.agent.manifests],
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def pid(self, name):
        try:
            return harness.pid_of(self.agent.pod(name), name)
        except (KeyError, IndexError, TypeError):
            return None

    def restart(self, name, act=None):
        """Restarts it, and remembers when that was."""
        before, begin = self.pid(name), time.monotonic()
        act() if act else self.agent.cli("restart", name, check=True)
        self.until(lambda: self.pid(name) not in (None, before) and harness.is_ready(self.agent.pod(name)), name)
        self.until(lambda: self.kubectl("get", "--raw", "/readyz").stdout == "ok", "readyz")
        self.restarts.append((begin, time.monotonic()))

    def restart_what_it_says(self, text):
        for name in control_plane.COMPONENTS:
            if re.search(f"(?m)^restart  {name}: ", text):
                self.restart(name)

    def assert_client(self):
        good = self.client.good
        self.until(lambda: self.client.good > good + 2, "the client goes on")
        self.client.stop()
        outside = [f for f in self.client.failed
                   if not any(f[0] <= end and begin <= f[1] for begin, end in self.restarts)]
        print(f"{self.client.good} good, {len(self.client.failed)} failed, {len(outside)} of them outside restarts")
        self.assertEqual(outside, [])

    def test_1_renewal(self):
        text = self.pki_do("renew", "all")
        self.assertIn("nothing to do for kube-apiserver", text)
        self.restart_what_it_says(text)
        self.assert_client()

    def name_the_signer(self):
        self.pki_do("rotate-ca", "ca", "--force", status=1)
        path = os.path.join(self.agent.manifests, "kube-controller-manager.yaml")
        with open(path) as f:
            text = re.sub(r"(--cluster-signing-cert-file=\S*)/ca\.crt", r"\1/ca-signer.crt", f.read())
        self.agent.drop("kube-controller-manager.yaml", text)

    def test_2_rotation_of_the_clusters_ca(self):
        self.restart("kube-controller-manager", self.name_the_signer)
        for step in (1, 2, 3):
            text = self.pki_do("rotate-ca", "ca", "--force")
            self.assertIn(f"Step {step} of 3", text)
            self.restart_what_it_says(text)
        self.assert_client()

    def test_3_rotation_of_etcds_ca(self):
        for step in (1, 2, 3):
            text = self.pki_do("rotate-ca", "etcd/ca", "--force")
            self.assertIn(f"Step {step} of 3", text)
            self.restart_what_it_says(text)
        self.assert_client()


if __name__ == "__main__":
    harness.main()
