"""podmaster: never two holders. Five nodes (an agent and a podmaster each, with directories of their own),
three members of a real etcd, and a guarded component that stamps when it is alive. What can be killed,
stopped or cut off is, at random, several at a time; a checker then reads the stamps.

MAINSTAY_PODMASTER_ROUNDS is how many things are done to them (5000 for the real proof), MAINSTAY_SEED
repeats a run as far as the machine does.
"""

import collections
import contextlib
import heapq
import os
import random
import selectors
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import unittest

from harness import BUILD, WAIT_SECONDS, Agent, free_ports, main, processes_with, shims_of

PODMASTER = os.path.join(BUILD, "podmaster")
BROKEN = os.path.join(BUILD, "tests", "podmaster-broken")
STAMPER = os.path.join(BUILD, "tests", "stamper")
CLOCK_JUMP = os.path.join(BUILD, "tests", "libclock-jump.so")
ROUNDS = int(os.environ.get("MAINSTAY_PODMASTER_ROUNDS", "60"))
TTL, STOP = 3, 1
CALM_EVERY = 30  # rounds; then all is healed, and somebody must have it
DAY = 86400

Interval = collections.namedtuple("Interval", "start end node name")


# ---- the checker ----

def read_intervals(directory):
    """When each instance was alive, from its first stamp to its last."""
    found = []
    for name in os.listdir(directory):
        with open(os.path.join(directory, name), "rb") as f:
            start, end = struct.unpack("QQ", f.read(16).ljust(16, b"\0"))
        if start:  # else it was killed before it had stamped anything
            found.append(Interval(start, max(end, start), name.split("-")[0], name))
    return sorted(found)


def find_overlaps(intervals):
    """Pairs of instances on different nodes that were alive at the same time; and on the same one."""
    elsewhere, twice, alive = [], [], []
    for interval in intervals:
        alive = [other for other in alive if other.end >= interval.start]
        for other in alive:
            (twice if other.node == interval.node else elsewhere).append((other, interval))
        alive.append(interval)
    return elsewhere, twice


def shortest_handover(intervals):
    """Milliseconds from the end on one node to the start on another."""
    gaps = [(b.start - a.end) / 1e6 for a, b in zip(intervals, intervals[1:]) if a.node != b.node]
    return min(gaps, default=None), len(gaps)


class Checker(unittest.TestCase):
    def check(self, *rows):
        return find_overlaps(sorted(Interval(*row, "x") for row in rows))

    def test_what_follows_is_no_overlap(self):
        self.assertEqual(self.check((1, 5, "a"), (6, 9, "b"), (10, 10, "a")), ([], []))

    def test_overlaps_are_found(self):
        for rows in ([(1, 5, "a"), (5, 9, "b")], [(1, 50, "a"), (2, 3, "a"), (10, 11, "b")],
                     [(1, 2, "a"), (3, 9, "b"), (4, 5, "c")]):
            with self.subTest(rows):
                self.assertTrue(self.check(*rows)[0])

    def test_two_on_one_node_are_told_apart(self):
        elsewhere, twice = self.check((1, 5, "a"), (3, 9, "a"))
        self.assertEqual((elsewhere, len(twice)), ([], 1))


# ---- the parts ----

