"""The command `mainstay` against a fake agent: outputs, exit statuses, and what it asks.

The fake is a small HTTP server on a unix socket that serves canned JSON, so that every state of an
agent can be shown, also those that are hard to bring about.
"""

import copy
import json
import os
import pty
import queue
import select
import shutil
import socket
import socketserver
import struct
import subprocess
import sys
import tempfile
import threading
import unittest
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

import harness

WAIT = harness.WAIT_SECONDS
NODE = "n1"


def pod(name, ready=True, namespace="kube-system", file=None, **extension):
    """A Pod as the agent serves it."""
    full = f"{name}-{NODE}"
    state = {"running": {"startedAt": "2026-11-21T06:00:00Z"}} if ready else {
        "waiting": {"reason": "CrashLoopBackOff", "message": "back-off 20s restarting main"}}
    return {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": full, "namespace": namespace, "uid": "u-" + name,
                     "creationTimestamp": "2026-11-21T06:00:00Z", "labels": {"component": name}},
        "spec": {"nodeName": NODE, "hostNetwork": True,
                 "containers": [{"name": "main", "image": f"registry.k8s.io/{name}:1",
                                 "command": [name, "--flag"]}],
                 "initContainers": []},
        "status": {"phase": "Running", "podIP": "10.0.0.1", "startTime": "2026-11-21T06:00:00Z",
                   "qosClass": "BestEffort",
                   "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
                   "containerStatuses": [{
                       "name": "main", "ready": ready, "restartCount": 0 if ready else 3,
                       "state": state, "lastState": {} if ready else {"terminated": {
                           "exitCode": 1, "reason": "Error", "finishedAt": "2026-11-21T06:00:00Z"}}}]},
        "mainstay": dict({"state": "Running", "file": file or f"/m/{name}.yaml", "hash": "h-" + name,
                          "held": False, "removing": False, "successor": None, "reason": None,
                          "message": None, "manifest": None,
                          "containers": [{"name": "main", "init": False, "state": "Running",
                                          "pid": 4242, "restartCount": 0, "shimSocket": None}]},
                         **extension),
    }


def manifest(file, *pods, state="Accepted", **more):
    return dict({"file": file, "state": state, "sha256": "0" * 64, "changedAt": "2026-11-21T06:00:00Z",
                 "findings": [], "conflictWith": None, "lastGood": True,
                 "pods": [{"namespace": p["metadata"]["namespace"], "name": p["metadata"]["name"],
                           "uid": p["metadata"]["uid"]} for p in pods]}, **more)


def event(number, reason, message, name="etcd", kind="Normal"):
    return {"kind": "Event", "apiVersion": "v1", "reason": reason, "message": message, "type": kind,
            "count": number, "firstTimestamp": "2026-11-21T06:00:00Z",
            "lastTimestamp": "2026-11-21T06:10:00Z", "source": {"component": "mainstayd"},
            "metadata": {"name": f"e{number}", "namespace": "kube-system", "resourceVersion": str(number)},
            "involvedObject": {"kind": "Pod", "name": f"{name}-{NODE}", "namespace": "kube-system"},
            "mainstay": {"id": number, "container": None, "file": None}}


