"""mainstayd under a real systemd and journald, with the unit as it is packaged."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import unittest

import harness
from harness import WAIT_SECONDS
from machine import COMPONENT, NODE, Machine, pid_of, pod_yaml, why_no_machines

# Operators' filters hang on these.
STARTED = "204045b6223e4a22b8db31950c147329"
EXITED = "59bfcfab3d18464799dcb837b5d479f3"
LOST = "40765632f4f649ce990263eb560c0125"
MANIFEST_REFUSED = "652545c057494b3bb24905e2083bd98b"


def account(entries):
    """(numbers of "line N" in order, how many lines the markers say are missing)"""
    numbers, missing = [], 0
    for entry in entries:
        line = re.fullmatch(r"line (\d+)", entry["MESSAGE"])
        marker = re.match(r"mainstay: (\d+) lines before this one did not reach the journal \(",
                          entry["MESSAGE"])
        if line:
            numbers.append(int(line.group(1)))
        elif marker:
            missing += int(marker.group(1))
    return numbers, missing


def slow_library(path):
    """Half a second and more for each manifest that the program opens; None without a compiler."""
    source = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>
int openat(int dir, const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = va_arg(args, mode_t);
    va_end(args);
    int (*next)(int, const char *, int, ...) = (int (*)(int, const char *, int, ...))dlsym(RTLD_NEXT, "openat");
    if (strstr(path, ".yaml"))
        usleep(600000);
    return next(dir, path, flags, mode);
}
int openat64(int, const char *, int, ...) __attribute__((alias("openat")));
"""
    if not shutil.which("cc"):
        return None
    os.makedirs(os.path.dirname(path), exist_ok=True)
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-x", "c", "-", "-o", path], input=source, text=True,
                   check=True)
    return path


