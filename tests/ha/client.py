"""A client of the control plane that never rests, and its book: every request, every answer.

It runs in the client's namespace (rig.py) and knows the control plane by its virtual address only.

    client.py load  CREDENTIALS URL BOOK [--seconds N] [--timeout N]
                       writes and reads until it is told to end (SIGTERM)
    client.py whole CREDENTIALS SECONDS URL…              waits until the cluster is whole; says what is not
    client.py check CREDENTIALS BOOK URL…                 reads everything back, from each URL
    client.py snapshot CREDENTIALS BOOK REVISION BEGAN ENDED URL…
                       the same of a cluster that was restored from a snapshot taken between two moments

Writers are of two kinds. "create" makes an object of its own for every write, so that each can be
looked up afterwards. "update" changes one object again and again under the condition that it still
has the revision of the write before (the API server's optimistic lock): had an acknowledged write
been lost, the next would be a conflict. Both exist with a connection that is kept and with a new one
for each request. Nothing is tried again: a request that got no answer, or a 5xx, is a failed one.
A line of the book: [time, worker, kind, name, sequence, outcome, revision, seconds]; an outcome is
"try" before a write is sent, "ok", or what was wrong.
"""

import argparse
import http.client
import itertools
import json
import os
import random
import select
import signal
import ssl
import sys
import threading
import time
import urllib.parse

NAMESPACE = "load"
REQUEST_SECONDS = 5.0  # a request that has no answer by then has failed
PACE_SECONDS = 0.05    # between two requests of a worker


class Credentials:
    """ca.crt, client.crt, client.key for the API servers; etcd-*.crt|key for etcd, in a directory."""

    def __init__(self, directory):
        self.directory = directory

    def context(self, prefix=""):
        context = ssl.create_default_context(cafile=os.path.join(self.directory, prefix + "ca.crt"))
        context.load_cert_chain(os.path.join(self.directory, prefix + "client.crt"),
                                os.path.join(self.directory, prefix + "client.key"))
        return context


class Endpoint:
    """HTTPS to one address, with a kept connection or a new one for each request."""

    def __init__(self, url, context, keep=True, seconds=REQUEST_SECONDS):
        parts = urllib.parse.urlsplit(url)
        self.host, self.port, self.context, self.keep, self.seconds = (
            parts.hostname, parts.port, context, keep, seconds)
        self.connection = None

    def ask(self, method, path, body=None):
        """(status, JSON or text); OSError or HTTPException when there is no answer."""
        connection, self.connection = self.connection, None
        if connection and select.select([connection.sock], [], [], 0)[0]:
            connection.close()  # the other side has closed it while nothing was asked, as it may
            connection = None
        if not connection:
            connection = http.client.HTTPSConnection(self.host, self.port, timeout=self.seconds, context=self.context)
        try:
            connection.request(method, path, None if body is None else json.dumps(body),
                               {"Content-Type": "application/json"})
            answer = connection.getresponse()
            data = answer.read()
        except BaseException:
            connection.close()
            raise
        if self.keep and not answer.will_close:
            self.connection = connection
        else:
            connection.close()
        try:
            return answer.status, json.loads(data)
        except ValueError:
            return answer.status, data.decode(errors="replace")


def reason(error):
    """A short word for what went wrong with a request."""
    if isinstance(error, TimeoutError):
        return "time-out"
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if isinstance(error, (ConnectionResetError, http.client.RemoteDisconnected, ssl.SSLEOFError, BrokenPipeError)):
        return "reset"
    if isinstance(error, http.client.HTTPException):
        return "reset"
    return error.strerror or type(error).__name__ if isinstance(error, OSError) else type(error).__name__


# ---- the load


