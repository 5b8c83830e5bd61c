"""mainstay.dev/restart-on-change and mainstay.dev/reload-signal: what restarts when files change."""

import json
import os

import harness
from harness import COMPONENT, container, pid_of, pod_yaml

SIGNALLED = ["/bin/sh", "-c", "trap 'echo got it' HUP; trap 'exit 0' TERM; echo up; while :; do sleep 0.1; done"]


class Changes(harness.AgentTest):
    def setUp(self):
        self.a = self.agent()
        self.directory = self.a.path("certs")
        os.mkdir(self.directory)

    def put(self, name, text, directory=None):
        """As a careful writer: beside it, then renamed over it."""
        path = os.path.join(directory or self.directory, name)
        with open(path + "~", "w") as f:
            f.write(text)
        os.rename(path + "~", path)

    def spec(self, name, command=None, volume=None, annotations="", extra=""):
        volume = volume or self.directory
        text = pod_yaml(name, command or [COMPONENT, "say", "up"],
                        extra=f"  volumes:\n  - {{name: certs, hostPath: {{path: {volume}}}}}\n",
                        container_extra=extra + "    volumeMounts:\n"
                                                "    - {name: certs, mountPath: /run/certs}\n")
        return text.replace("  namespace: default\n", "  namespace: default\n  annotations: "
                            f"{{mainstay.dev/restart-on-change: certs{annotations}}}\n")

    def run_pod(self, name="etcd", **options):
        """The pod is ready, and what its containers know of the files is on disk."""
        self.a.drop(f"{name}.yaml", self.spec(name, **options))
        self.a.wait_ready_pod(name)
        self.await_known(name)

    def known(self, name):
        path = self.a.path("root", "state", "changes", f"default_{name}-node1.files")
        try:
            with open(path) as f:
                f.readline()
                return {file for volume in json.load(f)["volumes"] for file, _ in volume["files"]}
        except (FileNotFoundError, ValueError):
            return None

    def await_known(self, name):
        self.a.wait(lambda pods: self.known(name) is not None or self.poke(), f"the files of {name}")

    def poke(self):
        """Something the watch brings news of, since nothing does of the file."""
        self.a.post("/mainstay/v1/pods/-/poke/restart") if "poke-node1" in self.a.pods() else \
            self.a.drop("poke.yaml", pod_yaml("poke", [COMPONENT, "say", "poke"]))

    def changed_event(self, name="etcd", after=0):
        return self.a.wait_event("FilesChanged", name, after=after)

    def restarts(self, name="etcd"):
        return container(self.a.pod(name))["restartCount"]

    # ---- what counts as a change ----

    def test_another_content(self):
        self.put("tls.crt", "one")
        self.run_pod()
        self.put("tls.crt", "two")
        event = self.changed_event()
        self.assertIn("certs (tls.crt) changed: restarting container main", event["message"])
        self.a.wait_ready_pod("etcd", restarts=1)

    def test_the_same_content_is_no_change(self):
        """Touched, written again, replaced by a copy: what comes after all that is what restarts."""
        self.put("a", "one")
        self.put("b", "one")
        self.run_pod()
        os.utime(os.path.join(self.directory, "a"))
        self.put("a", "one")
        with open(os.path.join(self.directory, "a"), "w") as f:
            f.write("one")
        self.put("b", "two")
        event = self.changed_event()
        self.assertIn("(b)", event["message"])
        self.a.wait_ready_pod("etcd", restarts=1)
        self.put("c", "three")
        event = self.changed_event(after=event["mainstay"]["id"])
        self.assertIn("(c)", event["message"])
        self.assertEqual(len(self.a.events("FilesChanged")), 2)

    def test_what_editors_leave_is_no_change(self):
        self.put("a", "one")
        self.run_pod()
        for name in (".a.swp", "a~", ".hidden"):
            with open(os.path.join(self.directory, name), "w") as f:
                f.write("x")
        self.put("b", "two")
        self.assertIn("(b)", self.changed_event()["message"])

    def test_a_burst_is_one_restart(self):
        for i in range(20):
            self.put(f"f{i:02}", "one")
        self.run_pod()
        for i in range(20):
            self.put(f"f{i:02}", "two")
        message = self.changed_event()["message"]
        self.assertIn("f00, f01, f02, f03, f04 and 15 more", message)
        self.a.wait_ready_pod("etcd", restarts=1)
        self.put("last", "x")
        self.a.wait_ready_pod("etcd", restarts=2)
        self.assertEqual(self.restarts(), 2)

    def test_a_directory_that_is_swapped(self):
        """As Kubernetes' atomic writer: key → ..data/key, ..data → ..1."""
        for n in ("..1", "..2"):
            os.mkdir(os.path.join(self.directory, n))
            with open(os.path.join(self.directory, n, "key"), "w") as f:
                f.write(n)
        os.symlink("..1", os.path.join(self.directory, "..data"))
        os.symlink("..data/key", os.path.join(self.directory, "key"))
        self.run_pod()
        os.symlink("..2", os.path.join(self.directory, "..data_tmp"))
        os.rename(os.path.join(self.directory, "..data_tmp"), os.path.join(self.directory, "..data"))
        self.assertIn("(key)", self.changed_event()["message"])

    def test_a_symlink_that_is_turned(self):
        """As certbot: live/fullchain.pem → ../archive/fullchain1.pem."""
        archive = self.a.path("archive")
        os.mkdir(archive)
        for n in ("1", "2"):
            self.put(f"fullchain{n}.pem", n, archive)
        link = os.path.join(self.directory, "fullchain.pem")
        os.symlink("../archive/fullchain1.pem", link)
        self.run_pod()
        os.unlink(link)
        os.symlink("../archive/fullchain2.pem", link)
        event = self.changed_event()
        self.assertIn("(fullchain.pem)", event["message"])
        self.put("fullchain2.pem", "3", archive)  # behind the link
        self.changed_event(after=event["mainstay"]["id"])

    def test_below_a_directory(self):
        deep = os.path.join(self.directory, "etcd", "deep")
        os.makedirs(deep)
        self.put("ca.crt", "one", deep)
        self.run_pod()
        self.put("ca.crt", "two", deep)
        event = self.changed_event()
        self.assertIn("(etcd/deep/ca.crt)", event["message"])
        new = os.path.join(self.directory, "new")
        os.mkdir(new)
        self.put("x", "x", new)
        self.assertIn("(new/x)", self.changed_event(after=event["mainstay"]["id"])["message"])

    def test_one_file(self):
        path = os.path.join(self.directory, "admin.conf")
        self.put("admin.conf", "one")
        self.put("other", "one")
        self.run_pod(volume=path)
        self.put("other", "two")
        self.put("admin.conf", "two")
        self.assertIn("admin.conf changed", self.changed_event()["message"])
        self.a.wait_ready_pod("etcd", restarts=1)

    def run_witness(self):
        """A pod whose change tells that all files were looked at."""
        os.mkdir(self.a.path("witness"))
        self.run_pod("witness", volume=self.a.path("witness"))

    def await_look(self):
        last = self.a.last_event()
        self.put("x", str(last), self.a.path("witness"))
        self.changed_event("witness", after=last)

    def test_a_renewal_that_deletes_first(self):
        """Nothing restarts while a file is missing."""
        self.put("tls.crt", "one")
        self.put("tls.key", "one")
        self.run_pod()
        self.run_witness()
        os.unlink(os.path.join(self.directory, "tls.key"))
        self.put("tls.crt", "two")
        self.await_look()
        self.assertEqual(self.a.events("FilesChanged", "etcd"), [])
        self.put("tls.key", "two")
        event = self.changed_event()
        self.assertIn("(tls.crt, tls.key)", event["message"])
        self.a.wait_ready_pod("etcd", restarts=1)
        os.unlink(os.path.join(self.directory, "tls.key"))
        self.put("tls.crt", "three")
        self.await_look()
        self.put("tls.key", "two")  # it comes back as it was
        self.assertIn("(tls.crt)", self.changed_event(after=event["mainstay"]["id"])["message"])

    def test_changes_while_no_agent_is_there(self):
        self.put("tls.crt", "one")
        self.run_pod()
        pid = pid_of(self.a.pod("etcd"))
        self.a.restart()
        self.a.kill()
        self.put("tls.crt", "two")
        self.a.start()
        self.assertIn("(tls.crt)", self.changed_event()["message"])
        self.assertNotEqual(pid_of(self.a.wait_ready_pod("etcd", restarts=1)), pid)

    def test_a_restart_of_the_agent_alone(self):
        self.put("tls.crt", "one")
        self.run_pod()
        pid = pid_of(self.a.pod("etcd"))
        self.a.restart()
        self.run_witness()
        self.await_look()
        self.assertEqual(pid_of(self.a.pod("etcd")), pid)
        self.assertEqual(self.a.events("FilesChanged", "etcd"), [])

    def test_a_pod_that_began_after_the_change(self):
        """It has seen the files: it is not restarted."""
        self.put("tls.crt", "one")
        self.run_pod()
        pid = pid_of(self.a.pod("etcd"))
        self.a.kill()
        self.put("tls.crt", "two")
        os.kill(pid, 9)
        self.a.start()
        self.a.wait_ready_pod("etcd", restarts=1)
        self.run_witness()
        self.await_look()
        self.assertEqual(self.restarts(), 1)

    def test_a_damaged_state(self):
        self.put("tls.crt", "one")
        self.run_pod()
        pid = pid_of(self.a.pod("etcd"))
        self.a.kill()
        with open(self.a.path("root", "state", "changes", "default_etcd-node1.files"), "w") as f:
            f.write("nothing")
        self.a.start()
        self.a.wait_event("StateDamaged", "etcd")
        self.assertEqual(pid_of(self.a.wait_ready_pod("etcd")), pid)
        self.await_known("etcd")
        self.put("tls.crt", "two")
        self.a.wait_ready_pod("etcd", restarts=1)

    def test_what_is_kept_goes_with_the_pod(self):
        self.run_pod()
        self.a.remove("etcd.yaml")
        self.a.wait_gone("etcd")
        self.run_pod("other")
        self.assertIsNone(self.known("etcd"))
        self.a.kill()
        os.unlink(os.path.join(self.a.manifests, "other.yaml"))
        self.a.start()
        self.a.wait_gone("other")
        self.assertIsNone(self.known("other"))

    # ---- signals ----

    def test_a_signal_instead(self):
        self.put("tls.crt", "one")
        self.run_pod(command=SIGNALLED, annotations=", mainstay.dev/reload-signal: HUP")
        pid = pid_of(self.a.pod("etcd"))
        self.put("tls.crt", "two")
        self.assertIn("sending SIGHUP to container main", self.changed_event()["message"])
        self.a.cli("logs", "-f", "etcd", "--limit-bytes", str(len("up\ngot it\n")), check=True)
        self.assertEqual(self.a.log_text("etcd"), ["up", "got it"])
        self.assertEqual(pid_of(self.a.pod("etcd")), pid)

    def test_a_signal_that_would_be_in_vain(self):
        """A file that is mounted by itself stays the old one for the container."""
        self.put("admin.conf", "one")
        self.run_pod(command=SIGNALLED, volume=os.path.join(self.directory, "admin.conf"),
                     annotations=", mainstay.dev/reload-signal: HUP")
        self.put("admin.conf", "two")
        self.assertIn("restarting container main (a signal would not do", self.changed_event()["message"])
        self.a.wait_ready_pod("etcd", restarts=1)

    # ---- one after the other ----

    def test_one_at_a_time(self):
        self.put("tls.crt", "one")
        for name in "abc":
            self.run_pod(name)
        last = self.a.last_event()
        self.put("tls.crt", "two")
        for name in "abc":
            self.a.wait_ready_pod(name, restarts=1)
        order = [(e["reason"], e["involvedObject"]["name"][:1])
                 for e in self.a.get(f"/mainstay/v1/events?after={last}")["items"]
                 if e["reason"] in ("FilesChanged", "Started")]
        self.assertEqual(order, [(r, n) for n in "abc" for r in ("FilesChanged", "Started")])

    def test_signals_one_at_a_time(self):
        """Nothing but the signal happens to a pod that gets one: its turn ends by itself, again and again."""
        self.put("tls.crt", "0")
        for name in "ab":
            self.run_pod(name, command=SIGNALLED, annotations=", mainstay.dev/reload-signal: HUP")
        for turn in "123":
            last = self.a.last_event()
            self.put("tls.crt", turn)
            for name in "ab":
                self.changed_event(name, after=last)
        for name in "ab":
            self.a.cli("logs", "-f", name, "--limit-bytes", str(len("up\n" + 3 * "got it\n")), check=True)
            self.assertEqual(self.restarts(name), 0)

    def test_in_the_order_of_dependencies(self):
        self.put("tls.crt", "one")
        self.run_pod("z")
        self.run_pod("m", annotations=", mainstay.dev/depends-on: z")
        self.run_pod("a", annotations=", mainstay.dev/depends-on: m")
        last = self.a.last_event()
        self.put("tls.crt", "two")
        for name in "zma":
            self.a.wait_ready_pod(name, restarts=1)
        order = [e["involvedObject"]["name"][:1]
                 for e in self.a.get(f"/mainstay/v1/events?after={last}")["items"]
                 if e["reason"] == "FilesChanged"]
        self.assertEqual(order, ["z", "m", "a"])

    def test_one_that_does_not_become_ready_holds_the_others(self):
        self.put("tls.crt", "good")
        command = ["/bin/sh", "-c", f"grep -q good /run/certs/tls.crt && exec {COMPONENT} say up; exit 5"]
        for name in "ab":
            self.run_pod(name, command=command)
            self.a.cli("logs", "-f", name, "--limit-bytes", "3", check=True)  # it has read the file
        self.put("tls.crt", "bad")
        event = self.a.wait_event("RollStopped", "a")
        self.assertIn("Not restarted until it is, though their files changed, too: b-node1",
                      event["message"])
        self.assertEqual(self.restarts("b"), 0)
        self.a.restart()  # the next agent does not forget it
        self.a.wait(lambda pods: not harness.is_ready(pods["a-node1"]) or None, "a is not ready")
        self.assertEqual(self.restarts("b"), 0)
        self.put("tls.crt", "good")
        self.a.post("/mainstay/v1/pods/-/a/retry")
        self.a.wait_ready_pod("a")
        self.put("tls.crt", "still good")
        self.a.wait_ready_pod("b", restarts=1)

    def test_a_pod_that_is_stopped_by_an_operator_stays_so(self):
        self.put("tls.crt", "one")
        self.run_pod("a")
        self.run_pod("b")
        self.a.post("/mainstay/v1/pods/-/a/stop")
        self.a.wait(lambda pods: pods["a-node1"]["mainstay"]["state"] == "Held" or None, "held")
        self.put("tls.crt", "two")
        self.a.wait_ready_pod("b", restarts=1)
        self.assertEqual(self.a.pod("a")["mainstay"]["state"], "Held")
        self.assertEqual(self.a.events("FilesChanged", "a"), [])


if __name__ == "__main__":
    harness.main()
