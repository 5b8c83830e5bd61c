"""mainstayd under a real systemd and journald, with the unit as it is packaged.

Each test boots a machine of its own: a copy of a small Debian that mmdebstrap made once (it is kept
below ~/.cache/mainstay), run by systemd-nspawn with the build bind-mounted into it.
"""

import atexit
import contextlib
import fcntl
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

import harness
from harness import BUILD, SOURCE, WAIT_SECONDS

CACHE = os.path.expanduser("~/.cache/mainstay")
ROOT = os.path.join(CACHE, "systemd-root")
STAMP = "etc/mainstay-test-packages"
UNIT = os.path.join(SOURCE, "packaging", "systemd", "mainstayd.service")
COMPONENT = "/usr/local/bin/component"
PROGRAMS = {
    "mainstayd": "/usr/local/sbin/mainstayd",
    "mainstay": "/usr/local/bin/mainstay",
    "mainstay-shim": "/usr/local/libexec/mainstay/mainstay-shim",
    "tests/component": COMPONENT,
}
NODE = "n1"
UNIT_STARTED = "39f53479d3a045ac8e11786248231fbf"  # systemd's own: "Started …"
# Operators' filters hang on these.
STARTED = "204045b6223e4a22b8db31950c147329"
EXITED = "59bfcfab3d18464799dcb837b5d479f3"
LOST = "40765632f4f649ce990263eb560c0125"
MANIFEST_REFUSED = "652545c057494b3bb24905e2083bd98b"


# ---- the machine's files ----

def packages():
    """What a machine needs that runs systemd and our programs: those that the libraries came from."""
    names = set()
    for program in ("mainstayd", "mainstay"):
        listing = subprocess.run(["ldd", os.path.join(BUILD, program)], capture_output=True, text=True)
        for library in re.findall(r"=> (/\S+)", listing.stdout):
            path = os.path.realpath(library)
            names |= {path, path.removeprefix("/usr")}  # as the package names it
    owners = subprocess.run(["dpkg-query", "-S", *names], capture_output=True, text=True).stdout
    found = {line.split(":", 1)[0] for line in owners.splitlines() if not line.startswith("diversion ")}
    return sorted(found | {"systemd", "systemd-sysv", "dbus", "procps"})


def codename():
    with open("/etc/os-release") as f:
        return dict(line.rstrip("\n").split("=", 1) for line in f if "=" in line)["VERSION_CODENAME"]


def reason_in(text):
    """The first line that tells of a failure, else the last one."""
    lines = text.strip().splitlines() or ["without a word"]
    return next((line for line in lines if re.search(r"fail|cannot|denied|error", line, re.I)), lines[-1])


