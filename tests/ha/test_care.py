"""The care of a cluster under load: flags that change on every node, a dead machine replaced, a snapshot
restored on fresh machines. Beside test_faults.py, with the same rig and the same client.
"""

import os
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "integration"))
import harness
import rig as rig_module
from cluster import HaTest
from rig import write

WORKERS = 6  # of the client: each has one request in flight


class Care(HaTest):
    # ---- flags

    def with_flag(self, node, component, flag, value):
        """The text of a component's manifest with a flag of its command set."""
        lines = [line for line in rig_module.read(node.path(f"etc/kubernetes/manifests/{component}.yaml")).splitlines()
                 if f"--{flag}=" not in line]
        at = next(i for i, line in enumerate(lines) if line.strip() == f"- {component}")
        indent = lines[at][:lines[at].index("-")]
        lines.insert(at + 1, f'{indent}- "--{flag}={value}"')
        return "\n".join(lines) + "\n"

    def apply(self, node, component, text):
        """As an operator does it; returns when the new one is ready."""
        os.makedirs(self.rig.file("edit", node.name), exist_ok=True)
        path = self.rig.file("edit", node.name, f"{component}.yaml")
        write(path, text)
        node.mainstay("apply", path, "--wait", "--timeout", "4m", timeout=300)

    def runs_with(self, node, component, word):
        with open(f"/proc/{self.pid(node, component)}/cmdline") as f:
            return word in f.read().split("\0")

    def test_1_rolling_flags_with_draining(self):
        with self.fault("a flag of each kube-apiserver changed in turn, drained") as seen:
            for node in self.rig:
                self.apply(node, "kube-apiserver", self.with_flag(node, "kube-apiserver", "event-ttl", "61m"))
                self.assertTrue(self.runs_with(node, "kube-apiserver", "--event-ttl=61m"))
        self.assertEqual(seen["failures"], {}, "with draining none fails")

    def test_2_rolling_flags_without_draining(self):
        node = list(self.rig)[0]
        with self.fault(f"draining of {node.name}'s kube-apiserver switched off, which is drained") as seen:
            self.apply(node, "kube-apiserver", self.with_flag(node, "kube-apiserver", "shutdown-delay-duration", "0s"))
        self.assertEqual(seen["failures"], {}, "with draining none fails")
        with self.fault(f"a flag of {node.name}'s kube-apiserver changed, not drained") as seen:
            self.apply(node, "kube-apiserver", self.with_flag(node, "kube-apiserver", "shutdown-delay-duration", "10s"))
        self.assertLessEqual(sum(seen["failures"].values()), WORKERS, "only what was in flight fails")

    def test_3_all_etcds_edited_at_once(self):
        """The guard lets them take turns: never two are away, and there is a leader throughout."""
        with self.fault("a flag of all three etcds changed at once"):
            before = {node.name: self.pid(node, "etcd") for node in self.rig}
            for node in self.rig:
                path = node.path("etc/kubernetes/manifests/etcd.yaml")
                temporary = node.path("etc/kubernetes/.etcd")
                write(temporary, self.with_flag(node, "etcd", "max-txn-ops", "256"))
                os.rename(temporary, path)
            # Until the last has changed: how many answer, as often as one can look.
            fewest = 3
            end = time.monotonic() + 180
            while not all(self.runs_anew(node, before) for node in self.rig):
                self.assertLess(time.monotonic(), end, "the etcds are not all restarted")
                fewest = min(fewest, sum(self.runs(node, "etcd") for node in self.rig))
                time.sleep(0.05)
            self.assertGreaterEqual(fewest, 2, "two members were away at once")
            for node in self.rig:
                self.assertTrue(self.runs_with(node, "etcd", "--max-txn-ops=256"))

    def runs(self, node, name):
        try:
            return bool(self.pid(node, name))
        except AssertionError:
            return False

    def runs_anew(self, node, before):
        return self.runs(node, "etcd") and self.pid(node, "etcd") != before[node.name]


if __name__ == "__main__":
    harness.main()
