"""Three machines on one: nodes of namespaces and cgroups, joined by a bridge that only they see.

A node has its own PID, mount, network, UTS, IPC and cgroup namespaces, and its own file trees: /etc,
/var/lib, /usr/local and /root are the host's below a layer of the node's own, /etc/kubernetes, /etc/mainstay,
/var/lib/mainstay, /var/lib/etcd and /var/log are the node's alone, and /var/lib/etcd is a disk (a file
system in a file) that can be filled. Its first process is `mainstayd --init`, as on a machine
without anything else. Whatever belongs to the rig is in one cgroup: to kill that is to end it all,
and what the kernel made for it (namespaces, mounts, loop devices, links) goes with it.
"""

import contextlib
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import uuid

import clock
from cells import Cell, cgroup_mounts, cgroup_v2, read, until, write

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("MAINSTAY_BUILD", os.path.join(SOURCE, "build", "release"))
DEFAULT_DIRECTORY = os.environ.get("MAINSTAY_RIG_DIR", "/var/tmp/mainstay-rig")
NETWORK = "10.77.0"
ADDRESS = {"m1": 11, "m2": 12, "m3": 13, "m4": 14}
VIP = f"{NETWORK}.10"
CLIENT_ADDRESS = f"{NETWORK}.100"
BALANCER_PORT = 8443
DISK_MB = 768  # etcd writes its log in files of 64 MB, and keeps five
MEMORY_LIMIT = 5 << 30  # of a node; three of them take a quarter of that
CPU_SHARES = 16 * 1024  # as much as so many processes: three machines are more than that
KUBERNETES = ["kube-apiserver", "kube-controller-manager", "kube-scheduler"]
PROGRAMS = ["unshare", "nsenter", "ip", "bridge", "ebtables-nft", "mkfs.ext4", "etcd", "etcdctl",
            "kubectl", "haproxy", "keepalived"]

# What a node's first process does before it becomes the agent. Its words: see Node.boot.
BOOT = r"""
set -eu
node=$1 tree=$2 address=$3 log=$4
shift 4
echo here
read -r _
exec >>"$log" 2>&1 </dev/null
hostname "$node"
mount -t proc -o nosuid,nodev,noexec proc /proc
for part in etc var/lib root usr/local; do
    mount -t overlay overlay -o "lowerdir=/$part,upperdir=$tree/over/$part,workdir=$tree/work/$part" "/$part"
done
for part in etc/kubernetes etc/mainstay var/lib/mainstay var/lib/etcd var/log; do
    mkdir -p "/$part"
    mount --bind "$tree/$part" "/$part"
done
mount -t sysfs -o nosuid,nodev,noexec sysfs /sys
while read -r point type options; do
    if [ "$type" = tmpfs ]; then mount -t tmpfs -o mode=755 tmpfs "$point"; continue; fi
    mkdir -p "$point"
    mount -t "$type" ${options:+-o "$options"} "$type" "$point"
done <"$tree/cgroups"
mount -t tmpfs -o mode=755 tmpfs /run
mount --bind "$tree/boot_id" /proc/sys/kernel/random/boot_id
ip link set lo up
ip link set eth0 up
ip addr add "$address/24" dev eth0
exec "$@"
"""

# What a rig needs of the kernel, each tried for a moment.
PROBE = r"""
set -e
cd "$1"
mkdir upper work merged
mount -t overlay overlay -o lowerdir=/etc,upperdir=upper,workdir=work merged
truncate -s 16M disk
mkfs.ext4 -q disk
mount -o loop disk merged
ip link add br0 type bridge
ip link add m1 type veth peer name eth0
ebtables-nft -A FORWARD -i m1 -j DROP
"""

FILL = r"""
cd "$1"
left() { df --output=avail -k . | tail -n 1; }
fallocate -l "$(($(left) * 9 / 10))K" filler
for block in 1M 4k 1k; do dd if=/dev/zero bs="$block" oflag=append conv=notrunc of=filler 2>/dev/null; done
sync -f .
"""


