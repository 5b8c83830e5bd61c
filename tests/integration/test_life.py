"""The life of real containers: sidecars, hooks, deadlines, restart policies, termination messages.

Containers write what happens to them into a file, the story, so that the order of things is known
without a clock; what has to wait in a container waits for a FIFO or a signal.
"""

import datetime
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading

from harness import (COMPONENT, AgentTest, container, free_ports, is_ready, kill_shims, main, pid_of,
                     pod_yaml, processes_with, status_of, wait_process_gone)
from test_probes import Server

SERVE = "trap 'echo stop {0} >> {1}; exit 0' TERM; echo start {0} >> {1}; sleep infinity & wait"


def shell(script):
    return ["sh", "-c", script]


def at(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def conditions_of(pod):
    return {c["type"]: c for c in pod["status"]["conditions"]}


def init_status(pod, name):
    return next(c for c in pod["status"]["initContainerStatuses"] if c["name"] == name)


class LifeTest(AgentTest):
    def setUp(self):
        self.agent_ = self.agent()
        self.story_path = self.agent_.path("story")

    def story(self):
        try:
            with open(self.story_path) as f:
                return f.read().splitlines()
        except FileNotFoundError:
            return []

    def serve(self, name):
        return shell(SERVE.format(name, self.story_path))

    def fifo(self, name):
        path = self.agent_.path(name)
        os.mkfifo(path)
        return path

    def drop(self, name, containers, inits=(), annotations=None, **spec):
        """containers, inits: dicts of container fields; spec: fields of the pod spec."""
        def whole(fields):
            return {"image": "localhost/test:1", "imagePullPolicy": "IfNotPresent", **fields}
        pod = {"apiVersion": "v1", "kind": "Pod",
               "metadata": {"name": name, "namespace": "default", "annotations": annotations or {}},
               "spec": {"hostNetwork": True, "terminationGracePeriodSeconds": 5,
                        "containers": [whole(c) for c in containers],
                        "initContainers": [whole(c) for c in inits], **spec}}
        self.agent_.drop(f"{name}.yaml", json.dumps(pod))

    def wait_pod(self, name, predicate, what):
        full = f"{name}-{self.agent_.node}"
        return self.agent_.wait(lambda pods: full in pods and predicate(pods[full]) and pods[full],
                                f"{name}: {what}")

    def wait_phase(self, name, phase):
        return self.wait_pod(name, lambda pod: pod["status"]["phase"] == phase, phase)

    def wait_state(self, name, which, state):
        return self.wait_pod(name, lambda pod: container(pod, which)["state"] == state,
                             f"{which} {state}")

    def row(self, name):
        out = self.agent_.cli("get", "pods", check=True).stdout
        return next(line.split() for line in out.splitlines() if line.startswith(name))


class Sidecars(LifeTest):
    def side(self, name="side", **fields):
        return {"name": name, "command": self.serve(name), "restartPolicy": "Always", **fields}

    def test_they_start_first_and_stop_last(self):
        server = Server(503)
        self.addCleanup(server.close)
        gate = self.fifo("gate")
        probe = {"httpGet": {"port": server.port}, "periodSeconds": 1, "failureThreshold": 1000}
        self.drop("web", [{"name": "main", "command": self.serve("main")}],
                  [self.side(startupProbe=probe),
                   {"name": "prepare", "command": shell(
                       f"echo start prepare >> {self.story_path}; read x < {gate}")},
                   self.side("late")])
        server.wait_count(2)
        pod = self.wait_state("web", "side", "Running")
        self.assertFalse(init_status(pod, "side")["started"])
        self.assertEqual(self.story(), ["start side"])
        self.assertEqual(self.row("web")[1:3], ["0/3", "Init:0/3"])
        server.set(200)
        pod = self.wait_state("web", "prepare", "Running")
        self.assertTrue(init_status(pod, "side")["started"])
        self.assertEqual(self.row("web")[1:3], ["1/3", "Init:1/3"])
        self.assertEqual(conditions_of(pod)["Initialized"]["message"],
                         "containers with incomplete status: [prepare late]")
        with open(gate, "w") as f:
            f.write("go\n")
        pod = self.agent_.wait_ready_pod("web")
        self.assertEqual(self.row("web")[1:3], ["3/3", "Running"])
        self.assertEqual(conditions_of(pod)["Initialized"]["status"], "True")
        self.assertEqual(self.story(), ["start side", "start prepare", "start late", "start main"])
        self.agent_.remove("web.yaml")
        self.agent_.wait_gone("web")
        self.assertEqual(self.story()[4:], ["stop main", "stop late", "stop side"])

    def test_a_new_agent_starts_nothing_anew(self):
        """kill -9 of the agent at every stage; each container starts once."""
        server = Server(503)
        self.addCleanup(server.close)
        gate, end = self.fifo("gate"), self.fifo("end")
        probe = {"httpGet": {"port": server.port}, "periodSeconds": 1, "failureThreshold": 1000}
        slow = (f"trap 'trap \"\" TERM; echo stopping main >> {self.story_path}; read x < {end}; exit 0' TERM; "
                f"echo start main >> {self.story_path}; sleep infinity & wait")
        self.drop("web", [{"name": "main", "command": shell(slow)}],
                  [{"name": "first", "command": shell(
                      f"echo start first >> {self.story_path}; read x < {gate}")},
                   self.side(startupProbe=probe)], terminationGracePeriodSeconds=600)
        self.wait_state("web", "first", "Running")
        self.agent_.restart()
        self.wait_state("web", "first", "Running")
        with open(gate, "w") as f:
            f.write("go\n")
        self.wait_state("web", "side", "Running")
        self.agent_.restart()
        server.set(200)
        pid = pid_of(self.agent_.wait_ready_pod("web"), "side")
        self.agent_.restart()
        pod = self.agent_.wait_ready_pod("web")
        self.assertEqual(pid_of(pod, "side"), pid)
        self.agent_.remove("web.yaml")
        self.wait_state("web", "side", "AwaitTurn")
        self.agent_.restart()
        pod = self.wait_state("web", "side", "AwaitTurn")
        self.assertEqual(pid_of(pod, "side"), pid)
        with open(end, "w") as f:
            f.write("go\n")
        self.agent_.wait_gone("web")
        story = self.story()
        self.assertEqual([line for line in story if line.startswith("start")],
                         ["start first", "start side", "start main"])
        self.assertEqual(story[-1], "stop side")

    def test_records_older_than_what_runs(self):
        """An agent that died before it could write them: main runs, and is not started beside itself."""
        gate = self.fifo("gate")
        self.drop("web", [{"name": "main", "command": self.serve("main")}],
                  [self.side(), {"name": "prepare", "command": shell(
                      f"echo start prepare >> {self.story_path}; read x < {gate}")}])
        uid = self.wait_state("web", "prepare", "Running")["metadata"]["uid"]
        self.agent_.restart(signal.SIGTERM)  # writes what it knows
        state = self.agent_.path("root", "state", "pods", uid + ".state")
        shutil.copy(state, state + ".old")
        with open(gate, "w") as f:
            f.write("go\n")
        pod = self.agent_.wait_ready_pod("web")
        self.agent_.kill()
        os.replace(state + ".old", state)
        self.agent_.start()
        self.assertEqual([pid_of(self.agent_.wait_ready_pod("web"), n) for n in ("side", "main")],
                         [pid_of(pod, n) for n in ("side", "main")])
        self.assertEqual(self.story(), ["start side", "start prepare", "start main"])

    def test_they_restart_by_themselves_and_end_with_the_others(self):
        end = self.fifo("end")
        self.drop("job", [{"name": "main", "command": shell(f"read x < {end}; exit 0")}],
                  [self.side()], restartPolicy="Never")
        pid = pid_of(self.agent_.wait_ready_pod("job"), "side")
        os.kill(pid, signal.SIGKILL)
        pod = self.wait_pod("job", lambda p: is_ready(p) and pid_of(p, "side") != pid, "side again")
        self.assertEqual(init_status(pod, "side")["restartCount"], 1)
        self.assertEqual(conditions_of(pod)["Initialized"]["status"], "True")
        with open(end, "w") as f:
            f.write("go\n")
        pod = self.wait_phase("job", "Succeeded")
        self.assertEqual(conditions_of(pod)["Ready"]["reason"], "PodCompleted")
        self.assertEqual(self.row("job")[2], "Completed")
        self.assertEqual(self.story()[-1], "stop side")
        self.agent_.restart()
        self.assertEqual(self.agent_.pod("job")["status"]["phase"], "Succeeded")

    def test_their_readiness_counts(self):
        server = Server(200)
        self.addCleanup(server.close)
        probe = {"httpGet": {"port": server.port}, "periodSeconds": 1, "failureThreshold": 1}
        self.drop("web", [{"name": "main", "command": [COMPONENT]}],
                  [self.side(readinessProbe=probe)])
        self.agent_.wait_ready_pod("web")
        server.set(503)
        pod = self.wait_pod("web", lambda p: not is_ready(p), "not ready")
        self.assertEqual(conditions_of(pod)["ContainersReady"]["message"],
                         "containers with unready status: [side]")
        self.assertEqual(self.row("web")[1], "1/2")

    def test_their_liveness_restarts_them(self):
        server = Server(200, 500, 200)
        self.addCleanup(server.close)
        probe = {"httpGet": {"port": server.port}, "periodSeconds": 1, "failureThreshold": 1}
        self.drop("web", [{"name": "main", "command": [COMPONENT]}],
                  [self.side(livenessProbe=probe)], restartPolicy="Never")
        pod = self.wait_pod("web", lambda p: is_ready(p) and init_status(p, "side")["restartCount"],
                            "side restarted")
        self.assertEqual(status_of(pod)["restartCount"], 0)


class Hooks(LifeTest):
    def hooked(self, post=None, pre=None, **fields):
        lifecycle = {key: value for key, value in (("postStart", post), ("preStop", pre)) if value}
        return {"name": "main", "command": [COMPONENT], "lifecycle": lifecycle, **fields}

    def test_http_hooks(self):
        server = Server(200)
        self.addCleanup(server.close)
        self.drop("web", [self.hooked(
            post={"httpGet": {"port": "hooks", "path": "/up?now", "httpHeaders": [
                {"name": "Host", "value": "example.com"}, {"name": "X-Word", "value": "hello"}]}},
            pre={"httpGet": {"port": server.port, "path": "down", "host": "localhost"}},
            ports=[{"name": "hooks", "containerPort": server.port}])])
        self.agent_.wait_ready_pod("web")
        self.assertEqual([r[0] for r in server.requests], ["/up?now"])
        headers = dict(server.requests[0][1])
        self.assertEqual((headers["Host"], headers["X-Word"]), ("example.com", "hello"))
        self.assertTrue(headers["User-Agent"].startswith("kube-lifecycle/"))
        self.agent_.remove("web.yaml")
        self.agent_.wait_gone("web")
        self.assertEqual([r[0] for r in server.requests], ["/up?now", "/down"])
        self.assertEqual(dict(server.requests[1][1])["Host"], f"localhost:{server.port}")

    def test_an_https_hook_is_not_verified(self):
        directory = self.agent_.path("tls")
        os.mkdir(directory)
        key, certificate = os.path.join(directory, "key"), os.path.join(directory, "crt")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                        "-nodes", "-subj", "/CN=elsewhere", "-keyout", key, "-out", certificate],
                       check=True, capture_output=True)
        server = Server(200, tls=(certificate, key))
        self.addCleanup(server.close)
        self.drop("web", [self.hooked(post={"httpGet": {"port": server.port, "scheme": "HTTPS"}})])
        self.agent_.wait_ready_pod("web")
        self.assertEqual(server.count(), 1)

    def test_an_answer_is_an_answer(self):
        """As under the kubelet, a status of 500 fails no hook; but it is told."""
        server = Server(500)
        self.addCleanup(server.close)
        self.drop("web", [self.hooked(post={"httpGet": {"port": server.port}})])
        pod = self.agent_.wait_ready_pod("web")
        self.assertEqual(status_of(pod)["restartCount"], 0)
        self.assertIn("500", self.agent_.wait_event("HookWarning", "web")["message"])

    def test_a_post_start_that_fails_kills_the_container(self):
        (port,) = free_ports(1)
        self.drop("web", [self.hooked(post={"httpGet": {"port": port}})],
                  annotations={"mainstay.dev/backoff": "100ms..100ms"})
        event = self.agent_.wait_event("FailedPostStartHook", "web")
        self.assertIn("onnect", event["message"])
        self.wait_pod("web", lambda p: status_of(p)["restartCount"] > 1, "restarted")
        self.assertFalse(is_ready(self.agent_.pod("web")))
        with socket.create_server(("127.0.0.1", port)) as listener:
            def answer():
                while True:
                    try:
                        client, _ = listener.accept()
                    except OSError:
                        return
                    with client:
                        client.recv(4096)
                        client.sendall(b"HTTP/1.1 204 Fine\r\nConnection: close\r\n\r\n")
            thread = threading.Thread(target=answer, daemon=True)
            thread.start()
            self.agent_.wait_ready_pod("web")
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()

    def test_describe_tells_them(self):
        self.drop("web", [self.hooked(pre={"httpGet": {"port": 1, "path": "/x", "scheme": "HTTPS"}})],
                  [{"name": "side", "command": [COMPONENT], "restartPolicy": "Always"}],
                  terminationGracePeriodSeconds=0, activeDeadlineSeconds=600)
        self.agent_.wait_ready_pod("web")
        text = self.agent_.cli("describe", "pod", "web", check=True).stdout
        for line in ("Pre Stop: +http-get https://:1/x", "Restart Policy: +Always",
                     "Active Deadline: +600s", "PodReadyToStartContainers +True"):
            self.assertRegex(text, line)

    def test_tcp_hooks(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            self.drop("web", [self.hooked(post={"tcpSocket": {"port": port}},
                                          pre={"tcpSocket": {"port": port}})])
            self.agent_.wait_ready_pod("web")
            listener.accept()[0].close()
            self.agent_.remove("web.yaml")
            self.agent_.wait_gone("web")
            listener.accept()[0].close()
        self.assertEqual(self.agent_.events("FailedPreStopHook"), [])

    def test_a_sleep_hook_holds_the_container_back(self):
        self.drop("web", [self.hooked(post={"sleep": {"seconds": 1}}, pre={"sleep": {"seconds": 1}})])
        self.wait_state("web", "main", "PostStart")
        self.agent_.wait_ready_pod("web")
        self.agent_.remove("web.yaml")
        self.wait_state("web", "main", "PreStop")
        self.agent_.wait_gone("web")

    def test_a_pre_stop_without_end_is_cut_off(self):
        server = Server(200)
        self.addCleanup(server.close)
        server.gate = threading.Event()
        self.addCleanup(server.gate.set)
        self.drop("web", [self.hooked(pre={"httpGet": {"port": server.port}})],
                  terminationGracePeriodSeconds=1)
        self.agent_.wait_ready_pod("web")
        self.agent_.remove("web.yaml")
        self.agent_.wait_gone("web")
        self.assertEqual(server.count(), 1)

    def test_hooks_are_given_again_by_a_new_agent(self):
        server = Server(200)
        self.addCleanup(server.close)
        server.gate = threading.Event()
        self.addCleanup(server.gate.set)
        self.drop("web", [self.hooked(post={"httpGet": {"port": server.port}},
                                      pre={"httpGet": {"port": server.port, "path": "/bye"}})],
                  terminationGracePeriodSeconds=600)
        pid = pid_of(self.wait_state("web", "main", "PostStart"))
        server.wait_count(1)
        self.agent_.restart()
        server.wait_count(2)
        server.gate.set()
        self.assertEqual(pid_of(self.agent_.wait_ready_pod("web")), pid)
        server.gate.clear()
        self.agent_.remove("web.yaml")
        server.wait_count(3)
        self.agent_.restart()
        server.wait_count(4)
        server.gate.set()
        self.agent_.wait_gone("web")
        self.assertEqual([r[0] for r in server.requests], ["/", "/", "/bye", "/bye"])


class Deadlines(LifeTest):
    def test_a_pod_that_is_active_for_too_long_fails(self):
        self.drop("web", [{"name": "main", "command": self.serve("main")}],
                  [{"name": "side", "command": self.serve("side"), "restartPolicy": "Always"}],
                  activeDeadlineSeconds=1)
        pod = self.wait_phase("web", "Failed")
        self.assertEqual(pod["status"]["reason"], "DeadlineExceeded")
        self.assertIn("activeDeadlineSeconds (1)", pod["status"]["message"])
        self.assertEqual(conditions_of(pod)["Ready"]["reason"], "PodFailed")
        self.assertEqual(self.story()[-2:], ["stop main", "stop side"])
        self.assertEqual(len(self.agent_.events("DeadlineExceeded", "web")), 1)
        self.assertEqual(self.row("web")[2], "DeadlineExceeded")
        started = len(self.story())
        self.agent_.restart()
        pod = self.agent_.pod("web")
        self.assertEqual((pod["status"]["phase"], pod["status"]["reason"]),
                         ("Failed", "DeadlineExceeded"))
        self.assertEqual(len(self.story()), started, self.agent_.agent_log())

    def test_it_passes_while_no_agent_is_there(self):
        self.drop("web", [{"name": "main", "command": self.serve("main")}], activeDeadlineSeconds=2)
        pod = self.agent_.wait_ready_pod("web")
        self.agent_.kill()
        wait = at(pod["status"]["startTime"]) + datetime.timedelta(seconds=3)
        threading.Event().wait(max(0, (wait - datetime.datetime.now(datetime.timezone.utc))
                                   .total_seconds()))
        self.agent_.start()
        pod = self.wait_phase("web", "Failed")
        self.assertEqual(pod["status"]["reason"], "DeadlineExceeded")


class Restarts(LifeTest):
    def test_policies_of_single_containers(self):
        self.drop("web", [
            {"name": "main", "command": [COMPONENT]},
            {"name": "once", "command": shell("exit 3"), "restartPolicy": "Never"},
            {"name": "tries", "command": shell(
                f"echo try >> {self.story_path}; [ $(wc -l < {self.story_path}) -ge 3 ]"),
             "restartPolicy": "OnFailure"},
            {"name": "ruled", "command": shell(
                f"echo x >> {self.story_path}.2; exit $(( 40 + $(wc -l < {self.story_path}.2) ))"),
             "restartPolicy": "Never", "restartPolicyRules": [
                 {"action": "Restart", "exitCodes": {"operator": "In", "values": [41, 42]}}]}],
            annotations={"mainstay.dev/backoff": "100ms..100ms"})
        pod = self.wait_pod("web", lambda p: all(
            container(p, n)["state"] == "Exited" and (n != "tries" or status_of(p, n)["restartCount"] == 2)
            and (n != "ruled" or status_of(p, n)["restartCount"] == 2)
            for n in ("once", "tries", "ruled")), "all ended")
        self.assertEqual(pod["status"]["phase"], "Running")
        self.assertEqual([status_of(pod, n)["restartCount"] for n in ("main", "once", "tries", "ruled")],
                         [0, 0, 2, 2])
        self.assertEqual(status_of(pod, "ruled")["state"]["terminated"]["exitCode"], 43)
        self.assertEqual(status_of(pod, "once")["state"]["terminated"]["reason"], "Error")

    def test_back_off_outlives_the_agent(self):
        self.drop("web", [{"name": "main", "command": shell("exit 1")}],
                  annotations={"mainstay.dev/backoff": "10m..10m"})
        pod = self.wait_state("web", "main", "BackOff")
        self.assertEqual(status_of(pod)["restartCount"], 1)
        state = status_of(pod)["state"]["waiting"]
        self.assertEqual(state["reason"], "CrashLoopBackOff")
        self.assertIn("10m0s", state["message"])
        before = at(container(pod)["nextStart"])
        self.agent_.restart()
        pod = self.agent_.pod("web")
        self.assertEqual(container(pod)["state"], "BackOff")
        self.assertEqual(status_of(pod)["restartCount"], 1)
        drift = abs((at(container(pod)["nextStart"]) - before).total_seconds())
        self.assertLessEqual(drift, 1)  # it is shown in whole seconds
        self.assertEqual(self.row("web")[2], "CrashLoopBackOff")

    def test_the_nodes_maximum(self):
        agent = self.agent(config="apiVersion: kubelet.config.k8s.io/v1beta1\n"
                                  "kind: KubeletConfiguration\n"
                                  "crashLoopBackOff: {maxContainerRestartPeriod: 1s}\n")
        agent.drop("web.yaml", pod_yaml("web", shell("exit 1")))
        event = agent.wait_event("BackOff", "web")
        self.assertIn("back-off 1s before restart 2", event["message"])
        agent.wait(lambda pods: "web-node1" in pods and status_of(pods["web-node1"])["restartCount"] >= 3,
                   "three restarts")

    def test_a_failed_init_container_under_never(self):
        self.drop("job", [{"name": "main", "command": [COMPONENT]}],
                  [{"name": "prepare", "command": shell("exit 7")}], restartPolicy="Never")
        pod = self.wait_phase("job", "Failed")
        self.assertEqual(init_status(pod, "prepare")["state"]["terminated"]["exitCode"], 7)
        self.assertEqual(status_of(pod)["state"]["waiting"]["reason"], "PodInitializing")
        self.assertIn("prepare", pod["status"]["message"])


class Reboots(LifeTest):
    def reboot(self):
        """What a reboot leaves: no process, an empty run directory, records of another boot."""
        agent = self.agent_
        agent.kill()
        kill_shims(agent.dir)
        for pid in processes_with(self.story_path):
            wait_process_gone(pid)
        with open("/proc/self/mountinfo") as f:
            mounts = [line.split()[4] for line in f]
        for mount in reversed(mounts):
            if mount.startswith(agent.dir + "/"):
                subprocess.run(["umount", "-l", mount], check=True)
        shutil.rmtree(agent.path("run"))
        for directory, _, names in os.walk(agent.path("root")):
            for name in names:
                if name.endswith(".state"):
                    path = os.path.join(directory, name)
                    with open(path, "rb") as f:
                        head, body = f.read().split(b"\n", 1)
                    body = re.sub(rb'("bootId":")[0-9a-f]{8}', rb"\g<1>00000000", body)
                    words = head.split()
                    words[2] = hashlib.sha256(body).hexdigest().encode()
                    with open(path, "wb") as f:
                        f.write(b" ".join(words) + b"\n" + body)
        agent.start()

    def test_init_containers_come_first_again(self):
        self.drop("web", [{"name": "main", "command": self.serve("main")}],
                  [{"name": "prepare", "command": shell(f"echo prepare >> {self.story_path}")},
                   {"name": "side", "command": self.serve("side"), "restartPolicy": "Always"}])
        self.agent_.wait_ready_pod("web")
        once = ["prepare", "start side", "start main"]
        self.assertEqual(self.story(), once)
        self.reboot()
        pod = self.agent_.wait_ready_pod("web")
        self.assertEqual(self.story(), once * 2)
        self.assertEqual(status_of(pod)["restartCount"], 1)
        self.assertEqual(status_of(pod)["lastState"]["terminated"]["reason"], "Lost")

    def test_under_never_nothing_runs_twice(self):
        self.drop("job", [{"name": "main", "command": self.serve("main")}], restartPolicy="Never")
        self.agent_.wait_ready_pod("job")
        self.reboot()
        self.wait_phase("job", "Failed")
        self.assertEqual(self.story(), ["start main"])


class Conditions(LifeTest):
    def test_they_follow_the_pod(self):
        gate = self.fifo("gate")
        self.drop("web", [{"name": "main", "command": [COMPONENT]}],
                  [{"name": "prepare", "command": shell(f"read x < {gate}")}])
        found = conditions_of(self.wait_state("web", "prepare", "Running"))
        self.assertEqual([found[k]["status"] for k in (
            "PodScheduled", "PodReadyToStartContainers", "Initialized", "ContainersReady", "Ready")],
            ["True", "True", "False", "False", "False"])
        self.assertEqual(found["Initialized"]["reason"], "ContainersNotInitialized")
        with open(gate, "w") as f:
            f.write("go\n")
        pod = self.agent_.wait_ready_pod("web")
        found = conditions_of(pod)
        for kind in ("Initialized", "ContainersReady", "Ready"):
            self.assertEqual(found[kind]["status"], "True")
            self.assertGreaterEqual(at(found[kind]["lastTransitionTime"]),
                                    at(found["PodScheduled"]["lastTransitionTime"]))
        self.agent_.restart()
        self.assertEqual(conditions_of(self.agent_.wait_ready_pod("web")), found)

    def test_a_readiness_gate_stays_closed(self):
        self.drop("web", [{"name": "main", "command": [COMPONENT]}],
                  readinessGates=[{"conditionType": "example.com/in-balance"}])
        pod = self.wait_pod("web", lambda p: conditions_of(p)["ContainersReady"]["status"] == "True",
                            "containers ready")
        self.assertEqual(conditions_of(pod)["Ready"]["reason"], "ReadinessGatesNotReady")
        self.assertIn("example.com/in-balance", conditions_of(pod)["Ready"]["message"])


class Messages(LifeTest):
    def message(self, script, **fields):
        self.drop("m", [{"name": "main", "command": shell(script), **fields}], restartPolicy="Never")
        pod = self.wait_pod("m", lambda p: p["status"]["phase"] in ("Failed", "Succeeded"), "ended")
        return status_of(pod)["state"]["terminated"].get("message")

    def test_a_file(self):
        self.assertEqual(self.message("echo out of luck > /dev/termination-log; exit 1"),
                         "out of luck\n")

    def test_another_path(self):
        self.assertEqual(self.message("echo here > /run/why", terminationMessagePath="/run/why"),
                         "here\n")

    def test_the_log_instead(self):
        policy = {"terminationMessagePolicy": "FallbackToLogsOnError"}
        text = self.message("i=0; while [ $i -lt 100 ]; do echo line $i; i=$((i+1)); done; exit 1",
                            **policy)
        self.assertEqual(text.splitlines()[0::79], ["line 20", "line 99"])

    def test_no_log_where_it_succeeded(self):
        self.assertIsNone(self.message("echo fine", terminationMessagePolicy="FallbackToLogsOnError"))

    def test_the_end_of_a_long_one(self):
        text = self.message("head -c 10000 /dev/zero | tr '\\0' x > /dev/termination-log; "
                            "echo end >> /dev/termination-log")
        self.assertEqual(len(text), 4096)
        self.assertTrue(text.endswith("xend\n"))

    def test_a_gigabyte(self):
        self.assertEqual(self.message("truncate -s 1G /dev/termination-log; "
                                      "echo bye >> /dev/termination-log"), "bye\n")

    def test_what_is_no_text(self):
        self.assertEqual(self.message("printf 'a\\377b\\0c' > /dev/termination-log"), "a\ufffdbc")

    def test_something_else_in_its_place(self):
        """It is a mount point: it can be emptied and filled, but not replaced."""
        text = self.message("cd /dev; rm -f termination-log; mkdir termination-log; "
                            "mkfifo termination-log; ln -sfn /etc/passwd termination-log; "
                            "echo still here > termination-log")
        self.assertEqual(text, "still here\n")

    def test_the_pods_share(self):
        script = "head -c 4096 /dev/zero | tr '\\0' x > /dev/termination-log"
        self.drop("m", [{"name": f"c{i}", "command": shell(script)} for i in range(6)],
                  restartPolicy="Never")
        pod = self.wait_phase("m", "Succeeded")
        lengths = [len(status_of(pod, f"c{i}")["state"]["terminated"]["message"]) for i in range(6)]
        self.assertEqual(lengths, [2048] * 6)

    def test_nothing_is_left_of_it(self):
        self.message("echo x > /dev/termination-log")
        self.agent_.remove("m.yaml")
        self.agent_.wait_gone("m")
        self.message("echo x > /run/why", terminationMessagePath="/run/why")
        self.agent_.remove("m.yaml")
        self.agent_.wait_gone("m")
        self.assertEqual(os.listdir(self.agent_.path("root", "termination")), [])


if __name__ == "__main__":
    main()
