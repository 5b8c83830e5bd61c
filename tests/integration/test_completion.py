"""Completion in real interactive shells on a terminal, against an agent with pods.

The shells print their own edit buffer on a key, so that what a test sees is what a user would have
on the line after TAB.
"""

import fcntl
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import tempfile
import termios
import time
import unittest

import harness

DAEMONS = os.path.join(harness.SOURCE, "packaging", "completions")
BASH_COMPLETION = "/usr/share/bash-completion/bash_completion"
TAB, KILL_LINE, ALL, SHOW = "\t", "\x18k", "\x18a", "\x18p"


def pod(name, namespace, *containers):
    """A pod of several containers that run until they are stopped."""
    def one(container):
        return f"""  - name: {container}
    image: localhost/test:1
    imagePullPolicy: IfNotPresent
    command: ["{harness.COMPONENT}"]
"""
    return f"""apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  hostNetwork: true
  terminationGracePeriodSeconds: 2
  containers:
{"".join(one(c) for c in containers)}"""


class Shell:
    """An interactive shell on a terminal of its own."""

    def __init__(self, directory, argv, env):
        self.output = ""
        pid, self.fd = pty.fork()
        if pid == 0:
            os.chdir(directory)
            os.execvpe(argv[0], argv, env)
        self.pid = pid
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 1000, 0, 0))
        self.read_until(r"READY> ")

    def read_until(self, pattern):
        end = time.monotonic() + harness.WAIT_SECONDS
        while not (found := re.search(pattern, self.output, re.DOTALL)):
            ready, _, _ = select.select([self.fd], [], [], max(end - time.monotonic(), 0))
            if not ready:
                raise AssertionError(f"no {pattern} in {self.output!r}")
            self.output += os.read(self.fd, 65536).decode(errors="replace")
        self.output = self.output[found.end():]
        return found

    def line(self, typed, key=TAB):
        """The edit buffer after `typed` and a key; then it is cleared."""
        os.write(self.fd, (typed + key + SHOW).encode())
        line = self.read_until(r"<<<(.*?)>>>").group(1)
        os.write(self.fd, KILL_LINE.encode())
        return line

    def all(self, typed):
        """All words that could stand where the last one of `typed` is."""
        before = typed[:typed.rindex(" ") + 1]
        line = self.line(typed, ALL)
        if not line.startswith(before):
            raise AssertionError(f"{typed!r} became {line!r}")
        return sorted(line[len(before):].split())

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)


def bash(directory, env, first):
    rc = os.path.join(directory, "bashrc")
    with open(rc, "w") as f:
        f.write(f"""{first}
PS1='READY> '
unset HISTFILE
bind 'set bell-style none'
bind 'set enable-bracketed-paste off'
bind '"\\C-xk": kill-whole-line'
bind '"\\C-xa": insert-completions'
bind -x '"\\C-xp": printf "<<<%s>>>\\n" "$READLINE_LINE"'
""")
    return Shell(directory, ["bash", "--noprofile", "--rcfile", rc, "-i"], env)


def zsh(directory, env, first):
    with open(os.path.join(directory, ".zshrc"), "w") as f:
        f.write(f"""{first}
PS1='READY> '
unset HISTFILE
unsetopt beep
show() {{ zle -I; print -r -- "<<<$BUFFER>>>" }}
zle -N show
bindkey -e
bindkey '^Xk' kill-whole-line
bindkey '^Xp' show
zle -C all-matches complete-word _generic
zstyle ':completion:all-matches::::' completer _all_matches _complete
zstyle ':completion:all-matches:*' insert true
bindkey '^Xa' all-matches
""")
    return Shell(directory, ["zsh", "-o", "NO_GLOBAL_RCS", "-i"], dict(env, ZDOTDIR=directory))


class DaemonTests:
    """Of the programs that are seldom typed, the flags."""

    def test_daemons(self):
        self.becomes("mainstayd --pod-man", "mainstayd --pod-manifest-path ")
        self.becomes("mainstayd --config files/on", "mainstayd --config files/one.yaml ")
        self.becomes("podmaster --etcd-s", "podmaster --etcd-servers ")
        flags = self.shell.all("podmaster --s")
        self.assertEqual([f.rstrip("=") for f in flags], ["--source", "--source-file", "--state-dir", "--stop-time"])


