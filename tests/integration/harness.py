"""A real agent in directories of its own, for integration, fault and end-to-end tests.

Everything is awaited: readiness through NOTIFY_SOCKET, pods and events through the watches of the
agent's API. A wait that is not answered within WAIT_SECONDS is a failure, not a delay.
"""

import contextlib
import http.client
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("MAINSTAY_BUILD", os.path.join(SOURCE, "build", "release"))
WAIT_SECONDS = float(os.environ.get("MAINSTAY_TEST_WAIT", "60"))

MAINSTAYD = os.path.join(BUILD, "mainstayd")
MAINSTAY = os.path.join(BUILD, "mainstay")
SHIM = os.path.join(BUILD, "mainstay-shim")
COMPONENT = os.path.join(BUILD, "tests", "component")


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=WAIT_SECONDS)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(WAIT_SECONDS)
        self.sock.connect(self.path)


def pod_yaml(name, command, extra="", container_extra="", image="localhost/test:1"):
    """A hostNetwork pod with one container, "main"."""
    lines = "\n".join("    - " + json.dumps(str(word)) for word in command)
    return f"""apiVersion: v1
kind: Pod
metadata:
  name: "{name}"
  namespace: default
spec:
  hostNetwork: true
  terminationGracePeriodSeconds: 2
{extra}  containers:
  - name: main
    image: {image}
    imagePullPolicy: IfNotPresent
{container_extra}    command:
{lines}
"""


