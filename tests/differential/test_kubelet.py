"""podspec against the code of the real kubelet 1.20.2: its decoder, defaults and validation.

Needs a Kubernetes tree (MAINSTAY_K8S_SRC, else ~/.cache/mainstay/src/kubernetes-1.20.2, prepared as
packaging/kubernetes-binaries leaves it) and Go; says so and skips where they are not there.
MAINSTAY_SEED repeats a run, MAINSTAY_DIFFERENTIAL_PODS says how many random pods there are.
"""

import fractions
import glob
import hashlib
import json
import math
import os
import random
import re
import shutil
import subprocess
import sys
import unittest

import differences
import generate

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("MAINSTAY_BUILD", os.path.join(SOURCE, "build", "release"))
CACHE = os.path.expanduser("~/.cache/mainstay")
TREE = os.environ.get("MAINSTAY_K8S_SRC", os.path.join(CACHE, "src", "kubernetes-1.20.2"))
SEED = int(os.environ.get("MAINSTAY_SEED", "1"))
PODS = int(os.environ.get("MAINSTAY_DIFFERENTIAL_PODS", "6000"))
SHOWN = 12  # differences that a failure prints


def why_not():
    if not os.path.isdir(os.path.join(TREE, "pkg", "kubelet")):
        return f"no Kubernetes tree at {TREE} (set MAINSTAY_K8S_SRC)"
    if not os.path.exists(os.path.join(TREE, ".go", "src", "k8s.io", "kubernetes")):
        return f"{TREE} is not prepared for building (.go/src/k8s.io/kubernetes is missing)"
    if not shutil.which("go"):
        return "Go is not installed (Debian: golang-go)"
    return None


def oracle_program():
    """Built once for each state of its sources, as linking it takes two minutes."""
    state = hashlib.sha256(os.path.realpath(TREE).encode())
    for name in ("build-oracle", "oracle/main.go", "oracle/export.go"):
        with open(os.path.join(HERE, name), "rb") as f:
            state.update(f.read())
    program = os.path.join(CACHE, "oracle-" + state.hexdigest()[:16])
    if not os.path.exists(program):
        print("building the oracle from", TREE, flush=True)
        os.makedirs(CACHE, exist_ok=True)
        subprocess.run([os.path.join(HERE, "build-oracle"), TREE, program + ".new"], check=True)
        os.rename(program + ".new", program)
    return program


def ask(program, requests):
    text = "".join(json.dumps(r) + "\n" for r in requests)
    done = subprocess.run([program], input=text.encode(), stdout=subprocess.PIPE, check=False)
    answers = [json.loads(line) for line in done.stdout.decode().splitlines()]
    if done.returncode != 0 or len(answers) != len(requests):
        last = requests[min(len(answers), len(requests) - 1)]
        raise AssertionError(f"{program} ended with {done.returncode} at {json.dumps(last)[:2000]}")
    return answers


QUANTITY_PARENTS = {"limits", "requests", "overhead"}
QUANTITY_FIELDS = {"sizeLimit", "divisor"}
UNITS = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}


def amount(text):
    """A quantity as a number: the kubelet keeps some spellings that are not canonical."""
    m = re.fullmatch(r"([+-]?[0-9.]+)([A-Za-z]{0,2}|[eE][+-]?[0-9]+)", text)
    number, unit = fractions.Fraction(m[1].rstrip(".")), m[2]
    if unit.endswith("i"):
        return number * 1024 ** (" KMGTPE".index(unit[0]))
    if unit in UNITS:
        return number * fractions.Fraction(10) ** UNITS[unit]
    return number * fractions.Fraction(10) ** int(unit[1:])


def flatten(value, path="", parent=""):
    """Leaves by path. What is empty is not there, but that an object or a list item is there is a
    leaf of its own, as `emptyDir: {}` means something."""
    if isinstance(value, dict):
        yield path, "{}"
        for key, item in value.items():
            quantity = parent in QUANTITY_PARENTS or key in QUANTITY_FIELDS
            if quantity and isinstance(item, str):
                yield f"{path}.{key}", amount(item)
            else:
                yield from flatten(item, f"{path}.{key}" if path else key, key)
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from flatten(item, f"{path}[{i}]", parent)
            if item in ("", None):
                yield f"{path}[{i}]", ""
    elif value is not None and value != "" and value is not False and value != 0:
        yield path, value


