"""podmaster with the real kube-scheduler and kube-controller-manager, without leader election of their own:
three nodes, the shipped manifest of podmaster as a static pod on each, and the two components where podmaster
lets them be. Whoever holds one is killed, frozen or loses its podmaster; each time the component comes up
elsewhere (or goes on), what kubectl asks for is done by it, and no two instances were ever alive at once.
"""

import json
import os
import shutil
import signal
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "integration"))
import harness
from cluster import Cluster, HaTest
from rig import BUILD, SOURCE, binaries, call, read, until, write
from test_podmaster_torture import find_overlaps, read_intervals, send

STAMPER = os.path.join(BUILD, "tests", "stamper")
SHIPPED = os.path.join(SOURCE, "packaging", "podmaster", "podmaster.yaml")
PAIRS = ["kube-scheduler", "kube-controller-manager"]
# The stamps begin with the component's life, and end with the last of its container's processes.
WRAPPER = """#!/bin/sh
{stamper} {stamps} {node} &
exec {program} "$@"
"""
WITHOUT_ELECTION = """controllerManager:
  extraArgs: {leader-elect: "false"}
scheduler:
  extraArgs: {leader-elect: "false"}
---"""
NODE = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "worker"},
        "status": {"allocatable": {"cpu": "8", "memory": "8Gi", "pods": "110"},
                   "capacity": {"cpu": "8", "memory": "8Gi", "pods": "110"}}}
DEPLOYMENT = """apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      tolerations: [{{operator: Exists}}]
      containers: [{{name: main, image: "localhost/none:1"}}]
"""


class GuardedCluster(Cluster):
    """Its trees have podmaster's manifest, and the guarded manifests where podmaster takes them from."""

    def configuration(self):
        return super().configuration().replace("---", WITHOUT_ELECTION, 1)

    def stamps(self, component):
        return self.rig.file("stamps", component)

    def install_trees(self):
        for component in PAIRS:
            os.makedirs(self.stamps(component))
        for node in self.rig:
            self.stamp(node)
        super().install_trees()

    def change_tree(self, tree):
        os.makedirs(os.path.join(tree, "etc/mainstay/podmaster"))
        for component in PAIRS:
            os.rename(os.path.join(tree, f"etc/kubernetes/manifests/{component}.yaml"),
                      os.path.join(tree, f"etc/mainstay/podmaster/{component}.yaml"))
        shutil.copy(SHIPPED, os.path.join(tree, "etc/kubernetes/manifests/podmaster.yaml"))

    def stamp(self, node):
        """Its images of the two components stamp while they live; podmaster is where the manifest looks for it."""
        node.run("mkdir", "-p", "/usr/local/sbin")
        node.run("ln", "-s", os.path.join(BUILD, "podmaster"), "/usr/local/sbin/podmaster")
        for component in PAIRS:
            path = node.path(f"var/lib/mainstay/images/registry.k8s.io/{component}/v1.20.2/bin/{component}")
            os.unlink(path)
            write(path, WRAPPER.format(stamper=STAMPER, stamps=self.stamps(component), node=node.name,
                                       program=os.path.join(binaries(), component)))
            os.chmod(path, 0o755)

    def is_ready(self, url):
        try:
            call(*self.rig.in_client("curl", "-skf", "-m", "5", f"{url}/readyz"))
        except RuntimeError:
            return False
        return True

    def whole(self, seconds=300):
        until(lambda: all(map(self.is_ready, self.urls())), "all API servers are ready", seconds)


