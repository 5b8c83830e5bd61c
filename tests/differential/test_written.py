"""The written manifests (cases.py) through the commands that people use, with nothing from Kubernetes:
`mainstay validate` says of each exactly which fields are wrong, `mainstay get pods -o json` shows the
accepted ones as the pods that the agent makes of them. Whether the kubelet thinks the same of them is for
test_kubelet.py.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

import yaml

import cases
from fields import Fields
from programs import MAINSTAY, NODE, SOURCE

sys.path.insert(0, os.path.join(SOURCE, "tests", "integration"))
import harness  # noqa: E402 (it lives there)

CASES_AT_LEAST = 400


def validate(directory, files):
    """What `mainstay validate` says, by file: its verdict and the paths of the errors in their order."""
    done = subprocess.run([MAINSTAY, "validate", "--node", NODE, "-o", "json", *files], cwd=directory,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    assert done.returncode in (0, 1), done.stderr.decode()
    return {item["file"]: item for item in json.loads(done.stdout)["items"]}


class Written(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp(prefix="mainstay-written-")
        cls.cases = {f"{i:04}.yaml": case for i, case in enumerate(cases.load(cls.directory)) if not case.whole}
        for name, case in cls.cases.items():
            with open(os.path.join(cls.directory, name), "w", encoding="utf-8", newline="") as f:
                f.write(case.text)
        cls.items = validate(cls.directory, sorted(cls.cases))

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.directory)

    def errors(self, name):
        return [f for f in self.items[name]["findings"] if f["severity"] == "error"]

    def test_there_are_enough(self):
        rejected = [c for c in self.cases.values() if c.file.startswith("rejected/")]
        self.assertGreaterEqual(len(rejected), CASES_AT_LEAST)
        self.assertGreaterEqual(len(self.cases) - len(rejected), CASES_AT_LEAST // 3)
        self.assertEqual(len({str(c) for c in self.cases.values()}), len(self.cases), "names are unique")

    def test_rejected_for_what_is_wrong(self):
        for name, case in self.cases.items():
            if not case.file.startswith("rejected/"):
                continue
            with self.subTest(str(case)):
                self.assertFalse(self.items[name]["valid"])
                self.assertEqual({e["path"] or "-" for e in self.errors(name)}, set(case.paths))
                for error in self.errors(name):
                    # People read FILE:LINE:COLUMN: PATH: MESSAGE.
                    place = f"{name}:{error['line']}:{error['column']}: " if error["line"] else f"{name}: "
                    path = f"{error['path']}: " if error["path"] else ""
                    self.assertTrue(error["text"].startswith(place), error["text"])
                    self.assertIn(path, error["text"])

    def test_accepted_as_they_are(self):
        for name, case in self.cases.items():
            if case.file.startswith("accepted/") and case.paths is None:
                with self.subTest(str(case)):
                    self.assertEqual(self.errors(name), [])
                    self.assertTrue(self.items[name]["valid"])

    def test_refused_by_name(self):
        """A release that supports more may accept them."""
        for name, case in self.cases.items():
            if case.file.startswith("accepted/") and case.paths is not None:
                with self.subTest(str(case)):
                    for error in self.errors(name):
                        self.assertIn(error["path"], case.paths)
                        self.assertTrue(error["message"].startswith("cannot be used here: "), error["text"])

    def test_every_field_is_accepted_somewhere(self):
        """Each field that Kubernetes 1.20 has stands in a case that the kubelet accepts."""
        fields = Fields()
        seen = set()
        for case in cases.load():
            if not case.file.startswith("rejected/"):
                seen |= fields_of(fields.table, case.text)
        # A manifest cannot have ephemeral containers, says Kubernetes, too.
        seen.add(("PodSpec", "ephemeralContainers"))
        missing = [f"{type_name}.{row['name']}" for type_name in sorted(set(fields.table) - {"EphemeralContainer"})
                   for row in fields.table[type_name]
                   if (type_name, row["name"]) not in seen and not fields.is_later(type_name, row["name"])]
        self.assertEqual(missing, [])


def fields_of(table, text):
    """The (type, field) pairs that a manifest sets."""
    found = set()

    def walk(type_name, value):
        rows = {row["name"]: row for row in table[type_name]}
        for key, item in value.items() if isinstance(value, dict) else ():
            if key not in rows or item is None:
                continue
            found.add((type_name, key))
            for inner in item if isinstance(item, list) else [item]:
                if "type" in rows[key]:
                    walk(rows[key]["type"], inner)

    for document in yaml.safe_load_all(text):
        walk("Pod", document)
    return found


if __name__ == "__main__":
    harness.main()
