"""What proves that a guarded pod is dead, one line at a time: the fence, the shim, the question at each start;
and podmaster with several pairs, as a program and as a static pod from the shipped manifest."""

import os
import re
import select
import shutil
import signal
import socket
import subprocess
import time
import unittest

from harness import SOURCE, WAIT_SECONDS, Agent, container, main, pid_of, pod_yaml, wait_process_gone
from test_podmaster_torture import PODMASTER, TTL, Etcd, Node, Relays, Torture, read_intervals, send

SHIPPED = os.path.join(SOURCE, "packaging", "podmaster", "podmaster.yaml")


def wait_until(predicate, what):
    end = time.monotonic() + WAIT_SECONDS
    while not predicate():
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not happen")
        time.sleep(0.02)


def is_dead(pid):
    """Gone, or a zombie that its stopped parent has not taken."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


class WithEtcd(unittest.TestCase):
    def setUp(self):
        for program in ("etcd", "etcdctl"):
            if not shutil.which(program):
                self.skipTest(f"{program} is not installed")
        if os.geteuid() != 0:
            self.skipTest("needs root, for cgroups")


class Lines(WithEtcd):
    """One node alone; it has the pod."""

    def setUp(self):
        super().setUp()
        self.torture = Torture(0, PODMASTER)
        self.addCleanup(self.torture.close)
        self.torture.etcd, self.torture.relays = Etcd(size=1), Relays()
        self.node = Node("m1", PODMASTER, self.torture.relays, self.torture.etcd, self.torture.stamps,
                         ttl=2 * TTL)
        self.torture.nodes.append(self.node)
        self.torture.await_holder()
        self.component, = self.node.pids("component")
        self.manifest = os.path.join(self.node.agent.manifests, "guarded.yaml")

    def stop(self, *whats):
        for what in whats:
            pids = self.node.pids(what)
            self.assertTrue(pids, what)
            send(pids, signal.SIGSTOP)
            self.addCleanup(send, pids, signal.SIGCONT)

    def go_on(self, what):
        send(self.node.pids(what), signal.SIGCONT)

    def await_death(self):
        wait_until(lambda: is_dead(self.component), "the component's death")

    def instances(self):
        return len(read_intervals(self.torture.stamps))

    def test_the_fence_alone_kills(self):
        self.stop("component", "podmaster", "agent", "shim")
        self.await_death()
        self.assertFalse(os.path.exists(self.manifest))
        wait_until(lambda: "killed what was left of the pod, and it is dead" in self.node.log(), "the fence's word")

    def test_the_shim_alone_kills(self):
        self.stop("podmaster", "agent")
        self.node.kill("fence")
        self.await_death()
        self.assertTrue(os.path.exists(self.manifest))  # nobody was left to take it away
        # The agent goes on before anybody has taken the manifest away, and wants to start it again.
        self.go_on("agent")
        event = self.node.agent.wait_event("Failed", pod="guarded")
        self.assertIn("this node does not hold its lease", event["message"])
        self.assertTrue([e for e in self.node.agent.events("Degraded") if "podmaster's lease was not renewed"
                         in e["message"]])
        self.assertEqual(self.instances(), 1)
        self.go_on("podmaster")
        self.torture.await_holder()
        self.assertEqual(self.instances(), 2)

    def test_an_agent_that_hung_does_not_start_it_again(self):
        self.stop("podmaster", "agent")
        self.await_death()
        self.assertFalse(os.path.exists(self.manifest))
        self.go_on("agent")
        self.node.agent.wait_gone("guarded")
        self.assertEqual(self.instances(), 1)

    def test_a_podmaster_that_is_told_to_stop_proves_it_dead_first(self):
        self.stop("agent", "shim")  # which would kill at the same moment
        self.node.podmaster.send_signal(signal.SIGTERM)
        self.assertEqual(self.node.podmaster.wait(WAIT_SECONDS), 0)
        self.assertTrue(is_dead(self.component))
        self.assertIn("released the lease", self.node.log())
        # The fence tells it when it sees it, which podmaster does not wait for: it has seen it itself.
        wait_until(lambda: "killed what was left of the pod" in self.node.log(), "the fence's word")
        self.assertEqual(self.torture.etcd.ctl("get", "--keys-only", "/torture").strip(), "")

    def test_a_pod_that_stops_in_order_is_not_killed(self):
        self.node.podmaster.send_signal(signal.SIGTERM)
        self.assertEqual(self.node.podmaster.wait(WAIT_SECONDS), 0)
        self.assertTrue(is_dead(self.component))
        self.assertNotIn("killed", self.node.log())

    def test_a_manifest_that_a_reboot_left_starts_nothing(self):
        """The state is in /run, and the manifest is not."""
        with open(self.manifest) as f:
            text = f.read()
        self.node.podmaster.send_signal(signal.SIGTERM)
        self.node.podmaster.wait(WAIT_SECONDS)
        self.node.agent.wait_gone("guarded")
        state = os.path.join(self.node.state, "guarded.yaml.lease")
        shutil.copy(state, state + ".other")
        with open(state + ".other", "r+") as f:
            f.write("00000000-0000-0000-0000-000000000000")  # another boot's
        ends = [lambda: os.rename(state + ".other", state), lambda: os.unlink(state),
                lambda: shutil.rmtree(self.node.state)]
        kind = subprocess.run(["stat", "-f", "-c", "%T", state], capture_output=True, text=True, check=True).stdout
        for end in ends[kind.strip() == "tmpfs":]:  # where nothing outlives a boot, there is no other boot's
            end()
            after = self.node.agent.last_event()
            self.node.agent.drop("guarded.yaml", text)
            event = self.node.agent.wait_event("Failed", pod="guarded", after=after)
            self.assertIn("guarded by podmaster", event["message"])
            self.node.agent.remove("guarded.yaml")
            self.node.agent.wait_gone("guarded")
        self.assertEqual(self.instances(), 1)

    @staticmethod
    def may_be_nice():
        return subprocess.run(["nice", "-n", "-1", "nice"], capture_output=True, text=True,
                              check=False).stderr == ""

    def test_who_kills_goes_first(self):
        fence, shim = self.node.pids("fence")[0], self.node.pids("shim")[0]
        if not self.may_be_nice():
            self.skipTest("needs CAP_SYS_NICE")
        with open(f"/proc/{self.component}/stat") as f:
            nice = int(f.read().rsplit(")", 1)[1].split()[16])
        self.assertEqual(nice, os.nice(0))
        self.assertEqual(os.sched_getscheduler(shim) & ~os.SCHED_RESET_ON_FORK, os.SCHED_OTHER)
        self.assertTrue(os.sched_getscheduler(shim) & os.SCHED_RESET_ON_FORK)
        self.assertEqual(os.getpriority(os.PRIO_PROCESS, shim), -20)
        self.assertEqual(os.sched_getscheduler(fence) & ~os.SCHED_RESET_ON_FORK, os.SCHED_FIFO)

    def test_every_deadline_counts_sleep(self):
        """Timers of the clock that goes on while the machine sleeps (7), in the fence and in the shim."""
        for pid in self.node.pids("fence") + self.node.pids("shim"):
            clocks = []
            for number in os.listdir(f"/proc/{pid}/fd"):
                if os.readlink(f"/proc/{pid}/fd/{number}") == "anon_inode:[timerfd]":
                    with open(f"/proc/{pid}/fdinfo/{number}") as f:
                        clocks += [line.split()[1] for line in f if line.startswith("clockid:")]
            self.assertTrue(clocks)
            self.assertEqual(set(clocks), {"7"})

    def test_a_podmaster_that_comes_back_in_time_changes_nothing(self):
        self.node.kill("podmaster", "fence")
        self.node.begin()
        wait_until(lambda: self.node.log().count("holds the lease") == 2, "the second life")
        since = time.clock_gettime_ns(time.CLOCK_BOOTTIME) + self.node.ttl * 10**9
        wait_until(lambda: read_intervals(self.torture.stamps)[-1].end > since, "a life longer than a lease")
        self.assertEqual(self.instances(), 1)


class Pairs(WithEtcd):
    """Two manifests, two leases, one podmaster."""

    def setUp(self):
        super().setUp()
        self.etcd = Etcd(size=1)
        self.addCleanup(self.etcd.close)
        self.agent = Agent(node="m1")
        self.addCleanup(self.agent.close)
        self.urls = ",".join(f"http://127.0.0.1:{port}" for port in self.etcd.ports)
        os.mkdir(self.agent.path("sources"))
        for name in ("one", "two"):
            self.agent.write(f"sources/{name}.yaml", pod_yaml(name, ["sleep", "1000000"]))

    def files(self, name):
        return self.agent.path("sources", name + ".yaml"), os.path.join(self.agent.manifests, name + ".yaml")

    def start(self, *flags, **options):
        process = subprocess.Popen(
            [PODMASTER, "--etcd-servers", self.urls, "--ttl", str(TTL), "--state-dir",
             self.agent.path("podmaster"), *flags], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, **options)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def keys(self):
        return self.etcd.ctl("get", "--prefix", "--keys-only", "/").split()

    def pids(self):
        return [pid_of(self.agent.wait_ready_pod(name)) for name in ("one", "two")]

    def check_two(self, *flags):
        process = self.start(*flags)
        before = self.pids()
        self.assertEqual(self.keys(), ["/one", "/two"])
        # One of its processes dies: another goes on where it was.
        with open(f"/proc/{process.pid}/task/{process.pid}/children") as f:
            worker = int(f.read().split()[0])
        os.kill(worker, signal.SIGKILL)
        wait_process_gone(worker)
        self.agent.remove("one.yaml")  # which one is not told: both come back, when both are renewed
        self.agent.remove("two.yaml")
        wait_until(lambda: all(os.path.exists(self.files(n)[1]) for n in ("one", "two")), "both back")
        self.pids()
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(WAIT_SECONDS), 0)
        self.assertTrue(all(is_dead(pid) for pid in before))
        self.assertEqual(self.keys(), [])
        self.assertEqual(os.listdir(self.agent.manifests), [])

    def test_pairs(self):
        self.check_two(*(f"--pair=/{name}={':'.join(self.files(name))}" for name in ("one", "two")))

    def test_the_classic_flags_again_and_again(self):
        self.check_two(*(flag for name in ("one", "two") for flag in (
            f"--key=/{name}", f"--source-file={self.files(name)[0]}", f"--dest-file={self.files(name)[1]}")))

    def test_the_service_manager_is_told_of_both(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(self.agent.path("told"))
            self.start(*(f"--pair=/{name}={':'.join(self.files(name))}" for name in ("one", "two")),
                       env={**os.environ, "NOTIFY_SOCKET": self.agent.path("told")})
            text = ""
            while text.count("Holds /") < 2:
                self.assertTrue(select.select([notify], [], [], WAIT_SECONDS)[0])
                text = notify.recv(65536).decode()
            self.assertIn("READY=1", text)
            self.assertIn("Holds /one: the manifest is in place; Holds /two: the manifest is in place", text)

    def test_wrong_pairs(self):
        one, two = self.files("one"), self.files("two")
        rows = {
            "--pair: KEY=SOURCE:DEST": ["--pair=/k"],
            "are needed, or --pair": ["--key=/k"],
            "each --key needs one": ["--key=/k", "--source-file", one[0], "--dest-file", one[1], "--key=/l",
                                     "--source-file", two[0]],
            "is --etcd-keyfile": ["--pair", f"/k={':'.join(one)}", "--key", "/etc/x.key"],
            "two pairs have the same --key": ["--pair", f"/k={':'.join(one)}", "--pair", f"/k={':'.join(two)}"],
            "--dest-file of the same name": ["--pair", f"/k={':'.join(one)}", "--pair", f"/l={':'.join(one)}"],
            "--stop-time is too long": ["--pair", f"/k={':'.join(one)}", "--stop-time", "2"],
            "--state-dir must be": ["--pair", f"/k={':'.join(one)}", "--state-dir", "x"],
        }
        for message, flags in rows.items():
            with self.subTest(message):
                process = self.start(*flags, stderr=subprocess.PIPE, text=True)
                self.assertIn(message, process.communicate(timeout=WAIT_SECONDS)[1])
                self.assertEqual(process.returncode, 2)

    def shipped(self):
        """The manifest as it is installed, with this test's paths in the place of the real ones."""
        with open(SHIPPED) as f:
            text = f.read()
        text = re.sub(r" *- --etcd-(ca|cert|key)file=.*\n", "", text)
        text = re.sub(r" *- \{name: pki.*\n", "", text)
        text = re.sub(r" *- name: pki\n.*\n", "", text)
        for old, new in (("https://127.0.0.1:2379", self.urls), ("--ttl=10", "--ttl=8\n    - --stop-time=1"),
                         ("/usr/local/sbin/podmaster", PODMASTER),
                         ("kube-scheduler", "one"), ("kube-controller-manager", "two"),
                         ("=/mainstay/podmaster/", "=/"),
                         ("/etc/mainstay/podmaster", self.agent.path("sources")),
                         ("/etc/kubernetes/manifests", self.agent.manifests),
                         ("/run/mainstay/podmaster", self.agent.path("podmaster"))):
            self.assertIn(old, text)
            text = text.replace(old, new)
        return text.replace("    - --ttl=", f"    - --state-dir={self.agent.path('podmaster')}\n    - --ttl=")

    def test_the_shipped_static_pod(self):
        self.agent.drop("podmaster.yaml", self.shipped())
        before = self.pids()
        first = pid_of(self.agent.wait_ready_pod("podmaster"), "podmaster")
        self.assertEqual(self.keys(), ["/one", "/two"])
        # podmaster dies, fence and all: the agent starts another, and nobody has noticed.
        os.kill(first, signal.SIGKILL)
        self.agent.wait(lambda pods: container(pods["podmaster-m1"], "podmaster").get("pid") not in (None, first),
                        "another podmaster")
        deadlines = self.deadlines()
        wait_until(lambda: all(new[0] > old[1] for new, old in zip(self.deadlines(), deadlines)),
                   "a new beginning after the old end")
        self.assertEqual(self.pids(), before)
        # It hangs, and agent and shims with it: its fence kills, out of its container.
        stopped = self.processes_of(self.agent.pod("podmaster")) + [self.agent.process.pid] + [self.parent(pid) for pid in before]
        send(stopped, signal.SIGSTOP)
        try:
            wait_until(lambda: all(is_dead(pid) for pid in before), "the death of both")
        finally:
            send(stopped, signal.SIGCONT)
        self.agent.wait(lambda pods: all(
            name in pods and container(pods[name]).get("pid") not in (None, *before)
            for name in ("one-m1", "two-m1")), "both again")
        # It is told to stop: the leases are released.
        self.agent.remove("podmaster.yaml")
        for name in ("podmaster", "one", "two"):
            self.agent.wait_gone(name)
        self.assertEqual(self.keys(), [])

    def deadlines(self):
        """Until when each of them may begin and may live."""
        found = []
        for name in ("one", "two"):
            with open(self.agent.path("podmaster", name + ".yaml.lease")) as f:
                found.append([int(word) for word in f.read().split()[2:4]])
        return found

    @staticmethod
    def parent(pid):
        with open(f"/proc/{pid}/stat") as f:
            return int(f.read().rsplit(")", 1)[1].split()[1])

    @staticmethod
    def processes_of(pod):
        """podmaster and its workers, without the fences."""
        first = pid_of(pod, "podmaster")
        with open(f"/proc/{first}/task/{first}/children") as f:
            return [first, *map(int, f.read().split())]


if __name__ == "__main__":
    main()