class Load:
    def __init__(self, url, credentials, book, timeout=REQUEST_SECONDS):
        self.url = url
        self.timeout = timeout
        self.context = credentials.context()
        self.book = open(book, "a", buffering=1)
        self.lock = threading.Lock()
        self.ended = threading.Event()
        self.written = {}  # name: (sequence, revision) as acknowledged
        self.run_mark = f"{int(time.time()):x}"

    def note(self, worker, kind, name, sequence, outcome, revision=0, seconds=0.0):
        line = json.dumps([round(time.monotonic(), 4), worker, kind, name, sequence, outcome, revision,
                           round(seconds, 4)])
        with self.lock:
            self.book.write(line + "\n")

    def rounds(self, work):
        while not self.ended.is_set():
            work()
            self.ended.wait(PACE_SECONDS * random.uniform(0.5, 1.5))

    def request(self, endpoint, method, path, body=None):
        """(outcome, answer, seconds)"""
        start = time.monotonic()
        try:
            status, answer = endpoint.ask(method, path, body)
            outcome = "ok" if status in (200, 201) else str(status)
        except (OSError, http.client.HTTPException) as e:
            outcome, answer = reason(e), None
        return outcome, answer, time.monotonic() - start

    def object(self, name, sequence, revision=None):
        metadata = {"name": name, "namespace": NAMESPACE}
        if revision:
            metadata["resourceVersion"] = str(revision)
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"value": str(sequence)}}

    def creator(self, worker, endpoint):
        path = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
        numbers = itertools.count()

        def one():
            sequence = next(numbers)
            name = f"{worker}-{self.run_mark}-{sequence:06d}"
            self.note(worker, "create", name, sequence, "try")
            outcome, answer, seconds = self.request(endpoint, "POST", path, self.object(name, sequence))
            revision = int(answer["metadata"]["resourceVersion"]) if outcome == "ok" else 0
            self.note(worker, "create", name, sequence, outcome, revision, seconds)
            if outcome == "ok":
                self.written[name] = (sequence, revision)
        self.rounds(one)

    def updater(self, worker, endpoint):
        name = f"{worker}-{self.run_mark}"
        base = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
        # "late": a write without an answer may still be under way, and come before the next one
        state = {"revision": 0, "sequence": 0, "known": False, "late": False}

        def look():
            """After a request without an answer: did it happen? A read, which must agree with the book."""
            outcome, answer, seconds = self.request(endpoint, "GET", f"{base}/{name}")
            self.note(worker, "read", name, state["sequence"], "ok" if outcome == "404" else outcome, 0, seconds)
            if outcome == "404" and name in self.written:
                self.note(worker, "lost", name, state["sequence"], "gone")
            if outcome == "404":
                state.update(revision=0, known=True)
            if outcome != "ok":
                return
            revision, value = int(answer["metadata"]["resourceVersion"]), int(answer["data"]["value"])
            if revision < state["revision"] or value > state["sequence"]:
                self.note(worker, "lost", name, value, "went back", revision)
            state.update(revision=revision, known=True)

        def one():
            if not state["known"]:
                return look()
            state["sequence"] += 1
            sequence, revision = state["sequence"], state["revision"]
            self.note(worker, "update", name, sequence, "try")
            method, path = ("PUT", f"{base}/{name}") if revision else ("POST", base)
            outcome, answer, seconds = self.request(endpoint, method, path, self.object(name, sequence, revision))
            if outcome == "ok":
                state["revision"] = int(answer["metadata"]["resourceVersion"])
                state["late"] = False  # what is still under way fails the condition now
                self.written[name] = (sequence, state["revision"])
            else:
                state["known"] = False
            self.note(worker, "update", name, sequence, outcome, state["revision"] if outcome == "ok" else 0, seconds)
            if outcome == "409" and not state["late"]:  # nobody else writes this object
                self.note(worker, "lost", name, sequence, "conflict")
            if not outcome.startswith("4") and outcome != "ok":
                state["late"] = True
        self.rounds(one)

    def reader(self, worker, endpoint):
        def one():
            known = list(self.written.items())
            if not known:
                return
            name, (sequence, revision) = random.choice(known[-200:])
            outcome, answer, seconds = self.request(endpoint, "GET",
                                                    f"/api/v1/namespaces/{NAMESPACE}/configmaps/{name}")
            self.note(worker, "read", name, sequence, "ok" if outcome == "404" else outcome, 0, seconds)
            if outcome == "404":
                self.note(worker, "lost", name, sequence, "gone")
            elif outcome == "ok" and int(answer["metadata"]["resourceVersion"]) < revision:
                self.note(worker, "lost", name, sequence, "stale", int(answer["metadata"]["resourceVersion"]))
        self.rounds(one)

    def run(self, seconds):
        work = [("create", self.creator), ("update", self.updater), ("read", self.reader)]
        threads = []
        for kind, function in work:
            for keep in (True, False):
                worker = f"{kind}-{'kept' if keep else 'new'}"
                endpoint = Endpoint(self.url, self.context, keep, self.timeout)
                threads.append(threading.Thread(target=function, args=(worker, endpoint)))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.ended.set())
        for thread in threads:
            thread.start()
        self.ended.wait(seconds)
        self.ended.set()
        for thread in threads:
            thread.join()


# ---- the book, read again


def entries(book):
    with open(book) as f:
        for line in f:
            if line.endswith("\n"):
                yield json.loads(line)