class Watches:
    """The open watches of one kind: each is a queue of the lines that its command gets; None ends it."""

    def __init__(self):
        self.opened = queue.Queue()
        self.all = []

    def open(self):
        news = queue.Queue()
        self.all.append(news)
        self.opened.put(news)
        return news

    def next(self):
        """The queue of the next watch that a command opens."""
        return self.opened.get(timeout=WAIT)

    def end_all(self):
        for news in self.all:
            news.put(None)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def reply(self, code, body, kind="application/json"):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def fail(self, code, message):
        self.reply(code, {"kind": "Status", "status": "Failure", "message": message, "code": code})

    def stream(self, first, watches):
        """Lines as chunks: the first ones, then what the test puts into the watch's queue."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for line in first:
            self.chunk(json.dumps(line).encode() + b"\n")
        news = watches.open()
        for line in iter(news.get, None):
            self.chunk(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n")
        self.chunk(b"")

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def find(self, namespace, name):
        for p in self.server.fake.pods:
            if namespace in ("-", p["metadata"]["namespace"]) and \
                    p["metadata"]["name"] in (name, f"{name}-{NODE}"):
                return p
        return None

    def do_GET(self):
        fake = self.server.fake
        url = urlsplit(self.path)
        query = parse_qs(url.query)
        watch = "watch" in query
        fake.requests.append("GET " + self.path)
        parts = url.path.strip("/").split("/")
        if url.path in fake.answers:
            self.reply(*fake.answers[url.path])
        elif url.path == "/mainstay/v1/status":
            self.reply(200, fake.status)
        elif url.path == "/mainstay/v1/pods" and watch:
            self.stream([{"type": "ADDED", "object": p} for p in fake.pods] + [{"type": "BOOKMARK"}],
                        fake.pod_watches)
        elif url.path == "/mainstay/v1/pods":
            self.reply(200, {"kind": "PodList", "apiVersion": "v1", "items": fake.pods})
        elif url.path.startswith("/mainstay/v1/pods/"):
            found = self.find(parts[3], parts[4])
            self.reply(200, found) if found else self.fail(404, f'pods "{parts[4]}" not found')
        elif url.path == "/mainstay/v1/events" and watch:
            self.stream(fake.events, fake.event_watches)
        elif url.path == "/mainstay/v1/events":
            items = [e for e in fake.events
                     if query.get("pod", [e["involvedObject"]["name"]])[0] == e["involvedObject"]["name"]]
            self.reply(200, {"kind": "EventList", "apiVersion": "v1", "items": items,
                             "metadata": {"resourceVersion": str(len(fake.events))}})
        elif url.path == "/mainstay/v1/manifests" and watch:
            self.stream([{"type": "ADDED", "object": m} for m in fake.manifests] + [{"type": "BOOKMARK"}],
                        fake.manifest_watches)
        elif url.path == "/mainstay/v1/manifests":
            self.reply(200, {"items": fake.manifests})
        elif url.path.startswith("/containerLogs/"):
            self.logs(parts, query)
        else:
            self.fail(404, "no such path")

    def logs(self, parts, query):
        fake = self.server.fake
        text = fake.logs.get(tuple(parts[1:4]))
        if text is None:
            self.fail(400, f"container {parts[3]} has no log")
        elif "follow" in query:
            self.stream([], fake.log_watches)
        else:
            self.reply(200, text, "text/plain")

    def do_POST(self):
        fake = self.server.fake
        fake.requests.append("POST " + self.path)
        parts = urlsplit(self.path).path.strip("/").split("/")
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if parts[2] == "pods" and not self.find(parts[3], parts[4]):
            self.fail(404, f'pods "{parts[4]}" not found')
        else:
            self.reply(202, {"message": f"{parts[-1]} it is"})


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 64

    def get_request(self):
        connection, _ = super().get_request()
        return connection, ("local", 0)

    def handle_error(self, request, client_address):
        """A command may hang up in the middle of an answer; anything else is a fault of the fake."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class FakeAgent:
    def __init__(self, directory):
        self.manifest_dir = os.path.join(directory, "m")
        os.mkdir(self.manifest_dir)
        self.socket = os.path.join(directory, "sock")
        self.etcd = pod("etcd", file=self.file("etcd.yaml"))
        self.web = pod("web", namespace="default", file=self.file("web.yaml"))
        self.pods = [self.etcd, self.web]
        self.manifests = [manifest(self.file("etcd.yaml"), self.etcd),
                          manifest(self.file("web.yaml"), self.web)]
        self.events = [event(1, "Started", "started container main"),
                       event(3, "BackOff", "back-off 20s", kind="Warning")]
        self.logs = {}
        self.answers = {}
        self.requests = []
        self.pod_watches, self.event_watches = Watches(), Watches()
        self.manifest_watches, self.log_watches = Watches(), Watches()
        self.status = {
            "version": "0.1.0", "pid": 812, "node": NODE, "nodeIP": "10.0.0.1",
            "startedAt": "2026-11-21T06:00:00Z", "uptimeSeconds": 5, "synced": True, "live": True,
            "ready": True, "unhealthy": None, "adopted": 0,
            "directories": {"manifests": self.manifest_dir, "root": "/r", "run": "/run/m",
                            "podLogs": "/l"},
            "manifestsPresent": True, "socket": self.socket, "healthz": "127.0.0.1:10248",
            "watchers": [{"name": "systemd", "detail": "watchdog every 30s"}], "health": [],
            "cgroups": "v2 at /sys/fs/cgroup", "limitations": ["no CAP_SYS_RESOURCE"],
            "counts": {"pods": 2, "accepted": 2, "refused": 0, "conflict": 0}, "lastEvent": 3}
        self.server = Server(self.socket, Handler)
        self.server.fake = self
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def file(self, name):
        return os.path.join(self.manifest_dir, name)

    def close(self):
        for watches in (self.pod_watches, self.event_watches, self.manifest_watches, self.log_watches):
            watches.end_all()
        self.server.shutdown()
        self.server.server_close()


class CliTest(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="mainstay-cli-")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.fake = FakeAgent(self.dir)
        self.addCleanup(self.fake.close)
        self.env = dict(os.environ, MAINSTAY_SOCKET=self.fake.socket, TZ="UTC")
        self.env.pop("NO_COLOR", None)

    def run_cli(self, *arguments, status=0, stdin="", env=None):
        done = subprocess.run([harness.MAINSTAY, *arguments], env=env or self.env, text=True,
                              capture_output=True, timeout=WAIT, input=stdin)
        self.assertEqual(done.returncode, status, f"{arguments}: {done.stdout}{done.stderr}")
        return done

    def out(self, *arguments, **options):
        return self.run_cli(*arguments, **options).stdout

    def err(self, *arguments, **options):
        return self.run_cli(*arguments, **options).stderr

    def start(self, *arguments, **options):
        process = subprocess.Popen([harness.MAINSTAY, *arguments], env=self.env, text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   stdin=subprocess.DEVNULL, **options)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def write(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, "w") as f:
            f.write(text)
        return path


def manifest_text(name="web", namespace="default", flag="--flag"):
    return (f"apiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\n  namespace: {namespace}\n"
            f"spec:\n  hostNetwork: true\n  containers:\n  - name: main\n    image: registry.k8s.io/x:1\n"
            f"    command: [\"{name}\", \"{flag}\"]\n")


