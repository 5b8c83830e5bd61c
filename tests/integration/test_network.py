#!/usr/bin/env python3
"""Pods with namespaces and a network of their own: CNI plugins, real ones and one that records.

Every agent of this file runs in a network namespace of its own, so that the host's network is left
alone: bridges, addresses and rules are made in there and go with it.
"""

import json
import os
import re
import select
import shutil
import subprocess
import sys
import unittest

import harness
from harness import AgentTest, container, pid_of

PLUGINS = next((d for d in ("/opt/cni/bin", "/usr/lib/cni") if os.path.exists(f"{d}/bridge")), None)

RECORDER = """#!/bin/sh
# A CNI plugin that writes down how it was called, and does what the file "behave" says.
dir=$(dirname "$0")
config=$(cat)
echo "$CNI_COMMAND $CNI_CONTAINERID $CNI_NETNS $CNI_IFNAME $CNI_ARGS" >>"$dir/calls"
printf '%s\\n' "$config" >>"$dir/configs"
behave=$(cat "$dir/behave-$CNI_COMMAND" 2>/dev/null)
case $behave in
fail) echo '{"cniVersion": "0.4.0", "code": 11, "msg": "no more addresses", "details": "try later"}'; exit 1 ;;
crash) echo "out of luck" >&2; exit 7 ;;
garbage) echo 'this is {no JSON'; exit 0 ;;
flood) exec head -c 3000000 /dev/zero ;;
hang) echo >"$dir/hangs"; exec sleep 1000 ;;
none) echo '{"cniVersion": "0.4.0"}'; exit 0 ;;
esac
[ "$CNI_COMMAND" = ADD ] || exit 0
echo '{"cniVersion": "0.4.0", "ips": [{"version": "4", "address": "10.99.0.7/24"},
 {"version": "6", "address": "fd00::7/64"}], "dns": {"nameservers": ["10.99.0.1"]}}'
"""


def own_pod(name, command="exec sleep 1000", extra="", containers=None, ports=""):
    """A pod that is not on the host's network."""
    containers = containers or {"main": command}
    text = f"""apiVersion: v1
kind: Pod
metadata:
  name: {name}
spec:
  terminationGracePeriodSeconds: 0
{extra}  containers:
"""
    for each, line in containers.items():
        text += f"""  - name: {each}
    image: localhost/test:1
    imagePullPolicy: IfNotPresent
    command: ["/bin/sh", "-c", {json.dumps(line)}]
{ports}"""
    return text


def host_pod(name, containers, extra=""):
    return own_pod(name, containers=containers, extra="  hostNetwork: true\n" + extra)


