"""Requests and limits, what they cost and what is used: cgroupfs, OOM kills, the limit of
processes, statistics and metrics, `mainstay top`."""

import http.client
import json
import math
import os
import re
import sys

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

    def test_amounts_of_the_pod_and_its_overhead_are_its_cgroups(self):
        agent = self.agent()
        whole = json.dumps({"requests": {"cpu": "200m"}, "limits": {"memory": "96Mi"}})
        agent.drop("a.yaml", pod_yaml("a", ["sleep", "1000"], extra=f"  resources: {whole}\n"
                                      '  overhead: {memory: 4Mi, cpu: 50m}\n  priorityClassName: system-node-critical\n'))
        pod = agent.wait_ready_pod("a")
        self.assertEqual(pod["status"]["qosClass"], "Burstable")
        self.assertEqual(pod["spec"]["priority"], 2000001000)
        self.assertEqual(agent.events("ManifestWarning"), [])
        memory, v2 = self.controller(pid_of(pod), "memory")
        self.assertEqual(read(memory, "..", "memory.max" if v2 else "memory.limit_in_bytes"), str(100 << 20))
        score = read(f"/proc/{pid_of(pod)}/oom_score_adj")
        if score != "-997":  # without CAP_SYS_RESOURCE it cannot be lowered, which is said
            self.assertIn("oom_score_adj", json.dumps(agent.events("Degraded", "a")))

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


class Usage(Resources):
    def start(self):
        agent = self.agent()
        agent.drop("busy.yaml", pod_yaml("busy", ["sh", "-c", "while :; do :; done"],
                                         container_extra=resources(requests={"cpu": "100m"})))
        agent.drop("idle.yaml", pod_yaml("idle", ["sleep", "1000"]))
        agent.wait_ready_pod("busy")
        agent.wait_ready_pod("idle")
        return agent

    def test_top(self):
        agent = self.start()
        lines = agent.cli("top", "--interval", "200ms", check=True).stdout.splitlines()
        self.assertEqual(lines[0].split(), ["NAME", "CPU(cores)", "MEMORY(bytes)"])
        self.assertEqual([line.split()[0] for line in lines[1:]], ["busy-node1", "idle-node1"])
        for line in lines[1:]:
            self.assertRegex(line, r"^\S+ +(\d+m|<unknown>) +\d+Mi$")
        lines = agent.cli("top", "pod", "busy", "--containers", "-o", "wide", "-A", "--sum",
                          "--interval=200ms", check=True).stdout.splitlines()
        self.assertEqual(lines[0].split(), ["NAMESPACE", "POD", "NAME", "CPU(cores)", "MEMORY(bytes)", "READ",
                                            "WRITE", "THREADS", "PSI(cpu)", "PSI(memory)", "PSI(io)"])
        self.assertEqual(lines[1].split()[:3], ["default", "busy-node1", "main"])
        self.assertEqual(len(lines), 3)
        # The one that works comes before the one that sleeps, whatever their names.
        lines = agent.cli("top", "containers", "--sort-by=cpu", "--no-headers", "--interval=600ms",
                          check=True).stdout.splitlines()
        self.assertEqual([line.split()[0] for line in lines], ["busy-node1", "idle-node1"])
        metrics = json.loads(agent.cli("top", "-o", "json", "--interval=200ms", check=True).stdout)
        self.assertEqual(metrics["apiVersion"], "metrics.k8s.io/v1beta1")
        usage = metrics["items"][0]["containers"][0]["usage"]
        self.assertRegex(usage["memory"], r"^\d+Ki$")
        self.assertEqual(metrics["items"][0]["metadata"]["name"], "busy-node1")
        node = agent.cli("top", "node", "--interval=200ms", check=True).stdout.splitlines()
        self.assertEqual(node[0].split(), ["NAME", "CPU(cores)", "CPU%", "MEMORY(bytes)", "MEMORY%"])
        self.assertRegex(node[1], r"^node1 +\d+m +\d+% +\d+Mi +\d+%$")
        missing = agent.cli("top", "pod", "nobody", "--interval=1ms")
        self.assertEqual(missing.returncode, 1)
        self.assertIn("nobody", missing.stderr)
        self.assertEqual(agent.cli("top", "--sort-by=name").returncode, 2)

    def test_describe_tells_what_is_used(self):
        agent = self.start()
        described = agent.cli("describe", "pod", "busy", check=True).stdout
        self.assertRegex(described, r"Usage:\n      cpu: +\d+\.\d+s so far\n      memory: +\d+Mi")

    def test_the_summary_has_the_kubelets_schema(self):
        agent = self.start()
        summary = agent.get("/stats/summary")
        self.assertEqual(summary["node"]["nodeName"], "node1")
        self.assertGreater(summary["node"]["memory"]["workingSetBytes"], 0)
        self.assertGreater(summary["node"]["fs"]["capacityBytes"], 0)
        pods = {p["podRef"]["name"]: p for p in summary["pods"]}
        self.assertEqual(set(pods), {"busy-node1", "idle-node1"})
        busy = pods["busy-node1"]
        self.assertEqual(busy["podRef"]["uid"], agent.pod("busy")["metadata"]["uid"])
        main = busy["containers"][0]
        self.assertEqual(main["name"], "main")
        self.assertGreater(main["memory"]["workingSetBytes"], 0)
        self.assertEqual(main["process_stats"]["process_count"], 1)
        self.assertGreaterEqual(busy["cpu"]["usageCoreNanoSeconds"], 0)
        brief = agent.get("/stats/summary?only_cpu_and_memory=true&pod=idle")
        self.assertEqual([p["podRef"]["name"] for p in brief["pods"]], ["idle-node1"])
        self.assertNotIn("fs", brief["node"])
        self.assertNotIn("io", brief["pods"][0]["containers"][0])
        self.assertEqual(agent.request("/stats/summary?pod=nobody")[0], 404)
        # A second question knows the rate since the first.
        first = main["cpu"]["usageCoreNanoSeconds"]
        later = agent.get("/stats/summary?pod=busy")["pods"][0]["containers"][0]["cpu"]
        self.assertGreaterEqual(later["usageCoreNanoSeconds"], first)


