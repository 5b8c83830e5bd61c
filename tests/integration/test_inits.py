"""The agent under sysv's start-stop-daemon, runit's runsv, s6-supervise and OpenRC, with the files as they
are packaged (only the paths in them are others'), and podmaster under a real systemd."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import harness
import machine
from harness import COMPONENT, MAINSTAY, MAINSTAYD, SOURCE, WAIT_SECONDS, pid_of, pod_yaml

PACKAGING = os.path.join(SOURCE, "packaging")
TRAP = "trap 'echo got TERM; exit 0' TERM; echo up; while :; do sleep 0.02; done"


class Service(harness.Agent):
    """An agent that an init starts: its files are here, its process is somebody else's."""

    def __init__(self):
        super().__init__(start=False)
        self.pid_file = self.path("run", "mainstayd.pid")
        _, *flags = super().command()
        self.write("default", f'MAINSTAYD_OPTS="{" ".join(flags)}"\n'
                              f'MAINSTAY_SOCKET="{self.socket}"\n'
                              f'MAINSTAYD_LOG="{self.path("agent.log")}"\n')
        self.write("agent.log", "")

    def install(self, source, target):
        """The packaged file with the paths of this test."""
        with open(os.path.join(PACKAGING, source)) as f:
            text = f.read()
        others = {"/usr/local/sbin/mainstayd": MAINSTAYD, "/usr/local/bin/mainstay": MAINSTAY,
                  "/usr/local/libexec/mainstay/stop-pods": os.path.join(PACKAGING, "stop-pods"),
                  "/etc/default/mainstay": self.path("default"),
                  "/run/mainstay/mainstayd.pid": self.pid_file,
                  "/run/mainstayd.supervise.pid": self.path("supervise.pid"),
                  "/var/log/mainstayd.log": self.path("agent.log"), "/run/mainstay": self.path("run")}
        text = re.sub("|".join(map(re.escape, others)), lambda found: others[found.group()], text)
        os.makedirs(os.path.dirname(self.path(target)), exist_ok=True)
        self.write(target, text)
        shutil.copymode(os.path.join(PACKAGING, source), self.path(target))
        return self.path(target)

    def environment(self, **more):
        env = {k: v for k, v in os.environ.items() if k not in ("NOTIFY_SOCKET", "RUNLEVEL")}
        return {**env, **more}

    def agent_pid(self):
        return self.get("/mainstay/v1/status")["pid"]

    def run_pod(self, command=(COMPONENT,)):
        self.drop("w.yaml", pod_yaml("w", command))
        return pid_of(self.wait_ready_pod("w"))

    def wait_next(self, before):
        """Until another agent than process `before` answers."""
        end = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < end:
            with contextlib.suppress(OSError, AssertionError):
                if self.agent_pid() != before and self.get("/mainstay/v1/status")["ready"]:
                    return
            time.sleep(0.05)
        raise AssertionError(f"no agent came after process {before}:\n" + self.agent_log())

    def kill_agent(self):
        before = self.agent_pid()
        os.kill(before, signal.SIGKILL)
        self.wait_next(before)

    def close(self):
        with contextlib.suppress(OSError):
            os.kill(self.agent_pid(), signal.SIGRTMIN + 3)
            end = time.monotonic() + WAIT_SECONDS
            while harness.processes_with(self.dir) and time.monotonic() < end:
                time.sleep(0.05)
        super().close()


