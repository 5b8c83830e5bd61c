"""mainstay init, join and reset with real etcd members and real agents side by side on the loopback's addresses: what
joins, what is refused and why, what is left after a kill at any moment, and what reset takes away."""

import json
import os
import pty
import random
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

import harness
from harness import MAINSTAY, WAIT_SECONDS, free_ports

AT_WRITE = os.path.join(harness.BUILD, "tests", "at-write")
# A kill at every so many calls that change the disk (of some 220), or at each with 1.
STRIDE = int(os.environ.get("MAINSTAY_TEST_JOIN_STRIDE", "70"))
# After how many of the steps, and at how many random moments.
STEPS = int(os.environ.get("MAINSTAY_TEST_JOIN_STEPS", "2"))
RANDOM_KILLS = int(os.environ.get("MAINSTAY_TEST_JOIN_KILLS", "4"))
HAVE_ETCD = shutil.which("etcd") and shutil.which("etcdctl")


class Node:
    """A machine: its agent, its file tree, its address."""

    def __init__(self, test, cluster, number):
        self.cluster = cluster
        self.name = f"m{number}"
        self.address = f"127.0.0.{number}"
        self.agent = harness.Agent(node=self.name)
        test.addCleanup(self.agent.close)
        self.root = self.agent.path("host")
        self.places = ["--root", self.root, "--manifests", self.agent.manifests]
        metrics = free_ports(1)[0]
        # Members side by side cannot all listen on 127.0.0.1, which the usual flags want.
        self.flags = [*self.places, "--node-name", self.name, "--etcd-client-port", str(cluster.client_port),
                      "--etcd-peer-port", str(cluster.peer_port), "--etcd-metrics-port", str(metrics),
                      f"--etcd-arg=listen-client-urls=https://{self.address}:{cluster.client_port}"]

    def path(self, *parts):
        return os.path.join(self.root, *parts)

    def mainstay(self, *words, status=0, **options):
        done = self.agent.cli(*words, **options)
        if status is not None and done.returncode != status:
            raise AssertionError(f"{words}: exit status {done.returncode}, not {status}:\n{done.stdout}{done.stderr}"
                                 + self.agent.agent_log()[-2000:])
        return done.stdout + done.stderr

    def init(self, *flags, wait=False):
        nodes = [f"--etcd-node=m{n}=127.0.0.{n}" for n in (1, 2, 3)]
        return self.mainstay("init", *self.flags, *nodes, f"--wait={str(wait).lower()}", *flags)

    def seal(self, node):
        """The sealed file for a node, and its key."""
        path = tempfile.mktemp(dir=self.agent.dir, suffix=".sealed")
        done = self.agent.cli("pki", "export", "--for", node, path, "--root", self.root, check=True)
        return path, done.stdout.strip()

    def join_words(self, sealed, *flags, wait=False):
        path, key = sealed
        return ["join", path, "--key", key, *self.flags, f"--wait={str(wait).lower()}", *flags]

    def join(self, sealed, *flags, status=0, wait=False):
        return self.mainstay(*self.join_words(sealed, *flags, wait=wait), status=status)

    def reset(self, *flags, status=0):
        return self.mainstay("reset", *self.places, *flags, status=status)

    def files(self):
        found = []
        for top in (self.root, self.agent.manifests):
            for directory, _, names in os.walk(top):
                found += [os.path.join(directory, name) for name in names]
        return sorted(found)

    def kill_etcd_and_agent(self):
        """The machine is off."""
        pid = harness.pid_of(self.agent.pod("etcd"), "etcd")
        self.agent.kill()
        harness.kill_shims(self.agent.dir)
        harness.wait_process_gone(pid)


