"""The balancers' virtual address: real keepalived on two machines of namespaces."""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import time

import harness
from balancer_world import CLONE_NEWNET, NODES, PORT, VIRTUAL_IP, BalancerTest, cluster_yaml, enter_own_network
from harness import MAINSTAY, WAIT_SECONDS, container, is_ready, pid_of


def setUpModule():
    enter_own_network("keepalived", "curl", "haproxy")


class TwoMachines(BalancerTest):
    """Two machines on one wire."""

    kind = "haproxy"

    def setUp(self):
        super().setUp()
        self.nodes(["m1", "m2"])
        self.spaces = {name: f"mainstay-{os.getpid()}-{name}" for name in ("m1", "m2")}
        for space in self.spaces.values():
            self.ip("netns", "add", space)
            self.addCleanup(self.ip, "netns", "delete", space)
        self.ip("link", "add", "eth0", "netns", self.spaces["m1"], "type", "veth", "peer", "name", "eth0",
                "netns", self.spaces["m2"])
        for name, space in self.spaces.items():
            for words in (["address", "add", f"{NODES[name]}/24", "dev", "eth0"], ["link", "set", "eth0", "up"],
                          ["link", "set", "lo", "up"]):
                self.ip("-n", space, *words)

    def nodes(self, names):
        self.write("etc/mainstay/cluster.yaml",
                   cluster_yaml(names, kind=self.kind, virtualIP=f"{VIRTUAL_IP}/24", interface="eth0"))

    @staticmethod
    def ip(*words):
        return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout

    def inside(self, name):
        return ["ip", "netns", "exec", self.spaces[name]]

    def has_address(self, name):
        return VIRTUAL_IP in self.ip("-n", self.spaces[name], "address")

    def await_address(self, name):
        """keepalived says that it has it before it has."""
        end = time.monotonic() + WAIT_SECONDS
        while not self.has_address(name) and time.monotonic() < end:
            pass
        self.assertTrue(self.has_address(name))

    def keepalived(self, name):
        """As its manifest runs it, with the files of a root of the node's own."""
        root = self.path(name)
        os.makedirs(os.path.join(root, "etc/mainstay"), exist_ok=True)
        os.makedirs(os.path.join(root, "run/keepalived"), exist_ok=True)
        shutil.copy(self.path("etc/mainstay/cluster.yaml"), os.path.join(root, "etc/mainstay"))
        with contextlib.suppress(FileExistsError):
            os.symlink(self.path("etc/kubernetes"), os.path.join(root, "etc/kubernetes"))
        self.render(name, "check-balancer", "check-apiserver", "keepalived.conf")
        return self.process(*self.inside(name), "keepalived", "--dont-fork", "--log-console", "--vrrp",
                            f"--use-file={root}/etc/keepalived/keepalived.conf",
                            f"--pid={root}/run/keepalived/mainstay.pid",
                            f"--vrrp_pid={root}/run/keepalived/mainstay-vrrp.pid")

    def render(self, name, *files):
        shutil.copy(self.path("etc/mainstay/cluster.yaml"), self.path(f"{name}/etc/mainstay"))
        for file in files:
            done = subprocess.run([MAINSTAY, "balancer", "render", file, "--write", "--offline", "--root",
                                   self.path(name), "--node-name", name], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)