LABELS = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)')
SAMPLE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)(?: (-?\d+))?$")


def parse_metrics(text):
    """Prometheus' text format, strictly: {name: (type, {labels: value})}. Every family has one HELP and one
    TYPE before its samples, which stand together and are there once each."""
    families, current = {}, None
    if not text.endswith("\n"):
        raise AssertionError("the last line does not end")
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            name = line.split(" ", 3)[2]
            if name in families:
                raise AssertionError(f"{name} is not in one piece")
            current = name
            families[name] = [None, {}]
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            if name != current or families[name][0] or kind not in ("counter", "gauge"):
                raise AssertionError(line)
            families[name][0] = kind
        else:
            match = SAMPLE.match(line)
            if not match or match[1] != current:
                raise AssertionError(f"out of place: {line}")
            labels = match[2] or ""
            pairs = LABELS.findall(labels)
            if ",".join(f'{k}="{v}"' for k, v in pairs) != labels or len(dict(pairs)) != len(pairs):
                raise AssertionError(f"labels: {line}")
            key = frozenset(pairs)
            if key in families[current][1]:
                raise AssertionError(f"twice: {line}")
            value = float(match[3])
            if math.isnan(value) or value < 0:
                raise AssertionError(line)
            families[current][1][key] = value
    return {name: tuple(family) for name, family in families.items()}


