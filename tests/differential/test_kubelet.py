"""This program against the code of the real kubelet 1.20.2: its decoder, defaults and validation, its
quantities, its $(VAR) and its numbers for the kernel.

Needs a Kubernetes tree (MAINSTAY_K8S_SRC, else ~/.cache/mainstay/src/kubernetes-1.20.2, prepared as
packaging/kubernetes-binaries leaves it) and Go; says so and skips where they are not there.
MAINSTAY_SEED repeats a run, MAINSTAY_DIFFERENTIAL_PODS says how many mutated manifests there are.
"""

import base64
import glob
import math
import os
import random
import sys
import unittest

import cases
import differences
import fields
import generate
import mutate
from compare import SHOWN, Ledger, amount
from programs import DUMP, SOURCE, Asked, ask, oracle_program, why_not

sys.path.insert(0, os.path.join(SOURCE, "tests", "integration"))
import harness  # noqa: E402 (it lives there)

SEED = int(os.environ.get("MAINSTAY_SEED", "1"))
PODS = int(os.environ.get("MAINSTAY_DIFFERENTIAL_PODS", "20000"))

# What a file can be beside its lines.
BOM = b"\xef\xbb\xbf"
PLAIN = b"apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n  hostNetwork: true\n  containers: [{name: c, image: \"web:1\"}]\n"
LONGEST = 10 << 20
FILES = {
    "empty": b"", "only a newline": b"\n", "only a byte order mark": BOM, "only the start of a document": b"---\n",
    "a byte order mark": BOM + PLAIN, "two byte order marks": BOM + BOM + PLAIN,
    "CR LF": PLAIN.replace(b"\n", b"\r\n"), "CR alone": PLAIN.replace(b"\n", b"\r"), "no newline at the end": PLAIN.rstrip(b"\n"),
    "UTF-16, little end first": PLAIN.decode().encode("utf-16"), "UTF-16 without a mark": PLAIN.decode().encode("utf-16-be"),
    "UTF-32": PLAIN.decode().encode("utf-32"), "Latin-1": PLAIN.replace(b"web:1", b"w\xe9b:1"),
    "half a character": PLAIN.replace(b"web:1", b"w\xc3:1"), "an overlong character": PLAIN.replace(b"web:1", b"w\xc0\xafb"),
    "a NUL byte behind it": PLAIN + b"\0", "a NUL byte within": PLAIN.replace(b"web:1", b"web\0:1"),
    "DEL in JSON": b'{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "annotations": {"a": "\x7f"}}, "spec": '
                   b'{"containers": [{"name": "c", "image": "i"}]}}',
    "NUL in JSON": b'{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": '
                   b'{"containers": [{"name": "c", "image": "i", "args": ["a\\u0000b"]}]}}',
    "a byte order mark before a pair of surrogates": BOM + b'{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": '
                                                     b'{"containers": [{"name": "c", "image": "i", "args": ["\\ud83d\\ude00"]}]}}',
    "an empty group": PLAIN.replace(b"v1", b"/v1"),
    "a control character within": PLAIN.replace(b"web:1", b"web\x01:1"), "a tab behind a line": PLAIN.replace(b"v1\n", b"v1\t\n"),
    "a second pod": PLAIN + b"---\n" + PLAIN.replace(b"web}", b"other}"), "an empty document behind it": PLAIN + b"---\n",
    "an empty document before it": b"---\n---\n" + PLAIN, "a comment before it": b"# x\n---\n" + PLAIN, "the end of a document": PLAIN + b"...\n",
    "ten thousand lines of comments": b"# x\n" * 10000 + PLAIN, "nearly 10 MiB": PLAIN + b"#" * (LONGEST - len(PLAIN) - 1),
    "over 10 MiB": PLAIN + b"#" * (LONGEST + 1 - len(PLAIN)),
    "JSON with a byte order mark": BOM + b'{"apiVersion": "v1"}', "an alias too many": b"a: &a [x,x]\nb: &b [*a,*a]\n" + PLAIN,
    "a mapping as a key": PLAIN + b"? {a: b}\n: c\n", "a number as a key": PLAIN + b"1: a\n", "a null as a key": PLAIN + b"~: a\n",
    "deep": PLAIN + b"x: " + b"[" * 200 + b"]" * 200 + b"\n",
}


