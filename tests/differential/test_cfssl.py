"""`mainstay pki` beside Debian's cfssl: the same files through both, the certificates compared field by
field, each one's CA signing for the other, cfssljson reading what we print."""

import datetime
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import harness  # noqa: E402

CFSSL = shutil.which("cfssl")
CONFIG = {"signing": {
    "default": {"expiry": "168h", "usages": ["signing", "server auth"]},
    "profiles": {
        "server": {"usages": ["signing", "key encipherment", "server auth"], "expiry": "8760h"},
        "client": {"usages": ["signing", "key encipherment", "client auth"], "expiry": "8760h"},
        "peer": {"usages": ["signing", "key encipherment", "server auth", "client auth"], "expiry": "1000h30m"},
        "other": {"usages": ["digital signature", "content committment", "key agreement"], "expiry": "3000s"},
        "rare": {"usages": ["data encipherment", "encipher only", "decipher only", "code signing", "timestamping",
                            "ocsp signing", "email protection", "any", "ipsec tunnel"], "expiry": "1h"},
        "intermediate": {"usages": ["cert sign", "crl sign"], "expiry": "2000h", "ca_constraint": {
            "is_ca": True, "max_path_len": 0, "max_path_len_zero": True}},
        "deep": {"usages": ["cert sign"], "expiry": "2000h", "ca_constraint": {"is_ca": True, "max_path_len": 3}},
        "places": {"usages": ["signing"], "expiry": "24h", "crl_url": "http://crl.example/x.crl",
                   "ocsp_url": "http://ocsp.example", "backdate": "1h"},
    }}}
CA = {"CN": "Test CA", "key": {"algo": "rsa", "size": 2048},
      "names": [{"C": "US", "ST": "Oregon", "L": "Portland", "O": "Kubernetes", "OU": "CA"}]}
REQUESTS = {
    "etcd": {"CN": "etcd1", "hosts": ["etcd1.example.net", "10.0.0.1", "::1", "*.wild.example"],
             "key": {"algo": "ecdsa", "size": 256}},
    "rsa": {"CN": "kubernetes", "hosts": ["10.240.0.10", "127.0.0.1", "kubernetes.default"],
            "key": {"algo": "rsa", "size": 2048}, "names": [{"C": "DE", "L": "Köln", "O": "system:masters"}]},
    "p384": {"CN": "p384", "hosts": ["a"], "key": {"algo": "ecdsa", "size": 384}},
    "p521": {"CN": "p521", "hosts": ["a"], "key": {"algo": "ecdsa", "size": 521}},
    "several": {"CN": "x", "names": [{"O": "A"}, {"O": "B", "OU": "u"}, {"ST": "s"}], "hosts": ["b@example.net"],
                "key": {"algo": "ecdsa", "size": 256}},
    "nameless": {"hosts": ["only.a.host"], "key": {"algo": "ecdsa", "size": 256}},
    "client": {"CN": "admin", "key": {"algo": "ecdsa", "size": 256}, "names": [{"O": "system:masters"}]},
}
FAULTS = {
    "no JSON": ("{", ":1:"), "a list": ("[]", "object"), "empty": ("", ""),
    "small key": ('{"CN":"x","key":{"algo":"rsa","size":1024}}', "key"),
    "unknown algorithm": ('{"CN":"x","key":{"algo":"dsa","size":2048}}', "key"),
    "odd curve": ('{"CN":"x","key":{"algo":"ecdsa","size":255}}', "key"),
    "number as a name": ('{"CN":5}', "CN"), "names is no list": ('{"CN":"x","names":{}}', "names"),
    "host is no name": ('{"CN":"x","hosts":["a b"]}', "a b"),
}


def openssl(*arguments, check=True):
    return subprocess.run(["openssl", *arguments], check=check, capture_output=True, text=True).stdout


def in_any_order(extension):
    """Extended usages are a set."""
    name, _, values = extension.partition("\n")
    return name + "\n" + ", ".join(sorted(values.strip().split(", "))) if "Extended" in name else extension


def fields(pem):
    """What is compared of a certificate: all but serial, dates as such, keys and signature."""
    text = openssl("x509", "-in", pem, "-noout", "-text", "-nameopt", "RFC2253,sep_multiline,utf8,-esc_msb")
    extensions = text.split("X509v3 extensions:")[1].split("    Signature Algorithm")[0]
    extensions = re.sub(r"([0-9A-F]{2}:){19}[0-9A-F]{2}", "ID", extensions)
    dates = dict(line.split("=", 1) for line in openssl("x509", "-in", pem, "-noout", "-dates").splitlines())
    start, end = (datetime.datetime.strptime(dates[k], "%b %d %H:%M:%S %Y GMT") for k in ("notBefore", "notAfter"))
    return {
        "subject": re.search(r"Subject:\s*(.*?)Subject Public", text, re.DOTALL)[1],
        "issuer": re.search(r"Issuer:\s*(.*?)Validity", text, re.DOTALL)[1],
        "signature": re.search(r"Signature Algorithm: (\S+)", text)[1],
        "key": re.findall(r"Public-Key: \((\d+) bit\)|NIST CURVE: (\S+)", text),
        "extensions": sorted(in_any_order(e) for e in re.split(r"\n {12}(?=\S)", extensions.rstrip())),
        "validity": end - start,
        "in the past": start < datetime.datetime.utcnow(),
    }


