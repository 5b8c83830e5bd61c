"""The load balancer's files, and HAProxy with them: who is left, who keeps connections, and draining."""

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import harness
from balancer_world import API_PORT, DELAY, DOUBLE, NODES, PORT, VIRTUAL_IP, BalancerTest, Certificates, Requests, Watch, cluster_yaml, enter_own_network
from harness import MAINSTAY, WAIT_SECONDS, pid_of


def setUpModule():
    enter_own_network("haproxy")


class Checks(BalancerTest):
    def test_who_is_left_and_who_keeps_connections(self):
        doubles = {name: self.double(name) for name in ("m1", "m2")}
        own, self.certificates = self.certificates, Certificates(self.path("other"))
        self.double("m3")  # it answers, with a certificate of another CA
        self.certificates = own
        haproxy = self.haproxy()
        haproxy.await_line("Server kube-apiserver/m3 is DOWN")
        connections = {}
        while len(connections) < 2:
            connection = self.certificates.connect()
            connections[self.certificates.ask(connection)[0]] = connection
        # A lost etcd is another thing than an orderly end: its connections are of no use.
        doubles["m1"].process.send_signal(signal.SIGUSR1)
        haproxy.await_line("Server kube-apiserver/m1 is DOWN")
        with self.assertRaises((OSError, http.client.HTTPException)):
            self.certificates.ask(connections["m1"])
        doubles["m1"].process.send_signal(signal.SIGUSR2)
        haproxy.await_line("Server kube-apiserver/m1 is UP")
        # Frozen: nothing would ever tell the client.
        doubles["m2"].process.send_signal(signal.SIGSTOP)
        haproxy.await_line("Server kube-apiserver/m2 is DOWN")
        with self.assertRaises((OSError, http.client.HTTPException)):
            self.certificates.ask(connections["m2"])
        self.assertEqual(self.certificates.ask()[0], "m1")


class Draining(BalancerTest):
    """Doubles as static pods: what the agent does by itself is enough."""

    def pod(self, name, revision):
        words = [sys.executable, DOUBLE, name, NODES[name], API_PORT, self.certificates.cert, self.certificates.key, DELAY]
        return f"""apiVersion: v1
kind: Pod
metadata: {{name: kube-apiserver-{name}, annotations: {{revision: "{revision}"}}}}
spec:
  hostNetwork: true
  containers:
  - name: main
    image: localhost/test:1
    imagePullPolicy: IfNotPresent
    command: {json.dumps([str(word) for word in words])}
    env: [{{name: REVISION, value: "{revision}"}}]
    readinessProbe: {{httpGet: {{host: {NODES[name]}, port: {API_PORT}, path: /readyz, scheme: HTTPS}}, periodSeconds: 1}}
"""

    def test_restart_and_a_spec_change_drain_first(self):
        agent = self.agent()
        self.write("etc/mainstay/cluster.yaml", cluster_yaml(["m1", "m2"]))
        for name in ("m1", "m2"):
            agent.drop(f"{name}.yaml", self.pod(name, 1))
            agent.wait_ready_pod(f"kube-apiserver-{name}")
        haproxy = self.haproxy()
        for name in ("m1", "m2"):
            haproxy.await_line(f"Health check for server kube-apiserver/{name} succeeded")
        clients = [Requests(self.certificates, kept=kept) for kept in (False, True)]
        watch = Watch(self.certificates)
        for name, change in (("m1", lambda: agent.cli("restart", "kube-apiserver-m1", check=True)),
                             ("m2", lambda: agent.drop("m2.yaml", self.pod("m2", 2)))):
            pid = pid_of(agent.pod(f"kube-apiserver-{name}"))
            order = threading.Thread(target=change)  # `restart` waits for the end
            order.start()
            haproxy.await_line(f"Server kube-apiserver/{name} is stopping")
            left = time.monotonic()
            self.assertEqual(pid_of(agent.pod(f"kube-apiserver-{name}")), pid, "it is left while it still serves")
            harness.wait_process_gone(pid)
            self.assertNotIn(name, clients[0].servers_since(left), "a new connection to one that drains")
            haproxy.await_line(f"Server kube-apiserver/{name} is UP")
            order.join(WAIT_SECONDS)
        clients[0].await_server("m2")  # one that is back gets connections again
        self.assertEqual([client.end() for client in clients] + [watch.end()], [[], [], []])
        self.assertGreater(min(len(client.answers) for client in clients), 100)
        self.assertGreater(watch.news, 20)


