"""The quorum guard: three real agents, each with a real member of etcd (mTLS, certificates and
manifests by `mainstay init`), whose manifests are edited, restarted and broken."""

import base64
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import tempfile
import threading
import time
import unittest

import harness
from harness import Agent, container, is_ready, pid_of

NAMES = ["m1", "m2", "m3"]


class Observer(threading.Thread):
    """Notes, as the agents tell it, when each member is ordered to end and when it was started."""

    def __init__(self, cluster):
        super().__init__(daemon=True)
        self.lock = threading.Lock()
        self.seen = []
        self.threads = [threading.Thread(target=self.follow, args=(name, agent, agent.last_event()),
                                         daemon=True)
                        for name, agent in cluster.agents.items()]
        for thread in self.threads:
            thread.start()

    def follow(self, name, agent, after):
        try:
            for event in agent.watch(f"/mainstay/v1/events?watch=true&after={after}"):
                if event["reason"] in ("Killing", "Started", "Exited"):
                    with self.lock:
                        self.seen.append((time.monotonic(), name, event["reason"]))
        except (OSError, http.client.HTTPException, ValueError):
            pass  # the agent has ended

    def absences(self):
        """[(from, to, name)], sorted; `to` is infinite while the member is away."""
        with self.lock:
            seen = sorted(self.seen)
        begin, found = {}, []
        for at, name, reason in seen:
            if reason != "Started":
                begin.setdefault(name, at)
            elif name in begin:
                found.append((begin.pop(name), at, name))
        return sorted(found + [(at, float("inf"), name) for name, at in begin.items()])


