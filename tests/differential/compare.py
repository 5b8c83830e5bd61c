"""Holds answers of the kubelet's code against those of this program, and keeps the account of the
differences between them."""

import collections
import fractions
import os
import re

import differences

SHOWN = int(os.environ.get("MAINSTAY_DIFFERENCES", "12"))  # kinds of differences that a failure prints

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


NOT_COMPARED = re.compile("|".join(f"(?:{pattern})" for pattern in differences.NOT_COMPARED))


def leaves(pod):
    return {path: value for path, value in flatten(pod) if not NOT_COMPARED.fullmatch(path)}


def decoding_steps(error):
    """The fields that Go's decoder names on its way to what it cannot read, in lower case; with them are
    some that it has passed on the way. None where it names none."""
    way = re.match(r"(?:(?:\[\]|map\[string\])?\w+(?:\.\w+)*: )+", error)
    if not way or "v1.Pod." not in error:
        return None
    steps = [s.split(".")[-1].lower() for s in way[0].split(": ") if s and not s.startswith(("[]", "map["))]
    return ["metadata" if s == "objectmeta" else s for s in steps]


def is_on_the_way(path, steps):
    """The path's fields are among the steps in their order, and what Go names last is its last one."""
    names = bare(path).split(".")
    left = iter(steps)
    return all(name in left for name in names) and names[-1] in steps[-3:]


def bare(path):
    return re.sub(r"\[[^]]*\]", "", path).lower()


def is_said(path, errors):
    """What is wrong above or below it is said, and here that is said once."""
    return any(re.match(re.escape(p) + r"([.[]|$)", path) or re.match(re.escape(path) + r"[.[]", p) for p, _ in errors)


def end_of_first_document(text):
    """The number of the line that ends it; the kubelet reads no further."""
    seen = False
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(r"(---|\.\.\.)(\s|$)|%", line):
            if seen:
                return number
            seen = line[0] != "%" and line[3:].split("#")[0].strip() != ""
        elif line.strip() and not line.startswith("#"):
            seen = True
    return None


def errors_of(ours, text):
    """The errors in the first document: (path, message)."""
    end = end_of_first_document(text) if re.search(r"---|\.\.\.|%", text) else None
    return [(f["path"], f["message"]) for f in ours["findings"]
            if f["severity"] == "error" and (end is None or f["line"] < end)]


