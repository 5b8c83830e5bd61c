"""A fresh Debian 12: the README's quickstart and its install command, word for word.

It takes minutes (compilers are installed, Mainstay is built twice), so it runs where
MAINSTAY_FRESH_ROOT=1 asks for it. The machine has no network: Debian's packages are fetched
beforehand, as packaging/install-dependencies names them, and the Kubernetes binaries are those of
packaging/kubernetes-binaries.
"""

import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import unittest

import builds
from builds import SOURCE
import machine as machines
from machine import Machine, why_no_machines

BASE = ["dbus", "systemd", "systemd-sysv"]  # beside what every Debian has
GROUPS = ["build", "package", "run"]
FETCHED = "var/cache/apt/archives/mainstay-test-fetched"
SECONDS = 1200  # for each of the two; it is no timing that is tested
LIBRARY = re.compile(r"lib(curl|yaml|jansson|microhttpd)")


def readme_commands(heading):
    """The lines of the first block of code below that heading."""
    with open(os.path.join(SOURCE, "README.md")) as f:
        section = f.read().split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return section.split("```\n", 2)[1].splitlines()


def fetch(root):
    """What install-dependencies will install there: an apt-get that only downloads is put before it."""
    subprocess.run([os.path.join(SOURCE, "packaging", "copy-source"), os.path.join(root, "fetch")], check=True)
    shutil.copy("/etc/resolv.conf", os.path.join(root, "etc/resolv.conf"))
    wrapper = os.path.join(root, "fetch", "apt-get")
    with open(wrapper, "w") as f:
        f.write('#!/bin/sh\nexec /usr/bin/apt-get -o Acquire::Check-Date=false -o '
                'Acquire::Check-Valid-Until=false --download-only "$@"\n')
    os.chmod(wrapper, 0o755)
    try:
        enter = 'mount --rbind /proc "$0/proc" && mount --rbind /dev "$0/dev" && exec chroot "$0" "$@"'
        done = subprocess.run(["unshare", "-m", "sh", "-c", enter, root, "env", "PATH=/fetch:/usr/sbin:/usr/bin:/sbin:/bin",
                               "/fetch/packaging/install-dependencies", *GROUPS],
                              capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=SECONDS)
    finally:
        shutil.rmtree(os.path.join(root, "fetch"))
    if done.returncode != 0:
        raise unittest.SkipTest("Debian's packages could not be fetched: " + machines.reason_in(done.stderr))


def fresh_root():
    """Debian's minbase and systemd, with the packages in apt's cache; kept for the next time."""
    if os.geteuid() != 0:
        raise unittest.SkipTest("a machine is booted by root only")
    builds.need("mmdebstrap", "systemd-nspawn", "nsenter", "chroot", "ip")
    root = os.path.join(machines.CACHE, "fresh-root")
    with open(os.path.join(SOURCE, "packaging", "install-dependencies")) as f:
        wanted = f.read()
    os.makedirs(machines.CACHE, exist_ok=True)
    with open(root + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = os.path.join(root, FETCHED)
        try:
            with open(stamp) as f:
                if f.read() == wanted:
                    return root
        except FileNotFoundError:
            machines.make_root(root, BASE)
        fetch(root)
        with open(stamp, "w") as f:
            f.write(wanted)
    return root


class FreshMachine(Machine):
    def __init__(self, kubernetes):
        super().__init__(root=fresh_root(), programs={})
        shutil.rmtree(self.path("etc/kubernetes"))
        subprocess.run([os.path.join(SOURCE, "packaging", "copy-source"), self.path("root/mainstay")],
                       check=True)
        self.write("etc/resolv.conf", "")  # so that apt soon knows that nobody is there
        self.programs = {kubernetes: "/srv/kubernetes"}  # mounted there, to be read

    def add_address(self):
        """A network of its own, of which nobody else is part."""
        for words in ("link add eth0 type veth peer name eth1", "link set eth1 up",
                      "address add 192.0.2.10/24 dev eth0", "link set eth0 up", "route add default dev eth0"):
            subprocess.run(["nsenter", "-t", str(self.leader), "-n", "ip", *words.split()], check=True,
                           capture_output=True)

    def shell(self, script):
        """In the source, as root."""
        return subprocess.Popen(self.command(
            ["HOME=/root", "TERM=dumb", "MAINSTAY_KUBERNETES_BIN=/srv/kubernetes", "bash", "-c",
             "cd ~/mainstay && " + script]), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, start_new_session=True)


@unittest.skipUnless(os.environ.get("MAINSTAY_FRESH_ROOT") == "1",
                     "a fresh Debian takes minutes: MAINSTAY_FRESH_ROOT=1 runs it")
class FreshRoot(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        reason = why_no_machines()
        if reason:
            raise unittest.SkipTest(reason)
        done = subprocess.run([os.path.join(SOURCE, "packaging", "kubernetes-binaries")], text=True,
                              stdout=subprocess.PIPE)
        if done.returncode != 0:
            raise unittest.SkipTest("there are no Kubernetes binaries")
        cls.kubernetes = done.stdout.strip()

    def test_as_written(self):
        machine = FreshMachine(self.kubernetes)
        self.addCleanup(machine.close)
        self.assertTrue(machine.boot(), machine.console()[-4000:])
        machine.add_address()
        self.assertEqual([line for line in machine.run("dpkg-query", "-W").splitlines() if LIBRARY.match(line)], [])
        self.check_quickstart(machine)
        self.check_installation(machine)

    def check_quickstart(self, machine):
        command, tests = readme_commands("Two commands")
        self.assertEqual(tests.split()[0], "tests/run")
        before = set(machine.run("ls", "-A", "/root", "/tmp", "/etc", "/var/lib").split())
        process = machine.shell("exec " + command)
        self.addCleanup(process.stdout.close)
        said = []
        alarm = time.monotonic() + SECONDS
        for line in process.stdout:
            said.append(line)
            if "The control plane is up" in line or time.monotonic() > alarm:
                break
        self.assertIn("The control plane is up", said[-1] if said else "", "".join(said[-40:]))
        os.killpg(process.pid, signal.SIGINT)  # Ctrl-C
        rest = process.communicate(timeout=120)[0]
        self.assertEqual(machine.run("sh", "-c", "ps -A -o args= | grep -c [k]ube-apiserver || true").strip(),
                         "0", rest)
        after = set(machine.run("ls", "-A", "/root", "/tmp").split())
        self.assertEqual({name for name in after - before if "mainstay" in name}, set(), rest)

    def check_installation(self, machine):
        commands = readme_commands("Installing it")
        self.assertEqual(commands[0].split()[:2], ["packaging/deb", "--install"])
        process = machine.shell("set -ex\n" + "\n".join(commands))
        said = process.communicate(timeout=SECONDS)[0]
        self.assertEqual(process.returncode, 0, said[-6000:] + machine.agent_log())
        self.assertEqual(said.splitlines()[-1], "ok", said[-6000:])
        self.assertEqual(machine.show("ActiveState"), "active")
        self.assertEqual(machine.run("systemctl", "is-enabled", "mainstayd").strip(), "enabled")
        self.assertEqual(sorted(machine.pods()),
                         ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"])


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what atexit cleans up is cleaned up
    builds.main()
