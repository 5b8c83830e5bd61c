"""Changed manifests on trial (mainstay.dev/confirm): confirmed, or taken back by themselves."""

import json
import os
import time

import harness
from harness import COMPONENT, pid_of, pod_yaml

LONG = "300s"  # a window that no test waits for


def spec(words, confirm="1s", lock=None, extra=""):
    command = [COMPONENT] + (["lock", lock] if lock else []) + words
    text = pod_yaml("etcd", command, container_extra=extra)
    if not confirm:
        return text
    return text.replace("  namespace: default\n",
                        f"  namespace: default\n  annotations: {{mainstay.dev/confirm: {confirm}}}\n")


def fnv1a(text):
    number = 0xcbf29ce484222325
    for byte in text.encode():
        number = (number ^ byte) * 0x100000001b3 & (1 << 64) - 1
    return number


NEVER_READY = "    readinessProbe: {exec: {command: [/bin/false]}, periodSeconds: 1}\n"


def when_file(path, period=1):
    return (f"    readinessProbe: {{exec: {{command: [/usr/bin/test, -e, {json.dumps(path)}]}}, "
            f"periodSeconds: {period}}}\n")


class Trials(harness.AgentTest):
    def setUp(self):
        self.a = self.agent()
        self.lock = self.a.path("lock")

    def tearDown(self):
        if os.path.exists(self.lock):
            with open(self.lock) as f:
                self.assertEqual(f.read(), "", "it ran twice at once")

    def drop(self, words, **options):
        before = self.a.last_event()
        self.a.drop("etcd.yaml", spec(words, lock=self.lock, **options))
        return before

    def outcomes(self):
        return [(r["revision"], r["outcome"])
                for r in self.a.get("/mainstay/v1/history/-/etcd")["items"]]

    def begin(self):
        """A spec that was ready, and one that runs again after a failure of the next."""
        self.drop(["say", "good"], confirm=None)
        return self.a.wait_ready_pod("etcd")

    def says(self, word):
        return self.a.wait(lambda pods: next(
            (p for p in pods.values() if harness.is_ready(p) and not p["mainstay"]["removing"]
             and p["spec"]["containers"][0]["command"][-1] == word), None), f"it says {word}")

    def test_confirmed(self):
        self.begin()
        self.drop(["say", "better"])
        event = self.a.wait_event("Confirmed", "etcd")
        self.assertIn("revision 2", event["message"])
        self.assertEqual(self.outcomes(), [(1, "Replaced"), (2, "Running,Confirmed")])
        self.assertIsNone(self.a.pod("etcd")["mainstay"]["trial"])

    def test_on_trial_is_shown(self):
        self.drop(["say", "good"], confirm=LONG)
        self.a.wait_ready_pod("etcd")
        trial = self.a.pod("etcd")["mainstay"]["trial"]
        self.assertEqual((trial["state"], trial["revision"]), ("OnTrial", 1))
        self.assertIn("deadline", trial)
        self.assertIn("Running,OnTrial", self.a.cli("get", "pods").stdout)
        self.assertIn("revision 1, until", self.a.cli("describe", "pod", "etcd").stdout)
        self.assertEqual(self.outcomes(), [(1, "Running,OnTrial")])

    def test_not_ready_in_time(self):
        self.begin()
        self.drop(["say", "bad"], extra=NEVER_READY)
        event = self.a.wait_event("TrialFailed", "etcd")
        self.assertRegex(event["message"], "revision 2: it was not ready.*readiness probe.*revision 1 comes back")
        self.assertEqual(event["type"], "Warning")
        pod = self.says("good")
        self.assertEqual(pod["mainstay"]["manifest"]["state"], "FailedTrial")
        self.assertEqual(pod["mainstay"]["trial"]["state"], "Failed")
        self.assertEqual(self.outcomes(), [(1, "Running"), (2, "FailedTrial")])
        self.assertIn("mainstay rollback etcd-node1", self.a.cli("status").stdout)
        check = self.a.cli("check", "manifests")
        self.assertEqual(check.returncode, 1)
        self.assertIn("etcd.yaml failed its trial as revision 2", check.stdout)
        for words in (("get", "pods"), ("describe", "pod", "etcd"), ("history", "etcd"), ("status",)):
            self.assertRegex(self.a.cli(*words).stdout, "FailedTrial", words)

    def test_a_crash_after_it_was_ready(self):
        self.begin()
        self.drop(["exit", "3"], confirm=LONG)
        event = self.a.wait_event("TrialFailed", "etcd")
        self.assertRegex(event["message"], "after the pod had been ready.*exit status 3")
        self.says("good")

    def guarded(self, words, guard, **options):
        """A spec that podmaster guards: with its state, which says that it may run for an hour."""
        path = self.a.path(guard)
        os.makedirs(path + ".d", exist_ok=True)
        with open("/proc/sys/kernel/random/boot_id") as f:
            until = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000 + 3600 * 1000000
            text = f"{f.read().strip()} {1:020d} {until:020d} {until:020d}"
        with open(path, "w") as f:
            f.write(f"{text} {fnv1a(text):020d}\n")
        text = spec(words, lock=self.lock, **options)
        fence = f"mainstay.dev/fence: {json.dumps(path)}"
        if "annotations: {" in text:
            return text.replace("annotations: {", "annotations: {" + fence + ", ", 1)
        return text.replace("  namespace: default\n", f"  namespace: default\n  annotations: {{{fence}}}\n", 1)

    def test_a_guarded_pod_does_not_go_back_to_an_unguarded_spec(self):
        self.begin()
        self.a.drop("etcd.yaml", self.guarded(["say", "guarded", "bad"], "a.lease", extra=NEVER_READY))
        event = self.a.wait_event("TrialFailed", "etcd")
        self.assertRegex(event["message"], "revision 2: .*; it runs on, because no earlier spec that was ever ready "
                                           "is bound to podmaster's lease")
        self.assertEqual(self.outcomes(), [(1, "Replaced"), (2, "NotReady,FailedTrial")])

    def test_a_guarded_pod_goes_back_to_what_the_same_lease_guards(self):
        self.a.drop("etcd.yaml", self.guarded(["say", "first"], "a.lease", confirm=None))
        self.a.wait_ready_pod("etcd")
        for words, guard in ((["say", "second"], "b.lease"), (["say", "third"], None)):
            text = self.guarded(words, guard, confirm=None) if guard else spec(words, confirm=None, lock=self.lock)
            self.a.drop("etcd.yaml", text)
            self.says(words[-1])
        self.a.drop("etcd.yaml", self.guarded(["say", "bad"], "a.lease", extra=NEVER_READY))
        self.assertIn("revision 1 comes back", self.a.wait_event("TrialFailed", "etcd")["message"])
        self.says("first")

    def fail_one(self):
        self.begin()
        self.drop(["exit", "3"], confirm=LONG)
        self.a.wait_event("TrialFailed", "etcd")
        return self.says("good")

    def test_the_same_content_is_not_tried_again(self):
        pid = pid_of(self.fail_one())
        path = os.path.join(self.a.manifests, "etcd.yaml")
        os.utime(path)
        self.drop(["exit", "3"], confirm=LONG)
        self.a.restart()
        pod = self.a.wait_ready_pod("etcd")
        self.assertEqual(pid_of(pod), pid)
        self.assertEqual(pod["mainstay"]["manifest"]["state"], "FailedTrial")
        before = self.a.last_event()
        with open(path) as f:
            text = f.read()
        self.a.drop("etcd.yaml", "# a remark\n" + text)
        self.a.wait_event("ManifestAccepted", after=before)
        self.assertEqual(pid_of(self.a.wait_ready_pod("etcd")), pid)
        self.assertEqual(len(self.a.events("TrialFailed")), 1)

    def test_changed_content_begins_a_new_trial(self):
        self.fail_one()
        self.drop(["say", "mended"])
        self.a.wait_event("Confirmed", "etcd")
        self.says("mended")
        self.assertEqual(self.outcomes()[1:], [(2, "FailedTrial"), (3, "Running,Confirmed")])

    def test_the_annotation_of_the_new_spec_counts(self):
        self.fail_one()
        self.drop(["say", "untried"], confirm=None)
        pod = self.says("untried")
        self.assertIsNone(pod["mainstay"]["trial"])
        self.assertIsNone(pod["mainstay"]["manifest"])

    def test_the_earlier_content_again(self):
        pid = pid_of(self.fail_one())
        self.drop(["say", "good"], confirm=None)
        self.a.wait(lambda pods: pods["etcd-node1"]["mainstay"]["manifest"] is None or None, "in force")
        self.assertEqual(pid_of(self.a.pod("etcd")), pid)
        self.assertEqual(self.outcomes(), [(1, "Running"), (2, "FailedTrial")])

    def test_removing_a_manifest_that_failed(self):
        self.fail_one()
        self.a.remove("etcd.yaml")
        self.a.wait_gone("etcd")
        self.assertEqual(self.outcomes(), [(1, "Removed"), (2, "FailedTrial")])

    def test_renaming_a_manifest_that_failed(self):
        pid = pid_of(self.fail_one())
        new = os.path.join(self.a.manifests, "renamed.yaml")
        os.rename(os.path.join(self.a.manifests, "etcd.yaml"), new)
        self.a.wait(lambda pods: pods["etcd-node1"]["mainstay"]["file"] == new or None, "the new name")
        self.assertEqual(pid_of(self.a.pod("etcd")), pid)
        os.unlink(new)
        self.a.wait_gone("etcd")

    def test_the_first_spec_has_nothing_to_go_back_to(self):
        self.drop(["say", "bad"], extra=NEVER_READY)
        event = self.a.wait_event("TrialFailed", "etcd")
        self.assertIn("it runs on, because there is no earlier spec", event["message"])
        pod = self.a.pod("etcd")
        self.assertEqual(pod["mainstay"]["state"], "Running")
        self.assertIsNone(pod["mainstay"]["manifest"])
        self.assertEqual(self.outcomes(), [(1, "NotReady,FailedTrial")])

    def test_what_comes_back_is_the_last_good_one_of_several(self):
        self.begin()
        self.drop(["say", "confirmed"])
        self.a.wait_event("Confirmed", "etcd")
        for word in ("bad", "worse"):
            before = self.drop(["say", word], extra=NEVER_READY)
            self.a.wait_event("TrialFailed", "etcd", after=before)
            self.says("confirmed")
        self.assertEqual(self.outcomes()[1:], [(2, "Running,Confirmed"), (3, "FailedTrial"),
                                               (4, "FailedTrial")])

    def test_the_agent_dies_on_trial(self):
        """The next agent goes on with the trial, and one that failed meanwhile is taken back."""
        self.begin()
        ready = self.a.path("ready")
        self.drop(["say", "bad"], confirm=LONG, extra=when_file(ready))
        self.a.wait(lambda pods: any(
            p["mainstay"]["trial"] and p["mainstay"]["trial"].get("deadline") and
            p["spec"]["containers"][0]["command"][-1] == "bad" for p in pods.values()) or None, "on trial")
        deadline = self.a.pod("etcd")["mainstay"]["trial"]["deadline"]
        self.a.restart()
        trial = self.a.pod("etcd")["mainstay"]["trial"]
        self.assertEqual((trial["state"], trial["deadline"][:16]), ("OnTrial", deadline[:16]))
        open(ready, "w").close()
        pod = self.says("bad")
        self.a.kill()
        os.kill(pid_of(pod), 9)
        harness.wait_process_gone(pid_of(pod))
        self.a.start()
        event = self.a.wait_event("TrialFailed", "etcd")
        self.assertIn("SIGKILL", event["message"])
        self.says("good")

    def test_an_agent_that_comes_back_decides(self):
        self.begin()
        self.drop(["say", "better"], confirm="1s")
        self.says("better")
        self.a.kill()
        self.a.start()
        self.a.wait_event("Confirmed", "etcd")
        self.assertEqual(self.outcomes(), [(1, "Replaced"), (2, "Running,Confirmed")])

    def test_a_restart_that_was_asked_for_is_no_failure(self):
        self.begin()
        self.drop(["say", "better"], confirm="3s")
        self.says("better")
        self.a.post("/mainstay/v1/pods/-/etcd/restart")
        self.a.wait_ready_pod("etcd", restarts=1)
        self.a.wait_event("Confirmed", "etcd")

    def test_a_damaged_history(self):
        """It costs what could come back, not the pod."""
        self.fail_one()
        self.a.kill()
        with open(self.a.path("root", "state", "history", "default_etcd-node1.history"), "w") as f:
            f.write("nothing")
        self.a.start()
        self.a.wait_event("StateDamaged", "etcd")
        event = self.a.wait_event("TrialFailed", "etcd",
                                  after=self.a.events("StateDamaged")[-1]["mainstay"]["id"])
        self.assertIn("it runs on", event["message"])


    def test_a_disk_that_takes_no_history(self):
        """The trial goes on from memory."""
        self.begin()
        self.a.get("/mainstay/v1/history/-/etcd")  # it is on disk
        directory = self.a.path("root", "state", "history")
        self.drop(["say", "bad"], extra=NEVER_READY, confirm="2s")
        self.says_unready("bad")
        os.rename(directory, directory + ".away")
        open(directory, "w").close()
        event = self.a.wait_event("TrialFailed", "etcd")
        self.assertIn("revision 1 comes back", event["message"])
        self.assertIn("runs on", self.a.wait_event("HistoryNotSaved", "etcd")["message"])
        self.says("good")

    def says_unready(self, word):
        self.a.wait(lambda pods: any(
            p["spec"]["containers"][0]["command"][-1] == word and pid_of(p) for p in pods.values())
            or None, f"it runs as {word}")


