"""What a container tries in order to get out, or to stay behind: each is held, or undone.

The attempts are made by tests/tools/escape.c, mostly as root in an image that holds nothing else; where one
needs more than a container usually has, it gets that.
"""

import os
import shutil
import signal
import subprocess
import unittest

import harness
from harness import BUILD, container, pid_of, pod_yaml, status_of

ESCAPE = os.path.join(BUILD, "tests", "escape")
ADMIN = "{capabilities: {add: [SYS_ADMIN]}}"
PRIVILEGED = "{privileged: true}"
ONCE = "  restartPolicy: Never\n"


def unified():
    """Where cgroup v2 is mounted, or None."""
    with open("/proc/self/mountinfo") as f:
        for line in f:
            if line.split(" - ", 1)[1].startswith("cgroup2 "):
                return line.split()[4]
    return None


def mounts():
    with open("/proc/self/mountinfo") as f:
        return {line.split()[4] for line in f}


def shim_of(pid):
    with open(f"/proc/{pid}/stat") as f:
        return int(f.read().rsplit(")", 1)[1].split()[1])


def user_namespaces_work():
    return subprocess.run(["unshare", "--user", "--map-root-user", "true"], capture_output=True).returncode == 0


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return [int(word) for word in f.read().split()]


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


@unittest.skipUnless(os.geteuid() == 0, "an ordinary user's containers have no powers to begin with")
class EscapeTest(harness.AgentTest):
    def setUp(self):
        self.agent_ = self.agent()
        self.image = self.agent_.path("root", "images", "localhost", "box", "1", "rootfs")
        os.makedirs(os.path.join(self.image, "bin"))
        for name in ("mnt", "tmp"):
            os.mkdir(os.path.join(self.image, name))
        shutil.copy(ESCAPE, os.path.join(self.image, "bin"))

    def drop(self, words, security=None, extra="", name="e", container_extra=""):
        if security:
            container_extra = f"    securityContext: {security}\n" + container_extra
        self.agent_.drop(f"{name}.yaml", pod_yaml(name, ["escape", *words], extra, container_extra,
                                                  image="localhost/box:1"))

    def attempt(self, words, security=None, extra="", container_extra=""):
        """Runs to its end; the lines that it printed."""
        self.drop([*words, "exit", "0"], security, ONCE + extra, container_extra=container_extra)
        self.agent_.wait(lambda pods: pods.get("e-node1", {}).get("status", {}).get("phase") == "Succeeded"
                         or None, "the attempts ended")
        return self.agent_.log_text("e")

    def wait_line(self, name, text):
        follow = subprocess.Popen([harness.MAINSTAY, "--socket", self.agent_.socket, "logs", "-f", name],
                                  stdout=subprocess.PIPE, text=True)
        try:
            for line in follow.stdout:
                if text in line:
                    return line
            self.fail(f"{text} was not logged")
        finally:
            follow.kill()
            follow.wait()
            follow.stdout.close()


