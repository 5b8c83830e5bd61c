"""`mainstay balancer follow` with a real etcd and HAProxy: nodes that come and go without a lost connection."""

import contextlib
import json
import os
import re
import signal
import subprocess
import time

import harness
from balancer_world import API_PORT, NODES, BalancerTest, Requests, Watch, enter_own_network
from harness import MAINSTAY, WAIT_SECONDS, free_ports, pid_of


def setUpModule():
    enter_own_network("haproxy", "etcd", "etcdctl")


NODE_KEYS = "/mainstay/nodes/"


class Etcd:
    """One member without certificates."""

    def __init__(self, test, directory):
        client, peer = free_ports(2)
        self.url = f"http://127.0.0.1:{client}"
        self.command = ["etcd", "--name", "m0", "--data-dir", directory, "--listen-client-urls", self.url,
                        "--advertise-client-urls", self.url, "--listen-peer-urls", f"http://127.0.0.1:{peer}",
                        "--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}",
                        "--initial-cluster", f"m0=http://127.0.0.1:{peer}"]
        self.test = test
        self.start()

    def start(self):
        self.process = self.test.process(*self.command)
        self.ctl("endpoint", "health")

    def stop(self):
        self.process.end(signal.SIGKILL)

    def ctl(self, *words):
        subprocess.run(["etcdctl", "--endpoints", self.url, "--dial-timeout", "30s", "--command-timeout", "30s",
                        *words], check=True, env=dict(os.environ, ETCDCTL_API="3"), capture_output=True,
                       timeout=WAIT_SECONDS)

    def register(self, name, **changes):
        entry = {"address": NODES[name], "roles": ["control-plane", "etcd"], "apiServerPort": API_PORT, **changes}
        self.ctl("put", NODE_KEYS + name, json.dumps(entry))

    def leave(self, name):
        self.ctl("del", NODE_KEYS + name)


class Following(BalancerTest):
    def follow(self, etcd):
        return self.process(MAINSTAY, "balancer", "follow", "--root", self.root, "--node-name", "m1",
                            "--endpoints", etcd.url)

    def configured(self):
        return re.findall(r"^    server (\S+) (\S+)$", self.read("etc/haproxy/haproxy.cfg"), re.M)

    def await_configured(self, follow, *names):
        follow.await_line("haproxy.cfg: written anew")
        self.assertEqual(self.configured(), [(name, f"{NODES[name]}:{API_PORT}") for name in names])

    def test_what_etcd_knows_is_written_and_nothing_worse(self):
        etcd = Etcd(self, self.path("etcd"))
        follow = self.follow(etcd)
        follow.await_line("no kube-apiserver is registered")
        self.assertEqual([name for name, _ in self.configured()], ["m1", "m2", "m3"])
        etcd.register("m1")
        self.await_configured(follow, "m1")
        etcd.register("m4")
        self.await_configured(follow, "m1", "m4")
        # A node with etcd alone is no server.
        etcd.register("m2", roles=["etcd"])
        etcd.register("m3")
        self.await_configured(follow, "m1", "m3", "m4")
        before = self.read("etc/haproxy/haproxy.cfg")
        # An entry that is none changes nothing, and is told.
        etcd.register("m2", address="10.99.0.2\n    server evil 10.0.0.1:1")
        follow.await_line("/mainstay/nodes/m2: address: must be an IP address")
        self.assertEqual(self.read("etc/haproxy/haproxy.cfg"), before)
        # Without etcd it stays as it is; then what has changed meanwhile is taken up.
        etcd.stop()
        follow.await_line("the balancer's files stay as they are")
        self.assertEqual(self.read("etc/haproxy/haproxy.cfg"), before)
        etcd.start()
        etcd.leave("m2")
        etcd.leave("m4")
        self.await_configured(follow, "m1", "m3")
        # All gone: the cluster's file, never nothing.
        for name in ("m1", "m3"):
            etcd.leave(name)
        follow.await_line("no kube-apiserver is registered")
        follow.process.send_signal(signal.SIGTERM)
        self.assertEqual(follow.process.wait(WAIT_SECONDS), 0)
        self.assertGreater(len(self.configured()), 0)

    def test_a_new_file_that_haproxy_does_not_take(self):
        etcd = Etcd(self, self.path("etcd"))
        etcd.register("m1")
        follow = self.follow(etcd)
        follow.await_line("written anew")
        before = self.read("etc/haproxy/haproxy.cfg")
        os.rename(self.certificates.ca, self.certificates.ca + ".away")
        etcd.register("m2")
        follow.await_line("haproxy does not take the new one")
        self.assertEqual(self.read("etc/haproxy/haproxy.cfg"), before)
        os.rename(self.certificates.ca + ".away", self.certificates.ca)
        follow.await_line("written anew")
        self.assertEqual([name for name, _ in self.configured()], ["m1", "m2"])

    def test_the_static_pods_take_a_node_in_and_let_it_go(self):
        """Everything as rendered, run by the agent: a node more and a node less while connections last."""
        etcd = Etcd(self, self.path("etcd"))
        for name in ("m1", "m2", "m4"):
            self.double(name)
        for name in ("m1", "m2"):
            etcd.register(name)
        self.balancer("render", "--write", "--endpoints", etcd.url)
        agent = self.agent()
        programs = os.path.join(agent.path("root"), "images/localhost/mainstay/host/bin")
        os.makedirs(programs)
        os.symlink(MAINSTAY, os.path.join(programs, "mainstay"))
        follow = self.read("etc/kubernetes/manifests/balancer-follow.yaml")
        follow = follow.replace("    - follow\n", f"    - follow\n    - --endpoints={etcd.url}\n")
        agent.drop("haproxy.yaml", self.read("etc/kubernetes/manifests/haproxy.yaml"))
        agent.drop("balancer-follow.yaml", follow)
        pid = pid_of(agent.wait_ready_pod("haproxy"), "haproxy")
        agent.wait_ready_pod("balancer-follow")
        self.assertEqual(self.servers(), {"m1", "m2"})
        watch = Watch(self.certificates)
        clients = [Requests(self.certificates, kept=kept) for kept in (False, True)]
        for change, servers in ((lambda: etcd.register("m4"), {"m1", "m2", "m4"}),
                                (lambda: etcd.leave("m2"), {"m1", "m4"})):
            after = agent.last_event()
            change()
            event = agent.wait_event("FilesChanged", "haproxy", after=after)
            self.assertIn("sending SIGUSR2 to container haproxy", event["message"])
            self.await_servers(servers)
        clients[0].await_server("m4")
        self.assertEqual([client.end() for client in clients] + [watch.end()], [[], [], []])
        self.assertEqual(watch.watches, 1, "the connection of before is there still")
        self.assertGreater(watch.news, 10)
        self.assertEqual(pid_of(agent.pod("haproxy"), "haproxy"), pid)

    def await_servers(self, wanted):
        """HAProxy's new worker answers at the socket once it has taken over; the old one does until then."""
        end = time.monotonic() + WAIT_SECONDS
        found = None
        while found != wanted and time.monotonic() < end:
            with contextlib.suppress(OSError):
                found = self.servers()
        self.assertEqual(found, wanted)


if __name__ == "__main__":
    harness.main()
