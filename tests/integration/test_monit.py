"""monit in charge of the agent, without systemd: the real monit, the control file that `mainstay monit`
makes for this node, and monit's own status output.

monit looks once a second here. It tells nobody of what it sees, so its status is asked again and again,
for WAIT_SECONDS at the most."""

import contextlib
import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest

import harness
from harness import COMPONENT, MAINSTAY, SOURCE, WAIT_SECONDS, Agent, free_ports, main, pid_of, pod_yaml

MONIT = shutil.which("monit") or "/usr/bin/monit"
HERE = "monit is not installed (packaging/install-dependencies test)"
PACE = ["--interval", "1s", "--patience", "2s", "--start-timeout", "3s"]
FLAGS = ["--node-name", "m0", "--advertise-address", "127.0.0.1"]

EXPIRED = """-----BEGIN CERTIFICATE-----
MIIBAjCBqgIBATAKBggqhkjOPQQDAjAOMQwwCgYDVQQDDANvbGQwHhcNMjAwMTAx
MDAwMDAwWhcNMjEwMTAxMDAwMDAwWjAOMQwwCgYDVQQDDANvbGQwWTATBgcqhkjO
PQIBBggqhkjOPQMBBwNCAAS6Kh9S0QJ49UKkyDSxAMZsMVOOw7XGzTAuYBVcjn3o
Rx50hSmN4hy/jSk0YeNLCMVd8dTCdyMQGo0y4BNGNT/EMAoGCCqGSM49BAMCA0cA
MEQCIEd0sUPQd53BH718bi8xaIg2tjF3H59QQwrTUMocZYG9AiA55x22e5cocujA
SOeyyH9zs5oEB0HXrQlHTYmfdcWEkw==
-----END CERTIFICATE-----
"""


def mainstay(*words, status=0):
    done = subprocess.run([MAINSTAY, *words], stdin=subprocess.DEVNULL, text=True, capture_output=True,
                          timeout=WAIT_SECONDS)
    if done.returncode != status:
        raise AssertionError(f"{words}: {done.returncode}, not {status}:\n{done.stdout}{done.stderr}")
    return done.stdout


def init(root, *flags):
    mainstay("init", "--root", root, *FLAGS, *flags)
    return os.path.join(root, "etc/kubernetes/manifests")


def syntax(directory, text):
    """What `monit -t` says of a control file."""
    path = os.path.join(directory, "monitrc")
    with open(path, "w", opener=lambda p, f: os.open(p, f, 0o600)) as f:
        f.write(f'set idfile "{directory}/id"\nset daemon 30\n{text}')
    done = subprocess.run([MONIT, "-t", "-c", path], stdin=subprocess.DEVNULL, text=True, capture_output=True)
    return done.returncode, done.stdout + done.stderr


class Monit:
    """A monit of its own that runs a control file."""

    def __init__(self, directory, control):
        self.dir = directory
        self.control = self.path("monitrc")
        with open(self.control, "w", opener=lambda p, f: os.open(p, f, 0o600)) as f:
            f.write(f'set idfile "{self.path("id")}"\nset statefile "{self.path("state")}"\nset daemon 1\n'
                    f'set httpd unixsocket "{self.path("http")}" allow user:pw\n{control}')
        self.output = open(self.path("output"), "wb")
        self.process = subprocess.Popen([MONIT, *self.flags(), "-I"], stdin=subprocess.DEVNULL,
                                        stdout=self.output, stderr=self.output)

    def path(self, name):
        return os.path.join(self.dir, "monit-" + name)

    def flags(self):
        return ["-B", "-c", self.control, "-p", self.path("pid")]

    def run(self, *words):
        return subprocess.run([MONIT, *self.flags(), *words], stdin=subprocess.DEVNULL, text=True,
                              capture_output=True, timeout=WAIT_SECONDS)

    def status(self, service):
        """{"status": "OK", "pid": "812", …}; empty where monit has nothing to tell yet."""
        done = self.run("status", service)
        return dict(m.groups() for m in re.finditer(r"^  (\S.*?) {2,}(\S.*)$", done.stdout, re.M))

    def await_status(self, service, good, what):
        end = time.monotonic() + WAIT_SECONDS
        while True:
            status = self.status(service)
            if good(status):
                return status
            if self.process.poll() is not None or time.monotonic() > end:
                with open(self.path("output")) as f:
                    raise AssertionError(f"{service}: not {what}: {status}\n{f.read()[-4000:]}")
            time.sleep(0.2)

    def await_ok(self, service):
        return self.await_status(service, lambda s: s.get("status") == "OK" and "data collected" in s, "OK")

    def await_failed(self, service):
        return self.await_status(service, lambda s: "failed" in s.get("status", ""), "failed")

    def await_agent(self, but=None):
        """monit's status once it has seen the agent run, under another PID than that one."""
        return self.await_status("mainstayd", lambda s: s.get("status") == "OK" and
                                 s.get("pid", "-") not in ("-", "-1", str(but)), f"a new agent than {but}")

    def close(self):
        self.process.terminate()
        self.process.wait(WAIT_SECONDS)
        self.output.close()


