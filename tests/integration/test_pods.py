"""The life of pods under a real agent: start, restart, stop, replacement, hooks, volumes, verbs."""

import json
import os
import signal
import subprocess

import harness
from harness import COMPONENT, pid_of, pod_yaml, status_of


class Start(harness.AgentTest):
    def test_a_drop_is_a_deed(self):
        agent = self.agent()
        agent.drop("web.yaml", pod_yaml("web", [COMPONENT, "say", "hello"]))
        pod = agent.wait_ready_pod("web")
        self.assertEqual(pod["status"]["phase"], "Running")
        self.assertEqual(status_of(pod)["restartCount"], 0)
        os.kill(pid_of(pod), 0)
        self.assertTrue(agent.events("Started", "web"))

    def test_output_reaches_the_log_and_the_command(self):
        agent = self.agent()
        agent.drop("web.yaml", pod_yaml("web", [COMPONENT, "lines", "5", "0", "exit", "0"],
                                        extra="  restartPolicy: Never\n"))
        agent.wait(lambda pods: pods.get("web-node1", {}).get("status", {}).get("phase") == "Succeeded"
                   or None, "web succeeded")
        self.assertEqual(agent.log_text("web"), [f"line {i}" for i in range(1, 6)])
        logs = agent.cli("logs", "web")
        self.assertEqual(logs.stdout.split("\n"), [f"line {i}" for i in range(1, 6)] + [""])
        tail = agent.cli("logs", "web", "--tail", "2")
        self.assertEqual(tail.stdout, "line 4\nline 5\n")

    def test_environment_volumes_and_working_directory(self):
        agent = self.agent()
        os.mkdir(agent.path("data"))
        script = "echo $NAME/$POD/$(pwd) > /mnt/data/out; touch /mnt/ro/x || echo refused; sleep 1000"
        volumes = f"""  volumes:
  - name: data
    hostPath: {{path: {agent.path("data")}, type: Directory}}
  - name: made
    hostPath: {{path: {agent.path("made/deep")}, type: DirectoryOrCreate}}
  - name: scratch
    emptyDir: {{}}
"""
        mounts = """    workingDir: /mnt/made
    env:
    - {name: BASE, value: abc}
    - {name: NAME, value: "$(BASE)-def"}
    - name: POD
      valueFrom: {fieldRef: {fieldPath: metadata.name}}
    volumeMounts:
    - {name: data, mountPath: /mnt/data}
    - {name: data, mountPath: /mnt/ro, readOnly: true}
    - {name: made, mountPath: /mnt/made}
    - {name: scratch, mountPath: /mnt/scratch}
"""
        agent.drop("vol.yaml", pod_yaml("vol", ["sh", "-c", script], volumes, mounts))
        agent.wait_ready_pod("vol")
        self.wait_log(agent, "vol", "refused")
        with open(agent.path("data", "out")) as f:
            self.assertEqual(f.read(), "abc-def/vol-node1//mnt/made\n")
        self.assertTrue(os.path.isdir(agent.path("made/deep")))
        self.assertFalse(os.path.exists("/mnt/data"), "a mount point was left on the host")

    def wait_log(self, agent, name, text):
        follow = subprocess.Popen([harness.MAINSTAY, "--socket", agent.socket, "logs", "-f", name],
                                  stdout=subprocess.PIPE, text=True)
        try:
            for line in follow.stdout:
                if text in line:
                    return
            self.fail(f"{text} was not logged")
        finally:
            follow.kill()
            follow.wait()
            follow.stdout.close()

    def test_a_missing_host_path_is_told(self):
        agent = self.agent()
        volumes = """  volumes:
  - name: data
    hostPath: {path: /no/such/place, type: Directory}
"""
        mounts = "    volumeMounts:\n    - {name: data, mountPath: /mnt/data}\n"
        agent.drop("vol.yaml", pod_yaml("vol", [COMPONENT], volumes, mounts))
        event = agent.wait_event("Failed", "vol")
        self.assertIn("/no/such/place", event["message"])

    def test_several_documents_are_several_pods(self):
        agent = self.agent()
        agent.drop("two.yaml", pod_yaml("a", [COMPONENT]) + "---\n" + pod_yaml("b", [COMPONENT]))
        agent.wait_ready_pod("a")
        agent.wait_ready_pod("b")

    def test_init_containers_run_first(self):
        agent = self.agent()
        init = f"""  initContainers:
  - name: first
    image: localhost/test:1
    command: [sh, -c, "echo one >> {agent.path('order')}"]
  - name: second
    image: localhost/test:1
    command: [sh, -c, "echo two >> {agent.path('order')}"]
"""
        agent.drop("i.yaml", pod_yaml("i", ["sh", "-c", f"echo main >> {agent.path('order')}; "
                                            "exec sleep 1000"], init))
        agent.wait_ready_pod("i")
        pid = pid_of(agent.pod("i"))
        agent.drop("i.yaml", "# gone\n" + pod_yaml("i", ["sh", "-c", f"echo main >> {agent.path('order')}; "
                                                       "exec sleep 1000"], init))
        self.assertEqual(pid, pid_of(agent.wait_ready_pod("i")))
        agent.remove("i.yaml")
        agent.wait_gone("i")
        with open(agent.path("order")) as f:
            self.assertEqual(f.read().split(), ["one", "two", "main"])

    def test_a_pod_without_host_network_waits(self):
        agent = self.agent("--cni-conf-dir", "/nonexistent")
        agent.drop("n.yaml", pod_yaml("n", [COMPONENT]).replace("hostNetwork: true", "hostNetwork: false"))
        agent.wait(lambda pods: pods.get("n-node1", {}).get("mainstay", {}).get("reason")
                   == "NetworkNotReady" or None, "n waits for the network")


