"""mainstayd --init: as process 1 of PID namespaces of its own, and of a container of systemd-nspawn."""

import contextlib
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import time
import unittest

import harness
import machine
from harness import COMPONENT, MAINSTAYD, WAIT_SECONDS, pid_of, pod_yaml, processes_with

TRAP = "trap 'echo got TERM; exit 0' TERM; echo up; while :; do sleep 0.02; done"


def children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as f:
            return [int(word) for word in f.read().split()]
    except FileNotFoundError:
        return []


def comm(pid):
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        with open(f"/proc/{pid}/comm") as f:
            return f.read().strip()


def inner_pid(pid):
    """The PID in the process's own namespace."""
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"^NSpid:.*\s(\d+)$", f.read(), re.M).group(1))


BARE = {"/proc": "proc", "/sys": "sysfs", "/dev": "devtmpfs", "/dev/pts": "devpts", "/dev/shm": "tmpfs",
        "/run": "tmpfs", "/sys/fs/cgroup": "cgroup2"}

# A root file system as an initramfs has it: programs, a name, and empty directories. $1 is where, then
# what is bind-mounted into it, "--", and what process 1 executes there.
MAKE_ROOT = """set -e
root=$1; shift
mount -t tmpfs root "$root"; cd "$root"; mkdir -p proc sys dev run tmp etc
echo bare >etc/hostname
for link in bin sbin lib lib64; do [ ! -L /$link ] || ln -sfn usr/$link $link; done
while [ "$1" != -- ]; do mkdir -p "./$1"; mount --bind "$1" "./$1"; shift; done; shift
echo '(none)' >/proc/sys/kernel/hostname
[ -z "$KEPT" ] || touch run/kept
mkdir old; pivot_root . old; cd /
python3 -c 'import ctypes; ctypes.CDLL(None).umount2(b"/old", 2)'  # umount(8) would want /proc
rmdir old
exec chroot . "$@"
"""


def mounts(pid):
    """{mount point: file system}, the one on top for each."""
    with open(f"/proc/{pid}/mountinfo") as f:
        return {line.split()[4]: line.split(" - ")[1].split()[0] for line in f}


def starter(pid):
    """What tells one process from another that got its PID later."""
    with open(f"/proc/{pid}/stat") as f:
        return f.read().rsplit(")", 1)[1].split()[19]


