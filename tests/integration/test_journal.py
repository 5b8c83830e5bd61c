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
from harness import SOURCE, WAIT_SECONDS
from machine import COMPONENT, NODE, Machine, pod_yaml, why_no_machines

LINES = int(os.environ.get("MAINSTAY_LINES", "200000"))  # 2000000 for the whole torture
GAP = "cfb8f23a991540fdb21d667b939b2047"
AGENT_GAP = "12116963e6a04565b9ab758ae58861ee"
SUPPRESSED = "a596d6fe7bfa4994828e72309e95d61e"  # journald's own: messages dropped by its rate limit
CATALOGUE = os.path.join(SOURCE, "packaging", "systemd", "mainstay.catalog")
FIELDS = {"MAINSTAY_POD", "MAINSTAY_NAMESPACE", "MAINSTAY_CONTAINER", "MAINSTAY_MANIFEST", "MAINSTAY_EVENT",
          "MAINSTAY_PART",
          "MAINSTAY_LOST_LINES", "MAINSTAY_LOST_MESSAGES", "MAINSTAY_LOST_SINCE", "MAINSTAY_LOST_UNTIL"}
MARKER = re.compile(r"mainstay: (\d+) lines before this one did not reach the journal \(")


def sources():
    for room in ("base", "monit", "manifests", "supervisor", "supervisor/shim"):
        for path in glob.glob(os.path.join(SOURCE, room, "*.[ch]")):
            with open(path) as f:
                yield os.path.relpath(path, SOURCE), f.read()


def arguments(text, start):
    """Of a call whose opening parenthesis is before `start`, with what is in string literals left out
    unless it is one word."""
    depth, found = 1, ""
    for token in re.finditer(r'"(?:[^"\\]|\\.)*"|[()]|[^"()]+', text[start:]):
        depth += {"(": 1, ")": -1}.get(token.group(), 0)
        if depth == 0:
            return found
        found += token.group() if not re.search(r'".*\W.*"', token.group()) else '"…"'
    raise AssertionError("a call without an end")


class Catalogue(unittest.TestCase):
    """Every reason of an event has a MESSAGE_ID of its own, and every MESSAGE_ID an explanation."""

    CALLS = r"\b(?:event_add|pod_worker_event|pod_worker_set_waiting|run_hook)\("
    # Where the reason is a parameter, and what is passed as it.
    PASSED_ON = {("supervisor/pod-worker.c", "event_add"), ("supervisor/pod-worker.c", "pod_worker_event"),
                 ("supervisor/pod-worker-container.c", "pod_worker_event")}

    @classmethod
    def setUpClass(cls):
        with open(os.path.join(SOURCE, "supervisor", "event-ids.c")) as f:
            text = f.read()
        cls.ids = re.findall(r'\{"(\w+)", "([0-9a-f]{32})"\}', text)
        cls.other = re.search(r'MESSAGE_ID_OTHER "([0-9a-f]{32})"', text).group(1)
        with open(CATALOGUE) as f:
            cls.entries = dict(re.findall(r"^-- ([0-9a-f]{32})\n(.*?)(?=^-- |\Z)", f.read(), re.M | re.S))

    def reasons(self):
        found = {}
        for path, text in sources():
            for call in re.finditer(self.CALLS, text):
                if re.search(r"^(?:static )?(?:void|bool) $", text[:call.start()].rpartition("\n")[2]):
                    continue  # its definition
                words = arguments(text, call.end())
                literals = re.findall(r'"([A-Z]\w+)"', words)
                if not literals:
                    name = call.group()[:-1]
                    passed_on = (path, name) in self.PASSED_ON or "NULL, NULL" in words or ".c" not in path
                    self.assertTrue(passed_on, f"{path}: the reason of {name}({words}) is not seen")
                for reason in literals:
                    found[reason] = path
        return found

    def test_every_reason_has_an_id_of_its_own(self):
        reasons = self.reasons()
        self.assertIn("Started", reasons)
        self.assertIn("FailedPreStopHook", reasons)
        self.assertEqual({r: p for r, p in reasons.items() if r not in dict(self.ids)}, {})
        ids = [i for _, i in self.ids] + [self.other, GAP, AGENT_GAP]
        self.assertEqual(len(ids), len(set(ids)))
        self.assertEqual([r for r, _ in self.ids], sorted(r for r, _ in self.ids))

    def test_every_id_is_explained(self):
        used = {match for _, text in sources() for match in re.findall(r'"([0-9a-f]{32})"', text)}
        self.assertEqual(set(self.entries), used)
        for reason, message_id in [*self.ids, ("", GAP), ("", AGENT_GAP)]:
            with self.subTest(reason=reason):
                entry = self.entries[message_id]
                self.assertRegex(entry, r"\ASubject: \S.{10,90}\nDefined-By: Mainstay\nDocumentation: man:\S+")
                self.assertRegex(entry, r"\n\n(.+\n)+", "what it means")
                self.assertRegex(entry, r"\n    \S", "the command that comes next")
                self.assertEqual(set(re.findall(r"@(\w+)@", entry)) - FIELDS, set())

    def test_what_the_explanations_tell_to_type_exists(self):
        """`mainstay …` with the flags of the command as it was built."""
        text = "\n".join(self.entries.values())
        commands = set(re.findall(r"^    mainstay ([a-z]+)(.*)", text, re.M))
        self.assertGreater(len(commands), 5)
        for command, rest in commands:
            done = subprocess.run([harness.MAINSTAY, command, "--help"], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, command)
            for flag in re.findall(r"(?<=\s)(--?[a-z-]+)", rest.partition(" -- ")[0]):
                self.assertRegex(done.stdout, rf"(?<![\w-]){flag}(?![\w-])", f"mainstay {command}{rest}")


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
        machine.write("etc/default/mainstay", f"MAINSTAYD_OPTS={options}\n")
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