class Agent:
    """One mainstayd with its own node name and directories below self.dir."""

    count = 0

    def __init__(self, *flags, node="node1", start=True, config=None):
        Agent.count += 1
        self.dir = tempfile.mkdtemp(prefix="mainstay-test-")
        os.chmod(self.dir, 0o755)
        self.node = node
        self.flags = list(flags)
        self.process = None
        self.manifests = self.path("manifests")
        os.mkdir(self.manifests)
        self.socket = self.path("run", "mainstay.sock")
        self.cgroup = f"mainstay-test-{os.getpid()}-{Agent.count}"
        self.notify_path = self.path("notify")
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(self.notify_path)
        self.env = {}
        self.program = MAINSTAYD
        if config:
            self.write("config.yaml", config)
            self.flags += ["--config", self.path("config.yaml")]
        if start:
            self.start()

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def write(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)
        return self.path(name)

    def command(self):
        return [self.program, "--pod-manifest-path", self.manifests, "--root-dir", self.path("root"),
                "--run-dir", self.path("run"), "--pod-log-dir", self.path("logs"),
                "--socket", self.socket, "--hostname-override", self.node, "--node-ip", "127.0.0.1",
                "--healthz-port", "0", "--cgroup-name", self.cgroup, "--shim", SHIM] + self.flags

    def start(self, wait=True, preexec=None):
        self.log = open(self.path("agent.log"), "ab")
        env = {**os.environ, "NOTIFY_SOCKET": self.notify_path, **self.env}
        self.process = subprocess.Popen(self.command(), stdout=self.log, stderr=self.log, env=env,
                                        stdin=subprocess.DEVNULL, preexec_fn=preexec)
        self.log.close()
        if wait:
            self.wait_ready()

    def wait_ready(self):
        """READY=1 of the process that was started last."""
        end = time.monotonic() + WAIT_SECONDS
        pidfd = os.pidfd_open(self.process.pid)
        try:
            while True:
                left = end - time.monotonic()
                ready, _, _ = select.select([self.notify, pidfd], [], [], max(left, 0))
                if self.notify in ready:
                    message = self.notify.recv(65536).decode()
                    if "READY=1" in message and f"MAINPID={self.process.pid}" in message:
                        return
                elif pidfd in ready:
                    raise AssertionError("the agent ended:\n" + self.agent_log())
                elif not ready:
                    raise AssertionError("the agent is not ready:\n" + self.agent_log())
        finally:
            os.close(pidfd)

    def agent_log(self):
        with open(self.path("agent.log"), errors="replace") as f:
            return f.read()[-6000:]

    def kill(self, number=signal.SIGKILL):
        self.process.send_signal(number)
        return self.process.wait(WAIT_SECONDS)

    def restart(self, number=signal.SIGKILL):
        self.kill(number)
        self.start()

    # ---- manifests ----

    def drop(self, name, text):
        """As an editor or `mv` does it: written beside, then renamed into place."""
        temporary = self.path("drop-" + name)
        with open(temporary, "w") as f:
            f.write(text)
        os.rename(temporary, os.path.join(self.manifests, name))

    def remove(self, name):
        os.unlink(os.path.join(self.manifests, name))

    # ---- the API ----

    def request(self, path, method="GET"):
        connection = UnixConnection(self.socket)
        connection.request(method, path)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, body.decode(errors="replace")

    def get(self, path):
        status, body = self.request(path)
        if status != 200:
            raise AssertionError(f"{path}: {status} {body}")
        return json.loads(body)

    def post(self, path):
        status, body = self.request(path, "POST")
        if status not in (200, 202):
            raise AssertionError(f"{path}: {status} {body}")

    def pods(self):
        return {p["metadata"]["name"]: p for p in self.get("/mainstay/v1/pods")["items"]}

    def pod(self, name):
        return self.pods()[f"{name}-{self.node}"]

    def events(self, reason=None, pod=None):
        items = self.get("/mainstay/v1/events")["items"]
        if pod:
            items = [e for e in items if e["involvedObject"].get("name") == f"{pod}-{self.node}"]
        return [e for e in items if reason is None or e["reason"] == reason]

    def watch(self, path):
        """Yields the JSON lines of a watch; the generator's end closes it."""
        connection = UnixConnection(self.socket)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            if answer.status != 200:
                raise AssertionError(f"{path}: {answer.status}")
            while True:
                line = answer.readline()
                if not line:
                    return
                yield json.loads(line)
        finally:
            connection.close()

    def wait(self, predicate, what):
        """Until predicate({pod name: Pod}) is true; returns what it returned."""
        pods = {}
        end = time.monotonic() + WAIT_SECONDS
        synced = False
        try:
            for news in self.watch("/mainstay/v1/pods?watch=true"):
                if news["type"] == "BOOKMARK":
                    synced = True
                elif news["type"] == "ERROR":
                    raise AssertionError(f"{what}: {news}")
                else:
                    name = news["object"]["metadata"]["name"]
                    pods.pop(name, None)
                    if news["type"] != "DELETED":
                        pods[name] = news["object"]
                result = predicate(pods) if synced else None
                if result:
                    return result
                if time.monotonic() > end:
                    break
        except socket.timeout:
            pass
        raise AssertionError(f"{what} did not happen:\n{json.dumps(summary(pods), indent=1)}\n"
                             + self.agent_log())

    def wait_event(self, reason, pod=None, after=0):
        path = f"/mainstay/v1/events?watch=true&after={after}"
        try:
            for event in self.watch(path):
                name = event["involvedObject"].get("name")
                if event["reason"] == reason and pod in (None, (name or "").rsplit("-", 1)[0]):
                    return event
        except socket.timeout:
            pass
        raise AssertionError(f"no event {reason} for {pod}:\n" + self.agent_log())

    def wait_event_of(self, reasons):
        try:
            for event in self.watch("/mainstay/v1/events?watch=true&after=0"):
                if event["reason"] in reasons:
                    return event
        except socket.timeout:
            pass
        raise AssertionError(f"none of {reasons}:\n" + self.agent_log())

    def wait_ready_pod(self, name, restarts=None):
        full = f"{name}-{self.node}"

        def ready(pods):
            pod = pods.get(full)
            if not pod or not is_ready(pod):
                return None
            if restarts is not None and container(pod)["restartCount"] < restarts:
                return None
            return pod
        return self.wait(ready, f"pod {name} ready" + (f" after restart {restarts}" if restarts else ""))

    def wait_gone(self, name):
        self.wait(lambda pods: f"{name}-{self.node}" not in pods or None, f"pod {name} gone")

    def last_event(self):
        return self.get("/mainstay/v1/status")["lastEvent"]

    def cli(self, *arguments, check=False, **options):
        env = dict(os.environ, MAINSTAY_SOCKET=self.socket)
        return subprocess.run([MAINSTAY, *arguments], env=env, capture_output=True, text=True,
                              timeout=WAIT_SECONDS, check=check, stdin=subprocess.DEVNULL, **options)

    def log_text(self, pod):
        """All log lines of all runs of a pod's "main" container: the text after the CRI header."""
        directory = None
        for name in os.listdir(self.path("logs")):
            if name.startswith(f"default_{pod}-{self.node}_"):
                directory = self.path("logs", name, "main")
        lines = []
        if directory:
            for name in sorted(os.listdir(directory), key=log_order):
                with open(os.path.join(directory, name), errors="replace") as f:
                    lines += [line.split(" ", 3)[3].rstrip("\n") for line in f if line.count(" ") >= 3]
        return lines

    # ---- the end ----

    def close(self):
        """Stops pods and agent, and leaves nothing behind."""
        orderly = False
        try:
            if self.process and self.process.poll() is None:
                self.post("/mainstay/v1/stop-all?exit=true")
                status = self.process.wait(WAIT_SECONDS)
                if status != 0:  # a sanitizer's finding, for one
                    raise AssertionError(f"the agent exited with {status}:\n" + self.agent_log())
                orderly = True  # what it left behind is its own mistake
        finally:
            if self.process and self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            kill_leftovers(self.dir)
            kill_shims(self.dir)
            if not orderly:
                unmount_below(self.dir)
            self.notify.close()
            shutil.rmtree(self.dir, ignore_errors=True)


