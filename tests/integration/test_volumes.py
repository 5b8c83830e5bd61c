"""Volumes under a real agent: what containers see, what stays out of their reach, and that nothing is
left behind, whoever dies."""

import contextlib
import ctypes
import fcntl
import json
import os
import random
import re
import select
import signal
import socket
import stat
import subprocess
import time
import unittest

import harness
from harness import COMPONENT, WAIT_SECONDS, pid_of, status_of

ROUNDS = int(os.environ.get("MAINSTAY_TEST_ROUNDS", "6"))
LIBC = ctypes.CDLL(None, use_errno=True)
MS_SHARED, MS_BIND = 1 << 20, 4096


def container(name, script, mounts=(), **more):
    command = script if isinstance(script, list) else ["sh", "-c", script]
    return {"name": name, "image": "localhost/test:1", "imagePullPolicy": "IfNotPresent",
            "command": command, "volumeMounts": list(mounts), **more}


def pod_text(name, volumes, *containers, metadata=None, **spec):
    pod = {"apiVersion": "v1", "kind": "Pod",
           "metadata": {"name": name, "namespace": "default", **(metadata or {})},
           "spec": {"hostNetwork": True, "terminationGracePeriodSeconds": 1,
                    "volumes": list(volumes), "containers": list(containers), **spec}}
    return json.dumps(pod)


def mounts_below(path):
    """Mount points at or below the path, in this (the host's) mount namespace."""
    with open("/proc/self/mountinfo") as f:
        points = [line.split()[4] for line in f]
    return [p for p in points if p == path or p.startswith(path + "/")]


def wait_mounts(path, predicate, what):
    """The kernel tells of changes of the mount table by POLLPRI."""
    end = time.monotonic() + WAIT_SECONDS
    with open("/proc/self/mountinfo") as f:
        poll = select.poll()
        poll.register(f, select.POLLPRI | select.POLLERR)
        while not predicate(mounts_below(path)):
            if time.monotonic() > end:
                raise AssertionError(f"{what}: {mounts_below(path)}")
            f.seek(0)
            f.read()
            if not predicate(mounts_below(path)):
                poll.poll(WAIT_SECONDS * 1000)
            f.seek(0)


def mount(source, target, kind=None, flags=0, data=None):
    arguments = [None if a is None else a.encode() for a in (source, target, kind)]
    if LIBC.mount(*arguments, ctypes.c_ulong(flags), data and data.encode()) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), target)


def unmount(target):
    LIBC.umount2(target.encode(), 2)


@contextlib.contextmanager
def open_directory(path):
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)