class Relays:
    """One listener for each node and member; what a node has sent or is to get can be held back."""

    def __init__(self):
        self.selector = selectors.DefaultSelector()
        self.peers, self.node_of, self.blocked = {}, {}, set()
        self.lock = threading.Lock()
        self.wake_read, self.wake_write = socket.socketpair()
        self.selector.register(self.wake_read, selectors.EVENT_READ, None)
        self.ending = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def listen(self, node, target):
        listener = socket.create_server(("127.0.0.1", 0))
        with self.lock:
            self.selector.register(listener, selectors.EVENT_READ, (node, target))
        return listener.getsockname()[1]

    def block(self, node, on):
        """Nothing passes, and nobody is told. What was open is reset when it is over."""
        with self.lock:
            (self.blocked.add if on else self.blocked.discard)(node)
            for sock in [s for s, n in self.node_of.items() if n == node]:
                if not on:
                    self.drop(sock)
        self.wake_write.send(b"x")

    def drop(self, sock):
        for each in (sock, self.peers.pop(sock, None)):
            if each and self.node_of.pop(each, None):
                self.peers.pop(each, None)
                with contextlib.suppress(KeyError):
                    self.selector.unregister(each)
                each.close()

    def accept(self, listener, node, target):
        client, _ = listener.accept()
        server = socket.socket()
        try:
            server.connect(("127.0.0.1", target))
        except OSError:
            client.close()
            server.close()
            return
        for sock, peer in ((client, server), (server, client)):
            self.peers[sock], self.node_of[sock] = peer, node
            self.selector.register(sock, selectors.EVENT_READ, "data")

    def pass_on(self, sock):
        try:
            data = sock.recv(65536)
            if data:
                self.peers[sock].sendall(data)
                return
        except OSError:
            pass
        self.drop(sock)

    def serve(self, key):
        if key.data is None:
            self.wake_read.recv(4096)
        elif key.data == "data":
            if key.fileobj in self.node_of and self.node_of[key.fileobj] not in self.blocked:
                self.pass_on(key.fileobj)
        elif key.data[0] not in self.blocked:
            self.accept(key.fileobj, *key.data)

    def run(self):
        while not self.ending:
            ready = self.selector.select()
            with self.lock:
                held = False
                for key, _ in ready:
                    node = self.node_of.get(key.fileobj) if key.data == "data" else key.data and key.data[0]
                    held |= node in self.blocked
                    if key.fileobj.fileno() >= 0:
                        self.serve(key)
            if held:
                time.sleep(0.005)  # what is held back stays readable

    def close(self):
        self.ending = True
        self.wake_write.send(b"x")
        self.thread.join()
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()
        self.selector.close()
        self.wake_write.close()


class Etcd:
    """Members without TLS (test_podmaster.py has that), on files in memory."""

    def __init__(self, size=3):
        self.dir = tempfile.mkdtemp(prefix="mainstay-torture-etcd-", dir="/dev/shm")
        ports = free_ports(2 * size)
        self.ports, peers = ports[:size], ports[size:]
        cluster = ",".join(f"e{i}=http://127.0.0.1:{peers[i]}" for i in range(size))
        self.commands = [[
            "etcd", "--name", f"e{i}", "--data-dir", os.path.join(self.dir, f"e{i}"),
            "--listen-client-urls", f"http://127.0.0.1:{self.ports[i]}",
            "--advertise-client-urls", f"http://127.0.0.1:{self.ports[i]}",
            "--listen-peer-urls", f"http://127.0.0.1:{peers[i]}",
            "--initial-advertise-peer-urls", f"http://127.0.0.1:{peers[i]}",
            "--initial-cluster", cluster] for i in range(size)]
        self.members = [None] * size
        for i in range(size):
            self.start(i)
        self.ctl("endpoint", "health")

    def start(self, i):
        with open(os.path.join(self.dir, "log"), "ab") as log:
            self.members[i] = subprocess.Popen(self.commands[i], stdin=subprocess.DEVNULL,
                                               stdout=log, stderr=log)

    def kill(self, i):
        self.members[i].send_signal(signal.SIGCONT)
        self.members[i].kill()
        self.members[i].wait()

    def command(self, *words):
        endpoints = ",".join(f"http://127.0.0.1:{port}" for port in self.ports)
        return ["env", "ETCDCTL_API=3", "etcdctl", "--endpoints", endpoints, "--dial-timeout", "30s",
                "--command-timeout", "30s", *words]

    def ctl(self, *words):
        return subprocess.run(self.command(*words), check=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=WAIT_SECONDS).stdout

    def close(self):
        for i, member in enumerate(self.members):
            if member:
                self.kill(i)
        shutil.rmtree(self.dir, ignore_errors=True)


def send(pids, number):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def command_of(pid):
    with contextlib.suppress(OSError):
        with open(f"/proc/{pid}/comm") as f:
            return f.read().strip()
    return ""


