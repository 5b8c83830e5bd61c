"""The accepted specs of a pod: what is kept, what `mainstay history` shows, `mainstay rollback`."""

import glob
import json
import os

import harness
from harness import COMPONENT, pid_of, pod_yaml


def spec(word, name="etcd"):
    return pod_yaml(name, [COMPONENT, "say", word])


def revisions(agent, name="etcd"):
    return agent.get(f"/mainstay/v1/history/-/{name}")["items"]


def outcomes(agent, name="etcd"):
    return [(r["revision"], r["outcome"]) for r in revisions(agent, name)]


class Kept(harness.AgentTest):
    def change(self, agent, text, name="etcd"):
        agent.drop(f"{name}.yaml", text)
        word = text.rsplit('"', 2)[1]
        agent.wait(lambda pods: any(
            p["spec"]["containers"][0]["command"][-1] == word and harness.is_ready(p)
            for p in pods.values()) or None, f"{name} says {word}")

    def test_every_accepted_spec_is_a_revision(self):
        agent = self.agent()
        for word in ("one", "two", "three"):
            self.change(agent, "# as it was written\n" + spec(word))
        agent.wait_ready_pod("etcd")
        self.assertEqual(outcomes(agent), [(1, "Replaced"), (2, "Replaced"), (3, "Running")])
        found = revisions(agent)
        self.assertEqual(found[0]["manifest"], "# as it was written\n" + spec("one"))
        self.assertEqual(found[2]["hash"], agent.pod("etcd")["mainstay"]["hash"])
        self.assertEqual(found[2]["file"], os.path.join(agent.manifests, "etcd.yaml"))
        self.assertTrue(found[2]["acceptedAt"] and found[2]["readyAt"])

    def test_a_restart_of_the_agent_adds_nothing(self):
        agent = self.agent()
        self.change(agent, spec("one"))
        self.change(agent, spec("two"))
        before = outcomes(agent)
        agent.restart()
        agent.wait_ready_pod("etcd")
        self.assertEqual(outcomes(agent), before)
        last = agent.last_event()
        agent.drop("etcd.yaml", "# a remark\n" + spec("two"))
        agent.wait_event("ManifestAccepted", after=last)
        self.assertEqual(outcomes(agent), before)

    def test_it_outlives_the_pod(self):
        agent = self.agent()
        self.change(agent, spec("one"))
        agent.remove("etcd.yaml")
        agent.wait_gone("etcd")
        self.assertEqual(outcomes(agent), [(1, "Removed")])
        self.assertEqual(agent.cli("history", "etcd").returncode, 0)
        self.change(agent, spec("one"))
        self.assertEqual(outcomes(agent), [(1, "Running")])
        self.change(agent, spec("two"))
        self.assertEqual([n for n, _ in outcomes(agent)], [1, 2])

    def test_a_damaged_file_costs_that_history_only(self):
        agent = self.agent()
        for name in ("etcd", "web"):
            self.change(agent, spec("one", name), name)
            self.change(agent, spec("two", name), name)
        pid = pid_of(agent.pod("etcd"))
        self.assertEqual(len(revisions(agent)), 2)
        agent.kill()
        path = agent.path("root", "state", "history", "default_etcd-node1.history")
        with open(path, "r+b") as f:
            f.seek(200)
            f.write(b"\0\0\0")
        agent.start()
        event = agent.wait_event("StateDamaged", "etcd")
        self.assertIn(path, event["message"])
        self.assertTrue(os.path.exists(path + ".damaged"))
        self.assertEqual(pid_of(agent.wait_ready_pod("etcd")), pid)
        self.assertEqual(outcomes(agent), [(1, "Running")])
        self.assertEqual(len(revisions(agent, "web")), 2)

    def test_removed_pods_do_not_fill_the_disk(self):
        agent = self.agent()
        directory = agent.path("root", "state", "history")
        os.makedirs(directory)
        for i in range(60):
            path = os.path.join(directory, f"default_old{i}-node1.history")
            with open(path, "w") as f:
                f.write("nothing")
            os.utime(path, (1000 + i, 1000 + i))
        self.change(agent, spec("one"))
        agent.remove("etcd.yaml")
        agent.wait_gone("etcd")
        self.assertEqual(outcomes(agent), [(1, "Removed")])
        left = {os.path.basename(p) for p in glob.glob(directory + "/*.history")}
        self.assertEqual(len(left), 50)
        self.assertIn("default_etcd-node1.history", left)
        self.assertNotIn("default_old10-node1.history", left)
        self.assertIn("default_old11-node1.history", left)