class Component(http.server.ThreadingHTTPServer):
    """What a component's health URL leads to: 200 while `well`."""

    def __init__(self):
        self.well = True
        self.seen = []
        super().__init__(("127.0.0.1", 0), Component.Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.seen.append((self.path, self.headers.get("X-Token")))
            self.send_response(200 if self.server.well else 500)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments):
            pass


@unittest.skipUnless(os.access(MONIT, os.X_OK), HERE)
@unittest.skipUnless(shutil.which("start-stop-daemon"), "no start-stop-daemon")
class InCharge(unittest.TestCase):
    """monit starts the agent, and keeps it."""

    def setUp(self):
        self.component = Component()
        self.addCleanup(self.component.server_close)
        self.addCleanup(self.component.shutdown)
        self.agent = Agent("--healthz-port", str(free_ports(1)[0]), start=False)
        self.addCleanup(self.agent.close)
        self.addCleanup(self.stop_agent)
        probe = (f"    readinessProbe:\n      periodSeconds: 1\n      failureThreshold: 1\n      httpGet:\n"
                 f"        host: 127.0.0.1\n        port: {self.component.server_port}\n"
                 f"        path: /health?serializable=true\n"
                 f"        httpHeaders:\n        - name: X-Token\n          value: \"a b, c: d\"\n")
        self.agent.drop("web.yaml", pod_yaml("web", [COMPONENT], container_extra=probe))
        self.agent.drop("plain.yaml", pod_yaml("plain", [COMPONENT]))

    def watch(self, *pace):
        self.control = mainstay("monit", "--offline", *PACE, *pace, "--init", "none", "--log",
                                self.agent.path("agent.log"), "--", *self.agent.command()[1:])
        self.monit = Monit(self.agent.dir, self.control)
        self.addCleanup(self.monit.close)

    def pid(self):
        with open(self.agent.path("run", "mainstayd.pid")) as f:
            return int(f.read())

    def stop_agent(self):
        """The agent is nobody's child here, and monit has ended by now."""
        with contextlib.suppress(OSError):
            pid = self.pid()
            self.agent.post("/mainstay/v1/stop-all?exit=true")
            harness.wait_process_gone(pid)

    def pods(self):
        return {name: pid_of(self.agent.wait_ready_pod(name)) for name in ("web", "plain")}

    def test_hang_and_death_are_noticed_and_cost_the_pods_nothing(self):
        self.watch()
        first = int(self.monit.await_agent()["pid"])
        self.assertEqual(first, self.pid())
        before = self.pods()
        watchers = self.agent.get("/mainstay/v1/status")["watchers"]
        self.assertEqual([(w["name"], w["restarts"]) for w in watchers], [("monit", True)])
        # monit asks for the health once the start time-out is over.
        asked = self.monit.await_status("mainstayd", lambda s: "ms to" in s.get("port response time", ""),
                                        "asked for its health")
        self.assertIn("/healthz", asked["port response time"])
        screen = self.agent.cli("status").stdout
        self.assertRegex(screen, r"Watched by +monit \(Monit/\S+ asked for the health \d+s ago\)")
        self.assertNotIn("Nobody restarts", screen)

        os.kill(first, signal.SIGSTOP)  # it hangs
        second = int(self.monit.await_agent(but=first)["pid"])
        harness.wait_process_gone(first)
        self.assertEqual(second, self.pid())
        self.assertEqual(self.pods(), before)
        self.assertEqual(self.agent.get("/mainstay/v1/status")["adopted"], 2)

        os.kill(second, signal.SIGKILL)  # it dies, and leaves its PID file
        third = int(self.monit.await_agent(but=second)["pid"])
        self.assertEqual(third, self.pid())
        self.assertEqual(self.pods(), before)
        for name in before:
            self.assertEqual(harness.container(self.agent.pod(name))["restartCount"], 0)
        with open(self.monit.path("output")) as f:
            said = f.read()
        self.assertIn("'mainstayd' failed protocol test [HTTP]", said)
        self.assertIn("'mainstayd' process is not running", said)

        # The running agent tells what its flags told before.
        env = dict(os.environ, MAINSTAY_SOCKET=self.agent.socket)
        online = subprocess.run([MAINSTAY, "monit", *PACE, "--init", "none", "--log",
                                 self.agent.path("agent.log")], env=env, text=True, capture_output=True)
        self.assertEqual(online.stderr, "")
        self.assertEqual(body(online.stdout), body(self.control))

        self.assertEqual(self.monit.run("-g", "kubelet", "restart").returncode, 0)  # the classic command
        self.monit.await_agent(but=third)
        self.assertEqual(self.pods(), before)

    def test_a_slow_start_is_not_taken_for_a_hang(self):
        self.watch("--start-timeout", "1h")
        pid = int(self.monit.await_agent()["pid"])
        os.kill(pid, signal.SIGSTOP)  # as one that reads a full directory from a slow disk
        self.addCleanup(os.kill, pid, signal.SIGCONT)
        seen = set()
        while len(seen) < 6:  # cycles, twice and more of what a hang is given
            status = self.monit.await_agent()
            self.assertEqual(status["pid"], str(pid))
            seen.add(status["data collected"])
            time.sleep(0.2)

    def test_pods_and_manifests_that_are_not_well(self):
        self.watch()
        self.monit.await_agent()
        self.pods()
        for service in ("web", "web_url", "plain", "mainstay_manifests", "mainstay_disk"):
            self.monit.await_ok(service)
        self.assertIn(("/health?serializable=true", "a b, c: d"), self.component.seen)
        text = "ready: web-node1 (Running, 1/1, 0 restarts)"
        self.monit.await_status("web", lambda s: text in s.get("last output", ""), text)

        self.component.well = False
        self.agent.post("/mainstay/v1/pods/-/plain/stop")
        self.agent.drop("bad.yaml", pod_yaml("bad", [COMPONENT]).replace("hostNetwork", "hostNetwrok"))
        failed = self.monit.await_failed("web_url")
        self.assertIn("FAILED to [127.0.0.1]", failed["port response time"])
        failed = self.monit.await_failed("web")  # the agent has asked too
        self.assertIn("web-node1 is not ready (Running, 0/1)", failed["last output"])
        failed = self.monit.await_failed("plain")
        self.assertIn("plain-node1 is not ready", failed["last output"])
        self.assertIn("stopped by an operator", failed["last output"])
        failed = self.monit.await_failed("mainstay_manifests")
        self.assertIn("bad.yaml:", failed["last output"])
        self.assertRegex(self.monit.run("summary").stdout, r"plain +Status failed +Program")

        self.component.well = True
        self.agent.post("/mainstay/v1/pods/-/plain/start")
        self.agent.remove("bad.yaml")
        for service in ("web", "web_url", "plain", "mainstay_manifests"):
            self.monit.await_ok(service)


