"""The manifests that were written for this test: files cases/*.yaml, *.json, which are one each, and
cases/*/*.cases, which hold many. Such a file begins with what its cases have in common; the lines of a
case take the place of the line "@" in it, as far indented:

    == what the case is about
    !! spec.containers[0].name           (a field that is wrong, where one is; "-" for none)
    containers: [{image: i}]

CASE stands for a name of the case's own, SCRATCH for a directory that is made for the test.

`cases.py DIRECTORY` writes each into a file of its own: fuzzers begin with them.
"""

import glob
import os
import sys

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cases")


class Case:
    def __init__(self, file, name, text, paths=None, whole=False):
        self.file = file    # "rejected/pod.cases"
        self.name = name    # "a deadline of 0"
        self.text = text
        self.paths = paths  # of the errors; None: it is accepted
        self.whole = whole  # a file of its own, which may differ as differences.py allows

    def __str__(self):
        return f"{self.file}: {self.name}"


def fill(template, lines):
    at = next(i for i, line in enumerate(template) if line.strip() == "@")
    indent = template[at][:template[at].index("@")]
    return "".join(template[:at] + [indent + line if line.strip() else line for line in lines] + template[at + 1:])


def read_cases(path, rejected, first):
    with open(path, encoding="utf-8") as f:
        lines = f.read().splitlines(keepends=True)
    starts = [i for i, line in enumerate(lines) if line.startswith("== ")]
    template = [line for line in lines[:starts[0]] if not line.startswith("#")]
    for start, end in zip(starts, starts[1:] + [len(lines)]):
        body, paths = lines[start + 1:end], [] if rejected else None
        while body[0].startswith("!! "):
            paths = (paths or []) + [body[0][3:].strip()]
            body = body[1:]
        name = f"c{first + start}"
        yield Case(os.path.relpath(path, HERE), lines[start][3:].strip(), fill(template, body).replace("CASE", name),
                   paths)


def load(scratch="/scratch"):
    """Every case. Their pods have names of their own, so that one agent can take them all."""
    cases = []
    for n, path in enumerate(sorted(glob.glob(os.path.join(HERE, "*", "*.cases")))):
        cases += read_cases(path, "/rejected/" in path, n * 100000)
    for path in sorted(glob.glob(os.path.join(HERE, "*.[yj]*"))):
        with open(path, encoding="utf-8", newline="") as f:
            cases.append(Case(os.path.relpath(path, HERE), "all of it", f.read(), whole=True))
    for case in cases:
        case.text = case.text.replace("SCRATCH", scratch)
    return cases


if __name__ == "__main__":
    for number, one in enumerate(load()):
        with open(os.path.join(sys.argv[1], f"case-{number:04}"), "w", encoding="utf-8", newline="") as out:
            out.write(one.text)
