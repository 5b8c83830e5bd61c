#!/usr/bin/env python3
"""By which names a pod's containers know themselves and others: /etc/hosts, /etc/resolv.conf, the
host name; and what else is their own: kernel parameters, processes."""

import os
import re
import shutil
import signal
import socket
import subprocess

import harness
from harness import container, pid_of
from test_network import NetworkTest, host_pod, namespace_of, own_pod

CLUSTER = """apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
clusterDNS: [10.96.0.10]
clusterDomain: cluster.local
resolvConf: resolv.conf
allowedUnsafeSysctls: ["net.core.*", kernel.msgmax]
"""
NODE_RESOLV = "nameserver 192.0.2.1\nsearch example.org corp.example.\noptions rotate\n"


class NamesTest(NetworkTest):
    def agent(self, *flags, config=CLUSTER):
        agent = super().agent(*flags, config=config, before=lambda a: a.write("resolv.conf", NODE_RESOLV))
        agent.record()
        return agent

    def run_pod(self, agent, name, text):
        agent.drop(f"{name}.yaml", text)
        return pid_of(agent.wait_ready_pod(name))

    def read(self, pid, path):
        with open(f"/proc/{pid}/root{path}") as f:
            return f.read()


class Hosts(NamesTest):
    def test_a_pod_with_a_network_of_its_own(self):
        agent = self.agent()
        pid = self.run_pod(agent, "own", own_pod("own", extra="""\
  hostname: db
  subdomain: things
  hostAliases:
  - {ip: 192.0.2.9, hostnames: [nine, nine.example]}
"""))
        self.assertEqual(self.read(pid, "/etc/hosts"), """\
# Kubernetes-managed hosts file.
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
10.99.0.7\tdb.things.default.svc.cluster.local\tdb
fd00::7\tdb.things.default.svc.cluster.local\tdb

# Entries added by HostAliases.
192.0.2.9\tnine\tnine.example
""")
        self.assertEqual(self.read(pid, "/etc/hostname"), "db\n")
        self.assertEqual(self.read(pid, "/etc/resolv.conf"), """\
search default.svc.cluster.local svc.cluster.local cluster.local example.org corp.example
nameserver 10.96.0.10
options ndots:5
""")
        done = agent.cli("exec", "own", "--", "sh", "-c", "hostname; echo $HOSTNAME")
        self.assertEqual(done.stdout, "db\ndb\n", done.stderr)
        with open("/etc/hosts") as f:
            self.assertNotIn("nine.example", f.read())

    def test_a_pod_on_the_nodes_network(self):
        agent = self.agent()
        pid = self.run_pod(agent, "host", host_pod("host", {"main": "exec sleep 1000"}, """\
  hostAliases:
  - {ip: 192.0.2.9, hostnames: [nine]}
"""))
        with open("/etc/hosts") as f:
            node = f.read()
        self.assertEqual(self.read(pid, "/etc/hosts"), "# Kubernetes-managed hosts file (host network).\n"
                         + node + "\n# Entries added by HostAliases.\n192.0.2.9\tnine\n")
        done = agent.cli("exec", "host", "--", "hostname")
        self.assertEqual(done.stdout.strip(), socket.gethostname())
        # A name that is added is one that programs find.
        done = agent.cli("exec", "host", "--", "getent", "hosts", "nine")
        self.assertIn("192.0.2.9", done.stdout, done.stderr)

    def test_an_image_with_a_root_of_its_own(self):
        agent = self.agent()
        rootfs = agent.path("root", "images", "localhost", "own", "1", "rootfs")
        os.makedirs(rootfs + "/bin")
        shutil.copy(harness.COMPONENT, rootfs + "/bin/component")
        own = own_pod("own").replace("localhost/test:1", "localhost/own:1").replace(
            '["/bin/sh", "-c", "exec sleep 1000"]', '["/bin/component"]')
        pid = self.run_pod(agent, "own", own)
        self.assertIn("10.99.0.7\town-node1\n", self.read(pid, "/etc/hosts"))
        self.assertEqual(self.read(pid, "/etc/hostname"), "own-node1\n")
        self.assertIn("nameserver 10.96.0.10\n", self.read(pid, "/etc/resolv.conf"))
        self.assertEqual(os.listdir(f"/proc/{pid}/root/sys/class/net"), ["lo"])
        # On the node's network it has the node's own files.
        pid = self.run_pod(agent, "host", own.replace("name: own", "name: host").replace(
            "spec:\n", "spec:\n  hostNetwork: true\n  dnsPolicy: Default\n"))
        with open("/etc/hosts") as f:
            self.assertEqual(self.read(pid, "/etc/hosts"), f.read())
        self.assertIn("nameserver 192.0.2.1\n", self.read(pid, "/etc/resolv.conf"))

    def test_a_pod_that_asks_for_nothing_has_the_nodes_files(self):
        agent = self.agent(config=None)
        pid = self.run_pod(agent, "plain", host_pod("plain", {"main": "exec sleep 1000"}))
        with open(f"/proc/{pid}/mountinfo") as f:
            self.assertIsNone(re.search(r" /etc/(hosts|resolv\.conf|hostname) .*mainstay-test", f.read()))

    def test_host_names(self):
        agent = self.agent()
        long = "a" * 40 + "-" + "b" * 30
        for name, extra, expected in (
                ("fqdn", "  subdomain: s\n  setHostnameAsFQDN: true\n", "fqdn-node1.s.default.svc.cluster.local"),
                ("nofqdn", "  subdomain: s\n", "nofqdn-node1"),
                ("other", "  hostnameOverride: some.where\n", "some.where"),
                (long, "", (long + "-node1")[:63])):
            with self.subTest(name):
                pid = self.run_pod(agent, name, own_pod(name, extra=extra))
                self.assertEqual(self.read(pid, "/etc/hostname").strip(), expected)
                self.assertEqual(agent.first_line_of(["nsenter", f"--uts=/proc/{pid}/ns/uts", "hostname"]),
                                 expected)
        agent.drop("toolong.yaml", own_pod("toolong", extra=f"  subdomain: {'s' * 60}\n"
                                                            "  setHostnameAsFQDN: true\n"))
        agent.wait_reason("toolong", "FailedCreatePodSandBox", "longer than the 64 bytes")


