"""Written manifests, broken a little: fields dropped, doubled, moved and of other types, numbers at their
ends, long and strange strings, and YAML written otherwise or damaged. Everything comes from the seeded
random generator that is passed in."""

# A byte order mark within a file is left out, as each copy of libyaml takes it for something else, and so
# is U+0085 within JSON, which YAML takes for the end of a line.

import copy
import json

import yaml

NUMBERS = [0, 1, -1, 2, 63, 64, 80, 255, 256, 511, 512, 600, 599, 65535, 65536, 2**31 - 1, 2**31, -2**31, -2**31 - 1,
           2**32, 2**32 + 1, 2**53, 2**63 - 1, 2**63, -2**63, -2**63 - 1, 2**64, 10**30, 0.5, 1.0, -0.0, 1e3, 1e-9, 2.5e9]
STRINGS = ["", " ", "a", "A", "0", "-", ".", "..", "/", "a/b", "/a", "../a", "a/../b", "a b", " a", "a ", "a\n", "a\0b", "é", "日本",
           "\U0001f600", "\u2028", "\x7f", "$(A)", "$$", "null", "true", "yes", "~", "1", "1e3", "0x10", "0644", "1:30", "<<", "=",
           "2021-01-13", "2021-01-13T13:08:40Z", "10.0.0.1", "010.0.0.1", "::1", "::ffff:1.2.3.4", "1.2.3.4.5", "fe80::1%eth0", "1Gi", "1gi", "-1",
           "500m", "1e309", "Always", "always", "TCP", "In", "Exists", "NoExecute", "metadata.name", "metadata.labels", "metadata.labels['a']",
           "status.hostIP", "limits.cpu", "limits.memory", "Localhost", "Memory", "HugePages-2Mi", "File", "iqn.2020-01.a:b", "node-1",
           "a" * 15, "a" * 16, "a" * 63, "a" * 64, "a." * 126 + "a", "a." * 127, "a" * 253, "a" * 254, "a" * 5000]
OTHERS = [None, True, False, [], {}, [None], [""], {"": ""}, {"a": None}, [[]], [{}], {"a": {"b": "c"}}]
KEYS = ["name", "image", "value", "port", "path", "x", "", "NAME", "a b", "kind", "spec", "<<", "1", "true", "null", "é"]


