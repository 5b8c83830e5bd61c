"""Security contexts under a real agent: filters of system calls, users, privileges, devices."""

import os
import unittest

import harness
from harness import BUILD, pid_of, pod_yaml

ESCAPE = os.path.join(BUILD, "tests", "escape")
NO_KILL = """{"defaultAction": "SCMP_ACT_ALLOW",
 "syscalls": [{"names": ["kill"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13}]}"""


def status_line(pid, name):
    with open(f"/proc/{pid}/status") as f:
        return next(line.split(":", 1)[1].strip() for line in f if line.startswith(name + ":"))


def context(text):
    return f"    securityContext: {text}\n"


def default():
    return "  securityContext: {seccompProfile: {type: RuntimeDefault}}\n"


class Seccomp(harness.AgentTest):
    def profile(self, agent, name, text):
        path = agent.path("root", "seccomp", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path + ".new", "w") as f:
            f.write(text)
        os.rename(path + ".new", path)

    def test_the_default_filter(self):
        agent = self.agent()
        agent.drop("s.yaml", pod_yaml("s", [ESCAPE, "unshare"], default()))
        pod = agent.wait_ready_pod("s")
        self.assertEqual(status_line(pid_of(pod), "Seccomp"), "2")
        self.assertEqual(agent.events("ManifestWarning", "s"), [])
        # What is executed in the container is under the same filter.
        answer = agent.cli("exec", "s", "--", ESCAPE, "unshare", "exit", "0")
        self.assertEqual(answer.stdout, "unshare: EPERM\n", answer.stderr)
        agent.remove("s.yaml")
        agent.wait_gone("s")
        self.assertEqual(agent.log_text("s"), ["unshare: EPERM"])

    def test_probes_and_hooks_are_filtered(self):
        agent = self.agent()
        out = agent.path("out")
        os.mkdir(out)
        os.chmod(out, 0o777)
        grep = "grep ^Seccomp: /proc/self/status > "
        extra = f"""    lifecycle: {{postStart: {{exec: {{command: [sh, -c, "{grep}{out}/hook"]}}}}}}
    readinessProbe: {{exec: {{command: [sh, -c, "{grep}{out}/probe"]}}, periodSeconds: 1}}
"""
        agent.drop("s.yaml", pod_yaml("s", [ESCAPE], default(), extra))
        agent.wait_ready_pod("s")
        for name in ("hook", "probe"):
            with open(os.path.join(out, name)) as f:
                self.assertEqual(f.read(), "Seccomp:\t2\n")

    def test_unconfined_unless_asked(self):
        agent = self.agent()
        agent.drop("s.yaml", pod_yaml("s", [ESCAPE]))
        self.assertEqual(status_line(pid_of(agent.wait_ready_pod("s")), "Seccomp"),
                         status_line(os.getpid(), "Seccomp"))

    def test_the_agents_default(self):
        flag = self.agent("--seccomp-default")
        field = self.agent(config="apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n"
                                  "seccompDefault: true\n")
        for agent in (flag, field):
            agent.drop("s.yaml", pod_yaml("s", [ESCAPE]))
            agent.drop("u.yaml", pod_yaml("u", [ESCAPE],
                                          "  securityContext: {seccompProfile: {type: Unconfined}}\n"))
            self.assertEqual(status_line(pid_of(agent.wait_ready_pod("s")), "Seccomp"), "2")
            self.assertEqual(status_line(pid_of(agent.wait_ready_pod("u")), "Seccomp"),
                             status_line(os.getpid(), "Seccomp"))

    def test_a_profile_of_the_node(self):
        agent = self.agent()
        self.profile(agent, "profiles/no-kill.json", NO_KILL)
        agent.drop("s.yaml", pod_yaml("s", [ESCAPE, "kill", "1", "0"], "",
                                      context("{seccompProfile: {type: Localhost, "
                                              "localhostProfile: profiles/no-kill.json}}")))
        agent.wait_ready_pod("s")
        agent.remove("s.yaml")
        agent.wait_gone("s")
        self.assertEqual(agent.log_text("s"), ["kill: EACCES"])

    def test_a_missing_profile_is_told_and_taken_once_it_is_there(self):
        agent = self.agent()
        agent.drop("s.yaml", pod_yaml("s", [ESCAPE, "kill", "1", "0"], "",
                                      context("{seccompProfile: {type: Localhost, localhostProfile: x.json}}")))
        event = agent.wait_event("Failed", "s")
        self.assertIn(agent.path("root", "seccomp", "x.json"), event["message"])
        waiting = agent.get("/pods")["items"][0]["status"]["containerStatuses"][0]["state"]["waiting"]
        self.assertIn(waiting["reason"], ("CreateContainerError", "CrashLoopBackOff"))
        self.profile(agent, "x.json", "{}")
        agent.cli("retry", "s", check=True)
        agent.wait(lambda pods: any("x.json: defaultAction" in e["message"] for e in agent.events("Failed", "s")),
                   "what is wrong with the profile")
        self.profile(agent, "x.json", NO_KILL)
        agent.cli("retry", "s", check=True)
        agent.wait_ready_pod("s")

    def test_another_root_of_profiles(self):
        agent = self.agent(start=False)
        root = agent.path("kubelet-seccomp")
        os.mkdir(root)
        with open(os.path.join(root, "p.json"), "w") as f:
            f.write(NO_KILL)
        agent.flags += ["--seccomp-profile-root", root]
        agent.start()
        agent.drop("s.yaml", pod_yaml("s", [ESCAPE]).replace(
            "metadata:\n", "metadata:\n  annotations: {seccomp.security.alpha.kubernetes.io/pod: localhost/p.json}\n"))
        self.assertEqual(status_line(pid_of(agent.wait_ready_pod("s")), "Seccomp"), "2")

    def test_a_restart_of_the_agent_changes_nothing(self):
        agent = self.agent()
        agent.drop("s.yaml", pod_yaml("s", [ESCAPE], default()))
        pid = pid_of(agent.wait_ready_pod("s"))
        agent.restart()
        pod = agent.wait_ready_pod("s")
        self.assertEqual(pid_of(pod), pid)
        answer = agent.cli("exec", "s", "--", ESCAPE, "unshare", "exit", "0")
        self.assertEqual(answer.stdout, "unshare: EPERM\n", answer.stderr)
        agent.cli("restart", "s", check=True)
        pod = agent.wait(lambda pods: harness.is_ready(pods["s-node1"]) and pid_of(pods["s-node1"]) != pid
                         and pods["s-node1"], "the restart")
        self.assertEqual(status_line(pid_of(pod), "Seccomp"), "2")


