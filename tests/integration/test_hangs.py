"""Every part of the agent is made to hang, and is named; nothing that is no hang is taken for one.

mainstayd-hangs (tests/tools/hang-inject.c) is the agent with a switch for it, and with its limits
divided by a scale. MAINSTAY_LOAD_SECONDS says how long the load test lasts; from 600 on it is run
with the real agent and its real limits.
"""

import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

import harness
from harness import COMPONENT, container, pid_of, pod_yaml

HANGS = os.path.join(harness.BUILD, "tests", "mainstayd-hangs")
CLOCK_JUMP = os.path.join(harness.BUILD, "tests", "libclock-jump.so")
SCALE = 20  # the loop may take 0.5 s for one thing, a part 3 s for anything
FEED = 0.5  # seconds between two feedings of the watchdog
LOAD_SECONDS = float(os.environ.get("MAINSTAY_LOAD_SECONDS", "15"))
FREEZE_SECONDS = float(os.environ.get("MAINSTAY_FREEZE_SECONDS", "3.5"))
PROBE = "    readinessProbe: {exec: {command: [/bin/true]}, periodSeconds: 1}\n"
TROUBLE = re.compile(r"STATUS=(Unhealthy|Degraded)")


class Manager(threading.Thread):
    """What a service manager hears: everything that comes to NOTIFY_SOCKET, in order."""

    def __init__(self, agent):
        super().__init__(daemon=True)
        self.socket = agent.notify.dup()
        self.heard = []
        self.news = threading.Condition()
        self.start()

    def run(self):
        while True:
            try:
                message = self.socket.recv(65536).decode(errors="replace")
            except OSError:
                return
            with self.news:
                if message == "end":
                    return
                self.heard.append(message)
                self.news.notify_all()

    def mark(self):
        with self.news:
            return len(self.heard)

    def wait(self, pattern, after=0, times=1):
        """The match of the last of `times` messages, as of the mark, in which the pattern is."""
        found = None

        def enough():
            nonlocal found
            matches = [m for m in map(re.compile(pattern).search, self.heard[after:]) if m]
            found = matches[times - 1] if len(matches) >= times else None
            return found
        with self.news:
            if not self.news.wait_for(enough, harness.WAIT_SECONDS + times * FEED):
                raise AssertionError(f"{pattern} was not told {times} times: {self.heard[after:]}")
        return found

    def feeds(self, times, after=None):
        self.wait("WATCHDOG=1", self.mark() if after is None else after, times)

    def troubles(self, after=0):
        with self.news:
            return [m for m in self.heard[after:] if TROUBLE.search(m)]

    def close(self, agent):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"end", agent.notify_path)
        self.join()
        self.socket.close()


class HangTest(harness.AgentTest):
    def start(self, *flags, scale=SCALE, program=HANGS, feed=FEED, env=None):
        agent = harness.Agent("--file-check-frequency", "1s", *flags, start=False)
        self.addCleanup(agent.close)
        agent.program = program
        agent.hang_file = agent.path("hang")
        agent.env = {"MAINSTAY_HANG": agent.hang_file, "MAINSTAY_HANG_SCALE": str(scale),
                     "WATCHDOG_USEC": str(int(feed * 2e6)), **(env or {})}
        agent.start()
        manager = Manager(agent)
        self.addCleanup(self.end, agent, manager)
        agent.client = None
        self.addCleanup(lambda: agent.client and (agent.client.kill(), agent.client.wait()))
        return agent, manager

    def end(self, agent, manager):
        """An agent with a part that is silent cannot stop its pods: the next one can."""
        manager.close(agent)
        silent = os.path.exists(agent.hang_file)
        self.release(agent)
        if silent and agent.process.poll() is None:
            agent.restart()

    def hang(self, agent, part, kind):
        with open(agent.path("hang.new"), "w") as f:
            f.write(f"{part} {kind}\n")
        os.rename(agent.path("hang.new"), agent.hang_file)

    def release(self, agent):
        try:
            os.unlink(agent.hang_file)
        except FileNotFoundError:
            pass

    def run_pod(self, agent, name="one", command=None, **options):
        agent.drop(f"{name}.yaml", pod_yaml(name, command or [COMPONENT], **options))
        return agent.wait_ready_pod(name)


def touch_pods(agent):
    agent.drop("new.yaml", pod_yaml("new", [COMPONENT]))


def probe_a_pod(agent):
    agent.drop("new.yaml", pod_yaml("new", [COMPONENT], container_extra=PROBE))


