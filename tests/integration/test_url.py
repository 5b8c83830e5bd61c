"""Manifests from a URL, beside the directory: what a real server's answers come to."""

import gzip
import http.server
import json
import os
import queue
import ssl
import subprocess
import threading

import harness
from harness import COMPONENT, pid_of, pod_yaml

SECRET = "Bearer s3cr3t"


def pod_json(name, *words):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {"hostNetwork": True, "terminationGracePeriodSeconds": 2,
                     "containers": [{"name": "main", "image": "localhost/test:1",
                                     "imagePullPolicy": "IfNotPresent",
                                     "command": [COMPONENT, "say", *words]}]}}


def pod_list(*pods):
    return json.dumps({"apiVersion": "v1", "kind": "PodList", "items": list(pods)}).encode()


class Server(http.server.ThreadingHTTPServer):
    """Answers with self.answer = (status, headers, body), and tells every request to self.asked."""

    daemon_threads = True

    def __init__(self, context=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer = (404, {}, b"")
        self.asked = queue.Queue()
        self.hold = threading.Event()  # answers wait for it
        self.hold.set()
        if context:
            self.socket = context.wrap_socket(self.socket, server_side=True)
        scheme = "https" if context else "http"
        self.url = f"{scheme}://localhost:{self.server_address[1]}/pods.json"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close(self):
        self.hold.set()
        self.shutdown()
        self.server_close()

    def wait_asked(self, times):
        return [self.asked.get(timeout=harness.WAIT_SECONDS) for _ in range(times)][-1]

    def wait_answer_used(self):
        """Two more questions: the answer to the first of them has been judged."""
        while not self.asked.empty():
            self.asked.get()
        self.wait_asked(3)

    def handle_error(self, request, client_address):
        pass  # a client that went away


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.put((self.path, dict(self.headers)))
        self.server.hold.wait(harness.WAIT_SECONDS)
        answers = self.server.answer
        status, headers, body = answers[self.path] if isinstance(answers, dict) else answers
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class UrlTest(harness.AgentTest):
    def server(self, answer, context=None):
        server = Server(context)
        server.answer = answer
        self.addCleanup(server.close)
        return server

    def url_agent(self, server, *flags, **options):
        return self.agent("--manifest-url", server.url, "--http-check-frequency", "50ms", *flags,
                          **options)

    def manifest(self, agent, server):
        found = [m for m in agent.get("/mainstay/v1/manifests")["items"] if m["file"] == server.url]
        return found[0] if found else None


class Answers(UrlTest):
    def test_a_pod_then_a_list_then_nothing(self):
        server = self.server((200, {}, json.dumps(pod_json("one", "a")).encode()))
        agent = self.url_agent(server)
        pod = agent.wait_ready_pod("one")
        pid = pid_of(pod)
        self.assertEqual(pod["metadata"]["annotations"]["kubernetes.io/config.source"], "http")
        self.assertNotIn("tolerations", pod["spec"])  # K/config/common.go: files only
        self.assertEqual(pod["mainstay"]["file"], server.url)
        server.answer = (200, {}, pod_list(pod_json("one", "a"), pod_json("two", "b")))
        agent.wait_ready_pod("two")
        self.assertEqual(pid_of(agent.pod("one")), pid)
        server.answer = (200, {}, pod_list())
        agent.wait_gone("one")
        agent.wait_gone("two")
        server.answer = (200, {}, pod_list(pod_json("two", "b")))
        agent.wait_ready_pod("two")
        server.answer = (200, {}, b"")
        agent.wait_gone("two")
        self.assertEqual(self.manifest(agent, server)["state"], "Accepted")

    def test_unchanged_bytes_do_nothing(self):
        server = self.server((200, {}, json.dumps(pod_json("one", "a")).encode()))
        agent = self.url_agent(server)
        pid = pid_of(agent.wait_ready_pod("one"))
        before = agent.last_event()
        server.wait_answer_used()
        self.assertEqual(agent.last_event(), before)
        self.assertEqual(pid_of(agent.pod("one")), pid)

    def test_bad_answers_stop_nothing(self):
        good = json.dumps(pod_json("one", "a")).encode()
        server = self.server((200, {}, good))
        agent = self.url_agent(server)
        pid = pid_of(agent.wait_ready_pod("one"))
        bad = {
            "HTTP 503": (503, {}, b""),
            "no pod in it": (200, {}, b"# nothing yet\n"),
            "unknown field": (200, {}, good.replace(b'"hostNetwork"', b'"hostNetwrok"')),
            "HTTP 204": (204, {}, b""),
            "larger than 10 MiB": (200, {}, b"#" * (10 << 20) + b"##"),
            "transfer closed with 9 bytes remaining": (200, {"Content-Length": str(len(good) + 9)}, good),
            "twice": (200, {}, pod_list(pod_json("one", "a"), pod_json("one", "b"))),
        }
        for words, answer in bad.items():
            with self.subTest(words):
                before = agent.last_event()
                server.answer = answer
                event = agent.wait_event("ManifestRefused", after=before)
                self.assertTrue(event["message"].startswith(server.url), event["message"])
                self.assertIn(words, event["message"])
                self.assertIn("last good version keeps running", event["message"])
                told = agent.last_event()
                server.wait_answer_used()
                self.assertEqual(agent.last_event(), told, "told once")
                self.assertEqual(pid_of(agent.pod("one")), pid)
                self.assertEqual(self.manifest(agent, server)["state"], "Refused")
                server.answer = (200, {}, good)
                agent.wait_event("ManifestAccepted", after=told)
                self.assertEqual(pid_of(agent.pod("one")), pid)

    def test_compressed_and_redirected(self):
        body = json.dumps(pod_json("one", "a")).encode()
        server = self.server({
            "/pods.json": (302, {"Location": "/elsewhere"}, b""),
            "/elsewhere": (200, {"Content-Encoding": "gzip"}, gzip.compress(body))})
        agent = self.url_agent(server)
        agent.wait_ready_pod("one")
        server.answer = (302, {"Location": "file:///etc/passwd"}, b"")
        event = agent.wait_event("ManifestRefused")
        self.assertIn("cannot be fetched", event["message"])

    def test_a_url_and_a_file_do_not_fight(self):
        server = self.server((200, {}, json.dumps(pod_json("one", "url")).encode()))
        agent = self.url_agent(server)
        pid = pid_of(agent.wait_ready_pod("one"))
        agent.drop("one.yaml", pod_yaml("one", [COMPONENT, "say", "file"]))
        event = agent.wait_event("ManifestConflict")
        self.assertIn(server.url, event["message"])
        self.assertEqual(pid_of(agent.pod("one")), pid)
        server.answer = (200, {}, b"")
        pod = agent.wait(lambda pods: next((p for p in pods.values() if harness.is_ready(p) and
                                            p["mainstay"]["file"].endswith("one.yaml")), None),
                         "the file provides it")
        self.assertNotEqual(pid_of(pod), pid)


    def test_commands_do_not_change_what_is_not_here(self):
        server = self.server((200, {}, json.dumps(pod_json("one", "url")).encode()))
        agent = self.url_agent(server)
        pid = pid_of(agent.wait_ready_pod("one"))
        file = agent.write("one.yaml", pod_yaml("one", [COMPONENT, "say", "file"]))
        for command in (["delete", "one"], ["apply", "-f", file]):
            done = agent.cli(*command)
            self.assertEqual(done.returncode, 1, command)
            self.assertIn(f"comes from {server.url}", done.stderr)
        self.assertEqual(os.listdir(agent.manifests), [])
        self.assertEqual(pid_of(agent.pod("one")), pid)


class Questions(UrlTest):
    def test_headers_are_sent_and_shown_to_nobody(self):
        server = self.server((200, {}, json.dumps(pod_json("one", "a")).encode()))
        config = ("apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n"
                  f"staticPodURL: {server.url}\nhttpCheckFrequency: 50ms\n"
                  f"staticPodURLHeader:\n  Authorization: ['{SECRET}']\n  X-Node: [a, 'b, c']\n")
        agent = self.agent(config=config)
        agent.wait_ready_pod("one")
        path, headers = server.wait_asked(1)
        self.assertEqual(path, "/pods.json")
        self.assertEqual(headers["Authorization"], SECRET)
        self.assertIn(headers["X-Node"], ("a", "b, c"))
        self.assertEqual(headers["User-Agent"], "mainstayd")
        status, body = agent.request("/configz")
        self.assertEqual(status, 200)
        self.assertIn("<masked>", body)
        self.assertNotIn("s3cr3t", body + agent.agent_log())

    def test_a_server_that_does_not_answer_holds_nothing_up(self):
        server = self.server((200, {}, json.dumps(pod_json("one", "a")).encode()))
        server.hold.clear()
        agent = self.url_agent(server)
        server.wait_asked(1)
        agent.drop("two.yaml", pod_yaml("two", [COMPONENT, "say", "b"]))
        agent.wait_ready_pod("two")
        self.assertEqual(agent.request("/healthz")[0], 200)
        server.hold.set()
        agent.wait_ready_pod("one")

    def test_the_last_good_answer_outlives_agent_and_server(self):
        server = self.server((200, {}, json.dumps(pod_json("one", "a")).encode()))
        agent = self.url_agent(server)
        pid = pid_of(agent.wait_ready_pod("one"))
        agent.kill()
        server.answer = (500, {}, b"")
        agent.start()
        agent.wait_event("ManifestRefused")
        self.assertEqual(pid_of(agent.wait_ready_pod("one")), pid)
        # As after a reboot: nothing runs, and the server does not answer.
        agent.post("/mainstay/v1/stop-all?exit=true")
        agent.process.wait(harness.WAIT_SECONDS)
        agent.start()
        self.assertNotEqual(pid_of(agent.wait_ready_pod("one")), pid)
        # Another configuration without the URL: its pods go.
        agent.kill()
        agent.flags = []
        agent.start()
        agent.wait_gone("one")

    def test_https_with_a_verified_certificate(self):
        work = self.agent(start=False).dir
        ca, leaf = os.path.join(work, "ca.pem"), os.path.join(work, "leaf.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=DNS:localhost", "-keyout", leaf, "-out", ca],
                       check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(ca, leaf)
        server = self.server((200, {}, json.dumps(pod_json("one", "a")).encode()), context)
        agent = self.url_agent(server)
        event = agent.wait_event("ManifestRefused")
        self.assertIn("certificate", event["message"])
        store = "/etc/ssl/certs/ca-certificates.crt"
        if os.geteuid() != 0 or not os.path.exists(store):
            self.skipTest(f"a trusted certificate takes root and {store}")
        agent.kill()
        command = agent.command()
        agent.command = lambda: ["unshare", "-m", "sh", "-c",
                                 f"mount --bind {ca} {store} && exec \"$@\"", "sh", *command]
        agent.start()
        agent.wait_ready_pod("one")


if __name__ == "__main__":
    harness.main()
