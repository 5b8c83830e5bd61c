"""Random requests for both sides of the differential test. Everything comes from one seeded random
generator, so a failure is repeated by its seed."""

import copy
import json
import string

# Values that are right, by the field's name; a type of the table before a colon narrows it down.
RIGHT = {
    "kind": ["Pod"], "apiVersion": ["v1"], "Pod:kind": ["Pod"],
    "namespace": ["default", "kube-system"], "uid": ["my-uid"], "image": ["web", "web:1", "a.b:5/web@sha256:" + "0" * 64],
    "mountPath": ["/a", "/b", "/c", "/d"], "path": ["/x"], "DownwardAPIVolumeFile:path": ["p", "q", "r"],
    "KeyToPath:path": ["p"], "ServiceAccountTokenProjection:path": ["p"], "subPath": ["s", "s/t"],
    "subPathExpr": ["$(NAME)", "s"], "devicePath": ["/dev/x"], "localhostProfile": ["profile"],
    "fieldPath": ["metadata.name", "metadata.namespace", "metadata.labels['a']"],
    "resource": ["limits.cpu", "requests.memory"], "containerName": ["c0"], "divisor": ["1", "0"],
    "ip": ["1.2.3.4", "::1"], "nameservers": ["8.8.8.8"], "searches": ["a.b", "c."],
    "hostnames": ["a", "b.c"], "hostIP": ["", "1.2.3.4"], "medium": ["Memory", ""],
    "creationTimestamp": ["2021-01-13T13:08:40Z"], "deletionTimestamp": ["2021-01-13T13:08:40Z"],
    "finalizers": ["example.com/x"], "add": ["NET_ADMIN", "CHOWN"], "drop": ["ALL"],
    "namespaces": ["default"], "iqn": ["iqn.2020-01.a:b"], "driver": ["example.com"],
    "accessModes": ["ReadWriteOnce"], "HTTPHeader:name": ["Host", "X-A"], "Sysctl:name": ["net.core.somaxconn", "a.b"],
    "EnvVar:name": ["NAME", "a.b", "_x"], "ContainerPort:name": ["http", "web"],
    "OwnerReference:controller": [False], "conditionType": ["example.com/ready"],
    "prefix": ["P_"], "registry": ["a:1"], "command": ["run", "$(NAME)"],
    "shareName": ["s"], "workingDir": ["/", "/x"],
}

WRONG = ["", "a", "A", "-", "a b", " a", "..", "../x", "x/..", "/..", "a..b", "a/b/c", "a=b", "1", "0.5",
         "z" * 64, "a." * 127 + "a", "é", "$(X)", "metadata.labels['']", "metadata.labels['a/b']",
         "status.podIP", "limits.gpu", "Always", "tcp", "null", "true", None, True, 7, -1, 1.5, 70000,
         5000000000, 1e30, [], {}, ["a"], [None], {"a": "b"}, [[]], [{}]]

QUANTITIES = ["1", "250m", 2, 0.5, "1Gi", "100Mi", "1e3", "0", "1.5"]


