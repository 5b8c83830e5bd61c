"""A stop of all pods: its order, its bound, and what logind has to do with it."""

import os
import re
import select
import shutil
import signal
import subprocess
import unittest

import harness
from harness import COMPONENT, is_ready, pod_yaml

CLUSTER, NODE = "system-cluster-critical", "system-node-critical"


def pod(name, on=None, priority=None, command=None, grace=2):
    """A pod that depends on others, with a priority (a class or a number)."""
    extra = ""
    if isinstance(priority, int):
        extra = f"  priority: {priority}\n"
    elif priority:
        extra = f"  priorityClassName: {priority}\n"
    text = pod_yaml(name, command or [COMPONENT], extra)
    text = text.replace("terminationGracePeriodSeconds: 2", f"terminationGracePeriodSeconds: {grace}")
    if on:
        text = text.replace("  namespace: default\n",
                            f'  namespace: default\n  annotations: {{mainstay.dev/depends-on: "{on}"}}\n')
    return text


def meets(own, others):
    """Ends at SIGTERM only after all others were told to."""
    waits = " && ".join(f"test -e {path}" for path in others)
    return ["sh", "-c", f"trap 'touch {own}; until {waits}; do sleep 0.05; done; exit 0' TERM; "
            "while :; do sleep 0.05; done"]


def config(text):
    return f"apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n{text}"


class Stop(harness.AgentTest):
    def start(self, pods, *flags, **options):
        agent = self.agent(*flags, **options)
        for name, text in pods.items():
            agent.drop(f"{name}.yaml", text)
        names = {f"{name}-{agent.node}" for name in pods}
        agent.wait(lambda found: names <= {n for n, p in found.items() if is_ready(p)} or None, "all are ready")
        return agent

    def story(self, agent):
        """[(what happened, pod)] of the stop, in the order of the agent's log."""
        with open(agent.path("agent.log"), errors="replace") as f:
            text = f.read()
        found = re.findall(r"pod default/(\w+)-node1: (Stopped|Exited|Killing): (.*)", text)
        words = {"Stopped": "told", "Exited": "gone"}
        return [(words.get(reason) or ("killed" if "SIGKILL" in rest else "asked"), name)
                for name, reason, rest in found]

    def assert_before(self, story, first, then):
        self.assertIn(first, story)
        self.assertIn(then, story)
        self.assertLess(story.index(first), story.index(then), story)

    def end(self, agent, number=signal.SIGTERM):
        self.assertEqual(agent.kill(number), 0, agent.agent_log())
        agent.process = None
        return self.story(agent)


class Order(Stop):
    PODS = {
        "scheduler": pod("scheduler", on="api"),
        "etcd": pod("etcd"),
        "api": pod("api", on="etcd", priority=NODE),
        "dns": pod("dns", priority=CLUSTER),
        "web": pod("web", priority=1000),
        "batch": pod("batch", priority=-5),
    }

    def check(self, story):
        # Dependents first, whatever the priority; etcd is worth as much as what needs it.
        for before, after in (("scheduler", "api"), ("api", "etcd"),
                              ("batch", "scheduler"), ("scheduler", "web"), ("web", "dns"), ("dns", "api")):
            self.assert_before(story, ("gone", before), ("told", after))

    def test_sigterm_with_stop_pods(self):
        agent = self.start(self.PODS, "--stop-pods-on-exit")
        self.check(self.end(agent))

    def test_an_operator_stops_all(self):
        agent = self.start(self.PODS)
        agent.cli("stop", "--all", check=True)
        agent.wait(lambda pods: all(p["mainstay"]["state"] == "Held" for p in pods.values()) or None, "all held")
        self.check(self.story(agent))
        agent.restart()  # an operator's stop outlives the agent
        self.assertEqual({p["mainstay"]["state"] for p in agent.pods().values()}, {"Held"})

    def test_stop_all_and_exit(self):
        agent = self.start(self.PODS)
        done = agent.cli("stop", "--all", "--exit")
        self.assertEqual(done.returncode, 0, done.stderr)
        agent.process.wait(harness.WAIT_SECONDS)
        self.check(self.story(agent))
        agent.start()  # the next agent starts them again, in the order of start
        agent.wait(lambda pods: len(pods) == 6 and all(map(is_ready, pods.values())) or None, "all run again")

    def test_pods_that_nothing_parts_stop_together(self):
        agent = self.agent("--stop-pods-on-exit")
        flags = [agent.path(f"flag-{i}") for i in range(3)]
        for i, flag in enumerate(flags):
            agent.drop(f"p{i}.yaml", pod(f"p{i}", command=meets(flag, flags), grace=300))
        agent.wait(lambda pods: sum(map(is_ready, pods.values())) == 3 or None, "all run")
        story = self.end(agent)
        self.assertFalse([name for what, name in story if what == "killed"])

    def test_what_waits_to_start_does_not_start_meanwhile(self):
        agent = self.start({"one": pod("one")}, "--stop-pods-on-exit")
        agent.drop("waiter.yaml", pod("waiter", on="nobody"))
        agent.wait_event("DependencyNotReady", "waiter")
        story = self.end(agent)
        self.assertIn(("told", "waiter"), story)
        self.assertNotIn(("gone", "waiter"), story)


