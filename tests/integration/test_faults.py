"""Full disk, no descriptors, no processes, dead shims, floods: bounded and visible."""

import os
import resource
import shutil
import signal
import subprocess

import harness
from harness import COMPONENT, container, pid_of, pod_yaml


def shim_of(pid):
    with open(f"/proc/{pid}/stat") as f:
        return int(f.read().rsplit(")", 1)[1].split()[1])


def fill(path):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        while True:
            os.write(fd, b"x" * 4096)
    except OSError:
        pass
    os.close(fd)


class Faults(harness.AgentTest):
    def test_a_shim_killed(self):
        agent = self.agent()
        lock = agent.path("lock")
        agent.drop("s.yaml", pod_yaml("s", [COMPONENT, "lock", lock]))
        pid = pid_of(agent.wait_ready_pod("s"))
        os.kill(shim_of(pid), signal.SIGKILL)
        pod = agent.wait_ready_pod("s", restarts=1)
        harness.wait_process_gone(pid)
        self.assertNotEqual(pid_of(pod), pid)
        self.assertTrue(agent.events("ShimDied", "s"))
        with open(lock) as f:
            self.assertEqual(f.read(), "")

    def test_a_shim_killed_while_no_agent_is_there(self):
        agent = self.agent()
        agent.drop("s.yaml", pod_yaml("s", [COMPONENT]))
        pid = pid_of(agent.wait_ready_pod("s"))
        agent.kill()
        shim = shim_of(pid)
        os.kill(shim, signal.SIGKILL)
        harness.wait_process_gone(shim)
        agent.start()
        agent.wait_ready_pod("s", restarts=1)
        self.assertTrue(agent.events("ShimDied", "s"))

    def test_no_descriptors_left(self):
        agent = self.agent(start=False)
        agent.start(preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40)))
        for i in range(12):
            agent.drop(f"p{i}.yaml", pod_yaml(f"p{i}", [COMPONENT]))
        # What cannot be opened is told, with the pod or the file that it is about.
        agent.wait_event_of({"Failed", "ManifestRefused", "BackOff"})
        running = [p for p in agent.pods().values() if harness.is_ready(p)]
        pids = {p["metadata"]["name"]: pid_of(p) for p in running}
        agent.kill()
        agent.start()
        for i in range(12):
            agent.wait_ready_pod(f"p{i}")
        pods = agent.pods()
        for name, pid in pids.items():
            self.assertEqual(pid_of(pods[name]), pid)

    def test_no_processes_left(self):
        """fork() fails for the agent: told, tried again, and well again."""
        agent = self.agent()
        agent.drop("a.yaml", pod_yaml("a", [COMPONENT]))
        pid = pid_of(agent.wait_ready_pod("a"))
        limit = pids_cgroup(f"mainstay-fork-{os.getpid()}")
        if not limit:
            self.skipTest("no pids controller that this test may use")
        self.addCleanup(limit.remove)
        limit.add(agent.process.pid)
        limit.set(limit.count())
        # The first one may get the shim that waits, and then there is none any more.
        agent.drop("first.yaml", pod_yaml("first", [COMPONENT]))
        agent.wait(lambda pods: agent.events("Started", "first") or agent.events("Failed", "first") or None,
                   "the first one's start")
        agent.drop("b.yaml", pod_yaml("b", [COMPONENT]))
        event = agent.wait_event("Failed", "b")
        self.assertRegex(event["message"], "(fork|clone|process|Resource temporarily)")
        self.assertEqual(pid_of(agent.pod("a")), pid)
        limit.set("max")
        agent.cli("retry", "b", check=True)
        agent.wait_ready_pod("b")
        limit.release(agent.process.pid)

    def test_a_full_disk_for_logs(self):
        """The component runs on, and what was lost is counted in the log itself."""
        agent = self.agent()
        logs = agent.path("logs")
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", logs],
                          capture_output=True).returncode:
            self.skipTest("tmpfs cannot be mounted here")
        self.addCleanup(subprocess.run, ["umount", "-l", logs])
        ballast = os.path.join(logs, "ballast")
        with open(ballast, "wb") as f:
            f.write(b"x" * ((2 << 20) - 65536))
        fifo = agent.path("fifo")
        os.mkfifo(fifo)
        agent.drop("f.yaml", pod_yaml("f", ["sh", "-c", f"{COMPONENT} flood 4000000 exit 0; "
                                            f"read x < {fifo}; {COMPONENT} lines 3 0 exit 0; "
                                            "exec sleep 1000"]))
        pid = pid_of(agent.wait_ready_pod("f"))
        with open(fifo, "w") as f:  # opens when the flood has passed: the component was not held up
            os.unlink(ballast)
            f.write("go\n")
        follow = subprocess.Popen([harness.MAINSTAY, "--socket", agent.socket, "logs", "-f", "f"],
                                  stdout=subprocess.PIPE, text=True)
        self.addCleanup(follow.stdout.close)
        self.addCleanup(follow.wait)
        self.addCleanup(follow.kill)
        marker = None
        for line in follow.stdout:
            if "lost" in line or "dropped" in line:
                marker = line
            if line == "line 3\n":
                break
        self.assertTrue(marker, "no line tells what was lost")
        self.assertRegex(marker, r"\d+")
        self.assertEqual(pid_of(agent.pod("f")), pid)

    def test_a_full_disk_for_state(self):
        agent = self.agent(start=False)
        root = agent.path("root")
        os.mkdir(root)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", root],
                          capture_output=True).returncode:
            self.skipTest("tmpfs cannot be mounted here")
        self.addCleanup(subprocess.run, ["umount", "-l", root])
        agent.start()
        agent.drop("a.yaml", pod_yaml("a", [COMPONENT]))
        pid = pid_of(agent.wait_ready_pod("a"))
        fill(os.path.join(root, "ballast"))
        os.kill(pid, signal.SIGKILL)
        pod = agent.wait_ready_pod("a", restarts=1)
        agent.wait_event("StateNotSaved", "a")
        agent.restart()
        self.assertEqual(pid_of(agent.wait_ready_pod("a")), pid_of(pod))
        os.unlink(os.path.join(root, "ballast"))

    def test_a_flood_of_output_is_bounded(self):
        agent = self.agent("--container-log-max-size", "1Mi", "--container-log-max-files", "3")
        agent.drop("f.yaml", pod_yaml("f", [COMPONENT, "flood", str(30 << 20), "exit", "0"],
                                      "  restartPolicy: Never\n"))
        pod = agent.wait(lambda pods: pods.get("f-node1", {}).get("status", {}).get("phase")
                         == "Succeeded" and pods["f-node1"], "f ended")
        directory = os.path.dirname(container(pod)["logPath"])
        sizes = [os.path.getsize(os.path.join(directory, n)) for n in os.listdir(directory)]
        self.assertLessEqual(len(sizes), 3)
        self.assertLessEqual(max(sizes), (1 << 20) + (128 << 10))

    def test_numbered_lines_survive_rotation(self):
        agent = self.agent("--container-log-max-size", "100Ki", "--container-log-max-files", "50")
        agent.drop("l.yaml", pod_yaml("l", [COMPONENT, "lines", "30000", "0", "exit", "0"],
                                      "  restartPolicy: Never\n"))
        agent.wait(lambda pods: pods.get("l-node1", {}).get("status", {}).get("phase") == "Succeeded"
                   or None, "l ended")
        self.assertEqual(agent.log_text("l"), [f"line {i}" for i in range(1, 30001)])

    def test_an_image_directory_with_a_root(self):
        agent = self.agent()
        image = agent.path("root", "images", "localhost", "box", "1")
        os.makedirs(os.path.join(image, "rootfs", "bin"))
        shutil.copy(COMPONENT, os.path.join(image, "rootfs", "bin", "program"))  # a static program
        agent.drop("r.yaml", pod_yaml("r", ["program", "say", "inside", "exit", "0"], "  restartPolicy: Never\n",
                                      image="localhost/box:1"))
        agent.wait(lambda pods: pods.get("r-node1", {}).get("status", {}).get("phase")
                   == "Succeeded" or None, "r ended")
        self.assertEqual(agent.log_text("r"), ["inside"])
        self.assertEqual(os.listdir(os.path.join(image, "rootfs")), ["bin"])


