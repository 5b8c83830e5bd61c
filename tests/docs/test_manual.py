"""The manual pages against the programs: what is there is told, and what is told is there."""

import glob
import os
import re
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import harness  # noqa: E402

PODMASTER = os.path.join(harness.BUILD, "podmaster")
GENERATOR = os.path.join(harness.BUILD, "mainstay-man")
TEMPLATES = os.path.join(harness.SOURCE, "packaging", "man")


def output(*argv):
    return subprocess.run(argv, check=True, capture_output=True, text=True,
                          env=dict(os.environ, LC_ALL="C.UTF-8")).stdout


def generate(prefix, target):
    subprocess.run([GENERATOR, prefix, TEMPLATES, target], check=True)


def plain(roff):
    """The text of a page: without fonts, escapes and macros."""
    text = re.sub(r"^\.(TH|ad|nh|nf|fi|RS|RE|TP|TQ|PP|IP|SH|SS)\b ?", "", roff, flags=re.MULTILINE)
    text = re.sub(r"^\.(BR|IR|RB|RI|BI|IB) (.*)$", lambda m: join_arguments(m.group(2)), text,
                  flags=re.MULTILINE)
    text = re.sub(r"^\.[BI] ", "", text, flags=re.MULTILINE)
    text = re.sub(r"\\f[BIRP]", "", text)
    for escape, character in ((r"\-", "-"), (r"\(aq", "'"), (r"\(dq", '"'), (r"\(ga", "`"),
                              (r"\(ha", "^"), (r"\(ti", "~"), (r"\&", ""), (r"\ ", " "), (r"\e", "\\")):
        text = text.replace(escape, character)
    return text


def join_arguments(text):
    words = re.findall(r'"[^"]*"|(?:\\ |\S)+', text)
    return "".join(word.strip('"') for word in words)


def flags_of(help_text):
    """Those that begin the lines of a --help."""
    found = set()
    for line in help_text.splitlines():
        match = re.match(r" +(-\w)?(?:, )?(--[a-z][a-z0-9-]+)?(?=[ =]|$)", line)
        if match:
            found |= {flag for flag in match.groups() if flag}
    return found


def terms_of(page):
    """The flags that head an entry (.TP) of a page, with any other names in the same head."""
    heads = re.findall(r"^\.TP\n(.*)$", page, re.MULTILINE)
    return {flag for head in heads for flag in re.findall(r"(?<![\w-])--?[a-zA-Z][\w-]*", plain(head))}