def ask(agent):
    """A client that waits for its answer in another process, however that ends."""
    agent.client = subprocess.Popen([harness.MAINSTAY, "--socket", agent.socket, "get", "pods"],
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def shims(agent):
    """The PIDs of all shims, as their lock files tell them."""
    directory = agent.path("run", "shims")
    pids = []
    for name in os.listdir(directory):
        with open(os.path.join(directory, name, "lock")) as f:
            pids.append(int(f.read().split()[0]))
    return pids


# What makes the agent enter the part, and what it is then at work on.
ENTRANCES = {
    "source": (touch_pods, r"(file .*new\.yaml|directory /.*manifests)"),
    "pods": (touch_pods, "pod default/new-node1"),
    "prober": (probe_a_pod, "pod default/new-node1"),
    "logs": (touch_pods, "shim "),
    "state": (touch_pods, "(pod default/new-node1|file .*events)"),
    "api": (ask, "(connections|GET /)"),
}


class LoopHangs(HangTest):
    """The loop is stuck inside a part and can say nothing itself."""

    def check(self, part, kind):
        enter, what = ENTRANCES[part]
        agent, manager = self.start()
        manager.feeds(2)
        mark = manager.mark()
        self.hang(agent, part, kind)
        enter(agent)
        manager.wait(rf"STATUS=Unhealthy: {part} hangs for \d+s: {what}", mark)
        hungry = manager.mark()
        self.assertRegex(agent.agent_log(), rf"{part} hangs for \d+s: {what}")
        self.release(agent)
        manager.feeds(2, hungry)
        event = agent.wait_event("PartHung")
        self.assertRegex(event["message"], rf"{part} hung for \d+s: {what}.*, and goes on")
        self.assertEqual(event["type"], "Warning")
        told = [m for m in manager.heard[hungry:] if "STATUS=" in m]
        self.assertTrue(told and not TROUBLE.search(told[-1]), told)
        self.assertEqual(agent.request("/healthz"), (200, "ok"))
        if enter is not ask:
            agent.wait_ready_pod("new")

    def test_the_source_blocks(self):
        self.check("source", "block")

    def test_the_pods_block(self):
        self.check("pods", "block")

    def test_the_pods_spin(self):
        self.check("pods", "spin")

    def test_the_prober_blocks(self):
        self.check("prober", "block")

    def test_the_logs_block(self):
        self.check("logs", "block")

    def test_the_state_blocks(self):
        self.check("state", "block")

    def test_the_api_blocks(self):
        self.check("api", "block")

    def test_without_a_manager_it_is_in_the_log(self):
        """As under monit: nobody listens, nobody asks for a watchdog."""
        agent, _ = self.start()
        agent.kill(signal.SIGTERM)
        agent.env.update({"NOTIFY_SOCKET": "", "WATCHDOG_USEC": ""})
        agent.start(wait=False)
        tail = subprocess.Popen(["tail", "-n", "+1", "-f", agent.path("agent.log")], text=True,
                                stdout=subprocess.PIPE)
        self.addCleanup(tail.wait)
        self.addCleanup(tail.stdout.close)
        self.addCleanup(tail.kill)
        self.hang(agent, "pods", "block")
        touch_pods(agent)
        self.assertRegex(next(line for line in tail.stdout if "hangs" in line),
                         "E mainstayd: pods hangs for .*: pod default/new-node1")
        self.release(agent)
        self.assertRegex(next(line for line in tail.stdout if "hung" in line), "and goes on")


class PartHangs(HangTest):
    """The loop turns, but a part gets nowhere."""

    def check(self, agent, manager, part, why, mark):
        manager.wait(rf"STATUS=Unhealthy: {part}: {why}", mark)
        status, text = agent.request("/healthz")
        self.assertEqual(status, 500, text)
        self.assertRegex(text, rf"\[-\]{part} failed: {why}")
        self.assertIn("[+]loop ok", text)
        self.assertEqual(agent.request(f"/readyz/{part}")[0], 500)
        self.assertEqual(agent.request("/livez/loop"), (200, "ok"))
        self.assertEqual(agent.request(f"/livez?exclude={part}"), (200, "ok"))
        self.assertRegex(agent.agent_log(), rf"unhealthy, the watchdog is not fed: .*{part}: {why}")
        screen = agent.cli("status").stdout
        self.assertRegex(screen, rf"not well \({part}\)\n")
        self.assertRegex(screen, rf"(?m)^  {part}: ")
        told = next(i for i, m in enumerate(manager.heard) if TROUBLE.search(m))
        self.assertFalse([m for m in manager.heard[told:] if "WATCHDOG" in m])

    def test_the_source_is_silent(self):
        agent, manager = self.start()
        mark = manager.mark()
        self.hang(agent, "source", "silent")
        self.check(agent, manager, "source", r"no look at /.*manifests for \d+s", mark)

    def test_a_pod_worker_misses_its_deadline(self):
        agent, manager = self.start()
        self.run_pod(agent, command=[COMPONENT, "ignore-term"])
        self.hang(agent, "pods", "silent")
        mark = manager.mark()
        agent.remove("one.yaml")
        self.check(agent, manager, "pods",
                   r"pod default/one-node1: container main should have left state Terminating", mark)

    def test_a_probe_is_not_put(self):
        agent, manager = self.start()
        self.run_pod(agent, container_extra=PROBE)
        self.hang(agent, "prober", "silent")
        mark = manager.mark()
        self.check(agent, manager, "prober",
                   r"pod default/one-node1: a probe of container main has been due for \d+s", mark)

    def test_state_is_not_written(self):
        agent, manager = self.start()
        self.hang(agent, "state", "silent")
        mark = manager.mark()
        self.run_pod(agent)
        self.check(agent, manager, "state", r"the state of 1 pod has not been written", mark)

    def test_the_api_does_not_answer(self):
        agent, manager = self.start()
        self.hang(agent, "api", "silent")
        mark = manager.mark()
        ask(agent)
        manager.wait(r"STATUS=Unhealthy: api: a client has not been answered for \d+s", mark)
        agent.kill()
        self.release(agent)
        agent.start(wait=False)
        manager.wait("READY=1", mark)
        self.assertEqual(agent.request("/healthz"), (200, "ok"))

    def test_the_agent_is_deaf_for_its_shims(self):
        agent, manager = self.start()
        self.run_pod(agent)
        self.hang(agent, "logs", "silent")
        mark = manager.mark()
        self.check(agent, manager, "logs",
                   r"pod default/one-node1: the shim of container main \(pid \d+\) has not answered",
                   mark)


class ShimHangs(HangTest):
    """A shim hangs: one restart of the agent is tried, and no more."""

    def test_a_shim_falls_silent(self):
        agent, manager = self.start()
        pod = self.run_pod(agent)
        [shim] = shims(agent)
        manager.feeds(3)
        mark = manager.mark()
        os.kill(shim, signal.SIGSTOP)
        self.addCleanup(lambda: os.path.exists(f"/proc/{shim}") and os.kill(shim, signal.SIGCONT))
        why = rf"logs: pod default/one-node1: the shim of container main \(pid {shim}\) has "
        manager.wait(f"STATUS=Unhealthy: {why}not answered", mark)
        self.assertEqual(agent.request("/healthz/logs")[0], 500)
        event = agent.wait_event("ShimUnresponsive", "one")
        self.assertRegex(event["message"], "has not answered for .*the container runs on")

        # What systemd does now. The next agent has never heard this shim: it says so and lives.
        mark = manager.mark()
        agent.kill()
        agent.start(wait=False)
        manager.wait("READY=1", mark)
        manager.wait(f"STATUS=Degraded: {why}never answered this agent", mark)
        after = manager.mark()
        manager.feeds(4, after)
        self.assertFalse([m for m in manager.heard[mark:] if "Unhealthy" in m])
        self.assertEqual(agent.request("/healthz"), (200, "ok"))
        status, text = agent.request("/readyz")
        self.assertEqual(status, 500)
        self.assertRegex(text, rf"\[-\]logs failed: .*pid {shim}\) has never answered")
        self.assertEqual(len(agent.events("ShimUnresponsive", "one")), 2)
        self.assertEqual(pid_of(agent.pod("one")), pid_of(pod))
        self.assertRegex(agent.cli("status").stdout, r"(?m)^  logs: pod default/one-node1: the shim")

        mark = manager.mark()
        os.kill(shim, signal.SIGCONT)
        manager.wait(r"STATUS=1 pod, 1 ready", mark)
        self.assertEqual(agent.request("/readyz"), (200, "ok"))
        self.assertEqual(pid_of(agent.pod("one")), pid_of(pod))
        self.assertEqual(container(agent.pod("one"))["restartCount"], 0)

    def test_a_shim_that_does_not_start_its_container(self):
        """It hangs from birth, as in a mount on a server that is gone."""
        agent, manager = self.start("--shim", self.sleeper())
        mark = manager.mark()
        touch_pods(agent)
        manager.wait(r"STATUS=Degraded: pods: pod default/new-node1: container main has been "
                     r"starting for \d+s", mark)
        manager.feeds(3, manager.mark())
        self.assertEqual(agent.request("/livez")[0], 200)
        self.assertRegex(agent.request("/readyz")[1], r"\[-\]pods failed: .*starting")

    def sleeper(self):
        """A shim that does nothing."""
        self.path = f"/tmp/mainstay-test-sleeper-{os.getpid()}"
        with open(self.path, "w") as f:
            f.write(f"#!/bin/sh\nexec tail -f {self.path}\n")
        os.chmod(self.path, 0o755)
        self.addCleanup(os.unlink, self.path)
        return self.path


class Undying(HangTest):
    """A process that SIGKILL does not end, as one that waits for a dead disk. The freezer of cgroup
    v1 makes one."""

    def setUp(self):
        self.freezer = f"/sys/fs/cgroup/freezer/mainstay-test-{os.getpid()}"
        try:
            os.mkdir(self.freezer)
        except OSError as e:
            self.skipTest(f"there is no cgroup v1 freezer: {e}")
        self.addCleanup(os.rmdir, self.freezer)

    def order(self, name, text):
        with open(os.path.join(self.freezer, name), "w") as f:
            f.write(text)

    def test_it_is_named_and_the_agent_lives_on(self):
        agent, manager = self.start()
        pid = pid_of(self.run_pod(agent))
        self.order("cgroup.procs", str(pid))
        self.order("freezer.state", "FROZEN")
        try:
            mark = manager.mark()
            agent.remove("one.yaml")
            manager.wait(r"STATUS=Degraded: pods: pod default/one-node1: container main is not gone "
                         r"\d+s after SIGKILL", mark)
            manager.feeds(3, manager.mark())
            self.assertEqual(agent.request("/livez"), (200, "ok"))
            self.assertRegex(agent.request("/readyz")[1], r"\[-\]pods failed: .*is not gone")
            self.assertTrue(agent.events("StillAlive", "one"))
        finally:
            mark = manager.mark()
            self.order("freezer.state", "THAWED")
        agent.wait_gone("one")
        manager.wait("STATUS=0 pods", mark)
        self.assertEqual(agent.request("/readyz"), (200, "ok"))
        harness.wait_process_gone(pid)


class NoFalseAlarm(HangTest):
    def watch(self, agent, manager):
        self.assertFalse(manager.troubles())
        self.assertNotRegex(agent.agent_log(), "hangs for|unhealthy|degraded:")
        self.assertEqual(agent.request("/healthz"), (200, "ok"))
        self.assertEqual(agent.request("/readyz"), (200, "ok"))

    def test_all_cores_busy(self):
        real = LOAD_SECONDS >= 600
        feed = 15 if real else 1
        agent, manager = self.start(program=harness.MAINSTAYD if real else HANGS,
                                    scale=1 if real else 5, feed=feed)
        self.run_pod(agent, "quiet")
        self.run_pod(agent, "flood", [COMPONENT, "lines", "0", "0"])
        busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"])
                for _ in range(2 * os.cpu_count())]
        try:
            feeds = 0
            while feeds < LOAD_SECONDS / feed:
                self.run_pod(agent, f"load{feeds % 7}")
                manager.feeds(1)
                feeds += 1
                if feeds % 7 == 6:
                    agent.remove("load3.yaml")
                    agent.wait_gone("load3")
        finally:
            for process in busy:
                process.kill()
                process.wait()
        self.watch(agent, manager)

    def test_everything_is_frozen_for_a_while(self):
        agent, manager = self.start()
        self.run_pod(agent)
        manager.feeds(2)
        pids = [agent.process.pid, *shims(agent), pid_of(agent.pod("one"))]
        for seconds in (FREEZE_SECONDS, 2 * FEED + 0.1):
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            time.sleep(seconds)  # the passing of time is what is tested
            mark = manager.mark()
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
            manager.feeds(3, mark)
        self.watch(agent, manager)

    def test_the_clocks_jump(self):
        """The wall clock to and fro, and CLOCK_BOOTTIME ahead, as after a suspend."""
        with open(HANGS, "rb") as f:
            if b"__asan_init" in f.read():
                self.skipTest("a preloaded library gets in the sanitizers' way")
        directory = tempfile.mkdtemp(prefix="mainstay-test-")
        self.addCleanup(shutil.rmtree, directory)
        path = os.path.join(directory, "jumps")

        def jump(real, boot):
            with open(path, "r+b" if os.path.exists(path) else "wb") as f:
                f.write(struct.pack("qq", real, boot))
        jump(0, 0)
        agent, manager = self.start(env={"LD_PRELOAD": CLOCK_JUMP, "CLOCK_JUMP_FILE": path})
        self.run_pod(agent)
        manager.feeds(2)
        boot = 0
        for real, sleep in ((3600, 0), (-86400 * 400, 0), (86400 * 4000, 60), (0, 8 * 3600), (1, 3)):
            boot += sleep
            mark = manager.mark()
            jump(real, boot)
            manager.feeds(3, mark)
        self.watch(agent, manager)
        self.run_pod(agent, "two")

    def test_the_agent_executes_itself_anew(self):
        agent, manager = self.start()
        self.run_pod(agent)
        for _ in range(3):
            mark = manager.mark()
            agent.process.send_signal(signal.SIGUSR2)
            manager.wait("READY=1", mark)
            manager.feeds(2, mark)
        self.watch(agent, manager)
        threads = os.listdir(f"/proc/{agent.process.pid}/task")
        self.assertEqual(len(threads), 2)  # the loop and its observer


if __name__ == "__main__":
    harness.main()
