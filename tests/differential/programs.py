"""The programs that the differential test asks, and why one of them may not be there."""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("MAINSTAY_BUILD", os.path.join(SOURCE, "build", "release"))
CACHE = os.path.expanduser("~/.cache/mainstay")
TREE = os.environ.get("MAINSTAY_K8S_SRC", os.path.join(CACHE, "src", "kubernetes-1.20.2"))
DUMP = os.path.join(BUILD, "tests", "pod-dump")
MAINSTAY = os.path.join(BUILD, "mainstay")
NODE = "node-1"  # as both know it


def why_not():
    if not os.path.isdir(os.path.join(TREE, "pkg", "kubelet")):
        return f"no Kubernetes tree at {TREE} (set MAINSTAY_K8S_SRC)"
    if not os.path.exists(os.path.join(TREE, ".go", "src", "k8s.io", "kubernetes")):
        return f"{TREE} is not prepared for building (.go/src/k8s.io/kubernetes is missing)"
    if not shutil.which("go"):
        return "Go is not installed (Debian: golang-go)"
    return None


def oracle_program():
    """Built once for each state of its sources, as linking it takes two minutes."""
    state = hashlib.sha256(os.path.realpath(TREE).encode())
    for name in ("build-oracle", "oracle/main.go", "oracle/export.go"):
        with open(os.path.join(HERE, name), "rb") as f:
            state.update(f.read())
    program = os.path.join(CACHE, "oracle-" + state.hexdigest()[:16])
    os.makedirs(CACHE, exist_ok=True)
    with open(os.path.join(CACHE, "oracle.lock"), "w") as lock:  # two tests may want it
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(program):
            print("building the oracle from", TREE, flush=True)
            subprocess.run([os.path.join(HERE, "build-oracle"), TREE, program + ".new"], check=True)
            os.rename(program + ".new", program)
    return program


class Asked:
    """A program that answers one line of JSON with another. It works while others are asked."""

    def __init__(self, program, requests):
        self.program, self.requests = program, requests
        self.text = "".join(json.dumps(r) + "\n" for r in requests).encode()
        self.input = open(os.memfd_create("requests"), "w+b")
        self.input.write(self.text)
        self.input.seek(0)
        self.output = open(os.memfd_create("answers"), "w+b")
        self.process = subprocess.Popen([program], stdin=self.input, stdout=self.output)

    def answers(self):
        status = self.process.wait()
        self.output.seek(0)
        answers = [json.loads(line) for line in self.output]
        self.input.close()
        self.output.close()
        if status != 0 or len(answers) != len(self.requests):
            last = self.requests[min(len(answers), len(self.requests) - 1)]
            raise AssertionError(f"{self.program} ended with {status} at {json.dumps(last)[:2000]}")
        return answers


def ask(program, requests):
    return Asked(program, requests).answers()


def why_not_kubeadm():
    return None if os.environ.get("MAINSTAY_KUBEADM") else why_not()


def kubeadm_program():
    """The real one, built once from the same tree, or the one that MAINSTAY_KUBEADM names."""
    given = os.environ.get("MAINSTAY_KUBEADM")
    if given:
        return given
    program = os.path.join(CACHE, "kubeadm-" + hashlib.sha256(os.path.realpath(TREE).encode()).hexdigest()[:16])
    os.makedirs(CACHE, exist_ok=True)
    with open(os.path.join(CACHE, "kubeadm.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(program):
            print("building kubeadm from", TREE, flush=True)
            version = "-X k8s.io/component-base/version."
            flags = f"{version}gitVersion=v1.20.2 {version}gitMajor=1 {version}gitMinor=20"
            go = {"GOPATH": os.path.join(TREE, ".go"), "GO111MODULE": "off", "CGO_ENABLED": "0"}
            subprocess.run(["go", "build", "-p", "2", "-ldflags", flags, "-o", program + ".new", "./cmd/kubeadm"],
                           check=True, env={**os.environ, **go}, cwd=os.path.join(TREE, ".go/src/k8s.io/kubernetes"))
            os.rename(program + ".new", program)
    return program