class Reach(EscapeTest):
    """What is within reach of a container as it comes."""

    def test_nothing_is_inherited(self):
        self.assertEqual(self.attempt(["fds", "pids"]), ["fds: 0 1 2", "pids: 1"])

    def test_cgroups_cannot_be_written(self):
        group = unified()
        if not group:
            self.skipTest("no cgroup v2")
        words = ["write", f"{group}/cgroup.procs", "0", "remount", "/sys", "remount", group]
        self.assertEqual(self.attempt(words), ["write: EROFS", "remount: EPERM", "remount: EPERM"])

    def test_mounts_take_a_capability(self):
        self.assertEqual(self.attempt(["mount", "/mnt", "proc", "/mnt", "umount", "/proc"]),
                         ["mount: EPERM", "proc: EPERM", "umount: EPERM"])

    def test_the_kernels_files_are_masked(self):
        words, expected = [], []
        for path in ("/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sched_debug"):
            if os.path.exists(path):
                words += ["read", path, "umount", path]
                expected += ["read: 0", "umount: EPERM"]
        for path in ("/proc/sysrq-trigger", "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname"):
            if os.path.exists(path):
                words += ["write", path, "x"]
                expected.append("write: EROFS")
        self.assertEqual(self.attempt(words), expected)

    def test_the_oom_score_cannot_be_lowered(self):
        lines = self.attempt(["write", "/proc/self/oom_score_adj", "1000",
                              "write", "/proc/self/oom_score_adj", "-1000"])
        self.assertEqual(lines, ["write: ok", "write: EACCES"])

    def test_devices_are_those_of_dev(self):
        if not unified():
            self.skipTest("devices are confined by cgroup v2")
        words = ["device", "/tmp/kmsg", "c", "1", "11", "device", "/dev/fuse", "c", "10", "229",
                 "device", "/tmp/null", "c", "1", "3", "read", "/dev/zero", "read", "/dev/urandom"]
        self.assertEqual(self.attempt(words),
                         ["device: EPERM", "device: EPERM", "device: ok", "read: 64", "read: 64"])

    def test_the_agents_files_are_out_of_reach(self):
        agent = self.agent_
        other = agent.path("root", "termination")
        self.drop(["say", "up"], name="other")
        agent.wait_ready_pod("other")
        sockets = [os.path.join(d, f) for d, _, files in os.walk(agent.path("run")) for f in files
                   if f.endswith("sock") or f == "socket"]
        self.assertTrue(sockets)
        words, expected = [], []
        for path in (*sockets, os.path.join(other, "x"), agent.path("logs")):
            words += ["connect" if path in sockets else "read", path]
            expected.append(("connect" if path in sockets else "read") + ": ENOENT")
        # Its own termination file can be written, but not be replaced, nor those beside it be seen.
        words += ["write", "/dev/termination-log", "over", "rename", "/bin/escape", "/dev/termination-log"]
        self.assertEqual(self.attempt(words)[:-1], expected + ["write: ok"])
        self.assertIn(self.agent_.log_text("e")[-1], ("rename: EBUSY", "rename: EXDEV"))
        self.assertEqual(status_of(agent.pod("e"))["state"]["terminated"]["message"], "over")

    def test_what_a_user_may(self):
        lines = self.attempt(["mount", "/mnt", "write", "/bin/escape", "x", "kill", "1", "0"],
                             "{runAsUser: 1000, allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, "
                             "capabilities: {drop: [ALL]}, seccompProfile: {type: RuntimeDefault}}")
        self.assertEqual(lines, ["mount: EPERM", "write: EACCES", "kill: ok"])

    def test_the_default_filter_keeps_user_namespaces_away(self):
        words = ["unshare", "trace", "1"]
        self.assertEqual(self.attempt(words, "{seccompProfile: {type: RuntimeDefault}}"),
                         ["unshare: EPERM", "trace: EPERM"])


class HostRoot(EscapeTest):
    """A container without an image of its own is on the host's files: there its user decides."""

    def test_a_user_reaches_nothing_of_the_agent(self):
        agent = self.agent_
        self.drop(["say", "up"], name="other")
        pid = pid_of(agent.wait_ready_pod("other"))
        run = agent.path("run")
        sockets = [os.path.join(d, f) for d, _, files in os.walk(run) for f in files
                   if f.endswith("sock") or f == "socket"]
        logs = [os.path.join(d, f) for d, _, files in os.walk(agent.path("logs")) for f in files]
        self.assertTrue(sockets and logs)
        words = []
        for path in sockets:
            words += ["connect", path]
        for path in logs:
            words += ["write", path, "x"]
        words += ["kill", str(pid), "9", "rename", "/etc/passwd", "/etc/x", "write", "/proc/sysrq-trigger", "x"]
        agent.drop("h.yaml", pod_yaml("h", [ESCAPE, *words, "exit", "0"], ONCE,
                                      "    securityContext: {runAsUser: 12345, runAsGroup: 12345}\n"))
        agent.wait(lambda pods: pods.get("h-node1", {}).get("status", {}).get("phase") == "Succeeded" or None,
                   "the attempts ended")
        lines = agent.log_text("h")
        self.assertEqual(len(lines), len(sockets) + len(logs) + 3)
        self.assertEqual([line for line in lines if line.endswith(": ok")], [])
        self.assertTrue(alive(pid))

    def test_proc_is_masked_on_the_hosts_pids_too(self):
        words = ["write", "/proc/sys/kernel/hostname", "x", "umount", "/proc/sys", "mount", "/mnt"]
        self.agent_.drop("h.yaml", pod_yaml("h", [ESCAPE, *words, "exit", "0"], ONCE + "  hostPID: true\n"))
        self.agent_.wait(lambda pods: pods.get("h-node1", {}).get("status", {}).get("phase") == "Succeeded" or None,
                         "the attempts ended")
        self.assertEqual(self.agent_.log_text("h"), ["write: EROFS", "umount: EPERM", "mount: EPERM"])