def make_root(wanted):
    new = f"{ROOT}.{os.getpid()}"
    slim = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "locale", "man")]
    try:
        made = subprocess.run(["mmdebstrap", "--variant=minbase", "--include=" + ",".join(wanted), *slim,
                               codename(), new], capture_output=True, text=True)
        if made.returncode != 0:
            raise unittest.SkipTest("mmdebstrap made no root file system: " + reason_in(made.stderr))
        for timer in ("apt-daily", "apt-daily-upgrade", "dpkg-db-backup", "e2scrub_all"):
            os.symlink("/dev/null", os.path.join(new, "etc/systemd/system", timer + ".timer"))
        with open(os.path.join(new, STAMP), "w") as f:
            f.write("\n".join(wanted))
        shutil.rmtree(ROOT, ignore_errors=True)
        os.rename(new, ROOT)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def have_root():
    """Makes the root file system where there is none yet, or one for another build."""
    if os.geteuid() != 0:
        raise unittest.SkipTest("a machine is booted by root only")
    for program in ("mmdebstrap", "systemd-nspawn", "nsenter", "dpkg-query"):
        if not shutil.which(program):
            raise unittest.SkipTest(f"{program} is not installed")
    wanted = packages()
    os.makedirs(CACHE, exist_ok=True)
    with open(ROOT + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            with open(os.path.join(ROOT, STAMP)) as f:
                if f.read() == "\n".join(wanted):
                    return
        except FileNotFoundError:
            pass
        make_root(wanted)


# ---- cgroups ----

def own_cgroups(name):
    """nspawn makes cgroups beside itself; without a systemd on the host that is in one of ours."""
    if os.path.isdir("/run/systemd/system"):
        return []
    found = []
    with open("/proc/self/mountinfo") as f:
        for line in f:
            fields, _, rest = line.partition(" - ")
            kind, _, options = rest.split()[:3]
            point = fields.split()[4]
            if kind == "cgroup2" or kind == "cgroup" and "name=systemd" in options:
                found.append(os.path.join(point, name))
    return found


def remove_cgroup(path):
    for directory, _, _ in os.walk(path, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(directory)


# ---- the machine ----

class Machine:
    count = 0

    def __init__(self):
        Machine.count += 1
        self.name = f"mainstay-test-{os.getpid()}-{Machine.count}"
        self.dir = tempfile.mkdtemp(prefix="mainstay-systemd-")
        self.root = os.path.join(self.dir, "root")
        self.cgroups = own_cgroups(self.name)
        self.nspawn = self.leader = None
        atexit.register(self.close)
        self.make_files()
        shutil.copy(UNIT, self.path("etc/systemd/system/mainstayd.service"))
        os.makedirs(self.path("etc/kubernetes/manifests"))
        self.write("etc/hostname", NODE + "\n")

    def make_files(self):
        """A layer over the cached root, or where there is no room for one, a copy."""
        for name in ("root", "upper", "work"):
            os.mkdir(os.path.join(self.dir, name))
        layers = f"lowerdir={ROOT},upperdir={self.dir}/upper,workdir={self.dir}/work"
        mounted = subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, self.root],
                                 stderr=subprocess.DEVNULL)
        if mounted.returncode != 0:
            subprocess.run(["cp", "-aT", "--reflink=auto", ROOT, self.root], check=True)

    def path(self, *parts):
        return os.path.join(self.root, *parts)

    def write(self, name, text):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w") as f:
            f.write(text)

    def drop(self, name, text):
        """Written beside, then renamed into the manifest directory."""
        self.write("tmp-" + name, text)
        os.rename(self.path("tmp-" + name), self.path("etc/kubernetes/manifests", name))

    # ---- power ----

    def enter_cgroups(self):
        for path in self.cgroups:
            with open(os.path.join(path, "cgroup.procs"), "w") as f:
                f.write("0")

    def environment(self, address):
        """The cgroups are those that Debian boots with, whatever the host has (if it can)."""
        return {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1", **os.environ, "NOTIFY_SOCKET": address}

    def boot(self):
        """Until systemd says that the machine is up; False where nspawn cannot boot it."""
        for path in self.cgroups:
            os.makedirs(path, exist_ok=True)
        command = ["systemd-nspawn", "--quiet", "-D", self.root, "--register=no", "--private-network",
                   "--machine=" + self.name, "--notify-ready=yes", "--boot"]
        if self.cgroups:
            command.append("--keep-unit")
        for program, place in PROGRAMS.items():
            command.append(f"--bind-ro={os.path.join(BUILD, program)}:{place}")
        address = os.path.join(self.dir, "notify")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(address)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify, \
                open(os.path.join(self.dir, "console"), "ab") as console:
            notify.bind(address)
            self.nspawn = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=console, stderr=console,
                                           env=self.environment(address),
                                           preexec_fn=self.enter_cgroups)
            return self.wait_booted(notify)

    def wait_booted(self, notify):
        end = time.monotonic() + WAIT_SECONDS
        pidfd = os.pidfd_open(self.nspawn.pid)
        try:
            while True:
                ready, _, _ = select.select([notify, pidfd], [], [], max(end - time.monotonic(), 0))
                if notify not in ready:
                    return False
                message = notify.recv(65536).decode()
                leader = re.search(r"^X_NSPAWN_LEADER_PID=(\d+)$", message, re.M)
                if leader:
                    self.leader = int(leader.group(1))
                if re.search(r"^READY=1$", message, re.M):
                    return True
        finally:
            os.close(pidfd)

    def off(self):
        """The plug is pulled."""
        os.kill(self.leader, signal.SIGKILL)
        self.nspawn.wait(WAIT_SECONDS)
        self.nspawn = None

    def shut_down(self):
        self.run("systemctl", "poweroff")
        self.nspawn.wait(WAIT_SECONDS)
        self.nspawn = None

    def close(self):
        try:
            if self.nspawn and self.nspawn.poll() is None:
                if self.leader:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(self.leader, signal.SIGKILL)
                else:
                    self.nspawn.kill()
                self.nspawn.wait(WAIT_SECONDS)
        finally:
            atexit.unregister(self.close)
            for path in self.cgroups:
                remove_cgroup(path)
            shutil.rmtree(os.path.join("/run/systemd/nspawn/propagate", self.name), ignore_errors=True)
            subprocess.run(["umount", self.root], stderr=subprocess.DEVNULL)
            shutil.rmtree(self.dir, ignore_errors=True)

    def console(self):
        with open(os.path.join(self.dir, "console"), errors="replace") as f:
            return f.read()

    # ---- commands ----

    def command(self, words):
        return ["nsenter", "-t", str(self.leader), "-m", "-u", "-i", "-n", "-p", "--root", "--wd",
                "/usr/bin/env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "LC_ALL=C.UTF-8", "SYSTEMD_COLORS=0", "SYSTEMD_PAGER=", *words]

    def run(self, *words, check=True):
        done = subprocess.run(self.command(words), capture_output=True, text=True, timeout=WAIT_SECONDS,
                              stdin=subprocess.DEVNULL)
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(words)}: exit status {done.returncode}\n{done.stdout}"
                                 f"{done.stderr}\n{self.agent_log()}")
        return done.stdout

    def agent_log(self):
        return self.run("journalctl", "-u", "mainstayd", "-n", "40", check=False)

    def show(self, name):
        return self.run("systemctl", "show", "-P", name, "mainstayd").strip()

    def pods(self):
        items = json.loads(self.run("mainstay", "get", "pods", "-o", "json"))["items"]
        return {p["metadata"]["name"].removesuffix("-" + NODE): p for p in items}

    def wait_pod(self, name):
        self.run("mainstay", "wait", name, "--for=ready", f"--timeout={int(WAIT_SECONDS)}s")
        return self.pods()[name]

    def wait_logged(self, pod, line):
        """Until the line is in the pod's log file; a pod that is not there yet is asked for again."""
        end = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < end:
            follow = self.command(["timeout", str(WAIT_SECONDS), "mainstay", "logs", "-f", pod])
            with subprocess.Popen(follow, text=True, stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL) as logs:
                found = any(text.rstrip("\n") == line for text in logs.stdout)
                logs.kill()
            if found:
                return
        raise AssertionError(f"{pod} did not log \"{line}\"\n" + self.agent_log())

    # ---- the journal ----

    def journal(self, *matches):
        text = self.run("journalctl", "-q", "-o", "json", "--all", *matches)
        return [json.loads(line) for line in text.splitlines()]

    def follow(self, *matches):
        """Entries of this boot, those that are there and those that come."""
        process = subprocess.Popen(self.command(["journalctl", "-q", "-b", "-f", "-n", "all", "-o", "json",
                                                 "--all", *matches]),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL)
        end = time.monotonic() + WAIT_SECONDS
        pending = b""
        try:
            while True:
                ready, _, _ = select.select([process.stdout], [], [], max(end - time.monotonic(), 0))
                data = os.read(process.stdout.fileno(), 1 << 20) if ready else b""
                if not data:
                    raise AssertionError(f"the journal has no (further) entry {matches}:\n"
                                         + self.agent_log())
                *lines, pending = (pending + data).split(b"\n")
                yield from (json.loads(line) for line in lines)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()

    def wait_journal(self, *matches, count=1):
        for i, entry in enumerate(self.follow(*matches), 1):
            if i == count:
                return entry
        raise AssertionError("unreachable")

    def starts(self):
        """How often systemd has started the agent."""
        return len(self.journal("-b", "UNIT=mainstayd.service", "MESSAGE_ID=" + UNIT_STARTED))

    def wait_started(self, count):
        self.wait_journal("UNIT=mainstayd.service", "MESSAGE_ID=" + UNIT_STARTED, count=count)


