"""A control plane on a rig, brought up as an operator brings it up, and the questions a test asks it."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import client
from rig import BALANCER_PORT, VIP, Rig, read, until, write

CLIENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "client.py")
COMPONENTS = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"]
UP_SECONDS = float(os.environ.get("MAINSTAY_HA_UP_SECONDS", "300"))
URL = f"https://{VIP}:{BALANCER_PORT}"


class Cluster:
    def __init__(self, rig):
        self.rig = rig
        self.load = None
        self.started = None

    @property
    def book(self):
        return self.rig.file("book")

    @property
    def credentials(self):
        return self.rig.file("credentials")

    def urls(self):
        return [f"https://{node.address}:6443" for node in self.rig]

    # ---- up

    def bring_up(self, say=lambda text: None):
        start = time.monotonic()
        self.rig.make()
        for node in self.rig:
            node.boot()
        names = list(self.rig.nodes)
        first = self.rig[names[0]]
        self._init(first)
        for name in names[1:]:
            sealed = self.rig.file(f"{name}.sealed")
            key = first.mainstay("pki", "export", sealed, "--for", name).stdout.strip()
            self.rig[name].mainstay("pki", "import", sealed, "--key", key)
            self._init(self.rig[name])
        self.take_credentials(first)
        self.whole()
        say(f"up in {time.monotonic() - start:.0f} s")

    def _init(self, node, state="new"):
        members = ",".join(f"{n.name}=https://{n.address}:2380" for n in self.rig)
        node.mainstay("init", "--wait=false", "--node-name", node.name, "--advertise-address", node.address,
                      "--control-plane-endpoint", f"{VIP}:{BALANCER_PORT}",
                      "--etcd-initial-cluster", members, "--etcd-initial-cluster-state", state,
                      "--apiserver-arg=shutdown-delay-duration=8s")
        self._balancer(node)

    def _balancer(self, node):
        os.makedirs(node.path("etc/mainstay/haproxy"), exist_ok=True)
        servers = "".join(f"    server {n.name} {n.address}:6443 check check-ssl verify none inter 1s fall 2 rise 2\n"
                          for n in self.rig)
        write(node.path("etc/mainstay/haproxy/haproxy.cfg"), f"""defaults
    mode tcp
    timeout connect 2s
    timeout client 1h
    timeout server 1h
frontend api
    bind :{BALANCER_PORT}
    default_backend api
backend api
    option httpchk GET /readyz
    http-check expect status 200
    option redispatch 1
    retries 3
    default-server on-marked-down shutdown-sessions
{servers}""")
        write(node.path("etc/mainstay/haproxy/keepalived.conf"), f"""global_defs {{
    router_id {node.name}
}}
vrrp_instance api {{
    state BACKUP
    interface eth0
    virtual_router_id 51
    priority {100 + int(node.address.rsplit(".", 1)[1])}
    advert_int 1
    virtual_ipaddress {{
        {VIP}/24
    }}
}}
""")
        for name, words in {"haproxy": ["haproxy", "-W", "-db", "-f", "/etc/mainstay/haproxy/haproxy.cfg"],
                            "keepalived": ["keepalived", "-n", "-l", "-f", "/etc/mainstay/haproxy/keepalived.conf"]}.items():
            pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "kube-system"},
                   "spec": {"hostNetwork": True, "containers": [
                       {"name": name, "image": f"localhost/{name}:1", "imagePullPolicy": "IfNotPresent",
                        "command": words, "securityContext": {"privileged": True}, 
                        "volumeMounts": [{"name": "c", "mountPath": "/etc/mainstay/haproxy"}]}],
                       "volumes": [{"name": "c", "hostPath": {"path": "/etc/mainstay/haproxy"}}]}}
            write(node.path(f"etc/kubernetes/.{name}.json"), json.dumps(pod))
            os.rename(node.path(f"etc/kubernetes/.{name}.json"), node.path(f"etc/kubernetes/manifests/{name}.json"))

    # ---- the client's side

    def take_credentials(self, node=None):
        """What the client may hold: an administrator's certificate and etcd's client certificate."""
        node = node or next(iter(self.rig))
        os.makedirs(self.credentials, exist_ok=True)
        pki = node.path("etc/kubernetes/pki")
        for source, target in [("ca.crt", "ca.crt"), ("etcd/ca.crt", "etcd-ca.crt"),
                               ("apiserver-etcd-client.crt", "etcd-client.crt"),
                               ("apiserver-etcd-client.key", "etcd-client.key")]:
            shutil.copy(os.path.join(pki, source), os.path.join(self.credentials, target))
        shutil.copy(node.path("etc/kubernetes/admin.conf"), self.rig.file("admin.conf"))
        config = json.loads(self.kubectl("config", "view", "--raw", "-o", "json").stdout)
        import base64
        user = config["users"][0]["user"]
        for field, name in [("client-certificate-data", "client.crt"), ("client-key-data", "client.key")]:
            write(os.path.join(self.credentials, name), base64.b64decode(user[field]).decode())

    def kubectl(self, *words, input=None, check=True):
        done = subprocess.run(
            self.rig.in_client("kubectl", "--kubeconfig", self.rig.file("admin.conf"), *words), check=False,
            capture_output=True, text=True, **({"input": input} if input else {"stdin": subprocess.DEVNULL}))
        if check and done.returncode != 0:
            raise RuntimeError(f"kubectl {' '.join(words)}: {done.stderr}")
        return done

    def _client(self, *words):
        return self.rig.in_client(sys.executable, CLIENT, *map(str, words))

    def whole(self, seconds=UP_SECONDS):
        """Waits until nothing is missing; an AssertionError says what is."""
        done = subprocess.run(self._client("whole", self.credentials, seconds, URL, *self.urls()),
                              capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise AssertionError(f"not whole after {seconds:.0f} s:\n{done.stdout}{done.stderr}")

    def start_load(self):
        self.kubectl("create", "namespace", client.NAMESPACE, check=False)
        self.load = subprocess.Popen(self._client("load", self.credentials, URL, self.book), stdin=subprocess.DEVNULL,
                                     start_new_session=True, preexec_fn=self.rig._cell_of("client").enter)
        until(lambda: os.path.exists(self.book) and client.summary(self.book)["writes"] >= 20, "the load")

    def stop_load(self):
        if self.load:
            self.load.send_signal(signal.SIGTERM)
            self.load.wait(60)
            self.load = None

    def check(self):
        """Everything that was acknowledged is there, from each API server by itself."""
        done = subprocess.run(self._client("check", self.credentials, self.book, *self.urls()),
                              capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise AssertionError("acknowledged writes are not there:\n" + done.stdout + done.stderr)
        return done.stdout.strip()