class Usage(CliTest):
    def test_help_is_there_for_every_command(self):
        overview = self.out()
        self.assertEqual(overview, self.out("help"))
        self.assertEqual(overview, self.out("--help"))
        commands = [line.split()[0] for line in overview.splitlines()
                    if line.startswith("  ") and not line.startswith("  mainstay")]
        self.assertIn("get", commands)
        self.assertGreaterEqual(len(commands), 20)
        for name in commands:
            text = self.out(name, "--help")
            self.assertIn(f"mainstay {name}", text)
            self.assertIn("Examples:" if name not in ("init", "render") else "Usage:", text)
            self.assertEqual(text, self.out("help", name))

    def test_wrong_usage_names_the_nearest(self):
        self.assertIn('did you mean "get"?', self.err("gte", "pods", status=2))
        self.assertIn("did you mean --watch?", self.err("get", "pods", "--wacth", status=2))
        self.assertIn('did you mean "pods"?', self.err("get", "pots", status=2))
        self.assertIn('did you mean "yaml"?', self.err("get", "pods", "-o", "yml", status=2))
        self.assertIn("See `mainstay get --help`", self.err("get", "pods", "-x", status=2))
        for words in (["get"], ["logs"], ["exec", "web"], ["exec", "web", "ls"], ["stop"], ["delete"],
                      ["apply"], ["diff"], ["validate"], ["wait"], ["wait", "web", "--for=tea"],
                      ["describe"], ["describe", "node", "n1"], ["explain"], ["completion", "fish"],
                      ["logs", "web", "-f", "-p"], ["stop", "--all", "web"], ["get", "nodes", "-w"],
                      ["logs", "web", "--since-time", "yesterday"], ["status", "web"],
                      ["get", "pods", "-l", "a b"], ["get", "pods", "-o", "jsonpath={"]):
            self.assertIn("error: ", self.err(*words, status=2))

    def test_flags_may_stand_before_the_command(self):
        self.assertEqual(self.out("-n", "default", "get", "pods", "-o", "name"), "pod/web-n1\n")
        env = dict(self.env)
        env.pop("MAINSTAY_SOCKET")
        self.assertIn("web-n1", self.out("--socket", self.fake.socket, "get", "pods", env=env))

    def test_unreachable_agent(self):
        nowhere = os.path.join(self.dir, "nowhere")
        text = self.err("get", "pods", "--socket", nowhere, status=3)
        self.assertIn(f"cannot reach the agent at {nowhere}", text)
        self.assertIn("systemctl status mainstayd", text)
        left = socket.socket(socket.AF_UNIX)
        left.bind(os.path.join(self.dir, "left"))
        left.close()
        text = self.err("status", "--socket", os.path.join(self.dir, "left"), status=3)
        self.assertIn("not running", text)
        for words in (["describe", "pod", "web"], ["logs", "web"], ["stop", "web"], ["wait", "web"],
                      ["exec", "web", "--", "ls"], ["delete", "web"], ["version"], ["status", "-w"],
                      ["get", "events", "-w"]):
            self.run_cli(*words, "--socket", nowhere, status=3) if "--" not in words else \
                self.run_cli("--socket", nowhere, *words, status=3)

    @unittest.skipUnless(os.geteuid() == 0, "becomes another user")
    def test_an_ordinary_users_own_agent_is_found(self):
        os.chmod(self.dir, 0o755)
        os.chmod(self.fake.socket, 0o777)
        for variable, below in (("XDG_RUNTIME_DIR", "mainstay"), ("HOME", ".local/state/mainstay/run")):
            base = os.path.join(self.dir, variable)
            os.makedirs(os.path.join(base, below))
            os.symlink(self.fake.socket, os.path.join(base, below, "mainstay.sock"))
            program = shutil.copy(harness.MAINSTAY, self.dir)
            done = subprocess.run([program, "get", "pods", "-o", "name"], user=65534, group=65534,
                                  env={variable: base}, capture_output=True, text=True, timeout=WAIT,
                                  cwd="/", extra_groups=[])
            self.assertEqual(done.stdout, "pod/etcd-n1\npod/web-n1\n", done.stderr)

    def test_an_agent_that_is_not_ours(self):
        self.fake.answers["/mainstay/v1/pods"] = (200, b"<html>")
        self.assertIn("no JSON", self.err("get", "pods", status=1))
        self.fake.answers["/mainstay/v1/pods"] = (500, {"message": "out of order"})
        self.assertIn("out of order", self.err("get", "pods", status=1))
        self.fake.answers["/mainstay/v1/pods"] = (503, b"")
        self.assertIn("HTTP status 503", self.err("get", "pods", status=1))

    def test_version(self):
        self.assertIn("mainstayd 0.1.0 (node n1", self.out("version"))
        self.assertIn("clientVersion", json.loads(self.out("version", "-o", "json")))
        self.assertEqual(len(self.out("version", "--client").splitlines()), 1)

    def test_completion(self):
        self.assertIn("complete -F _mainstay mainstay", self.out("completion", "bash"))
        self.assertIn("#compdef mainstay", self.out("completion", "zsh"))

        def words(*typed):
            lines = self.out("__complete", "--", *typed).splitlines()
            return [line.split("\t")[0] for line in lines]
        self.assertEqual(words("des"), ["describe"])
        self.assertEqual(words("get", "p"), ["pods"])
        self.assertEqual(words("logs", "e"), ["etcd-n1"])
        self.assertEqual(words("logs", "--fol"), ["--follow"])
        self.assertEqual(words("get", "pods", "-o", "j"), ["json", "jsonpath=", ":nospace"])
        self.assertEqual(words("get", "pods", "-n", ""), ["kube-system", "default"])
        self.assertEqual(words("wait", "web", "--for", "=", "r"), ["ready"])
        self.assertEqual(words("wait", "web", "--for", "="), ["ready", "gone", "applied"])
        self.assertEqual(words("apply", "x"), [":files"])
        self.assertIn("status", words(""))
        self.assertIn("etcd-n1\tRunning", self.out("__complete", "--", "logs", ""))