def wait_for_file(path):
    """A watch on the directory, which must exist."""
    directory = os.path.dirname(path)
    with subprocess.Popen(["inotifywait", "-qm", "-e", "create,moved_to,close_write,delete", directory],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watch:
        try:
            end = time.monotonic() + WAIT_SECONDS
            while not os.path.exists(path):
                ready, _, _ = select.select([watch.stdout], [], [], 0.2)
                if ready:
                    os.read(watch.stdout.fileno(), 4096)
                if time.monotonic() > end:
                    raise AssertionError(f"{path} does not appear")
        finally:
            watch.kill()


@unittest.skipUnless(os.geteuid() == 0, "mounts are made by root")
class VolumeTest(harness.AgentTest):
    def agent(self, *flags, **options):
        agent = super().agent(*flags, **options)
        self.addCleanup(self.unmount_all, agent.dir)  # before the directory is removed
        return agent

    @staticmethod
    def unmount_all(directory):
        for point in sorted(mounts_below(directory), key=len, reverse=True):
            unmount(point)

    def finish(self, agent, name):
        """Until all its containers are over; returns the phase."""
        full = f"{name}-{agent.node}"
        return agent.wait(lambda pods: pods.get(full, {}).get("status", {}).get("phase")
                          in ("Succeeded", "Failed") and pods[full]["status"]["phase"], f"{name} over")

    def run_pod(self, agent, name, volumes, *containers, **spec):
        """Runs it to its end and returns what "main" wrote."""
        agent.drop(f"{name}.yaml", pod_text(name, volumes, *containers, restartPolicy="Never", **spec))
        phase = self.finish(agent, name)
        lines = agent.log_text(name)
        self.assertEqual(phase, "Succeeded", (lines, agent.events(pod=name)))
        return lines

    def empty_dir(self, agent, pod, volume):
        uid = agent.pod(pod)["metadata"]["uid"]
        return agent.path("root", "pods", uid, "volumes", "kubernetes.io~empty-dir", volume)


class HostPath(VolumeTest):
    def test_types_as_the_operator_sees_them(self):
        agent = self.agent()
        base = agent.path("host")
        os.mkdir(base)
        os.symlink(base, agent.path("link"))
        with open(os.path.join(base, "file"), "w") as f:
            f.write("content\n")
        volumes = [
            {"name": "dir", "hostPath": {"path": agent.path("link"), "type": "Directory"}},
            {"name": "file", "hostPath": {"path": os.path.join(base, "file"), "type": "File"}},
            {"name": "made", "hostPath": {"path": os.path.join(base, "a/b"), "type": "DirectoryOrCreate"}},
            {"name": "new", "hostPath": {"path": os.path.join(base, "new"), "type": "FileOrCreate"}},
            {"name": "null", "hostPath": {"path": "/dev/null", "type": "CharDevice"}},
        ]
        mounts = [{"name": v["name"], "mountPath": f"/mnt/{v['name']}"} for v in volumes]
        lines = self.run_pod(agent, "types", volumes, container(
            "main", "cat /mnt/dir/file /mnt/file; test -c /mnt/null && echo device; "
            "echo x > /mnt/new; touch /mnt/made/y", mounts))
        self.assertEqual(lines, ["content", "content", "device"])
        self.assertEqual(os.stat(os.path.join(base, "a/b")).st_mode & 0o7777, 0o755)
        self.assertEqual(os.stat(os.path.join(base, "new")).st_mode & 0o7777, 0o644)
        self.assertTrue(os.path.exists(os.path.join(base, "a/b/y")))

    def test_a_socket_that_comes_later(self):
        """As the kubelet: the start fails, is told, and is tried again."""
        agent = self.agent(config="apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n"
                           "crashLoopBackOff: {maxContainerRestartPeriod: 1s}\n"
                           "featureGates: {KubeletCrashLoopBackOffMax: true}\n")
        path = agent.path("x.sock")
        volumes = [{"name": "s", "hostPath": {"path": path, "type": "Socket"}}]
        agent.drop("late.yaml", pod_text("late", volumes, container(
            "main", [COMPONENT], [{"name": "s", "mountPath": "/mnt/s"}])))
        event = agent.wait_event("Failed", "late")
        self.assertIn(f"the socket {path} does not exist", event["message"])
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(path)
            agent.wait_ready_pod("late")


class EmptyDir(VolumeTest):
    def test_shared_and_kept_until_the_pod_goes(self):
        agent = self.agent()
        volumes = [{"name": "e", "emptyDir": {}}]
        mounts = [{"name": "e", "mountPath": "/mnt/e"}]
        agent.drop("e.yaml", pod_text(
            "e", volumes,
            container("main", "echo run >> /mnt/e/runs; exec sleep 1000", mounts),
            container("other", "while ! test -s /mnt/e/runs; do sleep 0.02; done; stat -c %a /mnt/e "
                      "> /mnt/e/mode; exec sleep 1000", mounts,
                      securityContext={"runAsUser": 65534})))
        agent.wait_ready_pod("e")
        path = self.empty_dir(agent, "e", "e")
        wait_for_file(os.path.join(path, "mode"))
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o777)
        self.assertEqual(os.stat(os.path.join(path, "mode")).st_uid, 65534)
        os.kill(pid_of(agent.pod("e")), signal.SIGKILL)
        agent.wait_ready_pod("e", restarts=1)
        with open(os.path.join(path, "runs")) as f:
            self.assertEqual(f.read(), "run\nrun\n")
        agent.remove("e.yaml")
        agent.wait_gone("e")
        self.assertFalse(os.path.exists(path))

    def test_memory_is_one_file_system_for_the_pods_life(self):
        agent = self.agent()
        volumes = [{"name": "m", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}]
        mounts = [{"name": "m", "mountPath": "/mnt/m"}]
        script = ("echo run >> /mnt/m/runs; head -c 4M /dev/zero > /mnt/m/big 2>/dev/null || echo full; "
                  "stat -f -c %T /mnt/m; stat -c %a /mnt/m; exec sleep 1000")
        agent.drop("m.yaml", pod_text("m", volumes, container("main", script, mounts),
                                      container("other", "exec sleep 1000", mounts)))
        agent.wait_ready_pod("m")
        path = self.empty_dir(agent, "m", "m")
        self.assertEqual(mounts_below(path), [path])
        self.assertEqual(os.statvfs(path).f_blocks * os.statvfs(path).f_frsize, 1 << 20)
        agent.restart()
        os.kill(pid_of(agent.wait_ready_pod("m")), signal.SIGKILL)
        agent.wait_ready_pod("m", restarts=1)
        self.assertEqual(mounts_below(path), [path])
        wait_for_file(os.path.join(path, "runs"))
        with open(os.path.join(path, "runs")) as f:
            self.assertEqual(f.read(), "run\nrun\n")
        agent.remove("m.yaml")
        agent.wait_gone("m")
        self.assertEqual(agent.log_text("m")[:3], ["full", "tmpfs", "1777"])
        wait_mounts(agent.dir, lambda points: not points, "the pod's memory is still mounted")

    def test_memory_is_free_once_the_pod_is_gone(self):
        """Also where a container that started later still has the host's mounts of that time."""
        agent = self.agent()
        volumes = [{"name": "m", "emptyDir": {"medium": "Memory"}}]
        agent.drop("m.yaml", pod_text("m", volumes, container(
            "main", [COMPONENT], [{"name": "m", "mountPath": "/mnt/m"}])))
        agent.wait_ready_pod("m")
        path = self.empty_dir(agent, "m", "m")
        agent.drop("later.yaml", pod_text("later", [], container("main", [COMPONENT])))
        pid = pid_of(agent.wait_ready_pod("later"))
        with open(f"/proc/{pid}/mountinfo") as f:
            self.assertIn(path, f.read())
        agent.remove("m.yaml")
        agent.wait_gone("m")
        wait_mounts(agent.dir, lambda points: not points, "the pod's memory is still mounted")
        Removal.wait_removed(self, agent)
        with open(f"/proc/{pid}/mountinfo") as f:
            self.assertNotIn("kubernetes.io~empty-dir", f.read())

    def test_a_limit_on_disk_is_watched(self):
        agent = self.agent("--volume-stats-agg-period", "100ms")
        volumes = [{"name": "small", "emptyDir": {"sizeLimit": "1Mi"}},
                   {"name": "fine", "emptyDir": {"sizeLimit": "10Mi"}}]
        mounts = [{"name": "small", "mountPath": "/mnt/s"}, {"name": "fine", "mountPath": "/mnt/f"}]
        agent.drop("l.yaml", pod_text("l", volumes, container(
            "main", "head -c 3M /dev/zero > /mnt/s/x; head -c 3M /dev/zero > /mnt/f/x; exec sleep 1000",
            mounts)))
        event = agent.wait_event("EmptyDirOverLimit", "l")
        self.assertIn("volume small uses 3.0Mi, more than its sizeLimit of 1Mi", event["message"])
        pod = agent.wait_ready_pod("l")
        self.assertEqual(status_of(pod)["restartCount"], 0)
        self.assertEqual(len(agent.events("EmptyDirOverLimit", "l")), 1)

    def test_groups_own_volumes(self):
        agent = self.agent()
        volumes = [{"name": "e", "emptyDir": {}}, {"name": "m", "emptyDir": {"medium": "Memory"}},
                   {"name": "i", "downwardAPI": {"items": [
                       {"path": "name", "mode": 0o400, "fieldRef": {"fieldPath": "metadata.name"}}]}},
                   {"name": "h", "hostPath": {"path": agent.path("host"), "type": "DirectoryOrCreate"}}]
        mounts = [{"name": v["name"], "mountPath": f"/mnt/{v['name']}"} for v in volumes]
        lines = self.run_pod(agent, "g", volumes, container(
            "main", "id -G; stat -L -c '%a %g' /mnt/e /mnt/m /mnt/i /mnt/i/name /mnt/h; cat /mnt/i/name; echo; "
            "touch /mnt/e/x; stat -c %g /mnt/e/x", mounts,
            securityContext={"runAsUser": 1234, "runAsGroup": 1234}),
            securityContext={"fsGroup": 4711, "fsGroupChangePolicy": "OnRootMismatch"})
        self.assertEqual(lines, ["1234 4711", "2777 4711", "3777 4711", "2755 4711", "440 4711", "755 0",
                                 "g-node1", "4711"])