def binaries():
    """The directory of Kubernetes' programs, or None."""
    where = os.environ.get("MAINSTAY_K8S_BIN")
    if not where:
        done = subprocess.run([os.path.join(SOURCE, "packaging", "kubernetes-binaries"), "--where"],
                              capture_output=True, text=True, check=False)
        where = done.stdout.strip() if done.returncode == 0 else None
    return where if where and all(os.access(os.path.join(where, k), os.X_OK) for k in KUBERNETES) else None


def missing():
    """Why there can be no rig here; None when there can."""
    if os.geteuid() != 0:
        return "a rig is made of namespaces, mounts and cgroups: it takes root"
    gone = [p for p in PROGRAMS if not shutil.which(p)]
    if gone:
        return "not installed: " + ", ".join(gone)
    if not os.path.exists(os.path.join(BUILD, "mainstayd")):
        return f"no mainstayd in {BUILD}"
    if not binaries():
        return "no Kubernetes: packaging/kubernetes-binaries makes it"
    v2 = cgroup_v2()
    if not v2:
        return "no cgroup v2 tree"
    probe = os.path.join(v2, f"mainstay-rig-probe-{os.getpid()}")
    try:
        os.mkdir(probe)
        kill = os.path.exists(os.path.join(probe, "cgroup.kill"))
        os.rmdir(probe)
    except OSError as e:
        return f"cgroups cannot be made: {e}"
    if not kill:
        return "the kernel has no cgroup.kill (5.14)"
    with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:
        done = subprocess.run(["unshare", "--pid", "--fork", "--mount", "--net", "--uts", "--ipc", "--cgroup",
                               "sh", "-c", PROBE, "-", directory], capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else "this kernel does not let us: " + done.stderr.strip()


def call(*words, **options):
    """A command that must succeed; its output."""
    done = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(words)}: exit {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


class Node:
    def __init__(self, rig, name):
        self.rig = rig
        self.name = name
        self.address = f"{NETWORK}.{ADDRESS[name]}"
        self.tree = os.path.join(rig.directory, name)
        self.cell = Cell(f"{rig.cell.name}/{name}")
        self.monotonic = None  # seconds that the monotonic clocks of the next boot are ahead

    def path(self, path):
        """A path of the node's own trees, as the host sees it."""
        return os.path.join(self.tree, path.lstrip("/"))

    # ---- making it

    def make(self):
        for part in ("etc/kubernetes/manifests", "etc/mainstay", "var/lib/mainstay", "var/lib/etcd", "var/log",
                     "over/etc", "over/var/lib", "over/root", "over/usr/local/bin",
                     "work/etc", "work/var/lib", "work/root", "work/usr/local"):
            os.makedirs(self.path(part), exist_ok=True)
        os.chmod(self.path("var/lib/etcd"), 0o700)
        hosts = "127.0.0.1 localhost\n" + "".join(f"{NETWORK}.{i} {n}\n" for n, i in ADDRESS.items())
        write(self.path("over/etc/hosts"), hosts)
        write(self.path("over/etc/hostname"), self.name + "\n")
        write(self.path("over/etc/machine-id"), uuid.uuid4().hex + "\n")
        for name in ("mainstay", "mainstayd", "mainstay-shim", "podmaster"):
            os.symlink(os.path.join(BUILD, name), self.path(f"over/usr/local/bin/{name}"))
        self._images()
        self._disk()

    def _images(self):
        where = binaries()
        programs = [("etcd", "3.4.13-0", shutil.which("etcd"))] + [
            (name, "v1.20.2", os.path.join(where, name)) for name in KUBERNETES]
        for name, tag, binary in programs:
            directory = self.path(f"var/lib/mainstay/images/registry.k8s.io/{name}/{tag}/bin")
            os.makedirs(directory, exist_ok=True)
            os.symlink(binary, os.path.join(directory, name))

    def _disk(self):
        """etcd's: a file system of its own, in a file, mounted where only the rig sees it."""
        image = self.path("disk.img")
        with open(image, "wb") as f:
            f.truncate(DISK_MB << 20)
        call("mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=1,lazy_journal_init=1", image)
        self.rig.room("mount", "-o", "loop", image, self.path("var/lib/etcd"), mount=True)
        self.rig.room("rmdir", self.path("var/lib/etcd/lost+found"), mount=True)
        self.rig.room("chmod", "700", self.path("var/lib/etcd"), mount=True)

    # ---- its life

    def boot(self):
        """Everything off, then on: the agent is the first process, and all else is its doing."""
        if self.cell.populated():
            raise RuntimeError(f"{self.name} runs")
        self.cell.remove()
        self.cell.make()
        self.cell.limit_memory(MEMORY_LIMIT)
        write(self.path("boot_id"), str(uuid.uuid4()) + "\n")
        write(self.path("cgroups"), "".join(f"{p} {k} {o}\n".replace(" \n", "\n") for p, k, o in self._cgroups()))
        namespaces = ["--pid", "--fork", "--mount", "--net", "--uts", "--ipc", "--cgroup"]
        if self.monotonic:
            namespaces += ["--time", "--boottime", str(self.monotonic), "--monotonic", str(self.monotonic)]
        env = {"PATH": self.rig.search_path(), "HOME": "/root", "LANG": "C.UTF-8"}
        process = subprocess.Popen(
            ["nsenter", f"--mount=/proc/{self.rig.room_pid}/ns/mnt", "unshare", *namespaces, "bash", "-c", BOOT, "boot",
             self.name, self.tree, self.address, self.path("console.log"),
             os.path.join(BUILD, "mainstayd"), "--init", "--init-as", "container", *self._agent_flags()],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env, start_new_session=True,
            preexec_fn=self.cell.enter)
        with process.stdin, process.stdout:
            if process.stdout.readline() != b"here\n":
                raise RuntimeError(f"{self.name} does not begin")
            self.rig.room("ip", "link", "add", self.name, "type", "veth", "peer", "name", "eth0", "netns",
                          str(process.pid))
            self.rig.room("ip", "link", "set", self.name, "master", "br0", "up")
            process.stdin.write(b"go\n")
        self.rig.children.append(process)

        def answers():
            if process.poll() is not None:
                raise RuntimeError(f"{self.name} went off at once:\n" + self.console())
            return self.pid() and self.mainstay("status", check=False).returncode != 3
        until(answers, f"the agent of {self.name}")

    def _agent_flags(self):
        """Those that /etc/mainstay/node.env, a file of the rendered trees, asks for."""
        with contextlib.suppress(FileNotFoundError):
            for line in read(self.path("etc/mainstay/node.env")).splitlines():
                if line.startswith("MAINSTAYD_OPTS="):
                    return shlex.split(shlex.split(line.split("=", 1)[1])[0])
        return []

    def _cgroups(self):
        mounts = cgroup_mounts()
        if [m[0] for m in mounts] != ["/sys/fs/cgroup"]:  # a tree of hierarchies, as with v1
            yield "/sys/fs/cgroup", "tmpfs", ""
        yield from mounts

    def pid(self):
        """Its first process, as this machine counts; None when it is off."""
        for pid in self.cell.processes():
            with contextlib.suppress(OSError, StopIteration):
                line = next(x for x in read(f"/proc/{pid}/status").splitlines() if x.startswith("NSpid:"))
                if line.split()[2:] == ["1"]:
                    return pid
        return None

    def agent_pid(self):
        """The agent: the child of the first process that has its name."""
        first = self.pid()
        for child in read(f"/proc/{first}/task/{first}/children").split():
            with contextlib.suppress(OSError):
                if read(f"/proc/{child}/comm").strip() == "mainstayd":
                    return int(child)
        return None

    def kill(self):
        self.cell.kill()
        self.rig.reap()
        self.rig.room("ip", "link", "del", self.name, check=False)  # as if the plug were pulled

    def shutdown(self):
        """In order: the first process is asked to."""
        pid = self.pid()
        if pid:
            os.kill(pid, 15)
            until(lambda: not self.cell.populated(), f"{self.name} is off", 120)
        self.kill()

    def freeze(self):
        self.cell.freeze(True)

    def thaw(self):
        self.cell.freeze(False)

    def cut(self, what="both"):
        """Its cable: "both" directions, "from" it or "to" it."""
        if what in ("both", "from"):
            self.rig.room("ebtables-nft", "-A", "FORWARD", "-i", self.name, "-j", "DROP")
        if what in ("both", "to"):
            self.rig.room("ebtables-nft", "-A", "FORWARD", "-o", self.name, "-j", "DROP")

    def heal(self):
        for way in ("-i", "-o"):
            self.rig.room("ebtables-nft", "-D", "FORWARD", way, self.name, "-j", "DROP", check=False)

    def move_clock(self, seconds):
        """The wall clock of everything that runs, against the machine's; 0 is the right time again."""
        def try_once():
            self.freeze()
            try:
                return clock.move(self.cell.processes(), seconds)
            finally:
                self.thaw()
        until(try_once, f"the clock of {self.name} is moved")

    def fill_disk(self):
        """Until there is nothing left, and no file system could give more."""
        self.rig.room("bash", "-c", FILL, "-", self.path("var/lib/etcd"), mount=True)

    def free_disk(self):
        self.rig.room("rm", "-f", self.path("var/lib/etcd/filler"), mount=True)

    # ---- inside

    def inside(self, *words, env=None):
        """The words of a command that runs in the node, for subprocess."""
        pid = self.pid()
        if not pid:
            raise RuntimeError(f"{self.name} is off")
        spaces = ["--mount", "--net", "--pid", "--uts", "--ipc", "--cgroup"] + (["--time"] if self.monotonic else [])
        settings = {"PATH": self.rig.search_path(), "HOME": "/root", "LANG": "C.UTF-8", "ETCDCTL_API": "3",
                    "KUBECONFIG": "/etc/kubernetes/admin.conf", "TERM": os.environ.get("TERM", "dumb"), **(env or {})}
        return ["nsenter", "-t", str(pid), *spaces, "--wd=/", "env", "-i",
                *(f"{k}={v}" for k, v in settings.items()), *words]

    def run(self, *words, check=True, timeout=300, input=None):
        done = subprocess.run(self.inside(*words), capture_output=True, text=True, check=False, timeout=timeout,
                              preexec_fn=self.cell.enter, **({"input": input} if input is not None
                                                             else {"stdin": subprocess.DEVNULL}))
        if check and done.returncode != 0:
            raise RuntimeError(f"{self.name}: {' '.join(words)}: exit {done.returncode}\n"
                               f"{done.stdout[-4000:]}{done.stderr[-4000:]}")
        return done

    def mainstay(self, *words, **options):
        return self.run("mainstay", *words, **options)

    def pods(self):
        """{name without the node's: the pod as the agent tells it}"""
        done = self.mainstay("get", "pods", "-o", "json", check=False, timeout=30)
        if done.returncode != 0:
            return {}
        suffix = "-" + self.name
        return {p["metadata"]["name"].removesuffix(suffix): p for p in json.loads(done.stdout)["items"]}

    def console(self, size=4000):
        try:
            return read(self.path("console.log"))[-size:]
        except FileNotFoundError:
            return ""


class Rig:
    def __init__(self, directory=DEFAULT_DIRECTORY, names=("m1", "m2", "m3")):
        self.directory = os.path.abspath(directory)
        mark = hashlib.sha256(self.directory.encode()).hexdigest()[:8]
        self.cell = Cell(f"mainstay-rig-{mark}")
        self.client_cell = self._cell_of("client")
        self.children = []
        self.room_pid = self._holder("room")
        self.client_pid = self._holder("client")
        if os.path.exists(self.file("names")):
            names = read(self.file("names")).split()
        self.nodes = {name: Node(self, name) for name in names}

    def __getitem__(self, name):
        return self.nodes[name]

    def __iter__(self):
        return iter(self.nodes.values())

    def file(self, *parts):
        return os.path.join(self.directory, *parts)

    def search_path(self):
        return f"{BUILD}:{binaries()}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

    # ---- the room: the bridge's network namespace, and the mount namespace of the nodes' disks

    def _cell_of(self, name):
        return Cell(f"{self.cell.name}/{name}")

    def _holder(self, name):
        """The process that keeps a namespace, if it is there."""
        path = os.path.join(self._cell_of(name).v2, "cgroup.procs")
        try:
            pids = [int(p) for p in read(path).split()]
        except FileNotFoundError:
            return None
        return next((p for p in pids if read(f"/proc/{p}/comm").strip() == "sleep"), None)

    def _hold(self, name, *namespaces):
        cell = self._cell_of(name)
        cell.make()
        process = subprocess.Popen(["unshare", *namespaces, "sleep", "infinity"], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, start_new_session=True, preexec_fn=cell.enter)
        self.children.append(process)
        return until(lambda: self._holder(name), f"the {name}")

    def room(self, *words, mount=False, check=True):
        done = subprocess.run(["nsenter", "-t", str(self.room_pid), "--mount" if mount else "--net", *words],
                              capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        if check and done.returncode != 0:
            raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip()}")
        return done.stdout

    def in_client(self, *words):
        """The words of a command that runs beside the nodes, on a machine with nothing but a network."""
        return ["nsenter", "-t", str(self.client_pid), "--net", *words]

    def make(self):
        """The room, the client's namespace, and the nodes' trees; nothing runs yet."""
        if self.cell.populated():
            raise RuntimeError(f"a rig is up in {self.directory}")
        self.down()
        os.makedirs(self.directory)
        write(self.file("names"), " ".join(self.nodes) + "\n")
        self.cell.make()
        self.cell.weigh(CPU_SHARES)
        self.room_pid = self._hold("room", "--net", "--mount")
        self.client_pid = self._hold("client", "--net")
        self.room("ip", "link", "add", "br0", "type", "bridge", "forward_delay", "0")
        self.room("ip", "link", "set", "br0", "up")
        self.room("ip", "link", "add", "client", "type", "veth", "peer", "name", "eth0", "netns", str(self.client_pid))
        self.room("ip", "link", "set", "client", "master", "br0", "up")
        for words in (["link", "set", "lo", "up"], ["link", "set", "eth0", "up"],
                      ["addr", "add", f"{CLIENT_ADDRESS}/24", "dev", "eth0"]):
            call(*self.in_client("ip", *words))
        for node in self:
            node.make()

    def add(self, name):
        """One more machine, which is off."""
        self.nodes[name] = Node(self, name)
        self.nodes[name].make()
        write(self.file("names"), " ".join(self.nodes) + "\n")
        return self.nodes[name]

    def scrap(self, name):
        """A machine and all that was on it is gone for good."""
        node = self.nodes.pop(name)
        node.kill()
        node.cell.remove()
        self.room("umount", node.path("var/lib/etcd"), mount=True)
        shutil.rmtree(node.tree)
        write(self.file("names"), " ".join(self.nodes) + "\n")

    def reap(self):
        self.children = [c for c in self.children if c.poll() is None]

    def down(self):
        """Takes away what there is of it, whatever state it is in."""
        self.cell.kill()
        for child in self.children:
            child.wait()
        self.children = []
        self.cell.remove()
        self.room_pid = self.client_pid = None
        if os.path.isdir(self.directory):
            # The mounts went with their namespaces; what is left is files.
            shutil.rmtree(self.directory)

    def exists(self):
        return self.cell.exists() or os.path.isdir(self.directory)


def scratch():
    """A rig's directory for a test. On a disk, not in memory: etcd's promises are about disks."""
    return os.path.join("/var/tmp", f"mainstay-ha-{os.getpid()}-{uuid.uuid4().hex[:6]}")


def main(words):
    if words[:1] == ["guard"]:  # of a test: it waits until that is gone, however it went
        sys.stdin.read()
        Rig(words[1]).down()
        return 0
    print(missing() or "a rig can be made here")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