@unittest.skipIf(why_not(), why_not() or "")
class AgainstTheKubelet(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.oracle = oracle_program()
        cls.fields = fields.Fields()
        cls.ledger = Ledger(cls.fields)
        cls.cases = cases.load()

    def both(self, requests):
        """(request, the kubelet's answer, ours) of each. Both programs work at the same time."""
        kubelet, ours = Asked(self.oracle, requests), Asked(DUMP, requests)
        return list(zip(requests, kubelet.answers(), ours.answers()))

    def compare_pods(self, names, texts, shown=None, mode="pod"):
        ledger, before = self.ledger, len(self.ledger.open)
        requests = [{"mode": mode, "text": text} for text in texts]
        for name, text, (_, kubelet, ours) in zip(names, shown or texts, self.both(requests)):
            ledger.compare(name, text, kubelet, ours)
        self.assertEqual(len(ledger.open), before, ledger.report(before))

    def test_1_written(self):
        """Each case is judged as it says, by both, unless differences.py has a reason."""
        self.compare_pods([str(case) for case in self.cases], [case.text for case in self.cases])
        answers = ask(self.oracle, [{"mode": "pod", "text": case.text} for case in self.cases])
        accepted_there = {"accepted/refused-there.cases"}
        for case, kubelet in zip(self.cases, answers):
            if not case.whole:
                with self.subTest(str(case)):
                    expected = case.file.startswith("accepted/") and case.file not in accepted_there
                    self.assertEqual(kubelet["ok"], expected, kubelet.get("error"))

    def test_2_every_field(self):
        """Each field of Kubernetes 1.20 is in our table, and of the same kind."""
        theirs = ask(self.oracle, [{"mode": "table", "text": ""}])[0]["types"]
        self.assertEqual({name: set(rows) for name, rows in theirs.items()}, self.fields.known, fields.FILE)
        for type_name, rows in theirs.items():
            ours = {row["name"]: row for t in self.fields.table if fields.SAME.get(t, t) == type_name
                    for row in self.fields.table[t]}
            for field, row in rows.items():
                self.assertIn(field, ours, type_name)
                found = ours[field]
                self.assertEqual((found["kind"], fields.SAME.get(found.get("type"), found.get("type"))),
                                 (row["kind"], row.get("type")), f"{type_name}.{field}")

    def test_3_goldens(self):
        files = sorted(glob.glob(os.path.join(SOURCE, "tests", "golden", "podspec", "*.[yj]*")))
        names, texts = [], []
        for file in files:
            if os.path.basename(file) in differences.FILES_NOT_COMPARED:
                continue
            with open(file, encoding="utf-8", newline="") as f:
                texts.append(f.read())
            names.append(os.path.relpath(file, SOURCE))
        self.assertGreater(len(names), 10)
        self.compare_pods(names, texts)

    def test_4_bytes(self):
        self.compare_pods([f"file: {name}" for name in FILES], [base64.b64encode(data).decode() for data in FILES.values()],
                          [data[:300].decode(errors="replace") for data in FILES.values()], "bytes")

    def test_5_mutated(self):
        right = [case.text for case in self.cases if not case.file.startswith("rejected/")]
        wrong = [case.text for case in self.cases if case.file.startswith("rejected/")]
        mutator = mutate.Mutator(random.Random(SEED), right, wrong)
        before = self.ledger.verdicts.copy()
        self.compare_pods([f"mutant {i} of seed {SEED}" for i in range(PODS)], [mutator.manifest() for _ in range(PODS)])
        self.check_mixture(before, PODS)

    def check_mixture(self, before, n):
        verdicts = self.ledger.verdicts - before
        print(", ".join(f"{n} {v}" for v, n in verdicts.items()), flush=True)
        # A generator that makes only one kind of pod would test nothing.
        self.assertGreater(verdicts["accepted by both"], n / 20)
        self.assertGreater(verdicts["of these, with paths"], n / 20)

    def test_6_random_pods(self):
        """Fields of every kind beside each other, more than a written manifest has; most of them right."""
        n = PODS // 4
        before = self.ledger.verdicts.copy()
        self.compare_pods([f"random pod {i} of seed {SEED}" for i in range(n)],
                          [generate.PodMaker(self.fields, random.Random(SEED * 1000003 + i)).manifest() for i in range(n)])
        self.check_mixture(before, n)

    def test_7_resources(self):
        """QoS class, oom_score_adj, shares, quota and memory of pods of several containers."""
        rng = random.Random(SEED)
        texts = [generate.resources_pod(rng) for _ in range(PODS // 4)]
        before = self.ledger.verdicts.copy()
        self.compare_pods([f"pod with resources {i} of seed {SEED}" for i in range(len(texts))], texts)
        accepted = (self.ledger.verdicts - before)["accepted by both"]
        self.assertGreater(accepted, len(texts) / 2)

    def test_8_scalars(self):
        rng = random.Random(SEED)
        shapes = ["metadata: {{name: a, annotations: {{k: {0}}}}}\nspec: {{containers: [{{name: c, image: i}}]}}",
                  "metadata: {{name: a}}\nspec: {{hostNetwork: {0}, containers: [{{name: c, image: i}}]}}",
                  "metadata: {{name: a}}\nspec: {{activeDeadlineSeconds: {0}, containers: [{{name: c, image: i}}]}}",
                  "metadata: {{name: a}}\nspec: {{containers: [{{name: c, image: i, resources: {{limits: {{cpu: {0}}}}}}}]}}"]
        scalars = generate.SCALARS + [generate.scalar(rng) for _ in range(PODS // 8)]
        texts = ["apiVersion: v1\nkind: Pod\n" + shape.format(scalar) + "\n" for scalar in scalars for shape in shapes]
        self.compare_pods([f"scalar {i} of seed {SEED}" for i in range(len(texts))], texts)

    def test_9_quantities(self):
        rng = random.Random(SEED)
        texts = generate.QUANTITIES_AT_THE_END + [generate.quantity(rng) for _ in range(PODS)]
        wrong = [f"{r['text']!r}: kubelet {k}, here {o}" for r, k, o in
                 self.both([{"mode": "quantity", "text": text} for text in texts]) if not quantities_agree(r["text"], k, o)]
        self.assertFalse(wrong, "\n".join([f"{len(wrong)} quantities differ"] + wrong[:SHOWN]))
        # What is printed is read as the same, and printed as the same.
        printed = [k["text"] for _, k, o in self.both([{"mode": "quantity", "text": text} for text in texts]) if k["ok"] and o["ok"]]
        again = [o for o in ask(DUMP, [{"mode": "quantity", "text": text} for text in printed])]
        wrong = [f"{text} became {o}" for text, o in zip(printed, again) if o.get("text") != text and not is_over_21_digits(text)]
        self.assertFalse(wrong, "\n".join(wrong[:SHOWN]))

    def test_a_order_of_quantities(self):
        rng = random.Random(SEED)
        pool = [q for q in generate.QUANTITIES_AT_THE_END + [generate.quantity(rng) for _ in range(500)] if " " not in q and q]
        requests = [{"mode": "compare", "text": f"{rng.choice(pool)} {rng.choice(pool)}"} for _ in range(PODS // 2)]
        answered = [(r["text"], k, o) for r, k, o in self.both(requests) if k["ok"] and o["ok"]]
        wrong = [f"{text}: kubelet {k['compare']}, here {o['compare']}" for text, k, o in answered
                 if (k["compare"] > 0) - (k["compare"] < 0) != (o["compare"] > 0) - (o["compare"] < 0)]
        self.assertGreater(len(answered), PODS / 10)
        self.assertFalse(wrong, "\n".join(wrong[:SHOWN]))

    def test_b_shares_and_quota(self):
        rng = random.Random(SEED)
        milli = list(range(0, 3000)) + [262143 * 1000 // 1024, 256000, 256001, 1000000] + [rng.randint(0, 10 ** rng.randint(1, 13)) for _ in range(2000)]
        wrong = []
        for request, kubelet, ours in self.both([{"mode": "cpu", "text": str(m)} for m in milli]):
            if (kubelet["shares"], kubelet.get("quota", 0)) != (ours["shares"], ours["quota"]):
                wrong.append(f"{request['text']}m: kubelet {kubelet}, here {ours}")
        self.assertFalse(wrong, "\n".join(wrong[:SHOWN]))

    def test_c_references(self):
        rng = random.Random(SEED)
        variables = {"A": "alpha", "B": "$(A)", "empty": "", "a.b-c_D": "odd", "C": "$$", "(": "bracket"}
        texts = generate.REFERENCES + [generate.reference(rng) for _ in range(PODS)]
        wrong = [f"{r['text']!r}: kubelet {k.get('text')!r}, here {o['text']!r}" for r, k, o in
                 self.both([{"mode": "expand", "text": text, "vars": variables} for text in texts]) if k.get("text", "") != o["text"]]
        self.assertFalse(wrong, "\n".join(wrong[:SHOWN]))

    def test_d_every_rule_is_needed(self):
        """A difference that is gone must not stay excused."""
        if (SEED, PODS) != (1, 20000):
            self.skipTest("only the usual run meets every difference")
        used = self.ledger.used
        rules = [rule for name in ("REFUSED_ONLY_HERE", "ACCEPTED_ONLY_HERE", "FIELDS", "PATHS", "PATHS_ONLY_THERE", "PATHS_ONLY_HERE",
                                   "DECODING") for rule in getattr(differences, name)]
        self.assertEqual([rule[0] for rule in rules if rule[0] not in used], [], "rules of differences.py that nothing needs")


def quantities_agree(text, kubelet, ours):
    if not ours["ok"]:
        # Go has no bounds; here 10^29 is one.
        return not kubelet["ok"] or not any(c.isdigit() for c in text) or abs(amount(text.strip())) > 10 ** 29
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


def is_over_21_digits(text):
    return amount(text) % 10 ** 21 == 0


if __name__ == "__main__":
    harness.main()
