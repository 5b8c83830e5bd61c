"""The tools of these tests: the rig leaves nothing behind whatever happens to it, and the client's book finds
what is wrong with a cluster.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "integration"))
import client
import clock
import harness
import rig as rig_module
from rig import Rig, call, scratch, until


class Machines(unittest.TestCase):
    def setUp(self):
        reason = rig_module.missing()
        if reason:
            self.skipTest(reason)
        self.rig = Rig(scratch(), ("m1", "m2"))
        self.before = self.traces()
        self.addCleanup(self.nothing_is_left)
        self.addCleanup(self.rig.down)

    def traces(self):
        """What a rig could leave on this machine, or take from it."""
        with open("/proc/self/mountinfo") as f:
            mounts = [line for line in f if self.rig.directory in line]
        links = [name for name in ("br0", "m1", "m2", "client") if os.path.exists(f"/sys/class/net/{name}")]
        return mounts, links, os.listdir("/etc/kubernetes") if os.path.isdir("/etc/kubernetes") else None

    def nothing_is_left(self):
        self.assertFalse(self.rig.exists())
        self.assertEqual(harness.processes_with(self.rig.directory), [])
        self.assertNotIn(self.rig.directory, call("losetup", "--list", "--noheadings", "-O", "BACK-FILE"))
        self.assertEqual(self.traces(), self.before)

    def up(self):
        self.rig.make()
        for node in self.rig:
            node.boot()

    def hears(self, node, other):
        """One can open a connection to the other's agent's network: a port there that refuses is an answer."""
        done = node.run("curl", "-s", "-m", "1", f"http://{other.address}:9/", check=False)
        return done.returncode == 7

    def test_two_machines(self):
        self.up()
        one, two = self.rig
        one.run("sh", "-c", "echo one >/etc/kubernetes/x; echo one >/etc/motd.rig; echo one >/var/lib/etcd/x")
        self.assertNotEqual(two.run("cat", "/etc/kubernetes/x", check=False).returncode, 0)
        self.assertNotEqual(two.run("cat", "/etc/motd.rig", check=False).returncode, 0)
        self.assertFalse(os.path.exists("/etc/motd.rig"))
        self.assertEqual(one.run("hostname").stdout, "m1\n")
        self.assertNotEqual(one.run("cat", "/proc/sys/kernel/random/boot_id").stdout,
                            two.run("cat", "/proc/sys/kernel/random/boot_id").stdout)
        self.assertTrue(self.hears(one, two))
        for way in ("both", "from", "to"):
            one.cut(way)
            self.assertFalse(self.hears(one, two), way)
            one.heal()
            self.assertTrue(self.hears(one, two), way)

    def test_killed_and_booted(self):
        self.up()
        one = self.rig["m1"]
        boot = one.run("cat", "/proc/sys/kernel/random/boot_id").stdout
        one.run("sh", "-c", "echo kept >/var/lib/etcd/x; echo kept >/etc/kubernetes/x; echo gone >/run/x")
        one.kill()
        self.assertIsNone(one.pid())
        one.boot()
        self.assertEqual(one.run("cat", "/var/lib/etcd/x", "/etc/kubernetes/x").stdout, "kept\nkept\n")
        self.assertNotEqual(one.run("cat", "/run/x", check=False).returncode, 0)
        self.assertNotEqual(one.run("cat", "/proc/sys/kernel/random/boot_id").stdout, boot)
        self.assertTrue(self.hears(one, self.rig["m2"]))

    def test_a_full_disk(self):
        self.up()
        one = self.rig["m1"]
        one.fill_disk()
        done = one.run("dd", "if=/dev/zero", "of=/var/lib/etcd/more", "bs=4k", "count=16", check=False)
        self.assertIn("No space left", done.stderr)
        one.free_disk()
        one.run("dd", "if=/dev/zero", "of=/var/lib/etcd/more", "bs=4k", "count=16")

    def test_a_clock_that_moves(self):
        if clock.missing():
            self.skipTest(clock.missing())
        self.up()
        one = self.rig["m1"]
        program = "import sys, time\nfor _ in sys.stdin: print(time.time(), time.monotonic(), flush=True)"
        process = subprocess.Popen(one.inside(sys.executable, "-c", program), preexec_fn=one.cell.enter, text=True,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stdin.close)

        def ask():
            process.stdin.write("\n")
            process.stdin.flush()
            return map(float, process.stdout.readline().split())
        for seconds in (0, 86400, -3600, 0):
            one.move_clock(seconds)
            wall, monotonic = ask()
            self.assertAlmostEqual(wall, time.time() + seconds, delta=60)
            self.assertAlmostEqual(monotonic, time.monotonic(), delta=60)

    def test_down_repairs_a_broken_rig(self):
        self.up()
        os.kill(self.rig.room_pid, signal.SIGKILL)
        self.rig["m2"].freeze()
        os.unlink(self.rig.file("names"))
        Rig(self.rig.directory).down()
        self.nothing_is_left()

    def test_what_a_killed_test_leaves_is_taken_away(self):
        program = ("import sys, time; sys.path[:0] = sys.argv[2:4]; from cluster import HaTest\n"
                   "import rig; HaTest.begin(rig.Rig(sys.argv[1], ('m1',))); HaTest.rig.make()\n"
                   "HaTest.rig['m1'].boot(); print('up', flush=True); time.sleep(1000)")
        process = subprocess.Popen([sys.executable, "-c", program, self.rig.directory, HERE,
                                    os.path.join(HERE, "..", "integration")], stdout=subprocess.PIPE, text=True)
        with process.stdout:
            self.assertEqual(process.stdout.readline(), "up\n")
        self.assertTrue(self.rig.exists())
        process.kill()
        process.wait()
        until(lambda: not self.rig.exists(), "the guard takes the rig away")


class Book(unittest.TestCase):
    """A checker that finds nothing has shown nothing until it has found something."""

    def book(self, *lines):
        f = tempfile.NamedTemporaryFile("w", suffix=".book")
        self.addCleanup(f.close)
        for line in lines:
            f.write(json.dumps(line) + "\n")
        f.write('[4.0, "half a li')  # as a killed client leaves it
        f.flush()
        return f.name

    def wrong(self, book, found, before=float("inf")):
        return client.compare(*client.acknowledged(book, before), found)

    def setUp(self):
        self.lines = [[1.0, "c", "create", "a", 0, "try", 0, 0.0], [1.1, "c", "create", "a", 0, "ok", 5, 0.1],
                      [1.2, "u", "update", "b", 1, "try", 0, 0.0], [1.3, "u", "update", "b", 1, "ok", 6, 0.1],
                      [1.4, "u", "update", "b", 2, "try", 0, 0.0], [2.4, "u", "update", "b", 2, "time-out", 0, 1.0]]

    def test_what_is_as_acknowledged(self):
        self.assertEqual(self.wrong(self.book(*self.lines), {"a": (0, 5), "b": (1, 6)}), [])
        # A write without an answer may have happened.
        self.assertEqual(self.wrong(self.book(*self.lines), {"a": (0, 5), "b": (2, 9)}), [])
        # What is not acknowledged yet at the moment of the look need not be there.
        self.assertEqual(self.wrong(self.book(*self.lines), {"a": (0, 5)}, before=1.25), [])

    def test_a_write_that_is_gone(self):
        self.assertIn("a=0 (revision 5) is gone", self.wrong(self.book(*self.lines), {"b": (1, 6)}))

    def test_a_write_that_was_undone(self):
        self.lines += [[3.0, "u", "update", "b", 3, "try", 0, 0.0], [3.1, "u", "update", "b", 3, "ok", 12, 0.1]]
        self.assertEqual(len(self.wrong(self.book(*self.lines), {"a": (0, 5), "b": (1, 6)})), 1)
        self.assertEqual(len(self.wrong(self.book(*self.lines), {"a": (0, 5), "b": (2, 9)})), 1)

    def test_another_revision_or_value(self):
        self.assertEqual(len(self.wrong(self.book(*self.lines), {"a": (0, 7), "b": (1, 6)})), 1)
        self.assertEqual(len(self.wrong(self.book(*self.lines), {"a": (3, 5), "b": (1, 6)})), 1)

    def test_what_nobody_wrote(self):
        self.assertIn("z=1 (revision 9) was never written",
                      self.wrong(self.book(*self.lines), {"a": (0, 5), "b": (1, 6), "z": (1, 9)}))

    def test_a_snapshot(self):
        self.lines += [[3.0, "c", "create", "d", 0, "try", 0, 0.0], [3.1, "c", "create", "d", 0, "ok", 12, 0.1]]
        known, maybe, wrong = client.acknowledged_until(self.book(*self.lines), 6, 2.5, 2.9)
        self.assertEqual(wrong, [])
        self.assertEqual(client.compare(known, maybe, {"a": (0, 5), "b": (1, 6)}), [])
        # What came after it is not in it; what came before is.
        self.assertEqual(len(client.compare(known, maybe, {"a": (0, 5), "b": (1, 6), "d": (0, 12)})), 1)
        self.assertEqual(len(client.compare(known, maybe, {"a": (0, 5)})), 1)
        self.assertEqual(len(client.acknowledged_until(self.book(*self.lines), 5, 2.5, 2.9)[2]), 1)
        self.assertEqual(len(client.acknowledged_until(self.book(*self.lines), 12, 2.5, 2.9)[2]), 1)

    def test_the_time_without_service(self):
        seen = client.summary(self.book(*self.lines), 0.5, 4.0)
        self.assertAlmostEqual(seen["write gap"], 2.7)
        self.assertEqual(seen["failures"], {"time-out": 1})


if __name__ == "__main__":
    harness.main()