def leaves(pod):
    result = {}
    for path, value in flatten(pod):
        if not any(re.fullmatch(pattern, path) for pattern in differences.NOT_COMPARED):
            result[path] = value
    return result


class Ledger:
    """Differences found, and the rules of differences.py that allow them."""

    def __init__(self):
        self.used = set()
        self.open = []
        self.verdicts = {"accepted by both": 0, "refused by both": 0, "refused only here": 0,
                         "accepted only here": 0}

    def allowed(self, rules, text):
        for pattern, reason in rules:
            if re.search(pattern, text):
                self.used.add(pattern)
                return True
        return False

    def add(self, name, text, *what):
        self.open.append((name, what, text))

    def compare(self, name, text, kubelet, ours):
        if kubelet["ok"] and ours["ok"]:
            self.verdicts["accepted by both"] += 1
            self.compare_fields(name, text, leaves(kubelet["pod"]), leaves(ours["pod"]))
        elif kubelet["ok"]:
            self.verdicts["refused only here"] += 1
            errors = [f"{f['path']}: {f['message']}" for f in ours["findings"] if f["severity"] == "error"]
            new = [e for e in errors if not self.allowed(differences.REFUSED_ONLY_HERE, e)]
            if new:
                self.add(name, text, "refused only here", *new)
        elif ours["ok"]:
            self.verdicts["accepted only here"] += 1
            if not self.allowed(differences.ACCEPTED_ONLY_HERE, kubelet["error"]):
                self.add(name, text, "accepted only here", kubelet["error"])
        else:
            self.verdicts["refused by both"] += 1

    def compare_fields(self, name, text, kubelet, ours):
        for path in sorted(set(kubelet) | set(ours)):
            a, b = kubelet.get(path), ours.get(path)
            if a != b and not self.allowed(differences.FIELDS, f"{path}: {a!r} here {b!r}"):
                self.add(name, text, f"{path}: kubelet {a!r}, here {b!r}")

    def report(self, since):
        """One example of each kind of difference, the most frequent kinds first."""
        kinds = {}
        for name, what, text in self.open[since:]:
            kind = re.sub(r"[0-9]+", "N", " ".join(what))[:120]
            kinds.setdefault(kind, []).append((name, what, text))
        lines = [f"{len(self.open) - since} differences that differences.py does not explain, of {len(kinds)} kinds"]
        for examples in sorted(kinds.values(), key=len, reverse=True)[:SHOWN]:
            name, what, text = min(examples, key=lambda e: len(e[2]))
            lines += [f"--- {len(examples)} times, as in {name}"] + [f"    {w[:600]}" for w in what] + [text[:2000]]
        return "\n".join(lines)