class Removal(VolumeTest):
    def test_a_large_tree_goes_without_the_loop(self):
        """The pod is gone at once; its files follow, also those that are 2,000 directories deep."""
        agent = self.agent()
        volumes = [{"name": "e", "emptyDir": {}}]
        script = ("import os\nos.chdir('/mnt/e')\n"
                  "for i in range(100):\n os.mkdir(f'd{i}')\n"
                  " for j in range(50): open(f'd{i}/{j}', 'w').close()\n"
                  "for i in range(2000): os.mkdir('deep'); os.chdir('deep')\n"
                  "os.symlink('/', 'root')\nprint('made', flush=True)\nimport time; time.sleep(1000)\n")
        agent.drop("big.yaml", pod_text("big", volumes, container(
            "main", ["python3", "-c", script], [{"name": "e", "mountPath": "/mnt/e"}],
            readinessProbe={"exec": {"command": ["sh", "-c", "cd /mnt/e/d99"]}, "periodSeconds": 1})))
        agent.wait_ready_pod("big")
        path = self.empty_dir(agent, "big", "e")
        agent.remove("big.yaml")
        agent.wait_gone("big")
        self.assertFalse(os.path.exists(path))
        self.wait_removed(agent)
        self.assertFalse(agent.events("FailedCleanup"))
        self.assertTrue(os.path.exists("/etc/passwd"))

    def test_a_removal_that_hangs_holds_up_nobody(self):
        """It is killed, told, and done by the next agent."""
        agent = self.agent()
        volumes = [{"name": "e", "emptyDir": {}}]
        pod = pod_text("h", volumes, container("main", [COMPONENT], [{"name": "e", "mountPath": "/mnt/e"}]))
        agent.drop("h.yaml", pod)
        uid = agent.wait_ready_pod("h")["metadata"]["uid"]
        path = agent.path("root", "pods", uid)
        removed = agent.path("root", "pods", ".removed")
        os.makedirs(removed, exist_ok=True)
        with open_directory(removed) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # which the helper waits for
            agent.remove("h.yaml")
            agent.wait_gone("h")
            self.assertFalse(os.path.exists(path))
            agent.drop("h.yaml", pod)  # the same uid, at once
            agent.wait_ready_pod("h")
            for pid in harness.processes_with("mainstay-shim\0--remove\0" + removed):
                os.kill(pid, signal.SIGKILL)
            self.assertIn("its helper was killed", agent.wait_event("FailedCleanup")["message"])
            self.assertTrue(os.listdir(removed))
        agent.restart()
        self.wait_removed(agent)
        agent.wait_ready_pod("h")
        self.assertTrue(os.path.exists(path))

    def wait_removed(self, agent):
        removed = agent.path("root", "pods", ".removed")
        end = time.monotonic() + WAIT_SECONDS
        while os.path.isdir(removed) and os.listdir(removed):
            names = [p for p in harness.processes_with("mainstay-shim\0--remove\0" + removed)]
            if not names and time.monotonic() > end:
                self.fail(f"left: {os.listdir(removed)}\n" + agent.agent_log())
            for pid in names:
                harness.wait_process_gone(pid)

    def test_what_a_dead_agent_left_is_found(self):
        agent = self.agent()
        agent.kill()
        left = agent.path("root", "pods", ".removed", "u1.1", "volumes", "kubernetes.io~empty-dir", "m")
        stray = agent.path("root", "pods", "u2", "volumes", "kubernetes.io~empty-dir", "m")
        for path in (left, stray):
            os.makedirs(path)
            mount("tmpfs", path, "tmpfs")
            with open(os.path.join(path, "file"), "w") as f:
                f.write("x")
        agent.start()
        event = agent.wait_event("LeftoversRemoved")
        self.assertIn("uid u2", event["message"])
        wait_mounts(agent.dir, lambda points: not points, "mounts of a dead agent")
        self.wait_removed(agent)
        self.assertFalse(os.path.exists(agent.path("root", "pods", "u2")))

    def test_foreign_mounts_are_left_and_told(self):
        agent = self.agent()
        volumes = [{"name": "e", "emptyDir": {}}]
        agent.drop("f.yaml", pod_text("f", volumes, container(
            "main", [COMPONENT], [{"name": "e", "mountPath": "/mnt/e"}])))
        agent.wait_ready_pod("f")
        uid = agent.pod("f")["metadata"]["uid"]
        os.mkdir(agent.path("precious"))
        with open(agent.path("precious", "file"), "w") as f:
            f.write("x")
        foreign = agent.path("root", "pods", uid, "foreign")
        os.mkdir(foreign)
        mount(agent.path("precious"), foreign, flags=MS_BIND)
        agent.remove("f.yaml")
        event = agent.wait_event("FailedCleanup", "f")
        self.assertIn(foreign, event["message"])
        agent.wait_gone("f")
        self.assertTrue(os.path.exists(agent.path("precious", "file")))
        self.assertEqual(mounts_below(agent.dir), [foreign])


