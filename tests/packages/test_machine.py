"""The life of the packages in a machine with a real systemd: installed, upgraded, removed by apt."""

import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import unittest

import builds
from builds import NEWER, VERSION
import harness
import machine as machines
from harness import WAIT_SECONDS
from machine import COMPONENT, NODE, Machine, pid_of, pod_yaml, why_no_machines

STARTED = "204045b6223e4a22b8db31950c147329"  # our event
TERMINATED = "received SIGTERM"


def writer_of_its_end(name):
    """Runs until it is told to end, takes its time for that, and says how it ended."""
    script = (f"trap 'sleep 0.3; echo {TERMINATED} >>/var/tmp/{name}; exit 0' TERM;"
              f"echo begun; {COMPONENT} & wait")
    return pod_yaml(name, ["/bin/sh", "-c", script])


class PackageMachine(Machine):
    """A machine that has the packages' files in /srv, and nothing of Mainstay yet."""

    def __init__(self):
        super().__init__(programs={})
        shutil.rmtree(self.path("etc/kubernetes"))
        self.write("etc/apt/apt.conf.d/99plain", 'Dpkg::Use-Pty "false";\nAPT::Color "0";\n')
        component = self.path(COMPONENT.lstrip("/"))
        os.makedirs(os.path.dirname(component), exist_ok=True)
        shutil.copy(os.path.join(harness.BUILD, "tests", "component"), component)

    def put(self, files):
        for file in files:
            shutil.copy(file, self.path("srv"))

    def apt(self, *words):
        return self.run("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y", *words)

    def install(self, version, *words, package="mainstay"):
        return self.apt("install", *words, f"/srv/{package}_{version}_{architecture()}.deb")

    def reboot(self):
        """nspawn starts the machine again itself where it has a unit of its own; here we do."""
        if not self.cgroups:
            self.shut_down()
        else:
            self.run("systemctl", "reboot")
            self.nspawn.wait(WAIT_SECONDS)
            self.nspawn = None
        if not self.boot():
            raise AssertionError(self.console()[-4000:])

    def exists(self, name):
        return os.path.lexists(self.path(name))

    def read(self, name):
        with open(self.path(name)) as f:
            return f.read()

    def lives(self, pid):
        return self.run("sh", "-c", f"kill -0 {pid} 2>/dev/null && echo yes || echo no").strip() == "yes"

    def left(self):
        """What is on disk that has our name, but what the test itself put there."""
        found = self.run("find", "/", "-xdev", "(", "-path", "/srv", "-o", "-path", "/proc", "-o", "-path",
                         "/sys", "-o", "-path", "/var/log/journal", ")", "-prune", "-o", "-name",
                         "*mainstay*", "-print").split()
        run = self.run("find", "/run", "/sys/fs/cgroup", "-name", "*mainstay*", check=False).split()
        return sorted({*found, *run} - {"/" + machines.STAMP})


def architecture():
    return subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True,
                          check=True).stdout.strip()


