"""A real control plane from four manifests: etcd, Kubernetes 1.20.2, driven by kubectl and etcdctl."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import harness
from harness import free_ports, pid_of

COMPONENTS = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"]
UP_SECONDS = 180  # until the API server answers the first time; it is not a timing that is tested


class ControlPlane(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.binaries = subprocess.run([os.path.join(harness.SOURCE, "packaging", "kubernetes-binaries"),
                                       "--where"], capture_output=True, text=True, check=True).stdout.strip()
        cls.agent = agent = harness.Agent(node="node1")
        cls.addClassCleanup(agent.close)
        api, kcm, sched, etcd, peer, metrics = free_ports(6)
        cls.etcd_port = etcd
        for name, tag, binary in [("etcd", "3.4.13-0", shutil.which("etcd"))] + [
                (name, "v1.20.2", os.path.join(cls.binaries, name)) for name in COMPONENTS[1:]]:
            directory = agent.path("root", "images", "registry.k8s.io", name, tag, "bin")
            os.makedirs(directory)
            os.symlink(binary, os.path.join(directory, name))
        done = agent.cli("init", "--root", agent.path("cluster"), "--manifests", agent.manifests,
                         "--node-name", "node1", "--wait=false",
                         "--apiserver-port", str(api), "--controller-manager-port", str(kcm),
                         "--scheduler-port", str(sched), "--etcd-client-port", str(etcd),
                         "--etcd-peer-port", str(peer), "--etcd-metrics-port", str(metrics))
        assert done.returncode == 0, done.stderr
        cls.kubeconfig = agent.path("cluster/etc/kubernetes/admin.conf")
        cls.pki = agent.path("cluster/etc/kubernetes/pki")
        for name in COMPONENTS:
            agent.wait_ready_pod(name)
        cls.until(lambda: cls.kubectl("get", "--raw", "/readyz").stdout == "ok", "readyz")

    @classmethod
    def kubectl(cls, *words, text=None, check=False):
        return subprocess.run(["kubectl", "--kubeconfig", cls.kubeconfig, "--request-timeout=10s", *words],
                              capture_output=True, text=True, input=text, check=check)

    @classmethod
    def until(cls, predicate, what):
        """Kubernetes' own eventual consistency can only be asked for, again and again."""
        end = time.monotonic() + UP_SECONDS
        while time.monotonic() < end:
            if predicate():
                return
            time.sleep(0.2)
        raise AssertionError(f"{what} did not happen\n" + cls.agent.cli("status").stdout
                             + cls.agent.cli("logs", "kube-apiserver", "--tail", "20").stdout)

    def pids(self):
        return {name: pid_of(self.agent.pod(name), name) for name in COMPONENTS}

    def test_1_all_four_run(self):
        pods = self.agent.pods()
        self.assertEqual(sorted(pods), sorted(name + "-node1" for name in COMPONENTS))
        self.assertTrue(all(harness.is_ready(p) for p in pods.values()))
        self.assertEqual(self.kubectl("get", "--raw", "/readyz").stdout, "ok")

    def test_2_the_controller_manager_works(self):
        self.kubectl("create", "namespace", "mainstay-test")
        self.until(lambda: self.kubectl("-n", "mainstay-test", "get", "serviceaccount", "default"
                                        ).returncode == 0, "the default service account")

    def test_3_the_scheduler_works(self):
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        resources = {"cpu": "4", "memory": "8Gi", "pods": "10"}
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "paper"},
                "status": {"capacity": resources, "allocatable": resources,
                           "conditions": [{"type": "Ready", "status": "True", "reason": "Test",
                                           "lastHeartbeatTime": now}]}}
        self.kubectl("create", "-f", "-", text=json.dumps(node), check=True)
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"},
               "spec": {"tolerations": [{"operator": "Exists"}],
                        "containers": [{"name": "c", "image": "none"}]}}
        self.until(lambda: self.kubectl("get", "serviceaccount", "default").returncode == 0, "default sa")
        self.kubectl("create", "-f", "-", text=json.dumps(pod), check=True)
        self.until(lambda: self.kubectl("get", "pod", "one", "-o", "jsonpath={.spec.nodeName}").stdout
                   == "paper", "the pod is bound")

    def test_4_etcd_holds_the_keys(self):
        done = subprocess.run(["etcdctl", "--endpoints", f"https://127.0.0.1:{self.etcd_port}", "--cacert",
                               self.pki + "/etcd/ca.crt", "--cert", self.pki + "/apiserver-etcd-client.crt",
                               "--key", self.pki + "/apiserver-etcd-client.key", "get", "--prefix",
                               "--keys-only", "/registry/namespaces/"],
                              capture_output=True, text=True, env=dict(os.environ, ETCDCTL_API="3"))
        self.assertIn("/registry/namespaces/kube-system", done.stdout, done.stderr)

    def test_5_each_killed_component_comes_back_alone(self):
        for name in COMPONENTS:
            with self.subTest(name):
                # The controller manager and the scheduler may end by themselves when they lose their
                # lease; so the others are compared at the moment that the killed one runs again.
                before = self.pids()
                restarts = harness.status_of(self.agent.pod(name), name)["restartCount"]
                os.kill(before[name], signal.SIGKILL)
                self.agent.wait(lambda pods: harness.container(pods[name + "-node1"], name)["restartCount"]
                                > restarts and harness.is_ready(pods[name + "-node1"]) or None,
                                f"{name} restarted")
                after = self.pids()
                self.assertNotEqual(after[name], before[name])
                for other in COMPONENTS:
                    if other != name:
                        self.assertEqual(after[other], before[other], f"{other} after the kill of {name}")
                self.until(lambda: self.kubectl("get", "--raw", "/readyz").stdout == "ok", "readyz again")

    def test_6_a_second_kill_backs_off(self):
        name = "kube-scheduler"
        after = self.agent.last_event()
        os.kill(self.pids()[name], signal.SIGKILL)
        event = self.agent.wait_event("BackOff", name, after)
        self.assertIn("back-off", event["message"])
        self.agent.cli("retry", name, check=True)
        self.agent.wait(lambda pods: harness.is_ready(pods[name + "-node1"]) or None, "scheduler again")

    def test_7_the_agents_death_changes_nothing(self):
        before = self.pids()
        self.agent.restart()
        self.assertEqual(self.pids(), before)
        self.assertEqual(self.kubectl("get", "--raw", "/readyz").stdout, "ok")

    def test_8_logs_and_exec(self):
        self.assertIn("etcd", self.agent.cli("logs", "etcd", "--tail", "50").stdout)
        done = self.agent.cli("exec", "etcd", "--", "sh", "-c", "echo inside")
        self.assertEqual(done.stdout, "inside\n", done.stderr)


class Quickstart(unittest.TestCase):
    def test_it_comes_up_and_leaves_nothing(self):
        import tempfile
        with tempfile.TemporaryDirectory() as directory:
            env = dict(os.environ, TMPDIR=directory, MAINSTAY_YES="1")
            done = subprocess.run([os.path.join(harness.SOURCE, "packaging", "quickstart"), "--check"],
                                  capture_output=True, text=True, env=env, stdin=subprocess.DEVNULL,
                                  timeout=900)
            self.assertEqual(done.returncode, 0, done.stdout[-3000:] + done.stderr[-3000:])
            self.assertIn("readyz says ok", done.stdout)
            self.assertEqual(os.listdir(directory), [])
            self.assertEqual(harness.processes_with(directory), [])


if __name__ == "__main__":
    harness.main()