class Get(CliTest):
    def test_columns(self):
        lines = self.out("get", "pods").splitlines()
        self.assertEqual(lines[0].split(), ["NAME", "READY", "STATUS", "RESTARTS", "AGE"])
        self.assertEqual(lines[1].split()[:4], ["etcd-n1", "1/1", "Running", "0"])
        self.assertNotIn("\033", "".join(lines))
        self.fake.pods.reverse()
        self.assertEqual([line.split()[0] for line in self.out("get", "pods").splitlines()],
                         ["NAME", "etcd-n1", "web-n1"])
        by_namespace = self.out("get", "pods", "-A").splitlines()
        self.assertEqual([line.split()[0] for line in by_namespace[1:]], ["default", "kube-system"])
        wide = self.out("get", "po", "-A", "-o", "wide").splitlines()
        self.assertEqual(wide[0].split(), ["NAMESPACE", "NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP",
                                           "NODE", "PID", "MANIFEST"])
        self.assertIn("4242", wide[1])
        self.assertNotIn("NAME", self.out("get", "pods", "--no-headers"))
        self.assertIn("component=etcd", self.out("get", "pods", "--show-labels"))

    def test_names_namespaces_labels(self):
        self.assertEqual(self.out("get", "pods", "etcd", "-o", "name"), "pod/etcd-n1\n")
        self.assertEqual(self.out("get", "pod/web", "-o", "name"), "pod/web-n1\n")
        self.assertEqual(self.out("get", "pods", "-n", "default", "-o", "name"), "pod/web-n1\n")
        self.assertEqual(self.out("get", "pods", "-l", "component!=web", "-o", "name"), "pod/etcd-n1\n")
        self.assertIn('pod "nope" not found', self.err("get", "pods", "nope", "web", status=1))
        self.assertIn("No pods found in namespace x", self.err("get", "pods", "-n", "x"))

    def test_formats(self):
        self.assertEqual(json.loads(self.out("get", "pods", "-o", "json"))["items"][0], self.fake.etcd)
        self.assertEqual(json.loads(self.out("get", "pod", "web", "-o", "json")), self.fake.web)
        self.assertIn("kind: PodList", self.out("get", "pods", "-o", "yaml"))
        self.assertEqual(self.out("get", "pods", "-o", "jsonpath={.items[*].metadata.name}"),
                         "etcd-n1 web-n1")
        template = "{range .items[*]}{.metadata.name}={.spec.containers[0].image}{\"\\n\"}{end}"
        self.assertEqual(self.out("get", "pods", "-o", "jsonpath=" + template),
                         "etcd-n1=registry.k8s.io/etcd:1\nweb-n1=registry.k8s.io/web:1\n")
        self.assertEqual(self.out("get", "pods", "-o", "custom-columns=N:.metadata.name,X:.nothing"),
                         "N         X\netcd-n1   <none>\nweb-n1    <none>\n")

    def test_a_crashing_pod(self):
        self.fake.pods[0] = pod("etcd", ready=False)
        line = self.out("get", "pods", "etcd").splitlines()[1]
        self.assertIn("0/1", line)
        self.assertIn("CrashLoopBackOff", line)
        self.assertRegex(line, r"3 \([0-9a-z]+ ago\)|3 \(<invalid> ago\)")

    def test_refusals_are_seen(self):
        text = "/m/etcd.yaml:4:9: spec.containers[0].imag: unknown field \"imag\""
        finding = {"severity": "error", "line": 4, "column": 9, "path": "spec.containers[0].imag",
                   "message": "unknown field \"imag\"", "text": text}
        self.fake.pods[0]["mainstay"]["manifest"] = {"state": "Refused", "findings": [finding]}
        self.fake.manifests[0].update(state="Refused", findings=[finding])
        done = self.run_cli("get", "pods")
        self.assertIn("Running,Refused", done.stdout)
        self.assertIn(text, done.stderr)
        table = self.out("get", "manifests")
        self.assertIn("4:9: spec.containers[0].imag: unknown field", table)
        self.assertIn(text, self.out("status"))
        self.assertIn(text, self.out("describe", "pod", "etcd"))

    def test_events_and_nodes(self):
        lines = self.out("get", "events").splitlines()
        self.assertEqual(lines[0].split()[:2], ["LAST", "SEEN"])
        self.assertIn("(x3 over", lines[2])
        self.assertIn("pod/etcd-n1", lines[2])
        node = self.out("get", "nodes", "-o", "wide").splitlines()[1].split()
        self.assertEqual(node[:3], ["n1", "Ready", "2"])
        self.assertEqual(node[-1], "10.0.0.1")

    def test_watch(self):
        process = self.start("get", "pods", "-w")
        for expected in ("NAME", "etcd-n1", "web-n1"):
            self.assertTrue(process.stdout.readline().startswith(expected))
        changed = copy.deepcopy(self.fake.web)
        changed["status"]["containerStatuses"][0]["ready"] = False
        news = self.fake.pod_watches.next()
        news.put({"type": "MODIFIED", "object": changed})
        self.assertEqual(process.stdout.readline().split()[:2], ["web-n1", "0/1"])
        news.put({"type": "ERROR", "object": {"message": "too slow"}})
        self.assertEqual(process.wait(WAIT), 1)
        self.assertIn("too slow", process.stderr.read())

    def test_watch_ends_with_the_agent(self):
        process = self.start("get", "events", "-w", "-o", "jsonpath={.reason}")
        self.assertEqual(process.stdout.readline(), "Started\n")
        self.fake.event_watches.next().put(None)
        self.assertEqual(process.wait(WAIT), 3)

    def test_text_from_pods_does_not_drive_the_terminal(self):
        self.fake.events.append(event(4, "Evil", "\033]0;title\007\033[2J"))
        self.assertNotIn("\033", self.out("get", "events"))
        self.assertIn("\\x1b]0;title", self.out("describe", "pod", "etcd"))