class WithoutAgent(Stop):
    def test_the_script_that_stops_what_an_agent_left(self):
        """Each writes its name when it ends; the first takes its time, so that the others would be before it."""
        agent = self.agent()
        line = agent.path("line")

        def ends(name, steps=0):
            return ["sh", "-c", f"trap 'i=0; while [ $i -lt {steps} ]; do sleep 0.05; i=$((i+1)); done; "
                    f"echo {name} >> {line}; exit 0' TERM; while :; do sleep 0.05; done"]
        for name, text in {"web": pod("web", on="api", command=ends("web", 10)),
                           "api": pod("api", on="etcd", priority=NODE, command=ends("api", 5)),
                           "etcd": pod("etcd", command=ends("etcd")),
                           "dns": pod("dns", priority=CLUSTER, command=ends("dns", 2))}.items():
            agent.drop(f"{name}.yaml", text)
        agent.wait(lambda pods: sum(map(is_ready, pods.values())) == 4 or None, "all run")
        agent.kill()
        agent.process = None
        script = os.path.join(harness.SOURCE, "packaging", "stop-pods")
        env = {**os.environ, "MAINSTAY_RUN_DIR": agent.path("run")}
        done = subprocess.run([script, "20"], env=env, capture_output=True, text=True, timeout=harness.WAIT_SECONDS)
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(line) as f:
            self.assertEqual(f.read().split(), ["web", "dns", "api", "etcd"])


class Bound(Stop):
    STUBBORN = [COMPONENT, "ignore-term"]

    def test_grace_is_cut_to_what_is_left(self):
        agent = self.start({"api": pod("api", on="etcd", command=self.STUBBORN, grace=3000),
                            "etcd": pod("etcd", command=self.STUBBORN, grace=3000)},
                           "--stop-pods-on-exit", config=config("shutdownGracePeriod: 5s\n"))
        story = self.end(agent)
        self.assertEqual([s for s in story if s[0] in ("told", "killed", "gone")],
                         [("told", "api"), ("killed", "api"), ("gone", "api"),
                          ("told", "etcd"), ("killed", "etcd"), ("gone", "etcd")])

    def test_when_the_time_is_up_the_rest_is_told_at_once(self):
        """Ten in a row need twenty seconds at least; there are three."""
        names = [f"p{i}" for i in range(10)]
        pods = {name: pod(name, on=f"p{i - 1}" if i else None, command=self.STUBBORN, grace=3000)
                for i, name in enumerate(names)}
        agent = self.start(pods, "--stop-pods-on-exit", config=config("shutdownGracePeriod: 3s\n"))
        story = self.end(agent)
        told = [name for what, name in story if what == "told"]
        self.assertEqual(told[0], "p9")
        self.assertEqual(sorted(told), names)
        self.assertEqual(len([name for what, name in story if what == "killed"]), 10)
        # More than one was told before the first of them was gone.
        first = next(i for i, s in enumerate(story) if s[0] == "gone" and s[1] != "p9")
        self.assertEqual(len({name for what, name in story[:first] if what == "told"}), 10, story)

    def test_critical_pods_have_a_time_of_their_own(self):
        agent = self.start({"web": pod("web", command=self.STUBBORN, grace=3000),
                            "api": pod("api", priority=NODE, command=self.STUBBORN, grace=3000)},
                           "--stop-pods-on-exit",
                           config=config("shutdownGracePeriod: 6s\nshutdownGracePeriodCriticalPods: 3s\n"))
        story = self.end(agent)
        self.assert_before(story, ("killed", "web"), ("told", "api"))
        self.assertIn(("killed", "api"), story)

    def test_a_stop_that_is_going_on_is_cut_too(self):
        agent = self.start({"web": pod("web", command=self.STUBBORN, grace=3000)},
                           "--stop-pods-on-exit", config=config("shutdownGracePeriod: 3s\n"))
        agent.cli("stop", "web", check=True)
        agent.wait(lambda pods: pods["web-node1"]["mainstay"]["state"] == "Stopping" or None, "it is being stopped")
        story = self.end(agent)
        self.assertIn(("killed", "web"), story)

    def test_a_wrong_configuration_is_refused(self):
        agent = self.agent(start=False)
        for text, why in (("shutdownGracePeriodCriticalPods: 5s\n", "must not be longer than"),
                          ("shutdownGracePeriod: 10s\nshutdownGracePeriodCriticalPods: 20s\n",
                           "must not be longer than"),
                          ("shutdownGracePeriod: 10ms\n", "0s, or 1s and more"),
                          ("shutdownGracePeriodByPodPriority: [{priority: 1, shutdownGracePeriodSeconds: 1}]\n",
                           "is refused")):
            agent.flags = ["--config", agent.write("config.yaml", config(text))]
            agent.start(wait=False)
            self.assertEqual(agent.process.wait(harness.WAIT_SECONDS), 2)
            self.assertIn(why, agent.agent_log())
        agent.process = None


BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path=%s</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""


class Logind:
    """A bus of its own, and on it as much of logind as matters here."""

    def __init__(self, directory, seconds):
        self.socket = os.path.join(directory, "bus")
        self.address = f"unix:path={self.socket}"
        self.seconds = seconds
        self.config = os.path.join(directory, "bus.conf")
        with open(self.config, "w") as f:
            f.write(BUS % self.socket)
        self.bus = self.logind = None

    def start_bus(self):
        self.bus = subprocess.Popen(["dbus-daemon", f"--config-file={self.config}", "--nofork", "--print-address"],
                                    stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.bus.stdout.readline()  # it listens

    def start(self):
        self.logind = subprocess.Popen([os.path.join(harness.BUILD, "tests", "fake-logind"), str(self.seconds)],
                                       env={**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": self.address},
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        self.output = b""
        self.expect("ready")

    def expect(self, line):
        while b"\n" not in self.output:
            ready, _, _ = select.select([self.logind.stdout], [], [], harness.WAIT_SECONDS)
            news = os.read(self.logind.stdout.fileno(), 4096) if ready else b""
            if not news:
                raise AssertionError(f"logind was not told {line!r}")
            self.output += news
        found, self.output = self.output.split(b"\n", 1)
        if found.decode() != line:
            raise AssertionError(f"logind was told {found.decode()!r} in place of {line!r}")

    def is_silent(self):
        return not self.output and not select.select([self.logind.stdout], [], [], 0)[0]

    def say(self, line):
        self.logind.stdin.write(line.encode() + b"\n")

    def stop(self, process):
        if process:
            process.kill()
            process.wait()
            process.stdout.close()
            if process.stdin:
                process.stdin.close()

    def close(self):
        self.stop(self.logind)
        self.stop(self.bus)
        self.logind = self.bus = None


@unittest.skipUnless(shutil.which("dbus-daemon"), "dbus-daemon is not installed")
class Inhibitor(Stop):
    LOCK = "inhibit shutdown mainstayd delay"
    PODS = {"api": pod("api", on="etcd"), "etcd": pod("etcd")}

    def with_logind(self, *flags, seconds=60, budget="30s", start=True):
        agent = self.agent(*flags, start=False, config=config(f"shutdownGracePeriod: {budget}\n") if budget else None)
        logind = Logind(agent.dir, seconds)
        self.addCleanup(logind.close)
        agent.env["DBUS_SYSTEM_BUS_ADDRESS"] = logind.address
        if start:
            logind.start_bus()
            logind.start()
            agent.start()
        return agent, logind

    def run_pods(self, agent):
        for name, text in self.PODS.items():
            agent.drop(f"{name}.yaml", text)
        self.all_run(agent)

    def all_run(self, agent):
        agent.wait(lambda pods: len(pods) == 2 and all(map(is_ready, pods.values())) or None, "all run")

    def test_the_machine_waits_for_the_pods(self):
        agent, logind = self.with_logind()
        logind.expect(self.LOCK)
        self.run_pods(agent)
        logind.say("down")
        logind.expect("released")
        story = self.story(agent)
        self.assert_before(story, ("gone", "api"), ("told", "etcd"))
        self.assertIn(("gone", "etcd"), story, "the lock was let go before the pods were gone")
        self.assertTrue(agent.events("NodeShutdown"))
        # A manifest that comes now does not start.
        agent.drop("late.yaml", pod("late"))
        agent.wait(lambda pods: pods.get("late-node1", {}).get("mainstay", {}).get("state") == "Held" or None, "late")
        # An agent that is started meanwhile stops them too; the one after the restart starts them all.
        agent.restart(signal.SIGTERM)
        agent.wait(lambda pods: {p["mainstay"]["state"] for p in pods.values()} == {"Held"} or None, "all stopped")
        logind.close()
        agent.restart(signal.SIGTERM)
        agent.wait(lambda pods: len(pods) == 3 and all(map(is_ready, pods.values())) or None, "all run again")

    def test_a_shutdown_that_is_called_off(self):
        agent, logind = self.with_logind()
        logind.expect(self.LOCK)
        self.run_pods(agent)
        for _ in range(2):
            logind.say("down")
            logind.expect("released")
            last = agent.last_event()
            logind.say("up")
            logind.expect(self.LOCK)
            agent.wait_event("NodeShutdownCancelled", after=last)
            self.all_run(agent)
        started = [e["involvedObject"]["name"] for e in agent.events("Started")][-2:]
        self.assertEqual(started, ["etcd-node1", "api-node1"], "they start in order, too")

    def test_called_off_in_the_middle(self):
        agent, logind = self.with_logind()
        logind.expect(self.LOCK)
        agent.drop("etcd.yaml", pod("etcd"))
        gate = agent.path("gate")
        agent.drop("api.yaml", pod("api", on="etcd", command=meets(agent.path("told"), [gate]), grace=300))
        self.all_run(agent)
        before = harness.pid_of(agent.pod("etcd"))
        logind.say("down")
        agent.wait(lambda pods: pods["api-node1"]["mainstay"]["state"] == "Stopping" or None, "api stops")
        logind.say("up")
        agent.wait_event("NodeShutdownCancelled")
        agent.write("gate", "")
        agent.wait_ready_pod("api", restarts=1)
        self.assertEqual(harness.pid_of(agent.pod("etcd")), before, "its turn had not come")
        self.assertTrue(logind.is_silent(), "the lock was kept")

    def test_a_delay_that_is_too_short_is_told(self):
        agent, logind = self.with_logind(seconds=5)
        logind.expect(self.LOCK)
        message = agent.wait_event("ShutdownDelayTooShort")["message"]
        self.assertIn("5s at most", message)
        self.assertIn("InhibitDelayMaxSec=30", message)
        other, logind = self.with_logind(seconds=30)
        logind.expect(self.LOCK)
        other.drop("etcd.yaml", pod("etcd"))
        other.wait_ready_pod("etcd")
        self.assertFalse(other.events("ShutdownDelayTooShort"))

    def test_the_end_of_the_agent_lets_the_machine_go(self):
        agent, logind = self.with_logind()
        logind.expect(self.LOCK)
        agent.kill()
        logind.expect("released")
        agent.start()
        logind.expect(self.LOCK)

    def test_logind_comes_later_and_the_bus_too(self):
        agent, logind = self.with_logind(start=False)
        agent.start()
        self.run_pods(agent)  # nothing waits for the bus
        with open(agent.path("agent.log")) as f:
            self.assertEqual(f.read().count("logind is not asked to wait"), 1)
        logind.start_bus()
        agent.restart()
        agent.drop("late.yaml", pod("late"))
        agent.wait_ready_pod("late")
        logind.start()
        logind.expect(self.LOCK)

    def test_without_a_time_there_is_no_lock(self):
        agent, logind = self.with_logind(budget=None)
        self.run_pods(agent)
        self.assertTrue(logind.is_silent())


if __name__ == "__main__":
    harness.main()