class NetworkAgent(harness.Agent):
    """An agent in a network namespace of its own, with directories for CNI of its own."""

    def __init__(self, *flags, before=None, **options):
        super().__init__(start=False, *flags, **options)
        if before:
            before(self)
        self.conf = self.path("net.d")
        self.bin = self.path("cni-bin")
        os.mkdir(self.bin)
        self.start()

    def command(self):
        inside = ["nsenter", f"--net={self.netns()}"]
        return inside + super().command() + ["--cni-conf-dir", self.path("net.d"), "--cni-bin-dir",
                                             f"{self.path('cni-bin')},{PLUGINS or '/none'}"]

    def netns(self):
        path = f"/run/netns/{os.path.basename(self.dir)}"
        if not os.path.exists(path):
            subprocess.run(["ip", "netns", "add", os.path.basename(self.dir)], check=True)
            self.inside("ip", "link", "set", "lo", "up")
        return path

    def inside(self, *command, **options):
        return subprocess.run(["ip", "netns", "exec", os.path.basename(self.dir), *command],
                              check=True, capture_output=True, text=True, **options).stdout

    def configure(self, text, name="10-test.conflist"):
        os.makedirs(self.conf, exist_ok=True)
        temporary = self.write("new-config", text)
        os.rename(temporary, os.path.join(self.conf, name))

    def record(self, **more):
        """The recording plugin, alone."""
        with open(os.path.join(self.bin, "recorder"), "w") as f:
            f.write(RECORDER)
        os.chmod(f.name, 0o755)
        self.configure(json.dumps({"cniVersion": "0.4.0", "name": "rec", **more, "plugins": [
            {"type": "recorder", "mark": "first", "capabilities": {"portMappings": True}},
            {"type": "recorder", "mark": "second"}]}))

    def first_line(self, pod, name="main"):
        """The first line that the container writes."""
        return self.first_line_of([harness.MAINSTAY, "--socket", self.socket, "logs", "-f", pod, "-c", name])

    def first_line_of(self, command):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as logs:
            readable, _, _ = select.select([logs.stdout], [], [], harness.WAIT_SECONDS)
            line = logs.stdout.readline() if readable else "(nothing)"
            logs.kill()
        return line.strip()

    def behave(self, command, how):
        path = os.path.join(self.bin, f"behave-{command}")
        if how:
            with open(path, "w") as f:
                f.write(how)
        elif os.path.exists(path):
            os.unlink(path)

    def calls(self, command=None):
        try:
            with open(os.path.join(self.bin, "calls")) as f:
                lines = [line.split(" ", 4) for line in f.read().splitlines()]
        except FileNotFoundError:
            return []
        return [line for line in lines if command in (None, line[0])]

    def configs(self):
        with open(os.path.join(self.bin, "configs")) as f:
            return [json.loads(line) for line in f]

    def mounts(self):
        with open("/proc/self/mountinfo") as f:
            return [line for line in f if self.dir in line]

    def wait_mounts_gone(self):
        """The kernel tells of a change of mounts by POLLPRI."""
        with open("/proc/self/mountinfo") as f:
            poll = select.poll()
            poll.register(f, select.POLLPRI)
            while self.mounts():
                if not poll.poll(harness.WAIT_SECONDS * 1000):
                    raise AssertionError(f"mounts are left: {self.mounts()}")
                f.seek(0)
                f.read()

    def close(self):
        name = os.path.basename(self.dir)
        try:
            super().close()
        finally:
            subprocess.run(["ip", "netns", "del", name], check=False, stderr=subprocess.DEVNULL)

    def wait_state(self, name, state):
        return self.wait(lambda pods: (pods.get(f"{name}-{self.node}") or {}).get("mainstay", {})
                         .get("state") == state and pods[f"{name}-{self.node}"], f"{name} {state}")

    def wait_reason(self, name, reason, text=""):
        def there(pods):
            status = pods.get(f"{name}-{self.node}", {}).get("status", {})
            return status.get("reason") == reason and text in status.get("message", "") and status
        return self.wait(there, f"{name} {reason} {text}")


def namespace_of(pid, kind):
    return os.readlink(f"/proc/{pid}/ns/{kind}")


@unittest.skipUnless(os.geteuid() == 0, "namespaces of pods take root")
@unittest.skipUnless(shutil.which("ip"), "iproute2 is not installed")
class NetworkTest(AgentTest):
    def agent(self, *flags, **options):
        agent = NetworkAgent(*flags, **options)
        self.addCleanup(self.check_nothing_left, agent)
        self.addCleanup(agent.close)
        return agent

    def check_nothing_left(self, agent):
        self.assertEqual(agent.mounts(), [])