class PodMaker:
    def __init__(self, fields, rng):
        self.fields = fields
        self.rng = rng
        self.serial = 0

    def chance(self, p):
        return self.rng.random() < p

    def pick(self, type_name, name):
        for key in (f"{type_name}:{name}", name):
            if key in RIGHT:
                return self.rng.choice(RIGHT[key])
        self.serial += 1
        return f"{self.rng.choice('abc')}{self.serial}"

    def resources(self):
        names = [n for n in ("cpu", "memory", "ephemeral-storage", "example.com/gpu", "hugepages-2Mi") if self.chance(0.3)]
        return {n: self.rng.choice(QUANTITIES) for n in names}

    def value(self, type_name, row, depth):
        kind, rng = row["kind"], self.rng
        if kind in ("string", "strings"):
            def text():
                return rng.choice(row["values"]) if row["values"] else self.pick(type_name, row["name"])
            return text() if kind == "string" else [text() for _ in range(rng.randint(1, 2))]
        if kind == "bool":
            return self.chance(0.5)
        if kind in ("int", "ints"):
            low, high = (row["min"], row["max"]) if row["min"] or row["max"] else (0, 100)
            def number():
                return rng.choice([low if low > -2**40 else 0, min(high, 2**31 - 1), rng.randint(max(low, 0), max(low, min(high, 300)))])
            return number() if kind == "int" else [number() for _ in range(rng.randint(1, 2))]
        if kind == "quantity":
            return rng.choice(RIGHT["divisor"] if row["name"] == "divisor" else QUANTITIES)
        if kind == "port":
            return rng.choice([80, 6443, 1, 65535, "http"])
        if kind == "map":
            return {k: "v" for k in ("a", "b.c/d") if self.chance(0.5)}
        if kind == "resources":
            return self.resources()
        if kind == "struct":
            return self.struct(row["type"], depth + 1)
        if kind == "structs":
            return [self.struct(row["type"], depth + 1) for _ in range(rng.randint(1, 2))]
        return []

    def struct(self, type_name, depth=0):
        rows = [r for r in self.fields.table[type_name] if not self.fields.is_later(type_name, r["name"])]
        p = {0: 1, 1: 0.25, 2: 0.2}.get(depth, 0.3)
        result = {}
        for row in rows:
            if row["required"] or self.chance(p * (0.05 if row["refused"] else 1)):
                result[row["name"]] = self.value(type_name, row, depth)
        fix = getattr(self, "fix_" + type_name, None)
        if fix:
            fix(result)
        return result

    def keep_one(self, result, names, fallback=None):
        there = [n for n in names if n in result]
        keep = self.rng.choice(there) if there else None
        for name in there:
            if name != keep:
                del result[name]
        if not there and fallback:
            result[fallback[0]] = fallback[1]

    def fix_Pod(self, pod):
        pod.pop("status", None)
        containers = pod["spec"]["containers"]
        volumes = [v["name"] for v in pod["spec"].get("volumes", [])]
        for i, c in enumerate(containers + pod["spec"].get("initContainers", [])):
            c["name"] = f"c{i}"
            if i >= len(containers):
                for field in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe"):
                    c.pop(field, None)
            mounts = c.get("volumeMounts", [])
            for k, m in enumerate(mounts):
                m["mountPath"] = f"/m{k}"
                m["name"] = self.rng.choice(volumes) if volumes else "none"
            if not volumes:
                c.pop("volumeMounts", None)
            for k, port in enumerate(c.get("ports", [])):
                port["containerPort"] = 1000 + 10 * i + k
                port["name"] = f"p{k}"
                port.pop("hostPort", None)
        if self.chance(0.7):
            pod["spec"]["hostNetwork"] = True

    def fix_VolumeMount(self, m):
        self.keep_one(m, ["subPath", "subPathExpr"])
        if m.get("mountPropagation") == "Bidirectional" and self.chance(0.9):
            del m["mountPropagation"]

    def fix_Volume(self, v):
        there = [n for n in v if n != "name"]
        self.keep_one(v, there, ("hostPath", {"path": "/x"}) if self.chance(0.5) else None)

    def fix_VolumeProjection(self, v):
        self.keep_one(v, list(v))

    def fix_handler(self, p):
        self.keep_one(p, ["exec", "httpGet", "tcpSocket"], ("tcpSocket", {"port": 80}))

    def fix_Probe(self, p):
        self.fix_handler(p)
        p.pop("successThreshold", None)

    fix_LifecycleHandler = fix_handler

    def fix_EnvVar(self, v):
        self.keep_one(v, ["value", "valueFrom"])

    def fix_EnvVarSource(self, v):
        self.keep_one(v, list(v), ("fieldRef", {"fieldPath": "metadata.name"}))

    def fix_DownwardAPIVolumeFile(self, v):
        self.keep_one(v, ["fieldRef", "resourceFieldRef"], ("fieldRef", {"fieldPath": "metadata.name"}))
        if "resourceFieldRef" in v:
            v["resourceFieldRef"]["containerName"] = "c0"

    def fix_ResourceRequirements(self, r):
        if self.chance(0.8) and "limits" in r:
            r["requests"] = dict(r["limits"])

    def fix_profile(self, p):
        if p["type"] == "Localhost":
            p["localhostProfile"] = "x"
        else:
            p.pop("localhostProfile", None)

    fix_SeccompProfile = fix_profile

    def fix_Toleration(self, t):
        if "key" not in t or self.chance(0.3):
            t["operator"] = "Exists"
        if t.get("operator") == "Exists":
            t.pop("value", None)
        if t.get("effect") != "NoExecute":
            t.pop("tolerationSeconds", None)

    def fix_requirement(self, r):
        r["values"] = {"In": ["a"], "NotIn": ["a", "b"], "Gt": ["1"], "Lt": ["1"]}.get(r["operator"], [])

    fix_LabelSelectorRequirement = fix_requirement
    fix_NodeSelectorRequirement = fix_requirement

    def fix_NodeSelectorTerm(self, t):
        for r in t.get("matchFields", []):
            r.update(key="metadata.name", operator="In", values=["node-1"])

    # ---- breaking ----

    def leaves(self, value, path=()):
        yield path
        if isinstance(value, dict):
            for k in value:
                yield from self.leaves(value[k], path + (k,))
        elif isinstance(value, list):
            for i, item in enumerate(value):
                yield from self.leaves(item, path + (i,))

    def corrupt(self, pod):
        path = self.rng.choice([p for p in self.leaves(pod) if p])
        parent = pod
        for step in path[:-1]:
            parent = parent[step]
        how = self.rng.random()
        if how < 0.15:
            del parent[path[-1]]
        elif how < 0.25 and isinstance(parent, list):
            parent.append(copy.deepcopy(parent[path[-1]]))
        elif how < 0.3 and isinstance(parent, dict):
            parent["x" + str(path[-1])] = parent.pop(path[-1])
        else:
            parent[path[-1]] = copy.deepcopy(self.rng.choice(WRONG))

    def manifest(self):
        pod = self.struct("Pod")
        for _ in range(self.rng.choice([0, 0, 1, 1, 2])):
            self.corrupt(pod)
        return json.dumps(pod, ensure_ascii=False)


