"""Any one of three nodes may die: real etcd, Kubernetes, haproxy and keepalived under a client that
writes and reads all the while. No acknowledged write is ever lost; the time without service is
measured and printed; afterwards the cluster is whole without a hand.

MAINSTAY_HA_ROUNDS=N repeats every fault N times.
"""

import json
import os
import signal
import sys
import time
from email.utils import parsedate_to_datetime

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "integration"))
import clock
import harness
import rig as rig_module
from cluster import COMPONENTS, HaTest, each_round
from rig import VIP, call, until, write

STAY_SECONDS = float(os.environ.get("MAINSTAY_HA_STAY_SECONDS", "6"))  # how long a fault lasts


class Faults(HaTest):
    """Each test: a fault, a while with it, the cure (what a machine or a network does by itself)."""

    def last(self):
        """A fault lasts at least a while, and until the service is there again in spite of it."""
        time.sleep(STAY_SECONDS)
        self.served()

    @each_round
    def test_01_each_node_is_killed_whole(self):
        for node in self.rig:
            with self.fault(f"{node.name} killed whole{self.roles(node)}, booted again"):
                node.kill()
                self.last()
                node.boot()

    @each_round
    def test_02_cut_off_from_the_network(self):
        node = self.balancing_node()
        with self.fault(f"{node.name} cut off{self.roles(node)}"):
            node.cut()
            self.last()
            node.heal()

    @each_round
    def test_03_cut_off_in_one_direction(self):
        for way, words in [("from", "is not heard"), ("to", "does not hear")]:
            node = self.etcd_leader()
            with self.fault(f"{node.name} {words}{self.roles(node)}"):
                node.cut(way)
                self.last()
                node.heal()

    @each_round
    def test_04_frozen(self):
        node = self.balancing_node()
        with self.fault(f"{node.name} frozen{self.roles(node)}, thawed"):
            node.freeze()
            self.last()
            node.thaw()

    @each_round
    def test_05_the_disk_is_full(self):
        node = self.etcd_leader()
        before = self.pid(node, "etcd")
        with self.fault(f"{node.name}'s disk full{self.roles(node)}"):
            node.fill_disk()
            # etcd goes on for a while in the files that it has; then it ends itself, as it must.
            until(lambda: not os.path.exists(f"/proc/{before}"), "etcd has no room left")
            self.last()
            node.free_disk()

    @each_round
    def test_06_the_agent_is_killed_alone(self):
        for node in self.rig:
            before = {name: self.pid(node, name) for name in COMPONENTS}
            agent = node.agent_pid()
            with self.fault(f"{node.name}'s agent killed") as seen:
                os.kill(agent, signal.SIGKILL)
                until(lambda: node.agent_pid() not in (None, agent), "another agent")
                until(lambda: all(name in node.pods() for name in COMPONENTS), "the pods are known again")
            self.assertEqual({name: self.pid(node, name) for name in COMPONENTS}, before)
            self.assertEqual(seen["failures"], {})

    @each_round
    def test_07_broken_manifests(self):
        node = next(iter(self.rig))
        before = {name: self.pid(node, name) for name in COMPONENTS}
        kept = {}
        with self.fault(f"{node.name}'s manifests edited broken, mended") as seen:
            for name in COMPONENTS:
                path = node.path(f"etc/kubernetes/manifests/{name}.yaml")
                kept[path] = rig_module.read(path)
                self.replace(path, kept[path].replace("containers:", "containrs:"))
            until(lambda: len(json.loads(node.mainstay("get", "manifests", "-o", "json", check=False).stdout
                                         or '{"items":[]}')["items"]) >= 4 and
                  node.mainstay("status", check=False).stdout.count("containrs") >= 4, "all four are refused")
            self.assertEqual({name: self.pid(node, name) for name in COMPONENTS}, before)
            for path, text in kept.items():
                self.replace(path, text)
        self.assertEqual({name: self.pid(node, name) for name in COMPONENTS}, before)
        self.assertEqual(seen["failures"], {})

    @each_round
    def test_08_two_nodes_gone_and_back(self):
        gone = list(self.rig)[1:]
        with self.fault("m2 and m3 killed whole at once, booted again"):
            for node in gone:
                node.cell.freeze()  # at once
            for node in gone:
                node.kill()
            time.sleep(STAY_SECONDS)
            for node in gone:
                node.boot()

    @each_round
    def test_09_the_clock_moves(self):
        if clock.missing():
            self.skipTest(clock.missing())
        for node, seconds, words in [(self.etcd_leader(), 86400, "a day ahead"),
                                     (self.balancing_node(), -120, "two minutes back")]:
            with self.fault(f"{node.name}'s clock {words}{self.roles(node)}, and right again"):
                node.move_clock(seconds)
                self.assertAlmostEqual(self.clock_of(node), time.time() + seconds, delta=30)
                self.last()
                node.move_clock(0)

    def clock_of(self, node):
        """What its kube-apiserver takes for the time."""
        head = call(*self.rig.in_client("curl", "-skI", f"https://{node.address}:6443/livez"))
        date = next(line.split(":", 1)[1] for line in head.splitlines() if line.lower().startswith("date:"))
        return parsedate_to_datetime(date.strip()).timestamp()

    @each_round
    def test_10_off_in_order(self):
        """kube-apiserver is drained, then its etcd stops. And what sleeps and timers go by starts elsewhere, as after
        another boot: nothing may be kept from before."""
        others = (self.balancing_node(), self.etcd_leader())
        node = next(n for n in self.rig if n not in others)
        with self.fault(f"{node.name} off in order, on with its monotonic clock 40 days ahead") as seen:
            node.shutdown()
            node.monotonic = 40 * 86400
            node.boot()
        self.assertEqual({k for k in seen["failures"] if k in ("refused", "reset")}, set())

    @each_round
    def test_11_no_kube_apiserver_is_ready(self):
        """All balancers live: one of them keeps the address, so that there is service when one is ready again."""
        frozen = [self.pid(node, "etcd") for node in list(self.rig)[1:]]
        with self.fault("etcd frozen on two nodes, thawed"):
            since = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
            for pid in frozen:
                os.kill(pid, signal.SIGSTOP)
            try:
                until(lambda: all(self.said(node, "keepalived", "priority from 100 to 50", since) for node in self.rig),
                      "no node finds a kube-apiserver that is ready")
                until(lambda: len(self.holders()) == 1, "one node has the address")
            finally:
                for pid in frozen:
                    os.kill(pid, signal.SIGCONT)

    def holders(self):
        return [node.name for node in self.rig if f"inet {VIP}/" in node.run("ip", "addr").stdout]

    def replace(self, path, text):
        temporary = os.path.join(os.path.dirname(os.path.dirname(path)), ".edit")
        write(temporary, text)
        os.rename(temporary, path)


if __name__ == "__main__":
    harness.main()