class Mounts(EscapeTest):
    """With CAP_SYS_ADMIN a container may mount what it likes, in its own namespace."""

    def test_they_stay_inside(self):
        before = mounts()
        lines = self.attempt(["mount", "/mnt", "mount", "/", "umount", "/proc/kcore", "mount", "/tmp"], ADMIN)
        self.assertEqual([line for line in lines if line.startswith("mount")], ["mount: ok"] * 3)
        self.assertEqual(mounts() - before, set())

    def test_they_stay_inside_on_the_hosts_root(self):
        before = mounts()
        self.agent_.drop("h.yaml", pod_yaml("h", [ESCAPE, "mount", "/mnt", "mount", "/opt"], "",
                                            f"    securityContext: {ADMIN}\n"))
        self.agent_.wait_ready_pod("h")
        self.assertEqual(mounts() - before, set())
        self.agent_.remove("h.yaml")
        self.agent_.wait_gone("h")
        self.assertEqual(self.agent_.log_text("h"), ["mount: ok"] * 2)


@unittest.skipUnless(user_namespaces_work(), "this kernel gives no user namespaces")
class Namespaces(EscapeTest):
    """Without a filter a container may make a user namespace, in which it is root of what it makes."""

    def test_nothing_is_unlocked(self):
        group = unified() or "/sys/fs/cgroup"
        lines = self.attempt(["own", "mount", "/mnt", "umount", "/proc/kcore", "umount", "/proc/sys", "proc", "/mnt",
                              "remount", "/sys", "remount", "/proc/sys", "write", f"{group}/cgroup.procs", "0",
                              "write", "/proc/sys/kernel/core_pattern", "x", "read", "/proc/keys"])
        self.assertEqual(lines[:2], ["own: ok", "mount: ok"])
        self.assertEqual([line for line in lines[2:] if line.endswith(": ok") or line == "read: 64"], [], lines)

    def test_cgroups_of_its_own_go_with_it(self):
        """In a cgroup namespace it can make cgroups below its own one, and hide processes there."""
        if not unified():
            self.skipTest("no cgroup v2")
        self.drop(["own", "cgroups", "/mnt", "nest", "/mnt", "forks", "3", "say", "nested"], None, "  hostPID: true\n")
        pid = pid_of(self.agent_.wait_ready_pod("e"))
        self.wait_line("e", "nested")
        if "nest: ok" not in self.agent_.log_text("e"):
            self.skipTest("this kernel does not let it: " + " ".join(self.agent_.log_text("e")))
        children = children_of(pid)
        self.assertEqual(len(children), 3)
        with open(f"/proc/{pid}/cgroup") as f:
            path = next(line[3:].strip() for line in f if line.startswith("0::"))
        self.assertTrue(path.endswith("/nest"), path)
        self.agent_.remove("e.yaml")
        self.agent_.wait_gone("e")
        self.assertEqual([child for child in children if alive(child)], [])
        self.assertFalse(os.path.exists(unified() + path))