class Look(CliTest):
    def test_describe(self):
        text = self.out("describe", "pod", "etcd")
        for expected in ("Name:             etcd-n1", "Manifest:", "PID:          4242", "State:        Running",
                         "Events:", "BackOff"):
            self.assertIn(expected, text)
        self.assertEqual(text, self.out("describe", "pod/etcd"))
        self.assertIn('pods "nope" not found', self.err("describe", "pod", "nope", status=1))

    def test_logs(self):
        self.fake.logs[("default", "web-n1", "main")] = b"one\ntwo"
        self.assertEqual(self.out("logs", "web"), "one\ntwo")
        self.assertEqual(self.out("logs", "web", "--prefix"), "[pod/web-n1/main] one\n[pod/web-n1/main] two\n")
        self.out("logs", "pod/web", "-c", "main", "-p", "--tail", "5", "--since", "1500ms", "--timestamps",
                 "--limit-bytes", "10")
        self.assertEqual(self.fake.requests[-1], "GET /containerLogs/default/web-n1/main?previous=true"
                         "&timestamps=true&tailLines=5&limitBytes=10&sinceSeconds=2")
        self.assertIn("it has: main", self.err("logs", "web", "-c", "x", status=1))
        self.assertIn("has no log", self.err("logs", "etcd", status=1))

    def test_logs_of_several_containers(self):
        self.fake.web["spec"]["containers"].append({"name": "side", "image": "x"})
        self.fake.logs[("default", "web-n1", "main")] = b"one\n"
        self.fake.logs[("default", "web-n1", "side")] = b"two\n"
        done = self.run_cli("logs", "web")
        self.assertEqual(done.stdout, "one\n")
        self.assertIn('Defaulted container "main" out of: main side', done.stderr)
        self.assertEqual(self.out("logs", "web", "--all-containers"), "one\ntwo\n")
        self.assertEqual(self.out("logs", "web", "side"), "two\n")

    def test_logs_follow(self):
        self.fake.logs[("default", "web-n1", "main")] = b""
        process = self.start("logs", "web", "-f")
        news = self.fake.log_watches.next()
        news.put(b"part of a ")
        self.assertEqual(process.stdout.read(10), "part of a ")
        news.put(b"line\n")
        self.assertEqual(process.stdout.readline(), "line\n")
        news.put(None)
        self.assertEqual(process.wait(WAIT), 0)

    def test_status(self):
        text = self.out("status")
        for expected in ("mainstayd 0.1.0 on node n1 (10.0.0.1), pid 812", "ready", "systemd (watchdog every 30s)",
                         "(2 accepted)", "http://127.0.0.1:10248/healthz", "etcd-n1", "no CAP_SYS_RESOURCE"):
            self.assertIn(expected, text)
        self.assertNotIn("Advice", text)
        self.assertEqual(self.out("status", "-o", "jsonpath={.counts.pods}"), "2")
        self.fake.status.update(watchers=[], live=False, unhealthy="source",
                                health=[{"name": "source", "ok": False, "message": "silent for 45s"}])
        text = self.out("status", status=1)
        for expected in ("not well (source)", "source: silent for 45s", "nobody", "Advice"):
            self.assertIn(expected, text)

    def test_status_watch_without_a_terminal(self):
        process = self.start("status", "--watch")
        lines = [process.stdout.readline() for _ in range(4)]
        self.assertTrue(any("pod/etcd-n1 Running 1/1 restarts=0" in line for line in lines), lines)
        self.fake.pod_watches.next().put({"type": "DELETED", "object": self.fake.etcd})
        self.assertIn("pod/etcd-n1 Gone", process.stdout.readline())
        process.terminate()
        self.assertEqual(process.wait(WAIT), 0)

    def test_status_watch_on_a_terminal(self):
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        process = subprocess.Popen([harness.MAINSTAY, "status", "--watch"], stdin=slave, stdout=slave,
                                   stderr=slave, env=dict(self.env, TERM="xterm"))
        os.close(slave)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.read_until(master, b"etcd-n1")
        self.fake.event_watches.next().put(event(9, "Surprise", "something happened"))
        self.read_until(master, b"Surprise")
        for watches in (self.fake.pod_watches, self.fake.event_watches, self.fake.manifest_watches):
            watches.end_all()
        self.read_until(master, b"does not answer")
        self.read_until(master, b"mainstayd\033[0m 0.1.0 on node")
        process.terminate()
        self.read_until(master, b"\033[?25h")
        self.assertEqual(process.wait(WAIT), 0)

    def read_until(self, fd, text):
        seen = b""
        while text not in seen:
            ready, _, _ = select.select([fd], [], [], WAIT)
            self.assertTrue(ready, f"{text} did not come: {seen[-2000:]}")
            seen += os.read(fd, 65536)
        return seen

    def test_colour_only_on_a_terminal(self):
        for env, colour in ((dict(self.env, TERM="xterm"), True), (dict(self.env, TERM="dumb"), False),
                            (dict(self.env, TERM="xterm", NO_COLOR="1"), False)):
            master, slave = pty.openpty()
            process = subprocess.Popen([harness.MAINSTAY, "get", "pods"], stdin=slave, stdout=slave,
                                       stderr=slave, env=env)
            os.close(slave)
            seen = self.read_until(master, b"web-n1")
            process.wait(WAIT)
            os.close(master)
            self.assertEqual(b"\033[" in seen, colour)