class Written(VolumeTest):
    def test_downward_and_projected(self):
        agent = self.agent()
        items = [{"path": "notes", "fieldRef": {"fieldPath": "metadata.annotations"}},
                 {"path": "deep/name", "mode": 0o400, "fieldRef": {"fieldPath": "metadata.name"}},
                 {"path": "cpu", "resourceFieldRef": {"containerName": "main", "resource": "limits.cpu",
                                                      "divisor": "1m"}}]
        volumes = [{"name": "d", "downwardAPI": {"items": items, "defaultMode": 0o440}},
                   {"name": "p", "projected": {"sources": [
                       {"downwardAPI": {"items": [items[0]]}},
                       {"downwardAPI": {"items": [
                           {"path": "a/uid", "fieldRef": {"fieldPath": "metadata.uid"}}]}}]}}]
        mounts = [{"name": "d", "mountPath": "/mnt/d"}, {"name": "p", "mountPath": "/mnt/p"}]
        lines = self.run_pod(agent, "w", volumes, container(
            "main", "grep example /mnt/d/notes; cat /mnt/d/deep/name; echo; cat /mnt/d/cpu; echo; "
            "stat -L -c %a /mnt/d/notes /mnt/d/deep/name /mnt/p/notes; "
            "readlink /mnt/d/notes /mnt/d/deep /mnt/p/a; readlink /mnt/d/..data; "
            "touch /mnt/d/x 2>/dev/null || echo read-only; ls /mnt/d",
            mounts, resources={"limits": {"cpu": "250m"}}),
            metadata={"annotations": {"example.org/z": "last", "example.org/a": 'quo"ted'}})
        data = lines[10]
        self.assertRegex(data, r"^\.\.\d{4}_\d\d_\d\d_\d\d_\d\d_\d\d\.\d+$")
        self.assertEqual(lines[:3], ['example.org/a="quo\\"ted"', 'example.org/z="last"', "w-node1"])
        self.assertEqual(lines[3:10], ["250", "440", "400", "644", "..data/notes", "..data/deep", "..data/a"])
        self.assertEqual(lines[11:], ["read-only", "cpu", "deep", "notes"])

    def test_restarts_do_not_write_again(self):
        agent = self.agent()
        volumes = [{"name": "d", "downwardAPI": {"items": [
            {"path": "n", "fieldRef": {"fieldPath": "metadata.name"}}]}}]
        agent.drop("r.yaml", pod_text("r", volumes, container(
            "main", [COMPONENT], [{"name": "d", "mountPath": "/mnt/d"}])))
        pod = agent.wait_ready_pod("r")
        data = agent.path("root", "pods", pod["metadata"]["uid"], "volumes", "kubernetes.io~downward-api",
                          "d", "..data")
        before = os.readlink(data)
        os.kill(pid_of(pod), signal.SIGKILL)
        agent.wait_ready_pod("r", restarts=1)
        self.assertEqual(os.readlink(data), before)


