"""The agent of an ordinary user: what works as far as the kernel lets it, and what it says it cannot do."""

import os
import shutil
import signal
import subprocess
import unittest

import harness
from harness import pid_of, pod_yaml

NOBODY = 65534


def user_namespaces_work():
    words = ["unshare", "--user", "--map-root-user", "true"]
    options = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    return subprocess.run(words, capture_output=True, **options).returncode == 0


class UserAgent(harness.Agent):
    """Programs and directories belong to the user, who may not see root's."""

    def __init__(self, *flags):
        super().__init__(*flags, start=False)
        for program in (harness.MAINSTAYD, harness.SHIM, harness.COMPONENT):
            shutil.copy(program, self.dir)
        self.program = self.path("mainstayd")
        self.component = self.path("component")
        if os.geteuid() == 0:
            for directory, _, files in os.walk(self.dir):
                os.chown(directory, NOBODY, NOBODY)
                for name in files:
                    os.chown(os.path.join(directory, name), NOBODY, NOBODY)
        self.start()

    def command(self):
        words = super().command()
        words[words.index("--shim") + 1] = self.path("mainstay-shim")
        if os.geteuid() != 0:
            return words
        return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *words]


@unittest.skipUnless(user_namespaces_work(), "this kernel gives ordinary users no user namespaces")
class Unprivileged(harness.AgentTest):
    def user_agent(self):
        agent = UserAgent()
        self.addCleanup(agent.close)
        return agent

    def test_a_pod_runs(self):
        agent = self.user_agent()
        agent.drop("u.yaml", pod_yaml("u", [agent.component, "say", "hello"]))
        pod = agent.wait_ready_pod("u")
        with open(f"/proc/{pid_of(pod)}/status") as f:
            uid = next(line.split()[1] for line in f if line.startswith("Uid:"))
        self.assertEqual(int(uid), NOBODY if os.geteuid() == 0 else os.geteuid())

    def test_what_containers_cannot_share(self):
        agent = self.user_agent()
        agent.drop("own.yaml", pod_yaml("own", [agent.component]).replace("hostNetwork: true",
                                                                         "hostNetwork: false"))
        agent.drop("kernel.yaml", pod_yaml("kernel", [agent.component], extra="""\
  securityContext: {sysctls: [{name: kernel.shm_rmid_forced, value: "1"}]}
"""))
        agent.drop("pids.yaml", pod_yaml("pids", [agent.component], extra="  shareProcessNamespace: true\n"))

        def reasons(pods):
            found = {name: (p["status"].get("reason"), p["status"].get("message", "")) for name, p in pods.items()}
            own, kernel = found.get("own-node1", ("", "")), found.get("kernel-node1", ("", ""))
            return own[0] == "NetworkNotReady" and "ordinary user" in own[1] and \
                kernel[0] == "SysctlForbidden" and "ordinary user" in kernel[1]
        agent.wait(reasons, "both wait")
        agent.wait_ready_pod("pids")
        self.assertTrue([e for e in agent.events("Prepared", "pids")
                         if "shareProcessNamespace takes an agent that runs as root" in e["message"]])

    def test_system_calls_are_filtered(self):
        agent = self.user_agent()
        for name, context in (("plain", ""), ("no-new", ", allowPrivilegeEscalation: false")):
            agent.drop(f"{name}.yaml", pod_yaml(
                name, [agent.component, "say", "hello"], "",
                f"    securityContext: {{seccompProfile: {{type: RuntimeDefault}}{context}}}\n"))
            with open(f"/proc/{pid_of(agent.wait_ready_pod(name))}/status") as f:
                self.assertIn("Seccomp:\t2\n", f.read())

    def test_it_restarts_and_stops(self):
        agent = self.user_agent()
        agent.drop("u.yaml", pod_yaml("u", [agent.component]))
        pid = pid_of(agent.wait_ready_pod("u"))
        os.kill(pid, signal.SIGKILL)
        pid = pid_of(agent.wait_ready_pod("u", restarts=1))
        agent.restart()
        self.assertEqual(pid_of(agent.wait_ready_pod("u")), pid)
        agent.remove("u.yaml")
        agent.wait_gone("u")
        harness.wait_process_gone(pid)

    def test_volumes_of_its_own(self):
        agent = self.user_agent()
        volumes = f"""  volumes:
  - name: data
    hostPath: {{path: {agent.path("made")}, type: DirectoryOrCreate}}
  - name: scratch
    emptyDir: {{}}
"""
        mounts = """    volumeMounts:
    - {name: data, mountPath: /mnt/data}
    - {name: scratch, mountPath: /mnt/scratch}
"""
        agent.drop("v.yaml", pod_yaml("v", ["sh", "-c", "echo x > /mnt/data/x; echo y > /mnt/scratch/y; "
                                            "exec sleep 1000"], volumes, mounts))
        agent.wait_ready_pod("v")
        agent.remove("v.yaml")
        agent.wait_gone("v")
        self.assertTrue(os.path.exists(agent.path("made", "x")))

    def test_it_says_what_it_cannot_do(self):
        agent = self.user_agent()
        limitations = " ".join(agent.get("/mainstay/v1/status")["limitations"])
        self.assertIn("ordinary user", limitations)
        self.assertTrue(agent.events("HostLimitation"))
        volumes = "  volumes:\n  - name: v\n    hostPath: {path: /root-of-somebody/else, type: DirectoryOrCreate}\n"
        agent.drop("r.yaml", pod_yaml("r", [agent.component], volumes,
                                      "    volumeMounts: [{name: v, mountPath: /mnt}]\n"))
        event = agent.wait_event_of({"Failed"})
        self.assertRegex(event["message"], "/root-of-somebody.*Permission denied")

    def test_run_as_user_is_a_number_inside(self):
        agent = self.user_agent()
        agent.drop("r.yaml", pod_yaml("r", ["sh", "-c", "id -u > " + agent.path("uid") + "; exec sleep 1000"],
                                      container_extra="    securityContext: {runAsUser: 12345}\n"))
        pod = agent.wait_ready_pod("r")
        agent.remove("r.yaml")
        agent.wait_gone("r")
        with open(agent.path("uid")) as f:
            self.assertEqual(f.read(), "12345\n")
        self.assertTrue(pid_of(pod))



if __name__ == "__main__":
    harness.main()
