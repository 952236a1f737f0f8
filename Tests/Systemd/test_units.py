#!/usr/bin/env python3
"""The units under a real systemd, inside the sandbox: installs the program, then starts, kills and stops nodes.

Runs as root with the project at /srv/project and the program at /opt/program. Each test starts from no running node and
from fresh INIs; waiting is done by polling what systemd reports, with a limit.
"""

import glob
import http.client
import json
import os
import resource
import signal
import socket
import stat
import subprocess
import time
import unittest

PROJECT = "/srv/project"
PROGRAM = "/opt/program/spydercache"
UNIT = "spydercache@node1.service"
LIMIT_SECONDS = 30


def run(*command, status=0, stdin=None):
    done = subprocess.run(command, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
    text = done.stdout.decode()
    if status is not None and done.returncode != status:
        raise AssertionError("%s: status %d instead of %d\n%s" % (" ".join(command), done.returncode, status, text))
    return text


def systemctl(*arguments, status=0):
    return run("systemctl", *arguments, status=status)


def prop(name, unit=UNIT):
    return systemctl("show", "-P", name, unit).strip()


def script(name, *arguments, status=0):
    return run("python3", "-B", PROJECT + "/utils/" + name, *arguments, "127.0.0.1", "8001", status=status)


def eventually(what, condition):
    limit = time.monotonic() + LIMIT_SECONDS
    while not condition():
        if time.monotonic() > limit:
            raise AssertionError("not within %d s: %s\n%s" % (LIMIT_SECONDS, what, journal()))
        time.sleep(0.05)


def journal(unit=UNIT):
    return run("journalctl", "--no-pager", "-n", "60", "-u", unit)


def own_lines(unit=UNIT):
    """What the node itself wrote, on stdout or stderr; not what systemd wrote about it."""
    run("journalctl", "--sync")
    text = run("journalctl", "--no-pager", "-o", "json", "-u", unit, "_TRANSPORT=stdout")
    return [json.loads(line)["MESSAGE"] for line in text.splitlines()]


def write_ini(name, text, mode=0o600):
    path = "/etc/spydercache/%s.ini" % name
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, mode)


def drop_in(text):
    os.makedirs("/run/systemd/system/spydercache@.service.d", exist_ok=True)
    with open("/run/systemd/system/spydercache@.service.d/test.conf", "w", encoding="utf-8") as file:
        file.write("[Service]\nEnvironment=LD_LIBRARY_PATH=/opt/program/lib\n" + text)
    systemctl("daemon-reload")