class SubPath(VolumeTest):
    def test_directories_files_and_expressions(self):
        agent = self.agent()
        os.mkdir(agent.path("host"))
        with open(agent.path("host", "file"), "w") as f:
            f.write("content\n")
        volumes = [{"name": "h", "hostPath": {"path": agent.path("host"), "type": "Directory"}},
                   {"name": "e", "emptyDir": {}}]
        mounts = [{"name": "h", "mountPath": "/mnt/file", "subPath": "file"},
                  {"name": "e", "mountPath": "/mnt/made", "subPath": "a/b"},
                  {"name": "h", "mountPath": "/mnt/own", "subPathExpr": "of/$(POD)"}]
        lines = self.run_pod(agent, "s", volumes, container(
            "main", "cat /mnt/file; stat -c %a /mnt/made; touch /mnt/own/x", mounts,
            env=[{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]))
        self.assertEqual(lines, ["content", "777"])
        self.assertTrue(os.path.exists(agent.path("host", "of", "s-node1", "x")))

    def refusal(self, agent, name, mount_of, env=(), volume=None):
        agent.drop(f"{name}.yaml", pod_text(
            name, [volume or {"name": "e", "hostPath": {"path": agent.path("host"), "type": "Directory"}}],
            container("main", [COMPONENT], [{"name": "e", "mountPath": "/mnt/e", **mount_of}],
                      env=list(env))))
        return agent.wait_event("Failed", name)["message"]

    def test_nothing_leads_out(self):
        agent = self.agent()
        os.mkdir(agent.path("host"))
        os.mkdir(agent.path("secret"))
        os.symlink("/", agent.path("host", "root"))
        os.symlink("../secret", agent.path("host", "up"))
        os.symlink("/proc/self/root", agent.path("host", "magic"))
        for name, path in (("a", "root/etc"), ("b", "up"), ("c", "up/made"), ("d", "magic")):
            self.assertIn("leads out of the volume", self.refusal(agent, name, {"subPath": path}))
        self.assertEqual(os.listdir(agent.path("secret")), [])
        self.assertIn("..", self.refusal(agent, "e", {"subPathExpr": "x/$(UP)"},
                                         [{"name": "UP", "value": "../../secret"}]))
        self.assertIn("not defined", self.refusal(agent, "f", {"subPathExpr": "$(NONE)"}))

    def test_another_container_of_the_pod_makes_the_link(self):
        agent = self.agent()
        os.mkdir(agent.path("secret"))
        volumes = [{"name": "e", "emptyDir": {}}]
        for name, target in (("abs", agent.path("secret")), ("root", "/"), ("up", "../../../../..")):
            agent.drop(f"{name}.yaml", pod_text(
                name, volumes,
                container("main", [COMPONENT], [{"name": "e", "mountPath": "/mnt/e", "subPath": "link/x"}]),
                initContainers=[container("evil", f"ln -s {target} /mnt/e/link",
                                          [{"name": "e", "mountPath": "/mnt/e"}])]))
            self.assertIn("leads out of the volume", agent.wait_event("Failed", name)["message"])
        self.assertEqual(os.listdir(agent.path("secret")), [])

    def test_a_race_against_symlinks_is_not_won(self):
        """A container swaps a directory for a symlink to the host's files, as fast as it can, while
        others start with a subPath through it."""
        agent = self.agent()
        os.mkdir(agent.path("secret"))
        with open(agent.path("secret", "file"), "w") as f:
            f.write("SECRET\n")
        swap = (
            "import ctypes, os\n"
            "libc = ctypes.CDLL(None)\n"
            "os.chdir('/mnt/e')\n"
            "os.makedirs('dir/sub'); open('dir/sub/file', 'w').write('own\\n')\n"
            f"os.symlink({agent.path('secret')!r}, 'dir/out')\n"
            "os.makedirs('other'); os.symlink('../../../../../../../../../../" +
            agent.path("secret").lstrip("/") + "', 'other/sub')\n"
            "os.symlink('.', 'ready')\n"
            "while True:\n"
            " for i in range(1000):\n"
            "  libc.renameat2(-100, b'dir', -100, b'other', 2)\n"
            " open('swaps', 'a').write('x')\n")
        reader = "cat /mnt/e/file 2>/dev/null; true"
        volumes = [{"name": "e", "emptyDir": {}}]
        whole = [{"name": "e", "mountPath": "/mnt/e"}]
        agent.drop("swap.yaml", pod_text("swap", volumes, container("main", ["python3", "-c", swap], whole)))
        agent.wait_ready_pod("swap")
        path = self.empty_dir(agent, "swap", "e")
        wait_for_file(os.path.join(path, "swaps"))
        shared = [{"name": "e", "hostPath": {"path": path, "type": "Directory"}}]
        part = [{"name": "e", "mountPath": "/mnt/e", "subPath": "dir/sub"}]
        seen = set()
        for i in range(ROUNDS * 8):
            agent.drop(f"r{i}.yaml", pod_text(f"r{i}", shared, container("main", reader, part),
                                              restartPolicy="Never"))
        names = [f"r{i}" for i in range(ROUNDS * 8)]

        def over(pod):  # it ran, or was refused and waits
            status = pod["status"]
            return status["phase"] == "Succeeded" or (status.get("containerStatuses") and status_of(pod)[
                "state"].get("waiting", {}).get("reason") not in (None, "ContainerCreating"))
        agent.wait(lambda pods: all(f"{n}-node1" in pods and over(pods[f"{n}-node1"]) for n in names)
                   or None, "all ran or were refused")
        for name in names:
            seen.update(agent.log_text(name))
        self.assertLessEqual(seen, {"own"})
        self.assertEqual(os.listdir(agent.path("secret")), ["file"])
        self.assertGreaterEqual(os.path.getsize(os.path.join(path, "swaps")), 1)


class Escapes(VolumeTest):
    def prepare(self, agent, link, target):
        """A volume in which a container of another pod has put a symlink."""
        os.mkdir(agent.path("precious"))
        os.mkdir(agent.path("shared"))
        volumes = [{"name": "v", "hostPath": {"path": agent.path("shared"), "type": "Directory"}}]
        self.run_pod(agent, "evil", volumes, container(
            "main", f"ln -s {target} /mnt/v/{link}", [{"name": "v", "mountPath": "/mnt/v"}]))
        return volumes

    def test_mount_points_behind_a_containers_symlink(self):
        """They are resolved inside the container, and never made on the host."""
        agent = self.agent()
        for case, target in (("there", agent.path("precious")), ("not", agent.path("precious", "missing"))):
            with contextlib.suppress(OSError):
                os.rmdir(agent.path("precious"))
                os.unlink(agent.path("shared", "link"))
                os.rmdir(agent.path("shared"))
                agent.remove("evil.yaml")
                agent.wait_gone("evil")
            volumes = self.prepare(agent, "link", target)
            volumes.append({"name": "own", "emptyDir": {}})
            agent.drop(f"{case}.yaml", pod_text(case, volumes, container(
                "main", "echo x > /mnt/v/link/file; echo done", [
                    {"name": "own", "mountPath": "/mnt/v/link"}, {"name": "v", "mountPath": "/mnt/v"}]),
                restartPolicy="Never"))
            full = f"{case}-node1"
            agent.wait(lambda pods, full=full: pods.get(full, {}).get("status", {}).get("phase")
                       in ("Succeeded", "Failed") or (agent.events("Failed", case) and True), case)
            self.assertEqual(os.listdir(agent.path("precious")), [])

    def test_the_termination_message_behind_a_symlink(self):
        agent = self.agent()
        volumes = self.prepare(agent, "link", agent.path("precious", "file"))
        with open(agent.path("precious", "file"), "w") as f:
            f.write("precious\n")
        agent.drop("t.yaml", pod_text("t", volumes, container(
            "main", "echo told > /mnt/v/link", [{"name": "v", "mountPath": "/mnt/v"}],
            terminationMessagePath="/mnt/v/link"), restartPolicy="Never"))
        self.finish(agent, "t")
        self.assertEqual(status_of(agent.pod("t"))["state"]["terminated"]["message"], "told\n")
        with open(agent.path("precious", "file")) as f:
            self.assertEqual(f.read(), "precious\n")

    def test_a_host_path_may_be_a_symlink(self):
        """As under the kubelet: who writes the manifest decides about the host."""
        agent = self.agent()
        os.symlink("/", agent.path("link"))
        volumes = [{"name": "v", "hostPath": {"path": agent.path("link"), "type": "Directory"}}]
        lines = self.run_pod(agent, "r", volumes, container(
            "main", "test -f /mnt/r/etc/passwd && echo root", [{"name": "v", "mountPath": "/mnt/r",
                                                                "readOnly": True}]))
        self.assertEqual(lines, ["root"])


class Propagation(VolumeTest):
    def shared(self, agent, name):
        path = agent.path(name)
        os.mkdir(path)
        mount("tmpfs", path, "tmpfs")
        mount(None, path, flags=MS_SHARED)
        os.mkdir(os.path.join(path, "in"))
        os.mkdir(os.path.join(path, "out"))
        return path

    def test_in_both_directions(self):
        agent = self.agent()
        path = self.shared(agent, "shared")
        volumes = [{"name": "v", "hostPath": {"path": path, "type": "Directory"}}]

        def watcher(name, propagation):
            wait = "while ! test -e /mnt/v/go; do sleep 0.02; done; "
            return container(name, wait + f"test -e /mnt/v/in/file && touch /mnt/v/{name}-saw; "
                             f"touch /mnt/v/{name}-done; exec sleep 1000",
                             [{"name": "v", "mountPath": "/mnt/v", **propagation}])
        both = container("both", "mount -t tmpfs tmpfs /mnt/v/out && touch /mnt/v/mounted; exec sleep 1000",
                         [{"name": "v", "mountPath": "/mnt/v", "mountPropagation": "Bidirectional"}],
                         securityContext={"privileged": True})
        agent.drop("p.yaml", pod_text(
            "p", volumes, both, watcher("none", {}), watcher("slave", {"mountPropagation": "HostToContainer"})))
        agent.wait_ready_pod("p")
        wait_for_file(os.path.join(path, "mounted"))
        wait_mounts(path, lambda points: os.path.join(path, "out") in points, "the container's mount")
        mount("tmpfs", os.path.join(path, "in"), "tmpfs")
        open(os.path.join(path, "in", "file"), "w").close()
        open(os.path.join(path, "go"), "w").close()
        wait_for_file(os.path.join(path, "none-done"))
        wait_for_file(os.path.join(path, "slave-done"))
        self.assertTrue(os.path.exists(os.path.join(path, "slave-saw")))
        self.assertFalse(os.path.exists(os.path.join(path, "none-saw")))
        agent.remove("p.yaml")
        agent.wait_gone("p")
        # In a hostPath, what the container did to the host is the host's.
        self.assertEqual(sorted(mounts_below(path)), [path, os.path.join(path, "in"),
                                                      os.path.join(path, "out")])

    def test_an_empty_dir_takes_its_mounts_along(self):
        agent = self.agent(start=False)
        root = agent.path("root")
        os.mkdir(root)
        mount("tmpfs", root, "tmpfs")
        mount(None, root, flags=MS_SHARED)
        agent.start()
        volumes = [{"name": "e", "emptyDir": {}}]
        agent.drop("b.yaml", pod_text("b", volumes, container(
            "main", "mkdir -p '/mnt/e/a b'; mount -t tmpfs tmpfs '/mnt/e/a b'; "
            "mkdir '/mnt/e/a b/c'; mount -t tmpfs tmpfs '/mnt/e/a b/c'; exec sleep 1000",
            [{"name": "e", "mountPath": "/mnt/e", "mountPropagation": "Bidirectional"}],
            securityContext={"privileged": True})))
        agent.wait_ready_pod("b")
        wait_mounts(root, lambda points: len(points) == 3, "the container's mounts")
        agent.remove("b.yaml")
        agent.wait_gone("b")
        wait_mounts(root, lambda points: points == [root], "the container's mounts are left")

    def test_mounts_of_the_manifest_do_not_show_on_the_host(self):
        """Other volumes, and the termination message, in a Bidirectional one."""
        agent = self.agent()
        path = self.shared(agent, "shared")
        volumes = [{"name": "v", "hostPath": {"path": path, "type": "Directory"}},
                   {"name": "e", "emptyDir": {}}]
        agent.drop("n.yaml", pod_text("n", volumes, container(
            "main", "mount -t tmpfs tmpfs /mnt/v/out && touch /mnt/v/mounted; touch /mnt/v/in/x; "
            "exec sleep 1000",
            [{"name": "v", "mountPath": "/mnt/v", "mountPropagation": "Bidirectional"},
             {"name": "e", "mountPath": "/mnt/v/in"}],
            securityContext={"privileged": True}, terminationMessagePath="/mnt/v/message")))
        agent.wait_ready_pod("n")
        wait_for_file(os.path.join(path, "mounted"))
        self.assertEqual(sorted(mounts_below(path)), [path, os.path.join(path, "out")])
        self.assertEqual(os.listdir(os.path.join(path, "in")), [])
        self.assertTrue(os.path.exists(os.path.join(self.empty_dir(agent, "n", "e"), "x")))

    def test_a_private_mount_is_refused(self):
        agent = self.agent()
        path = agent.path("private")
        os.mkdir(path)
        mount("tmpfs", path, "tmpfs")
        mount(None, path, flags=1 << 18)
        volumes = [{"name": "v", "hostPath": {"path": path, "type": "Directory"}}]
        agent.drop("p.yaml", pod_text("p", volumes, container(
            "main", [COMPONENT], [{"name": "v", "mountPath": "/mnt/v",
                                   "mountPropagation": "HostToContainer"}])))
        self.assertIn(f"mount --make-rshared {path}", agent.wait_event("Failed", "p")["message"])


class ReadOnly(VolumeTest):
    def test_as_deep_as_asked(self):
        agent = self.agent()
        path = agent.path("outer")
        os.mkdir(path)
        mount("tmpfs", path, "tmpfs")
        os.mkdir(os.path.join(path, "below"))
        mount("tmpfs", os.path.join(path, "below"), "tmpfs")
        volumes = [{"name": "v", "hostPath": {"path": path, "type": "Directory"}}]
        mounts = [{"name": "v", "mountPath": f"/mnt/{name}", "readOnly": True, **more} for name, more in (
            ("unset", {}), ("disabled", {"recursiveReadOnly": "Disabled"}),
            ("possible", {"recursiveReadOnly": "IfPossible"}), ("enabled", {"recursiveReadOnly": "Enabled"}))]
        lines = self.run_pod(agent, "ro", volumes, container(
            "main", "for i in unset disabled possible enabled; do touch /mnt/$i/x 2>/dev/null && echo $i; "
            "touch /mnt/$i/below/x 2>/dev/null && echo below $i; done; true", mounts))
        self.assertEqual(lines, ["below unset", "below disabled"])
        told = {m["mountPath"]: m["recursiveReadOnly"] for m in status_of(agent.pod("ro"))["volumeMounts"]}
        self.assertEqual(told, {"/mnt/unset": "Disabled", "/mnt/disabled": "Disabled",
                                "/mnt/possible": "Enabled", "/mnt/enabled": "Enabled"})


class Refusals(VolumeTest):
    SOURCES = {
        "secret": {"secretName": "x"}, "configMap": {"name": "x"},
        "persistentVolumeClaim": {"claimName": "x"}, "nfs": {"server": "x", "path": "/x"},
        "csi": {"driver": "x.example.org"}, "gitRepo": {"repository": "https://example.org/x"},
        "gcePersistentDisk": {"pdName": "x"}, "awsElasticBlockStore": {"volumeID": "x"},
        "iscsi": {"targetPortal": "127.0.0.1", "iqn": "iqn.2001-04.com.example:x", "lun": 0},
        "glusterfs": {"endpoints": "x", "path": "x"}, "rbd": {"monitors": ["x"], "image": "x"},
        "flexVolume": {"driver": "x/y"}, "cinder": {"volumeID": "x"}, "cephfs": {"monitors": ["x"]},
        "flocker": {"datasetName": "x"}, "fc": {"targetWWNs": ["x"], "lun": 0},
        "azureFile": {"secretName": "x", "shareName": "x"}, "vsphereVolume": {"volumePath": "x"},
        "quobyte": {"registry": "x:1", "volume": "x"}, "azureDisk": {"diskName": "x", "diskURI": "x"},
        "photonPersistentDisk": {"pdID": "x"}, "portworxVolume": {"volumeID": "x"},
        "scaleIO": {"gateway": "x", "system": "x", "volumeName": "x", "secretRef": {"name": "x"}},
        "storageos": {"volumeName": "x"}, "image": {"reference": "x"},
        "ephemeral": {"volumeClaimTemplate": {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {
            "requests": {"storage": "1Gi"}}}}},
    }
    PROJECTIONS = {
        "secret": {"name": "x"}, "configMap": {"name": "x"}, "serviceAccountToken": {"path": "x"},
        "clusterTrustBundle": {"name": "x", "path": "x"},
    }

    def refused(self, volume, path, extra=None):
        agent_free = subprocess.run(
            [harness.MAINSTAY, "validate", "-"], capture_output=True, text=True, timeout=WAIT_SECONDS,
            input=pod_text("x", [volume], container("main", ["true"], [], **(extra or {}))))
        told = agent_free.stdout + agent_free.stderr
        self.assertEqual(agent_free.returncode, 1, (path, told))
        line = next((x for x in told.splitlines() if f"{path}:" in x or f"{path} " in x), None)
        self.assertIsNotNone(line, (path, told))
        self.assertRegex(line, "use (hostPath|emptyDir)|hostPath volume|leave it out", path)

    def test_what_needs_the_api_server(self):
        for kind, source in self.SOURCES.items():
            self.refused({"name": "v", kind: source}, f"spec.volumes[0].{kind}")
        for kind, source in self.PROJECTIONS.items():
            self.refused({"name": "v", "projected": {"sources": [{kind: source}]}},
                         f"spec.volumes[0].projected.sources[0].{kind}")

    def test_every_source_of_the_table_is_known_here(self):
        """A source that is added to the table is either supported or refused above."""
        def fields(path):
            told = subprocess.run([harness.MAINSTAY, "explain", path], capture_output=True, text=True,
                                  timeout=WAIT_SECONDS, check=True).stdout
            return set(re.findall(r"^   (\w+)\t", told, re.M))
        self.assertEqual(fields("pod.spec.volumes"),
                         {"name", "hostPath", "emptyDir", "downwardAPI", "projected", *self.SOURCES})
        self.assertEqual(fields("pod.spec.volumes.projected.sources"), {"downwardAPI", *self.PROJECTIONS})

    def test_devices(self):
        self.refused({"name": "v", "emptyDir": {}}, "spec.containers[0].volumeDevices",
                     {"volumeDevices": [{"name": "v", "devicePath": "/dev/x"}]})