class Act(CliTest):
    def test_verbs(self):
        self.assertEqual(self.out("restart", "web", "-c", "main"), "restart it is\n")
        self.assertEqual(self.fake.requests[-1], "POST /mainstay/v1/pods/-/web/restart?container=main")
        self.assertEqual(self.out("stop", "etcd", "pod/web", "-n", "x", status=1), "")
        self.assertEqual(self.out("stop", "etcd", "web").count("stop it is"), 2)
        self.assertEqual(self.out("start", "web"), "start it is\n")
        self.assertEqual(self.out("retry", "web"), "retry it is\n")
        self.assertEqual(self.out("stop", "--all"), "stop-all it is\n")
        self.assertEqual(self.fake.requests[-1], "POST /mainstay/v1/stop-all")
        done = self.run_cli("restart", "nope", "web", status=1)
        self.assertEqual(done.stdout, "restart it is\n")
        self.assertIn('pods "nope" not found', done.stderr)
        self.assertEqual(len([r for r in self.fake.requests if "/web/restart" in r]), 2)

    def test_wait(self):
        self.assertEqual(self.out("wait", "web", "etcd"), "pod/web is ready\npod/etcd is ready\n")
        self.assertIn("pod/nope is gone", self.out("wait", "nope", "--for=gone"))
        self.assertIn("is what its manifest says", self.out("wait", "web", "--for=applied"))
        text = self.err("wait", "nope", "--timeout=1s", status=1)
        self.assertIn("there is no such pod", text)
        self.fake.pods[0] = pod("etcd", ready=False)
        self.fake.logs[("kube-system", "etcd-n1", "main")] = b"open ca.crt: no such file\n"
        text = self.err("wait", "etcd", "--timeout=1s", status=1)
        for expected in ("log of main: open ca.crt: no such file",
                         "timed out: pod/etcd-n1 is not ready (CrashLoopBackOff, 0/1 ready)",
                         "back-off 20s restarting main", "exit status 1", "event BackOff: back-off 20s",
                         "mainstay logs etcd-n1"):
            self.assertIn(expected, text)
        self.fake.pods[0]["mainstay"]["held"] = True
        self.assertIn("mainstay start etcd-n1", self.err("wait", "etcd", "--timeout=1h", status=1))

    def test_wait_for_news(self):
        self.fake.pods = [pod("etcd", ready=False)]
        process = self.start("wait", "etcd")
        news = self.fake.pod_watches.next()
        news.put({"type": "MODIFIED", "object": self.fake.etcd})
        self.assertEqual(process.wait(WAIT), 0)
        self.fake.pods = [self.fake.etcd]
        process = self.start("wait", "etcd", "--for=gone")
        self.fake.pod_watches.next().put({"type": "DELETED", "object": self.fake.etcd})
        self.assertEqual(process.wait(WAIT), 0)

    def test_wait_until_settled(self):
        """Ready for a moment only is not ready, also where death and restart come as one change."""
        process = self.start("wait", "etcd", "--settle=200ms")
        news = self.fake.pod_watches.next()
        for restarts in range(3):
            again = copy.deepcopy(self.fake.etcd)
            again["status"]["containerStatuses"][0]["restartCount"] = restarts
            news.put({"type": "MODIFIED", "object": again})
        self.assertEqual(process.wait(WAIT), 0)
        process = self.start("wait", "etcd", "--settle=1h")
        news = self.fake.pod_watches.next()
        news.put({"type": "MODIFIED", "object": pod("etcd", ready=False)})
        held = pod("etcd", ready=False, held=True, file=self.fake.file("etcd.yaml"))
        news.put({"type": "MODIFIED", "object": held})
        self.assertEqual(process.wait(WAIT), 1)

    def test_wait_for_what_is_refused(self):
        self.fake.web["mainstay"]["manifest"] = {"state": "Refused", "findings": [{"text": "web.yaml:1:1: no"}]}
        self.assertIn("web.yaml:1:1: no", self.err("wait", "web", "--for=applied", status=1))