class Inits(unittest.TestCase):
    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("services are started by root")

    def need(self, *programs):
        for program in programs:
            if not shutil.which(program):
                self.skipTest(f"{program} is not installed")

    def service(self):
        service = Service()
        self.addCleanup(service.close)
        return service

    def alive(self, pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 0)
            return True
        return False

    # ---- the defaults file

    def test_the_defaults_file_means_the_same_to_sh_and_systemd(self):
        for name in ("mainstay", "mainstay-podmaster"):
            path = os.path.join(PACKAGING, "default", name)
            with open(path) as f:
                lines = [line.rstrip("\n") for line in f if line.strip() and not line.startswith("#")]
            for line in lines:  # nothing that only one of them expands
                self.assertRegex(line, r'^[A-Z_]+="[^"$`\\]*"$')
            names = " ".join(line.split("=")[0] for line in lines)
            shown = subprocess.run(["sh", "-euc", f". {path}; for n in {names}; do eval \"echo $n=\\$$n\"; done"],
                                   check=True, capture_output=True, text=True).stdout
            self.assertEqual(shown.splitlines(), [line.replace('"', "") for line in lines])
        self.assertIn("MAINSTAYD_OPTS", subprocess.run(["sed", "-n", "s/=.*//p", os.path.join(
            PACKAGING, "default", "mainstay")], check=True, capture_output=True, text=True).stdout)

    # ---- sysv

    def sysv(self):
        self.need("start-stop-daemon")
        if not os.path.exists("/lib/lsb/init-functions"):
            self.skipTest("no /lib/lsb/init-functions")
        service = self.service()
        return service, service.install("sysv/mainstayd", "init.d/mainstayd")

    def call(self, service, script, action, expected=0, **env):
        done = subprocess.run([script, action], capture_output=True, text=True, timeout=WAIT_SECONDS,
                              stdin=subprocess.DEVNULL, env=service.environment(**env), check=False)
        self.assertEqual(done.returncode, expected, done.stdout + done.stderr + service.agent_log())
        return done.stdout + done.stderr

    def test_sysv_start_says_ok_when_it_is_ready(self):
        service, script = self.sysv()
        self.assertIn("does not run", self.call(service, script, "status", 3))
        service.drop("w.yaml", pod_yaml("w", [COMPONENT]))
        self.call(service, script, "start")
        self.assertTrue(service.get("/mainstay/v1/status")["ready"])  # at once
        pid = service.agent_pid()
        with open(service.pid_file) as f:
            self.assertEqual(int(f.read()), pid)
        self.assertIn(f"process {pid}", self.call(service, script, "status"))
        self.call(service, script, "start")  # is no error, and starts no second one
        self.assertEqual(service.agent_pid(), pid)

    def test_sysv_stop_and_restart_leave_the_pods(self):
        service, script = self.sysv()
        self.call(service, script, "start")
        pod, first = service.run_pod(), service.agent_pid()
        self.call(service, script, "restart")
        self.assertNotEqual(service.agent_pid(), first)
        self.assertEqual(pid_of(service.wait_ready_pod("w")), pod)
        self.call(service, script, "stop")
        self.assertTrue(self.alive(pod))
        self.call(service, script, "status", 3)
        self.call(service, script, "stop")  # is no error either
        self.call(service, script, "start")
        self.assertEqual(pid_of(service.wait_ready_pod("w")), pod)
        self.call(service, script, "force-reload")
        self.assertEqual(pid_of(service.wait_ready_pod("w")), pod)
        last = service.agent_pid()
        os.kill(last, signal.SIGKILL)
        harness.wait_process_gone(last)
        self.assertIn("is dead", self.call(service, script, "status", 1))
        self.call(service, script, "start")
        self.assertEqual(pid_of(service.wait_ready_pod("w")), pod)

    def test_sysv_pods_stop_when_the_machine_goes_down(self):
        for action, env in (("stop", {"RUNLEVEL": "0"}), ("stop", {"RUNLEVEL": "6"}), ("stop-pods", {})):
            with self.subTest(action, **env):
                service, script = self.sysv()
                self.call(service, script, "start")
                pod = service.run_pod(["/bin/sh", "-c", TRAP])
                self.call(service, script, action, **env)
                self.assertFalse(self.alive(pod))
                self.assertIn("got TERM", service.log_text("w"))
                self.call(service, script, "status", 3)

    def test_sysv_pods_of_a_stopped_agent_stop_too(self):
        service, script = self.sysv()
        self.call(service, script, "start")
        pod = service.run_pod(["/bin/sh", "-c", TRAP])
        self.call(service, script, "stop")
        self.call(service, script, "stop", RUNLEVEL="0", MAINSTAY_RUN_DIR=service.path("run"))
        self.assertFalse(self.alive(pod))
        self.assertIn("got TERM", service.log_text("w"))

    def test_sysv_reload_says_what_is_wrong(self):
        service, script = self.sysv()
        self.call(service, script, "reload", 7)
        self.call(service, script, "start")
        pod = service.run_pod()
        service.drop("bad.yaml", "kind: Pot\n")
        self.assertRegex(self.call(service, script, "reload"), r"bad\.yaml:1:7: kind")
        self.assertEqual(pid_of(service.wait_ready_pod("w")), pod)
        service.remove("bad.yaml")
        self.call(service, script, "stop")
        service.write("config.yaml", "kind: KubeletConfiguration\n"
                                     "apiVersion: kubelet.config.k8s.io/v1beta1\n")
        with open(service.path("default"), "a") as f:
            f.write(f'MAINSTAYD_OPTS="$MAINSTAYD_OPTS --config {service.path("config.yaml")}"\n')
        self.call(service, script, "start")
        self.call(service, script, "reload")
        service.write("config.yaml", "kind: KubeletConfiguration\nhealthzPrt: 1\n"
                                     "apiVersion: kubelet.config.k8s.io/v1beta1\n")
        self.assertRegex(self.call(service, script, "reload", 1), r"config\.yaml:2:1: .*healthzPort")
        self.assertEqual(pid_of(service.wait_ready_pod("w")), pod)

    def test_sysv_start_fails_in_time(self):
        service, script = self.sysv()
        with open(service.path("default"), "a") as f:
            f.write('MAINSTAYD_OPTS="--no-such-flag"\n')
        self.assertIn(service.path("agent.log"), self.call(service, script, "start", 1))
        self.assertIn("unknown flag: --no-such-flag", service.agent_log())
        self.call(service, script, "bogus", 2)

    def test_sysv_order(self):
        """insserv puts it behind the network and stops it before that goes."""
        self.need("insserv")
        with tempfile.TemporaryDirectory() as root:
            for name in ["init.d"] + [f"rc{level}.d" for level in "0123456S"]:
                os.mkdir(os.path.join(root, name))
            shutil.copy(os.path.join(PACKAGING, "sysv", "mainstayd"), os.path.join(root, "init.d"))
            others = ["networking", "mountall", "rsyslog"]
            for name in others:
                with open(os.path.join(root, "init.d", name), "w") as f:
                    f.write(f"#!/bin/sh\n### BEGIN INIT INFO\n# Provides: {name}\n# Required-Start:\n"
                            "# Required-Stop:\n# Default-Start: 2 3 4 5\n# Default-Stop: 0 1 6\n"
                            "# Short-Description: x\n### END INIT INFO\n")
                os.chmod(f.name, 0o755)
            with open(os.path.join(root, "insserv.conf"), "w") as f:
                f.write("$network networking\n$local_fs mountall\n$remote_fs $local_fs\n$syslog rsyslog\n"
                        "$named $network\n$time rsyslog\n")
            done = subprocess.run(["insserv", "-c", os.path.join(root, "insserv.conf"), "-p",
                                   os.path.join(root, "init.d"), "-o", "/nonexistent", "mainstayd",
                                   *others],
                                  capture_output=True, text=True, check=False)
            links = {level: sorted(os.listdir(os.path.join(root, f"rc{level}.d"))) for level in "0126"}
            self.assertEqual((done.returncode, "warning" in done.stderr), (0, False), done.stderr)
        starts = [re.sub(r"^S\d+", "", name) for name in links["2"]]
        self.assertGreater(starts.index("mainstayd"), starts.index("networking"))
        for level in "016":
            stops = [name for name in links[level] if name.startswith("K")]
            mine = next(name for name in stops if name.endswith("mainstayd"))
            self.assertTrue(all(mine[:3] < name[:3] for name in stops if name != mine), stops)

    # ---- runit and s6

    def supervised(self, service, *command):
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=service.environment(),
                                   stdout=open(service.path("agent.log"), "ab"), stderr=subprocess.STDOUT)
        self.addCleanup(process.wait, WAIT_SECONDS)
        return process

    def tell(self, service, *command, expected=0):
        done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_SECONDS,
                              env=service.environment(), check=False)
        self.assertEqual(done.returncode, expected, done.stdout + done.stderr + service.agent_log())
        return done.stdout

    def until(self, service, *command):
        """A supervisor that has only been started tells nobody when it listens."""
        end = time.monotonic() + WAIT_SECONDS
        while subprocess.run(command, capture_output=True, env=service.environment(), check=False).returncode:
            self.assertLess(time.monotonic(), end, service.agent_log())
            time.sleep(0.02)

    def test_runit(self):
        self.need("runsv", "sv")
        service = self.service()
        for name in ("run", "finish", "check"):
            directory = os.path.dirname(service.install(f"runit/mainstayd/{name}", f"service/{name}"))
        runsv = self.supervised(service, "runsv", directory)
        self.addCleanup(runsv.terminate)  # down, then its end
        self.until(service, "sv", "status", directory)  # runsv listens
        self.tell(service, "sv", "-w", str(int(WAIT_SECONDS)), "start", directory)  # waits for check
        self.assertTrue(service.get("/mainstay/v1/status")["ready"])
        self.tell(service, "sv", "check", directory)
        pod = service.run_pod()
        service.kill_agent()
        self.assertEqual(pid_of(service.wait_ready_pod("w")), pod)
        self.assertIn("ended by signal 9", service.agent_log())
        self.tell(service, "sv", "-w", str(int(WAIT_SECONDS)), "stop", directory)
        self.assertTrue(self.alive(pod))
        self.assertFalse(os.path.exists(service.socket))
        self.tell(service, "sv", "-w", str(int(WAIT_SECONDS)), "start", directory)
        self.assertEqual(pid_of(service.wait_ready_pod("w")), pod)
        self.tell(service, "sv", "-w", str(int(WAIT_SECONDS)), "restart", directory)
        self.assertEqual(pid_of(service.wait_ready_pod("w")), pod)

    def test_s6(self):
        self.need("s6-supervise", "s6-svwait")
        service = self.service()
        for name in ("run", "notification-fd", "data/check"):
            service.install(f"s6/mainstayd/{name}", f"service/{name}")
        directory = service.path("service")
        s6 = self.supervised(service, "s6-supervise", directory)
        self.addCleanup(s6.send_signal, signal.SIGHUP)  # its end, when the service is down
        self.addCleanup(self.tell, service, "s6-svc", "-dx", directory)
        milliseconds = str(int(WAIT_SECONDS * 1000))
        self.until(service, "s6-svok", directory)  # s6-supervise listens
        self.tell(service, "s6-svwait", "-U", "-t", milliseconds, directory)
        self.assertTrue(service.get("/mainstay/v1/status")["ready"])
        pod = service.run_pod()
        service.kill_agent()
        self.assertEqual(pid_of(service.wait_ready_pod("w")), pod)
        self.tell(service, "s6-svc", "-wd", "-T", milliseconds, "-d", directory)
        self.assertTrue(self.alive(pod))
        self.tell(service, "s6-svc", "-wU", "-T", milliseconds, "-u", directory)
        self.assertEqual(pid_of(service.wait_ready_pod("w")), pod)

    # ---- OpenRC

    def openrc(self, service):
        """Runs commands where OpenRC believes to have booted: in mount and PID namespaces of their own."""
        root = service.path("openrc")
        service.install("openrc/mainstayd", "openrc/init.d/mainstayd")
        for name in ("localmount", "net"):  # what it needs and uses; nothing else is to be started
            service.write(f"openrc/init.d/{name}", "#!/sbin/openrc-run\nstart() { :; }\n")
            os.chmod(service.path("openrc", "init.d", name), 0o755)
        for level in ("sysinit", "boot", "default", "shutdown", "reboot", "single"):
            os.makedirs(service.path("openrc", "runlevels", level))
        setup = (f"set -e; mount --bind {root}/init.d /etc/init.d; mount --bind {root}/runlevels /etc/runlevels;"
                 "mount -t tmpfs run /run; mkdir /run/openrc; cd /run/openrc; mkdir starting started stopping"
                 " inactive wasinactive failed hotplugged daemons options exclusive scheduled tmp;"
                 "touch softlevel; echo up; while sleep 0.05; do :; done")  # it reaps
        keeper = subprocess.Popen(["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child",
                                   "sh", "-c", setup], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
        self.addCleanup(keeper.stdout.close)
        self.addCleanup(keeper.wait, WAIT_SECONDS)
        self.addCleanup(keeper.kill)
        if keeper.stdout.readline() != "up\n":
            self.skipTest("no place for OpenRC can be made here")
        with open(f"/proc/{keeper.pid}/task/{keeper.pid}/children") as f:
            first = f.read().split()[0]

        def run(*words, expected=0):
            done = subprocess.run(["nsenter", "-t", first, "-m", "-p", *words], capture_output=True, text=True,
                                  timeout=WAIT_SECONDS, stdin=subprocess.DEVNULL, check=False)
            self.assertEqual(done.returncode, expected, done.stdout + done.stderr + service.agent_log())
            return done.stdout + done.stderr
        return run

    def test_openrc(self):
        self.need("openrc-run", "supervise-daemon", "openrc")
        service = self.service()
        run = self.openrc(service)
        script = "/etc/init.d/mainstayd"
        run(script, "status", expected=3)
        run(script, "start")
        self.assertTrue(service.get("/mainstay/v1/status")["ready"])
        run(script, "status")
        pod, first = service.run_pod(["/bin/sh", "-c", TRAP]), service.agent_pid()
        run("kill", "-KILL", str(first))
        service.wait_next(first)
        run(script, "reload")
        run(script, "restart")
        run(script, "stop")
        self.assertIn("trap", run("cat", f"/proc/{pod}/cmdline"))  # it lives
        run(script, "start")
        self.assertEqual(pid_of(service.wait_ready_pod("w")), pod)
        self.assertEqual(harness.container(service.pod("w"))["restartCount"], 0)
        run("openrc", "shutdown")  # what init calls when the machine goes down
        self.assertIn("got TERM", service.log_text("w"))
        run("test", "-e", f"/proc/{pod}", expected=1)
        run(script, "status", expected=3)


class Sysvinit(unittest.TestCase):
    """A machine with a real sysvinit. Its root file system takes minutes to make: MAINSTAY_TEST_SYSVINIT=1."""

    def root(self):
        """A Debian with sysvinit as its init; it is kept as that with systemd is."""
        root = os.path.join(machine.CACHE, "sysvinit-root")
        if os.path.isdir(root):
            return root
        names = set(machine.packages()) - {"systemd", "systemd-sysv", "dbus"}
        names |= {"sysvinit-core", "initscripts", "insserv"}
        os.makedirs(machine.CACHE, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=machine.CACHE) as new:
            subprocess.run(["mmdebstrap", "--variant=minbase", "--include=" + ",".join(sorted(names)),
                            machine.codename(), os.path.join(new, "root")], check=True, capture_output=True)
            os.makedirs(os.path.join(new, "root/etc/systemd/system"), exist_ok=True)  # class Machine wants it
            os.rename(os.path.join(new, "root"), root)
        return root

    def test_boot_and_halt(self):
        if not os.environ.get("MAINSTAY_TEST_SYSVINIT"):
            self.skipTest("MAINSTAY_TEST_SYSVINIT is not set")
        why_not = machine.why_no_machines()
        if why_not:
            self.skipTest(why_not)
        m = machine.Machine(root=self.root())
        self.addCleanup(m.close)
        m.agent_log = m.console
        os.makedirs(m.path("etc/init.d"), exist_ok=True)
        shutil.copy(os.path.join(PACKAGING, "sysv", "mainstayd"), m.path("etc/init.d"))
        subprocess.run(["chroot", m.root, "update-rc.d", "mainstayd", "defaults"], check=True, capture_output=True)
        m.write("etc/default/mainstay", f'MAINSTAYD_OPTS="--hostname-override {machine.NODE}"\n')
        m.write("etc/kubernetes/manifests/w.yaml", pod_yaml("w", ["/bin/sh", "-c", TRAP.replace("exit 0", "exit 7")]))
        m.boot()
        end = time.monotonic() + WAIT_SECONDS
        while "ready" not in m.run("mainstay", "status", check=False) and time.monotonic() < end:
            time.sleep(0.1)
        pid = machine.pid_of(m.wait_pod("w"))
        m.run("service", "mainstayd", "restart")
        self.assertEqual(machine.pid_of(m.wait_pod("w")), pid)
        m.run("service", "mainstayd", "status")
        m.run("shutdown", "-h", "now")
        m.nspawn.wait(WAIT_SECONDS)
        with open(m.path("var/log/mainstayd.log")) as f:
            log = f.read()
        self.assertIn("Exited: run 0 of container main exited with status 7", log)
        self.assertNotIn("SIGKILL", log)


class Podmaster(unittest.TestCase):
    """mainstay-podmaster@.service under a real systemd, with a real etcd."""

    def machine(self):
        programs = {**machine.PROGRAMS, "podmaster": "/usr/local/sbin/podmaster"}
        for program in ("etcd", "etcdctl"):
            if not shutil.which(program):
                self.skipTest(f"{program} is not installed")
            programs[os.path.realpath(shutil.which(program))] = "/usr/local/bin/" + program
        m = machine.Machine(programs=programs)
        self.addCleanup(m.close)
        unit = "mainstay-podmaster@.service"
        shutil.copy(os.path.join(PACKAGING, "systemd", unit), m.path("etc/systemd/system", unit))
        m.write("etc/default/mainstay-podmaster",
                'PODMASTER_OPTS="--etcd-endpoints http://127.0.0.1:2379 --ttl 8 --stop-time 1"\n')
        m.write("etc/mainstay/podmaster/w.yaml", pod_yaml("w", [machine.COMPONENT]))
        self.assertTrue(m.boot(), m.console()[-3000:])
        return m

    def podmaster(self, m, name):
        return m.run("systemctl", "show", "-P", name, "mainstay-podmaster@w").strip()

    def wait_restarted(self, m, main):
        end = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < end:
            if self.podmaster(m, "MainPID") not in ("0", main) and self.podmaster(m, "ActiveState") == "active":
                return
            time.sleep(0.05)
        self.fail("podmaster was not started again:\n" + m.run("journalctl", "-u", "mainstay-podmaster@w"))

    def test_the_unit(self):
        why_not = machine.why_no_machines()
        if why_not:
            self.skipTest(why_not)
        m = self.machine()
        self.assertEqual(m.run("systemd-analyze", "--man=no", "verify", "mainstay-podmaster@w.service"), "")
        client, peer = "http://127.0.0.1:2379", "http://127.0.0.1:2380"
        m.run("systemd-run", "--unit=etcd", "--property=Type=notify", "etcd", "--data-dir", "/tmp/etcd",
              "--listen-client-urls", client, "--advertise-client-urls", client,
              "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
              "--initial-cluster", "default=" + peer)
        m.run("systemctl", "start", "mainstayd", "mainstay-podmaster@w")
        pid, main = machine.pid_of(m.wait_pod("w")), self.podmaster(m, "MainPID")
        self.assertIn("Holds /mainstay/podmaster/w", self.podmaster(m, "StatusText"))
        # A crash: the next one goes on where it was, and nobody has noticed.
        m.run("kill", "-KILL", main)
        self.wait_restarted(m, main)
        self.assertEqual(machine.pid_of(m.wait_pod("w")), pid)
        # A hang of all but the fence, which kills out of its unit's sandbox.
        agent = m.run("systemctl", "show", "-P", "MainPID", "mainstayd").strip()
        shim, main = m.run("ps", "-o", "ppid=", str(pid)).strip(), self.podmaster(m, "MainPID")
        m.run("kill", "-STOP", main, agent, shim)
        m.run("timeout", f"{int(WAIT_SECONDS)}s", "sh", "-c",
              f"while read -r _ _ state _ && [ $state != Z ]; do sleep 0.05; done < /proc/{pid}/stat")
        m.run("kill", "-CONT", main, agent, shim)
        m.wait_pod("w")
        # A hang: the watch over the deadline, which systemd leaves alone, takes the manifest away.
        main = self.podmaster(m, "MainPID")
        m.run("kill", "-STOP", main)
        m.run("mainstay", "wait", "w", "--for=gone", f"--timeout={int(WAIT_SECONDS)}s")
        m.run("kill", "-CONT", main)
        m.wait_pod("w")
        m.run("systemctl", "stop", "mainstay-podmaster@w")
        m.run("mainstay", "wait", "w", "--for=gone", f"--timeout={int(WAIT_SECONDS)}s")
        self.assertEqual(m.run("env", "ETCDCTL_API=3", "etcdctl", "--endpoints", client, "get", "--prefix", "/mainstay"), "")


if __name__ == "__main__":
    harness.main()