def quantity(rng):
    number = rng.choice(["", "+", "-"]) if rng.random() < 0.3 else ""
    whole = "".join(rng.choice(string.digits) for _ in range(rng.choice([0, 1, 1, 2, 3, 4, 9, 15, 18, 19, 25])))
    fraction = "".join(rng.choice("0" if rng.random() < 0.4 else string.digits) for _ in range(rng.choice([0, 1, 2, 3, 9, 10, 14])))
    number += whole or ("" if fraction else "0")
    if fraction or rng.random() < 0.02:
        number += "." + fraction
    suffix = rng.choice(["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"])
    if rng.random() < 0.2:
        suffix = rng.choice("eE") + rng.choice(["", "+", "-"]) + str(rng.randint(0, 12))
    if rng.random() < 0.03:
        suffix = rng.choice(["K", "mi", "i", "e", "E+", "kk", " Gi", "Gi ", "e1.5", "1", "%"])
    return number + suffix


def reference(rng):
    parts = ["$", "$$", "(", ")", "$(", "A", "B", "$(A)", "$(B)", "$(empty)", "$(none)", " ", "text", "=", "$("]
    return "".join(rng.choice(parts) for _ in range(rng.randint(0, 12)))


SCALAR_PARTS = ["0", "1", "7", "8", "9", "12", "0x", "0o", "0b", "_", ".", "-", "+", "e", "E", ":", "y", "n", "yes", "no", "on",
                "off", "true", "False", "null", "~", "Null", "inf", ".inf", ".nan", "a", "2021-01-02", "T10:11:12Z", " ", "'", "f"]


def scalar(rng):
    text = "".join(rng.choice(SCALAR_PARTS) for _ in range(rng.choice([1, 1, 2, 2, 3, 4]))).strip()
    # To Go a sign may stand within a binary number. Nobody writes that, so nobody reads it here.
    return text.replace("0b+", "0b").replace("0b-", "0b")


# Spellings that YAML 1.1, YAML 1.2 and people disagree about.
SCALARS = ["0644", "0o644", "0x1F", "0b101", "0b1", "1_000", "1__0", "_1", "1_", "+1", "-0", "+0", "00", "08", "09", "1e3", "1E3", "1e+3", "1.e3",
           ".5", "5.", "-.5", "1.5", "1.0", ".inf", "-.inf", "+.inf", ".Inf", ".INF", "inf", ".nan", ".NaN", "nan", "y", "Y", "n", "N", "yes", "Yes",
           "YES", "yEs", "no", "on", "On", "off", "OFF", "true", "True", "TRUE", "tRUE", "false", "~", "null", "Null", "NULL", "nULL", "''", '""', "1:30",
           "190:20:30", "2021-01-02", "2021-1-2", "2021-01-02T10:11:12Z", "2021-01-02 10:11:12", "2021-01-02t10:11:12.5+02:00", "<<", "=", "!!str 1",
           "!!int '1'", "!!float 1", "!!bool yes", "!!null ''", "!!binary aGk=", "!x 1", "9223372036854775807", "9223372036854775808",
           "-9223372036854775808", "-9223372036854775809", "18446744073709551615", "18446744073709551616", "1e400", "0x", "0b", "0o", "0b2", "0xg", "0.1.2",
           "1,000", "1 000", "- 1", "'1'", '"1"', "|-\n    x", "1Gi", "100m", "0.5", "1e-3", "0777", "0o777", "-0x10", "-010", "+010", "1__000.5", "1e1_0"]