class Manual(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory(prefix="mainstay-test-man-")
        cls.addClassCleanup(cls.directory.cleanup)
        generate("/usr", cls.directory.name)
        cls.pages = {}
        for path in glob.glob(os.path.join(cls.directory.name, "man?", "*")):
            name, section = os.path.basename(path).rsplit(".", 1)
            with open(path) as f:
                cls.pages[f"{name}({section})"] = f.read()
        overview = output(harness.MAINSTAY, "help")
        cls.commands = re.findall(r"^  ([a-z]+) +[A-Z]", overview, re.MULTILINE)

    def test_pages_are_there(self):
        for page in ("mainstayd(8)", "mainstay(1)", "podmaster(8)", "mainstay-config(5)",
                     "mainstay-annotations(7)", "mainstay-manifests(5)", "mainstay-journal(7)"):
            self.assertIn(page, self.pages)

    def test_name_and_title(self):
        for page, text in self.pages.items():
            name, section = re.match(r"(.*)\((\d)\)", page).groups()
            title = re.search(r'^\.TH (\S+) (\d) "" "Mainstay ([^"]*)"', text, re.MULTILINE)
            self.assertEqual(title.group(1).replace("\\-", "-"), name.upper())
            self.assertEqual(title.group(2), section)
            self.assertEqual(title.group(3), output(harness.MAINSTAYD, "--version").split()[1])
            self.assertRegex(plain(text)[:500], rf"(?m)^NAME\n{re.escape(name)} - [^.\n]+$")

    def test_nothing_is_left_of_the_templates(self):
        for page, text in self.pages.items():
            self.assertEqual(re.findall(r"@[A-Z]+@|INSERT|/usr/local", text), [], page)

    def test_references(self):
        """Every page of ours that one refers to is there, and every page is referred to."""
        reached = set()
        for page, text in self.pages.items():
            for reference in re.findall(r"\b((?:mainstay|podmaster)[\w.-]*\(\d\))", plain(text)):
                self.assertIn(reference, self.pages.keys(), f"in {page}")
                if reference != page:
                    reached.add(reference)
        self.assertEqual(set(self.pages) - reached, set())

    def test_sections_are_in_order(self):
        """As man-pages(7) has them, as far as a page has them."""
        usual = ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "ENVIRONMENT", "FILES",
                 "NOTES", "EXAMPLES", "SEE ALSO"]
        for page, text in self.pages.items():
            sections = [s for s in re.findall(r"^\.SH (.*)$", text, re.MULTILINE) if s in usual]
            self.assertEqual(sections, sorted(sections, key=usual.index), page)
            self.assertEqual(sections[0], "NAME")
            self.assertEqual(sections[-1], "SEE ALSO")

    def test_every_subcommand(self):
        self.assertGreater(len(self.commands), 15)
        documented = {page[len("mainstay-"):-len("(1)")] for page in self.pages
                      if page.startswith("mainstay-") and page.endswith("(1)")}
        self.assertEqual(documented, set(self.commands))
        listed = re.findall(r"mainstay-([a-z]+)\(1\)", plain(self.pages["mainstay(1)"]))
        self.assertEqual(sorted(set(listed)), sorted(self.commands))

    def test_every_flag_of_a_subcommand(self):
        for command in self.commands:
            text = output(harness.MAINSTAY, command, "--help")
            told = flags_of(text.partition("Options:")[2].partition("Examples:")[0])
            self.assertIn("--socket", told, command)
            self.assertEqual(terms_of(self.pages[f"mainstay-{command}(1)"]), told, command)

    def test_every_flag_of_the_daemons(self):
        for program, page in (harness.MAINSTAYD, "mainstayd(8)"), (PODMASTER, "podmaster(8)"):
            told = flags_of(output(program, "--help"))
            self.assertGreater(len(told), 10)
            self.assertEqual(terms_of(self.pages[page]), told, page)

    def test_flags_in_the_text_exist(self):
        """A flag that an example or a sentence names is one of the program's, or of another's."""
        known = {flag for command in self.commands
                 for flag in flags_of(output(harness.MAINSTAY, command, "--help"))}
        known |= flags_of(output(harness.MAINSTAYD, "--help")) | flags_of(output(PODMASTER, "--help"))
        known |= {"--unix-socket", "--prefix", "--since", "--now"}  # curl, etcdctl, journalctl, systemctl
        known |= {"--kubeconfig", "--quota-backend-bytes", "--raw"}  # kubectl, etcd
        for page, text in self.pages.items():
            if page == "mainstay-config(5)":  # the kubelet's; see Config
                continue
            for flag in re.findall(r"(?<![\w-])(--[a-z][a-z-]+)", plain(text)):
                self.assertIn(flag, known, page)

    def test_every_message_id(self):
        """Each entry of the journal's catalogue is in mainstay-journal(7), and no other id is."""
        with open(os.path.join(harness.SOURCE, "packaging", "systemd", "mainstay.catalog")) as f:
            known = re.findall(r"^-- ([0-9a-f]{32})$", f.read(), re.MULTILINE)
        self.assertGreater(len(known), 30)
        told = re.findall(r"\b([0-9a-f]{32})$", plain(self.pages["mainstay-journal(7)"]), re.MULTILINE)
        self.assertEqual(sorted(told), sorted(known))

    def test_parts_of_the_agent(self):
        """mainstayd(8) names the parts that /readyz?verbose answers for."""
        agent = harness.Agent()
        try:
            answer = agent.request("/readyz?verbose")[1]
        finally:
            agent.close()
        parts = re.findall(r"^\[[+-]\](\w+)", answer, re.MULTILINE)
        self.assertIn(f"lists the parts ({', '.join(parts)})", plain(self.pages["mainstayd(8)"]))

    def test_fields_of_manifests(self):
        """What mainstay-manifests(5) tells of a field is what `mainstay explain` tells."""
        page = self.pages["mainstay-manifests(5)"]
        sections = dict(re.findall(r"^\.SS (pod\S*)\n(.*?)(?=^\.S[SH])", page, re.MULTILINE | re.DOTALL))
        self.assertIn("pod.spec.containers", sections)
        for path, text in sections.items():
            explained = output(harness.MAINSTAY, "explain", path)
            names = re.findall(r"^   (\w+)\t<", explained, re.MULTILINE)
            told = re.findall(r"^\.TP\n\\fB(\w+)", text, re.MULTILINE)
            if not told:  # it refers to another one
                told = re.findall(r"^\.TP\n\\fB(\w+)", sections[plain(text).split()[1].rstrip(".")],
                                  re.MULTILINE)
            self.assertEqual(told, names, path)

    def test_two_runs_are_the_same(self):
        with tempfile.TemporaryDirectory() as again:
            generate("/usr", again)
            subprocess.run(["diff", "-r", self.directory.name, again], check=True)

    def test_the_generator_says_what_is_wrong(self):
        with tempfile.TemporaryDirectory() as directory:
            with open(os.path.join(directory, "x.1.in"), "w") as f:
                f.write('.\\" INSERT nonsense\n')
            result = subprocess.run([GENERATOR, "/usr", directory, directory], capture_output=True,
                                    text=True)
            self.assertEqual(result.returncode, 1)
            self.assertIn('x.1.in: there is no insert "nonsense"', result.stderr)