def summary(book, start=0.0, end=float("inf")):
    """What the requests that ended between two moments (time.monotonic) tell."""
    ok, failures, lost, slowest = {"write": [], "read": []}, {}, [], {}
    last = {}
    for moment, worker, kind, name, sequence, outcome, revision, seconds in entries(book):
        if not start <= moment <= end or outcome == "try":
            continue
        if kind == "lost":
            lost.append((name, sequence, outcome, revision))
            continue
        if outcome == "ok":
            ok["read" if kind == "read" else "write"].append(moment)
            slowest[worker] = max(slowest.get(worker, 0.0), moment - last.get(worker, start or moment))
            last[worker] = moment
        else:
            failures[outcome] = failures.get(outcome, 0) + 1
    gaps = {k: longest_gap(v, start, end) for k, v in ok.items()}
    return {"writes": len(ok["write"]), "reads": len(ok["read"]), "failures": failures, "lost": lost,
            "write gap": gaps["write"], "read gap": gaps["read"], "client gap": max(slowest.values(), default=0.0)}


def describe(s):
    failed = sum(s["failures"].values())
    kinds = ", ".join(f"{n} {k}" for k, n in sorted(s["failures"].items()))
    return (f"{s['writes']} writes and {s['reads']} reads; {failed} failed{f' ({kinds})' if kinds else ''}; "
            f"without service: writes {s['write gap']:.2f} s, reads {s['read gap']:.2f} s, "
            f"the unluckiest client {s['client gap']:.2f} s; {len(s['lost'])} lost")


def longest_gap(moments, start, end):
    edges = ([start] if start else []) + sorted(moments) + ([end] if end != float("inf") else [])
    return max((b - a for a, b in zip(edges, edges[1:])), default=0.0)


def acknowledged(book, before=float("inf")):
    """({name: (value, revision)} that was acknowledged before a moment (time.monotonic), {name: values that may
    be there as well}): a write that was sent and not answered may have happened, and later ones may have, too."""
    known, maybe = {}, {}
    for moment, _, kind, name, sequence, outcome, revision, _ in entries(book):
        if kind not in ("create", "update"):
            continue
        if outcome == "try":
            maybe.setdefault(name, set()).add(sequence)
        elif outcome == "ok" and moment <= before:
            known[name] = (sequence, revision)
            maybe[name] = {s for s in maybe.get(name, ()) if s > sequence}
        elif outcome.startswith("4"):
            maybe[name].discard(sequence)  # refused is refused
    return known, maybe


def acknowledged_until(book, revision, began, ended):
    """As acknowledged(), of a snapshot at a revision that was taken between two moments: the revision of each write
    tells on which side it is. And what is wrong with that revision, as lines."""
    known, maybe, wrong = {}, {}, []
    for moment, _, kind, name, sequence, outcome, at, seconds in entries(book):
        if kind not in ("create", "update"):
            continue
        if outcome == "ok" and moment < began and at > revision:
            wrong.append(f"{name}={sequence} was acknowledged at {at} before the snapshot of {revision}")
        if outcome == "ok" and moment - seconds > ended and at <= revision:
            wrong.append(f"{name}={sequence} was written at {at} after the snapshot of {revision}")
        if outcome == "try":
            maybe.setdefault(name, set()).add(sequence)
        elif outcome == "ok":
            maybe[name].discard(sequence)
            if at <= revision:
                known[name] = (sequence, at)
                maybe[name] = {s for s in maybe[name] if s > sequence}
        elif outcome.startswith("4"):
            maybe[name].discard(sequence)
    return known, maybe, wrong


def compare(known, maybe, found):
    """What is wrong with the objects found ({name: (value, revision)}), as lines."""
    wrong = []
    for name, (value, revision) in known.items():
        if name not in found:
            wrong.append(f"{name}={value} (revision {revision}) is gone")
        elif found[name] == (value, revision):
            continue
        elif not (found[name][0] in maybe.get(name, ()) and found[name][1] > revision):
            wrong.append(f"{name}: {value} at revision {revision} was acknowledged, "
                         f"{found[name][0]} at {found[name][1]} is there")
    for name, (value, revision) in found.items():
        if name not in known and value not in maybe.get(name, ()):
            wrong.append(f"{name}={value} (revision {revision}) was never written")
    return wrong


def objects(endpoint):
    """All that is there, by a read that etcd's majority answers for."""
    found, go_on = {}, ""
    while True:
        status, page = endpoint.ask("GET", f"/api/v1/namespaces/{NAMESPACE}/configmaps?limit=2000"
                                    + (f"&continue={go_on}" if go_on else ""))
        if status != 200:
            raise OSError(f"{status} {page}")
        for item in page["items"]:
            if "value" in item.get("data", {}):
                found[item["metadata"]["name"]] = (int(item["data"]["value"]),
                                                   int(item["metadata"]["resourceVersion"]))
        go_on = page["metadata"].get("continue")
        if not go_on:
            return found