class Resolver(NamesTest):
    def resolv(self, agent, name, extra, own=False):
        make = own_pod if own else lambda n, extra: host_pod(n, {"main": "exec sleep 1000"}, extra)
        return self.read(self.run_pod(agent, name, make(name, extra=extra)), "/etc/resolv.conf")

    def test_policies(self):
        agent = self.agent()
        node = "search example.org corp.example\nnameserver 192.0.2.1\noptions rotate\n"
        cluster = ("search default.svc.cluster.local svc.cluster.local cluster.local example.org corp.example\n"
                   "nameserver 10.96.0.10\noptions ndots:5\n")
        self.assertEqual(self.resolv(agent, "default", "  dnsPolicy: Default\n", own=True), node)
        self.assertEqual(self.resolv(agent, "first", ""), node)  # under hostNetwork
        self.assertEqual(self.resolv(agent, "withnet", "  dnsPolicy: ClusterFirstWithHostNet\n"), cluster)
        self.assertEqual(self.resolv(agent, "none", """\
  dnsPolicy: None
  dnsConfig: {nameservers: [192.0.2.3], searches: [x.example]}
"""), "search x.example\nnameserver 192.0.2.3\n")
        self.assertEqual(self.resolv(agent, "merged", """\
  dnsPolicy: ClusterFirst
  dnsConfig:
    nameservers: [10.96.0.10, 192.0.2.3]
    searches: [x.example, cluster.local]
    options: [{name: ndots, value: "2"}, {name: edns0}]
""", own=True), cluster.splitlines()[0] + " x.example\nnameserver 10.96.0.10\nnameserver 192.0.2.3\n"
                         "options ndots:2 edns0\n")

    def test_limits_and_what_is_missing(self):
        agent = self.agent(config=CLUSTER.replace("[10.96.0.10]", "[10.96.0.10, 10.96.0.11, 10.96.0.12]"))
        self.resolv(agent, "many", "  dnsConfig: {nameservers: [192.0.2.3]}\n"
                                   "  dnsPolicy: ClusterFirstWithHostNet\n")
        self.assertIn("10.96.0.12", agent.wait_event("DNSConfigForming", "many")["message"])
        agent = self.agent(config=CLUSTER.replace("clusterDNS: [10.96.0.10]\n", ""))
        text = self.resolv(agent, "lacks", "", own=True)
        self.assertIn("nameserver 192.0.2.1\n", text)
        agent.wait_event("MissingClusterDNS", "lacks")


