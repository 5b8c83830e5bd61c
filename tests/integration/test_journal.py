"""The journal and the log files under a real journald: every line is in the files once, and the journal
has it too or says that it has not."""

import collections
import glob
import os
import re
import select
import signal
import subprocess
import sys
import unittest

import harness
from harness import WAIT_SECONDS
from machine import COMPONENT, NODE, Machine, pod_yaml, why_no_machines

LINES = int(os.environ.get("MAINSTAY_LINES", "200000"))  # 2000000 for the whole torture
GAP = "cfb8f23a991540fdb21d667b939b2047"
SUPPRESSED = "a596d6fe7bfa4994828e72309e95d61e"  # journald's own: messages dropped by its rate limit
MARKER = re.compile(r"mainstay: (\d+) lines before this one did not reach the journal \(")


class JournalTest(unittest.TestCase):
    maxDiff = None
    why_not = None

    @classmethod
    def setUpClass(cls):
        cls.why_not = why_no_machines()

    def setUp(self):
        if self.why_not:
            self.skipTest(self.why_not)

    def machine(self, options="", start=True):
        """With a journal on disk that has room, and journald's own rate limits as they are."""
        machine = Machine()
        self.addCleanup(machine.close)
        os.makedirs(machine.path("var/log/journal"), exist_ok=True)
        machine.write("etc/systemd/journald.conf.d/room.conf",
                      "[Journal]\nStorage=persistent\nSystemMaxUse=16G\nSystemKeepFree=1G\n"
                      "SystemMaxFileSize=1G\nSystemMaxFiles=10000\nForwardToSyslog=no\n")
        machine.write("etc/default/mainstayd", f"MAINSTAYD_OPTS={options}\n")
        machine.write("etc/systemd/system/mainstayd.service.d/fast.conf", "[Service]\nRestartSec=10ms\n")
        self.assertTrue(machine.boot(), machine.console()[-4000:])
        if start:
            machine.run("systemctl", "start", "mainstayd")
        return machine

    def log_files(self, machine, pod):
        """Oldest first."""
        found = glob.glob(machine.path("var/log/pods", f"default_{pod}-{NODE}_*", "main", "0.log*"))
        return sorted(found, key=lambda path: (not path[-1].isdigit(), path))


class Torture(JournalTest):
    """Ten containers write numbered lines, some as fast as they can and some every millisecond, while
    journald is restarted and hangs, the agent is killed and the files are rotated."""

    FAST, SLOW = 3, 7

    def setUp(self):
        super().setUp()
        self.each = LINES // (self.FAST + self.SLOW)
        self.pods = {f"fast{i}": 0 for i in range(self.FAST)} | {f"slow{i}": 1 for i in range(self.SLOW)}

    def test_every_line_is_in_the_files_once_and_the_gaps_of_the_journal_are_marked(self):
        machine = self.machine("--container-log-max-size=128Ki --container-log-max-files=1000")
        for pod, pause in self.pods.items():
            machine.drop(pod + ".yaml", pod_yaml(pod, [COMPONENT, "lines", self.each, pause, "say", "end"]))
        self.torture(machine)
        for pod in self.pods:
            machine.wait_logged(pod, "end")
        for pod in self.pods:
            with self.subTest(pod=pod):
                self.check_files(machine, pod)
                self.check_journal(machine, pod)
        self.assertEqual(machine.journal("MESSAGE_ID=" + SUPPRESSED), [])

    def torture(self, machine):
        """Something happens whenever a slow container has got a step further."""
        steps = 12
        machine.wait_logged("slow0", "line 1")
        path = self.log_files(machine, "slow0")[-1].removeprefix(machine.root)
        starts = machine.starts()
        with Following(machine.command(["tail", "-q", "-n", "1", "-F", path])) as slow:
            for step in range(1, steps):
                slow.reach(self.each * step // steps)
                if step % 4 == 1:
                    machine.run("systemctl", "kill", "-s", "KILL", "mainstayd")
                    starts += 1
                    machine.wait_started(starts)
                elif step % 4 == 3:
                    machine.run("systemctl", "kill", "-s", "STOP", "systemd-journald")
                    slow.reach(self.each * step // steps + self.each // steps // 2)
                    machine.run("systemctl", "kill", "-s", "CONT", "systemd-journald")
                else:
                    machine.run("systemctl", "restart", "systemd-journald")

    def check_files(self, machine, pod):
        expected = 1
        line_of = re.compile(rb"\S+Z stdout F (?:line (\d+)|(end))")
        for path in self.log_files(machine, pod):
            with open(path, "rb") as f:
                for line in f:
                    found = line_of.fullmatch(line.rstrip(b"\n"))
                    self.assertTrue(found, (path, line))
                    number = int(found.group(1) or self.each + 1)
                    self.assertEqual(number, expected, path)
                    expected += 1
        self.assertEqual(expected, self.each + 2)

    def check_journal(self, machine, pod):
        """Each number once and in order; where some are missing, a marker says how many, just there."""
        command = ["journalctl", "-q", "-f", "-n", "all", "-o", "cat", f"MAINSTAY_POD={pod}-{NODE}",
                   "SYSLOG_IDENTIFIER=main"]
        last, missing, all_missing = 0, 0, 0
        with Following(machine.command(command)) as messages:
            while last + missing < self.each + 1:
                message = messages.line()
                marker = MARKER.match(message)
                if marker:
                    missing += int(marker.group(1))
                    continue
                number = self.each + 1 if message == "end" else int(message.removeprefix("line "))
                self.assertEqual(number, last + missing + 1, f"{pod}: {missing} are said to be missing")
                all_missing += missing
                last, missing = number, 0
        self.assertEqual(last + missing, self.each + 1)
        print(f"{pod}: {self.each} lines, {all_missing + missing} not in the journal", flush=True)


class Following:
    """The lines that a command writes, as they come."""

    def __init__(self, command):
        self.command = command
        self.lines = collections.deque()
        self.pending = b""

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def line(self):
        while not self.lines:
            ready, _, _ = select.select([self.process.stdout], [], [], WAIT_SECONDS)
            data = os.read(self.process.stdout.fileno(), 1 << 16) if ready else b""
            if not data:
                raise AssertionError("nothing more came from " + " ".join(self.command))
            *lines, self.pending = (self.pending + data).split(b"\n")
            self.lines.extend(line.decode() for line in lines)
        return self.lines.popleft()

    def reach(self, number):
        """Until a line "… line N" comes with that number or a higher one."""
        while int(self.line().rpartition(" line ")[2] or 0) < number:
            pass


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what atexit cleans up is cleaned up
    harness.main()