@unittest.skipUnless(os.geteuid() == 0, "an ordinary user's containers have no powers to begin with")
class Privileges(harness.AgentTest):
    def capabilities(self, agent, security, name):
        agent.drop(f"{name}.yaml", pod_yaml(name, [ESCAPE], "", context(security)))
        return int(status_line(pid_of(agent.wait_ready_pod(name)), "CapBnd"), 16)

    def test_capabilities(self):
        agent = self.agent()
        own = int(status_line(agent.process.pid, "CapBnd"), 16)
        usual = 0xa80425fb & own
        table = {
            "{}": usual,
            "{capabilities: {add: [NET_ADMIN]}}": usual | 1 << 12,
            "{capabilities: {drop: [ALL], add: [NET_BIND_SERVICE]}}": 1 << 10,
            "{capabilities: {add: [ALL], drop: [SYS_ADMIN]}}": own & ~(1 << 21),
            "{capabilities: {drop: [ALL]}}": 0,
            "{privileged: true}": own,
        }
        for number, (security, expected) in enumerate(table.items()):
            self.assertEqual(hex(self.capabilities(agent, security, f"c{number}")), hex(expected), security)

    def test_a_user_has_none_of_them(self):
        agent = self.agent()
        agent.drop("u.yaml", pod_yaml("u", [ESCAPE], "", context(
            "{runAsUser: 1000, runAsGroup: 1000, seccompProfile: {type: RuntimeDefault}}")))
        pid = pid_of(agent.wait_ready_pod("u"))
        for line in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
            self.assertEqual(int(status_line(pid, line), 16), 0, line)
        self.assertEqual(status_line(pid, "NoNewPrivs"), "0")

    def test_no_new_privileges(self):
        agent = self.agent()
        agent.drop("n.yaml", pod_yaml("n", [ESCAPE], "", context("{allowPrivilegeEscalation: false}")))
        self.assertEqual(status_line(pid_of(agent.wait_ready_pod("n")), "NoNewPrivs"), "1")

    def test_nobody_runs_as_root_against_the_manifest(self):
        agent = self.agent()
        agent.drop("r.yaml", pod_yaml("r", [ESCAPE], "  securityContext: {runAsNonRoot: true}\n"))
        event = agent.wait_event("Failed", "r")
        self.assertIn("runAsNonRoot", event["message"])
        agent.drop("r.yaml", pod_yaml("r", [ESCAPE], "  securityContext: {runAsNonRoot: true, runAsUser: 1}\n"))
        pid = pid_of(agent.wait_ready_pod("r"))
        self.assertEqual(status_line(pid, "Uid").split()[0], "1")

    def test_unmasked_proc(self):
        agent = self.agent()
        for name, mount in (("masked", "Default"), ("open", "Unmasked")):
            agent.drop(f"{name}.yaml", pod_yaml(name, [ESCAPE], "", context(f"{{procMount: {mount}}}")))
            pid = pid_of(agent.wait_ready_pod(name))
            with open(f"/proc/{pid}/mountinfo") as f:
                points = [line.split()[4] for line in f]
            self.assertEqual("/proc/sys" in points, mount == "Default")
        self.assertEqual(agent.events("ManifestWarning", "open"), [])

    def test_terminals_are_no_strangers(self):
        """The devices of a terminal are among those that every container can open."""
        agent = self.agent()
        script = ": <>/dev/ptmx && : >/dev/null && head -c1 /dev/urandom >/dev/null && echo hello >/dev/tty"
        agent.drop("t.yaml", pod_yaml("t", ["sh", "-c", script], "  restartPolicy: Never\n", "    tty: true\n"))
        agent.wait(lambda pods: pods.get("t-node1", {}).get("status", {}).get("phase") == "Succeeded" or None,
                   "t ended well")
        self.assertEqual([line.strip() for line in agent.log_text("t")], ["hello"])

    def test_device_volumes_are_for_the_privileged(self):
        if not os.path.exists("/dev/loop-control"):
            self.skipTest("no /dev/loop-control")
        agent = self.agent()
        for name, privileged in (("usual", "false"), ("all", "true")):
            volumes = "  volumes: [{name: d, hostPath: {path: /dev/loop-control, type: CharDevice}}]\n"
            agent.drop(f"{name}.yaml", pod_yaml(
                name, [ESCAPE, "read", "/tmp/device"], volumes,
                context(f"{{privileged: {privileged}}}") + "    volumeMounts: [{name: d, mountPath: /tmp/device}]\n"))
            agent.wait_ready_pod(name)
        told = [e["message"] for e in agent.events("Prepared", "usual")]
        self.assertTrue(any("/dev/loop-control can be opened by privileged containers only" in m for m in told), told)
        for name in ("usual", "all"):
            agent.remove(f"{name}.yaml")
            agent.wait_gone(name)
        self.assertEqual(agent.log_text("usual"), ["read: EPERM"])
        self.assertEqual(agent.log_text("all"), ["read: EINVAL"])  # opened, but nothing is to be read

    def test_apparmor_without_apparmor(self):
        if os.path.exists("/sys/module/apparmor/parameters/enabled"):
            self.skipTest("this host has AppArmor")
        agent = self.agent()
        agent.drop("l.yaml", pod_yaml("l", [ESCAPE], "", context(
            "{appArmorProfile: {type: Localhost, localhostProfile: mine}}")))
        self.assertIn("Cannot enforce AppArmor", agent.wait_event("Failed", "l")["message"])
        agent.drop("d.yaml", pod_yaml("d", [ESCAPE], "", context("{appArmorProfile: {type: RuntimeDefault}}")))
        agent.wait_ready_pod("d")
        self.assertIn("AppArmor is not enabled", agent.events("Prepared", "d")[-1]["message"]
                      + agent.events("Prepared", "d")[0]["message"])


if __name__ == "__main__":
    harness.main()
