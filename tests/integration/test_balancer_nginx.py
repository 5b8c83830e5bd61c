"""nginx before the kube-apiservers: real, and unpacked from Debian's packages."""

import glob
import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import harness
from balancer_world import BalancerTest, Requests, Watch, cluster_yaml, enter_own_network
from harness import WAIT_SECONDS


def setUpModule():
    enter_own_network()


NGINX_CACHE = os.path.expanduser("~/.cache/mainstay/nginx-stream")


def nginx():
    """The program, the line that loads its stream module, and why there is none: of Debian's packages, which are
    unpacked and not installed, as in test_nginx.py."""
    module = "usr/lib/nginx/modules/ngx_stream_module.so"
    if shutil.which("nginx") and glob.glob("/etc/nginx/modules-enabled/*stream*.conf"):
        return shutil.which("nginx"), "", None
    if not os.path.exists(os.path.join(NGINX_CACHE, module)):
        with tempfile.TemporaryDirectory() as directory:
            os.chmod(directory, 0o755)
            done = subprocess.run(["apt-get", "download", "-q", "nginx", "libnginx-mod-stream"], cwd=directory,
                                  capture_output=True, text=True)
            packages = glob.glob(os.path.join(directory, "*.deb"))
            if done.returncode != 0 or len(packages) != 2:
                return None, None, f"nginx cannot be downloaded: {done.stderr.strip()[-200:]}"
            for package in packages:
                subprocess.run(["dpkg-deb", "-x", package, NGINX_CACHE], check=True)
    return (os.path.join(NGINX_CACHE, "usr/sbin/nginx"),
            f"load_module {os.path.join(NGINX_CACHE, module)};", None)


NGINX, LOAD_STREAM, NO_NGINX = nginx()  # before setUpModule() takes the world's network away


@unittest.skipIf(NO_NGINX, str(NO_NGINX))
class Nginx(BalancerTest):
    def render(self, *nodes):
        """The rendered file, with the module from where it was unpacked."""
        self.write("etc/mainstay/cluster.yaml", cluster_yaml(nodes, kind="nginx"))
        text = self.balancer("render", "--offline", "kube-apiserver.conf").stdout
        include = "include /etc/nginx/modules-enabled/*.conf;"
        self.assertIn(include, text)
        self.write("etc/nginx/kube-apiserver.conf", text.replace(include, LOAD_STREAM))
        return self.path("etc/nginx/kube-apiserver.conf")

    def test_servers_come_and_go(self):
        doubles = {name: self.double(name) for name in ("m1", "m2", "m3")}
        config = self.render("m1", "m2")
        subprocess.run([NGINX, "-t", "-e", "stderr", "-c", config], check=True, capture_output=True)
        manifest = self.balancer("render", "--offline", "nginx.yaml").stdout
        self.assertIn("daemon off;", manifest)
        running = self.process(NGINX, "-e", "stderr", "-c", config, "-g", "daemon off;")
        running.await_line("start worker process")
        watch = Watch(self.certificates)
        clients = [Requests(self.certificates, kept=kept) for kept in (False, True)]
        self.assertTrue(watch.first.wait(WAIT_SECONDS))
        # A reload with a node more: the old workers go on with the connections that they have.
        self.render("m1", "m2", "m3")
        running.process.send_signal(signal.SIGHUP)
        clients[0].await_server("m3")
        self.assertEqual((watch.watches, watch.broken), (1, []))
        # One that is being stopped is noticed when it has closed its port: the next server is asked instead. The
        # connection that its kernel had taken by then, and it had not, is lost: nginx only looks at what fails.
        doubles["m3"].process.send_signal(signal.SIGTERM)
        self.assertEqual(doubles["m3"].process.wait(WAIT_SECONDS), 0)
        new, kept = [client.end() for client in clients]
        self.assertEqual([kept, watch.end()], [[], []])
        self.assertLessEqual(len(new), 1, new)
        self.assertTrue({"m1", "m2"} & clients[0].servers_since(time.monotonic() - 1))


if __name__ == "__main__":
    harness.main()