class Restart(harness.AgentTest):
    def test_killed_components_restart_at_once_then_back_off(self):
        agent = self.agent()
        for name in ("a", "b"):
            agent.drop(name + ".yaml", pod_yaml(name, [COMPONENT]))
        first = pid_of(agent.wait_ready_pod("a"))
        other = pid_of(agent.wait_ready_pod("b"))
        os.kill(first, signal.SIGKILL)
        second = pid_of(agent.wait_ready_pod("a", restarts=1))
        self.assertNotEqual(first, second)
        self.assertEqual(agent.events("BackOff", "a"), [])
        os.kill(second, signal.SIGKILL)
        event = agent.wait_event("BackOff", "a")
        self.assertIn("10s", event["message"])
        pod = agent.pod("a")
        self.assertEqual(status_of(pod)["state"]["waiting"]["reason"], "CrashLoopBackOff")
        self.assertEqual(status_of(pod)["lastState"]["terminated"]["exitCode"], 137)
        self.assertEqual(pid_of(agent.pod("b")), other)
        agent.cli("retry", "a", check=True)
        agent.wait_ready_pod("a", restarts=2)

    def test_exit_codes_are_recorded(self):
        agent = self.agent()
        for name, words, code, signal_ in (("e", ["exit", "3"], 3, None), ("s", ["crash"], 132, 4)):
            agent.drop(name + ".yaml", pod_yaml(name, [COMPONENT] + words, "  restartPolicy: Never\n"))
            pod = agent.wait(lambda pods: pods.get(name + "-node1", {}).get("status", {}).get("phase")
                             == "Failed" and pods[name + "-node1"], f"{name} failed")
            ended = status_of(pod)["state"]["terminated"]
            self.assertEqual(ended["exitCode"], code)
            self.assertEqual(ended.get("signal"), signal_)

    def test_operators_verbs(self):
        agent = self.agent()
        agent.drop("v.yaml", pod_yaml("v", [COMPONENT]))
        first = pid_of(agent.wait_ready_pod("v"))
        agent.cli("restart", "v", check=True)
        pod = agent.wait_ready_pod("v", restarts=1)
        self.assertNotEqual(pid_of(pod), first)
        agent.cli("stop", "v", check=True)
        agent.wait(lambda pods: pods["v-node1"]["mainstay"]["state"] == "Held" or None, "v held")
        harness.wait_process_gone(pid_of(pod))
        agent.restart()  # a held pod stays held
        self.assertEqual(agent.pod("v")["mainstay"]["state"], "Held")
        agent.cli("start", "v", check=True)
        agent.wait_ready_pod("v")

    def test_a_missing_command_is_told(self):
        agent = self.agent()
        agent.drop("m.yaml", pod_yaml("m", ["/no/such/program"]))
        event = agent.wait_event("Failed", "m")
        self.assertIn("/no/such/program", event["message"])


