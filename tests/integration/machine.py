"""A machine with a real systemd and journald, for the tests that need one.

Each is a copy of a small Debian that mmdebstrap made once (it is kept below ~/.cache/mainstay), run
by systemd-nspawn, with the build bind-mounted into it unless a test installs a package instead.
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


def make_root(root, wanted):
    new = f"{root}.{os.getpid()}"
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
        shutil.rmtree(root, ignore_errors=True)
        os.rename(new, root)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def have_root(name="systemd-root", extra=()):
    """Makes the root file system where there is none yet, or one for another build. Its path.

    Tests that need further packages give their root a name of its own."""
    root = os.path.join(CACHE, name)
    if os.geteuid() != 0:
        raise unittest.SkipTest("a machine is booted by root only")
    for program in ("mmdebstrap", "systemd-nspawn", "nsenter", "dpkg-query"):
        if not shutil.which(program):
            raise unittest.SkipTest(f"{program} is not installed")
    wanted = sorted({*packages(), *extra})
    os.makedirs(CACHE, exist_ok=True)
    with open(root + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            with open(os.path.join(root, STAMP)) as f:
                if f.read() == "\n".join(wanted):
                    return root
        except FileNotFoundError:
            pass
        make_root(root, wanted)
    return root


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


# ---- clients that run in the machine's network ----

HEALTHZ = """
import sys, urllib.request
try:
    print(urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/healthz").read().decode(), end="")
except OSError as e:
    sys.exit(7 if isinstance(e.reason, ConnectionRefusedError) else str(e))
"""

LISTEN = """
import socket, sys
s = socket.socket()
s.bind(("127.0.0.1", int(sys.argv[1])))
s.listen()
print("listening", flush=True)
sys.stdin.read()
"""

ASK = """
import json, select, socket, sys
targets = {"local": (socket.AF_UNIX, sys.argv[1]), "healthz": (socket.AF_INET, ("127.0.0.1", int(sys.argv[2])))}
counts = {kind: {"answered": 0, "lost": 0, "refused": {}} for kind in targets}
def ask(count, family, address):
    with socket.socket(family) as s:
        try:
            s.connect(address)
        except OSError as e:
            count["refused"][str(e)] = count["refused"].get(str(e), 0) + 1
            return
        try:
            s.sendall(b"GET /healthz HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n")
            answer = s.recv(4096)
        except OSError:
            answer = b""
        count["answered" if answer.startswith(b"HTTP/1.1 200") else "lost"] += 1
first = True
while first or not select.select([sys.stdin], [], [], 0)[0]:
    for kind, (family, address) in targets.items():
        ask(counts[kind], family, address)
    if first:
        print("asking", flush=True)
    first = False
print(json.dumps(counts), flush=True)
"""


class Asking:
    def __init__(self, process):
        self.process = process

    def counts(self):
        self.process.stdin.close()
        return json.loads(self.process.stdout.readline())


# ---- the machine ----

class Machine:
    """`root`: what have_root() returned. `programs`: of the build, bind-mounted into it; {} for none, and
    then the unit file is not put there either."""

    count = 0

    def __init__(self, root=None, programs=None):
        Machine.count += 1
        self.base = root or have_root()
        self.programs = PROGRAMS if programs is None else programs
        self.name = f"mainstay-test-{os.getpid()}-{Machine.count}"
        self.dir = tempfile.mkdtemp(prefix="mainstay-systemd-")
        self.root = os.path.join(self.dir, "root")
        self.cgroups = own_cgroups(self.name)
        self.nspawn = self.leader = None
        atexit.register(self.close)
        self.make_files()
        if self.programs:
            shutil.copy(UNIT, self.path("etc/systemd/system/mainstayd.service"))
        os.makedirs(self.path("etc/kubernetes/manifests"))
        self.write("etc/hostname", NODE + "\n")

    def make_files(self):
        """A layer over the cached root, or where there is no room for one, a copy."""
        for name in ("root", "upper", "work"):
            os.mkdir(os.path.join(self.dir, name))
        layers = f"lowerdir={self.base},upperdir={self.dir}/upper,workdir={self.dir}/work"
        mounted = subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, self.root],
                                 stderr=subprocess.DEVNULL)
        if mounted.returncode != 0:
            subprocess.run(["cp", "-aT", "--reflink=auto", self.base, self.root], check=True)

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
        for program, place in self.programs.items():
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

    # ---- the agent's settings ----

    def drop_in(self, text):
        self.write("etc/systemd/system/mainstayd.service.d/test.conf", text)
        self.run("systemctl", "daemon-reload")

    def configure(self, fields):
        self.write("etc/mainstay/config.yaml", "apiVersion: kubelet.config.k8s.io/v1beta1\n"
                   "kind: KubeletConfiguration\n" + fields)

    def configuration(self):
        """That in force."""
        connection = harness.UnixConnection(f"/proc/{self.leader}/root/run/mainstay/mainstay.sock")
        connection.request("GET", "/configz")
        answer = json.loads(connection.getresponse().read())["kubeletconfig"]
        connection.close()
        return answer

    # ---- its sockets, from outside ----

    def in_network(self, words):
        """A command of the host in the machine's network."""
        return ["nsenter", "-t", str(self.leader), "-n", *words]

    def healthz(self, port):
        """What is answered, or None where nobody listens."""
        done = subprocess.run(self.in_network([sys.executable, "-c", HEALTHZ, str(port)]),
                              capture_output=True, text=True, timeout=WAIT_SECONDS)
        if done.returncode == 7:
            return None
        if done.returncode != 0:
            raise AssertionError(done.stderr)
        return done.stdout

    @contextlib.contextmanager
    def listening(self, port):
        """Somebody else has the port."""
        with subprocess.Popen(self.in_network([sys.executable, "-c", LISTEN, str(port)]),
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            yield
            process.stdin.close()

    @contextlib.contextmanager
    def asking(self, path, port):
        """A client of both sockets that asks without a pause; what it was answered: .counts()"""
        command = self.in_network([sys.executable, "-c", ASK, f"/proc/{self.leader}/root{path}", str(port)])
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            process.stdout.readline()
            try:
                yield Asking(process)
            finally:
                process.stdin.close()

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

    def wait_state(self, state):
        """systemd tells nobody: asked until it is so."""
        end = time.monotonic() + WAIT_SECONDS
        while self.show("ActiveState") != state and time.monotonic() < end:
            time.sleep(0.05)
        if self.show("ActiveState") != state:
            raise AssertionError(f"the agent is {self.show('ActiveState')}\n" + self.agent_log())

    def starts(self):
        """How often systemd has started the agent."""
        return len(self.journal("-b", "UNIT=mainstayd.service", "MESSAGE_ID=" + UNIT_STARTED))

    def wait_started(self, count):
        self.wait_journal("UNIT=mainstayd.service", "MESSAGE_ID=" + UNIT_STARTED, count=count)


def pod_yaml(name, command, extra=""):
    return harness.pod_yaml(name, command, extra=extra)


def pid_of(pod):
    return harness.pid_of(pod)

def why_no_machines():
    """Tries once whether machines can be made and booted here: None, or the reason to skip."""
    for program in PROGRAMS:
        if not os.path.exists(os.path.join(BUILD, program)):
            raise FileNotFoundError(f"{BUILD} has no {program}: build it first")
    try:
        machine = Machine()
        try:
            if not machine.boot():
                return "systemd-nspawn cannot boot here: " + reason_in(machine.console())
        finally:
            machine.close()
    except unittest.SkipTest as reason:
        return str(reason)
    return None