class NothingIsLeft(VolumeTest):
    def test_whatever_dies_when(self):
        """kill -9 of shims, containers and the agent, at random; then the mounts are as before."""
        agent = self.agent()
        pins = agent.path("run", "ns")  # a mount of its own that stays, as /run/netns does
        volumes = [{"name": "m", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
                   {"name": "d", "downwardAPI": {"items": [
                       {"path": "n", "fieldRef": {"fieldPath": "metadata.name"}}]}},
                   {"name": "e", "emptyDir": {}}]
        mounts = [{"name": "m", "mountPath": "/mnt/m"}, {"name": "d", "mountPath": "/mnt/d"},
                  {"name": "e", "mountPath": "/mnt/e/deep", "subPath": "a/b"}]
        seed = int(os.environ.get("MAINSTAY_SEED", random.randrange(1 << 30)))
        print(f"(seed {seed}) ", end="", flush=True)
        chance = random.Random(seed)
        for turn in range(ROUNDS):
            name = f"k{turn}"
            agent.drop(f"{name}.yaml", pod_text(name, volumes, container("main", [COMPONENT], mounts),
                                                container("second", [COMPONENT], mounts),
                                                shareProcessNamespace=turn % 2 == 1))
            if chance.random() < 0.7:
                agent.wait_ready_pod(name)
            victim = chance.choice(["shim", "container", "agent", "agent"])
            if victim == "agent":
                if chance.random() < 0.5:
                    agent.remove(f"{name}.yaml")
                agent.restart()
            elif victim == "shim":
                shims = [p for p in harness.shims_of(agent.dir) if p != agent.process.pid]
                for pid in shims[:1]:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            else:
                pods = agent.pods().get(f"{name}-node1")
                pid = pods and harness.container(pods).get("pid")
                if pid:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
        for name in os.listdir(agent.manifests):
            agent.remove(name)
        agent.wait(lambda pods: not pods or None, f"all pods gone (seed {seed})")
        wait_mounts(agent.dir, lambda points: set(points) <= {pins},
                    f"mounts are left (seed {seed})")
        left = [n for n in os.listdir(agent.path("root", "pods")) if n != ".removed"]
        self.assertEqual(left, [], f"seed {seed}")
        self.assertFalse(agent.events("FailedCleanup"), f"seed {seed}")


if __name__ == "__main__":
    harness.main()
