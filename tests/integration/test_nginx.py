"""A real web server as a pod: nginx, probed by HTTP and HTTPS, with hooks that ask it.

The program comes from Debian's package, which is unpacked and not installed: nobody asked for a web server
that starts with the machine.
"""

import glob
import os
import shutil
import signal
import subprocess
import tempfile
import unittest

import harness
from harness import container, is_ready, pid_of

CACHE = os.path.expanduser("~/.cache/mainstay/nginx")
CONFIGURATION = """
user root; daemon off; pid {dir}/nginx.pid; error_log stderr notice; worker_processes 1;
events {{}}
http {{
  access_log {dir}/access.log;
  client_body_temp_path {dir}/t1; proxy_temp_path {dir}/t2; fastcgi_temp_path {dir}/t3;
  uwsgi_temp_path {dir}/t4; scgi_temp_path {dir}/t5;
  server {{
    listen 127.0.0.1:{http}; listen 127.0.0.1:{https} ssl; server_name web.example;
    ssl_certificate {dir}/cert.pem; ssl_certificate_key {dir}/key.pem;
    location /ready {{ if (-f {dir}/unready) {{ return 503; }} return 302 /really; }}
    location /really {{ if ($http_x_probe = "") {{ return 403; }} return 204; }}
    location /live {{ if (-f {dir}/dead) {{ return 500; }} return 200 "alive"; }}
    location /hook {{ return 200 "ok"; }}
  }}
  server {{ listen 127.0.0.1:{http} default_server; return 421; }}
}}
"""


def nginx():
    """The path of the program, or None and why there is none."""
    program = shutil.which("nginx") or os.path.join(CACHE, "usr/sbin/nginx")
    if os.path.exists(program):
        return program, None
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        done = subprocess.run(["apt-get", "download", "-q", "nginx"], cwd=directory, capture_output=True, text=True)
        packages = glob.glob(os.path.join(directory, "*.deb"))
        if done.returncode != 0 or not packages:
            return None, f"the package nginx cannot be downloaded: {done.stderr.strip()[-200:]}"
        subprocess.run(["dpkg-deb", "-x", packages[0], os.path.join(directory, "x")], check=True)
        os.makedirs(os.path.dirname(CACHE), exist_ok=True)
        shutil.copytree(os.path.join(directory, "x"), CACHE, dirs_exist_ok=True)
    missing = [line for line in subprocess.run(["ldd", program], capture_output=True, text=True).stdout.splitlines()
               if "not found" in line]
    return (None, f"nginx lacks {missing[0].strip()}") if missing else (program, None)


PROGRAM, WHY_NOT = nginx()


@unittest.skipUnless(PROGRAM, str(WHY_NOT))
class NginxTest(harness.AgentTest):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="mainstay-nginx-")
        self.addCleanup(shutil.rmtree, self.dir)
        self.http, self.https = harness.free_ports(2)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "2", "-subj", "/CN=web.example", "-keyout", self.path("key.pem"), "-out",
                        self.path("cert.pem")], check=True, capture_output=True)
        with open(self.path("nginx.conf"), "w") as f:
            f.write(CONFIGURATION.format(dir=self.dir, http=self.http, https=self.https))

    def path(self, name):
        return os.path.join(self.dir, name)

    def pod(self):
        return f"""apiVersion: v1
kind: Pod
metadata: {{name: web}}
spec:
  hostNetwork: true
  terminationGracePeriodSeconds: 20
  containers:
  - name: main
    image: localhost/nginx:1
    imagePullPolicy: IfNotPresent
    command: [{PROGRAM}, -p, {self.dir}, -c, {self.path("nginx.conf")}]
    ports: [{{name: web, containerPort: {self.http}}}, {{name: tls, containerPort: {self.https}}}]
    startupProbe: {{httpGet: {{host: 127.0.0.1, port: web, path: /live, httpHeaders: [{{name: Host, value: web.example}}]}},
      periodSeconds: 1, failureThreshold: 30}}
    readinessProbe: {{httpGet: {{host: 127.0.0.1, port: tls, scheme: HTTPS, path: /ready, httpHeaders: [
      {{name: X-Probe, value: "1"}}]}}, periodSeconds: 1, failureThreshold: 1}}
    livenessProbe: {{httpGet: {{host: 127.0.0.1, port: web, path: /live, httpHeaders: [{{name: Host, value: web.example}}]}},
      periodSeconds: 1, failureThreshold: 1}}
    lifecycle:
      preStop: {{httpGet: {{host: 127.0.0.1, port: web, path: /hook?stop, httpHeaders: [{{name: Host, value: web.example}}]}}}}
      stopSignal: SIGQUIT
"""

    def log(self):
        with open(self.path("access.log")) as f:
            return f.read()

    def test_probed_and_stopped_by_its_own_rules(self):
        agent = self.agent()
        agent.drop("web.yaml", self.pod())
        pid = pid_of(agent.wait_ready_pod("web"))
        open(self.path("unready"), "w").close()
        agent.wait(lambda pods: [p for p in pods.values() if not is_ready(p)] or None, "unready")
        event = agent.wait_event("Unhealthy", "web")
        self.assertIn("503", event["message"])
        self.assertEqual(pid_of(agent.pod("web")), pid, "a readiness probe restarts nothing")
        os.unlink(self.path("unready"))
        agent.wait_ready_pod("web")
        log = self.log()
        self.assertIn("kube-probe/", log)
        self.assertIn('"GET /really HTTP/1.1" 204', log, "a redirect to the same host is followed, with the headers")
        # Dead: restarted, by its stop signal, after its preStop hook.
        open(self.path("dead"), "w").close()
        agent.wait(lambda pods: [p for p in pods.values() if container(p)["restartCount"] > 0] or None, "restarted")
        self.assertIn('"GET /hook?stop HTTP/1.1" 200', self.log())
        self.assertIn("signal 3 (SIGQUIT)", "\n".join(agent.log_text("web")))
        os.unlink(self.path("dead"))
        agent.wait_ready_pod("web", restarts=1)
        self.assertNotEqual(pid_of(agent.pod("web")), pid)

    def test_a_new_agent_flaps_nothing(self):
        agent = self.agent()
        agent.drop("web.yaml", self.pod())
        pid = pid_of(agent.wait_ready_pod("web"))
        agent.restart(signal.SIGTERM)
        for news in agent.watch("/mainstay/v1/pods?watch=true"):
            if news["type"] == "BOOKMARK":
                break
            self.assertTrue(is_ready(news["object"]), f"ready from the first word on: {news}")
        self.assertEqual(pid_of(agent.pod("web")), pid)


if __name__ == "__main__":
    harness.main()