class Change(CliTest):
    def test_validate(self):
        good = self.write("good.yaml", manifest_text())
        bad = self.write("bad.yaml", manifest_text().replace("image:", "imag:"))
        self.assertIn("good.yaml: ok: pod default/web-", self.out("validate", good))
        self.assertIn("pod default/web-k9", self.out("validate", good, "--node", "k9"))
        text = self.out("validate", bad, status=1)
        self.assertIn(f"{bad}:10:5: spec.containers[0].imag: unknown field", text)
        self.assertIn("<stdin>: ok", self.out("validate", "-", stdin=manifest_text()))
        self.assertEqual(self.out("validate", "-q", good), "")
        report = json.loads(self.out("validate", "-o", "json", good, bad, status=1))["items"]
        self.assertEqual([item["valid"] for item in report], [True, False])
        self.assertEqual(report[1]["findings"][0]["severity"], "error")
        self.assertIn("cannot read", self.err("validate", "/nonexistent.yaml", status=1))

    def test_validate_a_directory(self):
        os.mkdir(os.path.join(self.dir, "d"))
        for name in ("d/a.yaml", "d/b.yml", "d/c.yaml.bak", "d/.hidden.yaml"):
            self.write(name, manifest_text())
        done = self.run_cli("validate", os.path.join(self.dir, "d"), status=1)
        self.assertIn("is already provided by", done.stdout)
        self.assertIn("2 manifests: 1 ok, 1 not", done.stdout)
        self.assertIn("c.yaml.bak is no manifest", done.stderr)

    def test_diff(self):
        file = self.write("web.yaml", manifest_text(flag="--other"))
        text = self.out("diff", file, status=1)
        self.assertIn("-    - --flag", text)
        self.assertIn("+    - --other", text)
        self.assertIn("# pod/web-n1: applying restarts it", text)
        self.assertNotIn("\033", text)
        new = self.out("diff", "-f", "-", stdin=manifest_text("new"), status=1)
        self.assertIn("--- /dev/null", new)
        self.assertIn("# pod/new-n1: new; applying starts it", new)
        self.assertIn("would be refused", self.err("diff", "-", stdin="kind: Pod\n", status=1))

    def test_apply(self):
        file = self.write("new.yaml", manifest_text("new"))
        self.assertEqual(self.out("apply", file), "pod/new-n1 created\n")
        with open(self.fake.file("new.yaml")) as f:
            self.assertEqual(f.read(), manifest_text("new"))
        self.assertEqual(os.stat(self.fake.file("new.yaml")).st_mode & 0o777, 0o600)
        self.assertEqual(self.out("apply", "-f", file), "pod/new-n1 unchanged\n")
        self.write("new.yaml", manifest_text("new", flag="--other"))
        self.assertEqual(self.out("apply", file), "pod/new-n1 configured\n")
        self.assertIn("(in ", self.out("apply", "-", stdin=manifest_text("stdin")))
        self.assertTrue(os.path.exists(self.fake.file("stdin.yaml")))
        self.assertEqual(sorted(os.listdir(self.fake.manifest_dir)), ["new.yaml", "stdin.yaml"])

    def test_apply_checks_everything_first(self):
        good = self.write("good.yaml", manifest_text("good"))
        bad = self.write("bad.yaml", "kind: Pod\n")
        text = self.err("apply", good, bad, status=1)
        self.assertIn("nothing was applied", text)
        self.assertEqual(os.listdir(self.fake.manifest_dir), [])

    def test_apply_replaces_the_file_that_provides_the_pod(self):
        text = self.out("apply", self.write("other.yaml", manifest_text("web")))
        self.assertIn(f"pod/web-n1 created (in {self.fake.file('web.yaml')})", text)
        self.assertEqual(os.listdir(self.fake.manifest_dir), ["web.yaml"])
        # … but not where another pod would be lost
        self.fake.manifests[1]["pods"].append({"namespace": "default", "name": "more-n1", "uid": "x"})
        text = self.err("apply", self.write("other.yaml", manifest_text("web", flag="-x")), status=1)
        self.assertIn("more-n1, which would be lost", text)
        # … nor a file whose name is taken by another pod
        text = self.err("apply", self.write("web.yaml", manifest_text("another")), status=1)
        self.assertIn("provides another pod", text)

    def test_apply_wait(self):
        file = self.write("web.yaml", manifest_text("web", flag="--new"))
        process = self.start("apply", file, "--wait", "--settle=0s")
        news = self.fake.manifest_watches.next()
        digest = subprocess.run(["sha256sum", file], capture_output=True, text=True,
                                check=True).stdout.split()[0]
        news.put({"type": "MODIFIED", "object": manifest(self.fake.file("web.yaml"), sha256=digest)})
        pods = self.fake.pod_watches.next()
        uid = json.loads(self.out("validate", file, "--node", NODE, "-o", "json"))["items"][0]["pods"][0]["uid"]
        fresh = copy.deepcopy(self.fake.web)
        fresh["metadata"]["uid"] = uid
        self.assertIsNone(process.poll())
        pods.put({"type": "ADDED", "object": fresh})
        self.assertEqual(process.wait(WAIT), 0, process.stderr.read())
        self.assertIn("pod/web-n1 is ready", process.stdout.read())

    def test_apply_wait_is_refused(self):
        file = self.write("web.yaml", manifest_text("web", flag="--new"))
        process = self.start("apply", file, "--wait", "--settle=0s")
        news = self.fake.manifest_watches.next()
        digest = subprocess.run(["sha256sum", file], capture_output=True, text=True,
                                check=True).stdout.split()[0]
        news.put({"type": "MODIFIED", "object": manifest(
            self.fake.file("web.yaml"), state="Conflict", sha256=digest, conflictWith="/m/x.yaml")})
        self.assertEqual(process.wait(WAIT), 1)
        self.assertIn("already provided by /m/x.yaml", process.stderr.read())

    def test_delete(self):
        for name in ("etcd.yaml", "web.yaml"):
            with open(self.fake.file(name), "w") as f:
                f.write("x")
        process = self.start("delete", "web")
        news = self.fake.pod_watches.next()
        self.assertFalse(os.path.exists(self.fake.file("web.yaml")))
        self.assertIsNone(process.poll())
        news.put({"type": "DELETED", "object": self.fake.web})
        self.assertEqual(process.wait(WAIT), 0)
        self.assertEqual(process.stdout.read(), 'pod "web-n1" deleted\n')
        self.assertEqual(self.out("delete", "pod", "etcd", "--wait=false"), 'pod "etcd-n1" deleted\n')
        self.assertIn("not found", self.err("delete", "nope", status=1))
        self.assertIn("still there", self.err("delete", "etcd", "--timeout=10ms", status=1))

    def test_delete_spares_bystanders(self):
        self.fake.manifests[1]["pods"].append({"namespace": "default", "name": "more-n1", "uid": "x"})
        with open(self.fake.file("web.yaml"), "w") as f:
            f.write(manifest_text("web"))
        text = self.err("delete", "web", status=1)
        self.assertIn("provides not only web-n1 but also more-n1", text)
        self.assertTrue(os.path.exists(self.fake.file("web.yaml")))
        self.out("delete", "-f", self.fake.file("web.yaml"), "--wait=false")
        self.assertFalse(os.path.exists(self.fake.file("web.yaml")))

    def test_delete_by_a_copy_of_the_manifest(self):
        with open(self.fake.file("web.yaml"), "w") as f:
            f.write("x")
        copy_ = self.write("copy.yaml", manifest_text("web"))
        self.assertEqual(self.out("delete", "-f", copy_, "--wait=false"), 'pod "web-n1" deleted\n')
        self.assertFalse(os.path.exists(self.fake.file("web.yaml")))
        self.assertTrue(os.path.exists(copy_))


