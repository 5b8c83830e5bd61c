"""Room on the node's file systems: told before it is gone, and nobody is evicted for it."""

import os
import subprocess

import harness
from harness import COMPONENT, is_ready, pid_of, pod_yaml


class Pressure(harness.AgentTest):
    def on_small_disk(self, options="size=20m", config=None):
        """An agent whose root directory is a file system of its own."""
        agent = self.agent(start=False, config=config)
        root = agent.path("root")
        os.mkdir(root)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", root],
                          stderr=subprocess.DEVNULL).returncode != 0:
            self.skipTest("tmpfs cannot be mounted here")
        self.addCleanup(subprocess.run, ["umount", "-l", root])
        agent.start()
        return agent, root

    def fill(self, path, percent):
        """With one file, until so much is used."""
        vfs = os.statvfs(os.path.dirname(path))
        used = vfs.f_blocks - vfs.f_bfree
        wanted = vfs.f_blocks * percent // 100
        have = os.stat(path).st_blocks * 512 // vfs.f_frsize if os.path.exists(path) else 0
        with open(path, "ab") as f:
            f.truncate(0)
            f.write(b"x" * (have + wanted - used) * vfs.f_frsize)

    def readyz(self, agent):
        return agent.request("/readyz?verbose")[1]

    def test_a_disk_that_fills_up_is_told_early_and_once(self):
        agent, root = self.on_small_disk()
        extra = "  volumes: [{name: cache, emptyDir: {}}]\n"
        mount = "    volumeMounts: [{name: cache, mountPath: /mnt}]\n"
        agent.drop("web.yaml", pod_yaml("web", [COMPONENT], extra, mount))
        pod = agent.wait_ready_pod("web")
        self.assertIn("[+]disk ok", self.readyz(agent))
        cache = os.path.join(root, "pods", pod["metadata"]["uid"], "volumes", "kubernetes.io~empty-dir", "cache")
        self.fill(os.path.join(cache, "data"), 85)
        self.assertIn("[+]disk ok", self.readyz(agent))
        self.fill(os.path.join(cache, "data"), 93)
        self.assertRegex(self.readyz(agent), r"\[-\]disk failed: .*root has [67]\.\d% of its room left \(.*Mi of 20.0Mi\), less than 10%")
        message = agent.wait_event("DiskPressure")["message"]
        self.assertRegex(message, r"root has [67]\.\d% of its room left .*emptyDir cache of pod default/web-node1 \(1[78]\.\dMi")
        self.assertIn("no pod is evicted", message)
        self.assertIn("[+]loop ok", self.readyz(agent))
        self.assertEqual(agent.request("/livez")[0], 200)  # no restart of the agent would help
        status = agent.cli("status").stdout
        self.assertIn("disk", status)
        self.assertIn("of its room left", status)
        node = agent.cli("get", "nodes", "-o", "jsonpath={.items[0].status.conditions[?(@.type==\"DiskPressure\")].status}")
        self.assertEqual(node.stdout, "True", node.stderr)
        # A little more room is not enough to call it over, and going back is no news.
        self.fill(os.path.join(cache, "data"), 89)
        self.assertIn("[-]disk", self.readyz(agent))
        self.fill(os.path.join(cache, "data"), 93)
        self.assertIn("[-]disk", self.readyz(agent))
        self.assertEqual(len(agent.events("DiskPressure")), 1)
        self.fill(os.path.join(cache, "data"), 80)
        self.assertIn("[+]disk ok", self.readyz(agent))
        self.assertTrue(agent.events("DiskPressureOver"))
        self.assertEqual(pid_of(agent.pod("web")), pid_of(pod))
        self.assertTrue(is_ready(agent.pod("web")))
        last = agent.last_event()
        self.fill(os.path.join(cache, "data"), 95)
        self.assertIn("[-]disk", self.readyz(agent))
        agent.wait_event("DiskPressure", after=last)  # another time is news

    def test_the_thresholds_are_the_kubelets_setting(self):
        agent, root = self.on_small_disk(config="apiVersion: kubelet.config.k8s.io/v1beta1\n"
                                         "kind: KubeletConfiguration\n"
                                         "evictionHard: {nodefs.available: 15Mi, memory.available: 100Mi}\n")
        self.assertIn("[+]disk ok", self.readyz(agent))
        self.fill(os.path.join(root, "data"), 50)
        self.assertRegex(self.readyz(agent), r"\[-\]disk failed: .*\(.*Mi of 20.0Mi\), less than 15.0Mi")

    def test_inodes_count_too(self):
        agent, root = self.on_small_disk("size=20m,nr_inodes=1000")
        vfs = os.statvfs(root)
        many = os.path.join(root, "many")
        os.mkdir(many)
        for i in range(vfs.f_favail - 30):
            open(os.path.join(many, str(i)), "w").close()
        self.assertRegex(self.readyz(agent), r"\[-\]disk failed: .*root has 2\.\d% of its inodes left \(\d\d\), less than 5%")
        agent.wait_event("DiskPressure")


if __name__ == "__main__":
    harness.main()
