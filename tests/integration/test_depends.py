"""mainstay.dev/depends-on: who waits for whom, cycles, and what a pod that becomes ready sets going."""

import hashlib
import json
import os
import shutil
import signal

import harness
from harness import COMPONENT, container, is_ready, pid_of, pod_yaml


def depending(name, on, command=None, extra="", container_extra=""):
    """A pod with the annotation; `on` None: without it."""
    text = pod_yaml(name, command or [COMPONENT], extra, container_extra)
    if on is None:
        return text
    return text.replace('  namespace: default\n',
                        f'  namespace: default\n  annotations: {{mainstay.dev/depends-on: "{on}"}}\n')


def probed(path, period=1):
    """A readiness probe that succeeds while the file is there."""
    return f"""    readinessProbe:
      exec: {{command: [test, -e, {path}]}}
      periodSeconds: {period}
"""


def crashing_until(path):
    """Exits at once, as a server does whose database is down, until the file is there."""
    return ["sh", "-c", f"test -e {path} || exit 1; exec {COMPONENT}"]


def waits(agent, name, reason, text):
    """Until the pod waits for that reason with that text in its message."""
    full = f"{name}-{agent.node}"

    def found(pods):
        status = pods.get(full, {}).get("status", {})
        return (status if status.get("reason") == reason and text in status.get("message", "")
                else None)
    return agent.wait(found, f"{name} waits: {reason} {text}")


class Start(harness.AgentTest):
    def test_a_pod_starts_when_the_other_is_ready_and_not_before(self):
        agent = self.agent()
        flag = agent.path("flag")
        agent.drop("api.yaml", depending("api", "etcd"))
        waits(agent, "api", "DependencyNotReady", "there is no pod etcd")
        agent.drop("etcd.yaml", depending("etcd", None, container_extra=probed(flag)))
        waits(agent, "api", "DependencyNotReady",
              "etcd is not ready: the readiness probe of container main has not succeeded")
        self.assertFalse(agent.events("Started", "api"))
        get = agent.cli("get", "pods", "api")
        self.assertIn("DependencyNotReady", get.stdout)
        describe = agent.cli("describe", "pod", "api")
        self.assertIn("etcd is not ready", describe.stdout)
        self.assertIn("api-node1 does not start yet: etcd is not ready: the readiness", agent.cli("status").stdout)
        agent.write("flag", "")
        agent.wait_ready_pod("api")
        started = {e["involvedObject"]["name"]: i for i, e in enumerate(agent.events("Started"))}
        self.assertLess(started["etcd-node1"], started["api-node1"])
        self.assertEqual(len(agent.events("DependencyNotReady", "api")), 1, "one event, however often it changed")

    def test_names_with_suffix_namespace_and_several(self):
        agent = self.agent()
        agent.drop("last.yaml", depending("last", "one-node1, default/two,other/three"))
        agent.drop("one.yaml", depending("one", None))
        agent.drop("two.yaml", depending("two", None))
        waits(agent, "last", "DependencyNotReady", "there is no pod other/three")
        agent.drop("three.yaml", depending("three", None).replace("namespace: default", "namespace: other"))
        agent.wait_ready_pod("last")

    def test_a_chain_starts_in_order_whatever_the_order_of_files(self):
        agent = self.agent(start=False)
        for name, on in (("a", "b"), ("b", "c"), ("c", "d"), ("d", None)):
            agent.drop(f"{name}.yaml", depending(name, on))
        agent.start()
        agent.wait_ready_pod("a")
        self.assertEqual([e["involvedObject"]["name"] for e in agent.events("Started")],
                         ["d-node1", "c-node1", "b-node1", "a-node1"])

    def test_a_pod_that_has_completed_was_there(self):
        agent = self.agent()
        agent.drop("web.yaml", depending("web", "setup"))
        agent.drop("setup.yaml", depending("setup", None, [COMPONENT, "exit", "0"], "  restartPolicy: Never\n"))
        agent.wait_ready_pod("web")
        agent.drop("broken.yaml", depending("broken", None, [COMPONENT, "exit", "3"], "  restartPolicy: Never\n"))
        agent.wait_event("PodFailed", "broken")
        agent.drop("late.yaml", depending("late", "broken"))
        waits(agent, "late", "DependencyNotReady", "broken is not ready: Error: container main failed")

    def test_apply_wait_says_what_is_waited_for(self):
        agent = self.agent()
        path = agent.write("api.yaml", depending("api", "etcd"))
        done = agent.cli("apply", path, "--wait", "--timeout", "1s")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("DependencyNotReady", done.stderr)
        self.assertIn("there is no pod etcd", done.stderr)