class Cluster:
    """`n` agents with a member each, on 127.0.0.1, 127.0.0.2, …"""

    def __init__(self, names=NAMES, flags=()):
        self.dir = tempfile.mkdtemp(prefix="mainstay-guard-")
        self.client_port, self.peer_port, *self.metrics = harness.free_ports(2 + len(names))
        self.names = names
        self.agents = {}
        self.flags = list(flags)
        initial = ",".join(f"{n}=https://{self.address(n)}:{self.peer_port}" for n in names)
        for name in names:
            self.make_files(name, initial)
        for name in names:
            self.agents[name] = Agent(*self.flags, node=name)

    def address(self, name):
        return f"127.0.0.{self.names.index(name) + 1}"

    def root(self, name):
        return os.path.join(self.dir, name)

    def pki(self, name):
        return os.path.join(self.root(name), "etc/kubernetes/pki/etcd")

    def make_files(self, name, initial):
        first = self.names[0]
        if name != first:
            os.makedirs(self.pki(name))
            for file in ("ca.crt", "ca.key"):
                shutil.copy(os.path.join(self.pki(first), file), self.pki(name))
        done = subprocess.run(
            [harness.MAINSTAY, "init", "--only", "etcd", "--root", self.root(name), "--node-name", name,
             "--advertise-address", self.address(name), "--etcd-initial-cluster", initial,
             "--etcd-client-port", str(self.client_port), "--etcd-peer-port", str(self.peer_port),
             "--etcd-metrics-port", str(self.metrics[self.names.index(name)]),
             "--etcd-arg", f"listen-client-urls=https://{self.address(name)}:{self.client_port}",
             "--etcd-arg", "heartbeat-interval=50", "--etcd-arg", "election-timeout=500"],
            capture_output=True, text=True, timeout=harness.WAIT_SECONDS)
        if done.returncode:
            raise AssertionError(done.stdout + done.stderr)

    def manifest(self, name, flag="--snapshot-count=10000", annotations="", probes="readiness"):
        """What init wrote, with a quick readiness probe instead of its slow ones."""
        with open(os.path.join(self.root(name), "etc/kubernetes/manifests/etcd.yaml")) as f:
            text = f.read()
        metrics = self.metrics[self.names.index(name)]
        probe = ("    readinessProbe:\n      httpGet: {host: 127.0.0.1, port: %d, path: /health}\n"
                 "      periodSeconds: 1\n" % metrics)
        text = text.replace("  hostNetwork: true\n", "  hostNetwork: true\n  terminationGracePeriodSeconds: 4\n")
        if probes == "liveness":
            probe += probe.replace("readiness", "liveness")
        text = re.sub(r"    startupProbe:\n.*?(?=    volumeMounts:)", probe, text, flags=re.S)
        text = text.replace('"--snapshot-count=10000"', json.dumps(flag))
        if annotations:
            text = text.replace("  annotations:\n", f"  annotations:\n    {annotations}\n")
        return text.replace("  name: etcd\n  namespace: kube-system", "  name: etcd\n  namespace: default")

    def drop(self, name, **more):
        self.agents[name].drop("etcd.yaml", self.manifest(name, **more))

    def wait_ready(self, names=None):
        for name in names or self.names:
            self.agents[name].wait_ready_pod("etcd")

    def up(self):
        for name in self.names:
            self.drop(name)
        self.wait_ready()
        return self

    # ---- a client ----

    def post(self, name, path, body, timeout=2):
        context = ssl.create_default_context(cafile=os.path.join(self.pki(name), "ca.crt"))
        context.load_cert_chain(os.path.join(self.pki(name), "server.crt"),
                                os.path.join(self.pki(name), "server.key"))
        connection = http.client.HTTPSConnection(self.address(name), self.client_port, timeout=timeout,
                                                 context=context)
        try:
            connection.request("POST", path, json.dumps(body))
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def put(self, key, value):
        body = {"key": base64.b64encode(key.encode()).decode(),
                "value": base64.b64encode(value.encode()).decode()}
        for name in self.names:
            try:
                status, _ = self.post(name, "/v3/kv/put", body)
                if status == 200:
                    return True
            except (OSError, http.client.HTTPException, ValueError):
                pass
        return False

    def get(self, key, name=None):
        body = {"key": base64.b64encode(key.encode()).decode()}
        status, answer = self.post(name or self.names[0], "/v3/kv/range", body)
        values = [base64.b64decode(kv["value"]).decode() for kv in answer.get("kvs", [])]
        return values[0] if values else None

    def lock_holders(self, name=None):
        body = {"key": base64.b64encode(b"/mainstay/etcd/guard/").decode(),
                "range_end": base64.b64encode(b"/mainstay/etcd/guard0").decode()}
        _, answer = self.post(name or self.names[0], "/v3/kv/range", body)
        return [base64.b64decode(kv["value"]).decode() for kv in answer.get("kvs", [])]

    def guards(self, name):
        """PIDs of the children that guard this member."""
        agent = self.agents[name]
        with open(f"/proc/{agent.process.pid}/task/{agent.process.pid}/children") as f:
            children = [int(pid) for pid in f.read().split()]
        found = []
        for pid in children:
            with open(f"/proc/{pid}/cmdline") as f:
                if "guard" in f.read().split("\0"):
                    found.append(pid)
        return found

    def close(self):
        for name, agent in self.agents.items():
            agent.close()
        shutil.rmtree(self.dir, ignore_errors=True)


class Writer(threading.Thread):
    """Writes all the while; each write that was acknowledged must be there in the end."""

    def __init__(self, cluster):
        super().__init__(daemon=True)
        self.cluster = cluster
        self.acknowledged = []
        self.over = threading.Event()
        self.start()

    def run(self):
        number = 0
        while not self.over.is_set():
            number += 1
            if self.cluster.put(f"written/{number}", str(number)):
                self.acknowledged.append(number)

    def stop(self):
        self.over.set()
        self.join(harness.WAIT_SECONDS)
        return self.acknowledged


def flag_of(pod, flag):
    return flag in pod["spec"]["containers"][0]["command"]