class SharedNamespaces(NetworkTest):
    def test_containers_of_a_pod_share_ipc_and_memory(self):
        agent = self.agent()
        agent.drop("two.yaml", host_pod("two", {
            "a": "echo from-a >/dev/shm/note; exec sleep 1000",
            "b": "until [ -s /dev/shm/note ]; do sleep 0.01; done; cat /dev/shm/note; exec sleep 1000"}))
        agent.drop("one.yaml", host_pod("one", {"main": "exec sleep 1000"}))
        pod = agent.wait_ready_pod("two")
        a, b = pid_of(pod, "a"), pid_of(pod, "b")
        one = pid_of(agent.wait_ready_pod("one"))
        self.assertEqual(namespace_of(a, "ipc"), namespace_of(b, "ipc"))
        self.assertNotEqual(namespace_of(a, "ipc"), namespace_of(one, "ipc"))
        self.assertNotEqual(namespace_of(a, "pid"), namespace_of(b, "pid"))
        self.assertEqual(namespace_of(a, "net"), namespace_of(agent.process.pid, "net"))
        self.assertEqual(namespace_of(a, "uts"), namespace_of(agent.process.pid, "uts"))
        self.assertEqual(agent.first_line("two", "b"), "from-a")
        # Nothing of it shows in a container that was started later on the host's root.
        agent.drop("late.yaml", host_pod("late", {"main": "exec sleep 1000"}))
        late = pid_of(agent.wait_ready_pod("late"))
        with open(f"/proc/{late}/mountinfo") as f:
            self.assertNotIn(agent.path("run", "ns"), f.read())
        agent.kill()
        agent.start()
        pod = agent.wait_ready_pod("two")
        self.assertEqual((pid_of(pod, "a"), pid_of(pod, "b")), (a, b))
        # A container that starts anew joins the same namespace.
        agent.cli("restart", "two", "-c", "b", check=True)
        pod = agent.wait(lambda pods: pods["two-node1"] if container(pods["two-node1"], "b")["restartCount"] == 1
                         and harness.is_ready(pods["two-node1"]) else None, "b anew")
        self.assertEqual(namespace_of(pid_of(pod, "b"), "ipc"), namespace_of(a, "ipc"))
        self.assertTrue(agent.mounts())
        agent.remove("two.yaml")
        agent.wait_gone("two")
        self.assertEqual(agent.mounts(), [])

    def test_pins_of_unknown_pods_are_removed(self):
        agent = self.agent()
        agent.drop("two.yaml", host_pod("two", {"a": "exec sleep 1000", "b": "exec sleep 1000"}))
        agent.wait_ready_pod("two")
        pins = agent.path("run", "ns")
        stranger = os.path.join(pins, "0123456789abcdef0123456789abcdef")
        agent.kill()
        os.mkdir(stranger)
        subprocess.run(["unshare", "--ipc", "sh", "-c",
                        f"touch {stranger}/ipc && nsenter --mount=/proc/{os.getpid()}/ns/mnt "
                        f"mount --bind /proc/$$/ns/ipc {stranger}/ipc"], check=True)
        agent.start()
        agent.wait_ready_pod("two")
        self.assertEqual(len(os.listdir(pins)), 1)


