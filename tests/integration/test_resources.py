"""Requests and limits, what they cost and what is used: cgroupfs, OOM kills, the limit of
processes, statistics and metrics, `mainstay top`."""

import json
import math
import os
import re
import sys
import unittest

import harness
from harness import AgentTest, container, pid_of, pod_yaml, status_of

PYTHON = os.path.realpath(sys.executable)


def resources(**lists):
    return "    resources: " + json.dumps(lists) + "\n"


def groups_of(pid):
    """{controller: directory of the process's cgroup}; "" is the v2 hierarchy."""
    mounts = {}
    with open("/proc/self/mountinfo") as f:
        for line in f:
            fields, tail = line.split(" - ")[0].split(), line.split(" - ")[1].split()
            if tail[0] == "cgroup2":
                mounts.setdefault("", (fields[3], fields[4]))
            elif tail[0] == "cgroup":
                for name in tail[2].split(","):
                    mounts.setdefault(name, (fields[3], fields[4]))
    found = {}
    with open(f"/proc/{pid}/cgroup") as f:
        for line in f:
            _, controllers, path = line.rstrip("\n").split(":", 2)
            for name in controllers.split(","):
                if name in mounts:
                    root, point = mounts[name]
                    found[name] = point + "/" + os.path.relpath(path, root)
    return found


def read(*parts):
    with open(os.path.join(*parts)) as f:
        return f.read().strip()


class Resources(AgentTest):
    def controller(self, pid, name):
        """The directory in which the controller rules over the process, and whether it is v2."""
        groups = groups_of(pid)
        v2 = groups.get("")
        if v2 and name in read(v2, "cgroup.controllers").split():
            return os.path.normpath(v2), True
        if "mainstay-test" in groups.get(name, ""):
            return os.path.normpath(groups[name]), False
        self.skipTest(f"no {name} controller that this test may use")

    def condition(self, pod, kind="mainstay.dev/ResourcesEnforced"):
        return next((c for c in pod["status"]["conditions"] if c["type"] == kind), None)


