#!/usr/bin/env python3
"""Measures Mainstay beside runit, s6 and supervisord (for logs: svlogd, s6-log, conmon) on this
machine in one run, and prints a table: the first rows of the budgets, and the row of log lines; and
`mainstay pki init` beside kubeadm and cfssl.

A benchmark measures; it has no opinion. Run as root: tests/run bench, or tests/bench/run.py
"""

import contextlib
import fcntl
import os
import platform
import select
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import keys
import peers
from peers import COMPONENT, Mainstay, PEERS, harness

STARTS = int(os.environ.get("BENCH_STARTS", "100"))
MANY = int(os.environ.get("BENCH_MANY", "60"))
LOTS = int(os.environ.get("BENCH_LOTS", "1000"))
LOG_BYTES = int(os.environ.get("BENCH_LOG_BYTES", str(400 << 20)))
PROBES = int(os.environ.get("BENCH_PROBES", "1000"))
IDLE_SECONDS = int(os.environ.get("BENCH_IDLE_SECONDS", "20"))

PROBES_PER_POD = 20
AT_ONCE = 12           # services that stand there while one of them is killed
SETTLE_SECONDS = 0.05  # before each measurement: what the one before left behind is done with
REST_SECONDS = 2       # before memory and idleness are looked at


class Stamps:
    """A FIFO that components write "<pid> <CLOCK_MONOTONIC ns>" into when they reach main()."""

    def __init__(self, directory):
        self.path = os.path.join(directory, "stamps")
        os.mkfifo(self.path, 0o666)
        os.chmod(self.path, 0o666)
        self.fd = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.fcntl(self.fd, 1031, 1 << 20)  # F_SETPIPE_SZ: a thousand may arrive at once
        except OSError:
            pass
        self.buffer = b""

    def alias(self, name):
        """A path of its own for a component: by it, its command line tells it from all others."""
        path = f"{self.path}-{name}"
        os.symlink(self.path, path)
        return path

    def next(self, seconds=60):
        """(pid, ns) of the next component."""
        while b"\n" not in self.buffer:
            if not select.select([self.fd], [], [], seconds)[0]:
                raise RuntimeError("nothing started within a minute")
            self.buffer += os.read(self.fd, 65536)
        line, self.buffer = self.buffer.split(b"\n", 1)
        pid, ns = line.split()
        return int(pid), int(ns)


def ms(ns_list):
    ordered = sorted(ns_list)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return f"{statistics.median(ordered) / 1e6:.2f} ms (p99 {p99 / 1e6:.1f})"


def pid_with(alias):
    """The component's number on the host: in a PID namespace it knows another one itself."""
    for pid in harness.processes_with(alias + "\0"):
        if peers.command_of(pid).startswith(COMPONENT):
            return pid
    raise RuntimeError(f"no process of {alias}")


# ---- rows: each returns a cell for one peer ----

def row_start(peer, stamps, directory):
    """From the rename into the directory (and what it takes to have it noticed) to main()."""
    times = []
    for i in range(min(STARTS, AT_ONCE) if peer.slow else STARTS):
        name = f"start{i}"
        peer.prepare(name, ["stamp", stamps.path])
        time.sleep(SETTLE_SECONDS)
        begin = time.monotonic_ns()
        peer.start(name)
        times.append(stamps.next()[1] - begin)
        peer.stop(name)
    return ms(times)


def start_all(peer, names):
    if hasattr(peer, "start_all"):
        peer.start_all(names)
    else:
        for name in names:
            peer.start(name)


def restart_each(peer, stamps, names):
    """Nanoseconds from the death of each to the first instruction of the next."""
    times = []
    aliases = [stamps.alias(name) for name in names]
    for name, alias in zip(names, aliases):
        peer.prepare(name, ["stamp", alias])
    start_all(peer, names)
    for _ in names:
        stamps.next()
    for alias in aliases:
        pid = pid_with(alias)
        time.sleep(SETTLE_SECONDS)
        begin = time.monotonic_ns()
        os.kill(pid, signal.SIGKILL)
        times.append(stamps.next()[1] - begin)
    peer.stop_all(names)
    return times