class Podmaster(HaTest):
    way = "render"

    @classmethod
    def begin(cls, rig):
        super().begin(rig)
        cls.cluster = GuardedCluster(rig)
        cls.cluster.start_load = lambda *flags: None

    @classmethod
    def setUpClass(cls):
        if not os.path.exists(STAMPER):
            raise harness.unittest.SkipTest(f"no stamper in {BUILD}")
        super().setUpClass()
        cls.cluster.kubectl("apply", "-f", "-", input=json.dumps(NODE))

    # ---- what there is

    def runs_on(self, component):
        return [node for node in self.rig if node.pid() and self.pids(node, component)]

    def pids(self, node, name):
        found = []
        for pid in node.cell.processes():
            try:
                if os.path.basename(os.readlink(f"/proc/{pid}/exe")) == name:
                    found.append(pid)
            except OSError:
                pass
        return found

    def holder(self, component, unlike=None):
        """The node where it runs, as soon as that is another one than `unlike`."""
        def look():
            nodes = self.runs_on(component)
            return nodes[0] if len(nodes) == 1 and nodes[0] is not unlike else None
        return until(look, f"{component} runs on one node{f', not {unlike.name}' if unlike else ''}", 180)

    def works(self, name):
        """A Deployment made now has a pod (the controller manager's doing), which has a node (the scheduler's)."""
        def applied():
            return self.cluster.kubectl("apply", "-f", "-", input=DEPLOYMENT.format(name=name),
                                        check=False).returncode == 0
        def bound():
            return self.cluster.kubectl("get", "pods", "-l", f"app={name}", "-o",
                                        "jsonpath={.items[*].spec.nodeName}", check=False).stdout == "worker"
        until(applied, "kubectl is served", 120)
        until(bound, f"the pod of {name} is bound", 180)

    def never_two(self):
        for component in PAIRS:
            intervals = read_intervals(self.cluster.stamps(component))
            self.assertEqual(find_overlaps(intervals), ([], []), component)
            self.assertGreater(len(intervals), 0)

    def fails_over(self, what, component, old, start):
        new = self.holder(component, unlike=old)
        up = time.monotonic() - start
        self.works(f"after-{len(self.table)}")
        self.table.append((what, f"{component} on {new.name} instead of {old.name} after {up:.0f} s, "
                                 f"at work after {time.monotonic() - start:.0f} s"))
        self.never_two()

    def run(self, result=None):
        before = result and len(result.failures) + len(result.errors)
        super().run(result)
        if result and len(result.failures) + len(result.errors) > before:
            self.tell_nodes("podmaster")

    # ---- what is done to them

    def test_1_each_on_one_node(self):
        for component in PAIRS:
            self.holder(component)
            command = read(f"/proc/{self.pid(self.holder(component), component)}/cmdline").split("\0")
            self.assertIn("--leader-elect=false", command)
        self.works("at-first")
        self.never_two()

    def test_2_the_node_is_killed(self):
        old = self.holder("kube-scheduler")
        start = time.monotonic()
        old.kill()
        self.fails_over("the node that has the scheduler killed whole", "kube-scheduler", old, start)
        self.holder("kube-controller-manager")
        old.boot()
        self.cluster.whole()

    def test_3_podmaster_is_killed(self):
        """It is started again at once, and the lease is its own still: the component goes on."""
        node = self.holder("kube-controller-manager")
        before = self.pid(node, "kube-controller-manager")
        masters = self.pids(node, "podmaster")
        self.assertGreaterEqual(len(masters), 3, "one for each pair, and who looks after them")
        send(masters, signal.SIGKILL)
        until(lambda: len(self.pids(node, "podmaster")) >= 3, "another podmaster")
        self.assertEqual(self.holder("kube-controller-manager"), node)
        self.assertEqual(self.pid(node, "kube-controller-manager"), before)
        self.works("after-podmaster")
        self.never_two()

    def test_4_podmaster_and_agent_hang(self):
        """The shims are left, and the deadline that they know of."""
        old = self.holder("kube-controller-manager")
        stopped = [*self.pids(old, "podmaster"), old.agent_pid()]
        start = time.monotonic()
        send(stopped, signal.SIGSTOP)
        try:
            self.fails_over("podmaster and agent of its node stopped", "kube-controller-manager", old, start)
        finally:
            send(stopped, signal.SIGCONT)

    def test_5_podmaster_and_agent_are_killed(self):
        node = self.holder("kube-scheduler")
        agent = node.agent_pid()
        send([agent, *self.pids(node, "podmaster")], signal.SIGKILL)
        until(lambda: node.agent_pid() not in (None, agent), "another agent")
        until(lambda: len(self.pids(node, "podmaster")) >= 3, "another podmaster")
        self.holder("kube-scheduler")
        self.works("after-both")
        self.never_two()

    def test_6_the_machine_sleeps(self):
        """All of it stands still, fence and shims too, beyond its lease. It wakes up when the lease is another's:
        nobody can promise that the old instance gets no time then (podmaster(8)); how much it got is told."""
        old = self.holder("kube-scheduler")
        asleep = {c: self.newest(c) for c in PAIRS if old in self.runs_on(c)}
        old.freeze()
        try:
            for component in asleep:
                until(lambda c=component: self.newest(c).node != old.name, f"{component} elsewhere", 180)
        finally:
            woken = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
            old.thaw()
        for component, before in asleep.items():
            until(lambda c=component: old not in self.runs_on(c), f"the end of {component} on {old.name}")
            intervals = read_intervals(self.cluster.stamps(component))
            elsewhere, twice = find_overlaps(intervals)
            self.assertEqual(twice, [])
            self.assertEqual({first.name for first, _ in elsewhere} - {before.name}, set())
            end = next(i.end for i in intervals if i.name == before.name)
            self.table.append((f"{old.name} asleep beyond its lease, woken up",
                               f"{component} ran on for {max(end - woken, 0) / 1e6:.1f} ms"))
        self.works("after-sleep")

    def newest(self, component):
        return read_intervals(self.cluster.stamps(component))[-1]


if __name__ == "__main__":
    harness.main()