class Node:
    def __init__(self, name, program, relays, etcd, stamps, ttl=TTL):
        self.name, self.program, self.stamps, self.ttl = name, program, stamps, ttl
        self.agent = Agent(node=name, start=False)
        self.state = self.agent.path("podmaster")
        self.clock = self.agent.path("clock")
        self.jump(0)
        self.env = dict(os.environ, LD_PRELOAD=CLOCK_JUMP, CLOCK_JUMP_FILE=self.clock)
        if "san" not in BUILD and os.path.exists(CLOCK_JUMP):
            self.agent.env = {"LD_PRELOAD": CLOCK_JUMP, "CLOCK_JUMP_FILE": self.clock}
        else:
            self.env = dict(os.environ)
        self.agent.start()
        self.urls = ",".join(f"http://127.0.0.1:{relays.listen(name, port)}" for port in etcd.ports)
        self.edits = 0
        self.edit()
        self.podmaster = None
        self.begin()

    def jump(self, seconds):
        with open(self.clock, "r+b" if os.path.exists(self.clock) else "w+b") as f:
            f.write(struct.pack("qq", seconds, 0))

    def edit(self):
        """Another spec, and so another UID and other cgroups."""
        self.edits += 1
        self.agent.write("source.new", f"""apiVersion: v1
kind: Pod
metadata:
  name: guarded
  annotations:
    mainstay.dev/backoff: 100ms..200ms
spec:
  hostNetwork: true
  terminationGracePeriodSeconds: 2
  containers:
  - name: main
    image: localhost/test:1
    imagePullPolicy: IfNotPresent
    command: ["{STAMPER}", "{self.stamps}", "{self.name}"]
    env: [{{name: EDIT, value: "{self.edits}"}}]
""")
        os.rename(self.agent.path("source.new"), self.agent.path("source.yaml"))

    def begin(self):
        if self.podmaster and self.podmaster.poll() is None:
            return
        with open(self.agent.path("podmaster.log"), "ab") as log:
            self.podmaster = subprocess.Popen(
                [self.program, "--etcd-servers", self.urls, "--key", "/torture", "--whoami", self.name,
                 "--source-file", self.agent.path("source.yaml"), "--dest-file",
                 os.path.join(self.agent.manifests, "guarded.yaml"), "--ttl", str(self.ttl),
                 "--stop-time", str(STOP), "--state-dir", self.state],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env)

    def begin_agent(self):
        if self.agent.process.poll() is not None:
            self.agent.start(wait=False)

    def pids(self, what):
        if what == "podmaster":
            return [self.podmaster.pid] if self.podmaster.poll() is None else []
        if what == "agent":
            return [self.agent.process.pid] if self.agent.process.poll() is None else []
        if what == "fence":
            return [p for p in processes_with(self.state) if command_of(p) == "podmaster-fence"]
        if what == "shim":
            return [p for p in shims_of(self.agent.dir) if command_of(p) == "mainstay-shim"]
        return [p for p in processes_with(f"{self.stamps}\0{self.name}") if command_of(p) == "stamper"]

    def kill(self, *whats):
        for what in whats:
            send(self.pids(what), signal.SIGKILL)
        if "podmaster" in whats:
            self.podmaster.wait(WAIT_SECONDS)
        if "agent" in whats:
            self.agent.process.wait(WAIT_SECONDS)

    def listen(self):
        """As a service manager does: an agent whose words nobody takes would wait some day."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self.agent.notify.recv(65536, socket.MSG_DONTWAIT)

    def log(self):
        with open(self.agent.path("podmaster.log"), errors="replace") as f:
            return f.read()[-3000:]

    def close(self):
        for what in ("podmaster", "agent", "fence", "shim", "component"):
            send(self.pids(what), signal.SIGCONT)
        self.kill("podmaster")
        self.kill("fence")
        if self.agent.process.poll() is not None:
            self.agent.start()
        self.agent.close()


class Torture:
    """What is done to them, and undone later: a queue of the latter by time."""

    # Stopped together for a while. The shim and the fence are two lines: one of them is left alone.
    STOPS = (("podmaster",), ("agent",), ("podmaster", "agent"), ("component",), ("fence",), ("shim",),
             ("podmaster", "fence", "agent"), ("podmaster", "shim", "agent"), ("podmaster", "component"))
    KILLS = (("podmaster",), ("agent",), ("podmaster", "agent"), ("podmaster", "fence"), ("fence",),
             ("shim",), ("component",), ("podmaster", "fence", "agent"))

    def __init__(self, seed, program):
        self.random = random.Random(seed)
        self.stamps = tempfile.mkdtemp(prefix="mainstay-torture-")
        self.etcd, self.relays, self.nodes = None, None, []
        self.program = program
        self.later, self.count = [], 0
        self.busy, self.done = set(), collections.Counter()
        self.deletions = []

    def begin(self):
        self.etcd = Etcd()
        self.relays = Relays()
        for name in ("m1", "m2", "m3", "m4", "m5"):
            self.nodes.append(Node(name, self.program, self.relays, self.etcd, self.stamps))

    def close(self):
        for node in self.nodes:
            node.close()
        for deletion in self.deletions:
            deletion.kill()
            deletion.wait()
        if self.relays:
            self.relays.close()
        if self.etcd:
            self.etcd.close()
        shutil.rmtree(self.stamps, ignore_errors=True)

    def span(self):
        return self.random.uniform(0, 1) ** 2 * 2.5 * TTL

    def undo(self, who, action):
        self.busy.add(who)
        self.count += 1
        span = self.span() / (2 if who == "etcd" else 1)
        heapq.heappush(self.later, (time.monotonic() + span, self.count, who, action))

    def heal(self, everything=False):
        while self.later and (everything or self.later[0][0] <= time.monotonic()):
            _, _, who, action = heapq.heappop(self.later)
            action()
            self.busy.discard(who)

    def stop(self, node):
        whats = self.random.choice(self.STOPS)
        pids = [pid for what in whats for pid in node.pids(what)]
        send(pids, signal.SIGSTOP)
        if self.random.random() < 0.3:
            self.relays.block(node.name, True)
        self.undo(node.name, lambda: (send(pids, signal.SIGCONT), self.relays.block(node.name, False)))
        return "stop " + "+".join(whats)

    def kill(self, node):
        whats = self.random.choice(self.KILLS)
        node.kill(*whats)
        self.undo(node.name, lambda: (node.begin_agent(), node.begin()))
        return "kill " + "+".join(whats)

    def cut_off(self, node):
        self.relays.block(node.name, True)
        self.undo(node.name, lambda: self.relays.block(node.name, False))
        return "cut off"

    def tell_to_stop(self, node):
        """A second later it is killed, if it is not gone: in the middle of handing over, perhaps."""
        send(node.pids("podmaster"), signal.SIGTERM)
        if self.random.random() < 0.3:
            send(node.pids("agent"), signal.SIGSTOP)
        self.undo(node.name, lambda: (node.kill("podmaster"), send(node.pids("agent"), signal.SIGCONT),
                                      node.begin()))
        return "SIGTERM"

    def change(self, node):
        what = self.random.choice(("edit", "clock", "manifest"))
        if what == "edit":
            node.edit()
        elif what == "clock":
            node.jump(self.random.randrange(-400 * DAY, 400 * DAY))
        else:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(node.agent.manifests, "guarded.yaml"))
        return what

    def delete_key(self, _):
        """As by hand. Nobody waits for it: etcd may not be there to do it, or does it later."""
        self.deletions.append(subprocess.Popen(
            self.etcd.command("del", "/torture"), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL))
        return "key deleted"

    def hurt_etcd(self):
        i = self.random.randrange(3)
        members = range(3) if self.random.random() < 0.2 else [i]
        if "etcd" in self.busy:
            return None
        if self.random.random() < 0.5:
            send([self.etcd.members[m].pid for m in members], signal.SIGSTOP)
            self.undo("etcd", lambda: send([self.etcd.members[m].pid for m in members], signal.SIGCONT))
            return f"stop {len(members)} etcd"
        for m in members:
            self.etcd.kill(m)
        self.undo("etcd", lambda: [self.etcd.start(m) for m in members])
        return f"kill {len(members)} etcd"

    def holder(self):
        alive = read_intervals(self.stamps)
        return alive[-1].node if alive else None

    def choose_node(self):
        """Most often the one that has it."""
        free = [node for node in self.nodes if node.name not in self.busy]
        if len(free) == 1 and self.random.random() < 0.7:
            return None  # so that somebody may have it
        holders = [node for node in free if node.name == self.holder()]
        if holders and self.random.random() < 0.6:
            return holders[0]
        return self.random.choice(free) if free else None

    def round(self):
        for each in self.nodes:
            each.listen()
        node = self.choose_node()
        action = self.random.choices(
            (self.stop, self.kill, self.cut_off, self.tell_to_stop, self.change, self.delete_key, None),
            (30, 25, 15, 12, 10, 4, 8))[0]
        said = self.hurt_etcd() if action is None else action(node) if node else None
        if said:
            self.done[said] += 1
        end = time.monotonic() + self.random.uniform(0.02, 0.35)
        while time.monotonic() < end:
            self.heal()
            next_at = min(end, self.later[0][0] if self.later else end)
            time.sleep(max(next_at - time.monotonic(), 0))
        return bool(said)

    def await_holder(self):
        """With nothing wrong any more, somebody has it: a stamp that is newer than now."""
        self.heal(everything=True)
        since = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        end = time.monotonic() + WAIT_SECONDS
        while max((i.end for i in read_intervals(self.stamps)), default=0) < since:
            if time.monotonic() > end:
                raise AssertionError("nobody has it:\n" + "\n\n".join(
                    f"{node.name}:\n{node.log()}\n{node.agent.agent_log()}" for node in self.nodes))
            time.sleep(0.02)

    def overlaps(self):
        return find_overlaps(read_intervals(self.stamps))

    def tell(self, seed):
        intervals = read_intervals(self.stamps)
        gap, handovers = shortest_handover(intervals)
        print(f"seed {seed}: {sum(self.done.values())} faults, {len(intervals)} instances, {handovers} "
              f"times on another node, at the soonest after {gap and round(gap)} ms")
        for what, times in sorted(self.done.items()):
            print(f"  {times:5} {what}", flush=True)


class NeverTwo(unittest.TestCase):
    def setUp(self):
        for program in ("etcd", "etcdctl"):
            if not shutil.which(program):
                self.skipTest(f"{program} is not installed")
        if os.geteuid() != 0:
            self.skipTest("needs root, for cgroups")
        self.seed = int(os.environ.get("MAINSTAY_SEED", random.randrange(1 << 30)))

    def torture(self, program):
        torture = Torture(self.seed, program)
        self.addCleanup(torture.close)
        torture.begin()
        torture.await_holder()
        return torture

    def test_never_two_holders(self):
        torture = self.torture(PODMASTER)
        print(f"MAINSTAY_SEED={self.seed}", flush=True)
        rounds = 0
        while rounds < ROUNDS:
            rounds += torture.round()
            if rounds % CALM_EVERY == CALM_EVERY - 1:
                rounds += 1
                torture.await_holder()
                self.assertEqual(torture.overlaps(), ([], []), f"MAINSTAY_SEED={self.seed}")
                if rounds % 600 == 0:
                    torture.tell(self.seed)
        torture.await_holder()
        torture.tell(self.seed)
        self.assertEqual(torture.overlaps(), ([], []), f"MAINSTAY_SEED={self.seed}")
        self.assertGreater(shortest_handover(read_intervals(torture.stamps))[1], 0)

    def test_the_checker_finds_a_broken_build(self):
        """The same with deadlines that are too late: the one that has it is cut off."""
        torture = self.torture(BROKEN)
        end = time.monotonic() + WAIT_SECONDS
        cut = torture.holder()
        torture.relays.block(cut, True)
        while not torture.overlaps()[0]:
            self.assertLess(time.monotonic(), end, "a build that is broken was not found")
            time.sleep(0.1)
        first, second = torture.overlaps()[0][0]
        self.assertEqual(first.node, cut)
        self.assertNotEqual(second.node, cut)


if __name__ == "__main__":
    main()
