"""Manifests under a real agent: broken edits lose nothing, bursts end where they must."""

import os
import random

import harness
from harness import COMPONENT, pid_of, pod_yaml

BURSTS = int(os.environ.get("MAINSTAY_BURSTS", "60"))
GOOD = pod_yaml("etcd", [COMPONENT, "say", "good"])
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(20))


def in_place(agent, text):
    """Not atomically, as `cp` does it."""
    with open(os.path.join(agent.manifests, "etcd.yaml"), "w") as f:
        f.write(text)


def make_directory(agent):
    os.unlink(os.path.join(agent.manifests, "etcd.yaml"))
    os.mkdir(os.path.join(agent.manifests, "etcd.yaml"))


BREAKS = {
    "bad yaml": lambda a: a.drop("etcd.yaml", GOOD.replace("spec:", "spec: [")),
    "bad field": lambda a: a.drop("etcd.yaml", GOOD.replace("hostNetwork:", "hostNetwrok:")),
    "bad type": lambda a: a.drop("etcd.yaml", GOOD.replace("hostNetwork: true", "hostNetwork: 17")),
    "truncated": lambda a: in_place(a, GOOD[:len(GOOD) // 2]),
    "empty": lambda a: in_place(a, ""),
    "NUL bytes": lambda a: in_place(a, GOOD + "\0"),
    "another kind": lambda a: a.drop("etcd.yaml", GOOD.replace("kind: Pod", "kind: Deployment")),
    "aliases without end": lambda a: a.drop("etcd.yaml", BOMB),
    "20 MB of aliases": lambda a: a.drop("etcd.yaml", "a: &a x\nb:\n" + "- *a\n" * 4000000),
}


class BrokenEdits(harness.AgentTest):
    def check_broken(self, agent, pid, before, what):
        event = agent.wait_event("ManifestRefused", after=before)
        self.assertIn("etcd.yaml", event["message"], what)
        pod = agent.pod("etcd")
        self.assertEqual(pid_of(pod), pid, what)
        self.assertEqual(pod["mainstay"]["manifest"]["state"], "Refused", what)
        self.assertIn("etcd.yaml", agent.agent_log())
        return event

    def test_the_pod_keeps_its_pid(self):
        agent = self.agent()
        agent.drop("etcd.yaml", GOOD)
        pid = pid_of(agent.wait_ready_pod("etcd"))
        for what, break_it in BREAKS.items():
            with self.subTest(what):
                before = agent.last_event()
                break_it(agent)
                event = self.check_broken(agent, pid, before, what)
                if what in ("bad yaml", "bad field", "bad type"):
                    self.assertRegex(event["message"], r"etcd\.yaml:\d+:\d+: ")
                before = agent.last_event()
                agent.drop("etcd.yaml", GOOD)
                agent.wait_event("ManifestAccepted", after=before)
                self.assertEqual(pid_of(agent.pod("etcd")), pid)

    def test_a_directory_in_its_place(self):
        agent = self.agent()
        agent.drop("etcd.yaml", GOOD)
        pid = pid_of(agent.wait_ready_pod("etcd"))
        before = agent.last_event()
        make_directory(agent)
        self.check_broken(agent, pid, before, "directory")

    def test_the_refusal_is_shown(self):
        agent = self.agent()
        agent.drop("etcd.yaml", GOOD)
        agent.wait_ready_pod("etcd")
        before = agent.last_event()
        BREAKS["bad field"](agent)
        agent.wait_event("ManifestRefused", after=before)
        for words in (("get", "pods"), ("get", "events"), ("status",), ("describe", "pod", "etcd")):
            text = agent.cli(*words).stdout
            self.assertRegex(text, r"[Rr]efused", words)
        self.assertRegex(agent.cli("status").stdout, r"etcd\.yaml:\d+:\d+")

    def test_last_good_survives_the_agent(self):
        agent = self.agent()
        agent.drop("etcd.yaml", GOOD)
        pid = pid_of(agent.wait_ready_pod("etcd"))
        before = agent.last_event()
        BREAKS["truncated"](agent)
        agent.wait_event("ManifestRefused", after=before)
        agent.restart()
        self.assertEqual(pid_of(agent.wait_ready_pod("etcd")), pid)
        os.kill(pid, 9)
        agent.wait_ready_pod("etcd", restarts=1)

    def test_a_comment_changes_nothing(self):
        agent = self.agent()
        agent.drop("etcd.yaml", GOOD)
        pid = pid_of(agent.wait_ready_pod("etcd"))
        before = agent.last_event()
        agent.drop("etcd.yaml", "# a remark\n" + GOOD.replace("    image", "    # another\n    image"))
        agent.wait_event("ManifestAccepted", after=before)
        self.assertEqual(pid_of(agent.pod("etcd")), pid)

    def test_two_files_for_one_pod(self):
        agent = self.agent()
        agent.drop("etcd.yaml", GOOD)
        pid = pid_of(agent.wait_ready_pod("etcd"))
        agent.drop("other.yaml", pod_yaml("etcd", [COMPONENT, "say", "other"]))
        event = agent.wait_event("ManifestConflict")
        self.assertIn("etcd.yaml", event["message"])
        self.assertIn("other.yaml", event["message"])
        self.assertEqual(pid_of(agent.pod("etcd")), pid)

    def test_the_directory_goes_and_comes(self):
        agent = self.agent()
        os.rmdir(agent.manifests)
        os.mkdir(agent.manifests)
        agent.drop("etcd.yaml", GOOD)
        agent.wait_ready_pod("etcd")

    def test_backup_files_are_no_manifests(self):
        agent = self.agent()
        for name in (".etcd.yaml.swp", "etcd.yaml~", "etcd.yaml.bak", "#etcd.yaml#"):
            agent.drop(name, GOOD.replace("name: etcd", "name: backup"))
        agent.drop("etcd.yaml", GOOD)
        agent.wait_ready_pod("etcd")
        self.assertEqual(list(agent.pods()), ["etcd-node1"])


class Bursts(harness.AgentTest):
    """Edits, renames, deletions in random order: afterwards exactly what the files say runs."""

    NAMES = ["a", "b", "c", "d", "e", "f"]

    def step(self, agent, rng, files):
        def path(name):
            return os.path.join(agent.manifests, name)
        choice = rng.randrange(5)
        name = rng.choice(self.NAMES)
        file = name + ".yaml"
        if choice <= 1:  # create or edit; pod names follow file names, so no two files claim one pod
            version = str(rng.randrange(3))
            agent.drop(file, pod_yaml(name, [COMPONENT, "lock", agent.path("lock-" + name),
                                             "say", version]))
            files[file] = (name, version)
        elif choice == 2 and file in files:  # a bad edit keeps the last good one
            with open(path(file), "w") as f:
                f.write("kind: [")
        elif choice == 3 and file in files:
            os.unlink(path(file))
            del files[file]
        elif choice == 4 and file in files:  # rename away and back
            os.rename(path(file), path(name + ".tmp~"))
            if rng.randrange(2):
                os.rename(path(name + ".tmp~"), path(file))
            else:
                os.unlink(path(name + ".tmp~"))
                del files[file]

    def settled(self, files):
        def check(pods):
            running = {p["metadata"]["name"]: p["spec"]["containers"][0]["command"][-1]
                       for p in pods.values() if harness.is_ready(p)}
            wanted = {name + "-node1": version for name, version in files.values()}
            return running == wanted and len(pods) == len(wanted) or None
        return check

    def test_what_runs_is_what_the_files_say(self):
        seed = int(os.environ.get("MAINSTAY_SEED", random.randrange(1 << 30)))
        rng = random.Random(seed)
        agent = self.agent()
        files = {}
        with self.subTest(f"MAINSTAY_SEED={seed}"):
            for burst in range(BURSTS):
                for _ in range(rng.randrange(1, 60)):
                    self.step(agent, rng, files)
                # The end of a burst is a good version of every file that is there: what a bad one
                # leaves behind is the last good one, which depends on what was read in between.
                for file, (name, version) in list(files.items()):
                    agent.drop(file, pod_yaml(name, [COMPONENT, "lock", agent.path("lock-" + name),
                                                     "say", version]))
                agent.wait(self.settled(files), f"burst {burst} of seed {seed} settled")
            for name in self.NAMES:
                if os.path.exists(agent.path("lock-" + name)):
                    with open(agent.path("lock-" + name)) as f:
                        self.assertEqual(f.read(), "", f"{name} ran twice at once")


if __name__ == "__main__":
    harness.main()