class VirtualAddress(TwoMachines):
    """What stands at the balancer's port there is a double itself, which nginx is more like than HAProxy."""

    kind = "nginx"

    def test_the_address_moves_when_the_check_fails_and_stays_then(self):
        doubles = {name: self.double(name, "0.0.0.0", PORT, self.inside(name)) for name in self.spaces}
        running = {"m1": self.keepalived("m1")}
        running["m1"].await_line("Entering MASTER STATE")
        self.await_address("m1")
        running["m2"] = self.keepalived("m2")
        running["m2"].await_line("Entering BACKUP STATE")
        doubles["m1"].end(signal.SIGKILL)
        running["m1"].await_line("Entering FAULT STATE")
        running["m2"].await_line("Entering MASTER STATE")
        self.await_address("m2")
        self.assertEqual([self.has_address(name) for name in ("m1", "m2")], [False, True])
        self.assertEqual(subprocess.run([*self.inside("m1"), "curl", "-s", "--cacert", self.certificates.ca, "--resolve",
                                         f"kubernetes:{PORT}:{VIRTUAL_IP}", f"https://kubernetes:{PORT}/"],
                                        capture_output=True, text=True, timeout=WAIT_SECONDS).stdout, "m2")
        # m1 is well again, and leaves the address where it is.
        self.double("m1", "0.0.0.0", PORT, self.inside("m1"))
        running["m1"].await_line("Entering BACKUP STATE")
        # A third node: the configuration is read anew, and the address stays.
        self.nodes(["m1", "m2", "m3"])
        for name in self.spaces:
            self.render(name, "keepalived.conf")
            running[name].process.send_signal(signal.SIGHUP)
            running[name].await_line("Reload complete")
        self.assertIn(NODES["m3"], self.read("m2/etc/keepalived/keepalived.conf"))
        self.assertEqual([self.has_address(name) for name in ("m1", "m2")], [False, True])
        running["m2"].end()
        running["m1"].await_line("Entering MASTER STATE")
        self.await_address("m1")

    def test_the_network_is_told_again(self):
        """Of two that take the address at once, the wrong one may have the last word."""
        self.double("m1", "0.0.0.0", PORT, self.inside("m1"))
        self.keepalived("m1").await_line("Entering MASTER STATE")
        self.await_address("m1")
        own = next(words[1] for words in map(str.split, self.ip("-n", self.spaces["m1"], "link", "show", "eth0").splitlines())
                   if words[0] == "link/ether")
        wrong = "02:00:00:00:00:99"
        space = self.spaces["m2"]
        # The client believes it, and would for an hour.
        subprocess.run([*self.inside("m2"), "sysctl", "-q", "-w", "net.ipv4.neigh.eth0.base_reachable_time_ms=3600000"], check=True)
        for _ in range(2):  # once it is told soon after the address was taken, then now and then
            self.ip("-n", space, "neigh", "replace", VIRTUAL_IP, "lladdr", wrong, "dev", "eth0", "nud", "reachable")
            end = time.monotonic() + WAIT_SECONDS
            while own not in self.ip("-n", space, "neigh", "show", VIRTUAL_IP) and time.monotonic() < end:
                time.sleep(0.1)  # the kernel tells nobody of it who has not asked before
            self.assertIn(own, self.ip("-n", space, "neigh", "show", VIRTUAL_IP))

    def test_the_static_pod(self):
        self.double("m1", "0.0.0.0", PORT, self.inside("m1"))
        for file in ("check-balancer", "check-apiserver", "keepalived.conf"):
            self.balancer("render", "--write", "--offline", file)
        os.mkdir(self.path("run/keepalived"))
        agent = self.agent(start=False)
        agent.start(preexec=lambda: self.enter("m1"))
        agent.drop("keepalived.yaml", self.balancer("render", "--offline", "keepalived.yaml").stdout)
        pid = pid_of(agent.wait_ready_pod("keepalived"), "keepalived")
        logs = self.process(MAINSTAY, "logs", "keepalived", "-f", "--socket", agent.socket)
        logs.await_line("Entering MASTER STATE")
        self.await_address("m1")
        # It comes again after a crash, though its process id is the same and its files are there.
        os.kill(pid, signal.SIGKILL)
        agent.wait(lambda pods: any(container(p, "keepalived")["restartCount"] == 1 and is_ready(p)
                                    for p in pods.values()), "restart")
        logs = self.process(MAINSTAY, "logs", "keepalived", "-f", "--socket", agent.socket)
        logs.await_line("Entering MASTER STATE")
        self.await_address("m1")
        # Its configuration changes: it reads it, and keeps the address.
        self.nodes(["m1", "m2", "m3"])
        self.balancer("render", "--write", "--offline", "keepalived.conf")
        self.assertIn("sending SIGHUP", agent.wait_event("FilesChanged", "keepalived")["message"])
        logs.await_line("Reload complete")
        self.assertTrue(self.has_address("m1"))

    def enter(self, name):
        with open(f"/run/netns/{self.spaces[name]}") as f:
            if ctypes.CDLL(None).setns(f.fileno(), CLONE_NEWNET) != 0:
                raise OSError("setns")


class NobodyIsReady(TwoMachines):
    """The balancers are HAProxy, each before the kube-apiserver of its own machine alone."""

    def start(self, name):
        """Its kube-apiserver, its balancer and its keepalived."""
        double = self.double(name, prefix=self.inside(name))
        keepalived = self.keepalived(name)
        for directory in ("etc/haproxy", "run/haproxy"):
            os.makedirs(self.path(f"{name}/{directory}"))
        both = self.read("etc/mainstay/cluster.yaml")
        self.nodes([name])
        self.render(name, "haproxy.cfg")
        self.write("etc/mainstay/cluster.yaml", both)
        haproxy = self.process(*self.inside(name), "haproxy", "-W", "-db", "-f", self.path(f"{name}/etc/haproxy/haproxy.cfg"))
        return double, keepalived, haproxy

    def holders(self):
        return [name for name in self.spaces if self.has_address(name)]

    def await_one_holder(self):
        end = time.monotonic() + WAIT_SECONDS
        while len(self.holders()) != 1 and time.monotonic() < end:
            pass
        self.assertEqual(len(self.holders()), 1)
        return self.holders()[0]

    def test_the_address_is_held_for_as_long_as_a_balancer_lives(self):
        running = {name: self.start(name) for name in self.spaces}
        for double, keepalived, haproxy in running.values():
            keepalived.await_line("VRRP_Script(kube_apiserver) succeeded")
        self.await_one_holder()
        # As while etcd elects a leader: no kube-apiserver is ready, and somebody has the address.
        for number, change in ((signal.SIGUSR1, "from 100 to 50"), (signal.SIGUSR2, "from 50 to 100")):
            for double, keepalived, haproxy in running.values():
                double.process.send_signal(number)
            for double, keepalived, haproxy in running.values():
                keepalived.await_line(f"Changing effective priority {change}")
            holder = self.await_one_holder()
        # One that finds none leaves the address to one that finds some, and has no reason to take it again.
        other = next(name for name in self.spaces if name != holder)
        running[holder][0].process.send_signal(signal.SIGUSR1)
        running[holder][1].await_line("Entering BACKUP STATE")
        self.await_address(other)
        running[holder][0].process.send_signal(signal.SIGUSR2)
        running[holder][1].await_line("Changing effective priority from 50 to 100")
        self.assertEqual(self.await_one_holder(), other)
        # A balancer that does not answer any more gives it up, whether or not somebody is ready.
        for double, keepalived, haproxy in running.values():
            double.process.send_signal(signal.SIGUSR1)
        running[other][2].end(signal.SIGKILL)
        running[other][1].await_line("Entering FAULT STATE")
        self.await_address(holder)
        self.assertEqual(self.await_one_holder(), holder)


if __name__ == "__main__":
    harness.main()