REFERENCES = ["", "$", "$$", "$$$", "$(", "$(A", "$(A)", "$$(A)", "$$$(A)", "$$$$(A)", "$()", "$( A)", "$(A )", "$(A)(A)", "$(A)$(B)", "$(A$(B))", "$($(A))",
              "$(B)", "$(C)", "$(empty)", "$(none)", "$(a.b-c_D)", "$((", "$(()", "$A", "${A}", "a$", "$a$", "$(A)$", "$(\n)", "$(é)", "é$(A)é", ")$(A)(", "$)A("]

QUANTITIES_AT_THE_END = ["0", "-0", "+0", "0.0", "00", "0m", "0n", "0Ki", "0e5", "1n", "0.1n", "0.9n", "1.1n", "-1n", "-0.1n", "999n", "1000n", "1u", "999u", "999999u",
                         "1m", "0.5m", "-0.5m", "999m", "1000m", "1001m", "0.0001", "0.001", "0.01", "1k", "1K", "1Ki", "1023", "1024", "1025", "1024Ki", "1023Ki",
                         "0.5Ki", "1.5Ki", "0.1Ki", "0.0009765625Ki", "1e0", "1e1", "1e3", "1E3", "1E", "1Ee3", "1e", "1e-3", "1e-9", "1e-10", "1e18", "1e19", "12e6",
                         "1.5e3", "9223372036854775807", "9223372036854775808", "9223372036854775807m", "9223372036854775.807", "9223372036854775808m", "7Ei",
                         "8Ei", "7.999Ei", "9Ei", "100Ei", "9E", "10E", "1000E", "9007199254740993", "-9223372036854775808", "-8Ei", "18446744073709551616", "1" + "0" * 28,
                         ".", "+", "-", "+-1", "1.", ".1", "..1", "1..", "1.1.1", "m", "Ki", "i", "1i", "1mi", "1ki", "1KI", "1 ", " 1", "1\n", "0x1", "1_0", "١"]


def resources_pod(rng):
    """A pod whose containers ask for amounts of every kind, some of them equal, in several spellings."""
    cpus = [None, None, "0", "1m", "2m", "10m", "100m", "0.1", "250m", "1", 1, "1000m", "1.5", "0.0005", "64", "300"]
    memories = [None, None, "0", "1", "64Mi", "67108864", "0.0625Gi", "1Gi", "1G", "1e9", "500m", "1500m", "1000000m", "7.5Gi", "8Gi", "100Gi", "15e8"]

    def container(name, same):
        limits = {"cpu": rng.choice(cpus), "memory": rng.choice(memories)}
        requests = {"cpu": rng.choice([None, limits["cpu"], "1m"]), "memory": rng.choice([None, limits["memory"], "1"])}
        if same:
            limits = {"cpu": rng.choice(cpus[2:]), "memory": rng.choice(memories[2:])}
            requests = rng.choice([{}, dict(limits)])
        if rng.random() < 0.1:
            limits["example.com/gpu"] = "1"
        resources = {"limits": {k: v for k, v in limits.items() if v is not None},
                     "requests": {k: v for k, v in requests.items() if v is not None}}
        return {"name": name, "image": "web:1", "resources": {k: v for k, v in resources.items() if v or rng.random() < 0.3}}

    same = rng.random() < 0.4
    spec = {"hostNetwork": True, "containers": [container(f"c{i}", same) for i in range(rng.choice([1, 1, 2, 3]))]}
    if rng.random() < 0.3:
        spec["initContainers"] = [container(f"i{i}", same) for i in range(rng.choice([1, 2]))]
    if rng.random() < 0.15:
        spec["overhead"] = {"cpu": "10m", "memory": "1Mi"}
    if rng.random() < 0.2:
        spec["priorityClassName"] = rng.choice(["system-node-critical", "system-cluster-critical", "mine"])
    if rng.random() < 0.1:
        spec["priority"] = 2000000000
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": spec})
