"""What a user would run instead, each behind the same few calls."""

import os
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import harness
from harness import COMPONENT, pod_yaml


class Peer:
    """services(): starts many at once. start(): from a change on disk to a running service."""

    name = ""
    missing = None  # why it cannot be measured here
    slow = False    # starts take so long that a few have to do

    def __init__(self, directory):
        self.dir = os.path.join(directory, self.name)
        os.makedirs(self.dir)

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def close(self):
        pass


class Mainstay(Peer):
    name = "mainstay"

    def __init__(self, directory):
        super().__init__(directory)
        self.agent = harness.Agent("--run-dir", self.path("run"))

    def version(self):
        return subprocess.run([harness.MAINSTAYD, "--version"], capture_output=True, text=True).stdout.split()[-1]

    def prepare(self, name, words):
        """Everything but the last step, which start() does."""
        with open(self.agent.path("ready-" + name), "w") as f:
            f.write(pod_yaml(name, [COMPONENT] + words))

    def start(self, name):
        os.rename(self.agent.path("ready-" + name), os.path.join(self.agent.manifests, name + ".yaml"))

    def stop(self, name):
        self.agent.remove(name + ".yaml")
        self.agent.wait_gone(name)

    def stop_all(self, names):
        for name in names:
            self.agent.remove(name + ".yaml")
        self.agent.wait(lambda pods: not pods or None, "all gone")

    def pids(self):
        return [self.agent.process.pid]

    def keepers(self):
        """The processes that stand beside a service for its sake alone."""
        return children(self.agent.process.pid)

    def close(self):
        self.agent.close()


class Runit(Peer):
    name = "runit"
    missing = None if shutil.which("runsvdir") else "runit is not installed"
    slow = True

    def __init__(self, directory):
        super().__init__(directory)
        os.mkdir(self.path("service"))
        os.mkdir(self.path("available"))
        os.mkdir(self.path("gone"))
        self.process = subprocess.Popen(["runsvdir", self.path("service")], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)

    def version(self):
        return debian_version("runit")

    def prepare(self, name, words):
        os.mkdir(self.path("available", name))
        write_program(self.path("available", name, "run"), words)

    def start(self, name):
        os.rename(self.path("available", name), self.path("service", name))

    def stop(self, name):
        self.stop_all([name])

    def stop_all(self, names):
        for name in names:  # first out of its sight: it would start again what it still sees
            os.rename(self.path("service", name), self.path("gone", name))
        subprocess.run(["sv", "-w", "20", "force-shutdown"] + [self.path("gone", name) for name in names],
                       capture_output=True)

    def pids(self):
        return [self.process.pid]

    def keepers(self):
        return children(self.process.pid)

    def close(self):
        self.process.send_signal(signal.SIGHUP)
        self.process.wait(30)


class S6(Peer):
    name = "s6"
    missing = None if shutil.which("s6-svscan") else "s6 is not installed"

    def __init__(self, directory):
        super().__init__(directory)
        os.mkdir(self.path("service"))
        os.mkdir(self.path("available"))
        os.mkdir(self.path("gone"))
        self.process = subprocess.Popen(["s6-svscan", "-c", "2000", self.path("service")],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while subprocess.run(["s6-svscanctl", "-a", self.path("service")], capture_output=True).returncode:
            pass

    def version(self):
        return debian_version("s6")

    def prepare(self, name, words):
        os.mkdir(self.path("available", name))
        write_program(self.path("available", name, "run"), words)

    def start(self, name):
        os.rename(self.path("available", name), self.path("service", name))
        subprocess.run(["s6-svscanctl", "-a", self.path("service")], check=True)

    def stop(self, name):
        self.stop_all([name])

    def stop_all(self, names):
        for name in names:
            os.rename(self.path("service", name), self.path("gone", name))
        subprocess.run(["s6-svscanctl", "-an", self.path("service")], check=True)
        subprocess.run(["s6-svwait", "-D", "-t", "20000"] + [self.path("gone", name) for name in names],
                       capture_output=True)

    def pids(self):
        return [self.process.pid]

    def keepers(self):
        return [p for p in children(self.process.pid) if command_of(p).startswith("s6-supervise")]

    def close(self):
        subprocess.run(["s6-svscanctl", "-t", self.path("service")], check=True)
        self.process.wait(30)


class Supervisord(Peer):
    name = "supervisord"
    missing = None if shutil.which("supervisord") else "supervisor is not installed"
    slow = True

    def __init__(self, directory):
        super().__init__(directory)
        os.mkdir(self.path("conf"))
        with open(self.path("supervisord.conf"), "w") as f:
            f.write(f"[supervisord]\nnodaemon=true\nlogfile={self.path('log')}\npidfile={self.path('pid')}\n"
                    f"[unix_http_server]\nfile={self.path('sock')}\n"
                    "[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory = "
                    "supervisor.rpcinterface:make_main_rpcinterface\n"
                    f"[supervisorctl]\nserverurl=unix://{self.path('sock')}\n"
                    f"[include]\nfiles={self.path('conf')}/*.conf\n")
        self.process = subprocess.Popen(["supervisord", "-c", self.path("supervisord.conf")],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while b"refused" in self.ctl("status") or b"no such file" in self.ctl("status"):
            pass

    def ctl(self, *words):
        return subprocess.run(["supervisorctl", "-c", self.path("supervisord.conf"), *words],
                              capture_output=True).stdout

    def version(self):
        return debian_version("supervisor")

    def prepare(self, name, words):
        with open(self.path("ready-" + name), "w") as f:
            f.write(f"[program:{name}]\ncommand={COMPONENT} {' '.join(words)}\nautorestart=true\nstartsecs=0\n")

    def start(self, name):
        self.start_all([name])

    def start_all(self, names):
        for name in names:
            os.rename(self.path("ready-" + name), self.path("conf", name + ".conf"))
        self.ctl("update")

    def stop(self, name):
        self.stop_all([name])

    def stop_all(self, names):
        self.ctl("stop", "all")  # all at once, which an update does not do
        for name in names:
            os.unlink(self.path("conf", name + ".conf"))
        self.ctl("update")

    def pids(self):
        return [self.process.pid]

    def keepers(self):
        return []

    def close(self):
        self.process.terminate()
        self.process.wait(30)


def write_program(path, words):
    with open(path, "w") as f:
        f.write("#!/bin/sh\nexec " + " ".join([COMPONENT] + words) + "\n")
    os.chmod(path, 0o755)


def debian_version(package):
    return subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True,
                          text=True).stdout or "?"


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return [int(word) for word in f.read().split()]


def command_of(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read().decode(errors="replace")
    except OSError:
        return ""


PEERS = [Mainstay, Runit, S6, Supervisord]
