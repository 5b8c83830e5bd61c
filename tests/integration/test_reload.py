"""Reading the configuration anew, without a service manager: SIGHUP, `mainstay reload`, SIGUSR2."""

import os
import signal
import socket
import threading
from http.client import HTTPException

import harness
from harness import COMPONENT, AgentTest, pid_of, pod_yaml

HEADER = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n"
LINES = [COMPONENT, "lines", "0", "1"]


class Asker(threading.Thread):
    """Connects without a pause until it is stopped; what went wrong is in .refused."""

    def __init__(self, path):
        super().__init__()
        self.path, self.connected, self.refused = path, 0, []
        self.over = threading.Event()
        self.start()

    def run(self):
        while not self.over.is_set():
            with socket.socket(socket.AF_UNIX) as s:
                try:
                    s.connect(self.path)
                    self.connected += 1
                    s.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                    s.recv(4096)
                except (ConnectionRefusedError, FileNotFoundError) as e:
                    self.refused.append(str(e))
                except OSError:
                    pass

    def stop(self):
        self.over.set()
        self.join(harness.WAIT_SECONDS)


class Reload(AgentTest):
    def configured(self, fields):
        return self.agent(config=HEADER + fields)

    def wait_reloaded(self, agent, after):
        """Its connections end whenever the agent executes itself anew."""
        for _ in range(100):
            try:
                return agent.wait_event("ConfigurationReloaded", after=after)
            except (OSError, HTTPException):
                pass
            except AssertionError:
                if agent.process.poll() is not None:
                    raise
        raise AssertionError("no connection lasts\n" + agent.agent_log())

    def test_no_client_is_refused_while_it_executes_itself_anew(self):
        agent = self.configured("fileCheckFrequency: 1h\n")
        agent.drop("w.yaml", pod_yaml("w", LINES))
        pid, process = pid_of(agent.wait_ready_pod("w")), agent.process.pid
        asker = Asker(agent.socket)
        try:
            for i in range(5):
                agent.process.send_signal(signal.SIGUSR2)
                agent.wait_ready()
                agent.write("config.yaml", HEADER + f"fileCheckFrequency: {i + 1}s\n")
                done = agent.cli("reload")
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn(f"→ {i + 1}s", done.stdout)
                agent.wait_ready()
        finally:
            asker.stop()
        self.assertEqual(asker.refused, [])
        self.assertGreater(asker.connected, 10)
        self.assertEqual(agent.get("/mainstay/v1/status")["pid"], process)
        self.assertEqual(pid_of(agent.wait_ready_pod("w")), pid)

    def test_signals_on_the_way_do_no_harm(self):
        agent = self.configured("fileCheckFrequency: 1h\n")
        for i in range(10):
            after = agent.last_event()
            agent.write("config.yaml", HEADER + f"fileCheckFrequency: {i + 1}s\n")
            for _ in range(20):
                agent.process.send_signal(signal.SIGHUP)
            self.wait_reloaded(agent, after)
        self.assertIsNone(agent.process.poll())
        self.assertEqual(agent.get("/configz")["kubeletconfig"]["fileCheckFrequency"], "10s")

    def test_a_wrong_file_is_refused_with_its_place(self):
        agent = self.configured("fileCheckFrequency: 1h\n")
        place = agent.path("config.yaml") + ":3:21: fileCheckFrequency: must be a duration"
        agent.write("config.yaml", HEADER + "fileCheckFrequency: soon\n")
        done = agent.cli("reload")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn(place, done.stderr)
        self.assertIn(place, agent.events("ConfigurationRefused")[0]["message"])
        self.assertIn(place, agent.get("/mainstay/v1/status")["configuration"]["refused"])
        self.assertIn(place, agent.cli("status").stdout)
        agent.restart()
        self.assertEqual(agent.get("/configz")["kubeletconfig"]["fileCheckFrequency"], "1h0m0s")
        self.assertIn(place, agent.get("/mainstay/v1/status")["configuration"]["refused"])
        os.unlink(agent.path("config.yaml"))
        done = agent.cli("reload")
        self.assertEqual(done.returncode, 1)
        self.assertIn("cannot be read: No such file", done.stderr)
        agent.write("config.yaml", HEADER + "fileCheckFrequency: 1h\n")
        done = agent.cli("reload")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("as before", done.stdout)
        self.assertIsNone(agent.get("/mainstay/v1/status")["configuration"]["refused"])

    def test_without_an_agent(self):
        agent = self.agent(start=False)
        self.assertEqual(agent.cli("reload").returncode, 3)
        self.assertEqual(agent.cli("reload", "now").returncode, 2)


if __name__ == "__main__":
    harness.main()