class PkiTest(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="mainstay-cfssl-")
        self.addCleanup(shutil.rmtree, self.dir)
        self.write("config.json", CONFIG)
        self.write("ca.json", CA)

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, content):
        with open(self.path(name), "w") as f:
            f.write(content if isinstance(content, str) else json.dumps(content))

    def run_tool(self, tool, *arguments, check=True, input=None):
        program = [CFSSL] if tool == "cfssl" else [harness.MAINSTAY, "pki"]
        done = subprocess.run([*program, *arguments], cwd=self.dir, capture_output=True, text=True, input=input)
        if check:
            self.assertEqual(done.returncode, 0, f"{tool} {arguments}: {done.stderr}")
        return done


@unittest.skipUnless(CFSSL, "cfssl is not installed (Debian: golang-cfssl)")
class CfsslTest(PkiTest):
    def bare(self, name, answer):
        """As guides do it: what either prints goes through cfssljson."""
        subprocess.run(["cfssljson", "-bare", name], cwd=self.dir, input=answer, text=True, check=True)
        return self.path(name + ".pem")

    def make_ca(self, tool):
        return self.bare(f"ca-{tool}", self.run_tool(tool, "gencert", "-initca", "ca.json").stdout)

    def gencert(self, tool, ca, profile, request):
        self.write("request.json", request)
        answer = self.run_tool(tool, "gencert", f"-ca=ca-{ca}.pem", f"-ca-key=ca-{ca}-key.pem",
                               "-config=config.json", *([f"-profile={profile}"] if profile else []), "request.json")
        return self.bare(f"{tool}-leaf", answer.stdout)

    def test_cas_are_the_same(self):
        for name, more in {"plain": {}, "short": {"ca": {"expiry": "1000h", "pathlen": 2}},
                           "none below": {"ca": {"pathlen": 0, "pathlenzero": True}},
                           "ecdsa": {"key": {"algo": "ecdsa", "size": 384}}}.items():
            with self.subTest(name):
                self.write("ca.json", {**CA, **more})
                self.assertEqual(fields(self.make_ca("mainstay")), fields(self.make_ca("cfssl")))

    def test_every_profile_for_every_request_by_either_ca(self):
        for tool in ("cfssl", "mainstay"):
            self.make_ca(tool)
        for n, (profile, request) in enumerate(itertools.product(["", *CONFIG["signing"]["profiles"]], REQUESTS)):
            ca = ("cfssl", "mainstay")[n % 2]
            asked = dict(REQUESTS[request])
            if profile in ("intermediate", "deep"):  # cfssl leaves a CA its IP addresses, and drops its other names
                asked["hosts"] = [host for host in asked.get("hosts", []) if not re.fullmatch(r"[0-9.:]+", host)]
            with self.subTest(profile=profile, request=request, ca=ca):
                theirs = fields(self.gencert("cfssl", ca, profile, asked))
                ours_pem = self.gencert("mainstay", ca, profile, asked)
                self.assertEqual(fields(ours_pem), theirs)
                openssl("verify", "-CAfile", self.path(f"ca-{ca}.pem"), ours_pem)
                key = openssl("pkey", "-in", self.path("mainstay-leaf-key.pem"), "-pubout")
                self.assertEqual(key, openssl("x509", "-in", ours_pem, "-noout", "-pubkey"))
                self.assertEqual(os.stat(self.path("mainstay-leaf-key.pem")).st_mode & 0o777, 0o600)

    def test_requests_and_signing(self):
        for tool in ("cfssl", "mainstay"):
            self.make_ca(tool)
        for signer, maker in itertools.permutations(("cfssl", "mainstay")):
            self.write("request.json", REQUESTS["etcd"])
            self.bare("made", self.run_tool(maker, "genkey", "request.json").stdout)
            openssl("req", "-in", self.path("made.csr"), "-noout", "-verify")
            answer = self.run_tool(signer, "sign", f"-ca=ca-{maker}.pem", f"-ca-key=ca-{maker}-key.pem",
                                   "-config=config.json", "-profile=peer", "made.csr").stdout
            signed = fields(self.bare("signed", answer))
            self.assertEqual(signed, fields(self.gencert("cfssl", maker, "peer", REQUESTS["etcd"])))

    def test_hostname_replaces_the_hosts(self):
        self.make_ca("cfssl")
        self.write("request.json", REQUESTS["etcd"])
        made = [fields(self.bare(f"{tool}-h", self.run_tool(
            tool, "gencert", "-ca=ca-cfssl.pem", "-ca-key=ca-cfssl-key.pem", "-hostname=a.b,1.2.3.4", "request.json").stdout))
            for tool in ("cfssl", "mainstay")]
        self.assertEqual(made[0], made[1])

    def test_the_same_key_has_the_same_identifier(self):
        self.make_ca("cfssl")
        ids = [openssl("x509", "-in", pem, "-noout", "-ext", "subjectKeyIdentifier") for pem in (
            self.path("ca-cfssl.pem"),
            self.bare("again", self.run_tool("mainstay", "gencert", "-initca", "-ca-key=ca-cfssl-key.pem", "ca.json").stdout),
            self.bare("renewed", self.run_tool("mainstay", "gencert", "-renewca", "-ca=ca-cfssl.pem",
                                               "-ca-key=ca-cfssl-key.pem").stdout))]
        self.assertEqual(ids[0], ids[1])
        self.assertEqual(ids[0], ids[2])
        self.assertEqual(fields(self.path("renewed.pem")), fields(self.path("ca-cfssl.pem")))

    def test_certinfo(self):
        self.make_ca("cfssl")
        pem = self.gencert("mainstay", "cfssl", "peer", {**REQUESTS["rsa"], "hosts": ["a.b", "10.0.0.1"]})
        ours, theirs = (json.loads(self.run_tool(tool, "certinfo", "-cert", pem).stdout) for tool in ("mainstay", "cfssl"))
        for key in ("authority_key_id", "subject_key_id"):  # cfssl drops the zeroes of bytes below 16
            self.assertEqual([int(b, 16) for b in ours.pop(key).split(":")], [int(b, 16) for b in theirs.pop(key).split(":")])
        self.assertEqual(ours, theirs)

    def test_defaults(self):
        for what in ("csr", "config"):
            ours, theirs = (json.loads(self.run_tool(tool, "print-defaults", what).stdout) for tool in ("mainstay", "cfssl"))
            self.assertEqual(ours, theirs)


