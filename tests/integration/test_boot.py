"""A real kernel boots into an initramfs whose /init is mainstayd, in QEMU, and is powered off and rebooted
by it. For machines with qemu-system-x86_64 and a kernel (MAINSTAY_TEST_KERNEL=FILE, else the newest in /boot)."""

import glob
import gzip
import os
import platform
import re
import shutil
import subprocess
import tempfile
import unittest

import harness
from harness import COMPONENT, MAINSTAYD, SHIM, pod_yaml

BOOT_SECONDS = 180  # without KVM it is emulated
TRAP = "trap 'exit 7' TERM; while :; do sleep 0.05; done"
# Ends the agent once, waits for the next one, then ends the machine.
DRIVER = ("read first <{pid}; kill -KILL $first; next=$first; "
          "while [ \"$next\" = $first ]; do sleep 0.1; read next <{pid}; done; sleep 1; kill -{signal} 1")


def kernel():
    chosen = os.environ.get("MAINSTAY_TEST_KERNEL")
    found = [chosen] if chosen else sorted(glob.glob("/boot/vmlinuz-*"), key=os.path.getmtime)
    return found[-1] if found else None


def libraries(program):
    text = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    return re.findall(r"(/\S+) \(0x", text)


class Initramfs:
    """A directory that becomes a cpio archive of the kind that the kernel unpacks ("newc")."""

    def __init__(self, directory):
        self.root = directory
        for name in ("dev", "proc", "sys", "run", "tmp", "etc/kubernetes/manifests"):
            os.makedirs(os.path.join(directory, name))

    def write(self, name, text):
        with open(os.path.join(self.root, name), "w") as f:
            f.write(text)

    def program(self, source, target):
        for file, place in [(source, target)] + [(library, library) for library in libraries(source)]:
            place = os.path.join(self.root, place.lstrip("/"))
            os.makedirs(os.path.dirname(place), exist_ok=True)
            if not os.path.exists(place):
                shutil.copy(os.path.realpath(file), place)

    def pack(self, out):
        with gzip.open(out, "wb", compresslevel=1) as archive:
            for number, path in enumerate(self.paths()):
                self.entry(archive, number + 1, path, os.lstat(os.path.join(self.root, path)))
            self.entry(archive, 0, "TRAILER!!!", None)

    def paths(self):
        for directory, names, files in os.walk(self.root):
            yield from (os.path.relpath(os.path.join(directory, name), self.root)
                        for name in sorted(names) + sorted(files))

    def entry(self, archive, number, path, st):
        data = b""
        if st and os.path.isfile(os.path.join(self.root, path)):
            with open(os.path.join(self.root, path), "rb") as f:
                data = f.read()
        name = path.encode() + b"\0"
        fields = [number, st.st_mode if st else 0, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0]
        header = b"070701" + b"".join(b"%08X" % field for field in fields)
        for part in (header + name, data):
            archive.write(part + b"\0" * (-len(part) % 4))


class Boot(unittest.TestCase):
    def setUp(self):
        if not shutil.which("qemu-system-x86_64") or platform.machine() != "x86_64":
            self.skipTest("qemu-system-x86_64 is not installed")
        if not kernel() or not os.access(kernel(), os.R_OK):
            self.skipTest("there is no kernel to boot: name one in MAINSTAY_TEST_KERNEL")
        self.dir = tempfile.mkdtemp(prefix="mainstay-boot-")
        self.addCleanup(shutil.rmtree, self.dir)

    def boot(self, number):
        """Until the machine is off: what it wrote to its console."""
        image = Initramfs(os.path.join(self.dir, number))
        image.program(MAINSTAYD, "/init")
        image.program(SHIM, "/mainstay-shim")
        for program in (COMPONENT, "/bin/sh", "/bin/sleep"):
            image.program(program, "/bin/" + os.path.basename(program))
        image.write("etc/hostname", "bare\n")
        image.write("etc/kubernetes/manifests/w.yaml", pod_yaml("w", ["/bin/sh", "-c", TRAP]))
        driver = DRIVER.format(pid="/run/mainstay/mainstayd.pid", signal=number)
        image.write("etc/kubernetes/manifests/driver.yaml",
                    pod_yaml("driver", ["/bin/sh", "-c", driver],
                             extra="  hostPID: true\n  restartPolicy: Never\n"))
        image.pack(os.path.join(self.dir, "initramfs"))
        command = ["qemu-system-x86_64", "-accel", "tcg", "-m", "512", "-nodefaults", "-nographic", "-serial",
                   "stdio", "-no-reboot", "-kernel", kernel(), "-initrd", os.path.join(self.dir, "initramfs"),
                   "-append", "console=ttyS0 loglevel=6 panic=1 -- --init --shim /mainstay-shim"]
        done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=BOOT_SECONDS,
                              check=False)
        return done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")

    def test_a_kernel_boots_into_it(self):
        for number, end in (("TERM", "reboot: Power down"), ("INT", "reboot: Restarting system")):
            with self.subTest(number):
                console = self.boot(number)
                for line in (r"mounted /proc", r"process 1 of a machine", r"on node bare watches",
                             r"the agent was ended by SIGKILL", r"2 containers adopted",
                             r"main exited with status 7", end):
                    self.assertRegex(console, line)
                self.assertNotRegex(console, r"kills what is left|Kernel panic|cannot be mounted")


if __name__ == "__main__":
    harness.main()