def paths(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from paths(item, path + (key,))


def at(value, path):
    for step in path:
        value = value[step]
    return value


class Mutator:
    def __init__(self, rng, right, wrong):
        """Manifests to begin with: such as are right, and some that are not."""
        self.rng = rng
        # One in five begins with what is wrong already.
        self.texts = right * (4 * len(wrong) // len(right)) + wrong
        self.trees = [tree for tree in map(self.tree_of, self.texts) if isinstance(tree, dict)]
        # What a field had in any of them it may have in another.
        self.values = {}
        for tree in self.trees:
            for path in paths(tree):
                if path:
                    self.values.setdefault(path[-1] if isinstance(path[-1], str) else "[]", []).append(at(tree, path))

    @staticmethod
    def tree_of(text):
        try:
            return json.loads(json.dumps(yaml.safe_load(text)))  # a time is no JSON
        except (yaml.YAMLError, TypeError, ValueError):
            return None

    # ---- of the tree ----

    def other_value(self, old):
        rng = self.rng
        how = rng.random()
        if how < 0.3:
            return rng.choice(NUMBERS)
        if how < 0.6:
            return rng.choice(STRINGS)
        if how < 0.7:
            return copy.deepcopy(rng.choice(OTHERS))
        if isinstance(old, str) and old:
            i = rng.randrange(len(old))
            return rng.choice([old.upper(), old + old, old[:i] + old[i + 1:], old[:i] + rng.choice(STRINGS)[:3] + old[i:], [old], {old: old}])
        if isinstance(old, (int, float)):
            return rng.choice([old + 1, old - 1, -old, str(old), [old], old * 1000])
        return rng.choice([[old], {"a": old}, json.dumps(old)])

    def change(self, tree):
        rng = self.rng
        path = rng.choice([p for p in paths(tree) if p])
        parent, key = at(tree, path[:-1]), path[-1]
        how = rng.random()
        if how < 0.35:
            parent[key] = self.other_value(parent[key])
        elif how < 0.5:
            parent[key] = copy.deepcopy(rng.choice(self.values.get(key if isinstance(key, str) else "[]", OTHERS)))
        elif how < 0.62:
            del parent[key]
        elif how < 0.72 and isinstance(parent, list):
            parent.insert(rng.randrange(len(parent) + 1), copy.deepcopy(parent[key]))
        elif how < 0.8 and isinstance(parent, dict):
            parent[rng.choice(KEYS)] = parent.pop(key)
        elif how < 0.88:  # to another place
            value = copy.deepcopy(parent[key])
            other = rng.choice([p for p in paths(tree) if isinstance(at(tree, p), dict)])
            at(tree, other)[key if isinstance(key, str) else rng.choice(KEYS)] = value
        else:  # a field that some other manifest has there
            name = rng.choice([k for k in self.values if k != "[]"])
            where = [p for p in paths(tree) if isinstance(at(tree, p), dict)]
            at(tree, rng.choice(where))[name] = copy.deepcopy(rng.choice(self.values[name]))

    def render(self, tree):
        rng = self.rng
        how = rng.random()
        if how < 0.3:
            return json.dumps(tree, ensure_ascii=rng.random() < 0.5, indent=rng.choice([None, 1, "\t"]))
        return yaml.safe_dump(tree, default_flow_style=rng.choice([None, True, False]), allow_unicode=rng.random() < 0.5,
                              default_style=rng.choice([None, None, None, '"', "'", "|", ">"]), width=rng.choice([20, 80, 10000]),
                              indent=rng.choice([2, 3, 8]), explicit_start=rng.random() < 0.2)

    # ---- of the text ----

    def damage(self, text):
        rng = self.rng
        lines = text.splitlines(keepends=True) or [""]
        i = rng.randrange(len(lines))
        how = rng.randrange(14)
        if how == 0:
            lines.insert(i, lines[rng.randrange(len(lines))])
        elif how == 1:
            del lines[i]
        elif how == 2:
            lines[i] = " " + lines[i]
        elif how == 3:
            lines[i] = lines[i].replace("  ", "\t", 1)
        elif how == 4:
            lines[i] = lines[i].replace(": ", rng.choice([":", ":  ", " : ", ": &x ", ": *x ", ": !!str ", ": !x ", ": | ", ": >\n  "]), 1)
        elif how == 5:
            lines = lines[:i]
        elif how == 6:
            lines.insert(i, rng.choice(["---\n", "...\n", "# note\n", "\n", "- \n", "<<: {a: b}\n", "? a\n", "%YAML 1.1\n", "x: &x y\n"]))
        elif how == 7:
            return text.replace("\n", rng.choice(["\r\n", "\r", "\n\n", "\u2028"]))
        elif how == 8:
            return rng.choice(["\ufeff", "---\n", "\n\n", "# x\n", " ", "\t", "--- # x\n", "%TAG ! tag:a,2000:\n---\n"]) + text
        elif how == 9:
            return text + rng.choice(["---\n", "...\n", "---\nkind: Pod\n", "\0", "\t\n", "}", "--- x\n", "\n...\n# x\n"])
        elif how == 10:
            at_ = rng.randrange(len(text) + 1)
            return text[:at_] + rng.choice("{}[],:&*!|>'\"%@`#-? \t\n\\\u00a0aA0") + text[at_:]
        elif how == 11:
            at_ = rng.randrange(len(text) + 1)
            return text[:at_] + text[at_ + rng.randint(1, 3):]
        elif how == 12:
            lines.insert(i, lines[i].replace(": ", ": x", 1))
        else:
            lines[i] = lines[i].replace(rng.choice(["'", '"', "[", "]", "{", "}", ",", "true", "1"]), rng.choice(["", "yes", "~", "0b1", "0o7", "1_0", ".5"]), 1)
        return "".join(lines)

    def manifest(self):
        rng = self.rng
        how = rng.random()
        if how < 0.25:
            text = rng.choice(self.texts)
        else:
            tree = copy.deepcopy(rng.choice(self.trees))
            for _ in range(rng.choice([1, 1, 1, 1, 2, 3])):
                if tree:
                    self.change(tree)
            text = self.render(tree)
        for _ in range(rng.choice([1, 1, 2]) if how < 0.25 else rng.choice([0, 0, 0, 0, 1])):
            text = self.damage(text)
        return text
