"""The agent's pods in the eyes of a client of Kubernetes: what GET /pods and `mainstay get pod -o json`
say is decoded by Go's own v1 types without a loss, and kubectl's printer reads the same table out
of it that `mainstay get pods` prints. Needs what test_kubelet.py needs.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import unittest

import compare
import programs

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import harness  # noqa: E402
from harness import COMPONENT  # noqa: E402

# Fields of later releases, which 1.20's types drop, and our own.
LATER = r"mainstay\b.*|spec\.priority|status\.hostIPs.*|.*\.(allocatedResources|recursiveReadOnly|resources\.claims).*|" \
        r"status\.(init)?[cC]ontainerStatuses\[\d+\]\.(resources|volumeMounts|user|stopSignal).*|" \
        r"spec\.initContainers\[\d+\]\.restartPolicy"

SAY = f"[{json.dumps(COMPONENT)}, say, hello]"


def exits(status):
    return f"[sh, -c, exit {status}]"


def pod(name, containers, extra="", init=""):
    """Containers and init containers are (command, more fields)."""
    def items(of, prefix):
        return "".join(
            f"  - {{name: {prefix}{i}, image: 'localhost/test:1', imagePullPolicy: IfNotPresent, "
            f"command: {command}{more}}}\n" for i, (command, more) in enumerate(of))
    text = f"apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, labels: {{app: {name}}}}}\nspec:\n" \
           f"  hostNetwork: true\n  terminationGracePeriodSeconds: 1\n{extra}"
    if init:
        text += "  initContainers:\n" + items(init, "init")
    return text + "  containers:\n" + items(containers, "c")


UNREADY = ", readinessProbe: {exec: {command: ['false']}, periodSeconds: 3600}"

# (manifest, STATUS of kubectl that is waited for)
PODS = {
    "running": (pod("running", [(SAY, "")]), "Running"),
    "half": (pod("half", [(SAY, ""), (SAY, UNREADY)]), "Running"),
    "crashing": (pod("crashing", [(exits(3), "")]), "CrashLoopBackOff"),
    "mixed": (pod("mixed", [(exits(3), ""), (SAY, "")]), "CrashLoopBackOff"),
    "done": (pod("done", [(exits(0), "")], "  restartPolicy: Never\n"), "Completed"),
    "failed": (pod("failed", [(exits(4), "")], "  restartPolicy: Never\n"), "Error"),
    "half-done": (pod("half-done", [(exits(0), ""), (SAY, "")], "  restartPolicy: OnFailure\n"), "NotReady"),
    "killed": (pod("killed", [("[sh, -c, kill -9 $$]", "")], "  restartPolicy: Never\n"), "Error"),
    "init": (pod("init", [(SAY, "")], init=[(exits(0), ""), (SAY, "")]), "Init:1/2"),
    "init-fails": (pod("init-fails", [(SAY, "")], init=[(exits(5), "")]), "Init:CrashLoopBackOff"),
    "init-failed": (pod("init-failed", [(SAY, "")], "  restartPolicy: Never\n", init=[(exits(5), "")]),
                    "Init:Error"),
    "no-image": (pod("no-image", [("[/nowhere/program]", "")]).replace("IfNotPresent", "Never"),
                 "ErrImageNeverPull"),
    "everything": (pod("everything", [
        ("[sleep]", ", args: ['3600'], workingDir: /, ports: [{name: http, containerPort: 18080}], env: [{name: A, value: b}, "
              "{name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}], resources: {requests: {cpu: 10m, "
              "memory: 16Mi}, limits: {cpu: '1', memory: 1Gi}}, volumeMounts: [{name: tmp, mountPath: /tmp/x}], "
              "livenessProbe: {exec: {command: ['true']}}, securityContext: {runAsUser: 0, capabilities: "
              "{drop: [ALL]}}, lifecycle: {preStop: {exec: {command: ['true']}}}")],
        "  volumes: [{name: tmp, emptyDir: {}}]\n  priorityClassName: system-node-critical\n"
        "  securityContext: {supplementalGroups: [7]}\n  tolerations: [{operator: Exists}]\n"), "Running"),
}


def client_program():
    state = hashlib.sha256(os.path.realpath(programs.TREE).encode())
    for name in ("build-oracle", "client/main.go", "oracle/export.go"):
        with open(os.path.join(programs.HERE, name), "rb") as f:
            state.update(f.read())
    program = os.path.join(programs.CACHE, "client-" + state.hexdigest()[:16])
    if not os.path.exists(program):
        print("building the client from", programs.TREE, flush=True)
        subprocess.run([os.path.join(programs.HERE, "build-oracle"), programs.TREE,
                        program + ".new", "client"], check=True)
        os.rename(program + ".new", program)
    return program


def leaves(item):
    return {path: value for path, value in compare.flatten(item)
            if not re.fullmatch(LATER, path) and not (path.endswith(".resources") and value == "{}")}


@unittest.skipIf(programs.why_not(), str(programs.why_not()))
class ClientTest(harness.AgentTest):
    @classmethod
    def setUpClass(cls):
        cls.program = client_program()

    def read(self, pod_list):
        done = subprocess.run([self.program], input=json.dumps(pod_list), capture_output=True,
                              text=True, timeout=harness.WAIT_SECONDS)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def rows(self, pod_list):
        return {row["Name"]: row for row in self.read(pod_list)["rows"] or []}

    def all_there(self):
        """The pods in an agent, once kubectl's printer gives each the STATUS that is waited for."""
        agent = self.agent()
        for name, (text, _) in PODS.items():
            agent.drop(name + ".yaml", text)

        waits = {}

        def settled(pods):
            rows = self.rows({"kind": "PodList", "apiVersion": "v1", "items": list(pods.values())})
            seen = {name: rows.get(f"{name}-node1", {}).get("Status") for name in PODS}
            waits.clear()
            waits.update({name: (status, PODS[name][1]) for name, status in seen.items() if status != PODS[name][1]})
            return not waits or None
        try:
            agent.wait(settled, "every pod in the state that is asked for")
        except AssertionError as error:
            raise AssertionError(f"seen, wanted: {waits}\n{error}") from None
        return agent

    def test_clients_and_commands_see_the_same(self):
        agent = self.all_there()
        answer = agent.get("/pods")
        seen = self.read(answer)
        for ours, theirs in zip(answer["items"], seen["list"]["items"], strict=True):
            with self.subTest(ours["metadata"]["name"]):
                self.assertEqual(leaves(ours), leaves(theirs))
        printed = agent.cli("get", "pods", "-A", "-o", "wide").stdout.splitlines()
        ours = {}
        for line in printed[1:]:
            cells = re.split(r"\s{2,}", line.strip())
            ours[cells[1]] = cells
        rows = self.rows(answer)
        self.assertEqual(sorted(ours), sorted(rows))
        for name, row in rows.items():
            with self.subTest(name):
                _, _, ready, status, restarts, _, ip, node = ours[name][:8]
                self.assertEqual([ready, status, restarts.split()[0], ip, node],
                                 [row["Ready"], row["Status"], str(row["Restarts"]), row["IP"], row["Node"]])

    def test_one_pod_is_what_the_list_has(self):
        agent = self.agent()
        agent.drop("everything.yaml", PODS["everything"][0])
        agent.wait_ready_pod("everything")
        for format_ in ("json", "yaml"):
            text = agent.cli("get", "pod", "everything", "-o", format_, check=True).stdout
            one = json.loads(text) if format_ == "json" else yaml_load(self, text)
            listed = agent.get("/pods")["items"][0]
            self.assertEqual(leaves(one), leaves(listed))

    def test_a_pod_that_leaves_is_terminating(self):
        agent = self.agent()
        agent.drop("slow.yaml", pod("slow", [("[sh, -c, \"trap 'echo no' TERM; echo up; while :; do sleep 1 & wait; done\"]",
                                              "")]).replace("Seconds: 1", "Seconds: 3600"))
        pod_ = agent.wait_ready_pod("slow")
        agent.remove("slow.yaml")

        def leaving(pods):
            rows = self.rows({"kind": "PodList", "apiVersion": "v1", "items": list(pods.values())})
            return rows if rows.get("slow-node1", {}).get("Status") == "Terminating" else None
        agent.wait(leaving, "Terminating")
        self.assertIn("Terminating", agent.cli("get", "pods").stdout)
        os.kill(harness.pid_of(pod_, "c0"), 9)
        agent.wait_gone("slow")


def yaml_load(test, text):
    try:
        import yaml
    except ImportError:
        test.skipTest("python3-yaml is not installed")
    return json.loads(json.dumps(yaml.safe_load(text), default=str))


if __name__ == "__main__":
    harness.main()