def row_restart(peer, stamps, directory):
    """kill -9 of a component to main() of the next: the first restart of each."""
    times = []
    for i in range(STARTS if isinstance(peer, Mainstay) else AT_ONCE):
        if i % AT_ONCE == 0:
            times += restart_each(peer, stamps, [f"restart{i + k}" for k in range(AT_ONCE)])
    return ms(times)


def many(peer, stamps, n):
    names = [f"many{i}" for i in range(n)]
    for name in names:
        peer.prepare(name, ["stamp", stamps.path])
    time.sleep(SETTLE_SECONDS)
    begin = time.monotonic_ns()
    start_all(peer, names)
    last = 0
    for _ in names:
        last = max(last, stamps.next(120)[1])
    seconds = (last - begin) / 1e9
    peer.stop_all(names)
    return f"{seconds:.2f} s"


def row_many(peer, stamps, directory):
    return many(peer, stamps, MANY)


def row_lots(peer, stamps, directory):
    return many(peer, stamps, LOTS) if isinstance(peer, Mainstay) else "–"


def pss_kb(pid):
    with open(f"/proc/{pid}/smaps_rollup") as f:
        fields = {line.split(":")[0]: line.split()[1] for line in f if ":" in line}
    return int(fields["Pss"]), int(fields["Private_Dirty"])


def row_memory(peer, stamps, directory):
    names = [f"mem{i}" for i in range(10)]
    for name in names:
        peer.prepare(name, ["stamp", stamps.path])
    start_all(peer, names)
    for _ in names:
        stamps.next()
    time.sleep(REST_SECONDS)
    main = pss_kb(peer.pids()[0])
    keepers = [pss_kb(pid)[0] for pid in peer.keepers()]
    each = f"{statistics.median(keepers) / 1000:.3f} MB" if keepers else "none"
    cell = f"{main[0] / 1000:.1f} MB, dirty {main[1] / 1000:.1f} MB", each, idle_cpu(peer)
    peer.stop_all(names)
    return cell


PROBE_SERVER = """
import socket
s = socket.create_server(("127.0.0.1", 0), backlog=4096)
print(s.getsockname()[1], flush=True)
while True:
    c, _ = s.accept()
    c.recv(4096)
    c.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\nConnection: close\\r\\n\\r\\nok")
    c.close()
"""


def probed_pod(name, port):
    probe = f"    readinessProbe: {{httpGet: {{port: {port}}}, periodSeconds: 1}}\n"
    containers = "".join(f"  - name: c{i}\n    image: localhost/test:1\n    command: [{COMPONENT}]\n{probe}"
                         for i in range(PROBES_PER_POD))
    return (f"apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  hostNetwork: true\n"
            f"  terminationGracePeriodSeconds: 1\n  containers:\n{containers}")