def unmount_below(directory):
    """What an agent that was killed keeps for the next one."""
    with open("/proc/self/mountinfo") as f:
        points = [line.split()[4] for line in f]
    for point in reversed(points):
        if point.startswith(directory + "/"):
            subprocess.run(["umount", "-l", point], check=False, stderr=subprocess.DEVNULL)


def free_ports(n):
    """TCP ports that nobody listens on at the moment."""
    sockets = [socket.socket() for _ in range(n)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def log_order(name):
    """0.log.20261121-070000 before 0.log before 1.log"""
    number = int(name.split(".", 1)[0])
    rotated = name.split(".log.", 1)
    return (number, 0, rotated[1]) if len(rotated) == 2 else (number, 1, "")


def summary(pods):
    return {name: (p["mainstay"]["state"], [(c["name"], c["state"], c.get("pid"))
                                            for c in p["mainstay"]["containers"]])
            for name, p in pods.items()}


def container(pod, name="main"):
    return next(c for c in pod["mainstay"]["containers"] if c["name"] == name)


def pid_of(pod, name="main"):
    return container(pod, name)["pid"]


def is_ready(pod):
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"]["conditions"])


def status_of(pod, name="main"):
    return next(c for c in pod["status"]["containerStatuses"] if c["name"] == name)


def processes_with(text):
    """PIDs whose command line contains the text."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            with open(f"/proc/{name}/cmdline", "rb") as f:
                if text.encode() in f.read():
                    found.append(int(name))
        except OSError:
            pass
    return found


def kill_leftovers(text):
    for pid in processes_with(text):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def links_of(pid):
    """What the process's descriptors name; one may be closed while this looks."""
    links = []
    with contextlib.suppress(OSError):
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                links.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
    return links


def shims_of(directory):
    """PIDs of the shims that keep files below the directory open; their command lines do not tell.
    Not the one that waits for the next start."""
    found = set(processes_with("mainstay-shim")) - set(processes_with("mainstay-shim\0--wait"))
    return [pid for pid in sorted(found) if any(link.startswith(directory + "/") for link in links_of(pid))]


def kill_shims(directory):
    for shim in shims_of(directory):
        with contextlib.suppress(OSError):
            with open(f"/proc/{shim}/task/{shim}/children") as f:
                for pid in [*map(int, f.read().split()), shim]:
                    os.kill(pid, signal.SIGKILL)


def wait_process_gone(pid):
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        ready, _, _ = select.select([pidfd], [], [], WAIT_SECONDS)
        if not ready:
            raise AssertionError(f"process {pid} lives on")
    finally:
        os.close(pidfd)


def children(pid):
    """{PID: its state, such as Z}, of a process that has one thread."""
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        found = f.read().split()
    states = {}
    for child in found:
        try:
            with open(f"/proc/{child}/stat") as f:
                states[int(child)] = f.read().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            pass
    return states


def wait_no_zombies(pid):
    """Nothing tells when a zombie is reaped, so this asks again and again."""
    end = time.monotonic() + WAIT_SECONDS
    while "Z" in children(pid).values():
        if time.monotonic() > end:
            raise AssertionError(f"zombies are left: {children(pid)}")
        time.sleep(0.02)


class AgentTest(unittest.TestCase):
    """self.agent() makes agents that are closed after the test."""

    maxDiff = None

    def agent(self, *flags, **options):
        agent = Agent(*flags, **options)
        self.addCleanup(agent.close)
        return agent


class Result(unittest.TextTestResult):
    def startTest(self, test):
        super().startTest(test)
        self.stream.flush()


def main():
    """Runs the tests of the calling file and ends with a line that tests/run counts."""
    program = unittest.main(module="__main__", exit=False, verbosity=2,
                            testRunner=unittest.TextTestRunner(verbosity=2, resultclass=Result))
    result = program.result
    failed = len(result.failures) + len(result.errors)
    passed = result.testsRun - failed - len(result.skipped)
    for test, reason in result.skipped:
        print(f"skipped: {test}: {reason}")
    print(f"{passed} passed, {failed} failed, {len(result.skipped)} skipped")
    sys.exit(1 if failed else 0)