class Runbook(unittest.TestCase):
    """Its commands can be typed, and its alarms are those of the agent."""

    @classmethod
    def setUpClass(cls):
        with open(os.path.join(TEMPLATES, "mainstay-runbook.7.in")) as f:
            cls.page = f.read()

    def test_commands(self):
        examples = "".join(re.findall(r"^\.EX\n(.*?)^\.EE$", self.page, re.MULTILINE | re.DOTALL))
        lines = [line for line in plain(examples).splitlines() if line.startswith("mainstay ")]
        self.assertGreater(len(lines), 20)
        for line in lines:
            words = line.split(" > ")[0].split()
            text = output(harness.MAINSTAY, words[1], "--help")
            for flag in re.findall(r" (--?[a-z][a-z-]*)", line):
                self.assertIn(flag, flags_of(text), line)
            if words[1] in ("etcd", "pki", "balancer"):
                self.assertRegex(text, rf"(?<![\w-]){words[2]}(?![\w-])", line)

    def test_alarms(self):
        with open(os.path.join(harness.SOURCE, "supervisor", "event-ids.c")) as f:
            reasons = set(re.findall(r'"([A-Z]\w+)"', f.read()))
        section = self.page[self.page.index(".SH WHAT AN ALARM MEANS"):self.page.index(".SH SEE ALSO")]
        heads = re.findall(r"^\.TP\n(.*)$", section, re.MULTILINE)
        told = {word for head in heads for word in re.findall(r"\b[A-Z][a-z]+(?:[A-Z][a-z]+)*\b", head)}
        self.assertGreater(len(told), 10)
        self.assertEqual(told - reasons, set())


class Config(unittest.TestCase):
    """mainstay-config(5) tells of each flag what the daemon does with it."""

    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory(prefix="mainstay-test-man-")
        cls.addClassCleanup(cls.directory.cleanup)
        generate("/usr", cls.directory.name)
        with open(os.path.join(cls.directory.name, "man5", "mainstay-config.5")) as f:
            cls.page = f.read()

    def section(self, heading):
        return plain(re.search(rf"^\.SH {heading}\n(.*?)(?=^\.SH )", self.page,
                               re.MULTILINE | re.DOTALL).group(1))

    def says(self, *flags):
        """What is said with these flags before a last one that ends everything."""
        result = subprocess.run([harness.MAINSTAYD, *flags, "--node-ip=nonsense"],
                                capture_output=True, text=True)
        self.assertEqual(result.returncode, 2, flags)
        return result.stderr

    def names(self, heading):
        text = self.section(heading)
        return re.findall(r"(?<![\w-])--([a-z][\w-]+)", text)

    def test_refused_flags(self):
        flags = set(self.names("REFUSED")) - {"pod-manifest-path", "stop-pods-on-exit"}
        self.assertGreater(len(flags), 15)
        for flag in flags:
            said = "".join(self.says(f"--{flag}={value}") for value in ("x", "5", "5s", "true", "false"))
            self.assertIn(f"--{flag}: is refused", said)

    def test_noted_flags(self):
        flags = set(self.names("ACCEPTED WITHOUT EFFECT")) - {"cgroup-name"}
        self.assertGreater(len(flags), 100)
        for flag in flags:
            self.assertRegex(self.says(f"--{flag}=true"), "--node-ip|must be|--" + flag + ".*number")

    def test_every_flag_of_the_table(self):
        """The daemon suggests the nearest flag that it knows: all that it suggests are told."""
        with open(os.path.join(harness.SOURCE, "supervisor", "config-table.c")) as f:
            rows = re.findall(r'\b(?:HONOUR|NOTE|REFUSE)\(\s*(?:"([^"]+)"|NULL),\s*(?:"([^"]+)"|NULL)',
                              f.read())
        self.assertGreater(len(rows), 200)
        with open(os.path.join(self.directory.name, "man8", "mainstayd.8")) as f:
            told = plain(self.page) + plain(f.read())
        for flag, field in rows:
            if flag and not re.search(rf"(?<![\w-])--?{re.escape(flag)}(?![\w-])", told):
                self.fail(f"--{flag} is not told")
            if field and not re.search(rf"(?<![\w.]){re.escape(field)}(?!\w)", told):
                self.fail(f"{field} is not told")


if __name__ == "__main__":
    harness.main()