class Limits(Resources):
    def test_the_kubelets_numbers_are_in_cgroupfs(self):
        agent = self.agent()
        agent.drop("a.yaml", pod_yaml("a", ["sleep", "1000"], container_extra=resources(
            requests={"cpu": "250m"}, limits={"cpu": "500m", "memory": "64Mi"})))
        agent.drop("b.yaml", pod_yaml("b", ["sleep", "1000"], container_extra=resources(
            requests={"cpu": "400m", "memory": "1Mi"})))
        pid = pid_of(agent.wait_ready_pod("a"))
        agent.wait_ready_pod("b")
        memory, v2 = self.controller(pid, "memory")
        limit = "memory.max" if v2 else "memory.limit_in_bytes"
        self.assertEqual(read(memory, limit), str(64 << 20))
        self.assertEqual(read(memory, "..", limit), str(64 << 20))
        cpu, v2 = self.controller(pid, "cpu")
        self.assertTrue(cpu.endswith(f"/kubepods/burstable/pod{agent.pod('a')['metadata']['uid']}/main"))
        if v2:
            self.assertEqual([read(cpu, d, "cpu.weight") for d in ("", "..", "../..")], ["10", "10", "26"])
            self.assertEqual([read(cpu, d, "cpu.max") for d in ("", "..")], ["50000 100000"] * 2)
        else:
            self.assertEqual([read(cpu, d, "cpu.shares") for d in ("", "..", "../..")], ["256", "256", "665"])
            self.assertEqual([read(cpu, d, "cpu.cfs_quota_us") for d in ("", "..")], ["50000"] * 2)
            self.assertEqual(read(cpu, "cpu.cfs_period_us"), "100000")
        agent.remove("b.yaml")
        agent.wait_gone("b")
        self.assertEqual(read(cpu, "../..", "cpu.weight" if v2 else "cpu.shares"), "10" if v2 else "256")
        shown = container(agent.pod("a"))["limits"]
        self.assertEqual(shown[limit], str(64 << 20))
        described = agent.cli("describe", "pod", "a").stdout
        self.assertIn(limit, described)

    def test_cpu_quota_can_be_switched_off(self):
        agent = self.agent("--cpu-cfs-quota=false")
        agent.drop("a.yaml", pod_yaml("a", ["sleep", "1000"],
                                      container_extra=resources(limits={"cpu": "500m"})))
        pid = pid_of(agent.wait_ready_pod("a"))
        cpu, v2 = self.controller(pid, "cpu")
        self.assertEqual(read(cpu, "cpu.max" if v2 else "cpu.cfs_quota_us"), "max 100000" if v2 else "-1")

    def test_a_container_over_its_memory_limit_is_oom_killed(self):
        agent = self.agent()
        agent.drop("hog.yaml", pod_yaml("hog", [PYTHON, "-S", "-c", "x = b'x' * (300 << 20)"],
                                        extra="  restartPolicy: Never\n",
                                        container_extra=resources(limits={"memory": "64Mi"})))
        event = agent.wait_event_of(["OOMKilled", "LimitNotEnforced"])
        if event["reason"] == "LimitNotEnforced":
            self.skipTest("no memory controller here")
        pod = agent.wait(lambda pods: next((p for p in pods.values()
                                            if p["status"]["phase"] == "Failed"), None), "the pod has failed")
        terminated = status_of(pod)["state"]["terminated"]
        self.assertEqual((terminated["reason"], terminated["exitCode"]), ("OOMKilled", 137))
        self.assertEqual(agent.events("OOMKilling"), [])  # the container's own end says it

    def test_a_child_that_is_oom_killed_is_told(self):
        script = ("import os, signal, time\n"
                  "while True:\n"
                  "    pid = os.fork()\n"
                  "    if pid == 0:\n"
                  "        x = b'x' * (300 << 20)\n"
                  "        os._exit(0)\n"
                  "    os.waitpid(pid, 0)\n"
                  "    signal.pause()\n")
        agent = self.agent(config="apiVersion: kubelet.config.k8s.io/v1beta1\n"
                                  "kind: KubeletConfiguration\nsingleProcessOOMKill: true\n")
        agent.drop("fork.yaml", pod_yaml("fork", [PYTHON, "-S", "-c", script],
                                         container_extra=resources(limits={"memory": "64Mi"})))
        event = agent.wait_event_of(["OOMKilling", "LimitNotEnforced"])
        if event["reason"] == "LimitNotEnforced":
            self.skipTest("no memory controller here")
        self.assertEqual(event["involvedObject"]["name"], "fork-node1")
        self.assertEqual(event["type"], "Warning")
        self.assertEqual(container(agent.pod("fork"))["restartCount"], 0)
        self.assertEqual(container(agent.pod("fork"))["state"], "Running")

    def test_a_fork_bomb_is_held_by_the_limit_of_processes(self):
        bomb = ("import os, signal\n"
                "while True:\n"
                "    try:\n"
                "        if os.fork() == 0:\n"
                "            signal.pause()\n"
                "    except OSError:\n"
                "        signal.pause()\n")
        agent = self.agent("--pod-max-pids", "40")
        agent.drop("bomb.yaml", pod_yaml("bomb", [PYTHON, "-S", "-c", bomb]))
        event = agent.wait_event_of(["PidsLimitReached", "LimitNotEnforced"])
        if event["reason"] == "LimitNotEnforced":
            self.skipTest("no pids controller here")
        pod = agent.pod("bomb")
        pids, _ = self.controller(pid_of(pod), "pids")
        self.assertEqual(read(pids, "..", "pids.max"), "40")
        self.assertEqual(read(pids, "..", "pids.current"), "40")
        self.assertIsNone(self.condition(pod))
        summary = agent.get("/stats/summary?pod=bomb")["pods"][0]
        self.assertEqual(summary["containers"][0]["process_stats"]["process_count"], 40)
        agent.remove("bomb.yaml")
        agent.wait_gone("bomb")

    def test_what_cannot_be_enforced_is_a_condition_and_an_event(self):
        agent = self.agent()
        agent.drop("a.yaml", pod_yaml("a", ["sleep", "1000"], container_extra=resources(
            limits={"ephemeral-storage": "1Gi", "example.com/gpu": 1})))
        pod = agent.wait_ready_pod("a")
        condition = self.condition(pod)
        self.assertEqual((condition["status"], condition["reason"]), ("False", "LimitNotEnforced"))
        self.assertIn("the ephemeral-storage limit of 1Gi is not enforced", condition["message"])
        self.assertIn("the example.com/gpu limit of 1 is not enforced", condition["message"])
        self.assertEqual(len(agent.events("LimitNotEnforced", "a")), 2)
        self.assertIn("mainstay.dev/ResourcesEnforced", agent.cli("describe", "pod", "a").stdout)
        agent.restart()  # the agent after it knows as well
        again = self.condition(agent.wait_ready_pod("a"))
        self.assertEqual(again, condition)
        self.assertEqual([e["count"] for e in agent.events("LimitNotEnforced", "a")], [1, 1])
        uid = pod["metadata"]["uid"]
        agent.drop("a.yaml", pod_yaml("a", ["sleep", "1000"]))
        pod = agent.wait(lambda pods: next((p for p in pods.values() if p["metadata"]["uid"] != uid
                                            and harness.is_ready(p)), None), "the new pod is ready")
        self.assertIsNone(self.condition(pod))


if __name__ == "__main__":
    harness.main()