class Packages(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        reason = why_no_machines()
        if reason:
            raise unittest.SkipTest(reason)
        builds.need("dpkg-buildpackage", "dh")
        cls.files = builds.build("a", VERSION) + builds.build("a", NEWER)

    def machine(self):
        machine = PackageMachine()
        self.addCleanup(machine.close)
        machine.put(self.files)
        self.assertTrue(machine.boot(), machine.console()[-4000:])
        return machine

    # ---- from installation to the machine's end ----

    def test_installed_watched_upgraded_rebooted(self):
        machine = self.machine()
        self.check_installation(machine)
        self.drop_pods(machine)
        self.check_ready(machine)
        self.check_reload(machine)
        self.check_restarts(machine)
        self.check_upgrades(machine)
        self.check_stop(machine)
        self.check_reboot(machine)
        self.check_shutdown(machine)

    def check_installation(self, machine):
        machine.install(VERSION)
        self.assertEqual(machine.run("systemctl", "is-enabled", "mainstayd").strip(), "enabled")
        self.assertEqual(machine.show("ActiveState"), "active")
        self.assertEqual(machine.run("systemd-analyze", "verify", "--man=no", "mainstayd.service"), "")
        self.assertTrue(os.path.isdir(machine.path("etc/kubernetes/manifests")))
        self.assertEqual(machine.pods(), {})
        self.assertIn(f"mainstayd {VERSION} on node n1 watches /etc/kubernetes/manifests",
                      machine.agent_log())
        self.assertIn("systemd", machine.run("mainstay", "status"))

    def drop_pods(self, machine):
        machine.drop("lines.yaml", pod_yaml("lines", [COMPONENT, "lines", "0", "5"]))
        machine.drop("ends.yaml", writer_of_its_end("ends"))
        self.pids = {name: pid_of(machine.wait_pod(name)) for name in ("lines", "ends")}
        machine.wait_logged("ends", "begun")  # its trap is set
        explained = machine.run("journalctl", "-x", "-n", "1", "MESSAGE_ID=" + STARTED)
        self.assertIn("Subject: Container main of pod", explained)  # dpkg's trigger took the catalogue in

    def check_same_pods(self, machine):
        """Nothing was restarted, nothing runs twice, no line is missing."""
        pods = {name: machine.wait_pod(name) for name in self.pids}
        self.assertEqual({name: pid_of(pod) for name, pod in pods.items()}, self.pids)
        self.assertEqual([harness.container(pod)["restartCount"] for pod in pods.values()], [0, 0])
        for name in self.pids:
            self.assertEqual(len(machine.journal("MESSAGE_ID=" + STARTED, f"MAINSTAY_POD={name}-{NODE}")), 1)
        lines = machine.run("mainstay", "logs", "lines").split("\n")[:-1]
        self.assertEqual(lines, [f"line {i}" for i in range(1, len(lines) + 1)])

    def check_ready(self, machine):
        """systemctl comes back, and systemd says "Started", when the directory has been read."""
        machine.run("systemctl", "stop", "mainstayd")
        machine.drop("more.yaml", pod_yaml("more", [COMPONENT]))
        machine.run("systemctl", "start", "mainstayd")
        self.assertEqual(sorted(machine.pods()), ["ends", "lines", "more"])
        agent = machine.journal("-b", "-u", "mainstayd", "_PID=" + machine.show("MainPID"))
        ready = next(e for e in agent if "2 containers adopted" in e["MESSAGE"])
        started = machine.journal("-b", "UNIT=mainstayd.service",
                                  "MESSAGE_ID=" + machines.UNIT_STARTED)[-1]
        self.assertLess(int(ready["__MONOTONIC_TIMESTAMP"]), int(started["__MONOTONIC_TIMESTAMP"]))
        machine.wait_pod("more")
        machine.run("mainstay", "delete", "more")
        machine.run("mainstay", "wait", "more", "--for=gone", f"--timeout={int(WAIT_SECONDS)}s")

    def check_reload(self, machine):
        agent = machine.show("MainPID")
        machine.configure("fileCheckFrequency: 1h\n")
        machine.write("etc/default/mainstay", "MAINSTAYD_OPTS=--config=/etc/mainstay/config.yaml\n"
                                              "STOP_PODS_ON_REMOVE=no # mine\n")
        machine.run("systemctl", "restart", "mainstayd")
        machine.configure("fileCheckFrequency: 7s\n")
        agent = machine.show("MainPID")
        machine.run("systemctl", "reload", "mainstayd")
        self.assertEqual(machine.configuration()["fileCheckFrequency"], "7s")
        self.assertEqual((machine.show("ActiveState"), machine.show("MainPID")), ("active", agent))

    def check_restarts(self, machine):
        machine.run("systemctl", "restart", "mainstayd")
        self.check_same_pods(machine)
        machine.drop_in("[Service]\nWatchdogSec=2s\nRestartSec=10ms\n")
        machine.run("systemctl", "restart", "mainstayd")
        for number in ("KILL", "STOP"):
            starts, agent = machine.starts(), machine.show("MainPID")
            machine.run("systemctl", "kill", "-s", number, "mainstayd")
            machine.wait_started(starts + 1)
            self.assertNotEqual(machine.show("MainPID"), agent)
            self.check_same_pods(machine)
        self.assertIn("Watchdog timeout", machine.agent_log())

    def check_upgrades(self, machine):
        for version, words in (NEWER, ()), (VERSION, ("--allow-downgrades",)), (NEWER, ()):
            agent = machine.show("MainPID")
            machine.install(version, *words)
            self.assertEqual(machine.run("mainstay", "version", "--short").strip(), version)
            self.assertIn(f"mainstayd {version} ", machine.run("mainstay", "version"))
            self.assertNotEqual(machine.show("MainPID"), agent)
            self.check_same_pods(machine)
            self.assertIn("# mine", machine.read("etc/default/mainstay"))
        self.assertEqual(machine.run("systemctl", "is-enabled", "mainstayd").strip(), "enabled")
        self.assertNotIn("left-over process", machine.agent_log())

    def check_stop(self, machine):
        machine.run("systemctl", "stop", "mainstayd")
        self.assertEqual((machine.show("ActiveState"), machine.show("Result")), ("inactive", "success"))
        for pid in self.pids.values():
            self.assertTrue(machine.lives(pid))
        machine.run("systemctl", "start", "mainstayd")
        self.check_same_pods(machine)
        self.assertFalse(machine.exists("var/tmp/ends"))

    def check_end(self, machine, times, since):
        """It ended by SIGTERM within its grace, and nobody had to be killed."""
        self.assertEqual(machine.read("var/tmp/ends").splitlines(), [TERMINATED] * times)
        self.assertNotIn("Failed unmounting", machine.console())
        end = [e["MESSAGE"] for e in machine.journal("-b", "-1") if int(e["__REALTIME_TIMESTAMP"]) > since]
        self.assertIn("Stopped mainstayd.service - Mainstay, the node agent for static pods.", end)
        self.assertEqual([m for m in end if re.search("SIGKILL|Killing process|timed out", m)], [])

    def newest(self, machine):
        return int(machine.journal("-n", "1")[0]["__REALTIME_TIMESTAMP"])

    def check_reboot(self, machine):
        boot = machine.run("cat", "/proc/sys/kernel/random/boot_id")
        since = self.newest(machine)
        machine.reboot()
        self.assertNotEqual(machine.run("cat", "/proc/sys/kernel/random/boot_id"), boot)
        for name in self.pids:  # nobody was asked to start anything
            self.assertFalse(machine.wait_pod(name)["mainstay"]["held"])
        machine.wait_logged("ends", "begun")
        self.check_end(machine, 1, since)

    def check_shutdown(self, machine):
        since = self.newest(machine)
        machine.shut_down()
        self.assertTrue(machine.boot(), machine.console()[-4000:])
        self.check_end(machine, 2, since)

    # ---- removal ----

    def test_removed_and_purged(self):
        machine = self.machine()
        machine.install(VERSION)
        machine.install(VERSION, package="mainstay-podmaster")
        self.drop_pods(machine)
        self.check_remove_leaves_pods(machine)
        self.check_purge_beside_pods(machine)
        self.check_remove_stops_pods(machine)
        self.check_purge(machine)

    def check_remove_leaves_pods(self, machine):
        machine.write("etc/default/mainstay", machine.read("etc/default/mainstay") + "# mine\n")
        said = machine.apt("remove", "mainstay")
        self.assertIn("Left running without an agent: 2 pods ", said)
        self.assertIn("sh /run/mainstay/stop-pods", said)
        self.assertFalse(machine.exists("usr/sbin/mainstayd"))
        listed = machine.run("sh", "/run/mainstay/stop-pods", "--list").splitlines()
        self.assertEqual(sorted(line.split()[2] for line in listed), sorted(map(str, self.pids.values())))
        machine.install(VERSION)
        self.check_same_pods(machine)
        self.assertIn("# mine", machine.read("etc/default/mainstay"))

    def check_purge_beside_pods(self, machine):
        said = machine.apt("purge", "mainstay")
        self.assertIn("Pods are still running: 2.", said)
        for pid in self.pids.values():
            self.assertTrue(machine.lives(pid))
        self.assertTrue(machine.exists("var/lib/mainstay/state"))
        self.assertFalse(machine.exists("etc/default/mainstay"))
        machine.install(VERSION)
        self.check_same_pods(machine)
        machine.apt("purge", "mainstay")
        machine.run("sh", "/run/mainstay/stop-pods", "20")
        for pid in self.pids.values():
            self.assertFalse(machine.lives(pid))
        self.assertEqual(machine.read("var/tmp/ends"), TERMINATED + "\n")
        # The pods that were stopped by hand are started by the next agent.
        machine.install(VERSION)
        self.pids = {name: pid_of(machine.wait_pod(name)) for name in self.pids}
        machine.wait_logged("ends", "begun")

    def check_remove_stops_pods(self, machine):
        text = machine.read("etc/default/mainstay")
        self.assertIn('STOP_PODS_ON_REMOVE="no"', text)
        machine.write("etc/default/mainstay", text.replace('REMOVE="no"', 'REMOVE="yes"'))
        machine.run("systemctl", "stop", "mainstayd")  # it is started for this
        os.unlink(machine.path("var/tmp/ends"))
        said = machine.apt("remove", "mainstay")
        self.assertIn("asks for: 2 pods.", said)
        for pid in self.pids.values():
            self.assertFalse(machine.lives(pid))
        self.assertEqual(machine.read("var/tmp/ends"), TERMINATED + "\n")
        self.assertEqual((machine.show("LoadState"), machine.show("ActiveState"), machine.show("DropInPaths")),
                         ("not-found", "inactive", ""))
        # They are not held: the next agent starts them again.
        machine.install(VERSION)
        for name in self.pids:
            machine.wait_pod(name)
        self.assertIn('REMOVE="yes"', machine.read("etc/default/mainstay"))

    def check_purge(self, machine):
        machine.apt("purge", "mainstay", "mainstay-podmaster")
        self.assertEqual(machine.left(), [])
        self.assertTrue(machine.exists("etc/kubernetes/manifests/ends.yaml"))  # not ours
        self.assertFalse(machine.exists("var/log/pods"))
        self.assertEqual(machine.run("systemctl", "is-system-running", check=False).strip(), "running")

    def test_removed_with_a_run_directory_of_its_own(self):
        machine = self.machine()
        machine.write("etc/default/mainstay", 'MAINSTAYD_OPTS="-v 0 --run-dir /run/other --socket=/run/mainstay/mainstay.sock"\n')
        machine.install(VERSION, "-o", "Dpkg::Options::=--force-confold")
        machine.drop("lines.yaml", pod_yaml("lines", [COMPONENT, "lines", "0", "5"]))
        pid = pid_of(machine.wait_pod("lines"))
        self.assertIn("Left running without an agent: 1 pod ", machine.apt("remove", "mainstay"))
        machine.apt("purge", "mainstay")
        self.assertTrue(machine.exists("var/lib/mainstay/state"))
        self.assertTrue(machine.lives(pid))
        machine.run("sh", "/run/mainstay/stop-pods", "0")
        self.assertFalse(machine.lives(pid))

    # ---- without a running systemd ----

    def test_in_a_root_that_is_not_running(self):
        """What image builders do: apt in a chroot where nothing may be started."""
        machine = PackageMachine()
        self.addCleanup(machine.close)
        machine.put(self.files)
        machine.write("usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n")
        os.chmod(machine.path("usr/sbin/policy-rc.d"), 0o755)

        def apt(*words):
            done = subprocess.run(["chroot", machine.root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get",
                                   "-q", "-y", *words], capture_output=True, text=True,
                                  stdin=subprocess.DEVNULL, timeout=WAIT_SECONDS)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

        apt("install", f"/srv/mainstay_{VERSION}_{architecture()}.deb")
        self.assertEqual(glob.glob(machine.path("run/mainstay/*")), [])  # nothing runs
        wants = machine.path("etc/systemd/system/multi-user.target.wants/mainstayd.service")
        self.assertTrue(os.path.islink(wants))
        os.unlink(machine.path("usr/sbin/policy-rc.d"))
        machine.drop("lines.yaml", pod_yaml("lines", [COMPONENT, "lines", "0", "5"]))
        self.assertTrue(machine.boot(), machine.console()[-4000:])
        machine.wait_pod("lines")  # its first boot starts it
        machine.shut_down()
        apt("purge", "mainstay")
        self.assertFalse(os.path.lexists(wants))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what atexit cleans up is cleaned up
    builds.main()