class First(harness.Agent):
    """The agent below a process 1, in a PID namespace of its own (made by unshare)."""

    def __init__(self, *flags, wrapper=(), init=("--init",), **options):
        self.wrapper = ["unshare", "--fork", "--pid", "--mount-proc", "--kill-child", *wrapper]
        self.init = list(init)
        super().__init__(*flags, **options)

    def command(self):
        program, *flags = super().command()
        return [*self.wrapper, program, *self.init, *flags]

    def wait_ready(self):
        """READY=1 of the next agent, passed on by process 1."""
        self.wait_told("READY=1")

    def wait_told(self, text):
        end = time.monotonic() + WAIT_SECONDS
        pidfd = os.pidfd_open(self.process.pid)
        try:
            while True:
                ready, _, _ = select.select([self.notify, pidfd], [], [], max(end - time.monotonic(), 0))
                if self.notify not in ready:
                    raise AssertionError(f"process 1 does not tell {text}:\n" + self.agent_log())
                if text in self.notify.recv(65536).decode():
                    return
        finally:
            os.close(pidfd)

    @property
    def first(self):
        """Process 1, by its PID out here."""
        return children(self.process.pid)[0]

    @property
    def daemon(self):
        return next(pid for pid in children(self.first) if comm(pid) == "mainstayd")

    def send(self, number):
        os.kill(self.first, number)

    def wait_log(self, pattern):
        """Until a line of the log matches: asked again and again, for a file tells nobody."""
        end = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < end:
            found = re.search(pattern, self.agent_log())
            if found:
                return found
            time.sleep(0.02)
        raise AssertionError(f"no line \"{pattern}\":\n" + self.agent_log())

    def how_it_stands(self):
        """What process 1 answers to SIGUSR1: (starts, orphans)."""
        pattern = r"agent \d+ is \w+; started (\d+) times; (\d+) orphans reaped"
        before = len(re.findall(pattern, self.agent_log()))
        self.send(signal.SIGUSR1)
        self.wait_log(r"(?s)(" + pattern + r".*){" + str(before + 1) + "}")
        starts, orphans = re.findall(pattern, self.agent_log())[-1]
        return int(starts), int(orphans)

    def inside(self, *words):
        return subprocess.run(["nsenter", "-t", str(self.first), "-p", "-m", "-n", "--root", *words], check=True,
                              capture_output=True, text=True, timeout=WAIT_SECONDS).stdout

    def end(self, number=signal.SIGTERM):
        self.send(number)
        return self.process.wait(WAIT_SECONDS)

    def close(self):
        try:
            if self.process and self.process.poll() is None:
                self.send(signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(WAIT_SECONDS)
        finally:
            super().close()


class Container(machine.Machine):
    """A container of systemd-nspawn, with cgroups of its own, whose process 1 is mainstayd."""

    def boot(self):
        for path in self.cgroups:
            os.makedirs(path, exist_ok=True)
        command = ["systemd-nspawn", "--quiet", "-D", self.root, "--register=no", "--private-network",
                   "--machine=" + self.name, "--notify-ready=yes"]
        if self.cgroups:
            command.append("--keep-unit")
        for program, place in self.programs.items():
            command.append(f"--bind-ro={os.path.join(harness.BUILD, program)}:{place}")
        command += ["--", machine.PROGRAMS["mainstayd"], "--init", "--hostname-override", machine.NODE]
        address = os.path.join(self.dir, "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify, \
                open(os.path.join(self.dir, "console"), "ab") as console:
            notify.bind(address)
            self.nspawn = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=console,
                                           stderr=console, env=self.environment(address),
                                           preexec_fn=self.enter_cgroups)
            return self.wait_booted(notify)

    def agent_log(self):
        return self.console()

    def wait_console(self, text):
        end = time.monotonic() + WAIT_SECONDS
        while text not in self.console():
            if time.monotonic() > end:
                raise AssertionError(f"no \"{text}\":\n" + self.console())
            time.sleep(0.02)


class FirstProcess(unittest.TestCase):
    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("PID namespaces of their own are made by root")

    def first(self, *flags, **options):
        first = First(*flags, **options)
        self.addCleanup(first.close)
        return first

    def running(self, *flags, command=(COMPONENT,), **options):
        first = self.first(*flags, **options)
        first.drop("w.yaml", pod_yaml("w", command))
        return first, pid_of(first.wait_ready_pod("w"))

    def component(self, first):
        """The pod's process: (PID out here, when it started)."""
        pid, = [p for p in processes_with(COMPONENT) if comm(p) == "component" and self.is_in(first, p)]
        return pid, starter(pid)

    def is_in(self, first, pid):
        namespaces = subprocess.run(["readlink", f"/proc/{pid}/root"], capture_output=True)  # it lives
        with open(f"/proc/{pid}/status") as f:
            parent = int(re.search(r"^PPid:\s(\d+)", f.read(), re.M).group(1))
        return namespaces.returncode == 0 and (parent == first.first or self.is_in(first, parent)
                                               if parent > 1 else False)

    # ---- what a process 1 is for

    def test_orphans_are_reaped_and_counted(self):
        first, _ = self.running()
        _, before = first.how_it_stands()
        first.inside("/bin/sh", "-c", "i=0; while [ $i -lt 50 ]; do (true &); i=$((i+1)); done")
        end = time.monotonic() + WAIT_SECONDS
        while first.how_it_stands()[1] < before + 50 and time.monotonic() < end:
            pass  # each turn waits for an answer
        self.assertEqual(first.how_it_stands(), (1, before + 50))
        self.assertEqual([comm(p) for p in children(first.first)], ["mainstayd"])

    def test_what_the_agent_tells_is_passed_on(self):
        first, _ = self.running()
        first.send(signal.SIGHUP)
        first.wait_told("RELOADING=1")
        first.wait_told("READY=1")
        self.assertIn("init", first.cli("status").stdout)

    # ---- the agent dies, hangs, is replaced

    def test_an_agent_that_dies_is_started_again_and_adopts(self):
        first, pid = self.running()
        process = self.component(first)
        shim, = [p for p in children(first.daemon) if comm(p) == "mainstay-shim"]
        for starts in (2, 3, 4):
            daemon = first.daemon
            os.kill(daemon, signal.SIGKILL)
            first.wait_ready()
            self.assertNotEqual(first.daemon, daemon)
            self.assertEqual(first.how_it_stands()[0], starts)
            self.assertIn(shim, children(first.first))  # it is process 1's child now
        pod = first.wait_ready_pod("w")
        self.assertEqual((pid_of(pod), self.component(first)), (pid, process))
        self.assertEqual(harness.container(pod)["restartCount"], 0)
        # The end of a run whose shim process 1 has inherited is seen, and its zombie is reaped.
        os.kill(process[0], signal.SIGKILL)
        first.wait_ready_pod("w", restarts=1)
        self.assertNotIn(shim, children(first.first))

    def test_an_agent_that_hangs_is_started_anew(self):
        first, pid = self.running("--init-watchdog", "2s")
        process = self.component(first)
        os.kill(first.daemon, signal.SIGSTOP)
        first.wait_ready()
        self.assertEqual((pid_of(first.wait_ready_pod("w")), self.component(first)), (pid, process))
        self.assertIn("the agent is silent for longer than it may be (it hangs)", first.agent_log())
        self.assertIn("the agent was ended by SIGABRT", first.agent_log())

    def test_a_namespace_that_stood_still_is_no_alarm(self):
        first, _ = self.running("--init-watchdog", "1s")
        daemon, everybody = first.daemon, [first.first, first.daemon]
        for pid in everybody:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(2.5)  # longer than the watchdog allows: this is what is tested
        for pid in everybody:
            os.kill(pid, signal.SIGCONT)
        self.assertEqual(first.how_it_stands()[0], 1)
        first.drop("v.yaml", pod_yaml("v", [COMPONENT]))
        first.wait_ready_pod("v")
        self.assertEqual((first.how_it_stands()[0], first.daemon), (1, daemon))

    def test_others_cannot_speak_for_the_agent(self):
        first, _ = self.running("--init-watchdog", "2s")
        with open(f"/proc/{first.daemon}/environ") as f:
            address = re.search(r"NOTIFY_SOCKET=@([^\0]+)", f.read()).group(1)
        os.kill(first.daemon, signal.SIGSTOP)
        speak = ("import socket, time; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
                 f"s.connect('\\0{address}')\n"
                 "while True: s.send(b'WATCHDOG=1'); time.sleep(0.1)")
        with subprocess.Popen(["python3", "-c", speak], stderr=subprocess.DEVNULL) as stranger:
            first.wait_ready()  # of the next agent
            stranger.kill()
        self.assertEqual(first.how_it_stands()[0], 2)

    def test_a_new_version_stops_nothing(self):
        first = self.first(start=False)
        first.program = first.path("mainstayd")
        shutil.copy(MAINSTAYD, first.program)
        first.start()
        first.drop("w.yaml", pod_yaml("w", [COMPONENT]))
        pid = pid_of(first.wait_ready_pod("w"))
        daemon = first.daemon
        shutil.copy(MAINSTAYD, first.program + ".new")
        os.rename(first.program + ".new", first.program)
        first.send(signal.SIGUSR2)
        first.wait_ready()
        self.assertEqual(first.daemon, daemon)  # executed anew in place
        self.assertEqual(os.readlink(f"/proc/{daemon}/exe"), first.program)
        self.assertEqual(pid_of(first.wait_ready_pod("w")), pid)
        os.kill(daemon, signal.SIGKILL)  # and the next one is the new one too
        first.wait_ready()
        self.assertEqual(os.readlink(f"/proc/{first.daemon}/exe"), first.program)
        self.assertEqual(pid_of(first.wait_ready_pod("w")), pid)

    # ---- the end

    def ends_in_order(self, first, number):
        self.assertEqual(first.end(number), 0)
        self.assertIn("got TERM", first.log_text("w"))
        self.assertNotIn("kills what is left", first.agent_log())
        self.assertEqual(processes_with(first.dir), [])

    def test_each_signal_of_the_end_stops_the_pods_first(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGPWR, signal.SIGRTMIN + 3):
            with self.subTest(number):
                first, _ = self.running(command=["/bin/sh", "-c", TRAP])
                self.ends_in_order(first, number)

    def test_the_end_keeps_to_the_order_of_dependencies(self):
        first = self.first()
        first.drop("db.yaml", pod_yaml("db", [COMPONENT]))
        first.drop("web.yaml", pod_yaml("web", ["/bin/sh", "-c", TRAP]).replace(
            "  namespace:", '  annotations: {mainstay.dev/depends-on: "db"}\n  namespace:'))
        first.wait_ready_pod("web")
        first.send(signal.SIGTERM)
        self.assertEqual(first.process.wait(WAIT_SECONDS), 0)
        with open(first.path("agent.log")) as f:
            story = re.findall(r"pod default/(\w+)-node1: (Stopped|Exited):", f.read())
        self.assertEqual(story, [("web", "Stopped"), ("web", "Exited"), ("db", "Stopped"), ("db", "Exited")])

    def test_an_agent_that_dies_at_the_end_is_replaced(self):
        first = self.first()
        go = first.path("go")
        first.drop("w.yaml", pod_yaml("w", ["/bin/sh", "-c",
                   f"trap 'echo got TERM; until [ -e {go} ]; do sleep 0.02; done; exit 0' TERM; "
                   "echo up; while :; do sleep 0.02; done"]).replace("Seconds: 2", "Seconds: 60"))
        first.wait_ready_pod("w")
        first.send(signal.SIGTERM)
        first.wait_log("Killing: stopping container")
        os.kill(first.daemon, signal.SIGKILL)
        first.wait_log("the agent is started again")
        first.write("go", "")
        self.assertEqual(first.process.wait(WAIT_SECONDS), 0)
        self.assertIn("got TERM", first.log_text("w"))

    def test_pods_that_a_dead_agent_left_get_their_grace(self):
        first, _ = self.running(command=["/bin/sh", "-c", TRAP])
        os.kill(first.first, signal.SIGSTOP)  # it does not notice the death before the signal
        os.kill(first.daemon, signal.SIGKILL)
        first.send(signal.SIGTERM)
        first.send(signal.SIGCONT)
        self.assertEqual(first.process.wait(WAIT_SECONDS), 0)
        self.assertIn("got TERM", first.log_text("w"))

    def test_asked_twice_it_waits_for_nobody(self):
        first = self.first()
        first.drop("w.yaml", pod_yaml("w", ["/bin/sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"])
                   .replace("Seconds: 2", "Seconds: 600"))
        first.wait_ready_pod("w")
        first.send(signal.SIGTERM)
        first.wait_log("Killing: stopping container")
        self.assertEqual(first.end(), 0)
        self.assertEqual(processes_with(first.dir), [])

    def test_strays_are_ended(self):
        first, _ = self.running()
        with subprocess.Popen(["nsenter", "-t", str(first.first), "-p", "-m", "sleep", "600"]) as stray:
            first.wait_told("STATUS=")
            self.assertEqual(first.end(), 0)
            self.assertNotEqual(stray.wait(WAIT_SECONDS), 0)

    # ---- what is refused

    def test_flags_that_the_agent_refuses_end_a_container(self):
        first = self.first("--no-such-flag", start=False)
        first.start(wait=False)
        self.assertEqual(first.process.wait(WAIT_SECONDS), 2)
        self.assertIn("unknown flag: --no-such-flag", first.agent_log())

    def test_help_and_version_are_no_agent(self):
        for flag, says in (("--version", "mainstayd "), ("--help", "--init-as")):
            first = self.first(flag, start=False)
            first.start(wait=False)
            self.assertEqual(first.process.wait(WAIT_SECONDS), 0)
            self.assertIn(says, first.agent_log())

    def test_a_container_that_may_do_little(self):
        """No cgroup to write to: it says so, and runs the pods."""
        first, _ = self.running(wrapper=["sh", "-c", "mount -t tmpfs -o ro none /sys/fs/cgroup; exec \"$@\"",
                                         "sh"])
        self.assertIn("no writable cgroup", first.events("HostLimitation")[0]["message"])
        self.assertEqual(first.end(), 0)

    def test_it_is_for_process_1_only(self):
        done = subprocess.run([MAINSTAYD, "--init"], capture_output=True, text=True, timeout=WAIT_SECONDS,
                              check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("--init is for process 1", done.stderr)

    def test_process_1_without_the_flag_says_so_and_works(self):
        first = self.first(init=())
        first.drop("w.yaml", pod_yaml("w", [COMPONENT]))
        first.wait_ready_pod("w")
        self.assertIn("use `mainstayd --init`", first.agent_log())
        self.assertEqual(harness.Agent.close(first), None)  # by its API, as any other

    def test_a_proc_of_another_namespace_is_refused(self):
        flags = harness.Agent(start=False)
        self.addCleanup(flags.close)
        done = subprocess.run(["unshare", "--fork", "--pid", MAINSTAYD, "--init", *flags.command()[1:]],
                              capture_output=True, text=True, timeout=WAIT_SECONDS, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("/proc is not that of this PID namespace", done.stderr)

    # ---- a container engine's container

    def test_a_container_of_nspawn(self):
        container = Container()
        self.addCleanup(container.close)
        if not container.boot() and container.leader is None:
            self.skipTest("systemd-nspawn starts no container here: " + container.console()[-300:])
        container.drop("w.yaml", machine.pod_yaml("w", ["/bin/sh", "-c", TRAP]))
        pod = container.wait_pod("w")
        daemon, = [p for p in children(container.leader) if comm(p) == "mainstayd"]
        # It has made room for the pods' cgroups.
        self.assertIn("init.scope", container.run("cat", "/proc/1/cgroup"))
        self.assertIn("v2 at /sys/fs/cgroup (kill, freeze", container.console())
        os.kill(daemon, signal.SIGKILL)
        container.wait_console("1 containers adopted")
        self.assertEqual(pid_of(container.wait_pod("w")), pid_of(pod))
        os.kill(container.leader, signal.SIGRTMIN + 3)
        self.assertEqual(container.nspawn.wait(WAIT_SECONDS), 0)
        self.assertRegex(container.console(), r"Exited: run 0 of container main exited with status 0")

    # ---- the machine

    def bare(self, kept=""):
        """The first process of a machine of which nothing is prepared."""
        first = self.first("--init-as", "machine", node="bare", start=False)
        os.mkdir(first.path("bare"))
        first.env["KEPT"] = kept
        first.wrapper = ["unshare", "--fork", "--pid", "--mount", "--uts", "--net", "--ipc", "--kill-child",
                         "sh", "-c", MAKE_ROOT, "sh", first.path("bare"), "/usr", harness.BUILD,
                         first.dir, "--"]
        command = first.command()
        at = command.index("--hostname-override")
        first.command = lambda: command[:at] + command[at + 2:]  # it has to find its name
        first.start()
        first.drop("w.yaml", pod_yaml("w", [COMPONENT]))
        first.wait_ready_pod("w")
        return first

    def test_what_a_bare_machine_lacks_is_mounted(self):
        outside = {point: mounts("self").get(point) for point in BARE}
        first = self.bare()
        found = mounts(first.first)
        self.assertEqual({point: found.get(point) for point in BARE}, BARE)
        self.assertIn("UP", first.inside("ip", "-o", "link", "show", "lo"))
        self.assertIn("on node bare ", first.agent_log())
        self.assertNotIn(" W mainstayd[1]", first.agent_log())
        # The devtmpfs is the same one out here: what is mounted on it here stays.
        self.assertEqual({point: mounts("self").get(point) for point in BARE}, outside)

    def test_nothing_is_mounted_over_something(self):
        first = self.bare(kept="yes")
        self.assertNotIn("/run", mounts(first.first))
        self.assertIn("/run is not mounted, but has something in it: left as it is", first.agent_log())

    def test_a_machine_is_powered_off_and_rebooted(self):
        """In a PID namespace, reboot(2) shows the parent which of the two it was by a signal."""
        for number, means in ((signal.SIGTERM, signal.SIGINT), (signal.SIGINT, signal.SIGHUP)):
            with self.subTest(number):
                first, _ = self.running("--init-as", "machine", command=["/bin/sh", "-c", TRAP])
                first.send(number)
                status = first.process.wait(WAIT_SECONDS)
                if "reboot(2): Operation not permitted" in first.agent_log():
                    self.skipTest("no CAP_SYS_BOOT")
                self.assertEqual(status, -means)
                self.assertIn("got TERM", first.log_text("w"))


if __name__ == "__main__":
    harness.main()
