"""The care of a cluster under load: flags that change on every node, a dead machine replaced, a snapshot
restored on fresh machines. Beside test_faults.py, with the same rig and the same client.
"""

import json
import os
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "integration"))
import client
import harness
import rig as rig_module
from cluster import HaTest
from rig import call, until, write

WORKERS = 6  # of the client: each has one request in flight


class Care(HaTest):
    way = "render"
    # No request is given up for being slow: what counts here is whether one fails.
    load_flags = ("--timeout", "30")

    # ---- flags

    def with_flags(self, node, component, **flags):
        """The text of a component's manifest with flags of its command set (_ for -)."""
        lines = rig_module.read(node.path(f"etc/kubernetes/manifests/{component}.yaml")).splitlines()
        for flag, value in flags.items():
            flag = flag.replace("_", "-")
            lines = [line for line in lines if f"--{flag}=" not in line]
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
                flags = {"event_ttl": "61m"}
                if node is self.rig["m1"]:
                    flags["shutdown_delay_duration"] = "0s"  # for the next test: it holds from the next stop on
                self.apply(node, "kube-apiserver", self.with_flags(node, "kube-apiserver", **flags))
                self.assertTrue(self.runs_with(node, "kube-apiserver", "--event-ttl=61m"))
        self.assertEqual(seen["failures"], {}, "with draining none fails")

    def test_2_flags_without_draining(self):
        node = self.rig["m1"]
        self.assertTrue(self.runs_with(node, "kube-apiserver", "--shutdown-delay-duration=0s"))
        with self.fault("a flag of m1's kube-apiserver changed, not drained") as seen:
            self.apply(node, "kube-apiserver", self.with_flags(node, "kube-apiserver", shutdown_delay_duration="10s"))
        self.assertLessEqual(sum(seen["failures"].values()), WORKERS, "only what was in flight fails")

    def test_3_all_etcds_edited_at_once(self):
        """The guard lets them take turns: never two are away, and there is a leader throughout."""
        with self.fault("a flag of all three etcds changed at once"):
            before = {node.name: self.pid(node, "etcd") for node in self.rig}
            for node in self.rig:
                path = node.path("etc/kubernetes/manifests/etcd.yaml")
                temporary = node.path("etc/kubernetes/.etcd")
                write(temporary, self.with_flags(node, "etcd", max_txn_ops=256))
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

    # ---- machines

    def test_4_a_dead_machine_is_replaced(self):
        first = list(self.rig)[0]
        sealed = self.rig.file("m4.sealed")
        with self.fault("m3 gone for good, m4 in its place"):
            self.rig.scrap("m3")
            self.served()
            new = self.rig.add("m4")
            new.boot()
            # The one command, on a node that lives; it waits for the new machine, which joins as any does.
            replacing = subprocess.Popen(first.inside("mainstay", "etcd", "member", "replace", "m3", "--node",
                                                      f"m4={new.address}", "--wait", "5m"),
                                         preexec_fn=first.cell.enter, stdin=subprocess.DEVNULL,
                                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            with replacing.stdout:
                said = []
                for line in replacing.stdout:
                    said.append(line)
                    if line.startswith("next"):
                        key = first.mainstay("pki", "export", sealed, "--for", "m4").stdout.strip()
                        new.mainstay("join", sealed, "--key", key, "--advertise-address", new.address)
            self.assertEqual(replacing.wait(60), 0, "".join(said))
        members = self.etcdctl("member", "list").stdout
        self.assertEqual(sorted(line.split(", ")[2] for line in members.splitlines()), ["m1", "m2", "m4"])
        for node in self.rig:  # whoever balances follows
            self.assertIn(f"{new.address}:6443", rig_module.read(node.path("over/etc/haproxy/haproxy.cfg")))

    def test_5_a_snapshot_is_restored_on_fresh_machines(self):
        first = list(self.rig)[0]
        snapshot = self.rig.file("snapshot.db")
        until(lambda: client.summary(self.cluster.book)["writes"] >= 500, "there is something to keep")
        began = time.monotonic()
        first.mainstay("etcd", "snapshot", "save", snapshot)
        ended = time.monotonic()
        self.served()  # what comes after it must not be there afterwards
        self.cluster.stop_load()
        revision = json.loads(call("env", "ETCDCTL_API=3", "etcdctl", "snapshot", "status", snapshot, "-w",
                                   "json"))["revision"]
        sealed = self.rig.file("backup.sealed")
        key = first.mainstay("pki", "export", sealed, "--for", first.name).stdout.strip()
        for name in list(self.rig.nodes):
            self.rig.scrap(name)
        start = time.monotonic()
        for name in ("m1", "m2", "m3"):
            self.rig.add(name).boot()
        first = self.rig["m1"]
        first.mainstay("pki", "import", sealed, "--key", key, "--for", first.name)
        self.cluster.init(first)
        first.mainstay("etcd", "snapshot", "restore", snapshot)
        for node in list(self.rig)[1:]:
            self.cluster.join(node, first)
        self.cluster.whole()
        self.table.append(("a snapshot restored on three fresh machines", f"{time.monotonic() - start:.0f} s"))
        lines = self.cluster.check_snapshot(revision, began, ended)
        self.table.append(("  taken under load, compared with the client's book", lines))


if __name__ == "__main__":
    harness.main()