class Stop(harness.AgentTest):
    def test_removal_stops_everything_of_the_pod(self):
        agent = self.agent()
        agent.drop("d.yaml", pod_yaml("d", [COMPONENT, "daemon", "talker"]))
        pod = agent.wait_ready_pod("d")
        agent.remove("d.yaml")
        agent.wait_gone("d")
        harness.wait_process_gone(pid_of(pod))
        left = [p for p in harness.processes_with(COMPONENT) if in_cgroup(p, agent.cgroup)]
        self.assertEqual(left, [])

    def test_daemons_of_a_shared_pid_namespace_are_found_too(self):
        agent = self.agent()
        agent.drop("d.yaml", pod_yaml("d", [COMPONENT, "daemon", "daemon", "exit", "0"],
                                      "  hostPID: true\n  restartPolicy: Never\n"))
        agent.wait(lambda pods: pods.get("d-node1", {}).get("status", {}).get("phase") == "Succeeded"
                   or None, "d ended")
        left = [p for p in harness.processes_with(COMPONENT) if in_cgroup(p, agent.cgroup)]
        self.assertEqual(left, [])

    def test_sigkill_after_the_grace_period(self):
        agent = self.agent()
        agent.drop("t.yaml", pod_yaml("t", [COMPONENT, "ignore-term"]).replace(
            "terminationGracePeriodSeconds: 2", "terminationGracePeriodSeconds: 1"))
        pod = agent.wait_ready_pod("t")
        before = agent.last_event()
        agent.remove("t.yaml")
        agent.wait_gone("t")
        harness.wait_process_gone(pid_of(pod))
        self.assertTrue([e for e in agent.events("Killing", "t") if "SIGKILL" in e["message"]
                         and e["mainstay"]["id"] > before])

    def test_pre_stop_hook_runs_first(self):
        agent = self.agent()
        hook = f"""    lifecycle:
      postStart: {{exec: {{command: [sh, -c, "echo started >> {agent.path('hooks')}"]}}}}
      preStop: {{exec: {{command: [sh, -c, "echo stopping >> {agent.path('hooks')}"]}}}}
"""
        agent.drop("h.yaml", pod_yaml("h", [COMPONENT], "", hook))
        agent.wait_ready_pod("h")
        agent.remove("h.yaml")
        agent.wait_gone("h")
        with open(agent.path("hooks")) as f:
            self.assertEqual(f.read().split(), ["started", "stopping"])

    def test_a_replacement_never_runs_beside_the_old_one(self):
        agent = self.agent()
        lock = agent.path("lock")
        words = [COMPONENT, "lock", lock, "stamp", agent.path("stamps"), "say"]
        agent.drop("r.yaml", pod_yaml("r", words + ["0"]))
        agent.wait_ready_pod("r")
        for i in range(1, 21):
            agent.drop("r.yaml", pod_yaml("r", words + [str(i)]))
            agent.wait(lambda pods: has_word(pods.get("r-node1"), str(i)) and
                       harness.is_ready(pods["r-node1"]) or None, f"version {i} runs")
        with open(lock) as f:
            self.assertEqual(f.read(), "")
        with open(agent.path("stamps")) as f: # one may have been stopped before it reached main()
            self.assertIn(len(f.readlines()), range(15, 22))


class Command(harness.AgentTest):
    def test_exec_runs_inside(self):
        agent = self.agent()
        agent.drop("x.yaml", pod_yaml("x", [COMPONENT], container_extra="    env: [{name: A, value: b}]\n"))
        agent.wait_ready_pod("x")
        done = agent.cli("exec", "x", "--", "sh", "-c", "echo $A; exit 7")
        self.assertEqual((done.stdout, done.returncode), ("b\n", 7), done.stderr)

    def test_get_describe_status(self):
        agent = self.agent()
        agent.drop("g.yaml", pod_yaml("g", [COMPONENT]))
        agent.wait_ready_pod("g")
        self.assertRegex(agent.cli("get", "pods").stdout, r"NAME +READY +STATUS +RESTARTS +AGE\n"
                         r"g-node1 +1/1 +Running +0 ")
        pods = json.loads(agent.cli("get", "pods", "-o", "json").stdout)
        self.assertEqual(pods["items"][0]["metadata"]["name"], "g-node1")
        self.assertEqual(agent.cli("get", "pods", "-o", "name").stdout, "pod/g-node1\n")
        self.assertIn("Started", agent.cli("describe", "pod", "g").stdout)
        self.assertIn("g-node1", agent.cli("status").stdout)
        self.assertIn("Started", agent.cli("get", "events").stdout)

    def test_apply_wait_delete(self):
        agent = self.agent()
        file = agent.write("new.yaml", pod_yaml("new", [COMPONENT]))
        done = agent.cli("apply", file, "--wait")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(harness.is_ready(agent.pod("new")))
        self.assertEqual(agent.cli("wait", "new", "--for=ready").returncode, 0)
        done = agent.cli("delete", "new")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("new-node1", agent.pods())

    def test_exit_statuses(self):
        agent = self.agent()
        self.assertEqual(agent.cli("get", "nonsense").returncode, 2)
        self.assertEqual(agent.cli("describe", "pod", "nobody").returncode, 1)
        away = dict(os.environ, MAINSTAY_SOCKET=agent.path("nowhere"))
        done = subprocess.run([harness.MAINSTAY, "get", "pods"], env=away, capture_output=True)
        self.assertEqual(done.returncode, 3)


def has_word(pod, word):
    return bool(pod) and pod["spec"]["containers"][0]["command"][-1] == word


def in_cgroup(pid, name):
    try:
        with open(f"/proc/{pid}/cgroup") as f:
            return f"/{name}/" in f.read()
    except OSError:
        return False


if __name__ == "__main__":
    harness.main()