def body(control):
    """Without the head, which tells the command line."""
    return control.split("\n\n", 1)[1]


@unittest.skipUnless(os.access(MONIT, os.X_OK), HERE)
class ControlFile(unittest.TestCase):
    """What `mainstay monit` makes of a control plane's manifests."""

    def setUp(self):
        self.root = tempfile.mkdtemp(prefix="mainstay-monit-")
        self.addCleanup(shutil.rmtree, self.root)

    def make(self, *flags, status=0):
        return mainstay("monit", "--offline", *flags, status=status)

    def test_a_control_plane_loads_in_monit(self):
        manifests = init(self.root)
        for init_system in ("none", "systemd", "sysv"):
            with self.subTest(init_system):
                text = self.make("--manifests", manifests, "--init", init_system)
                code, said = syntax(self.root, text)
                self.assertEqual(code, 0, said)
                self.assertIn("Control file syntax OK", said)
                self.assertEqual(text, self.make("--manifests", manifests, "--init", init_system))
        for service in ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"):
            self.assertIn(f'check program "{service}" with path "{MAINSTAY} check pod {service}"', text)
            self.assertIn(f'check host "{service}_url" with address "127.0.0.1"', text)
        for url in ('port 2381 protocol http request "/health"', 'port 6443 protocol https request "/livez"',
                    'port 6443 protocol https request "/readyz"', 'port 10257 protocol https', 'port 10259'):
            self.assertIn(url, text)
        for name in ("mainstay_certificates", "etcd_quorum", "mainstay_manifests"):
            self.assertIn(f'check program "{name}"', text)
        self.assertIn(f"check disk {self.root}/var/lib/etcd /var/log/pods /var/lib/mainstay", text)

    def test_systemd_acts_first(self):
        text = self.make("--manifests", self.root, "--init", "systemd", "--interval", "10s", "--patience", "20s")
        self.assertIn('systemctl start mainstayd" with timeout 90 seconds', text)
        self.assertIn("if does not exist for 2 cycles then start", text)
        self.assertIn("for 6 cycles then restart", text)  # a minute, whatever the patience

    def test_names_and_paths_that_need_care(self):
        host = os.uname().nodename.lower()
        manifests = os.path.join(self.root, "with blanks, and 'quotes")
        os.makedirs(manifests)
        for i, (name, namespace) in enumerate([("web", "a"), ("web", "b"), (host, "a"), ("mainstayd", "a")]):
            with open(os.path.join(manifests, f"{i}.yaml"), "w") as f:
                f.write(pod_yaml(name, [COMPONENT]).replace("namespace: default", f"namespace: {namespace}"))
        text = self.make("--manifests", manifests)  # nothing names certificates: no path in it
        code, said = syntax(self.root, text)
        self.assertEqual(code, 0, said)
        for name in ("web", "web_2", f"{host}_2", "mainstayd_2"):
            self.assertIn(f'check program "{name}"', text)
        self.assertIn("check pod web --namespace b", text)

        blanks = init(os.path.join(self.root, "a b"))
        text = self.make("--manifests", blanks, "--", "--run-dir", f"{self.root}/r s", "--node-ip", "10.0.0.9")
        code, said = syntax(self.root, text)
        self.assertEqual(code, 0, said)
        self.assertIn(f"'{self.root}/a b/etc/kubernetes/manifests'", text)
        self.assertIn(f'with pidfile "{self.root}/r s/mainstayd.pid"', text)

    def test_what_cannot_be_written_is_refused(self):
        cases = ((["--", "--run-dir", self.root + '/"'], "double quote"),
                 (["--", "--run-dir", self.root + "/a '"], "single quote"),
                 (["--", "--pid-file="], "writes no PID file"),
                 (["--", "--no-such-flag"], "unknown flag"),
                 (["--manifests", self.root + "/no"], "cannot be read"))
        for flags, why in cases:
            with self.subTest(flags):
                done = subprocess.run([MAINSTAY, "monit", "--offline", "--init", "none", "--manifests",
                                       self.root, *flags], text=True, capture_output=True)
                self.assertEqual((done.returncode, done.stdout), (1, ""))
                self.assertIn(why, done.stderr)
        for flags in (["word"], ["--init", "upstart"], ["--interval", "x"]):
            self.make(*flags, status=2)

    def test_without_a_health_port_the_socket_is_asked(self):
        text = self.make("--manifests", self.root, "--", "--healthz-port", "0")
        self.assertIn('if failed unixsocket "/run/mainstay/mainstay.sock" protocol http', text)
        self.assertEqual(syntax(self.root, text)[0], 0)

    def test_relative_paths_of_the_agents_flags_keep_their_meaning(self):
        done = subprocess.run([MAINSTAY, "monit", "--offline", "--init", "none", "--manifests", ".", "--",
                               "--run-dir=x/y", "--node-ip", "10.0.0.1"], cwd=self.root, text=True,
                              capture_output=True, check=True)
        self.assertIn(f"--chdir {self.root} -- --run-dir=x/y", done.stdout)
        self.assertIn(f'with pidfile "{self.root}/x/y/mainstayd.pid"', done.stdout)
        self.assertNotIn("--chdir", self.make("--init", "none", "--manifests", self.root, "--", "--v=2"))

    def test_out_is_for_root_only_and_says_what_next(self):
        self.make("--manifests", self.root, "--out", self.root)
        self.assertEqual(os.stat(self.root + "/mainstay").st_mode & 0o777, 0o600)

    def test_the_shipped_files_are_what_is_generated_for_a_standard_node(self):
        manifests = init(self.root)
        os.mkdir(f"{self.root}/empty")
        build = os.path.dirname(MAINSTAY)
        for name, directory in (("mainstay-control-plane", manifests), ("mainstayd", f"{self.root}/empty")):
            text = self.make("--init", "sysv", "--interval", "30s", "--manifests", directory)
            text = text.replace(f"{self.root}/empty", "/etc/kubernetes/manifests").replace(self.root, "")
            text = text.replace(build + "/mainstay ", "/usr/local/bin/mainstay ")
            with open(os.path.join(SOURCE, "packaging/monit", name)) as f:
                shipped = f.read()
            self.assertIn("As shipped", shipped)
            self.assertEqual(rewrapped(shipped.split("#\n", 1)[1]), rewrapped(text))
            # It loads where the programs are.
            installed = shipped.replace("/usr/local/bin/mainstay ", MAINSTAY + " ")
            self.assertEqual(syntax(self.root, installed)[0], 0)


