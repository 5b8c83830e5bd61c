"""Probes of real containers against real servers.

The answers are under the test's control and every rule is counted: how often a server was asked
before something happened, never how long that took. Asked are the tests' own servers on the node's
network, since that is where the pods are; a container just waits for SIGTERM.
"""

import http.server
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import unittest

from harness import (COMPONENT, MAINSTAYD, WAIT_SECONDS, AgentTest, container, free_ports, is_ready,
                     main, pid_of, pod_yaml, status_of)


class Server(http.server.ThreadingHTTPServer):
    """Answers from self.answers (the last one for ever) and keeps what it was asked."""

    daemon_threads = True

    def __init__(self, *answers, tls=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = list(answers)
        self.requests = []
        self.news = threading.Condition()
        self.gate = None  # an Event that answers wait for
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.port = self.server_address[1]
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def handle_error(self, request, client_address):
        pass  # a client that did not wait

    def take(self, request):
        with self.news:
            self.requests.append(request)
            self.news.notify_all()
            if len(self.answers) > 1:
                return self.answers.pop(0)
            return self.answers[0]

    def set(self, *answers):
        with self.news:
            self.answers = list(answers)

    def count(self):
        with self.news:
            return len(self.requests)

    def wait_count(self, n):
        with self.news:
            if not self.news.wait_for(lambda: len(self.requests) >= n, WAIT_SECONDS):
                raise AssertionError(f"asked {len(self.requests)} times, not {n}")

    def close(self):
        self.shutdown()
        self.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        answer = self.server.take((self.path, list(self.headers.items()), self.request_version,
                                   self.client_address[1]))
        if self.server.gate:
            self.server.gate.wait(WAIT_SECONDS)
        status, headers, body = (answer, {}, b"x") if isinstance(answer, int) else answer
        self.send_response(status)
        if not callable(body):
            self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if callable(body):
            body(self.wfile)
        else:
            self.wfile.write(body)

    def log_message(self, *arguments):
        pass


def http_get(port, path="/healthz", **more):
    fields = "".join(f", {key}: {value}" for key, value in more.items())
    return f"httpGet: {{path: '{path}', port: {port}{fields}}}"


def probe(kind, action, period=1, failures=1, **more):
    fields = "".join(f", {key}: {value}" for key, value in more.items())
    return (f"    {kind}Probe: {{{action}, periodSeconds: {period}, "
            f"failureThreshold: {failures}{fields}}}\n")


class ProbeTest(AgentTest):
    def server(self, *answers, **options):
        server = Server(*answers, **options)
        self.addCleanup(server.close)
        return server

    def pod(self, agent, probes, name="web", extra="", command=(COMPONENT,)):
        agent.drop(f"{name}.yaml", pod_yaml(name, command, extra=extra, container_extra=probes))

    def wait_running(self, agent, name="web"):
        return agent.wait(lambda pods: (lambda p: p and container(p)["state"] == "Running" and p)(
            pods.get(f"{name}-{agent.node}")), f"{name} running")

    def wait_unready(self, agent, name="web"):
        return agent.wait(lambda pods: (lambda p: p and not is_ready(p) and p)(
            pods.get(f"{name}-{agent.node}")), f"{name} not ready")


class ReadinessTest(ProbeTest):
    def test_thresholds(self):
        server = self.server(503, 503, 200)
        agent = self.agent()
        self.pod(agent, probe("readiness", http_get(server.port), failures=3, successThreshold=2))
        running = self.wait_running(agent)
        self.assertFalse(status_of(running)["ready"])
        self.assertTrue(status_of(running)["started"])
        conditions = {c["type"]: c for c in running["status"]["conditions"]}
        for kind in ("Ready", "ContainersReady"):
            self.assertEqual(conditions[kind]["status"], "False")
            self.assertEqual(conditions[kind]["reason"], "ContainersNotReady")
        self.assertEqual(container(running)["probes"], {"readiness": "Failure"})
        server.wait_count(3)
        self.assertFalse(is_ready(agent.pod("web")))  # one success of two
        ready = agent.wait_ready_pod("web")
        self.assertEqual(server.count(), 4)
        self.assertEqual(container(ready)["probes"], {"readiness": "Success"})
        self.assertEqual(agent.cli("wait", "web", "--for=ready", "--timeout=30s").returncode, 0)
        self.assertIn("(succeeds)", agent.cli("describe", "pod", "web").stdout)
        message = agent.events("Unhealthy", "web")[-1]
        self.assertEqual(message["message"], "Readiness probe failed: HTTP probe failed with "
                                             "statuscode: 503")
        self.assertEqual(message["count"], 2)
        self.assertEqual(message["type"], "Warning")

        before = server.count()
        server.set(500, 500, 200, 500, 500, 500)  # the row is broken once
        self.wait_unready(agent)
        self.assertEqual(server.count() - before, 6)
        self.assertEqual(container(agent.pod("web"))["restartCount"], 0)
        self.assertIn("(fails)", agent.cli("describe", "pod", "web").stdout)
        server.set(200)
        agent.wait_ready_pod("web")
        self.assertEqual(agent.events("Killing", "web"), [])

    def test_a_restart_of_the_agent_does_not_flap(self):
        server, other = self.server(200), self.server(500)
        agent = self.agent()
        self.pod(agent, probe("readiness", http_get(server.port)))
        self.pod(agent, probe("readiness", http_get(other.port)), name="other")
        before = agent.wait_ready_pod("web")
        self.wait_running(agent, "other")
        since = [c["lastTransitionTime"] for c in before["status"]["conditions"]]
        for number in (signal.SIGTERM, signal.SIGKILL):
            server.gate = threading.Event()  # nothing is answered until the watch has begun
            agent.restart(number)
            seen = []
            asked = server.count()

            def look(pods):
                if not seen:
                    server.gate.set()
                seen.append((is_ready(pods["web-node1"]), is_ready(pods["other-node1"])))
                return server.count() >= asked + 2 or None
            # Both are asked on; a pod's news come with every change only, so a third makes some.
            threading.Thread(target=lambda: (server.wait_count(asked + 2), self.pod(
                agent, "", name=f"news{int(number)}")), daemon=True).start()
            agent.wait(look, "two probes of the new agent")
            self.assertEqual(set(seen), {(True, False)})
            server.gate = None
        after = agent.pod("web")
        self.assertEqual([c["lastTransitionTime"] for c in after["status"]["conditions"]], since)
        self.assertEqual(pid_of(after), pid_of(before))

    def test_an_exited_container_is_not_ready_and_not_asked(self):
        server = self.server(200)
        agent = self.agent()
        self.pod(agent, probe("readiness", http_get(server.port)))
        first = agent.wait_ready_pod("web")
        os.kill(pid_of(first), signal.SIGKILL)
        unready = self.wait_unready(agent)
        self.assertFalse(status_of(unready)["ready"])
        server.set(500)
        again = agent.wait(lambda pods: (lambda p: container(p)["restartCount"] == 1 and
                                         container(p)["state"] == "Running" and p)(
                                             pods["web-node1"]), "the next run")
        self.assertEqual(container(again)["probes"], {"readiness": "Failure"})
        server.set(200)
        agent.wait_ready_pod("web", restarts=1)


class LivenessTest(ProbeTest):
    def test_a_failure_restarts_the_container(self):
        server = self.server(200, 500, 500, 500, 200)
        agent = self.agent()
        self.pod(agent, probe("liveness", http_get(server.port), failures=3))
        first = self.wait_running(agent)
        self.assertTrue(is_ready(first))  # liveness succeeds until it has failed
        again = agent.wait_ready_pod("web", restarts=1)
        self.assertEqual(server.requests[3][0], "/healthz")
        self.assertNotEqual(pid_of(again), pid_of(first))
        killing = agent.events("Killing", "web")[0]
        self.assertEqual(killing["message"], "Container main failed liveness probe, will be restarted")
        unhealthy = agent.events("Unhealthy", "web")[0]
        self.assertEqual((unhealthy["count"], unhealthy["message"]),
                         (3, "Liveness probe failed: HTTP probe failed with statuscode: 500"))
        last = status_of(again)["lastState"]["terminated"]
        self.assertEqual(last["exitCode"], 0)  # SIGTERM, as the component takes it
        server.wait_count(6)  # the new container is asked
        self.assertEqual(container(agent.pod("web"))["restartCount"], 1)

    def test_hold_while_the_container_stops(self):
        server = self.server(500)
        agent = self.agent()
        self.pod(agent, probe("liveness", http_get(server.port), terminationGracePeriodSeconds=1),
                 extra="  restartPolicy: Never\n",
                 command=("/bin/sh", "-c", "trap 'echo term' TERM; while :; do sleep 1000 & wait; done"))
        finished = agent.wait(lambda pods: (lambda p: p and p["status"]["phase"] == "Failed" and p)(
            pods.get("web-node1")), "the end of the pod")
        # Asked once, held while the container used up its (probe's, not the pod's) grace period.
        self.assertEqual(server.count(), 1)
        self.assertEqual(container(finished)["restartCount"], 0)
        self.assertIn("Container main failed liveness probe",
                      [e["message"] for e in agent.events("Killing", "web")])
        self.assertEqual(status_of(finished)["state"]["terminated"]["exitCode"], 137)

    def test_on_failure_restarts_what_ends_well(self):
        server = self.server(500, 200)
        agent = self.agent()
        self.pod(agent, probe("liveness", http_get(server.port)), extra="  restartPolicy: OnFailure\n",
                 command=("/bin/sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1000 & wait; done"))
        again = agent.wait_ready_pod("web", restarts=1)
        self.assertEqual(status_of(again)["lastState"]["terminated"]["exitCode"], 0)


class StartupTest(ProbeTest):
    def test_it_blocks_the_others(self):
        startup, others = self.server(500, 500, 500, 200), self.server(200)
        agent = self.agent()
        self.pod(agent, probe("startup", http_get(startup.port), failures=30) +
                 probe("readiness", http_get(others.port, "/ready")) +
                 probe("liveness", http_get(others.port, "/live")))
        running = self.wait_running(agent)
        self.assertFalse(status_of(running)["started"])
        self.assertEqual(container(running)["probes"],
                         {"startup": "Unknown", "readiness": "Failure", "liveness": "Success"})
        startup.wait_count(3)
        self.assertEqual(others.count(), 0)
        ready = agent.wait_ready_pod("web")
        self.assertTrue(status_of(ready)["started"])
        self.assertEqual(others.requests[0][0], "/ready")  # readiness is asked at once
        others.wait_count(4)
        self.assertEqual(startup.count(), 4)  # and startup never again

    def test_its_failure_restarts(self):
        startup, others = self.server(500, 500, 200), self.server(200)
        agent = self.agent()
        self.pod(agent, probe("startup", http_get(startup.port), failures=2) +
                 probe("readiness", http_get(others.port)))
        agent.wait_ready_pod("web", restarts=1)
        self.assertEqual(startup.count(), 3)
        self.assertEqual(agent.events("Killing", "web")[0]["message"],
                         "Container main failed startup probe, will be restarted")


class HttpTest(ProbeTest):
    def ask(self, agent, server, extra="", port_extra="", **more):
        fields = "".join(f", {k}: {v}" for k, v in more.items())
        self.pod(agent, port_extra + f"    readinessProbe: {{httpGet: {{port: {server.port}{fields}}}, "
                 f"periodSeconds: 1{extra}}}\n")

    def test_the_request(self):
        server = self.server(200)
        agent = self.agent()
        self.ask(agent, server, path="'/a/../b?c=d&e=f'")
        agent.wait_ready_pod("web")
        path, headers, version, port = server.requests[0]
        self.assertEqual(path, "/a/../b?c=d&e=f")
        self.assertEqual(version, "HTTP/1.1")
        names = {name.lower(): value for name, value in headers}
        self.assertEqual(names, {"host": f"127.0.0.1:{server.port}", "user-agent": "kube-probe/1.20",
                                 "accept": "*/*", "connection": "close"})
        server.wait_count(3)
        self.assertEqual(len({request[3] for request in server.requests[:3]}), 3)  # none used twice

    def test_headers(self):
        server = self.server(200)
        agent = self.agent()
        self.ask(agent, server, httpHeaders="[{name: Host, value: example.org}, {name: User-Agent, "
                 "value: me}, {name: Accept, value: ''}, {name: X-A, value: one}, {name: X-A, value: two}, "
                 "{name: X-Empty, value: ''}]")
        agent.wait_ready_pod("web")
        headers = sorted((n.lower(), v) for n, v in server.requests[0][1])
        self.assertEqual(headers, [("connection", "close"), ("host", "example.org"), ("user-agent", "me"),
                                   ("x-a", "one"), ("x-a", "two"), ("x-empty", "")])

    def test_no_proxy(self):
        server, proxy = self.server(200), self.server(500)
        agent = self.agent(start=False)
        agent.env = {name: f"http://127.0.0.1:{proxy.port}" for name in ("http_proxy", "all_proxy")}
        agent.start()
        self.ask(agent, server)
        agent.wait_ready_pod("web")
        self.assertEqual(proxy.count(), 0)

    def test_a_named_port(self):
        server = self.server(200)
        agent = self.agent()
        ports = f"    ports: [{{name: web, containerPort: {server.port}}}]\n"
        self.pod(agent, ports + probe("readiness", http_get("web")))
        agent.wait_ready_pod("web")

    def test_a_port_that_nobody_names_is_an_error(self):
        agent = self.agent()
        self.pod(agent, probe("liveness", http_get("web"), failures=1))
        event = agent.wait_event("Unhealthy", "web")
        self.assertEqual(event["message"], 'Liveness probe errored: the container has no port named "web"')
        again = agent.wait_event("Unhealthy", "web", after=int(event["metadata"]["resourceVersion"]))
        self.assertEqual(again["count"], 2)  # once for three tries
        self.assertEqual(container(agent.pod("web"))["restartCount"], 0)  # which says nothing

    def test_a_name_is_looked_up(self):
        server = self.server(200)
        agent = self.agent()
        self.ask(agent, server, host="localhost")
        agent.wait_ready_pod("web")

    @unittest.skipUnless(os.geteuid() == 0, "a mount namespace with another resolv.conf takes root")
    def test_a_name_server_that_does_not_answer_holds_nobody_up(self):
        silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(silent.close)
        silent.bind(("127.73.1.2", 53))
        agent = self.agent(start=False)
        agent.write("resolv.conf", "nameserver 127.73.1.2\noptions timeout:30 attempts:5\n")
        agent.write("nsswitch.conf", "hosts: dns\n")
        binds = " && ".join(f"mount --bind {agent.path(name)} /etc/{name}"
                            for name in ("resolv.conf", "nsswitch.conf"))
        agent.program = agent.write("mainstayd", f"#!/bin/sh\n{binds} && exec {MAINSTAYD} \"$@\"\n")
        os.chmod(agent.program, 0o755)
        command = agent.command
        agent.command = lambda: ["unshare", "--mount", "--propagation", "private", *command()]
        agent.start()
        server = self.server(200)
        self.ask(agent, server, host="nobody.example.org")
        last = 0
        for _ in range(3):
            event = agent.wait_event("Unhealthy", "web", after=last)
            last = int(event["metadata"]["resourceVersion"])
            self.assertEqual(event["message"], "Readiness probe failed: no answer within 1s")
        self.pod(agent, probe("readiness", http_get(server.port)), name="other")
        agent.wait_ready_pod("other")
        agent.remove("web.yaml")  # in the middle of a look-up, most likely
        agent.wait_gone("web")

    def test_https_is_not_verified(self):
        directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, directory)
        key, certificate = os.path.join(directory, "key"), os.path.join(directory, "crt")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                        "-nodes", "-subj", "/CN=somebody.else", "-days", "1", "-keyout", key, "-out",
                        certificate], check=True, capture_output=True)
        server = self.server(200, tls=(certificate, key))
        agent = self.agent()
        self.ask(agent, server, scheme="HTTPS")
        agent.wait_ready_pod("web")
        self.assertEqual(server.requests[0][2], "HTTP/1.1")

    def test_statuses(self):
        agent = self.agent()
        passing, failing = (200, 304, 399), (400, 500, 600)
        for status in passing + failing:
            server = self.server(status)
            self.pod(agent, probe("readiness", http_get(server.port)), name=f"web{status}")
        for status in failing:
            event = agent.wait_event("Unhealthy", f"web{status}")
            self.assertIn(f"statuscode: {status}", event["message"])
            self.assertFalse(is_ready(agent.pod(f"web{status}")))
        for status in passing:
            agent.wait_ready_pod(f"web{status}")

    def test_redirects(self):
        final = self.server(200)
        agent = self.agent()
        server = self.server((302, {"Location": f"http://127.0.0.1:{final.port}/end"}, b""))
        self.ask(agent, server, httpHeaders="[{name: X-A, value: one}, {name: Host, value: h}]")
        agent.wait_ready_pod("web")
        path, headers = final.requests[0][:2]
        self.assertEqual(path, "/end")
        self.assertIn(("X-A", "one"), headers)
        self.assertIn(("Host", f"127.0.0.1:{final.port}"), headers)
        self.assertEqual(agent.events("ProbeWarning", "web"), [])

    def test_a_relative_redirect_keeps_the_host_header(self):
        agent = self.agent()
        server = self.server((307, {"Location": "../b"}, b""), 200)
        self.ask(agent, server, path="/x/y", httpHeaders="[{name: Host, value: h}]")
        agent.wait_ready_pod("web")
        self.assertEqual(server.requests[1][0], "/b")
        self.assertIn(("Host", "h"), server.requests[1][1])

    def test_a_redirect_to_another_host_is_a_warning(self):
        agent = self.agent()
        server = self.server((301, {"Location": "http://localhost:1/"}, b"moved"))
        self.ask(agent, server)
        agent.wait_ready_pod("web")
        event = agent.events("ProbeWarning", "web")[0]
        self.assertRegex(event["message"], "^Readiness probe warning: status 301 redirects to another host")
        self.assertEqual(agent.events("Unhealthy", "web"), [])

    def test_redirects_without_an_end(self):
        agent = self.agent()
        server = self.server((302, {"Location": "/again"}, b""))
        self.ask(agent, server, extra=", timeoutSeconds: 60")
        event = agent.wait_event("Unhealthy", "web")
        self.assertEqual(event["message"], "Readiness probe failed: stopped after 10 redirects")
        self.assertEqual(server.count() % 10, 0)

    def test_a_redirect_to_another_protocol(self):
        agent = self.agent()
        server = self.server((302, {"Location": "ftp://127.0.0.1/etc/passwd"}, b""))
        self.ask(agent, server)
        event = agent.wait_event("Unhealthy", "web")
        self.assertIn("not HTTP", event["message"])

    def test_a_long_body_is_cut(self):
        cut = threading.Event()

        def pour(out):
            try:
                while True:
                    out.write(b"x" * 65536)
            except OSError:
                cut.set()
                raise
        agent = self.agent()
        server = self.server((200, {}, pour))
        self.ask(agent, server)
        agent.wait_ready_pod("web")
        self.assertTrue(cut.wait(WAIT_SECONDS))
        self.assertEqual(agent.events("Unhealthy", "web"), [])

    def test_no_answer(self):
        agent = self.agent()
        server = self.server(200)
        server.gate = threading.Event()
        self.addCleanup(server.gate.set)
        self.ask(agent, server)
        event = agent.wait_event("Unhealthy", "web")
        self.assertEqual(event["message"], "Readiness probe failed: no answer within 1s")
        closed = free_ports(1)[0]
        self.pod(agent, probe("readiness", http_get(closed)), name="closed")
        event = agent.wait_event("Unhealthy", "closed")
        self.assertEqual(event["message"], "Readiness probe failed: cannot connect: Connection refused")

    def test_half_an_answer_is_a_failure(self):
        agent = self.agent()
        server = self.server((200, {"Content-Length": "100"}, lambda out: out.write(b"half")))
        self.ask(agent, server)
        event = agent.wait_event("Unhealthy", "web")
        self.assertRegex(event["message"], "^Readiness probe failed: ")