class FakeShim(threading.Thread):
    """One connection: takes a SHIM_EXEC and plays the command with the descriptors that came."""

    HEADER = struct.Struct("=IIqII")
    EXEC, STARTED, EXITED, ERROR = 4, 65, 66, 67

    def __init__(self, path, play):
        super().__init__(daemon=True)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(path)
        self.listener.listen()
        self.play = play
        self.start()

    def run(self):
        connection, _ = self.listener.accept()
        data, fds, _, _ = socket.recv_fds(connection, 65536, 3)
        kind, length, _, flags, _ = self.HEADER.unpack(data[:self.HEADER.size])
        self.argv = data[self.HEADER.size:].rstrip(b"\0").split(b"\0")
        self.kind, self.flags = kind, flags
        connection.send(self.HEADER.pack(self.STARTED, 0, 77, 0, 0))
        kind, number, text = self.play(fds, flags)
        for fd in fds:
            os.close(fd)
        connection.send(self.HEADER.pack(kind, len(text), number, 0, 0) + text)
        self.end = connection.recv(1)


class Exec(CliTest):
    def shim(self, play):
        path = os.path.join(self.dir, "shim")
        self.fake.web["mainstay"]["containers"][0]["shimSocket"] = path
        return FakeShim(path, play)

    def test_output_and_status_pass(self):
        def play(fds, _):
            os.write(fds[1], b"out\n")
            os.write(fds[2], b"err\n")
            return FakeShim.EXITED, 7 << 8, b""
        shim = self.shim(play)
        done = self.run_cli("exec", "web", "--", "ls", "-l", "/", status=7)
        self.assertEqual((done.stdout, done.stderr), ("out\n", "err\n"))
        shim.join(WAIT)
        self.assertEqual((shim.kind, shim.flags, shim.argv), (FakeShim.EXEC, 0, [b"ls", b"-l", b"/"]))

    def test_stdin_is_handed_on_only_when_asked(self):
        def play(fds, _):
            os.write(fds[1], os.read(fds[0], 100))
            return FakeShim.EXITED, 9, b""
        self.shim(play)
        self.assertEqual(self.out("exec", "-i", "web", "--", "cat", stdin="hello", status=128 + 9), "hello")

    def test_no_stdin(self):
        self.shim(lambda fds, _: (FakeShim.EXITED, len(os.read(fds[0], 100)) << 8, b""))
        self.run_cli("exec", "web", "--", "cat", stdin="hello", status=0)

    def test_command_not_found(self):
        self.shim(lambda *_: (FakeShim.ERROR, 2, b"nonesuch not found in PATH"))
        self.assertIn("not found in PATH", self.err("exec", "web", "--", "nonesuch", status=127))

    def test_container_not_running(self):
        self.assertIn("does not run", self.err("exec", "web", "--", "ls", status=1))
        self.fake.web["mainstay"]["containers"][0]["shimSocket"] = "/nonexistent/socket"
        self.assertIn("cannot reach the container's shim", self.err("exec", "web", "--", "ls", status=126))

    def test_terminal(self):
        def play(fds, flags):
            os.write(fds[1], b"tty=%d flags=%d size=%d\n" % (os.isatty(fds[0]), flags,
                                                             os.get_terminal_size(fds[0]).columns))
            line = os.read(fds[0], 100)
            os.write(fds[1], b"got " + line)
            return FakeShim.EXITED, 0, b""
        self.shim(play)
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        subprocess.run(["stty", "cols", "97"], stdin=slave, check=True)
        process = subprocess.Popen([harness.MAINSTAY, "exec", "-it", "web", "--", "sh"], env=self.env,
                                   stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        Look.read_until(self, master, b"tty=1 flags=1 size=97")
        os.write(master, b"typed\r")
        Look.read_until(self, master, b"got typed")
        self.assertEqual(process.wait(WAIT), 0)


if __name__ == "__main__":
    harness.main()