@unittest.skipUnless(shutil.which("etcd"), "etcd is not installed (Debian: etcd-server)")
class ThreeMembers(unittest.TestCase):
    """Each test finds three members that are well, and leaves them so (or tears all down)."""

    cluster = None

    def setUp(self):
        cls = type(self)
        if not cls.cluster:
            cls.cluster = Cluster()
            cls.cluster.up()
        self.addCleanup(self.leave)
        self.number = f"--snapshot-count={20000 + hash(self.id()) % 1000}"

    def leave(self):
        outcome = self._outcome.result
        failed = any(test is self for test, _ in outcome.failures + outcome.errors)
        if failed:
            self.tearDownClass()

    @classmethod
    def tearDownClass(cls):
        if cls.cluster:
            cls.cluster.close()
        cls.cluster = None

    def wait_changed(self, name, flag):
        agent = self.cluster.agents[name]

        def changed(pods):
            pod = pods.get(f"etcd-{name}")
            return pod if pod and is_ready(pod) and flag_of(pod, flag) else None
        return agent.wait(changed, f"{name} with {flag}")

    def wait_guarded(self, name, text):
        agent = self.cluster.agents[name]

        def guarded(pods):
            why = pods.get(f"etcd-{name}", {}).get("mainstay", {}).get("guard")
            return why if why and text in why else None
        return agent.wait(guarded, f"{name} held back: {text}")

    def wait_not_asked(self, name):
        agent = self.cluster.agents[name]
        return agent.wait(lambda pods: pods.get(f"etcd-{name}", {}).get("mainstay", {}).get("guardAsked")
                          is False or None, f"{name} is not held back")

    def wait_held(self, name):
        agent = self.cluster.agents[name]
        agent.wait(lambda pods: pods[f"etcd-{name}"]["mainstay"]["state"] == "Held" or None, "held")

    def stop(self, name, *flags):
        done = self.cluster.agents[name].cli("stop", "etcd", *flags)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.wait_held(name)

    def start(self, name):
        self.cluster.agents[name].cli("start", "etcd", check=True)

    def assert_one_at_a_time(self, observer, n):
        away = observer.absences()
        self.assertEqual(len(away), n, away)
        for first, second in zip(away, away[1:]):
            self.assertLess(first[1], second[0], f"two were away at the same time: {away}")

    def pid(self, name):
        return pid_of(self.cluster.agents[name].pod("etcd"), "etcd")

    def test_three_manifests_edited_at_once_take_turns(self):
        cluster = self.cluster
        writer, observer = Writer(cluster), Observer(cluster)
        for name in cluster.names:
            cluster.drop(name, flag=self.number)
        for name in cluster.names:
            self.wait_changed(name, self.number)
        acknowledged = writer.stop()
        self.assert_one_at_a_time(observer, 3)
        self.assertGreater(len(acknowledged), 0)
        for number in (acknowledged[0], acknowledged[-1], *acknowledged[::10]):
            self.assertEqual(cluster.get(f"written/{number}"), str(number))
        told = [e for n in cluster.names for e in cluster.agents[n].events("QuorumGuard")]
        self.assertTrue(any("turn" in e["message"] for e in told), told)
        for name in cluster.names:
            self.assertTrue(cluster.agents[name].events("QuorumGuardPassed"))

    def test_three_restarts_at_once_take_turns(self):
        cluster = self.cluster
        observer = Observer(cluster)
        pids = {name: self.pid(name) for name in cluster.names}
        commands = [subprocess.Popen([harness.MAINSTAY, "--socket", cluster.agents[name].socket, "restart",
                                      "etcd"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                    for name in cluster.names]
        said = [command.communicate(timeout=harness.WAIT_SECONDS) for command in commands]
        self.assertEqual([c.returncode for c in commands], [0, 0, 0], said)
        self.assertIn("waits: QuorumGuard: it is the turn of m", "".join(err for _, err in said))
        for name in cluster.names:
            cluster.agents[name].wait(
                lambda pods, n=name: is_ready(pods[f"etcd-{n}"]) and
                pid_of(pods[f"etcd-{n}"], "etcd") != pids[n] or None, f"{name} restarted")
        self.assert_one_at_a_time(observer, 3)

    def test_an_edit_waits_while_another_member_is_dead(self):
        cluster, agent = self.cluster, self.cluster.agents["m2"]
        with open(os.path.join(agent.manifests, "etcd.yaml")) as f:
            before = f.read()
        self.stop("m3")
        pid = self.pid("m2")
        cluster.drop("m2", flag=self.number)
        why = self.wait_guarded("m2", "stopping m2 would leave 1 of 3 members, 2 are needed; m3 does not")
        self.assertIn("nothing listens on", why)
        self.assertEqual(self.pid("m2"), pid)
        self.assertTrue(agent.events("QuorumGuard", "etcd"))
        self.assertIn("Running,QuorumGuard", agent.cli("get", "pods").stdout)
        self.assertIn("m3 does not answer", agent.cli("describe", "pod", "etcd").stdout)
        conditions = agent.pod("etcd")["status"]["conditions"]
        self.assertIn(("mainstay.dev/MayBeStopped", "False"), [(c["type"], c["status"]) for c in conditions])
        self.assertEqual(cluster.lock_holders(), [])  # who is refused holds nobody up

        # The agent forgets nothing of it.
        agent.restart()
        self.wait_guarded("m2", "m3 does not answer")
        self.assertEqual(self.pid("m2"), pid)

        # Its guard is killed: another one takes its place.
        for guard in cluster.guards("m2"):
            os.kill(guard, signal.SIGKILL)
        self.wait_guarded("m2", "was ended by SIGKILL")
        self.wait_guarded("m2", "m3 does not answer")

        # Taken back, it is over.
        agent.drop("etcd.yaml", before)
        self.wait_not_asked("m2")
        self.assertEqual(self.pid("m2"), pid)

        cluster.drop("m2", flag=self.number)
        self.wait_guarded("m2", "m3 does not answer")
        self.start("m3")
        self.wait_changed("m2", self.number)
        cluster.wait_ready()

    def test_force(self):
        cluster, agent = self.cluster, self.cluster.agents["m2"]
        self.stop("m3")
        pid = self.pid("m2")
        done = subprocess.Popen([harness.MAINSTAY, "--socket", agent.socket, "restart", "etcd"],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.wait_guarded("m2", "m3 does not answer")
        self.assertEqual(self.pid("m2"), pid)
        forced = agent.cli("restart", "etcd", "--force")
        self.assertEqual(forced.returncode, 0, forced.stderr)
        out, err = done.communicate(timeout=harness.WAIT_SECONDS)
        self.assertEqual(done.returncode, 0, err)
        self.assertIn("as soon as the quorum guard lets it", out)
        self.assertIn("waits: QuorumGuard: stopping m2 would leave 1 of 3", err)
        agent.wait(lambda pods: pid_of(pods["etcd-m2"], "etcd") not in (pid, None) or None, "restarted")
        self.assertIn("--force", agent.events("QuorumGuardOverridden", "etcd")[-1]["message"])
        cluster.wait_ready(["m1", "m2"])

        applied = agent.cli("apply", "--force", agent.write("etcd.yaml", cluster.manifest("m2", self.number)))
        self.assertEqual(applied.returncode, 0, applied.stderr)
        self.wait_changed("m2", self.number)

        # The annotation of the new manifest does it for an edit by hand.
        cluster.drop("m2", annotations='mainstay.dev/quorum-guard: "false"')
        self.wait_changed("m2", "--snapshot-count=10000")
        cluster.drop("m2")
        cluster.wait_ready(["m1", "m2"])

        deleted = agent.cli("delete", "etcd", "--force")
        self.assertEqual(deleted.returncode, 0, deleted.stderr)
        cluster.drop("m2")
        self.start("m3")
        cluster.wait_ready()

    def overridden(self, agent):
        """How often: the same words again are the same event again."""
        return sum(e["count"] for e in agent.events("QuorumGuardOverridden", "etcd"))

    def test_force_of_rollback(self):
        cluster, agent = self.cluster, self.cluster.agents["m2"]
        cluster.drop("m2")
        self.wait_changed("m2", "--snapshot-count=10000")
        cluster.drop("m2", flag=self.number)
        self.wait_changed("m2", self.number)
        self.stop("m3")
        pid, overridden = self.pid("m2"), self.overridden(agent)

        # Without --force the manifest is set back, and waits.
        done = agent.cli("rollback", "etcd")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.wait_guarded("m2", "m3 does not answer")
        self.assertEqual(self.pid("m2"), pid)
        revision = re.search(r"is as in revision (\d+)", done.stdout).group(1)
        forced = agent.cli("rollback", "etcd", "--to", revision, "--force", "--wait")
        self.assertEqual(forced.returncode, 0, forced.stderr)
        self.assertNotEqual(self.wait_changed("m2", "--snapshot-count=10000") and self.pid("m2"), pid)
        self.assertEqual(self.overridden(agent), overridden + 1)
        self.assertIn("--force", agent.events("QuorumGuardOverridden", "etcd")[-1]["message"])

        # With it from the beginning it does not wait at all.
        forced = agent.cli("rollback", "etcd", "--force", "--wait")
        self.assertEqual(forced.returncode, 0, forced.stderr)
        self.wait_changed("m2", self.number)
        self.assertEqual(self.overridden(agent), overridden + 2)
        self.start("m3")
        cluster.wait_ready()

    def test_an_agent_that_replaces_itself_reaps_the_guard_of_before(self):
        cluster, agent = self.cluster, self.cluster.agents["m2"]
        self.stop("m3")
        cluster.drop("m2", flag=self.number)
        self.wait_guarded("m2", "m3 does not answer")
        [guard] = cluster.guards("m2")
        agent.process.send_signal(signal.SIGUSR2)
        harness.wait_process_gone(guard)  # its standard input has ended
        agent.wait_ready()
        self.wait_guarded("m2", "m3 does not answer")
        harness.wait_no_zombies(agent.process.pid)
        self.assertNotIn(guard, harness.children(agent.process.pid))
        self.assertEqual(len(cluster.guards("m2")), 1)
        self.start("m3")
        self.wait_changed("m2", self.number)
        cluster.wait_ready()
        harness.wait_no_zombies(agent.process.pid)

    def test_without_a_quorum_an_edit_is_not_held_up(self):
        cluster = self.cluster
        self.stop("m2")
        self.stop("m3", "--force")
        cluster.drop("m1", flag=self.number)
        self.wait_guarded("m1", "there is none to lose")
        agent = cluster.agents["m1"]
        agent.wait(lambda pods: "etcd-m1" in pods and flag_of(pods["etcd-m1"], self.number) or None,
                   "edited without a quorum")
        # Members that do not serve are free at once.
        cluster.drop("m2", flag=self.number)
        cluster.drop("m3", flag=self.number)
        self.start("m2")
        self.start("m3")
        for name in cluster.names:
            self.wait_changed(name, self.number)

    def test_the_agent_dies_while_it_holds_the_turn(self):
        cluster, agent = self.cluster, self.cluster.agents["m1"]
        after = agent.last_event()
        cluster.drop("m1", flag="--no-such-flag")  # it does not come back
        agent.wait_event("BackOff", "etcd", after=after)
        self.assertEqual(cluster.lock_holders("m2"), ["m1"])
        agent.kill()
        cluster.drop("m2", flag=self.number)
        self.wait_guarded("m2", "it is the turn of m1; this member's comes next")
        self.assertEqual(sorted(cluster.lock_holders("m2")), ["m1", "m2"])
        cluster.drop("m1", flag=self.number)
        agent.start()
        self.wait_changed("m2", self.number)
        self.wait_changed("m1", self.number)
        cluster.wait_ready()

    def test_the_guard_is_killed_while_it_holds_the_turn(self):
        cluster, agent = self.cluster, self.cluster.agents["m1"]
        after = agent.last_event()
        cluster.drop("m1", flag="--no-such-flag")
        agent.wait_event("BackOff", "etcd", after=after)
        for guard in cluster.guards("m1"):
            os.kill(guard, signal.SIGKILL)
        cluster.drop("m2", flag=self.number)
        # The turn ends with the lease, but the quorum is counted all the same.
        self.wait_guarded("m2", "m1 does not answer")
        cluster.drop("m1", flag=self.number)
        for name in ("m1", "m2"):
            self.wait_changed(name, self.number)
        cluster.wait_ready()

    def test_a_probe_that_fails_for_want_of_a_quorum_restarts_nothing(self):
        cluster = self.cluster
        cluster.drop("m1", flag=self.number, probes="liveness")
        self.wait_changed("m1", self.number)
        pid = self.pid("m1")
        self.stop("m2")
        self.stop("m3", "--force")
        self.wait_guarded("m1", "a restart does not mend that")
        self.start("m2")
        self.wait_not_asked("m1")
        self.assertEqual(self.pid("m1"), pid)
        self.start("m3")
        cluster.wait_ready()

    def test_a_frozen_member_does_not_count(self):
        cluster = self.cluster
        frozen = self.pid("m3")
        os.kill(frozen, signal.SIGSTOP)

        def thaw():
            with contextlib.suppress(ProcessLookupError):
                os.kill(frozen, signal.SIGCONT)
        self.addCleanup(thaw)
        cluster.drop("m2", flag=self.number)
        self.wait_guarded("m2", "m3 does not answer")
        # Itself it is free: it costs nobody a vote.
        cluster.agents["m3"].cli("restart", "etcd", check=True)
        cluster.agents["m3"].wait(lambda pods: pid_of(pods["etcd-m3"], "etcd") not in (frozen, None) or None,
                                  "m3 restarted")
        self.wait_changed("m2", self.number)
        cluster.wait_ready()

    def test_it_is_edited_again_while_it_is_away(self):
        cluster, agent = self.cluster, self.cluster.agents["m1"]
        observer = Observer(cluster)
        after = agent.last_event()
        cluster.drop("m1", flag="--snapshot-count=4321")
        agent.wait_event("Killing", "etcd", after=after)
        cluster.drop("m1", flag=self.number)
        cluster.drop("m2", flag=self.number)
        for name in ("m1", "m2"):
            self.wait_changed(name, self.number)
        away = observer.absences()
        for first, second in zip(away, away[1:]):
            self.assertLess(first[1], second[0], away)
        cluster.wait_ready()

    def test_a_failed_trial_comes_back_in_turn(self):
        cluster, agent = self.cluster, self.cluster.agents["m1"]
        cluster.drop("m1")
        self.wait_changed("m1", "--snapshot-count=10000")
        cluster.drop("m1", flag="--no-such-flag", annotations='mainstay.dev/confirm: "1s"')
        agent.wait_event("TrialFailed", "etcd")
        self.wait_changed("m1", "--snapshot-count=10000")
        cluster.drop("m1")
        cluster.wait_ready()

    def test_a_command_under_the_guard(self):
        cluster = self.cluster
        manifests = ["--manifests", cluster.agents["m1"].manifests]
        done = cluster.agents["m1"].cli("etcd", "guard", *manifests, "--", "sh", "-c", "echo did it; exit 7")
        self.assertEqual((done.returncode, done.stdout), (7, "did it\n"), done.stderr)
        self.assertIn("without m1, 2 of 3 members are left, 2 are needed", done.stderr)
        self.stop("m3")
        done = cluster.agents["m1"].cli("etcd", "guard", *manifests, "--timeout=1s", "--", "echo", "no")
        self.assertEqual((done.returncode, done.stdout), (1, ""), done.stderr)
        self.assertIn("m3 does not answer", done.stderr)
        self.start("m3")
        cluster.wait_ready()


@unittest.skipUnless(shutil.which("etcd"), "etcd is not installed (Debian: etcd-server)")
class TwoMembers(unittest.TestCase):
    def test_neither_can_be_spared(self):
        cluster = Cluster(["m1", "m2"])
        self.addCleanup(cluster.close)
        agent = cluster.up().agents["m1"]
        restart = subprocess.Popen([harness.MAINSTAY, "--socket", agent.socket, "restart", "etcd"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.assertIn("a cluster of two loses its quorum whenever one of them stops",
                      agent.wait_event("QuorumGuard", "etcd")["message"])
        stop = subprocess.Popen([harness.MAINSTAY, "--socket", agent.socket, "stop", "etcd"],
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.assertIn("as soon as the quorum guard lets it", stop.stdout.readline())
        agent.cli("restart", "etcd", "--force", check=True)
        restart.communicate(timeout=harness.WAIT_SECONDS)
        self.assertEqual(restart.returncode, 0)
        stop.communicate(timeout=harness.WAIT_SECONDS)
        self.assertEqual(stop.returncode, 0)
        agent.wait(lambda pods: pods["etcd-m1"]["mainstay"]["state"] == "Held" or None, "stopped")
        agent.cli("start", "etcd", check=True)
        cluster.wait_ready()


class Grace(unittest.TestCase):
    """What drains an apiserver: it has its whole grace period at a restart and at an edit."""

    def test_restart_and_edit_wait_for_the_end(self):
        agent = Agent()
        self.addCleanup(agent.close)
        fifo = agent.path("up")
        os.mkfifo(fifo)
        script = f"trap 'sleep 3; exit 0' TERM; echo up > {fifo}; while :; do sleep 60 & wait $!; done"
        text = harness.pod_yaml("api", ["/bin/sh", "-c", script]).replace(
            "terminationGracePeriodSeconds: 2", "terminationGracePeriodSeconds: 75")
        agent.drop("api.yaml", text)
        self.wait_up(fifo)
        after = agent.last_event()
        restart = agent.cli("restart", "api")
        self.assertIn("is being restarted, and has 1m15s to end", restart.stdout)
        self.assertIn("exited with status 0", agent.wait_event("Exited", "api", after=after)["message"])
        self.wait_up(fifo)
        after = agent.last_event()
        agent.drop("api.yaml", text.replace("sleep 3; exit 0", "exit 0"))
        self.assertIn("exited with status 0", agent.wait_event("Exited", "api", after=after)["message"])
        self.wait_up(fifo)

    def wait_up(self, fifo):
        with open(fifo) as f:  # opens when the process does
            self.assertEqual(f.read(), "up\n")


@unittest.skipUnless(shutil.which("etcd"), "etcd is not installed (Debian: etcd-server)")
class OneMember(unittest.TestCase):
    def test_it_is_not_guarded(self):
        cluster = Cluster(["m1"])
        self.addCleanup(cluster.close)
        cluster.up()
        agent = cluster.agents["m1"]
        pid = pid_of(agent.pod("etcd"), "etcd")
        cluster.drop("m1", flag="--snapshot-count=12345")
        agent.wait(lambda pods: "etcd-m1" in pods and flag_of(pods["etcd-m1"], "--snapshot-count=12345") and
                   pid_of(pods["etcd-m1"], "etcd") not in (pid, None) or None, "edited")
        agent.wait_ready_pod("etcd")
        agent.cli("restart", "etcd", check=True)
        agent.wait(lambda pods: is_ready(pods["etcd-m1"]) and container(pods["etcd-m1"], "etcd")["restartCount"] == 1
                   or None, "restarted")
        for reason in ("QuorumGuard", "QuorumGuardPassed", "QuorumGuardOverridden"):
            self.assertEqual(agent.events(reason), [])

    def test_without_the_program_it_is_held_up_for_a_bounded_time(self):
        cluster = Cluster(["m1"], flags=["--quorum-guard-patience", "1s"])
        self.addCleanup(cluster.close)
        cluster.up()
        agent = cluster.agents["m1"]
        # What the manifest says of the certificates is wrong, so that nobody can be asked.
        os.rename(os.path.join(cluster.pki("m1"), "server.key"), os.path.join(cluster.pki("m1"), "away"))
        agent.cli("restart", "etcd", check=True)
        event = agent.wait_event("QuorumGuardOverridden", "etcd")
        self.assertIn("without knowing", event["message"])
        os.rename(os.path.join(cluster.pki("m1"), "away"), os.path.join(cluster.pki("m1"), "server.key"))
        agent.wait_ready_pod("etcd")


if __name__ == "__main__":
    harness.main()
