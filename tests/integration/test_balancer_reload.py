"""HAProxy is reloaded while a kube-apiserver is dead, frozen or away: the new worker knows it from its first
connection on, and nobody pays for it.
"""

import os
import signal
import socket
import threading

import harness
from balancer_world import NODES, BalancerTest, cluster_yaml, enter_own_network
from harness import WAIT_SECONDS


def setUpModule():
    enter_own_network("haproxy")


class Reload(BalancerTest):
    def setUp(self):
        super().setUp()
        self.write("etc/mainstay/cluster.yaml", cluster_yaml(["m1", "m2", "m3"]))
        self.doubles = {name: self.double(name) for name in ("m1", "m2", "m3")}
        self.running = self.haproxy()
        for name in self.doubles:
            self.running.await_line(f"Health check for server kube-apiserver/{name} succeeded")

    def lose(self, name, number):
        self.doubles[name].process.send_signal(number)
        self.running.await_line(f"Server kube-apiserver/{name} is DOWN")

    def reload(self, text):
        """By another cluster's file, as `mainstay balancer follow` and an operator do it."""
        self.write("etc/mainstay/cluster.yaml", text)
        self.balancer("render", "--write", "--offline", "haproxy.cfg")
        self.running.process.send_signal(signal.SIGUSR2)
        self.running.await_line("Loading success")

    def answers(self, n=24):
        """Who answers so many connections that are opened at once; one that fails is an exception."""
        found, failures = [], []

        def one():
            try:
                found.append(self.certificates.ask()[0])
            except OSError as e:
                failures.append(repr(e))
        threads = [threading.Thread(target=one) for _ in range(n)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        return set(found)

    def test_a_server_that_is_down_gets_nothing(self):
        self.lose("m2", signal.SIGSTOP)
        self.lose("m3", signal.SIGKILL)
        self.double("m4")
        self.reload(cluster_yaml(["m1", "m2", "m3", "m4"]))
        self.assertEqual(self.answers(), {"m1", "m4"})
        # It comes back by the new worker's checks.
        self.doubles["m2"].process.send_signal(signal.SIGCONT)
        self.running.await_line("Server kube-apiserver/m2 is UP")
        self.assertEqual(self.answers(), {"m1", "m2", "m4"})

    def test_a_machine_in_place_of_a_dead_one(self):
        """Its name was that of one that is down; what was known of it is left behind with the address."""
        self.lose("m2", signal.SIGKILL)
        self.double("other", NODES["m4"])
        self.reload(cluster_yaml(["m1", "m2", "m3"]).replace(NODES["m2"], NODES["m4"]))
        self.assertIn(f"server m2 {NODES['m4']}:", self.read("etc/haproxy/haproxy.cfg"))
        self.assertNotIn(" m2 ", self.read("run/haproxy/servers"))
        self.assertEqual(self.answers(), {"m1", "m3", "other"})

    def test_where_all_are_down_nothing_is_kept(self):
        """What was known then must not keep connections from those that are back."""
        for name in self.doubles:
            self.lose(name, signal.SIGUSR1)
        self.balancer("render", "--write", "--offline", "haproxy.cfg")
        self.reload(cluster_yaml(["m1", "m2", "m3", "m4"]))
        self.assertEqual([line for line in self.read("run/haproxy/servers").splitlines() if " m" in line and line[0] != "#"], [])

    def test_a_balancer_that_does_not_answer(self):
        self.running.process.send_signal(signal.SIGTERM)
        self.running.process.wait(WAIT_SECONDS)
        self.write("run/haproxy/servers", "of before\n")
        with socket.socket(socket.AF_UNIX) as silent:
            os.unlink(self.path("run/haproxy/admin.sock"))
            silent.bind(self.path("run/haproxy/admin.sock"))
            silent.listen()
            self.write("etc/mainstay/cluster.yaml", cluster_yaml(["m1"]))
            self.assertIn("written", self.balancer("render", "--write", "--offline", "haproxy.cfg").stdout)
        self.assertFalse(os.path.exists(self.path("run/haproxy/servers")))


if __name__ == "__main__":
    harness.main()