class Commands(harness.AgentTest):
    def setUp(self):
        self.a = self.agent()
        self.file = os.path.join(self.a.manifests, "etcd.yaml")
        for word in ("one", "two"):
            done = self.a.cli("apply", self.a.write("etcd.yaml", spec(word)), "--wait", "--settle", "0s")
            self.assertEqual(done.returncode, 0, done.stderr)

    def manifest(self):
        with open(self.file) as f:
            return f.read()

    def test_the_table(self):
        text = self.a.cli("history", "etcd", check=True).stdout
        lines = text.splitlines()
        self.assertEqual(lines[0].split(), ["REVISION", "AGE", "HASH", "OUTCOME", "FILE"])
        self.assertRegex(lines[1], r"^1 .* Replaced +/.*etcd\.yaml$")
        self.assertRegex(lines[2], r"^2 .* Running +/.*etcd\.yaml$")
        wide = self.a.cli("history", "etcd", "-o", "wide", check=True).stdout
        self.assertIn(revisions(self.a)[0]["hash"], wide)
        data = json.loads(self.a.cli("history", "etcd", "-o", "json", check=True).stdout)
        self.assertEqual(data["current"], 2)

    def test_one_revision_and_two(self):
        self.assertEqual(self.a.cli("history", "etcd", "--revision", "1", check=True).stdout, spec("one"))
        pod = json.loads(self.a.cli("history", "pod/etcd", "--revision", "1", "-o", "json").stdout)
        self.assertEqual(pod["metadata"]["name"], "etcd-node1")
        self.assertEqual(pod["metadata"]["uid"], revisions(self.a)[0]["uid"])
        for words in (("--diff", "1"), ("--diff", "1,2")):
            text = self.a.cli("history", "etcd", *words, check=True).stdout
            self.assertIn("-    - one", text)
            self.assertIn("+    - two", text)
        self.assertIn("same", self.a.cli("history", "etcd", "--diff", "2,2").stdout)

    def test_what_it_refuses(self):
        for words, message in ((("nothing",), "no history of pod"),
                               (("etcd", "--revision", "7"), "there are 1, 2"),
                               (("etcd", "--diff", "1,x"), "numbers of revisions")):
            done = self.a.cli("history", *words)
            self.assertEqual(done.returncode, 1, words)
            self.assertIn(message, done.stderr)

    def test_without_an_agent(self):
        self.assertEqual(len(revisions(self.a)), 2)  # and with the answer all of it is on disk
        self.a.kill()
        root = self.a.path("root")
        self.assertEqual(self.a.cli("history", "etcd").returncode, 3)
        self.assertIn("Replaced", self.a.cli("history", "etcd", "--root-dir", root, check=True).stdout)
        text = self.a.cli("history", "etcd", "--root-dir", root, "--diff", "1,2", check=True).stdout
        self.assertIn("+    - two", text)
        self.a.start()

    def test_there_and_back(self):
        os.chmod(self.file, 0o640)
        shown = self.a.cli("rollback", "etcd", "--dry-run", check=True).stdout
        self.assertIn('+    - "one"', shown)
        self.assertEqual(self.manifest(), spec("two"))
        done = self.a.cli("rollback", "etcd", "--wait", "--settle", "0s")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("is ready", done.stdout)
        self.assertEqual(self.manifest(), spec("one"))
        self.assertEqual(os.stat(self.file).st_mode & 0o777, 0o640)
        found = revisions(self.a)
        self.assertEqual([(r["revision"], r["origin"]) for r in found],
                         [(1, None), (2, None), (3, "rollback to 1")])
        self.assertEqual(found[2]["hash"], found[0]["hash"])
        self.a.cli("rollback", "etcd", "--to", "2", "--wait", "--settle", "0s", check=True)
        self.assertEqual(self.manifest(), spec("two"))
        self.assertEqual(revisions(self.a)[3]["origin"], "rollback to 2")

    def test_a_pod_that_was_removed(self):
        os.unlink(self.file)
        self.a.wait_gone("etcd")
        self.a.cli("rollback", "etcd", "--to", "1", "--wait", "--settle", "0s", check=True)
        self.assertEqual(self.manifest(), spec("one"))

    def refused(self, words, message):
        before = self.manifest()
        done = self.a.cli("rollback", *words)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn(message, done.stderr)
        self.assertEqual(self.manifest(), before)

    def test_nothing_to_go_back_to(self):
        self.a.cli("apply", self.a.write("web.yaml", spec("one", "web")), "--wait", "--settle", "0s", check=True)
        self.refused(("web",), "nothing to go back to")
        self.refused(("etcd", "--to", "9"), "there are 1, 2")
        self.refused(("nobody",), "no history of pod")

    def test_a_file_with_several_pods(self):
        for word in ("three", "four"):
            before = self.a.last_event()
            self.a.drop("etcd.yaml", spec(word) + "---\n" + spec(word, "web"))
            self.a.wait_event("ManifestAccepted", after=before)
        self.refused(("etcd", "--to", "1"), "several pods")

    def test_a_symlink(self):
        target = self.a.write("elsewhere.yaml", spec("three"))
        os.symlink(target, self.a.path("link"))
        before = self.a.last_event()
        os.rename(self.a.path("link"), self.file)
        self.a.wait_event("ManifestAccepted", after=before)
        self.refused(("etcd",), target)

    def test_a_file_that_podmaster_puts_there(self):
        for flags in (["--source", "/m/etcd.yaml", "--destination", self.file, "--key-name", "x"],
                      ["--source-file=/m/etcd.yaml", f"--dest-file={self.file}", "--key=x"],
                      ["--pair=a=/m/a.yaml:/x/a.yaml", f"--pair=x=/m/etcd.yaml:{self.file}"]):
            before = self.a.last_event()
            self.a.drop("podmaster.yaml", pod_yaml("podmaster", ["podmaster", *flags]))
            self.a.wait_event("ManifestAccepted", after=before)
            self.refused(("etcd",), "podmaster-node1")
            self.refused(("etcd",), "change /m/etcd.yaml instead")

    def test_a_file_that_podmaster_guards(self):
        before = self.a.last_event()
        self.a.drop("etcd.yaml", spec("three").replace(
            "  name:", "  annotations:\n    mainstay.dev/fence: /run/mainstay/podmaster/etcd.yaml.lease\n  name:", 1))
        self.a.wait_event("ManifestAccepted", after=before)
        self.refused(("etcd",), "is put there by podmaster, which would undo this")
        # Another node holds the lease: the file is not there, and an earlier text is without a guard.
        os.unlink(self.file)
        self.a.wait_gone("etcd")
        done = self.a.cli("rollback", "etcd", "--to", "1")
        self.assertEqual(done.returncode, 1)
        self.assertIn("is put there by podmaster, which would undo this", done.stderr)
        self.assertFalse(os.path.exists(self.file))


if __name__ == "__main__":
    harness.main()
