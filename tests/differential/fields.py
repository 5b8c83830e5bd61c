"""Which fields Kubernetes 1.20 knows (fields-of-1.20.txt, which test_kubelet.py holds against its Go types).
What the table of podspec has beyond them came with later releases: 1.20 drops it in silence, whatever it
holds."""

import os
import re

from programs import DUMP, HERE, ask

FILE = os.path.join(HERE, "fields-of-1.20.txt")
# Go's names of two types, and what is looked at as something else's.
SAME = {"LifecycleHandler": "Handler", "ObjectMetaOfTemplate": "ObjectMeta"}


def read():
    with open(FILE, encoding="utf-8") as f:
        lines = [line.split(":") for line in f if not line.startswith("#")]
    return {name: set(fields.split()) for name, fields in lines}


class Fields:
    def __init__(self):
        self.known = read()
        self.table = ask(DUMP, [{"mode": "table", "text": ""}])[0]

    def is_later(self, type_name, field):
        return field not in self.known.get(SAME.get(type_name, type_name), ()) and field not in ("status", "managedFields")

    def is_later_path(self, path):
        """spec.containers[0].resizePolicy[0].resourceName: yes."""
        type_name = "Pod"
        for name in re.sub(r"\[[^]]*\]", "", path).split("."):
            row = next((r for r in self.table.get(type_name, ()) if r["name"] == name), None)
            if not row:
                return False
            if self.is_later(type_name, name):
                return True
            type_name = row.get("type")
        return False
