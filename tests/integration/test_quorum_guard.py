"""The quorum guard: three real agents, each with a real member of etcd (mTLS, certificates and
manifests by `mainstay init`), whose manifests are edited, restarted and broken."""

import http.client
import json
import base64
import os
import re
import shutil
import signal
import socket
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

    def manifest(self, name, flag="--snapshot-count=10000", annotations=""):
        """What init wrote, with a quick readiness probe instead of its slow ones."""
        with open(os.path.join(self.root(name), "etc/kubernetes/manifests/etcd.yaml")) as f:
            text = f.read()
        metrics = self.metrics[self.names.index(name)]
        probe = ("    readinessProbe:\n      httpGet: {host: 127.0.0.1, port: %d, path: /health}\n"
                 "      periodSeconds: 1\n" % metrics)
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
    flags = ()

    def setUp(self):
        self.cluster = Cluster(flags=self.flags)
        self.addCleanup(self.cluster.close)
        self.cluster.up()

    def wait_changed(self, name, flag):
        agent = self.cluster.agents[name]
        full = f"etcd-{name}"

        def changed(pods):
            pod = pods.get(full)
            return pod if pod and is_ready(pod) and flag_of(pod, flag) else None
        return agent.wait(changed, f"{name} with {flag}")

    def assert_one_at_a_time(self, observer, n):
        away = observer.absences()
        self.assertEqual(len(away), n, away)
        for first, second in zip(away, away[1:]):
            self.assertLess(first[1], second[0], f"two were away at the same time: {away}")

    def wait_guarded(self, name, text):
        agent = self.cluster.agents[name]

        def guarded(pods):
            why = pods.get(f"etcd-{name}", {}).get("mainstay", {}).get("guard")
            return why if why and text in why else None
        return agent.wait(guarded, f"{name} held back: {text}")

    def test_three_manifests_edited_at_once_take_turns(self):
        cluster = self.cluster
        writer, observer = Writer(cluster), Observer(cluster)
        for name in cluster.names:
            cluster.drop(name, flag="--snapshot-count=20000")
        for name in cluster.names:
            self.wait_changed(name, "--snapshot-count=20000")
        acknowledged = writer.stop()
        self.assert_one_at_a_time(observer, 3)
        self.assertGreater(len(acknowledged), 0)
        for number in (acknowledged[0], acknowledged[-1], *acknowledged[::10]):
            self.assertEqual(cluster.get(f"written/{number}"), str(number))
        told = [e for n in cluster.names for e in cluster.agents[n].events("QuorumGuard")]
        self.assertTrue(any("turn" in e["message"] for e in told), told)
        for name in cluster.names:
            self.assertTrue(cluster.agents[name].events("QuorumGuardPassed"))


if __name__ == "__main__":
    unittest.main()