class CompletionTests:
    """What the shells have in common; its subclasses say which shell."""

    shell = None

    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp(prefix="mainstay-test-completion-")
        cls.addClassCleanup(shutil.rmtree, cls.directory)
        cls.agent = harness.Agent()
        cls.addClassCleanup(cls.agent.close)
        cls.agent.drop("etcd.yaml", pod("etcd", "kube-system", "etcd", "backup"))
        cls.agent.drop("web.yaml", pod("web", "default", "nginx"))
        cls.agent.drop("web2.yaml", pod("web-two", "default", "nginx"))
        for name in "etcd", "web", "web-two":
            cls.agent.wait_ready_pod(name)
        os.makedirs(os.path.join(cls.directory, "files", "below"))
        for name in "one.yaml", "other file.yaml":
            open(os.path.join(cls.directory, "files", name), "w").close()
        env = {"HOME": cls.directory, "TERM": "dumb", "LC_ALL": "C.UTF-8",
               "PATH": harness.BUILD + ":/usr/local/bin:/usr/bin:/bin",
               "MAINSTAY_SOCKET": cls.agent.socket}
        cls.shell = cls.start(env)
        cls.addClassCleanup(cls.shell.close)

    @classmethod
    def script(cls, shell):
        return subprocess.run([harness.MAINSTAY, "completion", shell], check=True, text=True,
                              capture_output=True).stdout

    def becomes(self, typed, line):
        self.assertEqual(self.shell.line(typed), line)

    def offers(self, typed, *words):
        self.assertEqual(self.shell.all(typed), sorted(words))

    def test_subcommands(self):
        self.becomes("mainstay desc", "mainstay describe ")
        self.becomes("mainstay --socket x val", "mainstay --socket x validate ")
        self.becomes("mainstay help comp", "mainstay help completion ")
        listed = self.shell.all("mainstay ")
        help_text = self.agent.cli("help").stdout
        named = re.findall(r"^  ([a-z]+) +[A-Z]", help_text, re.MULTILINE)
        self.assertGreater(len(named), 15)
        self.assertEqual(listed, sorted(named))

    def test_pods(self):
        self.becomes("mainstay logs et", "mainstay logs etcd-node1 ")
        self.becomes("mainstay describe pod et", "mainstay describe pod etcd-node1 ")
        self.becomes("mainstay get pods et", "mainstay get pods etcd-node1 ")
        self.becomes("mainstay restart pod/et", "mainstay restart pod/etcd-node1 ")
        self.offers("mainstay restart ", "etcd-node1", "web-node1", "web-two-node1")
        # What is named already is not offered again; where one name is all, nothing is.
        self.offers("mainstay restart web etcd-node1 ", "web-two-node1")
        self.becomes("mainstay logs etcd we", "mainstay logs etcd we")
        # Only those of the namespace that was asked for, before or behind the command.
        self.offers("mainstay delete -n default ", "web-node1", "web-two-node1")
        self.becomes("mainstay -n kube-system logs ", "mainstay -n kube-system logs etcd-node1 ")
        self.becomes("mainstay logs --namespace=kube-system ",
                     "mainstay logs --namespace=kube-system etcd-node1 ")

    def test_containers(self):
        self.offers("mainstay logs etcd -c ", "backup", "etcd")
        self.becomes("mainstay logs etcd -c b", "mainstay logs etcd -c backup ")
        self.becomes("mainstay exec web-node1 --container ",
                     "mainstay exec web-node1 --container nginx ")
        self.becomes("mainstay restart web --container=n", "mainstay restart web --container=nginx ")
        self.offers("mainstay logs -c ", "backup", "etcd", "nginx")

    def test_namespaces(self):
        self.becomes("mainstay get pods -n ku", "mainstay get pods -n kube-system ")
        self.becomes("mainstay get pods --namespace=d", "mainstay get pods --namespace=default ")

    def test_flags_and_values(self):
        self.becomes("mainstay logs etcd --fol", "mainstay logs etcd --follow ")
        self.becomes("mainstay get pods -o ya", "mainstay get pods -o yaml ")
        self.becomes("mainstay get pods --output=jsonp", "mainstay get pods --output=jsonpath=")
        self.becomes("mainstay get pods -o custom", "mainstay get pods -o custom-columns=")
        self.becomes("mainstay wait etcd --for=re", "mainstay wait etcd --for=ready ")
        self.becomes("mainstay wait etcd --for g", "mainstay wait etcd --for gone ")
        self.becomes("mainstay init --key-type rsa-2", "mainstay init --key-type rsa-2048 ")
        self.becomes("mainstay --so", "mainstay --socket ")
        # A flag that stands there already is not meant.
        self.becomes("mainstay logs etcd --previous --pre", "mainstay logs etcd --previous --prefix ")

    def test_words(self):
        self.becomes("mainstay get man", "mainstay get manifests ")
        self.offers("mainstay get manifests ", "etcd.yaml", "web.yaml", "web2.yaml")
        self.becomes("mainstay get nodes ", "mainstay get nodes node1 ")
        self.becomes("mainstay check cert", "mainstay check certificates ")
        self.offers("mainstay check pod web ", "etcd-node1", "web-two-node1")
        self.becomes("mainstay check disk files/be", "mainstay check disk files/below/")
        self.becomes("mainstay check agent we", "mainstay check agent we")
        self.becomes("mainstay completion z", "mainstay completion zsh ")
        self.becomes("mainstay render etcd kube-s", "mainstay render etcd kube-scheduler ")
        self.becomes("mainstay explain pod.spec.containers.live",
                     "mainstay explain pod.spec.containers.livenessProbe")
        self.becomes("mainstay explain diff", "mainstay explain differences ")

    def test_files(self):
        self.becomes("mainstay apply files/on", "mainstay apply files/one.yaml ")
        self.becomes("mainstay validate files/ot", "mainstay validate files/other\\ file.yaml ")
        self.becomes("mainstay diff -f files/on", "mainstay diff -f files/one.yaml ")
        self.becomes("mainstay apply --filename=files/on", "mainstay apply --filename=files/one.yaml ")
        self.becomes("mainstay render --root=fil", "mainstay render --root=files/")
        self.becomes("mainstay init --root files/be", "mainstay init --root files/below/")
        self.becomes("mainstay init --root files/on", "mainstay init --root files/on")  # no directory
        # Where no file can be meant, none is offered.
        self.becomes("mainstay status fil", "mainstay status fil")
        self.becomes("mainstay logs fil", "mainstay logs fil")
        self.becomes("mainstay nonsense fil", "mainstay nonsense fil")

    def test_without_an_agent(self):
        self.becomes("mainstay logs --socket /nowhere we", "mainstay logs --socket /nowhere we")
        self.becomes("mainstay logs --socket /nowhere --fol",
                     "mainstay logs --socket /nowhere --follow ")