class Rendered(BalancerTest):
    def test_machines_that_balance_alone_and_workers(self):
        """`mainstay render`: a balancer's machine gets the CA and no key; a worker's files point at the endpoint."""
        out = self.path("trees")
        config = cluster_yaml(["m1", "m2", "m3"], virtualIP=f"{VIRTUAL_IP}/24", interface="eth0", nodes="[lb1=10.99.0.9]")
        self.write("cluster.yaml", config)
        subprocess.run([MAINSTAY, "render", "--config", self.path("cluster.yaml"), "--out", out], check=True,
                       capture_output=True)
        files = {os.path.relpath(os.path.join(at, name), os.path.join(out, "lb1"))
                 for at, _, names in os.walk(os.path.join(out, "lb1")) for name in names}
        self.assertLessEqual({"etc/haproxy/haproxy.cfg", "etc/keepalived/keepalived.conf",
                              "etc/kubernetes/manifests/haproxy.yaml"}, files)
        self.assertEqual({name for name in files if "/pki/" in name}, {"etc/kubernetes/pki/ca.crt"})
        for name in ("etc/kubernetes/bootstrap-kubelet.conf", "var/lib/kube-proxy/kubeconfig.conf"):
            text = self.read(f"trees/worker/{name}")
            self.assertIn(f'server: "https://{VIRTUAL_IP}:{PORT}"', text)
            if shutil.which("kubectl"):
                view = subprocess.run(["kubectl", "config", "view", "--minify", "--kubeconfig", f"{out}/worker/{name}",
                                       "-o", "jsonpath={.clusters[0].cluster.server}"], check=True,
                                      capture_output=True, text=True).stdout
                self.assertEqual(view, f"https://{VIRTUAL_IP}:{PORT}")
        self.assertEqual(self.read("trees/worker/etc/kubernetes/pki/ca.crt"), self.read("trees/m1/etc/kubernetes/pki/ca.crt"))

    def test_a_machine_that_balances_alone_is_told_of_a_node_by_hand(self):
        """It cannot follow etcd, says so and what to do instead; done, that takes the node in."""
        machine = {"nodes": "[lb1=10.99.0.9]"}
        self.write("etc/mainstay/cluster.yaml", cluster_yaml(["m1", "m2"], **machine))
        refused = self.balancer("follow", status=1, node="lb1").stderr
        self.assertIn('change "nodes" in ' + self.path("etc/mainstay/cluster.yaml"), refused)
        self.assertIn("`mainstay balancer render --write`", refused)
        self.write("etc/mainstay/cluster.yaml", cluster_yaml(["m1", "m2", "m3"], **machine))
        done = self.balancer("render", "--write", node="lb1")
        self.assertIn("no way to etcd", done.stderr)
        self.assertIn(f"server m3 {NODES['m3']}:{API_PORT}", self.read("etc/haproxy/haproxy.cfg"))

    def test_each_program_takes_what_is_rendered(self):
        """Its own check finds the file good, for IPv4 and IPv6 and for many nodes."""
        os.makedirs(self.path("etc/keepalived"))
        for address, virtual in (("10.98.0.{}", "10.98.0.200/24"), ("fd00::{}", "fd00::c8/64")):
            nodes = "".join(f"- {{name: n{i}, address: '{address.format(i)}'}}\n" for i in range(1, 32))
            text = cluster_yaml(["m1"], virtualIP=f"'{virtual}'", interface="lo")
            text = re.sub(r"controlPlaneEndpoint.*", "controlPlaneEndpoint: balancer.example:8443\\n"
                          "apiServer: {extraArgs: {anonymous-auth: 'false'}}", text)
            self.write("etc/mainstay/cluster.yaml", text.replace(f"- {{name: m1, address: {NODES['m1']}}}\n", nodes))
            shutil.rmtree(self.path("etc/keepalived"))
            # --write asks haproxy and keepalived, and would fail.
            for file in ("haproxy.cfg", "check-apiserver", "keepalived.conf"):
                self.assertIn("written", self.balancer("render", "--write", "--offline", file, node="n1").stdout)
                self.assertIn("kept", self.balancer("render", "--write", "--offline", file, node="n1").stdout)

    def test_mistakes_are_told(self):
        self.assertIn('has no node "m9"', self.balancer("render", "--offline", status=1, node="m9").stderr)
        self.assertIn('no file "x.cfg"', self.balancer("render", "--offline", "x.cfg", status=1).stderr)
        self.balancer("render", "follow", "x", status=2)
        self.balancer("follow", "--write", status=2)
        self.balancer(status=2)
        # Without any way to etcd it says so, and takes the file's nodes.
        done = self.balancer("render", "haproxy.cfg")
        self.assertIn("knows no way to etcd", done.stderr)
        self.assertIn("server m3 10.99.0.3:6443", done.stdout)
        done = self.balancer("render", "--endpoints", "http://127.0.0.1:1", status=1)
        self.assertIn("--offline takes the nodes from the cluster's file", done.stderr)
        os.unlink(self.certificates.ca)
        done = self.balancer("render", "--write", "--offline", "haproxy.cfg", status=1)
        self.assertIn("haproxy does not take the new one", done.stderr)
        self.assertFalse(os.path.exists(self.path("etc/haproxy/haproxy.cfg")))
        self.write("etc/mainstay/cluster.yaml", cluster_yaml(["m1"], kind="none"))
        self.assertIn("runs no balancer", self.balancer("render", "--offline", status=1).stderr)
        self.write("etc/mainstay/cluster.yaml", "kind: [")
        self.assertIn("cluster.yaml:", self.balancer("render", "--offline", status=1).stderr)
        os.unlink(self.path("etc/mainstay/cluster.yaml"))
        self.assertIn("No such file", self.balancer("render", "--offline", status=1).stderr)


if __name__ == "__main__":
    harness.main()
