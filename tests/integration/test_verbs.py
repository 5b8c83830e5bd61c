"""Commands of several verbs (`mainstay etcd member add`, `mainstay pki renew`): each takes its own flags, refuses those
of the others and says which it takes, and completion offers what it takes."""

import re
import subprocess
import tempfile
import unittest

from harness import MAINSTAY, WAIT_SECONDS, main

ETCD = ["status", "health", "members", "member list", "member add", "member remove", "member promote", "member update",
        "member replace", "member sync", "snapshot save", "snapshot verify", "snapshot list", "snapshot restore",
        "defrag", "alarm", "move-leader", "guard"]
PKI = ["init", "list", "check", "renew", "rescue", "rotate-ca", "kubeconfig", "token", "export", "import", "gencert",
       "genkey", "sign", "selfsign", "certinfo", "print-defaults"]


def mainstay(*words):
    return subprocess.run([MAINSTAY, *words], stdin=subprocess.DEVNULL, text=True, capture_output=True,
                          timeout=WAIT_SECONDS)


def offered(*words):
    return [line.split("\t")[0] for line in mainstay("__complete", "--", *words).stdout.splitlines()
            if not line.startswith(":")]


class Verbs(unittest.TestCase):
    def flags(self, command):
        """{flag: whether it takes a value}, of all verbs."""
        text = mainstay(command, "--help").stdout.partition("\nOptions:")[2].partition("\nExamples:")[0]
        found = re.findall(r"^ +(?:-\w, )?(--[a-z-]+)(=\S+)?", text, re.MULTILINE)
        return {name: bool(value) for name, value in found}

    def check(self, command, verbs, at_least=20):
        flags = self.flags(command)
        self.assertGreater(len(flags), at_least)
        taken = set()
        for verb in verbs:
            own = offered(command, *verb.split(), "--")
            taken |= set(own)
            for flag in set(flags) - set(own):
                with self.subTest(f"{command} {verb} {flag}"):
                    for value in ("=1", "=1s", "=json", "=srv") if flags[flag] else ("",):
                        done = mainstay(command, *verb.split(), flag + value)
                        if "takes no" in done.stderr:
                            break  # else the value was none for that flag
                    self.assertEqual(done.returncode, 2, done.stderr)
                    self.assertTrue(done.stderr.startswith(f"error: {command} {verb} takes no {flag}; it takes "),
                                    done.stderr)
                    said = set(re.findall(r"--[a-z-]+", done.stderr.partition("; it takes ")[2].splitlines()[0]))
                    self.assertEqual(said | {"--help", "--socket"}, set(own))
        self.assertEqual(taken, set(flags), "each flag is some verb's")

    def test_etcd(self):
        self.check("etcd", ETCD)

    def test_pki(self):
        self.check("pki", PKI)

    def test_balancer(self):
        self.check("balancer", ["render", "follow"], at_least=10)

    def test_what_is_refused_has_done_nothing(self):
        with tempfile.TemporaryDirectory() as root:
            done = mainstay("pki", "init", "--root", root, "--advertise-address", "10.0.0.1", "--new-key")
            self.assertEqual(done.returncode, 2)
            self.assertEqual(mainstay("etcd", "snapshot", "list", "--dir", root, "--keep=3").returncode, 2)
            self.assertEqual(subprocess.run(["ls", "-A", root], capture_output=True, text=True).stdout, "")

    def test_the_order_of_words_does_not_matter(self):
        for words in (["--keep", "3", "status"], ["status", "--keep", "3"], ["-o", "json", "--keep=3", "status"]):
            done = mainstay("etcd", *words)
            self.assertIn("etcd status takes no --keep; it takes --endpoints, ", done.stderr)
            self.assertIn("See `mainstay etcd --help`", done.stderr)
        self.assertIn("pki renew takes no --csr;", mainstay("pki", "renew", "all", "-csr=x").stderr)
        self.assertIn("pki token takes no --output;", mainstay("pki", "token", "-o", "json").stderr)

    def test_words_that_are_no_verb_are_told_first(self):
        self.assertIn("did you mean \"status\"?", mainstay("etcd", "statsu", "--keep=3").stderr)
        self.assertIn("say what to do: snapshot save", mainstay("etcd", "snapshot", "sav", "--wait=3s").stderr)
        self.assertIn("say what to do", mainstay("pki", "--days=3").stderr)

    def test_completion_of_the_second_word(self):
        self.assertEqual(offered("etcd", "snapshot", ""), ["save", "verify", "list", "restore"])
        self.assertEqual(offered("etcd", "member", "re"), ["remove", "replace"])
        self.assertEqual(offered("etcd", "status", ""), [])
        self.assertEqual(offered("etcd", "member", "add", "--le"), ["--learner"])
        self.assertEqual(offered("etcd", "member", "remove", "--le"), [])
        self.assertIn("--learner", offered("etcd", "--"))


if __name__ == "__main__":
    main()