class Network(NetworkTest):
    def test_a_pod_waits_for_the_configuration(self):
        agent = self.agent()
        agent.drop("own.yaml", own_pod("own"))
        status = agent.wait_reason("own", "NetworkNotReady")
        self.assertIn(agent.conf, status["message"])
        agent.configure('{"name": "broken", "plugins": []}', "05-broken.conflist")
        agent.wait_event("NetworkConfigInvalid")
        agent.record()
        pod = agent.wait_ready_pod("own")
        self.assertEqual(pod["status"]["podIP"], "10.99.0.7")
        self.assertEqual([a["ip"] for a in pod["status"]["podIPs"]], ["10.99.0.7", "fd00::7"])

    def test_how_plugins_are_called(self):
        agent = self.agent()
        agent.record()
        agent.drop("own.yaml", own_pod("own", "echo $(hostname) $IP; exec sleep 1000", ports="""\
    env: [{name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}]
    ports: [{containerPort: 80, hostPort: 8080}]
"""))
        pod = agent.wait_ready_pod("own")
        add = agent.calls("ADD")
        self.assertEqual(len(add), 2)
        _, container_id, netns, ifname, arguments = add[0]
        self.assertEqual(ifname, "eth0")
        self.assertRegex(container_id, "^[0-9a-f]{64}$")
        self.assertEqual(netns, agent.path("run", "ns", pod["metadata"]["uid"], "net"))
        self.assertEqual(dict(a.split("=") for a in arguments.split(";")), {
            "IgnoreUnknown": "1", "K8S_POD_NAMESPACE": "default", "K8S_POD_NAME": "own-node1",
            "K8S_POD_INFRA_CONTAINER_ID": container_id, "K8S_POD_UID": pod["metadata"]["uid"]})
        first, second = agent.configs()
        self.assertEqual((first["name"], first["cniVersion"], first["mark"]), ("rec", "0.4.0", "first"))
        self.assertEqual(first["runtimeConfig"], {"portMappings": [
            {"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]})
        self.assertNotIn("prevResult", first)
        self.assertNotIn("runtimeConfig", second)
        self.assertEqual(second["prevResult"]["ips"][0]["address"], "10.99.0.7/24")
        pid = pid_of(pod)
        for kind in ("net", "uts", "ipc"):
            self.assertNotEqual(namespace_of(pid, kind), namespace_of(agent.process.pid, kind))
        self.assertEqual(agent.first_line("own"), "own-node1 10.99.0.7")
        # What /sys shows of networks is the pod's, too.
        shown = agent.cli("exec", "own", "--", "sh", "-c", "ls /sys/class/net; ls /sys/fs/cgroup | head -1")
        self.assertEqual(shown.stdout.splitlines()[0], "lo", shown.stderr)
        self.assertEqual(len(shown.stdout.splitlines()), 2)
        agent.remove("own.yaml")
        agent.wait_gone("own")
        delete = agent.calls("DEL")
        self.assertEqual([call[1:] for call in delete], [add[0][1:], add[0][1:]])
        third, fourth = agent.configs()[2:]
        self.assertEqual((third["mark"], fourth["mark"]), ("second", "first"))
        self.assertEqual(third["prevResult"]["ips"][0]["address"], "10.99.0.7/24")
        self.assertEqual(agent.mounts(), [])
        self.assertEqual(os.listdir(agent.path("root", "state", "sandboxes")), [])

    def test_plugins_that_fail(self):
        agent = self.agent("--runtime-request-timeout", "1s")
        agent.record()
        for how, text in (("fail", "plugin recorder: no more addresses: try later (code 11)"),
                          ("crash", "plugin recorder: exited with status 7: out of luck"),
                          ("garbage", "no JSON"), ("flood", "wrote more than"),
                          ("hang", "did not end within 1 s"), ("none", "no address")):
            with self.subTest(how):
                agent.behave("ADD", how)
                agent.drop("own.yaml", own_pod("own"))
                agent.wait_reason("own", "FailedCreatePodSandBox", text)
                self.assertTrue(agent.events("FailedCreatePodSandBox", "own"))
                agent.remove("own.yaml")
                agent.wait_gone("own")
                self.assertEqual(agent.mounts(), [])
                # What an attempt may have left is taken away by the name it was given.
                self.assertEqual({c[1] for c in agent.calls("ADD")}, {c[1] for c in agent.calls("DEL")})
        # It is tried again by itself, and at once when the configuration changes.
        agent.behave("ADD", "fail")
        agent.drop("own.yaml", own_pod("own"))
        agent.wait_reason("own", "FailedCreatePodSandBox")
        agent.behave("ADD", None)
        agent.record()
        agent.wait_ready_pod("own")

    def test_a_plugin_that_is_missing(self):
        agent = self.agent()
        agent.configure('{"name": "x", "cniVersion": "1.0.0", "type": "nonesuch"}', "10-x.conf")
        agent.drop("own.yaml", own_pod("own"))
        status = agent.wait_reason("own", "FailedCreatePodSandBox")
        self.assertIn(f"there is no plugin nonesuch in {agent.bin}", status["message"])

    def test_a_network_that_cannot_be_taken_away(self):
        agent = self.agent("--runtime-request-timeout", "1s")
        agent.record()
        agent.drop("own.yaml", own_pod("own"))
        agent.wait_ready_pod("own")
        agent.behave("DEL", "fail")
        agent.remove("own.yaml")
        agent.wait_event("FailedKillPodSandBox", "own")
        agent.behave("DEL", None)  # it is tried again, and succeeds
        agent.wait_gone("own")
        self.assertEqual(agent.mounts(), [])

    def test_an_agent_that_dies(self):
        agent = self.agent()
        agent.record()
        agent.drop("own.yaml", own_pod("own"))
        before = agent.wait_ready_pod("own")
        agent.kill()
        agent.start()
        pod = agent.wait_ready_pod("own")
        self.assertEqual(pid_of(pod), pid_of(before))
        self.assertEqual(pod["status"]["podIPs"], before["status"]["podIPs"])
        self.assertEqual(len(agent.calls("ADD")), 2)
        # In the middle of an ADD: it is taken back, and begun anew.
        agent.behave("ADD", "hang")
        os.mkfifo(os.path.join(agent.bin, "hangs"))
        agent.drop("two.yaml", own_pod("two"))
        agent.wait_state("two", "Preparing")
        with open(os.path.join(agent.bin, "hangs")) as f:
            f.read()
        agent.kill()
        agent.behave("ADD", None)
        agent.start()
        agent.wait_ready_pod("two")
        half = agent.calls("ADD")[2][1]
        self.assertEqual([c[1] for c in agent.calls("DEL")], [half, half])
        # A pod that goes while no agent is there.
        agent.kill()
        agent.remove("own.yaml")
        agent.start()
        agent.wait_gone("own")
        self.assertEqual(len({c[1] for c in agent.calls("DEL")}), 2)
        harness.kill_leftovers("sleep 1000 " + agent.dir)

    def test_an_agent_that_dies_while_a_pod_goes(self):
        agent = self.agent()
        agent.record()
        agent.drop("own.yaml", own_pod("own"))
        agent.wait_ready_pod("own")
        agent.behave("DEL", "hang")
        os.mkfifo(os.path.join(agent.bin, "hangs"))
        agent.remove("own.yaml")
        with open(os.path.join(agent.bin, "hangs")) as f:
            f.read()
        agent.kill()
        self.assertTrue(agent.mounts())
        agent.behave("DEL", None)
        agent.start()
        agent.wait_gone("own")
        agent.wait_mounts_gone()
        self.assertEqual(len(agent.calls("DEL")), 3)  # the one that was killed, and both anew
        self.assertEqual(os.listdir(agent.path("root", "state", "sandboxes")), [])

    def test_a_machine_that_was_restarted(self):
        agent = self.agent()
        agent.record()
        agent.drop("own.yaml", own_pod("own"))
        uid = agent.wait_ready_pod("own")["metadata"]["uid"]
        agent.kill()
        for shim in harness.shims_of(agent.dir):
            with open(f"/proc/{shim}/task/{shim}/children") as f:
                for pid in [*map(int, f.read().split()), shim]:
                    os.kill(pid, 9)
        for line in agent.mounts()[::-1]:
            subprocess.run(["umount", "-l", line.split()[4]], check=False)
        shutil.rmtree(agent.path("run"))
        for name in (f"state/pods/{uid}.state", f"state/sandboxes/{uid}"):
            self.rewrite_boot_id(agent.path("root", name))
        agent.start()
        agent.wait_ready_pod("own")
        first, second = [c[1] for c in agent.calls("ADD")][::2]
        self.assertNotEqual(first, second)
        # What was set up before the restart is given back; its namespace is gone.
        self.assertEqual([(c[1], c[2]) for c in agent.calls("DEL")], [(first, ""), (first, "")])

    def rewrite_boot_id(self, path):
        with open(path) as f:
            text = f.read()
        with open("/proc/sys/kernel/random/boot_id") as f:
            boot_id = f.read().strip()
        self.assertIn(boot_id, text)
        body = text.split("\n", 1)[-1].replace(boot_id, "0" * 36)
        if text.startswith("mainstay-"):
            import hashlib
            kind, version, _ = text.split("\n", 1)[0].split(" ")
            body = f"{kind} {version} {hashlib.sha256(body.encode()).hexdigest()}\n{body}"
        with open(path, "w") as f:
            f.write(body)


BRIDGE = {
    "cniVersion": "1.0.0", "name": "test", "plugins": [
        {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": False, "promiscMode": True,
         "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.88.0.0/24"}]],
                  "routes": [{"dst": "0.0.0.0/0"}]}},
        {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True}]}