class Sysctls(NamesTest):
    SET = "  securityContext:\n    sysctls:\n    - {name: %s, value: \"%s\"}\n"

    def test_set_in_the_pods_namespaces(self):
        agent = self.agent()
        with open("/proc/sys/kernel/msgmax") as f:
            before = f.read()
        extra = self.SET % ("net.core.somaxconn", 77) + "    - {name: kernel.msgmax, value: \"12345\"}\n"
        pid = self.run_pod(agent, "own", own_pod("own", extra=extra))
        done = agent.cli("exec", "own", "--", "cat", "/proc/sys/net/core/somaxconn", "/proc/sys/kernel/msgmax")
        self.assertEqual(done.stdout.split(), ["77", "12345"], done.stderr)
        pid = self.run_pod(agent, "host", host_pod("host", {"main": "exec sleep 1000"},
                                                   self.SET % ("kernel.shm_rmid_forced", 1)))
        self.assertNotEqual(namespace_of(pid, "ipc"), namespace_of(agent.process.pid, "ipc"))
        done = agent.cli("exec", "host", "--", "cat", "/proc/sys/kernel/shm_rmid_forced")
        self.assertEqual(done.stdout.strip(), "1", done.stderr)
        with open("/proc/sys/kernel/msgmax") as f:
            self.assertEqual(f.read(), before)

    def test_refused(self):
        agent = self.agent()
        for name, sysctl, text, make in (
                ("unsafe", "net.ipv4.ip_forward", "not held for safe", own_pod),
                ("whole", "vm.swappiness", "not one of the pod's own namespaces", own_pod),
                ("host", "net.core.somaxconn", "hostNetwork",
                 lambda n, extra: host_pod(n, {"main": "exec sleep 1000"}, extra))):
            with self.subTest(name):
                agent.drop(f"{name}.yaml", make(name, extra=self.SET % (sysctl, 1)))
                agent.wait_reason(name, "SysctlForbidden", text)
        agent.drop("bad.yaml", own_pod("bad", extra=self.SET % ("net.core.nonesuch", 1)))
        agent.wait_reason("bad", "FailedCreatePodSandBox", "net/core/nonesuch")


class Ports(NamesTest):
    def test_two_pods_that_want_one_port(self):
        agent = self.agent()
        port = "    ports: [{containerPort: 80, hostPort: 8123%s}]\n"
        agent.drop("a.yaml", own_pod("a", ports=port % ""))
        agent.wait_ready_pod("a")
        agent.drop("b.yaml", own_pod("b", ports=port % ", hostIP: 127.0.0.1"))
        self.assertIn("pod a-node1 has the node's port 8123/TCP",
                      agent.wait_reason("b", "HostPortConflict")["message"])
        agent.drop("udp.yaml", own_pod("udp", ports=port % ", protocol: UDP"))
        agent.wait_ready_pod("udp")
        agent.remove("a.yaml")
        agent.wait_ready_pod("b")