class Running(harness.AgentTest):
    def setUp(self):
        self.a = self.agent()
        self.flag = self.a.write("flag", "")
        self.a.drop("etcd.yaml", depending("etcd", None, container_extra=probed(self.flag)))
        self.a.drop("api.yaml", depending("api", "etcd"))
        self.api = self.a.wait_ready_pod("api")

    def unready(self):
        os.unlink(self.flag)
        self.a.wait(lambda pods: not is_ready(pods["etcd-node1"]) or None, "etcd is unready")

    def test_what_runs_runs_on_and_what_is_started_anew_waits(self):
        agent = self.a
        self.unready()
        self.assertEqual(pid_of(agent.pod("api")), pid_of(self.api))
        os.kill(pid_of(self.api), signal.SIGKILL)  # a restart is no start
        agent.wait_ready_pod("api", restarts=1)
        agent.cli("stop", "api", check=True)
        agent.wait(lambda pods: pods["api-node1"]["mainstay"]["state"] == "Held" or None, "api held")
        agent.cli("start", "api", check=True)
        waits(agent, "api", "DependencyNotReady", "etcd is not ready")
        agent.write("flag", "")
        agent.wait_ready_pod("api")

    def test_an_edited_pod_waits_again(self):
        agent = self.a
        self.unready()
        agent.drop("api.yaml", depending("api", "etcd", [COMPONENT, "say", "edited"]))
        waits(agent, "api", "DependencyNotReady", "etcd is not ready")
        agent.write("flag", "")
        agent.wait_ready_pod("api")

    def test_a_new_agent_leaves_what_runs(self):
        agent = self.a
        self.unready()
        agent.restart()
        pod = agent.pod("api")
        self.assertTrue(is_ready(pod))
        self.assertEqual(pid_of(pod), pid_of(self.api))

    def test_after_a_restart_of_the_machine_the_order_holds(self):
        agent = self.a
        agent.kill()
        harness.kill_shims(agent.dir)
        self.forge_reboot()
        os.unlink(self.flag)
        agent.start()
        waits(agent, "api", "DependencyNotReady", "etcd is not ready")
        agent.write("flag", "")
        pod = agent.wait_ready_pod("api")
        self.assertEqual(container(pod)["restartCount"], 1)
        self.assertTrue(agent.events("Lost", "api"))

    def forge_reboot(self):
        """The state on disk as of another boot, and an empty run directory."""
        shutil.rmtree(self.a.path("run", "shims"))
        directory = self.a.path("root", "state", "pods")
        for path in (os.path.join(directory, name) for name in os.listdir(directory)):
            if not path.endswith(".state"):
                continue
            with open(path) as f:
                head, body = f.read().split("\n", 1)
            state = json.loads(body)
            state["bootId"] = "00000000-0000-0000-0000-000000000000"
            body = json.dumps(state)
            kind, version, _ = head.split(" ")
            with open(path, "w") as f:
                f.write(f"{kind} {version} {hashlib.sha256(body.encode()).hexdigest()}\n{body}")


class BackOff(harness.AgentTest):
    def test_a_dependency_that_becomes_ready_clears_the_back_off(self):
        agent = self.agent()
        flag = agent.path("flag")
        # Both: one that was started before its dependency failed, and its dependency.
        agent.write("flag", "")
        agent.drop("etcd.yaml", depending("etcd", None, container_extra=probed(flag)))
        agent.drop("api.yaml", depending("api", "etcd", crashing_until(flag)))
        agent.wait_ready_pod("api")
        os.unlink(flag)
        agent.wait(lambda pods: not is_ready(pods["etcd-node1"]) or None, "etcd is unready")
        os.kill(pid_of(agent.pod("api")), signal.SIGKILL)
        agent.wait_event("BackOff", "api")
        agent.drop("web.yaml", depending("web", "api"))
        waits(agent, "web", "DependencyNotReady", "api is not ready: CrashLoopBackOff")
        agent.write("flag", "")
        agent.wait_event("DependencyReady", "api")
        agent.wait_ready_pod("web")
        # Not by the end of the back-off: that is ten seconds, and nothing else was between the two.
        reasons = [e["reason"] for e in agent.events(pod="api") if e["reason"] not in ("Prepared", "Exited")]
        self.assertEqual(reasons[-3:], ["BackOff", "DependencyReady", "Started"])