class Units(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        run(PROJECT + "/utils/install", "--binary", PROGRAM)

    def setUp(self):
        drop_in("")
        for number in (1, 2):
            write_ini("node%d" % number, "[local]\nnode_id = %d\nnode_port = %d\nreconstruct = True\n"
                      % (number, 8000 + number))

    def tearDown(self):
        systemctl("stop", "spydercache.target", "spydercache@*.service")
        systemctl("reset-failed")
        for path in glob.glob("/var/lib/private/spydercache/*"):
            subprocess.run(["rm", "-rf", path], check=True)
        run("journalctl", "--rotate")
        run("journalctl", "--vacuum-time=1us")

    def start(self):
        try:
            systemctl("start", UNIT)
        except AssertionError as error:
            raise AssertionError("%s\n%s" % (error, journal())) from None

    def assert_stopped_cleanly(self, unit=UNIT):
        """By the journal: a stopped unit that nothing refers to is unloaded, and its properties are defaults then."""
        run("journalctl", "--sync")
        text = journal(unit)
        self.assertIn(unit + ": Deactivated successfully.", text)
        self.assertNotIn(unit + ": Main process exited", text)
        self.assertNotIn(unit + ": Failed", text)

    def assert_all_json(self, lines):
        self.assertTrue(lines, "the node has logged nothing")
        for line in lines:
            self.assertIsInstance(json.loads(line), dict, line)

    def test_install_keeps_an_ini_and_uninstall_keeps_inis_and_data(self):
        write_ini("node1", "[local]\nnode_port = 8001\n# mine\n")
        run(PROJECT + "/utils/install", "--binary", PROGRAM)
        with open("/etc/spydercache/node1.ini", encoding="utf-8") as file:
            self.assertIn("# mine", file.read())
        self.start()
        systemctl("enable", "spydercache.target", UNIT)
        run(PROJECT + "/utils/install", "--uninstall")
        self.assertEqual(glob.glob("/usr/local/**/spydercache*", recursive=True), [])
        self.assertEqual(glob.glob("/etc/systemd/system/**/spydercache*", recursive=True), [])
        self.assertEqual(sorted(os.listdir("/etc/spydercache")), ["node1.ini", "node2.ini"])
        self.assertTrue(os.path.isdir("/var/lib/private/spydercache/node1"))
        self.assertNotEqual(systemctl("is-active", UNIT, status=None).strip(), "active")
        run(PROJECT + "/utils/install", "--binary", PROGRAM)

    def test_a_machine_without_inis_gets_one_that_starts(self):
        for path in glob.glob("/etc/spydercache/*.ini"):
            os.unlink(path)
        run(PROJECT + "/utils/install", "--binary", PROGRAM)
        self.assertEqual([os.path.basename(path) for path in glob.glob("/etc/spydercache/*.ini")], ["node1.ini"])
        self.start()
        self.assertEqual(script("put.py", "key", "value"), "stored\n")

    def test_units_have_no_mistakes_and_little_exposure(self):
        units = "/usr/local/lib/systemd/system/"
        run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", units + "spydercache@.service",
            units + "spydercache.target")
        run("systemd-analyze", "security", "--offline=true", "--threshold=14", units + "spydercache@.service")

    def test_started_it_is_ready_confined_and_logs_json(self):
        self.start()
        self.assertEqual(prop("ActiveState"), "active")
        self.assertIn("8001", prop("StatusText"))
        self.assertEqual(script("put.py", "key", "value"), "stored\n")
        self.assertEqual(script("get.py", "key"), "value\n")
        process = "/proc/%s/" % prop("MainPID")
        self.assertGreaterEqual(os.stat(process).st_uid, 61184)
        # Without CAP_SYS_RESOURCE the manager itself cannot go beyond what it was given.
        highest = resource.prlimit(1, resource.RLIMIT_NOFILE)[1]
        self.assertEqual(resource.prlimit(int(prop("MainPID")), resource.RLIMIT_NOFILE)[0], min(65536, highest))
        with open(process + "status", encoding="ascii") as file:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
        self.assertEqual((status["CapEff"].strip("0"), status["NoNewPrivs"], status["Seccomp"]), ("", "1", "2"))
        state = os.stat("/var/lib/private/spydercache/node1")
        self.assertEqual(stat.S_IMODE(state.st_mode), 0o700)
        self.assertTrue(os.listdir("/var/lib/private/spydercache/node1"), "the journal is not in the state directory")
        systemctl("stop", UNIT)
        self.assert_stopped_cleanly()
        self.assert_all_json(own_lines())
        self.assertNotIn("SYS", run("journalctl", "--no-pager", "-g", "SIGSYS|signal=31", status=None))

    def test_killed_it_is_started_again_with_every_acknowledged_write(self):
        self.start()
        for number in range(20):
            script("put.py", "key%d" % number, "value%d" % number)
        os.kill(int(prop("MainPID")), signal.SIGKILL)
        eventually("restarted", lambda: prop("NRestarts") == "1" and prop("ActiveState") == "active")
        for number in range(20):
            self.assertEqual(script("get.py", "key%d" % number), "value%d\n" % number)

    def test_a_hung_node_is_restarted_by_the_watchdog(self):
        drop_in("WatchdogSec=3s\n")
        self.start()
        script("put.py", "key", "value")
        fed = prop("WatchdogTimestampMonotonic")
        eventually("the watchdog is fed", lambda: prop("WatchdogTimestampMonotonic") != fed)
        self.assertEqual(prop("NRestarts"), "0")
        os.kill(int(prop("MainPID")), signal.SIGSTOP)
        eventually("restarted", lambda: prop("NRestarts") == "1" and prop("ActiveState") == "active")
        self.assertIn("Watchdog timeout", journal())
        self.assertEqual(script("get.py", "key"), "value\n")

    def test_stopping_drains_although_clients_stay_connected(self):
        self.start()
        connection = http.client.HTTPConnection("127.0.0.1", 8001, timeout=10)
        connection.request("POST", "/rpc", '{"jsonrpc":"2.0","id":1,"method":"cache.put",'
                           '"params":{"key":"last","value":1}}', {"Content-Type": "application/json"})
        self.assertIn(b'"result"', connection.getresponse().read())
        systemctl("stop", UNIT)
        connection.close()
        self.assert_stopped_cleanly()
        self.start()
        self.assertEqual(script("get.py", "last"), "1\n")

    def test_reload_keeps_the_node_running(self):
        self.start()
        before = prop("MainPID")
        systemctl("reload", UNIT)
        self.assertEqual(script("put.py", "key", "value"), "stored\n")
        self.assertEqual((prop("MainPID"), prop("ActiveState")), (before, "active"))

    def test_a_broken_ini_is_told_and_not_tried_again(self):
        write_ini("node1", "[local]\nnode_port = many\n")
        systemctl("start", UNIT, status=1)
        self.assertEqual((prop("ActiveState"), prop("ExecMainStatus"), prop("NRestarts")), ("failed", "78", "0"))
        self.assertTrue(any("node1.ini" in line and "node_port" in line for line in own_lines()), journal())

    def test_a_missing_ini_is_not_tried_again(self):
        os.unlink("/etc/spydercache/node1.ini")
        systemctl("start", UNIT, status=1)
        self.assertEqual((prop("ActiveState"), prop("ExecMainStatus"), prop("NRestarts")), ("failed", "243", "0"))

    def test_a_taken_port_is_tried_again_until_it_is_free(self):
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(("127.0.0.1", 8001))
            taken.listen()
            systemctl("start", "--no-block", UNIT)
            eventually("a second attempt", lambda: int(prop("NRestarts")) >= 1)
            self.assertEqual(prop("ExecMainStatus") if prop("MainPID") == "0" else "69", "69")
        eventually("started", lambda: prop("ActiveState") == "active")
        self.assertEqual(script("put.py", "key", "value"), "stored\n")

    def test_the_target_acts_on_every_enabled_node(self):
        units = [UNIT, "spydercache@node2.service"]
        systemctl("enable", *units)
        systemctl("start", "spydercache.target")
        for unit in units:
            eventually(unit + " active", lambda: prop("ActiveState", unit) == "active")
        pids = [prop("MainPID", unit) for unit in units]
        systemctl("restart", "spydercache.target")
        for unit, pid in zip(units, pids):
            eventually(unit + " restarted", lambda: prop("ActiveState", unit) == "active" and
                       prop("MainPID", unit) != pid)
        systemctl("stop", "spydercache.target")
        for unit in units:
            eventually(unit + " stopped", lambda: prop("ActiveState", unit) == "inactive")
            self.assert_stopped_cleanly(unit)
        systemctl("disable", *units)


if __name__ == "__main__":
    os.environ["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    unittest.main()