class Commands(harness.AgentTest):
    def apply(self, agent, words, *flags, **options):
        path = agent.write("etcd.yaml", spec(words, **options))
        return agent.cli("apply", path, "--wait", "--settle", "0s", *flags)

    def test_apply_tells_how_the_trial_ends(self):
        agent = self.agent()
        done = self.apply(agent, ["say", "good"], "--timeout", "20s")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(agent.events("Confirmed")), 1)
        for _ in range(2):  # unchanged: still not what runs
            done = self.apply(agent, ["exit", "3"], confirm=LONG)
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertIn("failed its trial as revision 2", done.stderr)
            self.assertIn("exit status 3", done.stderr)
        self.assertEqual(agent.cli("wait", "etcd", "--for=applied", "--timeout", "10s").returncode, 1)
        agent.wait_ready_pod("etcd")
        done = agent.cli("rollback", "etcd", "--wait", "--settle", "0s")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("as in revision 1", done.stdout)
        self.assertIsNone(agent.pod("etcd")["mainstay"]["manifest"])


    def test_apply_of_a_first_spec_that_fails(self):
        agent = self.agent()
        done = self.apply(agent, ["say", "bad"], extra=NEVER_READY)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("failed its trial as revision 1:", done.stderr)
        self.assertIn("it runs on, because there is no earlier spec", done.stderr)


if __name__ == "__main__":
    harness.main()