@unittest.skipUnless(HAVE_ETCD, "etcd and etcdctl are not installed")
class ClusterTest(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.client_port, self.peer_port = free_ports(2)

    def node(self, number):
        return Node(self, self, number)

    def etcdctl(self, node, *words, check=True):
        pki = node.path("etc/kubernetes/pki/etcd")
        done = subprocess.run(["etcdctl", f"--endpoints=https://{node.address}:{self.client_port}",
                               f"--cacert={pki}/ca.crt", f"--cert={pki}/server.crt", f"--key={pki}/server.key",
                               *words], env={**os.environ, "ETCDCTL_API": "3"}, capture_output=True, text=True,
                              timeout=WAIT_SECONDS, check=False)
        if check and done.returncode != 0:
            raise AssertionError(f"etcdctl {words}: {done.stderr}")
        return done.stdout

    def members(self, node):
        """{name: does it vote}"""
        listed = json.loads(self.etcdctl(node, "member", "list", "-w", "json"))["members"]
        return {m.get("name", ""): not m.get("isLearner", False) for m in listed}

    def entries(self, node):
        lines = self.etcdctl(node, "get", "--prefix", "/mainstay/nodes/").splitlines()
        return {key.rsplit("/", 1)[1]: json.loads(value) for key, value in zip(lines[::2], lines[1::2])}

    def first(self):
        """The first node, with its etcd at work."""
        node = self.node(1)
        node.init()
        self.until(lambda: "true" in self.etcdctl(node, "endpoint", "health", "-w", "json", check=False), "etcd is up")
        return node

    def until(self, predicate, what):
        """etcd itself can only be asked, again and again."""
        end = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < end:
            if predicate():
                return
            time.sleep(0.1)
        raise AssertionError(what + " did not happen")

    def assert_whole(self, first, node):
        self.assertEqual(self.members(first), {first.name: True, node.name: True})
        self.assertEqual(self.entries(first)[node.name], {"address": node.address, "roles": ["etcd"]})
        self.assertEqual(os.listdir(node.agent.manifests), ["etcd.yaml"])
        left = [path for path in node.files() if ".tmp-" in path or ".new" in path]
        self.assertEqual(left, [])
        # It holds what the cluster holds.
        self.etcdctl(first, "put", "/test/x", node.name)
        self.assertEqual(self.etcdctl(node, "get", "/test/x", "--print-value-only").strip(), node.name)


class Join(ClusterTest):
    def test_three_nodes(self):
        m1, m2, m3 = (self.node(n) for n in (1, 2, 3))
        said = m1.init(wait=True)
        self.assertRegex(said, r"ready +etcd \(after ")
        self.assertIn("mainstay pki export --for NODE", said)
        self.assertEqual(self.entries(m1), {"m1": {"address": "127.0.0.1", "roles": ["etcd"]}})
        said = m2.join(m1.seal("m2"))
        for words in (r"added +etcd member m2 at https://127.0.0.2:\d+ \(learner\)", "promoted ",
                      "Node m2 is part of the cluster"):
            self.assertRegex(said, words)
        # By the second one: any node can take a further one in.
        m3.join(m2.seal("m3"))
        self.assertEqual(self.members(m1), {"m1": True, "m2": True, "m3": True})
        self.assertEqual(set(self.entries(m3)), {"m1", "m2", "m3"})
        said = m1.mainstay("etcd", "health", "--manifests", m1.agent.manifests)
        # Again: nothing to do.
        said = m2.join(m1.seal("m2"))
        self.assertRegex(said, "0 files made")
        self.assertRegex(said, "kept +etcd member m2")

        # One of three is off: without another one there would be no quorum.
        m3.kill_etcd_and_agent()
        before = m2.files()
        said = m2.reset("--yes", status=1)
        self.assertIn("without m2 there would be", said)
        self.assertEqual(m2.files(), before)
        self.assertEqual(set(self.entries(m1)), {"m1", "m2", "m3"})
        # The machine that was off is on again, and leaves.
        m3.agent.start()
        self.until(lambda: "true" in self.etcdctl(m3, "endpoint", "health", "-w", "json", check=False), "m3 is back")
        m3.reset("--yes")
        self.assertEqual(self.members(m1), {"m1": True, "m2": True})
        self.assertEqual(set(self.entries(m1)), {"m1", "m2"})
        self.assertEqual(m3.files(), [])
        self.assertIn("nothing to reset", m3.reset("--yes"))
        m3.join(m1.seal("m3"))
        self.assertEqual(self.members(m1), {"m1": True, "m2": True, "m3": True})

    def test_a_node_that_no_file_names(self):
        m1 = self.first()
        m4 = self.node(4)
        sealed = m1.seal("m4")
        here = ["--advertise-address", m4.address]
        self.assertIn("no role", m4.join(sealed, *here, "--role", "ectd", status=1))
        self.assertIn("--only: etcd is no part of node m4's roles", m4.join(sealed, *here, "--only", "etcd", status=1))
        self.assertEqual(m4.files(), [])
        m4.join(sealed, *here, "--role", "etcd")
        self.assert_whole(m1, m4)
        with open(m4.path("etc/mainstay/cluster.yaml")) as f:
            self.assertIn('- name: "m4"\n  address: "127.0.0.4"\n  roles:\n  - etcd\n', f.read())

    def test_a_machine_that_balances_alone_is_named(self):
        """It has no certificate for etcd: who takes a kube-apiserver in has to tell it by hand."""
        m1, m4 = self.node(1), self.node(4)
        config = os.path.join(m1.agent.dir, "balanced.yaml")
        with open(config, "w") as f:
            f.write("apiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfiguration\n"
                    "controlPlaneEndpoint: 127.0.0.9:6443\n---\napiVersion: mainstay.dev/v1\nkind: Cluster\n"
                    "loadBalancer: {kind: haproxy, nodes: [lb1=127.0.0.9]}\n")
        m1.init("--config", config)
        self.until(lambda: "true" in self.etcdctl(m1, "endpoint", "health", "-w", "json", check=False), "etcd is up")
        said = m4.join(m1.seal("m4"), "--advertise-address", m4.address, "--role", "apiserver",
                       "--ignore-preflight-errors", "Versions-kube-apiserver")
        self.assertIn("On lb1, which only balances, put {name: m4, address: 127.0.0.4} into", said)

    def test_bad_input_changes_nothing(self):
        m1 = self.first()
        m2 = self.node(2)
        path, key = m1.seal("m2")
        other_key = m1.seal("m2")[1]
        cut = m2.agent.path("cut")
        with open(path, "rb") as f, open(cut, "wb") as out:
            out.write(f.read()[:-20])
        nothing = m2.agent.write("nothing", "")
        bare = tempfile.mkdtemp(dir=m2.agent.dir)
        m2.mainstay("pki", "init", "--root", bare, "--node-name", "x", "--advertise-address", "127.0.0.9")
        done = m2.agent.cli("pki", "export", "--for", "m2", bare + "/sealed", "--root", bare, check=True)
        for words, what, status in (
                ([path, "--key", other_key], "this is not its key", 1),
                ([path, "--key", "abc"], "--key is none that", 1),
                ([cut, "--key", key], cut, 1),
                ([nothing, "--key", key], nothing, 1),
                ([m2.agent.path("missing"), "--key", key], "No such file", 1),
                ([path, "--key", key, "--node-name", "m3"], "sealed for node m2, and this is m3", 1),
                ([bare + "/sealed", "--key", done.stdout.strip()], "no cluster file", 1),
                ([path, "--key", key, "--advertise-address", "127.0.0.77"], "is at 127.0.0.2", 1),
                ([path], "SEALED-FILE --key KEY", 2),
                (["--key", key], "SEALED-FILE --key KEY", 2),
                ([path, "--key", key, "--nonsense"], "--nonsense", 2)):
            with self.subTest(words[1:]):
                flags = [f for f in m2.flags if f not in ("--node-name", "m2")] if "--node-name" in words else m2.flags
                said = m2.mainstay("join", *flags, *words, status=status)
                self.assertIn(what, said)
                self.assertEqual(m2.files(), [])
        self.assertEqual(self.members(m1), {"m1": True})

    def test_the_keys_of_another_cluster(self):
        m1 = self.first()
        m2 = self.node(2)
        m2.mainstay("pki", "init", "--root", m2.root, "--node-name", "m2", "--advertise-address", m2.address)
        before = m2.files()
        said = m2.join(m1.seal("m2"), status=1)
        self.assertIn("is there already, and is another", said)
        self.assertEqual(m2.files(), before)
        self.assertEqual(self.members(m1), {"m1": True})

    def test_etcd_cannot_be_reached(self):
        m1 = self.first()
        m2 = self.node(2)
        sealed = m1.seal("m2")
        m1.kill_etcd_and_agent()
        said = m2.join(sealed, "--timeout", "1s", status=1)
        self.assertIn("the cluster's etcd does not answer", said)
        self.assertIn("127.0.0.1", said)
        self.assertEqual(os.listdir(m2.agent.manifests), [])
        m1.agent.start()
        m2.join(sealed)  # the same again, and it is done
        self.assert_whole(m1, m2)

    def test_what_is_in_the_way(self):
        m1 = self.first()
        m2 = self.node(2)
        sealed = m1.seal("m2")
        # Data of another etcd.
        os.makedirs(m2.path("var/lib/etcd/member/wal"))
        said = m2.join(sealed, status=1)
        self.assertIn("EtcdData", said)
        self.assertIn("Nothing was changed", said)
        self.assertEqual(m2.files(), [])
        shutil.rmtree(m2.path("var"))
        # The port, and who has it.
        with socket.socket() as s:
            s.bind((m2.address, self.peer_port))
            s.listen()
            said = m2.join(sealed, status=1)
            self.assertIn(f"Port-{self.peer_port}", said)
            self.assertIn(f"(PID {os.getpid()})", said)
            self.assertEqual(m2.files(), [])
        # Its name, at another address.
        peer = f"https://127.0.0.2:{free_ports(1)[0]}"
        member = json.loads(self.etcdctl(m1, "member", "add", "m2", "--learner", f"--peer-urls={peer}", "-w", "json"))
        said = m2.join(sealed, "--timeout", "1s", status=1)
        self.assertIn(f"waits for another new member, {peer}", said)
        self.etcdctl(m1, "member", "remove", f"{member['member']['ID']:x}")
        m2.join(sealed)
        self.assert_whole(m1, m2)
        # Its data is lost: it cannot come back as who it was.
        m2.kill_etcd_and_agent()
        shutil.rmtree(m2.path("var/lib/etcd/member"))
        said = m2.join(sealed, "--timeout", "1s", status=1)
        self.assertIn("mainstay etcd member remove m2", said)

    def test_another_version(self):
        m1 = self.first()
        m2 = self.node(2)
        image = m2.agent.path("root", "images", "registry.k8s.io", "etcd", "3.4.13-0", "bin")
        os.makedirs(image)
        with open(os.path.join(image, "etcd"), "w") as f:
            f.write("#!/bin/sh\necho 'etcd Version: 3.3.27'\n")
        os.chmod(os.path.join(image, "etcd"), 0o755)
        said = m2.join(m1.seal("m2"), "--check")
        self.assertRegex(said, r"warning +Versions-etcd: .*3\.3\.27.*made for 3\.4\.13-0")
        self.assertEqual(m2.files(), [])

    def test_without_an_agent_it_is_completed_later(self):
        m1 = self.first()
        m2 = self.node(2)
        m2.agent.kill(signal.SIGTERM)
        sealed = m1.seal("m2")
        said = m2.join(sealed)
        self.assertIn("this command again, which completes it", said)
        self.assertEqual(self.members(m1), {"m1": True, "": False})
        m2.agent.start()
        m2.join(sealed)
        self.assert_whole(m1, m2)


class Killed(ClusterTest):
    """A join that is killed, at each moment, and run again ends in the same whole cluster; so does a reset."""

    def kill_at(self, node, words, n):
        """False where it came to its end before the n-th call."""
        report = node.agent.path("report")
        env = dict(os.environ, MAINSTAY_SOCKET=node.agent.socket)
        done = subprocess.run([AT_WRITE, "--kill", str(n), "--report", report, "--", MAINSTAY, *words], env=env,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=WAIT_SECONDS,
                              check=False)
        if done.returncode == 77:
            self.skipTest("the kernel has no seccomp notification")
        self.assertIn(done.returncode, (0, 128 + signal.SIGKILL), done.stdout + done.stderr)
        return done.returncode != 0

    @unittest.skipUnless(os.path.exists(AT_WRITE), "the build has no tests/at-write")
    def test_at_calls_that_change_the_disk(self):
        m1 = self.first()
        m2 = self.node(2)
        sealed = m1.seal("m2")
        n, joins, resets = 1 + random.randrange(STRIDE), 0, 0
        while True:
            killed = self.kill_at(m2, m2.join_words(sealed), n)
            with self.subTest(join=n):
                m2.join(sealed)
                self.assert_whole(m1, m2)
            reset_killed = self.kill_at(m2, ["reset", *m2.places, "--yes"], max(n // 2, 1))
            with self.subTest(reset=max(n // 2, 1)):
                m2.reset("--yes")
                self.assertEqual(m2.files(), [])
                self.assertEqual(self.members(m1), {"m1": True})
                self.assertEqual(self.entries(m1), {})
            joins += killed
            resets += reset_killed
            if STRIDE == 1 and n % 10 == 0:
                print(f"{n}: {joins} joins and {resets} resets killed", file=sys.stderr, flush=True)
            if not killed:
                break
            n += STRIDE
        self.assertGreater(joins + resets, 2)

    def test_at_random_moments(self):
        m1 = self.first()
        m2 = self.node(2)
        sealed = m1.seal("m2")
        env = dict(os.environ, MAINSTAY_SOCKET=m2.agent.socket)
        for i in range(RANDOM_KILLS):
            # Again and again, without a reset between: each goes on from where the one before was killed.
            process = subprocess.Popen([MAINSTAY, *m2.join_words(sealed)], env=env, stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            moment = random.uniform(0, 1.2)
            with self.subTest(i=i, moment=moment):
                try:
                    process.wait(moment)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
                self.assertLessEqual(set(self.members(m1)), {"m1", "m2", ""})
        m2.join(sealed)
        self.assert_whole(m1, m2)

    def test_between_the_steps(self):
        """Killed as soon as a step has told that it is done: added, its manifest made, promoted."""
        m1 = self.first()
        m2 = self.node(2)
        sealed = m1.seal("m2")
        env = dict(os.environ, MAINSTAY_SOCKET=m2.agent.socket)
        steps = ["cluster.yaml", "etcd/ca.key", "peer.crt", "added ", "etcd.yaml", "promoted "]
        for line in random.sample(steps, min(STEPS, len(steps))):
            with self.subTest(line):
                primary, secondary = pty.openpty()  # lines come at once
                process = subprocess.Popen([MAINSTAY, *m2.join_words(sealed)], env={**env, "TERM": "dumb"},
                                           stdin=subprocess.DEVNULL, stdout=secondary, stderr=secondary)
                os.close(secondary)
                said = b""
                while line.encode() not in said:
                    ready, _, _ = select.select([primary], [], [], WAIT_SECONDS)
                    self.assertTrue(ready, said)
                    said += os.read(primary, 65536)
                process.kill()
                process.wait()
                os.close(primary)
                m2.join(sealed)
                self.assert_whole(m1, m2)
                m2.reset("--yes")
                self.assertEqual(self.members(m1), {"m1": True})


class Start(ClusterTest):
    """What init says where what it has started does not get on."""

    def programs(self, node, versions):
        for name, tag in (("etcd", "3.4.13-0"), ("kube-apiserver", "v1.20.2"),
                          ("kube-controller-manager", "v1.20.2"), ("kube-scheduler", "v1.20.2")):
            path = node.agent.path("root", "images", "registry.k8s.io", name, tag, "bin", name)
            os.makedirs(os.path.dirname(path))
            with open(path, "w") as f:
                f.write(f'#!/bin/sh\n[ "$1" = --version ] && {{ echo v{versions[name]}; exit; }}\n'
                        "echo 'the disk is on fire' >&2\nexit 1\n")
            os.chmod(path, 0o755)

    def test_the_chain_of_causes(self):
        m1 = self.node(1)
        self.programs(m1, {"etcd": "3.4.23", "kube-apiserver": "1.20.2", "kube-controller-manager": "1.20.2",
                           "kube-scheduler": "1.20.2"})
        ports = [f"--{name}-port={port}" for name, port in zip(
            ("apiserver", "controller-manager", "scheduler"), free_ports(3))]
        said = m1.mainstay("init", *m1.flags, *ports, "--advertise-address", m1.address, "--timeout", "2s", status=1)
        for words in ("pod/etcd-m1 is not ready", "log of etcd: the disk is on fire", "kube-apiserver waits for etcd.",
                      "kube-scheduler waits for kube-apiserver, which waits for etcd."):
            self.assertIn(words, said)

    def test_mixed_versions(self):
        m1 = self.node(1)
        self.programs(m1, {"etcd": "3.4.23", "kube-apiserver": "1.20.2", "kube-controller-manager": "1.20.3",
                           "kube-scheduler": "1.18.9"})
        said = m1.mainstay("init", *m1.flags, "--advertise-address", m1.address, "--check", status=1)
        self.assertRegex(said, r"ok +Versions-etcd: .* is 3\.4\.23")
        self.assertRegex(said, r"warning +Versions-kube-controller-manager: .* is 1\.20\.3, and asked for is v1\.20\.2")
        self.assertRegex(said, r"error +Versions-kube-scheduler: .* is 1\.18\.9, and the manifest is made for v1\.20\.2")
        self.assertRegex(said, r"error +Versions-mixed: kube-scheduler is 1\.18 and kube-apiserver 1\.20")
        self.assertEqual(m1.files(), [])

    def test_a_file_that_makes_no_sense(self):
        m1 = self.node(1)
        for text, words in (("kind: Cluster\n", "apiVersion"),
                            ("apiVersion: mainstay.dev/v1\nkind: Cluster\nnodes:\n- {name: m2, address: 127.0.0.2}\n",
                             "this node, m1, is none of the cluster's (m2)"),
                            ("apiVersion: mainstay.dev/v1\nkind: Cluster\nnodes:\n- {name: m1, address: 999}\n", "must be a string"),
                            ("a: [", ":")):
            with self.subTest(text):
                file = m1.agent.write("cluster-to-be.yaml", text)
                said = m1.mainstay("init", *m1.flags, "--config", file, status=2)
                self.assertIn(words, said)
                self.assertEqual(m1.files(), [])
        said = m1.mainstay("init", *m1.flags, "--config", m1.agent.path("missing"), status=2)
        self.assertIn("No such file", said)


class Reset(ClusterTest):
    def test_what_was_there_before_stays(self):
        m1 = self.node(1)
        m1.mainstay("pki", "init", "--root", m1.root, "--node-name", "m1", "--advertise-address", m1.address)
        own = m1.path("etc/kubernetes/pki/own.crt")
        with open(own, "w") as f:
            f.write("mine")
        before = set(m1.files())
        m1.init()
        self.until(lambda: "true" in self.etcdctl(m1, "endpoint", "health", "-w", "json", check=False), "etcd is up")
        said = m1.reset("--dry-run")
        self.assertIn("the only one: the cluster ends", said)
        self.assertRegex(said, f"keep +{m1.path('etc/kubernetes/pki/ca.key')} ")
        self.assertIn("nobody is here to be asked", m1.reset(status=1))
        self.assertTrue(os.path.exists(os.path.join(m1.agent.manifests, "etcd.yaml")))
        said = m1.reset("--yes")
        self.assertRegex(said, "gone +etcd")
        self.assertEqual(set(m1.files()), before)

    def test_it_asks(self):
        m1 = self.first()
        before = m1.files()
        for answer, status in (("n\n", 1), ("\n", 1), ("y\n", 0)):
            with self.subTest(answer):
                primary, secondary = pty.openpty()
                process = subprocess.Popen([MAINSTAY, "reset", *m1.places], stdin=secondary, stdout=secondary,
                                           stderr=secondary, env=dict(os.environ, MAINSTAY_SOCKET=m1.agent.socket))
                os.close(secondary)
                said = b""
                while b"[y/N]" not in said:
                    said += os.read(primary, 65536)
                os.write(primary, answer.encode())
                try:
                    while True:
                        said += os.read(primary, 65536)
                except OSError:
                    pass
                os.close(primary)
                self.assertEqual(process.wait(WAIT_SECONDS), status, said)
                if status:
                    self.assertIn(b"Nothing was changed", said)
                    self.assertEqual([f for f in m1.files() if "/member/" not in f],
                                     [f for f in before if "/member/" not in f])
        self.assertEqual(m1.files(), [])

    def test_before_etcd_has_begun(self):
        m1 = self.node(1)
        m1.init()
        m1.reset("--yes")  # while it starts
        self.assertEqual(m1.files(), [])

    def test_keeping(self):
        m1 = self.first()
        m1.reset("--yes", "--keep-pki", "--keep-etcd-data")
        left = m1.files()
        self.assertIn(m1.path("etc/kubernetes/pki/ca.key"), left)
        self.assertIn(m1.path("var/lib/etcd/member/snap/db"), left)
        self.assertNotIn(m1.path("etc/mainstay/cluster.yaml"), left)
        self.assertEqual(os.listdir(m1.agent.manifests), [])
        # What was kept was made, too: it is known still.
        m1.reset("--yes")
        self.assertEqual(m1.files(), [])

    def test_what_a_rotation_left(self):
        m1 = self.first()
        pki = m1.path("etc/kubernetes/pki")
        m1.mainstay("pki", "rotate-ca", "front-proxy-ca", "--force", "--dir", pki, "--manifests", m1.agent.manifests)
        left = set(os.listdir(pki))
        self.assertIn("front-proxy-ca.key.next", left)
        self.assertTrue([f for f in left if re.fullmatch(r"front-proxy-ca\.crt\.\d{8}-\d{6}", f)], left)
        own = {"front-proxy-ca.crt.mine", "ca.key.next.bak", "ca.crt.20260101", "sa.pub.20260101-000000x"}
        also = {"etcd/ca.led", "ca-signer.crt", "sa.key.20260101-000000.12"}
        for name in own | also:
            with open(os.path.join(pki, name), "w") as f:
                f.write("x")
        m1.reset("--yes", "--keep-pki")
        self.assertEqual(set(os.listdir(pki)), left | own | {name for name in also if "/" not in name})
        m1.reset("--yes")
        self.assertEqual({os.path.relpath(f, pki) for f in m1.files()}, own)

    def test_it_needs_the_agent_for_what_runs(self):
        m1 = self.first()
        pid = harness.pid_of(m1.agent.pod("etcd"), "etcd")
        m1.agent.kill()
        said = m1.reset("--yes", status=1)
        self.assertIn(f"etcd (PID {pid}) runs", said)
        self.assertTrue(os.path.exists(m1.path("var/lib/etcd/member")))
        self.assertTrue(os.path.exists(os.path.join(m1.agent.manifests, "etcd.yaml")))
        m1.agent.start()
        m1.reset("--yes")
        self.assertEqual(m1.files(), [])

    def test_etcd_does_not_answer(self):
        m1 = self.first()
        m2 = self.node(2)
        m2.join(m1.seal("m2"))
        m1.kill_etcd_and_agent()
        before = os.listdir(m2.agent.manifests)
        said = m2.reset("--yes", status=1)
        self.assertRegex(said, "(without m2|no quorum|changes its members only with a quorum)")
        self.assertEqual(os.listdir(m2.agent.manifests), before)

    def test_force_passes_over_the_quorum_guard(self):
        m1, m2, m3 = self.first(), self.node(2), self.node(3)
        m2.join(m1.seal("m2"))
        m3.join(m1.seal("m3"))
        m1.kill_etcd_and_agent()
        # Two of three are left: without m2 there would be no quorum.
        before = m2.files()
        self.assertIn("or say --force", m2.reset("--yes", status=1))
        self.assertEqual(m2.files(), before)
        self.assertRegex(m2.reset("--force"), "gone +etcd")
        self.assertEqual(m2.files(), [])
        # m3 alone has none, and nobody to tell.
        said = m3.reset("--force")
        self.assertIn("warning: the etcd member m3 stays in the cluster", said)
        self.assertRegex(said, "gone +etcd")
        self.assertEqual(m3.files(), [])
        for node in (m2, m3):
            self.assertEqual(node.agent.pods(), {})

    def test_wrong_usage(self):
        m1 = self.node(1)
        for words in (["extra"], ["--nonsense"], ["--timeout", "x"], ["--pki-dir", "/a/../b"]):
            with self.subTest(words):
                self.assertIn("--help", m1.mainstay("reset", "--root", m1.root, *words, status=2))


if __name__ == "__main__":
    harness.main()