class pids_cgroup_v1:
    def __init__(self, path):
        self.path = path
        os.mkdir(path)

    def add(self, pid):
        with open(os.path.join(self.path, "cgroup.procs"), "w") as f:
            f.write(str(pid))

    def release(self, pid):
        with open(os.path.join(os.path.dirname(self.path), "cgroup.procs"), "w") as f:
            f.write(str(pid))

    def set(self, value):
        with open(os.path.join(self.path, "pids.max"), "w") as f:
            f.write(str(value))

    def count(self):
        with open(os.path.join(self.path, "pids.current")) as f:
            return int(f.read())

    def remove(self):
        with open(os.path.join(self.path, "cgroup.procs")) as f:
            for pid in f.read().split():
                self.release(pid)
        os.rmdir(self.path)


def pids_cgroup(name):
    """A pids cgroup beside the one this process is in, or None."""
    with open("/proc/self/cgroup") as f:
        own = {line.split(":")[1]: line.strip().split(":", 2)[2] for line in f}
    base = "/sys/fs/cgroup/pids" + own.get("pids", "/") if "pids" in own else "/sys/fs/cgroup" + own.get("", "/")
    try:
        group = pids_cgroup_v1(os.path.join(base, name))
    except OSError:
        return None
    if os.path.exists(os.path.join(group.path, "pids.max")):
        return group
    os.rmdir(group.path)
    return None


if __name__ == "__main__":
    harness.main()