class Metrics(Resources):
    PATHS = ["/metrics", "/metrics/resource", "/metrics/cadvisor", "/metrics/probes"]

    def scrape(self, agent, path):
        connection = harness.UnixConnection(agent.socket)
        connection.request("GET", path)
        answer = connection.getresponse()
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.getheader("Content-Type"), "text/plain; version=0.0.4; charset=utf-8")
        text = answer.read().decode()
        connection.close()
        return parse_metrics(text)

    def value(self, families, name, **labels):
        kind, samples = families[name]
        found = [v for key, v in samples.items() if set(labels.items()) <= key]
        self.assertEqual(len(found), 1, f"{name}{labels}: {samples}")
        return found[0]

    def test_metrics_parse_and_counters_grow(self):
        agent = self.agent()
        probe = ("    readinessProbe: {exec: {command: ['true']}, periodSeconds: 1}\n"
                 "    livenessProbe: {exec: {command: ['true']}, periodSeconds: 1}\n")
        agent.drop("a.yaml", pod_yaml("a", ["sh", "-c", "while :; do :; done"], container_extra=probe + resources(
            requests={"cpu": "100m"}, limits={"memory": "64Mi"})))
        agent.drop("bad.yaml", "apiVersion: v1\n")
        agent.drop("twice.yaml", pod_yaml("twice", ["sh", "-c", "exit 3"], extra="  restartPolicy: Never\n"))
        agent.wait_ready_pod("a")
        agent.wait_event("PodFailed", "twice")
        agent.wait_event("ManifestRefused")
        before = {path: self.scrape(agent, path) for path in self.PATHS}
        main = {"namespace": "default", "pod": "a-node1", "container": "main"}
        own = before["/metrics"]
        self.assertEqual(self.value(own, "kubelet_running_pods"), 1)
        self.assertEqual(self.value(own, "kubelet_running_containers", container_state="running"), 1)
        self.assertEqual(self.value(own, "kubelet_running_containers", container_state="exited"), 1)
        self.assertEqual(self.value(own, "mainstay_pods", phase="Failed"), 1)
        self.assertEqual(self.value(own, "mainstay_manifests", state="refused"), 1)
        self.assertEqual(self.value(own, "mainstay_container_restarts_total", **main), 0)
        self.assertEqual(self.value(own, "mainstay_events_total", reason="PodFailed", type="Warning"), 1)
        self.assertGreater(self.value(own, "process_resident_memory_bytes"), 1 << 20)
        resource = before["/metrics/resource"]
        self.assertEqual(self.value(resource, "scrape_error"), 0)
        self.assertGreater(self.value(resource, "container_memory_working_set_bytes", **main), 0)
        self.assertGreater(self.value(resource, "node_memory_working_set_bytes"), 0)
        self.assertGreaterEqual(self.value(resource, "pod_cpu_usage_seconds_total", namespace="default", pod="a-node1"),
                                self.value(resource, "container_cpu_usage_seconds_total", **main))
        cadvisor = before["/metrics/cadvisor"]
        self.assertEqual(self.value(cadvisor, "container_spec_memory_limit_bytes", **main), 64 << 20)
        self.assertEqual(self.value(cadvisor, "container_spec_cpu_shares", **main), 102)
        self.assertEqual(self.value(cadvisor, "container_processes", image="localhost/test:1", **main), 1)
        agent.post("/mainstay/v1/pods/default/a/restart")
        agent.wait_ready_pod("a", restarts=1)
        after = {path: self.scrape(agent, path) for path in self.PATHS}
        self.assertEqual(self.value(after["/metrics"], "mainstay_container_restarts_total", **main), 1)
        for kind in ("Readiness", "Liveness"):
            self.assertGreaterEqual(self.value(after["/metrics/probes"], "prober_probe_total", probe_type=kind,
                                               result="successful", **main), kind == "Readiness")
        self.assert_counters_grow(before, after)

    def assert_counters_grow(self, before, after):
        """Of what is there both times; a container that was started anew begins with zero under the labels
        that do not tell its runs apart, as under the kubelet."""
        for path in self.PATHS:
            for name, (kind, samples) in before[path].items():
                if kind != "counter" or (path == "/metrics/resource" and name.startswith("container_")):
                    continue
                for labels, value in samples.items():
                    later = after[path].get(name, ("", {}))[1].get(labels)
                    if later is not None:
                        self.assertGreaterEqual(later, value, f"{name} {labels}")

    def test_wrong_requests_are_refused_and_the_healthz_port_tells_nothing(self):
        port = harness.free_ports(1)[0]
        agent = self.agent("--healthz-port", str(port))
        self.assertEqual(agent.request("/metrics?x=1")[0], 400)
        self.assertEqual(agent.request("/metrics/resource", "POST")[0], 405)
        self.assertEqual(agent.request("/metrics/nothing")[0], 404)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=harness.WAIT_SECONDS)
        connection.request("GET", "/metrics")
        self.assertEqual(connection.getresponse().status, 404)
        connection.close()


if __name__ == "__main__":
    harness.main()