SERVE = ("exec python3 -c \"import http.server, os; os.chdir('/usr/share/doc');"
         " http.server.test(http.server.SimpleHTTPRequestHandler, port=8000, bind='0.0.0.0')\"")
FETCH = ("python3 -c \"import sys, urllib.request as u;"
         " print(u.urlopen('http://%s:%d/', timeout=5).status)\"")


@unittest.skipUnless(PLUGINS, "CNI plugins are not installed (containernetworking-plugins)")
class RealPlugins(NetworkTest):
    def bridge(self, agent, **changes):
        config = json.loads(json.dumps(BRIDGE))
        config["plugins"][0]["ipam"]["dataDir"] = agent.path("ipam")
        if changes.get("portmap") is False:
            config["plugins"].pop()
        agent.configure(json.dumps(config))

    def test_two_pods_reach_each_other(self):
        agent = self.agent()
        self.bridge(agent, portmap=False)
        agent.drop("web.yaml", own_pod("web", SERVE, ports="""\
    readinessProbe: {httpGet: {port: 8000}, periodSeconds: 1}
"""))
        web = agent.wait_ready_pod("web")
        ip = web["status"]["podIP"]
        self.assertTrue(ip.startswith("10.88.0."))
        agent.drop("asks.yaml", own_pod("asks", FETCH % (ip, 8000) + "; exec sleep 1000"))
        asks = agent.wait_ready_pod("asks")
        self.assertNotEqual(asks["status"]["podIP"], ip)
        self.assertEqual(agent.first_line("asks"), "200")
        agent.kill()
        agent.start()
        again = agent.wait_ready_pod("web")
        self.assertEqual((pid_of(again), again["status"]["podIP"]), (pid_of(web), ip))
        self.assertEqual(agent.inside(sys.executable, "-c", FETCH[len('python3 -c "'):-1] % (ip, 8000)),
                         "200\n")
        agent.remove("web.yaml")
        agent.remove("asks.yaml")
        agent.wait_gone("web")
        agent.wait_gone("asks")
        leases = os.listdir(agent.path("ipam", "test"))
        self.assertEqual([name for name in leases if re.match(r"10\.", name)], [])
        self.assertNotIn("veth", agent.inside("ip", "link"))
        self.assertEqual(agent.mounts(), [])

    def test_a_host_port(self):
        if not shutil.which("iptables"):
            self.skipTest("iptables is not installed, which portmap needs")
        agent = self.agent()
        try:
            agent.inside("iptables", "-t", "nat", "-L", "-n")
        except subprocess.CalledProcessError as e:
            self.skipTest(f"this kernel has no NAT table: {e.stderr.strip()}")
        self.bridge(agent)
        agent.drop("web.yaml", own_pod("web", SERVE, ports="""\
    ports: [{containerPort: 8000, hostPort: 8088}]
    readinessProbe: {httpGet: {port: 8000}, periodSeconds: 1}
"""))
        agent.wait_ready_pod("web")
        address = re.search(r"inet (10\.88\.0\.1)/", agent.inside("ip", "addr", "show", "cni0")).group(1)
        ask = FETCH[len('python3 -c "'):-1] % (address, 8088)
        self.assertEqual(agent.inside(sys.executable, "-c", ask), "200\n")
        agent.kill()
        agent.start()
        agent.wait_ready_pod("web")
        self.assertEqual(agent.inside(sys.executable, "-c", ask), "200\n")


if __name__ == "__main__":
    harness.main()
