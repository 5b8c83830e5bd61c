"""What is in the packages: the same bytes from two builds, nothing that lintian minds, and in the RPM
what is in the .deb."""

import hashlib
import os
import re
import subprocess
import tempfile
import unittest

import builds
from builds import SOURCE, VERSION

NOBODY = 65534
CONFIGURATION = {"/etc/default/mainstay", "/etc/init.d/mainstayd", "/etc/logrotate.d/mainstayd"}
SUBCOMMANDS = {"get", "describe", "logs", "exec", "restart", "retry", "stop", "start", "status", "wait",
               "apply", "delete", "diff", "validate", "explain", "init", "render", "reload", "version",
               "completion", "monit", "join", "reset"}


def run(*words, **options):
    done = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL, **options)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(words)}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def files_of_deb(deb):
    """{path: (mode, owner)}, directories left out."""
    found = {}
    for line in run("dpkg-deb", "-c", deb).splitlines():
        mode, owner, _, _, _, name = line.split(None, 5)
        if not mode.startswith("d"):
            found[name.removeprefix(".")] = (mode, owner)
    return found


def sha256(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


class Deb(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        builds.need("dpkg-buildpackage", "dh")
        cls.debs = builds.build("a")
        cls.files, cls.podmaster_files = (files_of_deb(deb) for deb in cls.debs)

    def test_two_builds_give_the_same_bytes(self):
        """The other one: of a copy without git, elsewhere, by another user, umask, language and zone."""
        with tempfile.TemporaryDirectory(prefix="another-place-for-mainstay-") as place:
            source, home = os.path.join(place, "src"), os.path.join(place, "home")
            run(os.path.join(SOURCE, "packaging", "copy-source"), source)
            os.mkdir(home)
            command = [os.path.join(source, "packaging", "deb"), "--out", os.path.join(place, "out")]
            if os.geteuid() == 0:
                os.chmod(place, 0o755)
                run("chown", "-R", f"{NOBODY}:{NOBODY}", place)
                command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *command]
            run(*command, umask=0o077, cwd=home, env={
                "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": home, "TZ": "Pacific/Auckland",
                "LC_ALL": "C.UTF-8", "DEB_BUILD_OPTIONS": "parallel=2"})
            others = [os.path.join(place, "out", os.path.basename(deb)) for deb in self.debs]
            self.assertEqual([sha256(deb) for deb in others], [sha256(deb) for deb in self.debs],
                             self.difference(others))

    def difference(self, others):
        """The files that differ, for whoever must find out why."""
        with tempfile.TemporaryDirectory() as place:
            for name, debs in ("a", self.debs), ("b", others):
                os.mkdir(os.path.join(place, name))
                for deb in debs:
                    run("dpkg-deb", "-R", deb, os.path.join(place, name, os.path.basename(deb)))
            return subprocess.run(["diff", "-rq", "a", "b"], cwd=place, capture_output=True, text=True).stdout

    def test_lintian(self):
        builds.need("lintian")
        said = subprocess.run(["lintian", "--allow-root", "--fail-on", "error,warning", *self.debs],
                              capture_output=True, text=True)
        self.assertEqual((said.returncode, said.stdout), (0, ""), said.stderr)

    def test_files(self):
        for name in ("/usr/sbin/mainstayd", "/usr/bin/mainstay", "/usr/libexec/mainstay/mainstay-shim",
                     "/usr/libexec/mainstay/stop-pods", "/etc/init.d/mainstayd"):
            self.assertEqual(self.files[name], ("-rwxr-xr-x", "root/root"))
        for name in ("/lib/systemd/system/mainstayd.service", "/etc/default/mainstay",
                     "/usr/lib/systemd/catalog/mainstay.catalog",
                     "/usr/share/bash-completion/completions/mainstay",
                     "/usr/share/zsh/vendor-completions/_mainstay"):
            self.assertEqual(self.files[name], ("-rw-r--r--", "root/root"))
        self.assertLessEqual({"/usr/sbin/podmaster", "/etc/default/mainstay-podmaster",
                              "/lib/systemd/system/mainstay-podmaster@.service",
                              "/usr/share/doc/mainstay-podmaster/examples/podmaster.yaml",
                              "/usr/share/man/man8/podmaster.8.gz"}, self.podmaster_files.keys())
        pages = {os.path.basename(name).removesuffix(".gz") for name in self.files if "/man/" in name}
        self.assertLessEqual({"mainstayd.8", "mainstay.1", "mainstay-config.5", "mainstay-annotations.7"}
                             | {f"mainstay-{command}.1" for command in SUBCOMMANDS}, pages)
        everything = {**self.files, **self.podmaster_files}
        self.assertEqual([name for name in everything if "/local/" in name], [])

    def test_configuration_is_dpkgs(self):
        conffiles = set(run("dpkg-deb", "-I", self.debs[0], "conffiles").split())
        self.assertLessEqual(CONFIGURATION, conffiles)
        self.assertTrue(any(name.startswith("/etc/monit/conf-available/") for name in conffiles))
        self.assertEqual({name for name in self.files if name.startswith("/etc/")}, conffiles)

    def test_texts_name_the_package_s_paths(self):
        with tempfile.TemporaryDirectory() as place:
            for deb in self.debs:
                run("dpkg-deb", "-x", deb, place)
            found = subprocess.run(["grep", "-rIl", "/usr/local/\\(s\\?bin\\|libexec\\|share\\)/", place],
                                   capture_output=True, text=True)
            allowed = {"etc/init.d/mainstayd"}  # its PATH
            names = {os.path.relpath(name, place) for name in found.stdout.split()}
            self.assertEqual(names - allowed, set())
            unit = os.path.join(place, "lib/systemd/system/mainstayd.service")
            with open(unit) as f:
                self.assertIn("ExecStart=/usr/sbin/mainstayd ", f.read())

    def test_the_changelog_must_have_the_version_of_the_project(self):
        with tempfile.TemporaryDirectory() as place:
            run(os.path.join(SOURCE, "packaging", "copy-source"), place)
            cmake = os.path.join(place, "CMakeLists.txt")
            with open(cmake) as f:
                text = f.read()
            with open(cmake, "w") as f:
                f.write(re.sub(r"(project\(mainstay VERSION )\S+", r"\g<1>9.9.9", text))
            done = subprocess.run([os.path.join(place, "packaging", "deb")], capture_output=True, text=True)
            self.assertEqual(done.returncode, 1)
            self.assertIn("CMakeLists.txt has 9.9.9", done.stderr)

    # ---- the RPM ----

    def test_the_rpm_has_the_same_files(self):
        builds.need("rpmbuild", "rpm2cpio", "cpio")
        with tempfile.TemporaryDirectory() as place:
            rpms = run(os.path.join(SOURCE, "packaging", "rpm", "build"), "--out", place).split()
            self.assertEqual([os.path.basename(rpm).split(f"-{VERSION}")[0] for rpm in rpms],
                             ["mainstay", "mainstay-podmaster"])
            self.check_same_files(rpms[0], self.files)
            self.check_same_files(rpms[1], self.podmaster_files)
            self.check_scripts(rpms[0])
            settings = set(run("rpm", "-qp", "--configfiles", rpms[0]).split())
            self.assertEqual(settings, {"/etc/default/mainstay", "/etc/logrotate.d/mainstayd"})

    def check_same_files(self, rpm, expected):
        def plain(name):
            """Where each distribution has its own place, that of Debian."""
            for theirs, ours in (("/usr/lib/systemd/system/", "/lib/systemd/system/"),
                                 ("/zsh/site-functions/", "/zsh/vendor-completions/")):
                name = name.replace(theirs, ours)
            return name.removesuffix(".gz")

        cpio = subprocess.run(f"rpm2cpio {rpm} | cpio -t --quiet", shell=True, capture_output=True, text=True,
                              check=True).stdout.split()
        listed = set(run("rpm", "-qpl", rpm).split())
        inside = {name.removeprefix(".") for name in cpio}
        self.assertEqual(inside, listed)
        with tempfile.TemporaryDirectory() as place:
            subprocess.run(f"rpm2cpio {rpm} | cpio -id --quiet", shell=True, cwd=place, check=True)
            inside = {name for name in inside if not os.path.isdir(place + name)}
        debian_only = {name for name in expected
                       if name.startswith(("/etc/init.d/", "/etc/monit/", "/usr/share/doc/",
                                           "/usr/share/lintian/")) and "/examples/" not in name}
        self.assertEqual({plain(name) for name in inside if not name.startswith("/usr/share/licenses/")},
                         {plain(name) for name in set(expected) - debian_only})

    def check_scripts(self, rpm):
        scripts = run("rpm", "-qp", "--scripts", rpm)
        self.assertIn("systemctl try-restart mainstayd.service", scripts)
        self.assertIn("/usr/libexec/mainstay/before-removal", scripts)
        self.assertNotIn("%{", scripts)  # every macro is known
        for script in re.split(r"^\w+ (?:scriptlet|program).*$", scripts, flags=re.M)[1:]:
            run("sh", "-n", "-c", script)


if __name__ == "__main__":
    builds.main()