@unittest.skipIf(why_not(), why_not() or "")
class AgainstTheKubelet(unittest.TestCase):
    ledger = Ledger()

    @classmethod
    def setUpClass(cls):
        cls.oracle = oracle_program()
        cls.ours = os.path.join(BUILD, "tests", "pod-dump")

    def both(self, requests):
        return zip(requests, ask(self.oracle, requests), ask(self.ours, requests))

    def compare_pods(self, names, texts):
        ledger, before = AgainstTheKubelet.ledger, len(AgainstTheKubelet.ledger.open)
        requests = [{"mode": "pod", "text": text} for text in texts]
        for name, (request, kubelet, ours) in zip(names, self.both(requests)):
            ledger.compare(name, request["text"], kubelet, ours)
        self.assertEqual(len(ledger.open), before, ledger.report(before))

    def test_1_files(self):
        files = sorted(glob.glob(os.path.join(HERE, "cases", "*")) +
                       glob.glob(os.path.join(SOURCE, "tests", "golden", "podspec", "*.[yj]*")))
        names, texts = [], []
        for file in files:
            name = os.path.relpath(file, SOURCE)
            if os.path.basename(file) in differences.FILES_NOT_COMPARED:
                continue
            with open(file, encoding="utf-8", newline="") as f:
                texts.append(f.read())
            names.append(name)
        self.assertGreater(len(files), 20)
        self.compare_pods(names, texts)

    def test_2_random_pods(self):
        table = ask(self.ours, [{"mode": "table", "text": ""}])[0]
        names = [f"random pod {i} of seed {SEED}" for i in range(PODS)]
        texts = [generate.PodMaker(table, random.Random(SEED * 1000003 + i)).manifest() for i in range(PODS)]
        self.compare_pods(names, texts)
        verdicts = AgainstTheKubelet.ledger.verdicts
        print(", ".join(f"{n} {v}" for v, n in verdicts.items()), flush=True)
        # A generator that makes only one kind of pod would test nothing.
        self.assertGreater(verdicts["accepted by both"], PODS / 20)
        self.assertGreater(verdicts["refused by both"], PODS / 20)

    def test_3_scalars(self):
        rng = random.Random(SEED)
        shapes = ["metadata: {{name: a, annotations: {{k: {0}}}}}\nspec: {{containers: [{{name: c, image: i}}]}}",
                  "metadata: {{name: a}}\nspec: {{hostNetwork: {0}, containers: [{{name: c, image: i}}]}}",
                  "metadata: {{name: a}}\nspec: {{activeDeadlineSeconds: {0}, containers: [{{name: c, image: i}}]}}",
                  "metadata: {{name: a}}\nspec: {{containers: [{{name: c, image: i, resources: {{limits: {{cpu: {0}}}}}}}]}}"]
        texts = ["apiVersion: v1\nkind: Pod\n" + rng.choice(shapes).format(generate.scalar(rng)) + "\n"
                 for _ in range(PODS // 2)]
        self.compare_pods([f"scalar {i} of seed {SEED}" for i in range(len(texts))], texts)

    def quantities_agree(self, text, kubelet, ours):
        if not ours["ok"]:
            # Go has no bounds; here 10^29 is one.
            return not kubelet["ok"] or abs(amount(text.strip())) > 10 ** 29
        exact = amount(ours["text"])
        for number, scale in (("value", 1), ("milli", 1000)):
            rounded = math.ceil(abs(exact) * scale) * (-1 if exact < 0 else 1)
            if ours[number] != max(-2 ** 63, min(2 ** 63 - 1, rounded)):
                return False
            # Outside of 64 bits Go's numbers wrap around, and for some negative fractions, too.
            if 0 <= rounded < 2 ** 63 and kubelet.get(number, 0) != rounded:
                return False
        # Go has no suffix for 10^21 and prints none.
        return kubelet["ok"] and (kubelet["text"] == ours["text"] or (exact and exact % 10 ** 21 == 0))

    def test_4_quantities(self):
        rng = random.Random(SEED)
        requests = [{"mode": "quantity", "text": generate.quantity(rng)} for _ in range(4 * PODS)]
        wrong = []
        for request, kubelet, ours in self.both(requests):
            if not self.quantities_agree(request["text"], kubelet, ours):
                wrong.append(f"{request['text']!r}: kubelet {kubelet}, here {ours}")
        self.assertFalse(wrong, "\n".join([f"{len(wrong)} quantities differ"] + wrong[:SHOWN]))

    def test_5_references(self):
        rng = random.Random(SEED)
        variables = {"A": "alpha", "B": "$(A)", "empty": ""}
        requests = [{"mode": "expand", "text": generate.reference(rng), "vars": variables} for _ in range(PODS)]
        wrong = [f"{r['text']!r}: kubelet {k.get('text')!r}, here {o['text']!r}"
                 for r, k, o in self.both(requests) if k.get("text", "") != o["text"]]
        self.assertFalse(wrong, "\n".join(wrong[:SHOWN]))

    def test_6_every_rule_is_needed(self):
        """A difference that is gone must not stay excused."""
        if (SEED, PODS) != (1, 6000):
            self.skipTest("only the usual run meets every difference")
        rules = differences.REFUSED_ONLY_HERE + differences.ACCEPTED_ONLY_HERE + differences.FIELDS
        unused = [pattern for pattern, _ in rules if pattern not in AgainstTheKubelet.ledger.used]
        self.assertFalse(unused, "rules of differences.py that nothing needs")


def main():
    program = unittest.main(exit=False, verbosity=2)
    result = program.result
    failed = len(result.failures) + len(result.errors)
    for test, reason in result.skipped:
        print(f"skipped: {test}: {reason}")
    print(f"{result.testsRun - failed - len(result.skipped)} passed, {failed} failed, {len(result.skipped)} skipped")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