class OtherKindsTest(ProbeTest):
    def test_tcp(self):
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(WAIT_SECONDS)
        agent = self.agent()
        port = listener.getsockname()[1]
        self.pod(agent, probe("readiness", f"tcpSocket: {{port: {port}}}"))
        agent.wait_ready_pod("web")
        connection, _ = listener.accept()
        connection.settimeout(WAIT_SECONDS)
        self.assertEqual(connection.recv(100), b"")  # opened and closed, nothing said
        connection.close()
        listener.close()
        self.wait_unready(agent)
        event = agent.events("Unhealthy", "web")[-1]
        self.assertEqual(event["message"], "Readiness probe failed: cannot connect: Connection refused")

    def test_exec(self):
        agent = self.agent()
        flag = agent.path("flag")
        self.pod(agent, "    env: [{name: WHAT, value: the flag}]\n" + probe(
            "readiness", f"exec: {{command: [/bin/sh, -c, 'test -e {flag} || {{ echo no $(WHAT) yet; exit 3; }}']}}"))
        event = agent.wait_event("Unhealthy", "web")
        self.assertEqual(event["message"], "Readiness probe failed: no the flag yet")
        agent.write("flag", "")
        agent.wait_ready_pod("web")
        os.unlink(flag)
        self.wait_unready(agent)

    def test_exec_without_a_word(self):
        agent = self.agent()
        self.pod(agent, probe("readiness", "exec: {command: [/bin/false]}"))
        event = agent.wait_event("Unhealthy", "web")
        self.assertEqual(event["message"], "Readiness probe failed: the command exited with status 1")

    def test_exec_is_killed_when_its_time_is_up(self):
        agent = self.agent()
        pids = agent.path("pids")
        self.pod(agent, probe("liveness", f"exec: {{command: [/bin/sh, -c, 'echo $PPID >> {pids}; exec sleep 1000001']}}"))
        again = agent.wait_ready_pod("web", restarts=1)
        self.assertEqual(container(again)["restartCount"], 1)
        event = agent.events("Unhealthy", "web")[0]
        self.assertEqual(event["message"],
                         "Liveness probe failed: the command did not end within 1s and was killed")

    def test_exec_of_what_is_not_there(self):
        agent = self.agent()
        self.pod(agent, probe("readiness", "exec: {command: [/no/such/program]}"))
        event = agent.wait_event("Unhealthy", "web")
        self.assertIn("/no/such/program", event["message"])

    def test_exec_output_is_capped(self):
        agent = self.agent()
        self.pod(agent, probe("readiness", "exec: {command: [/bin/sh, -c, 'head -c 1000000 /dev/zero | "
                              "tr \"\\\\0\" x; exit 1']}"))
        event = agent.wait_event("Unhealthy", "web")
        self.assertLess(len(event["message"]), 2000)
        self.assertIn("xxxx", event["message"])

    @unittest.skipUnless(shutil.which("etcd"), "etcd (a real gRPC health server) is not installed")
    def test_grpc(self):
        client, peer = free_ports(2)
        directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, directory)
        url = f"http://127.0.0.1:{client}"
        etcd = subprocess.Popen(
            ["etcd", "--data-dir", directory, "--listen-client-urls", url, "--advertise-client-urls", url,
             "--listen-peer-urls", f"http://127.0.0.1:{peer}", "--initial-advertise-peer-urls",
             f"http://127.0.0.1:{peer}", "--initial-cluster", f"default=http://127.0.0.1:{peer}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(lambda: (etcd.kill(), etcd.wait()))
        agent = self.agent()
        self.pod(agent, probe("readiness", f"grpc: {{port: {client}}}"))
        agent.wait_ready_pod("web")
        self.pod(agent, probe("readiness", f"grpc: {{port: {client}, service: none}}"), name="none")
        event = agent.wait_event("Unhealthy", "none")
        self.assertIn("gRPC status 5", event["message"])  # NOT_FOUND
        server = self.server(200)
        self.pod(agent, probe("readiness", f"grpc: {{port: {server.port}}}"), name="http")
        event = agent.wait_event("Unhealthy", "http")
        self.assertRegex(event["message"], "^Readiness probe failed: ")
        etcd.kill()
        self.wait_unready(agent)


if __name__ == "__main__":
    main()