class FaultTest(PkiTest):
    """What is wrong is told and changes nothing."""

    def refuse(self, words, *arguments, input=None):
        before = sorted(os.listdir(self.dir))
        done = self.run_tool("mainstay", *arguments, check=False, input=input)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn(words, done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertEqual(sorted(os.listdir(self.dir)), before)

    def ca(self, name="ca"):
        self.run_tool("mainstay", "gencert", "-initca", "ca.json", "-bare", name)

    def test_bad_requests(self):
        for what, (text, words) in FAULTS.items():
            with self.subTest(what):
                self.write("request.json", text)
                self.refuse(words, "genkey", "request.json")

    def test_bad_cas(self):
        self.ca()
        self.ca("other")
        self.write("request.json", REQUESTS["etcd"])
        base = ["gencert", "-config=config.json"]
        self.refuse("is not the key of", *base, "-ca=ca.pem", "-ca-key=other-key.pem", "-profile=peer", "request.json")
        self.refuse("did you mean \"peer\"", *base, "-ca=ca.pem", "-ca-key=ca-key.pem", "-profile=peeer", "request.json")
        self.refuse("nothing.pem", *base, "-ca=nothing.pem", "-ca-key=ca-key.pem", "request.json")
        os.chmod(self.path("ca-key.pem"), 0o644)
        self.refuse("chmod 600", *base, "-ca=ca.pem", "-ca-key=ca-key.pem", "-profile=peer", "request.json")
        os.chmod(self.path("ca-key.pem"), 0o600)
        self.run_tool("mainstay", *base, "-ca=ca.pem", "-ca-key=ca-key.pem", "-profile=peer", "request.json", "-bare", "leaf")
        self.refuse("is not a CA", *base, "-ca=leaf.pem", "-ca-key=leaf-key.pem", "-profile=peer", "request.json")
        self.run_tool("mainstay", *base, "-ca=ca.pem", "-ca-key=ca-key.pem", "-profile=intermediate", "request.json", "-bare", "sub")
        self.refuse("path length 0", *base, "-ca=sub.pem", "-ca-key=sub-key.pem", "-profile=intermediate", "request.json")

    def test_nothing_is_replaced_unasked(self):
        self.ca()
        with open(self.path("ca-key.pem")) as f:
            key = f.read()
        self.refuse("is left alone", "gencert", "-initca", "ca.json", "-bare", "ca")
        self.run_tool("mainstay", "gencert", "-initca", "ca.json", "-bare", "ca", "--force")
        kept = [name for name in os.listdir(self.dir) if name.startswith("ca-key.pem.")]
        self.assertEqual(len(kept), 1)
        with open(self.path(kept[0])) as f:
            self.assertEqual(f.read(), key)

    def test_a_server_without_names_is_told(self):
        self.ca()
        self.write("request.json", {"CN": "x"})
        done = self.run_tool("mainstay", "gencert", "-ca=ca.pem", "-ca-key=ca-key.pem", "request.json")
        self.assertIn("names no hosts", done.stderr)
        self.write("request.json", {"CN": "x", "host": ["a"]})
        done = self.run_tool("mainstay", "genkey", "request.json")
        self.assertIn("did you mean hosts?", done.stderr)


if __name__ == "__main__":
    harness.main()