@unittest.skipUnless(shutil.which("bash"), "bash is not there")
class Bash(CompletionTests, DaemonTests, unittest.TestCase):
    @classmethod
    def start(cls, env):
        return bash(cls.directory, env, "source <(mainstay completion bash)\n"
                                        f"source {DAEMONS}/daemons.bash")

    def test_an_agent_that_hangs(self):
        """It does not hang the shell: the question is given up by an alarm."""
        self.agent.process.send_signal(signal.SIGSTOP)
        try:
            asked = self.agent.cli("__complete", "--", "logs", "")
        finally:
            self.agent.process.send_signal(signal.SIGCONT)
        self.assertEqual((asked.returncode, asked.stdout), (-signal.SIGALRM, ""))


@unittest.skipUnless(os.path.exists(BASH_COMPLETION), "bash-completion is not there")
class BashCompletionLoaded(CompletionTests, unittest.TestCase):
    """Found by bash-completion where it is installed, when the first TAB asks for it."""

    @classmethod
    def start(cls, env):
        directory = os.path.join(cls.directory, "user", "completions")
        os.makedirs(directory)
        with open(os.path.join(directory, "mainstay"), "w") as f:
            f.write(cls.script("bash"))
        env["BASH_COMPLETION_USER_DIR"] = os.path.dirname(directory)
        return bash(cls.directory, env, f"source {BASH_COMPLETION}")

    def test_behind_sudo(self):
        self.becomes("sudo mainstay logs et", "sudo mainstay logs etcd-node1 ")


@unittest.skipUnless(shutil.which("zsh"), "zsh is not there")
class Zsh(CompletionTests, DaemonTests, unittest.TestCase):
    """Found in fpath, as it is installed."""

    @classmethod
    def start(cls, env):
        directory = os.path.join(cls.directory, "functions")
        os.makedirs(directory)
        with open(os.path.join(directory, "_mainstay"), "w") as f:
            f.write(cls.script("zsh"))
        shutil.copy(os.path.join(DAEMONS, "_mainstayd"), directory)
        return zsh(cls.directory, env,
                   f"fpath=({directory} $fpath); autoload -Uz compinit; compinit -u -D")

    def test_descriptions(self):
        """A list tells what each candidate is."""
        os.write(self.shell.fd, b"mainstay re\t\t" + SHOW.encode())
        listed = self.shell.read_until(r"<<<(.*?)>>>")
        text = listed.string[:listed.end()]
        os.write(self.shell.fd, KILL_LINE.encode())
        self.assertIn("Clear a pod's back-off and try again now", text)


@unittest.skipUnless(shutil.which("zsh"), "zsh is not there")
class ZshSourced(CompletionTests, unittest.TestCase):
    @classmethod
    def start(cls, env):
        return zsh(cls.directory, env, "autoload -Uz compinit; compinit -u -D\n"
                                       "source <(mainstay completion zsh)")


if __name__ == "__main__":
    harness.main()