class Staying(EscapeTest):
    """Processes that do not want to go."""

    def daemon_of(self, pid, number=1):
        """The process of another session below the container's first one, or beside it."""
        shim = shim_of(pid)
        below = [p for root in children_of(shim) for p in [root, *children_of(root)] if p != pid and alive(p)]
        self.assertEqual(len(below), number, below)
        return below

    def other_cgroup(self):
        """The cgroup.procs of a cgroup that is not the agent's; whatever is in it dies with the test."""
        group = unified()
        if not group:
            self.skipTest("no cgroup v2")
        other = os.path.join(group, f"mainstay-escape-{os.getpid()}")
        os.mkdir(other)

        def remove():
            with open(os.path.join(other, "cgroup.procs")) as f:
                for pid in map(int, f.read().split()):
                    os.kill(pid, signal.SIGKILL)
                    harness.wait_process_gone(pid)
            os.rmdir(other)
        self.addCleanup(remove)
        return os.path.join(other, "cgroup.procs")

    def test_a_daemon_dies_with_its_container(self):
        self.drop(["daemon", "/tmp/d"])
        pid = pid_of(self.agent_.wait_ready_pod("e"))
        self.wait_line("e", "daemon: ok")
        daemon, = self.daemon_of(pid)
        self.agent_.remove("e.yaml")
        self.agent_.wait_gone("e")
        self.assertFalse(alive(daemon))

    def test_a_daemon_of_a_shared_pid_namespace_does_too(self):
        self.drop(["daemon", "/tmp/d"], None, "  hostPID: true\n")
        pid = pid_of(self.agent_.wait_ready_pod("e"))
        self.wait_line("e", "daemon: ok")
        daemon, = self.daemon_of(pid)
        self.agent_.remove("e.yaml")
        self.agent_.wait_gone("e")
        self.assertFalse(alive(daemon))

    def test_a_daemon_does_not_see_the_next_run(self):
        """Whichever PID namespace it is in: before its container starts again, it is gone."""
        if not unified():
            self.skipTest("no cgroup v2 to find it by")
        for extra in ("", "  hostPID: true\n", "  shareProcessNamespace: true\n"):
            with self.subTest(extra):
                self.drop(["daemon", "/tmp/d"], None, extra)
                pid = pid_of(self.agent_.wait_ready_pod("e"))
                with open(f"/proc/{pid}/cgroup") as f:
                    group = next(line[3:].strip() for line in f if line.startswith("0::"))
                self.wait_line("e", "daemon: ok")
                with open(unified() + group + "/cgroup.procs") as f:
                    daemons = [int(word) for word in f.read().split() if int(word) != pid]
                self.assertTrue(daemons)
                os.kill(pid, signal.SIGKILL)
                self.agent_.wait_ready_pod("e", restarts=1)
                self.assertEqual([daemon for daemon in daemons if alive(daemon)], [])
                self.agent_.remove("e.yaml")
                self.agent_.wait_gone("e")

    def test_a_daemon_that_holds_the_output_holds_up_nobody(self):
        self.drop(["daemon", "/tmp/d", "exit", "3"], None, "  hostPID: true\n" + ONCE)
        self.agent_.wait(lambda pods: pods.get("e-node1", {}).get("status", {}).get("phase") == "Failed"
                         or None, "the end in spite of the daemon")
        self.assertEqual(status_of(self.agent_.pod("e"))["state"]["terminated"]["exitCode"], 3)
        self.assertEqual(harness.processes_with("/tmp/d"), [])

    def test_a_daemon_that_moves_to_another_cgroup_dies_too(self):
        """Privileged and on the host's PIDs: neither a PID namespace nor the cgroup holds it."""
        procs = self.other_cgroup()
        self.drop(["daemon", procs], PRIVILEGED, "  hostPID: true\n")
        self.agent_.wait_ready_pod("e")
        self.wait_line("e", "daemon: ok")
        with open(procs) as f:
            daemon = int(f.read())
        self.agent_.remove("e.yaml")
        self.agent_.wait_gone("e")
        harness.wait_process_gone(daemon)

    def test_a_container_that_leaves_its_cgroup_is_one_still(self):
        """It moves away, asks to outlive its shim, and kills that: the next one waits for its end."""
        procs = self.other_cgroup()
        self.drop(["undying", "write", procs, "0", "say", "moved"], PRIVILEGED, "  hostPID: true\n")
        pid = pid_of(self.agent_.wait_ready_pod("e"))
        self.wait_line("e", "moved")
        os.kill(shim_of(pid), signal.SIGKILL)
        pod = self.agent_.wait_ready_pod("e", restarts=1)
        self.assertFalse(alive(pid))
        self.assertNotEqual(pid_of(pod), pid)
        self.assertTrue(self.agent_.events("ShimDied", "e"))
        self.agent_.remove("e.yaml")
        self.agent_.wait_gone("e")

    def test_many_processes_go_at_once(self):
        self.drop(["forks", "500"], None, "  hostPID: true\n")
        pid = pid_of(self.agent_.wait_ready_pod("e"))
        self.wait_line("e", "forks: 500")
        children = children_of(pid)
        self.assertEqual(len(children), 500)
        self.agent_.remove("e.yaml")
        self.agent_.wait_gone("e")
        self.assertEqual([child for child in children if alive(child)], [])


