"""The agent's death, restart and upgrade stop, restart and lose nothing."""

import os
import random
import re
import shutil
import signal
import time

import harness
from harness import COMPONENT, container, pid_of, pod_yaml

KILLS = int(os.environ.get("MAINSTAY_KILLS", "50"))
FAST_BACKOFF = """apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
crashLoopBackOff: {maxContainerRestartPeriod: 1s}
"""


def numbers_of(lines):
    return [int(line.split()[1]) for line in lines if re.fullmatch(r"line \d+", line)]


class AgentDies(harness.AgentTest):
    def test_fifty_deaths_under_load(self):
        """Steady writers, a pod that comes and goes, a pod that crashes: killed at random moments."""
        seed = int(os.environ.get("MAINSTAY_SEED", random.randrange(1 << 30)))
        rng = random.Random(seed)
        agent = self.agent(config=FAST_BACKOFF)
        steady = ["w0", "w1", "w2"]
        for name in steady:
            agent.drop(name + ".yaml", pod_yaml(name, [COMPONENT, "lock", agent.path("lock-" + name),
                                                       "lines", "0", "1"]))
        agent.drop("crash.yaml", pod_yaml("crash", [COMPONENT, "stamp", agent.path("crashes"),
                                                    "exit", "5"]))
        before = {name: pid_of(agent.wait_ready_pod(name)) for name in steady}
        comes = pod_yaml("comes", [COMPONENT, "lock", agent.path("lock-comes"), "stamp",
                                   agent.path("comings")])
        there = False
        for _ in range(KILLS):
            for _ in range(rng.randrange(3)):
                if there:
                    agent.remove("comes.yaml")
                else:
                    agent.drop("comes.yaml", comes)
                there = not there
                time.sleep(rng.random() * 0.02)
            time.sleep(rng.random() * 0.1)
            agent.kill()
            agent.start(wait=rng.randrange(2) == 0)  # the next one may die before it is ready
        if agent.process.poll() is None:
            agent.kill()
        agent.start()
        after = {name: pid_of(agent.wait_ready_pod(name)) for name in steady}
        self.assertEqual(before, after, f"MAINSTAY_SEED={seed}")
        for name in steady + ["comes"]:
            if os.path.exists(agent.path("lock-" + name)):
                with open(agent.path("lock-" + name)) as f:
                    self.assertEqual(f.read(), "", f"{name} ran twice; MAINSTAY_SEED={seed}")
        agent.drop("comes.yaml", comes)
        agent.wait_ready_pod("comes")
        self.check_lines(agent, steady, seed)
        self.check_exits(agent, seed)

    def check_lines(self, agent, names, seed):
        for name in names:
            agent.remove(name + ".yaml")
        for name in names:
            agent.wait_gone(name)
        for name in names:
            numbers = numbers_of(agent.log_text(name))
            self.assertTrue(numbers)
            self.assertEqual(numbers, list(range(1, len(numbers) + 1)),
                             f"log of {name}; MAINSTAY_SEED={seed}")

    def check_exits(self, agent, seed):
        """Each run of the crashing pod has its exit on record."""
        agent.cli("stop", "crash", check=True)
        agent.wait(lambda pods: pods["crash-node1"]["mainstay"]["state"] == "Held" or None, "held")
        with open(agent.path("crashes")) as f:
            runs = len(f.readlines())
        told = set()
        for event in agent.events("Exited", "crash"):
            match = re.search(r"run (\d+) of container main exited with status 5", event["message"])
            if match:
                told.add(int(match.group(1)))
        self.assertEqual(told, set(range(runs)), f"MAINSTAY_SEED={seed}")

    def test_an_orderly_restart_changes_nothing(self):
        agent = self.agent()
        agent.drop("w.yaml", pod_yaml("w", [COMPONENT, "lines", "0", "1"]))
        pid = pid_of(agent.wait_ready_pod("w"))
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
            agent.restart(number)
            self.assertEqual(pid_of(agent.wait_ready_pod("w")), pid)
        self.assertEqual(container(agent.pod("w"))["restartCount"], 0)

    def test_a_new_build_takes_over_in_place(self):
        agent = self.agent(start=False)
        agent.program = agent.path("mainstayd")
        shutil.copy(harness.MAINSTAYD, agent.program)
        agent.start()
        agent.drop("w.yaml", pod_yaml("w", [COMPONENT, "lines", "0", "1"]))
        pid = pid_of(agent.wait_ready_pod("w"))
        shutil.copy(harness.MAINSTAYD, agent.path("new"))
        os.rename(agent.path("new"), agent.program)
        agent.process.send_signal(signal.SIGUSR2)
        agent.wait_ready()
        self.assertEqual(pid_of(agent.wait_ready_pod("w")), pid)
        # What the program before it has started is reaped by this one.
        before = harness.children(agent.process.pid)
        self.assertTrue(before)
        os.kill(pid, signal.SIGKILL)
        agent.wait_ready_pod("w", restarts=1)
        harness.wait_no_zombies(agent.process.pid)
        self.assertNotEqual(set(harness.children(agent.process.pid)), set(before))

    def test_exits_while_no_agent_is_there(self):
        agent = self.agent()
        agent.drop("e.yaml", pod_yaml("e", [COMPONENT]))
        pid = pid_of(agent.wait_ready_pod("e"))
        agent.kill()
        with open(f"/proc/{pid}/root/dev/termination-log", "w") as f:
            f.write("because\n")
        os.kill(pid, signal.SIGKILL)
        harness.wait_process_gone(pid)
        agent.start()
        pod = agent.wait_ready_pod("e", restarts=1)
        last = harness.status_of(pod)["lastState"]["terminated"]
        self.assertEqual((last["exitCode"], last["message"]), (137, "because\n"))
        self.assertTrue(agent.events("Exited", "e"))

    def test_a_manifest_removed_while_no_agent_is_there(self):
        agent = self.agent()
        agent.drop("e.yaml", pod_yaml("e", [COMPONENT]))
        pid = pid_of(agent.wait_ready_pod("e"))
        agent.kill()
        agent.remove("e.yaml")
        agent.start()
        agent.wait_gone("e")
        harness.wait_process_gone(pid)

    def test_damaged_state_costs_history_only(self):
        agent = self.agent()
        agent.drop("e.yaml", pod_yaml("e", [COMPONENT]))
        pid = pid_of(agent.wait_ready_pod("e"))
        agent.kill()
        directory = agent.path("root", "state", "pods")
        for name in os.listdir(directory):
            with open(os.path.join(directory, name), "r+b") as f:
                f.seek(80)
                f.write(b"garbage")
        agent.start()
        self.assertEqual(pid_of(agent.wait_ready_pod("e")), pid)
        self.assertTrue(agent.events("StateDamaged"))

    def test_lost_state_loses_no_pod(self):
        agent = self.agent()
        for name in ("keep", "drop"):
            agent.drop(name + ".yaml", pod_yaml(name, [COMPONENT]))
        pids = {name: pid_of(agent.wait_ready_pod(name)) for name in ("keep", "drop")}
        agent.kill()
        shutil.rmtree(agent.path("root", "state"))
        agent.remove("drop.yaml")
        agent.start()
        self.assertEqual(pid_of(agent.wait_ready_pod("keep")), pids["keep"])
        harness.wait_process_gone(pids["drop"])  # a stray of a pod that nobody wants is stopped
        agent.wait_gone("drop")

    def test_two_agents_do_not_share_a_directory(self):
        agent = self.agent()
        agent.drop("e.yaml", pod_yaml("e", [COMPONENT]))
        agent.wait_ready_pod("e")
        first = agent.process
        agent.start(wait=False)
        second, agent.process = agent.process, first
        self.assertEqual(second.wait(harness.WAIT_SECONDS), 1)
        self.assertIn("another agent", agent.agent_log())

    def test_two_agents_do_not_share_a_cgroup(self):
        agent = self.agent()
        other = harness.Agent(start=False)
        self.addCleanup(other.close)
        other.cgroup = agent.cgroup
        if "none" in agent.get("/mainstay/v1/status")["cgroups"]:
            self.skipTest("no cgroups here")
        other.start(wait=False)
        self.assertEqual(other.process.wait(harness.WAIT_SECONDS), 1)
        self.assertIn("--cgroup-name", other.agent_log())

    def test_stop_pods_on_exit(self):
        agent = self.agent("--stop-pods-on-exit")
        agent.drop("e.yaml", pod_yaml("e", [COMPONENT]))
        pid = pid_of(agent.wait_ready_pod("e"))
        agent.kill(signal.SIGTERM)
        harness.wait_process_gone(pid)
        agent.start()
        agent.wait_ready_pod("e")


if __name__ == "__main__":
    harness.main()