class Ledger:
    """Differences found, and the rules of differences.py that allow them."""

    def __init__(self, fields, field_rules=differences.FIELDS):
        self.fields = fields
        self.field_rules = field_rules
        self.used = set()
        self.open = []
        self.verdicts = collections.Counter()

    def allowed(self, rules, text):
        for pattern, reason in rules:
            if re.search(pattern, text):
                self.used.add(pattern)
                return True
        return False

    def add(self, name, text, *what):
        self.open.append((name, what, text))

    def compare(self, name, text, kubelet, ours):
        """True where both say the same, or differ as they are allowed to."""
        before = len(self.open)
        errors = errors_of(ours, text)
        if kubelet["ok"] and ours["ok"]:
            self.verdicts["accepted by both"] += 1
            fields = self.compare_pods(name, text, kubelet["pod"], ours["pod"])
            # Go's products wrap around, and what later releases count 1.20 does not know.
            if all(v < 2 ** 50 for v in fields.values() if isinstance(v, fractions.Fraction)) and \
                    not any(self.fields.is_later_path(path) for path in leaves(ours["pod"])):
                self.compare_numbers(name, text, kubelet["numbers"], ours["numbers"])
        elif kubelet["ok"]:
            self.verdicts["refused only here"] += 1
            new = self.unexplained(errors)
            if new:
                self.add(name, text, "refused only here", *[f"{p}: {m}" for p, m in new])
        elif ours["ok"]:
            self.verdicts["accepted only here"] += 1
            if not self.allowed(differences.ACCEPTED_ONLY_HERE, kubelet["error"]):
                self.add(name, text, "accepted only here", kubelet["error"])
        else:
            self.verdicts["refused by both"] += 1
            if not ours["yaml"]:
                self.verdicts["of these, unreadable here"] += 1
            elif errors:
                self.compare_paths(name, text, kubelet, errors)
        return len(self.open) == before

    def unexplained(self, errors):
        return [(p, m) for p, m in errors if not (self.fields.is_later_path(p) or
                                                  self.allowed(differences.REFUSED_ONLY_HERE, f"{p}: {m}"))]

    def compare_paths(self, name, text, kubelet, errors):
        """The fields that are wrong. Where Go could not decode the file it names one; the others are
        found here all the same."""
        if "paths" not in kubelet:
            steps = decoding_steps(kubelet["error"])
            if steps is None or any(is_on_the_way(path, steps) for path, _ in errors):
                self.verdicts["of these, undecodable"] += 1
            elif not self.allowed(differences.DECODING + differences.ACCEPTED_ONLY_HERE, kubelet["error"]):
                self.add(name, text, f"not found here: {'.'.join(steps)}", kubelet["error"],
                         *[f"{p}: {m}" for p, m in errors])
            return
        self.verdicts["of these, with paths"] += 1
        ours, there = dict(errors), {}
        for path, message in zip(kubelet["paths"], kubelet["messages"]):
            there[path] = there.get(path, "") + message + "\n"
        found = set()
        for path in sorted(there):
            same = self.same_paths(path, ours)
            found |= same
            if not (same or is_said(path, errors) or self.is_consequence(path, set(there) | set(ours))
                    or self.allowed(differences.ACCEPTED_ONLY_HERE, there[path])):
                self.add(name, text, f"found by the kubelet only: {path}", there[path],
                         *[f"{p}: {m}" for p, m in errors])
        for path, message in self.unexplained([e for e in errors if e[0] not in found]):
            if not self.allowed(differences.PATHS_ONLY_HERE, f"{path}: {message}"):
                self.add(name, text, f"found here only: {path}: {message}", kubelet["error"])

    def is_consequence(self, path, all_paths):
        for pattern, cause, _ in differences.PATHS_ONLY_THERE:
            if re.search(pattern, path) and any(re.search(cause, p) for p in all_paths - {path}):
                self.used.add(pattern)
                return True
        return False

    def same_paths(self, path, ours):
        """Our errors that say what the kubelet says of this path."""
        found = {path} & set(ours)
        for pattern, replacement, _ in differences.PATHS:
            if re.search(pattern, path):
                wanted = re.compile(self.expected(path, pattern, replacement))
                same = {p for p in ours if wanted.fullmatch(p)}
                if same:
                    self.used.add(pattern)
                    found |= same
        return found

    @staticmethod
    def expected(path, pattern, replacement):
        """The kubelet's path as a regular expression, with what the rule replaces: "%" stands for any index,
        "*" for anything."""
        text = re.sub(pattern, replacement, path)
        return "".join({"%": r"\[\d+\]", "*": ".*"}.get(c, re.escape(c)) for c in text)

    def compare_pods(self, name, text, kubelet, ours):
        """Compares what is defaulted and returns the kubelet's fields."""
        fields = leaves(kubelet)
        self.compare_fields(name, text, fields, leaves(ours))
        return fields

    def compare_fields(self, name, text, kubelet, ours):
        for path in sorted(set(kubelet) | set(ours)):
            a, b = kubelet.get(path), ours.get(path)
            if a != b and not (a is None and self.fields.is_later_path(path)) and \
                    not self.allowed(self.field_rules, f"{path}: {a!r} here {b!r}"):
                self.add(name, text, f"{path}: kubelet {a!r}, here {b!r}")

    def compare_numbers(self, name, text, kubelet, ours):
        for field in kubelet:
            a, b = kubelet[field] or 0, ours[field]  # 0 is no limit here
            # A fraction of a byte is rounded up here for each container and the overhead, there for their sum.
            rounded = field == "memory" and a and a <= b <= a + len(ours["oom"])
            if a != b and not rounded:
                self.add(name, text, f"{field}: kubelet {a}, here {b}")

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
