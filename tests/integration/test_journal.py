"""The journal and the log files under a real journald: every line is in the files once, and the journal
has it too or says that it has not."""

import collections
import glob
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
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
          "MAINSTAY_PART", "MAINSTAY_POD_UID",
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

    CALLS = (r"\b(?:event_add|pod_worker_event|pod_worker_set_waiting|pod_worker_wait|sandbox_event|run_hook|"
             r"slot_event)\(")
    # Where the reason is a parameter, and what is passed as it.
    PASSED_ON = {("supervisor/pod-worker.c", "event_add"), ("supervisor/pod-worker.c", "pod_worker_event"),
                 ("supervisor/pod-worker-container.c", "pod_worker_event"),
                 ("supervisor/pod-worker-orders.c", "pod_worker_event"), ("supervisor/sandbox.c", "event_add"),
                 ("supervisor/pods-guard.c", "event_add"),
                 ("supervisor/pods-admit.c", "pod_worker_wait")}
    GATES = r'\{"([A-Z]\w+)", EVENT_\w+, \w+\}'  # the table of pods-admit.c

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
            found.update((reason, path) for reason in re.findall(self.GATES, text))
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


class Files(unittest.TestCase):
    """`mainstay logs` where no agent is, on files as a shim leaves them."""

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="mainstay-logs-")
        self.addCleanup(shutil.rmtree, self.dir)

    def write(self, pod, uid, file, *lines, namespace="default", container="main", second=0):
        path = os.path.join(self.dir, f"{namespace}_{pod}_{uid}", container, file)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            for line in lines:
                f.write(f"2026-11-21T07:00:{second:02d}.000000001Z {line}\n")
        os.utime(path, (second, second))

    def logs(self, *words, status=0):
        done = subprocess.run([harness.MAINSTAY, "--socket", os.path.join(self.dir, "none"), "logs", "--pod-log-dir",
                               self.dir, *words], capture_output=True, text=True, timeout=WAIT_SECONDS,
                              stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stdout if status == 0 else done.stderr

    def test_the_newest_instance_and_the_newest_run(self):
        self.write("a-n1", "old", "7.log", "stdout F old", second=1)
        self.write("a-n1", "new", "0.log", "stdout F first", second=2)
        self.write("a-n1", "new", "2.log", "stdout F newest", second=4)
        self.write("a-n1", "new", "2.log.20261121-070000", "stdout F long ", "stdout P be", "stdout F fore", second=3)
        for name in ("a", "a-n1", "pod/a"):
            self.assertEqual(self.logs(name), "long \nbefore\nnewest\n")
        self.assertEqual(self.logs("a", "-p"), "first\n")
        self.assertEqual(self.logs("a", "--tail", "2"), "before\nnewest\n")
        self.assertEqual(self.logs("a", "--since-time", "2026-11-21T07:00:04Z", "--timestamps"),
                         "2026-11-21T07:00:04.000000001Z newest\n")
        self.assertEqual(self.logs("a", "--limit-bytes", "7"), "long \nb")

    def test_which_pod_is_meant(self):
        self.write("a-n1", "u", "0.log", "stdout F a")
        self.write("a-b-n1", "u", "0.log", "stdout F b")
        self.write("x-n1", "u", "0.log", "stdout F one", namespace="one")
        self.write("x-n1", "u", "0.log", "stdout F two", namespace="two")
        os.mkdir(os.path.join(self.dir, "not-a-pod"))
        for source in ("auto", "files"):
            self.assertRegex(self.logs("a", "--source", source, status=1),
                             "a .* may be a-b-n1, a-n1: give the whole name")
        self.assertRegex(self.logs("nosuch", status=3), "cannot reach the agent")
        self.assertEqual(self.logs("a-b"), "b\n")
        self.assertRegex(self.logs("x", "--source=files", status=1), "namespaces one and two: choose with -n")
        self.assertEqual(self.logs("x", "-n", "two"), "two\n")
        self.assertRegex(self.logs("nosuch", "--source=files", status=1), f"nothing of a pod nosuch in {self.dir}")
        self.assertRegex(self.logs("a-n1", "--source=files", "-p", status=1), "no log of a previous run")
        self.assertRegex(self.logs("a-n1", "--source=sky", status=2), "auto, files, journal")

    def test_which_container_is_meant(self):
        self.write("a-n1", "u", "0.log", "stdout F m", "stdout P no end")
        self.write("a-n1", "u", "0.log", "stdout F s", container="side")
        self.assertEqual(self.logs("a", "-c", "side"), "s\n")
        self.assertEqual(self.logs("a"), "m\nno end")
        self.assertEqual(self.logs("a", "--all-containers", "--prefix"),
                         "[pod/a-n1/main] m\n[pod/a-n1/main] no end\n[pod/a-n1/side] s\n")
        self.assertRegex(self.logs("a", "-c", "x", "--source=files", status=1), "there are: main side")


class NoJournal(harness.AgentTest):
    @unittest.skipIf(os.path.exists("/run/systemd/journal/socket"), "this machine has a journal")
    def test_a_machine_without_a_journal_hears_nothing_of_one(self):
        agent = self.agent()
        agent.drop("a.yaml", pod_yaml("a", [harness.COMPONENT, "lines", "1000", "0", "exit", "0"],
                                      "  restartPolicy: Never\n"))
        agent.wait_event("Completed")
        self.assertEqual(len(agent.log_text("a")), 1000)
        self.assertEqual([e["message"] for e in agent.events() if "the journal" in e["message"]], [])
        self.assertNotIn("the journal", agent.cli("describe", "pod", "a").stdout)


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


def stdout_of(machine, *words):
    """Its bytes."""
    return subprocess.run(machine.command(words), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          stdin=subprocess.DEVNULL, check=True, timeout=WAIT_SECONDS).stdout


class Lines(JournalTest):
    """What becomes of lines that are not simply text, and what the journal knows about each."""

    def running(self, machine, name, script, restart="Always"):
        machine.drop(name + ".yaml", pod_yaml(name, ["/bin/sh", "-c", script], f"  restartPolicy: {restart}\n"))

    def entries(self, machine, pod, count):
        machine.wait_journal(f"MAINSTAY_POD={pod}-{NODE}", "SYSLOG_IDENTIFIER=main", count=count)
        found = machine.journal(f"MAINSTAY_POD={pod}-{NODE}", "SYSLOG_IDENTIFIER=main")
        self.assertEqual(len(found), count)
        return found

    def message(self, entry):
        """journalctl gives what is no text as numbers."""
        message = entry["MESSAGE"]
        return bytes(message) if isinstance(message, list) else message.encode()

    def test_any_bytes_come_back_as_they_were(self):
        machine = self.machine()
        part = 16384
        lines = [b"before", b"", b"\0\0nul\0", b"\xff\xfe not utf-8 \x80", b"\x1b[31mred\r", b"a=b", "ä€".encode(),
                 b"x" * part, b"y" * (part + 1), b"z" * (2 * part + 7), b"after", b"no end"]
        with open(machine.path("var/tmp/lines"), "wb") as f:
            f.write(b"\n".join(lines))
        self.running(machine, "b", "cat /var/tmp/lines", "Never")
        expected = []
        for line in lines:
            parts = [line[at:at + part] for at in range(0, len(line), part)] or [b""]
            expected += [(p, i + 1 < len(parts) or line == b"no end") for i, p in enumerate(parts)]
        entries = self.entries(machine, "b", len(expected))
        self.assertEqual([(self.message(e), e.get("CONTAINER_PARTIAL_MESSAGE") == "true") for e in entries],
                         expected)
        machine.wait_journal("MAINSTAY_EVENT=Completed")
        whole = b"\n".join(lines)
        for source in ("auto", "files", "journal"):
            with self.subTest(source=source):
                self.assertEqual(stdout_of(machine, "mainstay", "logs", "b", "--source", source), whole)
                self.assertEqual(stdout_of(machine, "mainstay", "logs", "b", "--source", source, "--tail", "3"),
                                 b"\n".join(lines[-3:]))
        numbered = stdout_of(machine, "mainstay", "logs", "b", "--source=journal", "--timestamps").split(b"\n")
        self.assertEqual(len(numbered), len(lines))
        for line, text in zip(numbered, lines):
            self.assertRegex(line, rb"(?s)\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z " + re.escape(text) + rb"\Z")

    def test_priorities_and_what_inherits_them(self):
        machine = self.machine()
        told = [("E1121 07:00:00.000001       1 a.go:1] broken", 3), ("\tin many", 3), ("", 3), ("lines", 3),
                ('{"level":"warn","msg":"x"}', 4), ("plain", 6), ("ts=1 level=error", 3), ("<7>debug", 7),
                ("2026-11-21 10:58:51.765019 W | auth: x", 4), ("<0>not onto every terminal", 1),
                ("panic: oh", 2), ("goroutine 1 [running]:", 2), ("main.main()", 2), ("\t/src/main.go:5 +0x1d", 2)]
        machine.write("var/tmp/lines", "".join(line + "\n" for line, _ in told))
        self.running(machine, "p", "cat /var/tmp/lines; exec " + COMPONENT)
        entries = self.entries(machine, "p", len(told))
        self.assertEqual([(e["MESSAGE"], int(e["PRIORITY"])) for e in entries], told)
        # Of no unit, so that no unit's rate limit holds for it.
        self.assertEqual([e for e in entries if "_SYSTEMD_UNIT" in e], [])
        errors = machine.run("journalctl", "-q", "-o", "cat", "-p", "err", f"MAINSTAY_POD=p-{NODE}",
                             "SYSLOG_IDENTIFIER=main").split("\n")
        self.assertEqual(errors[:-1], [line for line, priority in told if priority <= 3])

    # ---- no journal ----

    JOURNALD = ("systemd-journald.socket", "systemd-journald-dev-log.socket", "systemd-journald-audit.socket",
                "systemd-journald.service")

    def without_journald(self, machine):
        machine.run("systemctl", "stop", *self.JOURNALD, check=False)

    def test_a_journal_that_is_absent_for_a_while(self):
        machine = self.machine()
        machine.run("mkfifo", "/var/tmp/go", "/var/tmp/on")  # two: a writer that lingers ends no other read
        script = "echo one; read x < /var/tmp/go; echo two; echo three; read x < /var/tmp/on; echo four; sleep 1d"
        self.running(machine, "a", script)
        self.entries(machine, "a", 1)
        self.without_journald(machine)
        machine.run("sh", "-c", "echo > /var/tmp/go")
        machine.wait_logged("a", "three")
        machine.run("systemctl", "start", *self.JOURNALD)
        machine.run("sh", "-c", "echo > /var/tmp/on")
        entries = self.entries(machine, "a", 3)
        self.check_marker(machine, entries[1], "a", 2)
        self.assertEqual([entries[0]["MESSAGE"], entries[2]["MESSAGE"]], ["one", "four"])

    def test_an_agent_that_started_before_the_journal(self):
        """Its containers' lines, and its own, get there as soon as it is there."""
        machine = self.machine(start=False)
        self.without_journald(machine)
        machine.run("mkfifo", "/var/tmp/go")
        machine.run("systemctl", "start", "mainstayd")
        script = "echo one; echo two; read x < /var/tmp/go; while echo more; do sleep 0.1; done"
        self.running(machine, "a", script)
        machine.wait_logged("a", "two")
        machine.run("systemctl", "start", *self.JOURNALD)
        machine.run("sh", "-c", "echo > /var/tmp/go")
        marker = machine.wait_journal("MESSAGE_ID=" + GAP)
        lost = int(marker["MAINSTAY_LOST_LINES"])
        self.assertGreaterEqual(lost, 2)
        self.check_marker(machine, marker, "a", lost)
        after = machine.wait_journal(f"MAINSTAY_POD=a-{NODE}", "SYSLOG_IDENTIFIER=main", count=2)
        self.assertEqual(after["MESSAGE"], "more")
        machine.drop("c.yaml", pod_yaml("c", [COMPONENT]))
        machine.wait_journal(f"MAINSTAY_POD=c-{NODE}", "MAINSTAY_EVENT=Started")
        machine.wait_journal("MESSAGE_ID=" + AGENT_GAP)

    def check_marker(self, machine, entry, pod, lost):
        uid = machine.pods()[pod]["metadata"]["uid"]
        expected = {"MAINSTAY_LOST_LINES": str(lost), "MESSAGE_ID": GAP, "PRIORITY": "4", "MAINSTAY_POD_UID": uid,
                    "CONTAINER_NAME": "main"}
        self.assertEqual({name: entry.get(name) for name in expected}, expected)
        since, until = entry["MAINSTAY_LOST_SINCE"], entry["MAINSTAY_LOST_UNTIL"]
        self.assertLessEqual(since, until)
        self.assertEqual(entry["MESSAGE"], f"mainstay: {lost} lines before this one did not reach the journal "
                                           f"({since} to {until}): they are in /var/log/pods/default_{pod}-{NODE}"
                                           f"_{uid}/main/0.log")
        lines = stdout_of(machine, "mainstay", "logs", pod, "--timestamps").decode().splitlines()
        times = [line.split()[0] for line in lines]
        self.assertEqual(len([t for t in times if t[:26] + "Z" <= until]) >= lost, True)

    # ---- journalctl -x ----

    def test_journalctl_explains(self):
        machine = self.machine()
        os.makedirs(machine.path("usr/local/lib/systemd/catalog"), exist_ok=True)
        shutil.copy(CATALOGUE, machine.path("usr/local/lib/systemd/catalog/mainstay.catalog"))
        updated = machine.run("sh", "-c", "journalctl --update-catalog 2>&1")
        self.assertNotIn("mainstay", updated)
        self.running(machine, "x", "exec " + COMPONENT)
        machine.wait_journal("MAINSTAY_EVENT=Started", f"MAINSTAY_POD=x-{NODE}")
        text = machine.run("journalctl", "-q", "-x", "MAINSTAY_EVENT=Started")
        self.assertIn(f"Subject: Container main of pod x-{NODE} was started", text)
        self.assertIn(f"mainstay describe pod x-{NODE}", text)
        self.assertIn("Documentation: man:mainstayd(8)", text)
        listed = set(re.findall(r"^-- ([0-9a-f]{32})$", machine.run("journalctl", "--dump-catalog"), re.M))
        with open(CATALOGUE) as f:
            self.assertEqual(set(re.findall(r"^-- ([0-9a-f]{32})$", f.read(), re.M)) - listed, set())


class Sources(JournalTest):
    """`mainstay logs` from the agent, from the files and from the journal."""

    def logs(self, machine, *words, status=0):
        done = subprocess.run(machine.command(["mainstay", "logs", *words]), stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=WAIT_SECONDS)
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stdout, done.stderr

    def test_each_source_tells_the_same(self):
        machine = self.machine()
        script = 'echo "run $(cat /var/tmp/n)"; echo $(($(cat /var/tmp/n) + 1)) > /var/tmp/n; echo err >&2; echo last'
        machine.write("var/tmp/n", "0\n")
        machine.drop("s.yaml", pod_yaml("s", ["/bin/sh", "-c", f"{script}; test $(cat /var/tmp/n) = 2 && sleep 1d"]))
        machine.wait_journal(f"MAINSTAY_POD=s-{NODE}", "MAINSTAY_RESTART_COUNT=1", "CONTAINER_NAME=main", count=3)
        machine.wait_pod("s")
        cases = {(): {"run 1", "err", "last"}, ("-p",): {"run 0", "err", "last"}, ("--tail", "0"): set(),
                 ("--since", "1h"): {"run 1", "err", "last"},
                 ("--since-time", "2040-01-01T00:00:00Z"): set(), ("-c", "main"): {"run 1", "err", "last"},
                 ("--prefix", "-p"): {f"[pod/s-{NODE}/main] {line}" for line in ("run 0", "err", "last")}}
        for source in ("auto", "files", "journal"):
            for words, expected in cases.items():
                with self.subTest(source=source, words=words):
                    text, said = self.logs(machine, "s", "--source", source, *words)
                    self.assertEqual((set(text.splitlines()), said), (expected, ""))
            self.assertEqual(self.logs(machine, "s", "--source", source, "--limit-bytes", "5")[0], "run 1"[:5])
            wrong = self.logs(machine, "s", "-c", "side", "--source", source, status=1)[1]
            self.assertIn("main", wrong)
            self.assertIn("nosuch", self.logs(machine, "nosuch", "--source", source, status=1)[1])
        self.check_without_files(machine)
        self.check_without_agent(machine)

    def check_without_files(self, machine):
        away, directory = machine.path("var/log/away"), machine.path("var/log/pods")
        os.rename(directory, away)
        text, said = self.logs(machine, "s")
        self.assertEqual(set(text.splitlines()), {"run 1", "err", "last"})
        self.assertEqual(said, "mainstay: the agent has no log of it: these lines are from the journal\n")
        os.rename(away, directory)

    def check_without_agent(self, machine):
        machine.run("systemctl", "stop", "mainstayd")
        place = self.log_files(machine, "s")[0].removeprefix(machine.root).removesuffix("/main/0.log")
        for name in ("s", f"s-{NODE}", f"pod/s-{NODE}"):
            text, said = self.logs(machine, name, "--tail", "1")
            self.assertEqual((len(text.splitlines()), said),
                             (1, f"mainstay: the agent cannot be reached: these lines are from {place}\n"))
        self.assertIn("run 0\n", self.logs(machine, "s", "-p")[0])
        shutil.rmtree(machine.path("var/log/pods"))
        text, said = self.logs(machine, "s")
        self.assertEqual(set(text.splitlines()), {"run 1", "err", "last"})
        self.assertEqual(said, "mainstay: the agent cannot be reached: these lines are from the journal\n")
        self.assertIn("cannot reach the agent", self.logs(machine, "nosuch", status=3)[1])
        self.logs(machine, "s", "--source=files", status=1)

    def test_a_pod_that_is_gone(self):
        machine = self.machine()
        machine.drop("g.yaml", pod_yaml("g", [COMPONENT, "say", "words"]))
        machine.wait_logged("g", "words")
        os.unlink(machine.path("etc/kubernetes/manifests/g.yaml"))
        machine.wait_journal("MAINSTAY_EVENT=Removed", f"MAINSTAY_POD=g-{NODE}")
        text, said = self.logs(machine, "g")
        self.assertEqual(text, "words\n")
        self.assertIn("mainstay: the agent knows no such pod: these lines are from /var/log/pods/", said)

    def test_following_without_the_agent(self):
        machine = self.machine()
        machine.run("mkfifo", "/var/tmp/go")
        script = "echo one; read x < /var/tmp/go; echo two; read x < /var/tmp/go"
        machine.drop("f.yaml", pod_yaml("f", ["/bin/sh", "-c", script]))
        machine.wait_journal(f"MAINSTAY_POD=f-{NODE}", "CONTAINER_NAME=main")
        follow = {}
        for source in ("files", "journal"):
            words = ["mainstay", "logs", "-f", "f", "--source", source]
            follow[source] = Following(machine.command(words)).__enter__()
            self.addCleanup(follow[source].__exit__)
            self.assertEqual(follow[source].line(), "one")
        machine.run("sh", "-c", "echo > /var/tmp/go")
        for lines in follow.values():
            self.assertEqual(lines.line(), "two")
        machine.run("sh", "-c", "echo > /var/tmp/go")  # and the next run begins
        for lines in follow.values():
            self.assertEqual(lines.process.wait(WAIT_SECONDS), 0)
            self.assertEqual(lines.process.stdout.read(), b"")


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
