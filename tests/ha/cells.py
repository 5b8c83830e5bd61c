"""Cgroups that hold a machine: what kills, freezes, weighs and measures all that runs in it at once."""

import contextlib
import os
import time

WAIT_SECONDS = float(os.environ.get("MAINSTAY_TEST_WAIT", "60"))


def write(path, text):
    with open(path, "w") as f:
        f.write(text)


def read(path):
    with open(path) as f:
        return f.read()


def until(predicate, what, seconds=None):
    """Asks again and again: for what cannot be awaited from outside of a node."""
    end = time.monotonic() + (seconds or WAIT_SECONDS)
    while True:
        result = predicate()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {seconds or WAIT_SECONDS:.0f} s")
        time.sleep(0.2)


def cgroup_mounts():
    """(mount point, type, options) of each cgroup hierarchy; v1's options name its controllers."""
    found = []
    with open("/proc/self/mountinfo") as f:
        for line in f:
            left, right = line.rstrip("\n").split(" - ", 1)
            kind, _, options = (right.split(" ") + ["", ""])[:3]
            point = left.split()[4]
            if kind == "cgroup2":
                found.append((point, kind, ""))
            elif kind == "cgroup":
                own = [o for o in options.split(",") if o not in ("rw", "ro", "xattr", "clone_children")]
                found.append((point, kind, ",".join(o for o in own if not o.startswith("release_agent="))))
    return found


def cgroup_v2():
    return next((point for point, kind, _ in cgroup_mounts() if kind == "cgroup2"), None)


class Cell:
    """A cgroup in every hierarchy, with what lives in it. The v2 one is what kills and freezes."""

    def __init__(self, name):
        self.name = name
        self.v2 = os.path.join(cgroup_v2(), name)

    def make(self):
        for point, kind, options in cgroup_mounts():
            path = os.path.join(point, self.name)
            os.makedirs(path, exist_ok=True)
            if "cpuset" in options.split(","):
                self._inherit_cpuset(point)

    def _inherit_cpuset(self, point):
        path = point
        for part in self.name.split("/"):
            path = os.path.join(path, part)
            for name in ("cpuset.cpus", "cpuset.mems"):
                if not read(os.path.join(path, name)).strip():
                    write(os.path.join(path, name), read(os.path.join(os.path.dirname(path), name)))

    def limit_memory(self, size):
        for point, kind, options in cgroup_mounts():
            if "memory" in options.split(","):
                write(os.path.join(point, self.name, "memory.limit_in_bytes"), str(size))

    def weigh(self, shares):
        """A cgroup counts as one process beside those that are in none, however many it holds; 1024 is one."""
        for point, _, options in cgroup_mounts():
            if "cpu" in options.split(","):
                write(os.path.join(point, self.name, "cpu.shares"), str(shares))

    def enter(self):
        """For a child between fork and exec."""
        for point, _, _ in cgroup_mounts():
            write(os.path.join(point, self.name, "cgroup.procs"), "0")

    def exists(self):
        return os.path.isdir(self.v2)

    def populated(self):
        try:
            return "populated 1" in read(os.path.join(self.v2, "cgroup.events"))
        except FileNotFoundError:
            return False

    def kill(self):
        """SIGKILL to all at once; returns when all are gone."""
        with contextlib.suppress(FileNotFoundError):
            write(os.path.join(self.v2, "cgroup.freeze"), "0")
            write(os.path.join(self.v2, "cgroup.kill"), "1")
            until(lambda: not self.populated(), f"{self.name} is empty")

    def freeze(self, on=True):
        write(os.path.join(self.v2, "cgroup.freeze"), "1" if on else "0")
        state = f"frozen {int(on)}"
        until(lambda: state in read(os.path.join(self.v2, "cgroup.events")), state)

    def processes(self):
        """Every process below, with PIDs as this machine counts."""
        found = []
        for directory, _, _ in os.walk(self.v2):
            with contextlib.suppress(OSError):
                found += map(int, read(os.path.join(directory, "cgroup.procs")).split())
        return found

    def remove(self):
        for point, _, _ in cgroup_mounts():
            for directory, _, _ in os.walk(os.path.join(point, self.name), topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(directory)

    def memory(self):
        """Bytes in use, page cache left out; None where nothing counts."""
        for point, _, options in cgroup_mounts():
            if "memory" in options.split(","):
                stat = dict(line.split() for line in read(os.path.join(point, self.name, "memory.stat")).splitlines())
                return int(stat.get("total_rss", 0))
        return None
