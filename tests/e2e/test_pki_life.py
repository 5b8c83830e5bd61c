"""Renewal and CA rotation of a running single-node control plane, under a client that reads and writes all the
while: requests fail only while a component restarts, and every one is counted."""

import base64
import json
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
        places = ["--manifests", self.agent.manifests] + ([] if words[0] == "check" else ["--dir", self.pki])
        done = subprocess.run([harness.MAINSTAY, "pki", *words, *places],
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

    def assert_signed_by_the_ca(self):
        """kube-controller-manager signs a request of somebody's, and by the CA as it is now."""
        directory = self.agent.path("cluster")
        subprocess.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                        "/CN=jane", "-keyout", directory + "/jane.key", "-out", directory + "/jane.csr"], check=True,
                       capture_output=True)
        with open(directory + "/jane.csr", "rb") as f:
            request = base64.b64encode(f.read()).decode()
        self.kubectl("apply", "-f", "-", check=True, text=json.dumps({
            "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"name": "jane"},
            "spec": {"request": request, "signerName": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"]}}))
        self.kubectl("certificate", "approve", "jane", check=True)
        issued = ["get", "csr", "jane", "-o", "jsonpath={.status.certificate}"]
        self.until(lambda: self.kubectl(*issued).stdout, "a certificate for jane")
        with open(directory + "/jane.crt", "wb") as f:
            f.write(base64.b64decode(self.kubectl(*issued).stdout))
        subprocess.run(["openssl", "verify", "-CAfile", self.pki + "/ca.crt", directory + "/jane.crt"], check=True,
                       capture_output=True)

    def test_2_rotation_of_the_clusters_ca(self):
        """Without a hand on any manifest: the one whose flag takes no bundle is changed by the first step itself."""
        said = []
        self.restart("kube-controller-manager", lambda: said.append(self.pki_do("rotate-ca", "ca", "--force")))
        self.assertIn("Step 1 of 3", said[0])
        self.assertRegex(said[0], r"(?m)^written  \S+/kube-controller-manager.yaml: it names \S+/ca-signer.crt now")
        self.restart_what_it_says(said[0])
        for step in (2, 3):
            text = self.pki_do("rotate-ca", "ca", "--force")
            self.assertIn(f"Step {step} of 3", text)
            self.restart_what_it_says(text)
        self.assert_client()
        self.assert_signed_by_the_ca()

    def test_3_rotation_of_etcds_ca(self):
        for step in (1, 2, 3):
            text = self.pki_do("rotate-ca", "etcd/ca", "--force")
            self.assertIn(f"Step {step} of 3", text)
            self.restart_what_it_says(text)
        self.assert_client()


if __name__ == "__main__":
    harness.main()