class Systemd(unittest.TestCase):
    maxDiff = None

    why_not = None

    @classmethod
    def setUpClass(cls):
        cls.why_not = why_no_machines()

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
        # The pods are not of the agent's unit: what happens to it does not happen to them. Nothing but
        # the shim that waits for the next start is.
        shims = [line for line in machine.run("systemctl", "status", "mainstayd").splitlines() if "shim" in line]
        self.assertEqual([line for line in shims if "mainstay-shim --wait" not in line], [])

    def test_ready_means_adopted(self):
        machine, pid = self.running()
        machine.run("systemctl", "restart", "mainstayd")
        pod = machine.pods()["w"]  # at once
        self.assertEqual((pid_of(pod), pod["status"]["phase"]), (pid, "Running"))
        self.assertTrue(harness.is_ready(pod))

    def test_a_slow_start_is_waited_for(self):
        """Each manifest takes longer to read than half of what the unit allows for the whole start."""
        machine = self.machine()
        slow = slow_library(machine.path("usr/local/lib/slow.so"))
        if not slow:
            self.skipTest("there is no C compiler")
        for i in range(6):
            machine.drop(f"w{i}.yaml", pod_yaml(f"w{i}", [COMPONENT]))
        machine.drop_in("[Service]\nTimeoutStartSec=1s\nEnvironment=LD_PRELOAD=/usr/local/lib/slow.so\n")
        machine.run("systemctl", "start", "--no-block", "mainstayd")
        self.wait_status(machine, "Starting: the manifests are read")
        self.assertEqual(machine.show("ActiveState"), "activating")
        machine.run("systemctl", "start", "mainstayd")
        self.assertEqual(sorted(machine.pods()), [f"w{i}" for i in range(6)])  # all of it was read
        self.assertEqual(machine.show("NRestarts"), "0")

    def test_the_unit_has_no_mistake(self):
        machine = self.machine()
        self.assertEqual(machine.run("systemd-analyze", "verify", "--man=no", "mainstayd.service"), "")
        machine.run("systemd-analyze", "security", "--offline=yes", "--threshold=96",
                    "/etc/systemd/system/mainstayd.service")
        machine.write("etc/default/mainstay", "MAINSTAYD_OPTS=--hostname-override=other -v 4\n")
        machine.run("systemctl", "start", "mainstayd")
        self.assertIn("on node other", machine.agent_log())

    def test_wrong_flags_are_a_unit_that_failed(self):
        machine = self.machine()
        machine.write("etc/default/mainstay", "MAINSTAYD_OPTS=--healthz-prot=0\n")
        with self.assertRaises(AssertionError):
            machine.run("systemctl", "start", "mainstayd")
        self.assertEqual((machine.show("ActiveState"), machine.show("NRestarts")), ("failed", "0"))
        self.assertIn("did you mean --healthz-port?", machine.agent_log())
        machine.write("etc/default/mainstay", "MAINSTAYD_OPTS=--healthz-port=0\n")
        machine.run("systemctl", "start", "mainstayd")

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
            marker = re.match(r"(\d+) messages before this one did not reach the journal \(",
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

    @contextlib.contextmanager
    def commanding(self, machine):
        """Runs a command again and again; yields what those said that failed."""
        failed, over = [], threading.Event()

        def run():
            while not over.is_set():
                try:
                    machine.run("mainstay", "get", "pods")
                except AssertionError as e:
                    failed.append(str(e))
        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield failed
        finally:
            over.set()
            thread.join()

    def test_nobody_is_refused(self):
        """Clients that ask without a pause, on both sockets, whatever happens to the agent."""
        machine, pid = self.running()
        with machine.asking("/run/mainstay/mainstay.sock", 10248) as asking, self.commanding(machine) as failed:
            for i in range(10):
                machine.run("systemctl", "restart", "mainstayd")
            starts = machine.starts()
            for i in range(3):
                machine.run("systemctl", "kill", "-s", "KILL", "mainstayd")
                machine.wait_started(starts + i + 1)
            for i in range(3):
                machine.run("systemctl", "kill", "-s", "USR2", "mainstayd")
                machine.run("mainstay", "get", "pods")
            counts = asking.counts()
        for kind in ("local", "healthz"):
            self.assertEqual(counts[kind]["refused"], {}, counts)
            # A request that the dying agent had taken is lost with it; nearly all of them queue up.
            self.assertGreater(counts[kind]["answered"], 17)
        self.assertEqual(failed, [])
        self.assertEqual(pid_of(machine.wait_pod("w")), pid)
        self.assertEqual(machine.show("NFileDescriptorStore"), "2")

    def test_the_sockets_follow_the_configuration(self):
        machine = self.configured("healthzPort: 10248\n")
        agent = machine.show("MainPID")
        machine.configure("healthzPort: 10249\n")
        machine.run("systemctl", "reload", "mainstayd")
        self.assertEqual(machine.healthz(10249), "ok")
        self.assertIsNone(machine.healthz(10248))
        machine.run("systemctl", "restart", "mainstayd")  # what systemd had of the old one is gone too
        self.assertEqual(machine.healthz(10249), "ok")
        self.assertIsNone(machine.healthz(10248))
        self.assertEqual(machine.show("NFileDescriptorStore"), "2")
        machine.configure("healthzPort: 10249\nhealthzBindAddress: 0.0.0.0\n")  # the same port
        machine.run("systemctl", "restart", "mainstayd")
        self.assertEqual(machine.healthz(10249), "ok")
        machine.configure("healthzPort: 0\n")
        machine.run("systemctl", "reload", "mainstayd")
        self.assertIsNone(machine.healthz(10249))
        self.assertEqual(machine.show("NFileDescriptorStore"), "1")
        # Somebody has removed the socket's file: the next agent makes another one.
        machine.run("rm", "/run/mainstay/mainstay.sock")
        machine.run("systemctl", "restart", "mainstayd")
        machine.run("mainstay", "status")
        self.assertNotEqual(machine.show("MainPID"), agent)

    # ---- the configuration ----

    def configured(self, fields):
        machine = self.machine()
        machine.configure(fields)
        machine.write("etc/default/mainstay", "MAINSTAYD_OPTS=--config=/etc/mainstay/config.yaml\n")
        machine.run("systemctl", "start", "mainstayd")
        return machine

    def test_reload_reads_the_directory_again(self):
        machine = self.configured("fileCheckFrequency: 1h\n")
        # A mount over the directory is nothing that inotify tells.
        machine.write("other/w.yaml", pod_yaml("w", [COMPONENT]))
        machine.run("mount", "--bind", "/other", "/etc/kubernetes/manifests")
        agent = machine.show("MainPID")
        machine.run("systemctl", "reload", "mainstayd")
        self.assertEqual(list(machine.pods()), ["w"])  # at once
        self.assertEqual((machine.show("ActiveState"), machine.show("MainPID")), ("active", agent))
        machine.run("umount", "/etc/kubernetes/manifests")
        machine.run("systemctl", "kill", "-s", "HUP", "mainstayd")
        machine.wait_journal("MAINSTAY_EVENT=ConfigurationReloaded", count=2)
        self.wait_status(machine, "0 pods, 0 ready")
        machine.wait_state("active")

    def test_reload_brings_a_changed_configuration_into_force(self):
        machine = self.configured("fileCheckFrequency: 1h\n")
        machine.drop("w.yaml", pod_yaml("w", [COMPONENT, "lines", "0", "1"]))
        pid, agent = pid_of(machine.wait_pod("w")), machine.show("MainPID")
        machine.configure("fileCheckFrequency: 5s\nhealthzPort: 0\n")
        machine.run("systemctl", "reload", "mainstayd")
        pod = machine.pods()["w"]  # at once: adopted, and the directory has been read
        self.assertEqual((pid_of(pod), harness.container(pod)["restartCount"]), (pid, 0))
        self.assertIsNone(machine.healthz(10248))
        self.assertEqual((machine.show("ActiveState"), machine.show("MainPID")), ("active", agent))
        told = machine.journal("MAINSTAY_EVENT=ConfigurationReloaded")[-1]
        self.assertIn("fileCheckFrequency: 1h0m0s → 5s, healthzPort: 10248 → 0", told["MESSAGE"])
        machine.configure("fileCheckFrequency: 7s\n")
        self.assertIn("fileCheckFrequency: 5s → 7s", machine.run("mainstay", "reload"))
        self.assertEqual(machine.healthz(10248), "ok")
        self.check_lines(machine)

    def test_a_wrong_configuration_is_refused_and_survived(self):
        machine = self.configured("fileCheckFrequency: 1h\n")
        machine.drop("w.yaml", pod_yaml("w", [COMPONENT]))
        pid = pid_of(machine.wait_pod("w"))
        machine.configure("fileCheckFrequency: 5s\nhealthzPrt: 0\n")
        place = "/etc/mainstay/config.yaml:4:1: healthzPrt: unknown field (did you mean healthzPort?)"
        agent = machine.show("MainPID")
        with self.assertRaisesRegex(AssertionError, "exit status 1"):
            machine.run("systemctl", "reload", "mainstayd")
        with self.assertRaisesRegex(AssertionError, "exit status 1\n(.|\n)*" + re.escape(place)):
            machine.run("mainstay", "reload")
        self.assertIn(place, machine.journal("MAINSTAY_EVENT=ConfigurationRefused")[0]["MESSAGE"])
        self.assertEqual((machine.show("ActiveState"), machine.show("MainPID")), ("active", agent))
        self.wait_status(machine, "1 pod, 1 ready; the configuration before it stays in force: " + place)
        # The next agent does not fail for it either.
        starts = machine.starts()
        machine.run("systemctl", "kill", "-s", "KILL", "mainstayd")
        machine.wait_started(starts + 1)
        self.assertEqual(machine.configuration()["fileCheckFrequency"], "1h0m0s")
        self.assertEqual(pid_of(machine.wait_pod("w")), pid)
        self.wait_status(machine, "1 pod, 1 ready; the configuration before it stays in force: " + place)
        self.assertIn("refused", machine.run("mainstay", "status"))
        machine.configure("fileCheckFrequency: 5s\n")
        machine.run("systemctl", "reload", "mainstayd")
        self.wait_status(machine, "1 pod, 1 ready")
        self.assertEqual(pid_of(machine.pods()["w"]), pid)

    def test_a_configuration_that_cannot_come_into_force(self):
        """It is right, but its port is taken: that is found before it is too late."""
        machine = self.configured("fileCheckFrequency: 1h\n")
        agent = machine.show("MainPID")
        with machine.listening(10300):
            machine.configure("healthzPort: 10300\n")
            with self.assertRaisesRegex(AssertionError, "the healthz port 127.0.0.1:10300 is taken"):
                machine.run("mainstay", "reload")
            self.assertEqual(machine.show("MainPID"), agent)
            machine.run("systemctl", "restart", "mainstayd")
            self.assertEqual(machine.healthz(10248), "ok")
            self.assertIn("10300 is taken", machine.show("StatusText"))
        machine.run("mainstay", "reload")
        self.assertEqual(machine.healthz(10300), "ok")

    # ---- stopping the pods ----

    def slow_to_stop(self, machine, seconds):
        script = f"trap 'sleep {seconds}; echo end >/var/tmp/end; exit 0' TERM; {COMPONENT} & wait"
        machine.drop("w.yaml", pod_yaml("w", ["/bin/sh", "-c", script]).replace(
            "terminationGracePeriodSeconds: 2", "terminationGracePeriodSeconds: 20"))
        machine.wait_pod("w")

    def test_pods_have_their_grace_whatever_the_unit_allows(self):
        machine = self.machine()
        machine.drop_in("[Service]\nTimeoutStopSec=1s\n")
        machine.write("etc/default/mainstay", "MAINSTAYD_OPTS=--stop-pods-on-exit\n")
        machine.run("systemctl", "start", "mainstayd")
        self.slow_to_stop(machine, 3)
        machine.run("systemctl", "stop", "mainstayd")
        self.assertTrue(os.path.exists(machine.path("var/tmp/end")))
        self.assertEqual((machine.show("ActiveState"), machine.show("Result")), ("inactive", "success"))

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
        machine.drop_in("[Service]\nTimeoutStopSec=1s\n")
        machine.run("systemctl", "enable", "--now", "mainstayd")
        self.slow_to_stop(machine, 3)
        machine.shut_down()
        self.assertTrue(os.path.exists(machine.path("var/tmp/end")))  # it had its grace
        self.assertNotIn("Failed unmounting", machine.console())
        self.boot(machine)
        pod = machine.wait_pod("w")
        self.assertFalse(pod["mainstay"]["held"])
        self.assertEqual(machine.journal("MESSAGE_ID=" + LOST), [])

    def test_logind_holds_the_machines_end_up(self):
        """With everything else still running: before systemd stops its first unit, the pods are gone."""
        machine = self.machine()
        machine.write("etc/default/mainstay", "MAINSTAYD_OPTS=--config=/etc/mainstay/config.yaml\n")
        machine.configure("shutdownGracePeriod: 20s\n")
        machine.write("etc/systemd/logind.conf.d/mainstay.conf", "[Login]\nInhibitDelayMaxSec=20\n")
        machine.run("systemctl", "restart", "systemd-logind")
        machine.run("systemctl", "enable", "--now", "mainstayd")
        depends = '  annotations: {mainstay.dev/depends-on: "db"}\n'
        machine.drop("db.yaml", pod_yaml("db", [COMPONENT]))
        machine.drop("web.yaml", pod_yaml("web", [COMPONENT]).replace("  namespace:", depends + "  namespace:"))
        machine.wait_pod("web")
        next(entry for entry in machine.follow("_SYSTEMD_UNIT=mainstayd.service", "+", "SYSLOG_IDENTIFIER=mainstayd")
             if entry["MESSAGE"].startswith("logind waits for the pods"))
        self.assertIn("mainstayd", machine.run("systemd-inhibit", "--list", "--no-pager"))
        self.assertEqual(machine.journal("MAINSTAY_EVENT=ShutdownDelayTooShort"), [])
        machine.shut_down()
        self.boot(machine)
        machine.wait_pod("web")
        entries = [entry["MESSAGE"] for entry in machine.journal("-b", "-1")]
        order = [next(i for i, text in enumerate(entries) if re.search(wanted, text))
                 for wanted in ("the machine goes down: the pods", "db-n1: Exited",
                                "the pods are stopped: the machine may go down", "^Stopping mainstayd.service")]
        self.assertEqual(order, sorted(order), entries)
        ends = [e["MAINSTAY_POD"] for e in machine.journal("-b", "-1", "MESSAGE_ID=" + EXITED)]
        self.assertEqual(ends, ["web-n1", "db-n1"])


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what atexit cleans up is cleaned up
    harness.main()