def row_probes(peer, stamps, directory):
    """Of one core, the agent alone (not the server that it asks)."""
    if not isinstance(peer, Mainstay):
        return "–"
    server = subprocess.Popen([sys.executable, "-c", PROBE_SERVER], stdout=subprocess.PIPE, text=True)
    try:
        port = int(server.stdout.readline())
        names = [f"probed{i}" for i in range(PROBES // PROBES_PER_POD)]
        for name in names:
            peer.agent.drop(name + ".yaml", probed_pod(name, port))
        for name in names:
            peer.agent.wait_ready_pod(name)
        time.sleep(REST_SECONDS)
        return idle_cpu(peer, peer.pids()).split(",")[0]
    finally:
        server.kill()
        server.wait()


def run_time(pid):
    """Nanoseconds on a CPU, and how often it went to sleep again."""
    with open(f"/proc/{pid}/schedstat") as f:
        ns = int(f.read().split()[0])
    with open(f"/proc/{pid}/status") as f:
        switches = next(int(line.split()[1]) for line in f if line.startswith("voluntary"))
    return ns, switches


def idle_cpu(peer, pids=None):
    """Of one core, all processes of the supervisor; and how often they woke up."""
    pids = pids or peer.pids() + peer.keepers()
    before = [run_time(pid) for pid in pids]
    time.sleep(IDLE_SECONDS)
    after = [run_time(pid) for pid in pids]
    used = sum(a[0] - b[0] for a, b in zip(after, before)) / 1e9
    woken = sum(a[1] - b[1] for a, b in zip(after, before))
    return f"{used / IDLE_SECONDS * 100:.4f} %, {woken / IDLE_SECONDS:.2f} wake-ups/s"


# ---- logs: the writer's own clock, from main() to the last write ----

FLOOD = ["flood", str(LOG_BYTES)]


def log_rate(stamps):
    first, last = stamps.next(120)[1], stamps.next(120)[1]
    return f"{LOG_BYTES / 100 / ((last - first) / 1e9) / 1e6:.2f} M lines/s"


def log_mainstay(stamps, directory):
    agent = harness.Agent("--container-log-max-size", "50Mi", "--container-log-max-files", "3")
    try:
        words = [COMPONENT, "stamp", stamps.path] + FLOOD + ["stamp", stamps.path, "exit", "0"]
        agent.drop("log.yaml", harness.pod_yaml("log", words, "  restartPolicy: Never\n"))
        return log_rate(stamps)
    finally:
        agent.close()


def pipe_to(stamps, logger):
    words = [COMPONENT, "stamp", stamps.path] + FLOOD + ["stamp", stamps.path, "exit", "0"]
    writer = subprocess.Popen(words, stdout=subprocess.PIPE)
    reader = subprocess.Popen(logger, stdin=writer.stdout, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    writer.stdout.close()
    rate = log_rate(stamps)
    writer.wait()
    reader.wait()
    return rate


def log_s6(stamps, directory):
    """s6-log with a time stamp a line, and the same rotation."""
    target = os.path.join(directory, "s6-log")
    return pipe_to(stamps, ["s6-log", "T", "n3", "s16777215", target])


def log_svlogd(stamps, directory):
    target = os.path.join(directory, "svlogd")
    os.mkdir(target)
    with open(os.path.join(target, "config"), "w") as f:
        f.write("s50000000\nn3\n")
    return pipe_to(stamps, ["svlogd", "-ttt", target])


def log_conmon(stamps, directory):
    """conmon with a runtime that only starts the writer, its file log with CRI headers."""
    if not shutil.which("conmon"):
        return "not installed"
    runtime = os.path.join(directory, "runtime")
    pidfile = os.path.join(directory, "conmon-pid")
    sockets = os.path.join(directory, "sockets")
    os.mkdir(sockets)
    words = " ".join([COMPONENT, "stamp", stamps.path] + FLOOD + ["stamp", stamps.path, "exit", "0"])
    with open(runtime, "w") as f:
        f.write(f"#!/bin/sh\n{words} </dev/null &\necho $! > {pidfile}\n")
    os.chmod(runtime, 0o755)
    log = os.path.join(directory, "conmon.log")
    process = subprocess.Popen(["conmon", "-c", "bench", "-u", "bench", "-n", "bench", "-r", runtime, "-b", directory,
                                "-p", pidfile, "-l", "k8s-file:" + log, "--log-size-max", "50000000",
                                "--exit-dir", directory, "--socket-dir-path", sockets, "--sync"],
                               stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    rate = log_rate(stamps)
    process.wait(30)
    return rate


# ---- the table ----

@contextlib.contextmanager
def memory_directory():
    """A tmpfs, which /run is on a real machine: the supervisors' own directories are there, as
    their manuals advise; Mainstay's state and all logs are on disk."""
    with tempfile.TemporaryDirectory(prefix="mainstay-bench-") as directory:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "mainstay-bench", directory], check=True)
        try:
            yield directory
        finally:
            subprocess.run(["umount", "-l", directory], check=True)


def machine():
    with open("/proc/cpuinfo") as f:
        model = next((l.split(":")[1].strip() for l in f if l.startswith("model name")), platform.machine())
    load = " ".join(f"{n:.1f}" for n in os.getloadavg())
    return f"{model}, {os.cpu_count()} cores, Linux {platform.release()}, load average before: {load}"


def print_table(head, rows):
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(row) + " |", flush=True)


def measure(row, peer_class, directory):
    if peer_class.missing:
        return peer_class.missing
    with tempfile.TemporaryDirectory(dir=directory) as own:
        os.chmod(own, 0o755)
        stamps = Stamps(own)
        peer = peer_class(own)
        try:
            return row(peer, stamps, directory)
        except (RuntimeError, AssertionError, OSError, subprocess.SubprocessError) as error:
            return f"failed: {str(error).splitlines()[0]}"
        finally:
            peer.close()
            os.close(stamps.fd)


def supervise_rows(directory):
    table = [(f"manifest in → main(), median of {STARTS} (runit, supervisord: {AT_ONCE})", row_start),
             ("kill -9 → main() of the next, first restart, median", row_restart),
             (f"{MANY} at once → all running", row_many),
             (f"{LOTS} at once → all running", row_lots),
             (f"CPU for {PROBES} HTTP probes a second, {IDLE_SECONDS} s", row_probes)]
    rows = []
    for title, row in table:
        rows.append([title] + [measure(row, peer, directory) for peer in PEERS])
        print("  " + " | ".join(rows[-1]), file=sys.stderr, flush=True)
    memory = [measure(row_memory, peer, directory) for peer in PEERS]
    memory = [m if isinstance(m, tuple) else (m, m, m) for m in memory]
    rows.append(["memory (PSS) of the supervisor, 10 services"] + [m[0] for m in memory])
    rows.append(["memory (PSS) per service beside it"] + [m[1] for m in memory])
    rows.append([f"CPU when nothing happens, 10 services, {IDLE_SECONDS} s"] + [m[2] for m in memory])
    return rows


def log_rows(directory):
    cells = []
    for log in (log_mainstay, log_svlogd, log_s6, log_conmon):
        with tempfile.TemporaryDirectory(dir=directory) as own:
            os.chmod(own, 0o755)
            stamps = Stamps(own)
            try:
                cells.append(log(stamps, own))
            except (RuntimeError, AssertionError, OSError, subprocess.SubprocessError) as error:
                cells.append(f"failed: {str(error).splitlines()[0]}")
            os.close(stamps.fd)
    return [[f"lines of 100 bytes, {LOG_BYTES >> 20} MiB"] + cells]


def main():
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))  # what was made is removed
    if os.geteuid() != 0:
        sys.exit("bench: run it as root, so that everybody does the same work")
    here = machine()
    with memory_directory() as directory:
        supervise = supervise_rows(directory)
        key_sets = keys.key_rows(directory)
    with tempfile.TemporaryDirectory(prefix="mainstay-bench-") as directory:
        os.chmod(directory, 0o755)
        logs = log_rows(directory)
    versions = [f"{peer.name} " + ("–" if peer.missing else
                peers.debian_version({"supervisord": "supervisor"}.get(peer.name, peer.name))) for peer in PEERS[1:]]
    print(f"\nMachine: {here}\n")
    print_table(["what", "mainstay"] + versions, supervise)
    print()
    print_table(["log throughput", "mainstay-shim", "svlogd (runit)", "s6-log",
                 "conmon " + peers.debian_version("conmon")], logs)
    print()
    print_table(["keys and certificates", "mainstay pki init", "kubeadm 1.20.2",
                 "cfssl " + peers.debian_version("golang-cfssl")], key_sets)


if __name__ == "__main__":
    main()