class Processes(NamesTest):
    TWO = {"a": "exec sleep 1111", "b": "exec sleep 2222"}
    SHARE = "  shareProcessNamespace: true\n"

    def test_containers_see_each_other(self):
        agent = self.agent()
        agent.drop("pids.yaml", host_pod("pids", self.TWO, self.SHARE))
        pod = agent.wait_ready_pod("pids")
        a, b = pid_of(pod, "a"), pid_of(pod, "b")
        self.assertEqual(namespace_of(a, "pid"), namespace_of(b, "pid"))
        self.assertNotEqual(namespace_of(a, "pid"), namespace_of(agent.process.pid, "pid"))
        seen = agent.cli("exec", "pids", "-c", "a", "--", "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
        self.assertIn("sleep 2222", seen.stdout, seen.stderr)
        self.assertIn("mainstay-pause default/pids-node1", seen.stdout)
        pause, = harness.processes_with("mainstay-pause default/pids-node1")
        self.assertIn(f"/{agent.cgroup}/pauses\n", self.read_of(f"/proc/{pause}/cgroup") + "\n")
        self.assertEqual(os.listdir(f"/proc/{pause}/root"), [])
        self.assertEqual([s["name"] for s in pod["status"]["containerStatuses"]], ["a", "b"])
        # A process that loses its parent is reaped.
        agent.cli("exec", "pids", "-c", "a", "--", "sh", "-c", "sleep 0 & sleep 0 &", check=True)
        # One container's end is not the other's, nor an agent's.
        os.kill(a, signal.SIGKILL)
        pod = agent.wait(lambda pods: container(pods["pids-node1"], "a")["restartCount"] == 1
                         and harness.is_ready(pods["pids-node1"]) and pods["pids-node1"], "a anew")
        self.assertEqual(pid_of(pod, "b"), b)
        agent.kill()
        agent.start()
        pod = agent.wait_ready_pod("pids")
        self.assertEqual(pid_of(pod, "b"), b)
        agent.remove("pids.yaml")
        agent.wait_gone("pids")
        self.assertEqual(harness.processes_with("mainstay-pause default/pids-node1"), [])

    def test_an_agent_that_dies_while_it_is_made(self):
        agent = self.agent()
        agent.drop("pids.yaml", host_pod("pids", self.TWO, self.SHARE))
        agent.wait_ready_pod("pids")
        agent.remove("pids.yaml")
        agent.wait_gone("pids")
        agent.kill()
        # What the program leaves whose agent is not there to hear of it.
        left = agent.path("run", "ns", "0123456789abcdef0123456789abcdef")
        os.makedirs(left)
        subprocess.run([harness.SHIM, "--sandbox", left, "ipc", "pid", "title=default/left"], check=True,
                       capture_output=True)
        pause, = harness.processes_with("mainstay-pause default/left")
        agent.start()
        harness.wait_process_gone(pause)
        agent.wait_mounts_gone()

    def read_of(self, path):
        with open(path) as f:
            return f.read()

    def test_the_first_process_is_killed(self):
        agent = self.agent()
        agent.drop("pids.yaml", host_pod("pids", self.TWO, self.SHARE))
        before = agent.wait_ready_pod("pids")
        for alive in (True, False):
            pause, = harness.processes_with("mainstay-pause default/pids-node1")
            if not alive:
                agent.kill()
            os.kill(pause, signal.SIGKILL)
            if not alive:
                agent.start()
            agent.wait_event("SandboxChanged", "pids")
            old = (pid_of(before, "a"), pid_of(before, "b"))

            def anew(pods, old=old):
                pod = pods.get("pids-node1")
                return pod and harness.is_ready(pod) and not {pid_of(pod, "a"), pid_of(pod, "b")} & set(old) and pod
            before = agent.wait(anew, "both anew")


if __name__ == "__main__":
    harness.main()