class Streams(EscapeTest):
    def test_closed_streams_are_no_end(self):
        self.drop(["silence"])
        self.agent_.wait_ready_pod("e")
        self.agent_.remove("e.yaml")
        self.agent_.wait_gone("e")

    def test_nobody_reads_what_comes_in(self):
        self.drop(["say", "up"], container_extra="    stdin: true\n")
        pid = pid_of(self.agent_.wait_ready_pod("e"))
        self.assertTrue(os.readlink(f"/proc/{pid}/fd/0").startswith("pipe:"))
        self.agent_.remove("e.yaml")
        self.agent_.wait_gone("e")
        self.assertFalse(alive(pid))

    def test_a_shim_whose_container_signals_it(self):
        """On the host's PIDs root can kill a shim: the container goes with it, and comes again once."""
        self.drop(["say", "up"], None, "  hostPID: true\n")
        pid = pid_of(self.agent_.wait_ready_pod("e"))
        shim = shim_of(pid)
        answer = self.agent_.cli("exec", "e", "--", "/bin/escape", "kill", str(shim), "9", "exit", "0")
        pod = self.agent_.wait_ready_pod("e", restarts=1)
        self.assertFalse(alive(pid), answer)
        self.assertEqual(container(pod)["restartCount"], 1)
        self.assertEqual(len(self.agent_.events("ShimDied", "e")), 1)

    def test_a_shim_cannot_be_traced(self):
        """Root on the host's PIDs without CAP_SYS_PTRACE has less than the shim has."""
        self.drop(["say", "up"], None, "  hostPID: true\n")
        pid = pid_of(self.agent_.wait_ready_pod("e"))
        shim = shim_of(pid)
        answer = self.agent_.cli("exec", "e", "--", "/bin/escape", "trace", str(shim),
                                 "read", f"/proc/{shim}/environ", "read", f"/proc/{shim}/fd/0",
                                 "write", f"/proc/{shim}/exe", "x", "exit", "0")
        self.assertEqual(answer.stdout.split("\n"), ["trace: EPERM", "read: EACCES", "read: EACCES", "write: EACCES", ""])

    def test_commands_inherit_nothing(self):
        self.drop(["say", "up"])
        self.agent_.wait_ready_pod("e")
        answer = self.agent_.cli("exec", "e", "--", "/bin/escape", "fds", "mount", "/mnt", "exit", "0")
        self.assertEqual(answer.stdout.split("\n"), ["fds: 0 1 2", "mount: EPERM", ""])

    def test_a_flood_of_errors_is_bounded(self):
        agent = self.agent("--container-log-max-size", "1Mi", "--container-log-max-files", "2")
        agent.drop("f.yaml", pod_yaml("f", [ESCAPE, "say", "up", "flood", "1000000000000"]))
        pid = pid_of(agent.wait_ready_pod("f"))
        directory = next(d for d, _, files in os.walk(agent.path("logs")) if any(f.endswith(".log") for f in files))
        follow = subprocess.Popen([harness.MAINSTAY, "--socket", agent.socket, "logs", "-f", "f"],
                                  stdout=subprocess.PIPE)
        self.addCleanup(lambda: (follow.kill(), follow.wait(), follow.stdout.close()))
        for _ in range(100):  # ten megabytes and more have passed by then
            self.assertTrue(follow.stdout.read(100 << 10))
        self.assertLess(sum(os.path.getsize(os.path.join(directory, f)) for f in os.listdir(directory)), 4 << 20)
        agent.remove("f.yaml")
        agent.wait_gone("f")
        self.assertFalse(alive(pid))

    def test_shims_are_not_seen(self):
        self.drop(["say", "up"])
        pid = pid_of(self.agent_.wait_ready_pod("e"))
        answer = self.agent_.cli("exec", "e", "--", "/bin/escape", "kill", str(shim_of(pid)), "9", "exit", "0")
        self.assertEqual(answer.stdout.strip(), "kill: ESRCH", answer.stderr)
        self.assertTrue(alive(pid))


if __name__ == "__main__":
    harness.main()
