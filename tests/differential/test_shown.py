"""`mainstay get pods -o json` of a running agent shows the accepted manifests (cases.py) as the kubelet would
have defaulted them; where its code is not there, as our own tool for the differential test does."""

import json
import os
import sys
import tempfile

import cases
import differences
from compare import Ledger
from fields import Fields
from programs import DUMP, NODE, SOURCE, ask, oracle_program, why_not

sys.path.insert(0, os.path.join(SOURCE, "tests", "integration"))
import harness  # noqa: E402 (it lives there)


def is_safe(case):
    """No program of theirs is there, but kernel parameters would be set before that is seen."""
    return case.file.startswith("accepted/") and case.paths is None and "sysctls" not in case.text


def declared(pod):
    """What the manifest and defaults make; not when the agent took it, and how it is."""
    meta = {key: value for key, value in pod["metadata"].items() if key != "creationTimestamp"}
    return {"metadata": meta, "spec": pod["spec"]}


class Shown(harness.AgentTest):
    def test_accepted_manifests(self):
        scratch = self.enterContext(tempfile.TemporaryDirectory(prefix="mainstay-shown-"))
        chosen = [case for case in cases.load(scratch) if is_safe(case)]
        agent = self.agent("--cni-conf-dir", scratch, node=NODE, start=False)
        for i, case in enumerate(chosen):
            with open(os.path.join(agent.manifests, f"{i:04}.yaml"), "w", encoding="utf-8", newline="") as f:
                f.write(case.text)
        agent.start()
        agent.wait(lambda pods: len(pods) >= len(chosen), "every pod")
        shown = json.loads(agent.cli("get", "pods", "-A", "-o", "json", check=True).stdout)
        pods = {(pod["metadata"]["namespace"], pod["metadata"]["name"]): pod for pod in shown["items"]}
        self.check(chosen, pods)

    def check(self, chosen, pods):
        reason = why_not()
        if reason:
            print(f"without the kubelet's code: {reason}", flush=True)
        requests = [{"mode": "pod", "text": case.text} for case in chosen]
        ledger, compared = Ledger(Fields(), differences.FIELDS + differences.SHOWN), 0
        for case, expected in zip(chosen, ask(DUMP if reason else oracle_program(), requests)):
            if not expected["ok"]:
                continue  # test_kubelet.py has the reason
            meta = expected["pod"]["metadata"]
            self.assertIn((meta["namespace"], meta["name"]), pods, str(case))
            ledger.compare_pods(str(case), case.text, declared(expected["pod"]),
                                declared(pods[meta["namespace"], meta["name"]]))
            compared += 1
        self.assertFalse(ledger.open, ledger.report(0))
        self.assertGreater(compared, 150)


if __name__ == "__main__":
    harness.main()