# ---- is it whole?


def etcd_faults(endpoints):
    """endpoints: {host: Endpoint} of the members' client ports."""
    leaders, faults = set(), []
    for host, endpoint in endpoints.items():
        try:
            _, health = endpoint.ask("GET", "/health")
            _, status = endpoint.ask("POST", "/v3/maintenance/status", {})
            if not isinstance(health, dict) or health.get("health") not in ("true", True):
                faults.append(f"etcd {host} is not healthy: {health}")
            leaders.add(status.get("leader", "none"))
            if status.get("errors"):
                faults.append(f"etcd {host}: {status['errors']}")
        except (OSError, http.client.HTTPException, AttributeError) as e:
            faults.append(f"etcd {host}: {reason(e)}")
    if not faults and len(leaders) != 1:
        faults.append(f"etcd has {len(leaders)} leaders")
    if not faults:
        _, members = next(iter(endpoints.values())).ask("POST", "/v3/cluster/member/list", {})
        names = [m.get("name", "") for m in members["members"]]
        if len(names) != len(endpoints) or "" in names or any(m.get("isLearner") for m in members["members"]):
            faults.append(f"etcd has members {names}")
    return faults


def lease_faults(endpoint, name):
    """A leader that renews; there is never more than one, it is one object."""
    try:
        status, lease = endpoint.ask("GET", f"/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/{name}")
        if status != 200 or not lease["spec"].get("holderIdentity"):
            return [f"{name} has no leader"]
        return (lease["spec"]["holderIdentity"], lease["spec"]["renewTime"])
    except (OSError, http.client.HTTPException) as e:
        return [f"{name}: {reason(e)}"]


def whole(credentials, seconds, urls):
    """Waits until three members, three API servers, the balancer (the first URL) and both leaders are there."""
    end = time.monotonic() + seconds
    context, etcd = credentials.context(), credentials.context("etcd-")
    servers = {u: Endpoint(u, context, seconds=2.0) for u in urls}
    members = {urllib.parse.urlsplit(u).hostname: Endpoint(f"https://{urllib.parse.urlsplit(u).hostname}:2379", etcd,
                                                           seconds=2.0) for u in urls[1:]}
    leases = {}
    while True:
        faults = etcd_faults(members)
        for url, server in servers.items():
            try:
                status, text = server.ask("GET", "/readyz")
                if status != 200:
                    faults.append(f"{url} is not ready: {text}"[:300])
            except (OSError, http.client.HTTPException) as e:
                faults.append(f"{url}: {reason(e)}")
        if not faults:
            for name in ("kube-controller-manager", "kube-scheduler"):
                now = lease_faults(servers[urls[0]], name)
                if isinstance(now, list):
                    faults += now
                elif name not in leases or leases[name][0] != now[0] or leases[name][1] == now[1]:
                    faults.append(f"{name}: {now[0]} has not renewed its lease while we look")
                    leases.setdefault(name, now)
                    if leases[name][0] != now[0]:
                        leases[name] = now
        if not faults:
            return []
        if time.monotonic() > end:
            return faults
        time.sleep(0.25)


def main():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    for name, words in {"load": ["url", "book"], "whole": ["seconds", "urls"], "check": ["book", "urls"],
                        "snapshot": ["book", "revision", "began", "ended", "urls"]}.items():
        command = commands.add_parser(name)
        command.add_argument("credentials", type=Credentials)
        for word in words:
            command.add_argument(word, **({"nargs": "+"} if word == "urls" else {}))
        if name == "load":
            command.add_argument("--seconds", type=float)
            command.add_argument("--timeout", type=float, default=REQUEST_SECONDS)
    options = parser.parse_args()
    if options.command == "load":
        Load(options.url, options.credentials, options.book, options.timeout).run(options.seconds)
        return 0
    if options.command == "whole":
        faults = whole(options.credentials, float(options.seconds), options.urls)
        print("\n".join(faults))
        return 1 if faults else 0
    wrong = []
    for url in options.urls:
        start = time.monotonic()
        found = objects(Endpoint(url, options.credentials.context(), seconds=30.0))
        if options.command == "check":
            known, maybe = acknowledged(options.book, start)
        else:
            known, maybe, more = acknowledged_until(options.book, int(options.revision), float(options.began),
                                                    float(options.ended))
            wrong += more
        wrong += [f"{url}: {line}" for line in compare(known, maybe, found)]
    print("\n".join(wrong) if wrong else f"{len(known)} objects, each as acknowledged")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
