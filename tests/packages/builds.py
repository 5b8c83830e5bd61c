"""The packages under test, built by packaging/deb below the build directory. What is there from an
earlier run is built upon, so that the second file of tests, and the second run, take seconds."""

import glob
import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import harness
from harness import BUILD, SOURCE

VERSION = "0.1.0"  # of packaging/debian/changelog
NEWER = "0.2.0"
PLACE = os.path.join(os.path.realpath(BUILD), "packages")
BUILD_SECONDS = 900  # no timing that is tested


def build(name, version=VERSION, environment=None, umask=0o022):
    """[mainstay.deb, mainstay-podmaster.deb] of that version, built in a directory of that name."""
    place = os.path.join(PLACE, name)
    out = os.path.join(place, "out-" + version)
    command = [os.path.join(SOURCE, "packaging", "deb"), "--work", os.path.join(place, "work"), "--out", out,
               "--version", version]
    done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_SECONDS, umask=umask,
                          stdin=subprocess.DEVNULL, env={**os.environ, **(environment or {})})
    if done.returncode != 0:
        raise AssertionError(f"packaging/deb: exit status {done.returncode}\n{done.stdout}{done.stderr}")
    files = done.stdout.split()
    assert len(files) == 2 and sorted(files) == sorted(glob.glob(out + "/*.deb")), done.stdout
    return files


def need(*programs):
    """Skips where one of them is not installed."""
    for program in programs:
        found = subprocess.run(["sh", "-c", f"command -v {program}"], stdout=subprocess.DEVNULL)
        if found.returncode != 0:
            raise unittest.SkipTest(f"{program} is not installed")


def main():
    harness.main()
