#!/usr/bin/env python3
"""Measures how long the whole kubeadm set of keys, certificates and kubeconfigs takes, in RSA-2048 and in ECDSA,
beside the real kubeadm (where it can be had) and beside cfssl, which is called once for each pair; in
memory, as only ours fsyncs its files. Part of tests/bench/run.py; alone: tests/bench/keys.py [DIRECTORY]"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "integration"))
sys.path.insert(0, os.path.join(HERE, "..", "differential"))
import harness  # noqa: E402
import programs  # noqa: E402

RUNS = int(os.environ.get("BENCH_KEY_SETS", "15"))
CLUSTER = """apiVersion: kubeadm.k8s.io/v1beta2
kind: ClusterConfiguration
kubernetesVersion: v1.20.2
certificatesDir: %s/pki
featureGates: {PublicKeysECDSA: %s}
---
apiVersion: kubeadm.k8s.io/v1beta2
kind: InitConfiguration
nodeRegistration: {name: m0}
localAPIEndpoint: {advertiseAddress: 10.0.0.5}
"""
KINDS = {"RSA-2048": ("rsa-2048", {"algo": "rsa", "size": 2048}),
         "ECDSA P-256": ("ecdsa-p256", {"algo": "ecdsa", "size": 256})}
PAIRS = {"ca": ["apiserver", "kubelet-client", "admin", "controller-manager", "scheduler", "kubelet"],
         "front-proxy-ca": ["front-proxy-client"], "etcd-ca": ["server", "peer", "healthcheck", "apiserver-etcd"]}


def run(*words, **more):
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more)


def by_mainstay(kind, directory):
    with open(directory + "/config.yaml", "w") as f:
        f.write(CLUSTER % (directory, "true"))
    return lambda: run(harness.MAINSTAY, "pki", "init", "--config", directory + "/config.yaml", "--kubeconfig-dir",
                       directory, "--key-type", KINDS[kind][0])


def by_kubeadm(kind, directory):
    kubeadm = programs.kubeadm_program()
    with open(directory + "/config.yaml", "w") as f:
        f.write(CLUSTER % (directory, "true" if kind.startswith("ECDSA") else "false"))

    def make():
        run(kubeadm, "init", "phase", "certs", "all", "--config", directory + "/config.yaml")
        run(kubeadm, "init", "phase", "kubeconfig", "all", "--config", directory + "/config.yaml", "--kubeconfig-dir",
            directory)
    return make


def by_cfssl(kind, directory):
    with open(directory + "/request.json", "w") as f:
        json.dump({"CN": "x", "hosts": ["m0", "10.0.0.5"], "key": KINDS[kind][1]}, f)
    lines = ["set -e"]
    for ca, leaves in PAIRS.items():
        lines.append(f"cfssl gencert -initca request.json | cfssljson -bare {ca}")
        lines += [f"cfssl gencert -ca={ca}.pem -ca-key={ca}-key.pem request.json | cfssljson -bare {leaf}"
                  for leaf in leaves]
    lines.append("cfssl genkey request.json | cfssljson -bare sa")
    return lambda: run("sh", "-c", "\n".join(lines), cwd=directory)


def median(maker, kind, where):
    times = []
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory(prefix="mainstay-bench-keys-", dir=where) as directory:
            make = maker(kind, directory)
            start = time.monotonic()
            make()
            times.append(time.monotonic() - start)
    return f"{statistics.median(times) * 1000:.0f} ms"


def key_rows(where):
    """The table's rows: what, mainstay, kubeadm, cfssl."""
    makers = [(by_mainstay, None), (by_kubeadm, programs.why_not_kubeadm()),
              (by_cfssl, None if shutil.which("cfssl") else "not installed")]
    rows = []
    for kind in KINDS:
        rows.append([f"the whole kubeadm set, {kind}, median of {RUNS}"]
                    + ["–" if missing else median(maker, kind, where) for maker, missing in makers])
        print("  " + " | ".join(rows[-1]), file=sys.stderr, flush=True)
    return rows


if __name__ == "__main__":
    key_rows(sys.argv[1] if len(sys.argv) > 1 else "/dev/shm")
