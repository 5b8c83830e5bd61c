"""Hangs of the agent under a real systemd: named in its journal before its watchdog acts; and a
machine that is frozen and thawed costs nothing.

MAINSTAY_FREEZE_SECONDS=60 freezes for as long, with the unit's own WatchdogSec.
"""

import glob
import os
import re
import sys
import time
import unittest

import harness
from harness import SOURCE, WAIT_SECONDS
from machine import COMPONENT, NODE, PROGRAMS, Machine, pid_of, pod_yaml, why_no_machines

FREEZE_SECONDS = float(os.environ.get("MAINSTAY_FREEZE_SECONDS", "4"))
HANGS = {"tests/mainstayd-hangs": PROGRAMS["mainstayd"],
         **{program: place for program, place in PROGRAMS.items() if program != "mainstayd"}}


def message_ids():
    """{name: id} as monit's headers define them."""
    text = ""
    for path in glob.glob(os.path.join(SOURCE, "monit", "*.h")):
        with open(path) as f:
            text += f.read()
    return dict(re.findall(r'#define (\w+_ID)\s+"([0-9a-f]{32})"', text))


class UnderSystemd(unittest.TestCase):
    why_not = None

    @classmethod
    def setUpClass(cls):
        cls.why_not = why_no_machines()
        cls.ids = message_ids()

    def setUp(self):
        if self.why_not:
            self.skipTest(self.why_not)

    def running(self, drop_in, programs=None):
        machine = Machine(programs=programs)
        self.addCleanup(machine.close)
        machine.write("etc/systemd/system/mainstayd.service.d/test.conf", drop_in)
        self.assertTrue(machine.boot(), machine.console()[-4000:])
        machine.run("systemctl", "start", "mainstayd")
        machine.drop("w.yaml", pod_yaml("w", [COMPONENT]))
        return machine, pid_of(machine.wait_pod("w"))

    def feeding(self, machine):
        """When the watchdog was fed last, as systemd tells it; asked until it has been once more."""
        last = machine.show("WatchdogTimestampMonotonic")
        end = time.monotonic() + WAIT_SECONDS + FREEZE_SECONDS
        while machine.show("WatchdogTimestampMonotonic") == last:
            if time.monotonic() > end:
                raise AssertionError("the watchdog is not fed\n" + machine.agent_log())
            time.sleep(0.05)

    def test_a_frozen_machine_is_no_hang(self):
        """PID 1 is frozen too, but counts the time: what is fed shortly before must outlast it."""
        machine, pid = self.running("[Service]\nWatchdogSec=9s\n" if FREEZE_SECONDS < 30 else "")
        freezers = [path for path in machine.cgroups
                    if os.path.exists(os.path.join(path, "cgroup.freeze"))]
        if not freezers:
            self.skipTest("machines have no v2 cgroup here that this test may freeze")
        for _ in range(2):
            self.feeding(machine)
            self.freeze(freezers[0])
            self.feeding(machine)
        self.assertEqual(machine.show("NRestarts"), "0")
        self.assertEqual(machine.starts(), 1)
        self.assertEqual(pid_of(machine.pods()["w"]), pid)
        for name in ("NOTIFY_UNHEALTHY_ID", "NOTIFY_DEGRADED_ID", "HANG_MESSAGE_ID"):
            self.assertEqual(machine.journal("MESSAGE_ID=" + self.ids[name]), [])

    def freeze(self, path):
        def order(word):
            with open(os.path.join(path, "cgroup.freeze"), "w") as f:
                f.write(word)
        order("1")
        try:
            end = time.monotonic() + WAIT_SECONDS
            while True:
                with open(os.path.join(path, "cgroup.events")) as f:
                    if "frozen 1" in f.read():
                        break
                self.assertLess(time.monotonic(), end, "it does not freeze")
            time.sleep(FREEZE_SECONDS)  # the passing of time is what is tested
        finally:
            order("0")

    def test_a_hang_is_named_before_the_watchdog_acts(self):
        machine, pid = self.running("[Service]\nWatchdogSec=6s\nRestartSec=10ms\n"
                                    "Environment=MAINSTAY_HANG=/hang MAINSTAY_HANG_SCALE=20\n", HANGS)
        machine.write("hang", "pods block\n")
        machine.drop("new.yaml", pod_yaml("new", [COMPONENT]))
        machine.wait_journal("MESSAGE_ID=" + self.ids["HANG_MESSAGE_ID"])
        entry = machine.journal("MESSAGE_ID=" + self.ids["HANG_MESSAGE_ID"])[0]
        self.assertRegex(entry["MESSAGE"], rf"^pods hangs for \d+s: pod default/new-{NODE}")
        self.assertEqual((entry["MAINSTAY_PART"], entry["PRIORITY"], entry["SYSLOG_IDENTIFIER"],
                          entry["_SYSTEMD_UNIT"]), ("pods", "3", "mainstayd", "mainstayd.service"))
        end = time.monotonic() + WAIT_SECONDS
        while not machine.show("StatusText").startswith("Unhealthy: pods hangs for"):
            self.assertLess(time.monotonic(), end, machine.show("StatusText"))
        self.assertEqual(machine.starts(), 1)  # systemd has not acted yet
        machine.wait_journal("UNIT=mainstayd.service", "UNIT_RESULT=watchdog")
        os.unlink(machine.path("hang"))
        machine.wait_started(2)
        machine.wait_pod("new")
        self.assertEqual(pid_of(machine.pods()["w"]), pid)


if __name__ == "__main__":
    sys.exit(harness.main())