def pod_yaml(name, command, extra=""):
    return harness.pod_yaml(name, command, extra=extra)


def pid_of(pod):
    return harness.pid_of(pod)


def account(entries):
    """(numbers of "line N" in order, how many lines the markers say are missing)"""
    numbers, missing = [], 0
    for entry in entries:
        line = re.fullmatch(r"line (\d+)", entry["MESSAGE"])
        marker = re.fullmatch(r"mainstay: (\d+) lines before this one did not reach the journal",
                              entry["MESSAGE"])
        if line:
            numbers.append(int(line.group(1)))
        elif marker:
            missing += int(marker.group(1))
    return numbers, missing


class Systemd(unittest.TestCase):
    maxDiff = None

    why_not = None

    @classmethod
    def setUpClass(cls):
        """Tries once whether machines can be made and booted here."""
        for program in PROGRAMS:
            if not os.path.exists(os.path.join(BUILD, program)):
                raise FileNotFoundError(f"{BUILD} has no {program}: build it first")
        try:
            have_root()
            machine = Machine()
            try:
                if not machine.boot():
                    raise unittest.SkipTest("systemd-nspawn cannot boot here: " + reason_in(machine.console()))
            finally:
                machine.close()
        except unittest.SkipTest as reason:
            cls.why_not = str(reason)

    def setUp(self):
        if self.why_not:
            self.skipTest(self.why_not)

    def machine(self):
        machine = Machine()
        self.addCleanup(machine.close)
        self.boot(machine)
        return machine

    def boot(self, machine):
        self.assertTrue(machine.boot(), machine.console()[-4000:])

    def running(self, name="w", command=(COMPONENT, "lines", "0", "1")):
        """A machine with an agent and a pod that runs."""
        machine = self.machine()
        machine.run("systemctl", "start", "mainstayd")
        machine.drop(name + ".yaml", pod_yaml(name, command))
        return machine, pid_of(machine.wait_pod(name))

    def check_lines(self, machine, pod="w"):
        """All numbered lines that were written until now are in the journal, once and in order."""
        last = int(machine.run("mainstay", "logs", pod, "--tail", "1").split()[1])
        entries = []
        for entry in machine.follow(f"MAINSTAY_POD={pod}-{NODE}", "SYSLOG_IDENTIFIER=main"):
            entries.append(entry)
            if entry["MESSAGE"] == f"line {last}":
                break
        self.assertEqual(account(entries), (list(range(1, last + 1)), 0))

    def wait_status(self, machine, expected):
        """systemd tells nobody that STATUS= has changed: asked until it has."""
        end = time.monotonic() + WAIT_SECONDS
        while machine.show("StatusText") != expected and time.monotonic() < end:
            time.sleep(0.05)
        self.assertEqual(machine.show("StatusText"), expected)

    # ---- starting, and what systemctl shows ----

    def test_start_returns_when_ready(self):
        machine = self.machine()
        machine.drop("w.yaml", pod_yaml("w", [COMPONENT]))
        machine.run("systemctl", "start", "mainstayd")
        self.assertEqual(list(machine.pods()), ["w"])  # the directory has been read
        self.assertEqual(machine.show("ActiveState"), "active")
        machine.wait_pod("w")
        self.wait_status(machine, "1 pod, 1 ready")
        machine.drop("bad.yaml", "kind: Pot\n")
        machine.wait_journal("MESSAGE_ID=" + MANIFEST_REFUSED)
        refused = machine.journal("MESSAGE_ID=" + MANIFEST_REFUSED)[0]
        self.assertRegex(refused["MESSAGE"], r"\.yaml:\d+:\d+: ")
        self.wait_status(machine, "1 pod, 1 ready; 1 manifest is not in force: "
                                  "/etc/kubernetes/manifests/bad.yaml")
        self.assertRegex(machine.run("systemctl", "status", "mainstayd"),
                         r'Status: "1 pod, 1 ready; 1 manifest is not in force')
        # The pods are not of the agent's unit: what happens to it does not happen to them.
        self.assertNotIn("shim", machine.run("systemctl", "status", "mainstayd"))

    def test_the_unit_has_no_mistake(self):
        machine = self.machine()
        self.assertEqual(machine.run("systemd-analyze", "verify", "mainstayd.service"), "")
        machine.write("etc/default/mainstayd", "MAINSTAYD_OPTS=--hostname-override=other -v 4\n")
        machine.run("systemctl", "start", "mainstayd")
        self.assertIn("on node other", machine.agent_log())

    # ---- the journal ----

    def test_the_journal_has_every_field(self):
        script = ("echo plain; echo 'E1121 07:00:00.000001       1 server.go:1] broken';"
                  "echo problem >&2; exec " + COMPONENT)
        machine, pid = self.running("w", ["/bin/sh", "-c", script])
        pod = machine.pods()["w"]
        machine.wait_journal("MAINSTAY_POD=w-n1", "SYSLOG_IDENTIFIER=main", count=3)
        entries = machine.journal("MAINSTAY_POD=w-n1", "-t", "main")
        self.assertEqual({e["MESSAGE"].split()[-1]: e["PRIORITY"] for e in entries},
                         {"plain": "6", "broken": "3", "problem": "3"})
        for entry in entries:
            self.check_fields(entry, SYSLOG_IDENTIFIER="main", CONTAINER_NAME="main", MAINSTAY_POD="w-n1",
                              MAINSTAY_NAMESPACE="default", MAINSTAY_CONTAINER="main",
                              MAINSTAY_POD_UID=pod["metadata"]["uid"], MAINSTAY_RESTART_COUNT="0",
                              _COMM="mainstay-shim")
        self.assertIn("plain", machine.run("journalctl", "MAINSTAY_POD=w-n1"))
        self.assertIn("main[", machine.run("journalctl", "-t", "main"))
        errors = machine.run("journalctl", "-q", "-o", "cat", "-p", "err", "MAINSTAY_POD=w-n1")
        self.assertEqual(len(errors.splitlines()), 2)
        self.check_events(machine, pod, pid)

    def check_events(self, machine, pod, pid):
        started, = machine.journal("MESSAGE_ID=" + STARTED)
        self.check_fields(started, MAINSTAY_EVENT="Started", MAINSTAY_POD="w-n1", PRIORITY="6",
                          MAINSTAY_NAMESPACE="default", MAINSTAY_POD_UID=pod["metadata"]["uid"],
                          MAINSTAY_CONTAINER="main", SYSLOG_IDENTIFIER="mainstayd",
                          _SYSTEMD_UNIT="mainstayd.service",
                          MESSAGE=f"pod default/w-n1: Started: started container main, pid {pid}")
        self.assertNotIn("CODE_FILE", started)
        machine.run("kill", "-KILL", str(pid))
        exited = machine.wait_journal("MESSAGE_ID=" + EXITED)
        self.check_fields(exited, MAINSTAY_EVENT="Exited", MAINSTAY_POD="w-n1", PRIORITY="4")
        machine.wait_journal("MESSAGE_ID=" + STARTED, count=2)
        again = machine.wait_journal("MAINSTAY_RESTART_COUNT=1", "SYSLOG_IDENTIFIER=main")
        self.check_fields(again, MESSAGE="plain", MAINSTAY_POD="w-n1")

    def check_fields(self, entry, **expected):
        self.assertEqual({name: entry.get(name) for name in expected}, expected)

    def test_journald_is_restarted(self):
        machine, pid = self.running()
        for _ in range(3):
            machine.run("systemctl", "restart", "systemd-journald")
        last = int(machine.run("mainstay", "logs", "w", "--tail", "1").split()[1])
        entries = []
        for entry in machine.follow("MAINSTAY_POD=w-n1", "SYSLOG_IDENTIFIER=main"):
            entries.append(entry)
            if account([entry])[0] and account([entry])[0][0] > last + 100:
                break
        numbers, missing = account(entries)
        self.assertEqual(numbers, sorted(set(numbers)))
        self.assertEqual(missing, numbers[-1] - len(numbers))
        self.assertEqual(pid_of(machine.pods()["w"]), pid)

    def test_a_journald_that_hangs_holds_nobody_up(self):
        """What did not fit into its queue is counted, and told without a further line."""
        lines, writers = 5000, [f"w{i}" for i in range(6)]
        machine = self.machine()
        machine.run("systemctl", "start", "mainstayd")
        machine.run("systemctl", "kill", "-s", "STOP", "systemd-journald")
        for name in writers:
            machine.drop(name + ".yaml", pod_yaml(name, [COMPONENT, "lines", str(lines), "0"]))
        for name in writers:
            machine.wait_logged(name, f"line {lines}")
        machine.drop("v.yaml", pod_yaml("v", [COMPONENT]))
        machine.wait_pod("v")
        machine.run("systemctl", "kill", "-s", "CONT", "systemd-journald")
        for name in writers:
            self.check_account(machine, name, lines)
        self.check_agents_account(machine)

    def check_account(self, machine, name, lines):
        entries = []
        for entry in machine.follow(f"MAINSTAY_POD={name}-{NODE}", "SYSLOG_IDENTIFIER=main"):
            entries.append(entry)
            numbers, missing = account(entries)
            if len(numbers) + missing >= lines:
                break
        self.assertGreater(missing, 0)
        self.assertEqual(len(numbers) + missing, lines)
        self.assertEqual(numbers, sorted(set(numbers)))

    def check_agents_account(self, machine):
        """The agent's own messages: the numbers of its events, and what it says it could not say."""
        events = json.loads(machine.run("mainstay", "get", "events", "-o", "json"))["items"]
        wanted = max(e["mainstay"]["id"] for e in events)
        told = set()
        missing = 0
        for entry in machine.follow("SYSLOG_IDENTIFIER=mainstayd"):
            marker = re.fullmatch(r"(\d+) messages before this one did not reach the journal",
                                  entry["MESSAGE"])
            if marker:
                missing += int(marker.group(1))
            elif "MAINSTAY_EVENT_ID" in entry:
                told.add(int(entry["MAINSTAY_EVENT_ID"]))
            if len(told) + missing >= wanted:
                break
        self.assertGreater(missing, 0)
        self.assertEqual(len(told) + missing, wanted)

    def test_a_burst_of_lines_is_all_in_the_journal(self):
        machine = self.machine()
        machine.run("systemctl", "start", "mainstayd")
        machine.drop("w.yaml", pod_yaml("w", [COMPONENT, "lines", "1000", "0"]))
        machine.wait_pod("w")
        machine.wait_logged("w", "line 1000")
        self.check_lines(machine)

    # ---- the agent's end ----

    def test_restart_and_kill_lose_nothing(self):
        machine, pid = self.running()
        machine.run("systemctl", "restart", "mainstayd")
        self.assertEqual(pid_of(machine.wait_pod("w")), pid)
        starts = machine.starts()
        machine.run("systemctl", "kill", "-s", "KILL", "mainstayd")
        machine.wait_started(starts + 1)
        self.assertEqual(pid_of(machine.wait_pod("w")), pid)
        self.assertEqual(harness.container(machine.pods()["w"])["restartCount"], 0)
        self.check_lines(machine)
        self.assertEqual(len(machine.journal("MESSAGE_ID=" + STARTED)), 1)

    def test_it_is_never_given_up(self):
        machine, pid = self.running()
        machine.write("etc/systemd/system/mainstayd.service.d/fast.conf", "[Service]\nRestartSec=10ms\n")
        machine.run("systemctl", "daemon-reload")
        starts = machine.starts()
        for i in range(7):
            machine.run("systemctl", "kill", "-s", "KILL", "mainstayd")
            machine.wait_started(starts + i + 1)
        self.assertEqual(pid_of(machine.wait_pod("w")), pid)

    def test_stop_leaves_the_pods_and_start_adopts_them(self):
        machine, pid = self.running()
        machine.run("systemctl", "stop", "mainstayd")
        self.assertEqual(machine.show("ActiveState"), "inactive")
        self.assertEqual(machine.show("Result"), "success")
        self.assertIn("lines", machine.run("ps", "-o", "args=", "-p", str(pid)))
        machine.run("systemctl", "start", "mainstayd")
        self.assertEqual(pid_of(machine.wait_pod("w")), pid)
        self.check_lines(machine)
        self.assertIn("1 containers adopted", machine.agent_log())
        self.assertNotIn("left-over process", machine.agent_log())

    def test_a_hung_agent_is_killed_by_the_watchdog(self):
        machine, pid = self.running()
        machine.write("etc/systemd/system/mainstayd.service.d/fast.conf",
                      "[Service]\nWatchdogSec=1s\nRestartSec=10ms\n")
        machine.run("systemctl", "daemon-reload")
        machine.run("systemctl", "restart", "mainstayd")
        starts, agent = machine.starts(), machine.show("MainPID")
        machine.run("systemctl", "kill", "-s", "STOP", "mainstayd")
        machine.wait_started(starts + 1)
        self.assertIn("Watchdog timeout", machine.agent_log())
        self.assertNotEqual(machine.show("MainPID"), agent)
        self.assertEqual(pid_of(machine.wait_pod("w")), pid)
        self.check_lines(machine)

    def test_reload_reads_the_directory_again(self):
        machine = self.machine()
        machine.write("etc/default/mainstayd", "MAINSTAYD_OPTS=--file-check-frequency=1h\n")
        machine.run("systemctl", "start", "mainstayd")
        # A mount over the directory is nothing that inotify tells.
        machine.write("other/w.yaml", pod_yaml("w", [COMPONENT]))
        machine.run("mount", "--bind", "/other", "/etc/kubernetes/manifests")
        agent = machine.show("MainPID")
        machine.run("systemctl", "reload", "mainstayd")
        machine.wait_journal("MESSAGE_ID=" + STARTED)
        self.assertEqual((machine.show("ActiveState"), machine.show("MainPID")), ("active", agent))

    # ---- the machine's end ----

    def test_the_plug_is_pulled(self):
        machine, _ = self.running()
        machine.run("systemctl", "enable", "mainstayd")
        before = machine.run("cat", "/proc/sys/kernel/random/boot_id")
        machine.off()
        self.boot(machine)
        self.assertNotEqual(machine.run("cat", "/proc/sys/kernel/random/boot_id"), before)
        pod = machine.wait_pod("w")
        self.assertEqual(harness.container(pod)["restartCount"], 1)
        last = harness.status_of(pod)["lastState"]["terminated"]
        self.assertEqual((last["exitCode"], last["reason"]), (137, "Lost"))
        lost = machine.wait_journal("MESSAGE_ID=" + LOST)
        self.check_fields(lost, MAINSTAY_POD="w-n1", MAINSTAY_CONTAINER="main", PRIORITY="4")
        self.assertIn("0 containers adopted", machine.agent_log())

    def test_shutdown_stops_the_pods(self):
        machine = self.machine()
        machine.run("systemctl", "enable", "--now", "mainstayd")
        slow = f"trap 'sleep 0.2; echo end >/var/tmp/end; exit 0' TERM; {COMPONENT} & wait"
        machine.drop("w.yaml", pod_yaml("w", ["/bin/sh", "-c", slow]))
        machine.wait_pod("w")
        machine.shut_down()
        self.assertTrue(os.path.exists(machine.path("var/tmp/end")))  # it had its grace
        self.assertNotIn("Failed unmounting", machine.console())
        self.boot(machine)
        pod = machine.wait_pod("w")
        self.assertFalse(pod["mainstay"]["held"])
        self.assertEqual(machine.journal("MESSAGE_ID=" + LOST), [])


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what atexit cleans up is cleaned up
    harness.main()