def rewrapped(text):
    """Comments are broken where paths were longer."""
    return re.sub(r"\n# (?=\S)", " ", text)


class Checks(unittest.TestCase):
    """`mainstay check`: one line, one exit status."""

    def setUp(self):
        self.root = tempfile.mkdtemp(prefix="mainstay-check-")
        self.addCleanup(shutil.rmtree, self.root)

    def check(self, *words, status=0):
        line = mainstay("check", *words, status=status)
        self.assertEqual(line.count("\n"), 1, line)
        return line

    def test_certificates(self):
        manifests = init(self.root)
        pki = os.path.join(self.root, "etc/kubernetes/pki")
        line = self.check("certificates", "--manifests", manifests)
        self.assertRegex(line, r"^13 certificates in 11 files are valid; the first to expire is \S+, in 364d$")
        line = self.check("certificates", "--manifests", manifests, "--days", "400", status=1)
        self.assertIn(f"{pki}/apiserver.crt expires in 364d", line)
        self.assertNotIn("/ca.crt", line)
        self.assertRegex(self.check("certificates", f"{pki}/ca.crt", "--days", "400"), r"/ca.crt is valid, for 9y\w* more$")
        os.unlink(f"{pki}/etcd/peer.crt")
        with open(f"{pki}/front-proxy-client.crt", "w") as f:
            f.write("garbage\n")
        line = self.check("certificates", "--manifests", manifests, status=1)
        self.assertIn("etcd/peer.crt: No such file", line)
        self.assertIn("front-proxy-client.crt holds no certificate", line)

    def test_certificates_by_the_containers_mounts(self):
        manifests = init(self.root)
        with open(f"{manifests}/etcd.yaml") as f:
            text = f.read()
        for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler"):
            os.unlink(f"{manifests}/{name}.yaml")
        text = text.replace(f"mountPath: \"{self.root}/etc/kubernetes/pki/etcd\"", "mountPath: \"/certs\"")
        text = re.sub(rf"(-file=){self.root}/etc/kubernetes/pki/etcd/", r"\1/certs/", text)
        with open(f"{manifests}/etcd.yaml", "w") as f:
            f.write(text)
        self.assertIn("=/certs/", text)
        line = self.check("certificates", "--manifests", manifests)
        self.assertIn(f"3 certificates in 3 files are valid; the first to expire is {self.root}/", line)

    def test_an_expired_certificate(self):
        path = os.path.join(self.root, "old.pem")
        with open(path, "w") as f:
            f.write(EXPIRED)
        self.assertRegex(self.check("certificates", path, status=1),
                         r"old.pem has expired, \S+ ago \(2021-01-01T00:00:00Z\)")

    def test_disk(self):
        self.assertRegex(self.check("disk", "--min-free=0", "--min-inodes=0", self.root),
                         rf"^{self.root} \d+% free \(\d+[KMGTP]i\)$")
        self.check("disk", "--min-free=0", "--min-inodes=0", f"{self.root}/not/there/yet")
        self.assertIn("less than 101%", self.check("disk", "--min-free=101", self.root, status=1))
        self.assertIn("Not a directory", self.check("disk", f"{MAINSTAY}/x", status=1))

    @unittest.skipUnless(os.geteuid() == 0, "only root may mount")
    def test_a_full_disk(self):
        mount = os.path.join(self.root, "small")
        os.mkdir(mount)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1M,nr_inodes=100", "tmpfs", mount])
        if done.returncode != 0:
            self.skipTest("a tmpfs cannot be mounted here")
        self.addCleanup(subprocess.run, ["umount", mount], check=True)
        self.check("disk", mount)
        with open(f"{mount}/fill", "wb") as f:
            f.write(b"x" * (960 << 10))
        self.assertRegex(self.check("disk", mount, status=1), r"has \d% of its room free \(\d+\w*\), less than 10%")
        os.unlink(f"{mount}/fill")
        for i in range(97):
            os.mkdir(f"{mount}/{i}")
        self.assertRegex(self.check("disk", mount, status=1), r"has \d% of its inodes free \(\d\), less than 5%")

    def start_etcd(self, command):
        etcd = subprocess.Popen(["etcd", *command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE, text=True)
        self.addCleanup(etcd.stderr.close)
        self.addCleanup(etcd.wait)
        self.addCleanup(etcd.kill)
        return etcd

    def await_etcd(self, etcd):
        lines = []
        for line in etcd.stderr:
            lines.append(line)
            if "ready to serve client requests" in line:
                threading.Thread(target=etcd.stderr.read, daemon=True).start()  # it shall not block on a full pipe
                return
        raise AssertionError("".join(lines))

    @unittest.skipUnless(shutil.which("etcd"), "etcd is not installed")
    def test_quorum(self):
        client, peer, metrics = free_ports(3)
        manifests = init(self.root, "--etcd-client-port", str(client), "--etcd-peer-port", str(peer),
                         "--etcd-metrics-port", str(metrics), "--key-type", "ecdsa")
        check = ["quorum", "--manifests", manifests, "--timeout", "1s"]
        self.assertIn("etcd does not answer", self.check(*check, status=1))
        with open(f"{manifests}/etcd.yaml") as f:
            command = re.findall(r'- "(--[^"]*)"', f.read())
        self.await_etcd(self.start_etcd(command))
        self.assertRegex(self.check(*check), r"^etcd has a quorum: 1 of 1 member answers, leader m0, term \d+$")
        # A second member that never comes: two are needed now, and one answers.
        pki = os.path.join(self.root, "etc/kubernetes/pki")
        added = subprocess.run(["curl", "-sS", "--max-time", "10", "--cacert", f"{pki}/etcd/ca.crt", "--cert",
                                f"{pki}/apiserver-etcd-client.crt", "--key", f"{pki}/apiserver-etcd-client.key",
                                "-d", json.dumps({"peerURLs": [f"https://127.0.0.1:{free_ports(1)[0]}"]}),
                                f"https://127.0.0.1:{client}/v3/cluster/member/add"],
                               text=True, capture_output=True, check=True)
        self.assertIn('"member"', added.stdout)
        line = self.check(*check, status=1)
        self.assertRegex(line, r"^etcd has no quorum: [01] of 2 members answers?, 2 are needed")
        self.assertIn("a new member: has not started yet", line)

    @unittest.skipUnless(shutil.which("etcd"), "etcd is not installed")
    def test_quorum_of_three(self):
        ports = free_ports(6)
        cluster = ",".join(f"m{i}=http://127.0.0.1:{ports[i]}" for i in range(3))
        commands = [["--name", f"m{i}", "--data-dir", f"{self.root}/{i}", "--listen-peer-urls",
                     f"http://127.0.0.1:{ports[i]}", "--initial-advertise-peer-urls",
                     f"http://127.0.0.1:{ports[i]}", "--listen-client-urls",
                     f"http://127.0.0.1:{ports[3 + i]}", "--advertise-client-urls",
                     f"http://127.0.0.1:{ports[3 + i]}", "--initial-cluster", cluster] for i in range(3)]
        members = [self.start_etcd(command) for command in commands]
        for member in members:
            self.await_etcd(member)
        with open(f"{self.root}/etcd.yaml", "w") as f:
            f.write(pod_yaml("etcd", ["etcd", *commands[0]]))
        check = ["quorum", "--manifests", self.root, "--timeout", "1s"]
        self.assertRegex(self.check(*check), r"^etcd has a quorum: 3 of 3 members answer, leader m[0-2], term \d+$")
        members[1].kill()
        members[1].wait()
        # The two that are left may have to elect a leader first: until then they have none.
        end = time.monotonic() + WAIT_SECONDS
        line = self.check(*check, status=1)
        while "has a quorum" not in line and time.monotonic() < end:
            line = self.check(*check, status=1)
        self.assertRegex(line, r"^etcd has a quorum: 2 of 3 members answer, leader m[02], term \d+, and losing one more "
                         rf"would end it; m1: http://127.0.0.1:{ports[4]}: .*connect")
        members[2].kill()
        members[2].wait()
        self.assertRegex(self.check(*check, status=1), r"^etcd has no quorum: [01] of 3 members answers?, 2 are needed")

    def test_quorum_that_no_manifest_names(self):
        done = subprocess.run([MAINSTAY, "check", "quorum", "--manifests", self.root], text=True,
                              capture_output=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("says where etcd is", done.stderr)

    def test_no_agent(self):
        for what in ("agent", "pod", "manifests"):
            done = subprocess.run([MAINSTAY, "check", what, "--socket", f"{self.root}/no"], text=True,
                                  capture_output=True)
            self.assertEqual((done.returncode, done.stdout), (3, ""))

    def test_wrong_usage(self):
        for words in ([], ["nonsense"], ["disk"], ["agent", "x"], ["disk", "/", "--min-free", "x"]):
            mainstay("check", *words, status=2)


class OfAnAgent(harness.AgentTest):
    """`mainstay check` of what an agent says, and its PID file."""

    def test_pods(self):
        agent = self.agent()
        self.assertEqual(agent.cli("check", "pod").stdout, "there are no pods\n")
        agent.drop("web.yaml", pod_yaml("web", [COMPONENT]))
        agent.wait_ready_pod("web")
        self.assertEqual(agent.cli("check", "pod").stdout, "ready: web-node1 (Running, 1/1, 0 restarts)\n")
        self.assertEqual(agent.cli("check", "pod", "web", "-n", "other").returncode, 1)
        self.assertRegex(agent.cli("check", "agent").stdout, r"^mainstayd \S+ is ready: pid \d+, up \S+, 1 of 1 pods")
        agent.drop("bad.yaml", pod_yaml("bad", [COMPONENT, "exit", "3"]))
        agent.wait_event("BackOff", "bad")
        done = agent.cli("check", "pod")
        self.assertEqual((done.returncode, done.stdout.count("\n")), (1, 1))
        self.assertRegex(done.stdout, r"^bad-node1 is not ready \(.*CrashLoopBackOff.*exit status 3")
        done = agent.cli("check", "pod", "web", "absent")
        self.assertEqual((done.returncode, done.stdout.split(" (")[0]), (1, "there is no pod absent"))
        self.assertEqual(agent.cli("check", "manifests").stdout, "2 manifests are in force\n")

    def test_nobody_watches(self):
        agent = self.agent("--healthz-port", str(free_ports(1)[0]))
        port = agent.get("/mainstay/v1/status")["healthz"]
        screen = agent.cli("status").stdout
        self.assertRegex(screen, r"Watched by +nobody\n")
        self.assertIn("Nobody restarts the agent if it dies", " ".join(screen.split()))
        # One who only asks is told of, and restarts nothing.
        subprocess.run(["curl", "-sS", "-o", "/dev/null", f"http://{port}/healthz"], check=True)
        screen = agent.cli("status").stdout
        self.assertRegex(screen, r"Watched by +nobody, healthz \(curl/\S+ asked for the health \d+s ago\)")
        self.assertIn("Nobody restarts", screen)

    def test_a_supervisor_is_seen(self):
        agent = Agent(start=False)
        self.addCleanup(agent.close)
        runsv = agent.path("runsv")
        os.symlink("/bin/bash", runsv)  # a parent of that name: the agent knows nothing else of it
        agent.program, program = runsv, agent.program
        command = agent.command()[1:]
        agent.command = lambda: [runsv, "-c", '"$@" & wait', "sh", program, *command]
        agent.start(wait=False)
        agent.process_of_parent = agent.process
        while "READY=1" not in agent.notify.recv(65536).decode():
            pass
        watchers = agent.get("/mainstay/v1/status")["watchers"]
        self.assertEqual([(w["name"], w["restarts"], w["noticesHangs"]) for w in watchers], [("runit", True, False)])
        self.assertIn("Nobody notices if the agent hangs", " ".join(agent.cli("status").stdout.split()))

    def test_the_pid_file_is_true(self):
        agent = self.agent()
        path = agent.path("run", "mainstayd.pid")

        def content():
            with open(path) as f:
                return f.read()

        self.assertEqual(content(), f"{agent.process.pid}\n")
        self.assertEqual(agent.get("/mainstay/v1/status")["pidFile"], path)
        agent.process.send_signal(signal.SIGUSR2)  # executes itself anew: the same process
        agent.wait_ready()
        self.assertEqual(content(), f"{agent.process.pid}\n")
        # A second agent is refused, and leaves the first one's file alone.
        refused = subprocess.run(agent.command(), capture_output=True, text=True, timeout=WAIT_SECONDS)
        self.assertNotEqual(refused.returncode, 0)
        self.assertEqual(content(), f"{agent.process.pid}\n")
        before = agent.process.pid
        agent.kill()
        self.assertEqual(content(), f"{before}\n")  # left behind, until
        agent.start()
        self.assertEqual(content(), f"{agent.process.pid}\n")
        agent.kill(signal.SIGTERM)
        self.assertFalse(os.path.exists(path))
        agent.start()

    def test_a_pid_file_elsewhere_or_nowhere(self):
        agent = Agent(start=False)
        self.addCleanup(agent.close)
        agent.flags = ["--pid-file", agent.path("var", "kubelet.pid")]
        agent.start()
        with open(agent.path("var", "kubelet.pid")) as f:
            self.assertEqual(f.read(), f"{agent.process.pid}\n")
        agent.kill(signal.SIGTERM)
        agent.flags = ["--pid-file="]
        agent.start()
        self.assertEqual(os.listdir(agent.path("var")), [])
        self.assertFalse(os.path.exists(agent.path("run", "mainstayd.pid")))
        self.assertIsNone(agent.get("/mainstay/v1/status")["pidFile"])


if __name__ == "__main__":
    main()