class Cycles(harness.AgentTest):
    def test_the_pods_of_a_cycle_do_not_start_until_it_is_broken(self):
        agent = self.agent()
        agent.drop("a.yaml", depending("a", "b"))
        agent.drop("b.yaml", depending("b", "c"))
        agent.drop("c.yaml", depending("c", "a"))
        agent.drop("d.yaml", depending("d", "a"))
        agent.drop("self.yaml", depending("self", "self"))
        waits(agent, "a", "DependencyCycle", "a-node1 → b-node1 → c-node1 → a-node1")
        waits(agent, "b", "DependencyCycle", "b-node1 → c-node1 → a-node1 → b-node1")
        waits(agent, "d", "DependencyNotReady", "a is not ready: DependencyCycle")
        waits(agent, "self", "DependencyCycle", "self-node1 → self-node1")
        self.assertIn("a-node1 → b-node1", agent.events("DependencyCycle", "a")[-1]["message"])
        self.assertFalse(agent.events("Started"))
        agent.drop("c.yaml", depending("c", None))
        agent.wait_ready_pod("d")

    def test_an_edit_that_closes_a_cycle_stops_nothing(self):
        agent = self.agent()
        agent.drop("a.yaml", depending("a", None))
        agent.drop("b.yaml", depending("b", "a"))
        agent.wait_ready_pod("b")
        before = {name: pid_of(pod) for name, pod in agent.pods().items()}
        agent.drop("a.yaml", depending("a", "b"))
        event = agent.wait_event("DependencyCycle", "a")
        self.assertIn("a-node1 → b-node1 → a-node1", event["message"])
        self.assertIn("runs on", event["message"])
        for restart in (False, True):
            if restart:
                last = agent.last_event()
                agent.restart()
                agent.wait_event("DependencyCycle", "a", after=last)
            self.assertEqual({name: pid_of(pod) for name, pod in agent.pods().items()}, before)
        wait = agent.cli("wait", "a", "--for=applied", "--timeout", "20s")
        self.assertEqual(wait.returncode, 1)
        self.assertIn("a-node1 → b-node1 → a-node1", wait.stderr)
        self.assertIn("pod runs on as it was", agent.cli("describe", "pod", "a").stdout)
        self.assertIn("runs on as it was before its manifest changed", agent.cli("status").stdout)
        # The other end gives way: now the edit comes into force.
        agent.drop("b.yaml", depending("b", None, [COMPONENT, "say", "edited"]))

        def in_force(pods):
            pod = pods.get("a-node1")
            return pod and is_ready(pod) and pid_of(pod) != before["a-node1"] or None
        agent.wait(in_force, "the edit of a is in force")

    def test_a_pod_that_is_held_back_can_be_deleted(self):
        agent = self.agent()
        agent.drop("a.yaml", depending("a", None))
        agent.drop("b.yaml", depending("b", "a"))
        agent.wait_ready_pod("b")
        agent.drop("a.yaml", depending("a", "b"))
        agent.wait_event("DependencyCycle", "a")
        agent.remove("a.yaml")
        agent.wait_gone("a")

    def test_an_edit_that_closes_a_cycle_can_be_taken_back(self):
        agent = self.agent()
        agent.drop("a.yaml", depending("a", None))
        agent.drop("b.yaml", depending("b", "a"))
        agent.wait_ready_pod("b")
        pid = pid_of(agent.pod("a"))
        agent.drop("a.yaml", depending("a", "b"))
        agent.wait_event("DependencyCycle", "a")
        agent.drop("a.yaml", depending("a", None))
        agent.wait(lambda pods: not pods["a-node1"]["mainstay"]["successor"] or None, "the edit is gone")
        self.assertEqual(pid_of(agent.pod("a")), pid)


if __name__ == "__main__":
    harness.main()
