"""Clusters of real nodes to do harm to: started from INI files, killed, stopped, continued, restarted on fixed ports.

SPYDERCACHE_BINARY names the program. A `ClusterTest` ends every node it started, whatever happens, and fails when one
ended by itself, wrote to standard error or logged a line that is not JSON; when a test fails it prints the tail of each
node's log and keeps the directory with logs and INI files.
"""

import atexit
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from checker import describe
from client import Client, NoAnswer, RPCError

BINARY = os.environ.get("SPYDERCACHE_BINARY") and os.path.abspath(os.environ["SPYDERCACHE_BINARY"])
SEED = int(os.environ.get("SPYDERCACHE_SEED") or random.SystemRandom().randrange(1 << 32))
# Below the range that systems take outgoing ports from, so that nothing sits on a dead node's port when it comes back.
PORTS = range(25000, 32000)
START_SECONDS = 20
LOG_LEVEL = os.environ.get("SPYDERCACHE_LOG_LEVEL", "info")

# Short enough for a test, long enough for nodes that share two busy cores.
FAST = {"heartbeat_ms": 150, "failure_ms": 1500}
DEFAULTS = {"heartbeat_ms": 500, "failure_ms": 2000}

_taken = set()
_living = set()


def setting(name, default):
    """A number from the environment: SPYDERCACHE_NAME."""
    return type(default)(os.environ.get("SPYDERCACHE_" + name) or default)


def say(text):
    """A line of a test's report, which unittest's own output leaves room for."""
    sys.stderr.write("    %s\n" % text)
    sys.stderr.flush()


def free_port():
    """A port nobody listens on, handed out once in this process; another run starts looking elsewhere."""
    start = random.SystemRandom().randrange(len(PORTS))
    for offset in range(len(PORTS)):
        port = PORTS[(start + offset) % len(PORTS)]
        if port in _taken:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _taken.add(port)
        return port
    raise AssertionError("no free port from %d to %d" % (PORTS[0], PORTS[-1]))


def eventually(what, condition, within, every=0.02):
    """Polls until `condition()` is true; returns the seconds that took. A text it returns says why it is not."""
    began = time.monotonic()
    while True:
        value = condition()
        elapsed = time.monotonic() - began
        if value is True or (value and not isinstance(value, str)):
            return elapsed
        if elapsed > within:
            raise AssertionError("not within %g s: %s%s" % (within, what, ": " + value if value else ""))
        time.sleep(every)


class Place:
    """Where a node runs: this machine's loopback. A namespace of a simulated network has the same three members."""

    def __init__(self):
        self.host = "127.0.0.1"
        self.command = []
        self.open_socket = socket.socket


class Node:
    """One process of the program, with an INI file, a data directory and logs that survive its death."""

    def __init__(self, name, directory, place=None, port=None):
        self.name, self.directory, self.place = name, directory, place or Place()
        self.port = port or free_port()
        self.address = "%s:%d" % (self.place.host, self.port)
        self.settings = {
            "local": {"node_id": name, "bind": self.place.host, "node_port": self.port,
                      "data_dir": os.path.join(directory, "data"), "threads": 1},
            "network": {}, "journal": {"enabled": False}, "log": {"level": LOG_LEVEL}}
        self.ini = os.path.join(directory, "node.ini")
        self.process, self.is_expected_dead, self.may_complain = None, True, False
        self.client = self.new_client()
        os.makedirs(directory)

    def __repr__(self):
        return self.name

    def new_client(self, timeout=5.0):
        """A connection of its own, for one thread."""
        return Client((self.place.host, self.port), timeout, self.place.open_socket)

    def call(self, method, params=None, timeout=None):
        """One call over the connection that belongs to the test's own thread."""
        return self.client.call(method, params, timeout)

    def post(self, body, headers=None, timeout=None):
        return self.client.post(body, headers, timeout)

    def configure(self, section, **keys):
        self.settings.setdefault(section, {}).update(keys)

    def write_ini(self):
        with open(self.ini, "w", encoding="utf-8") as file:
            for section, keys in self.settings.items():
                file.write("[%s]\n" % section)
                for key, value in keys.items():
                    values = value if isinstance(value, (list, tuple)) else [value]
                    if values:
                        file.write("%s = %s\n" % (key, ",\n    ".join(map(str, values))))

    def start(self, write_ini=True):
        """Starts the process and returns at once. In the main thread: a node dies with the thread that started it."""
        assert threading.current_thread() is threading.main_thread() and self.process is None
        if write_ini:
            self.write_ini()
        command = [*self.place.command, *_dies_with_parent(), BINARY, "serve", "--config", self.ini]
        with open(self.log_path, "ab") as log, open(self.error_path, "ab") as errors:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=errors, cwd=self.directory)
        self.is_expected_dead = False
        _living.add(self)

    def kill(self):
        """kill -9; also ends a paused node. The status shows that nothing else ended it."""
        status = self._end(signal.SIGKILL)
        assert status == -signal.SIGKILL, "%s had ended by itself, status %d" % (self.name, status)

    def stop(self):
        """SIGTERM; returns the exit status."""
        return self._end(signal.SIGTERM)

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)
        eventually("%s is stopped" % self.name, lambda: self.process_state() == "T", 2)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def process_state(self):
        """The letter of proc(5): T while paused."""
        with open("/proc/%d/stat" % self.process.pid, encoding="ascii", errors="replace") as file:
            return file.read().rsplit(")", 1)[1].split()[0]

    def wait_end(self, within):
        """The exit status of a node that is to end by itself, and to say why."""
        self.is_expected_dead = self.may_complain = True
        try:
            status = self.process.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError("%s still runs after %g s" % (self, within)) from None
        self._ended()
        return status

    def is_ready(self, timeout=2.0):
        try:
            return self.client.get("/readyz", timeout).status == 200
        except NoAnswer:
            return False

    def wait_ready(self, within=START_SECONDS, every=0.01):
        return eventually("%s is ready" % self.name, lambda: self.assert_lives() or self.is_ready(), within, every)

    def assert_lives(self):
        if self.process is None or self.process.poll() is not None:
            raise AssertionError("%s is not running, status %s" % (self, self.process and self.process.returncode))

    @property
    def log_path(self):
        return os.path.join(self.directory, "node.log")

    @property
    def error_path(self):
        return os.path.join(self.directory, "errors.log")

    def log(self, event=None):
        """The lines of all runs as objects, those of one event or all; a line that is not JSON fails."""
        with open(self.log_path, encoding="utf-8") as file:
            text = file.read()
        entries = [json.loads(line) for line in text.splitlines(True) if line.endswith("\n")]
        return [entry for entry in entries if event in (None, entry["event"])]

    def tail(self, count):
        """The last lines of the log, and the first of what went to standard error: there a crash says why and where."""
        lines = []
        for path, part in ((self.log_path, slice(-count, None)), (self.error_path, slice(0, count))):
            if os.path.exists(path):
                with open(path, encoding="utf-8", errors="replace") as file:
                    lines += ["%s: %s" % (self.name, line.rstrip()[:400]) for line in file.readlines()[part]]
        return "\n".join(lines)

    def finish(self):
        """Ends the process, if it lives, and says what was wrong with the node's life; None when nothing was."""
        problem = None
        if self.process is not None:
            status = self.process.poll()
            if status is not None and not self.is_expected_dead:
                problem = "%s ended by itself with status %d" % (self.name, status)
            self._end(signal.SIGKILL)
        self.client.close()
        if problem is None and os.path.exists(self.log_path):
            try:
                self.log()
            except ValueError as error:
                problem = "%s logged a line that is not JSON: %s" % (self.name, error)
        if problem is None and os.path.exists(self.error_path) and not self.may_complain:
            with open(self.error_path, encoding="utf-8", errors="replace") as file:
                text = file.read()
            problem = "%s wrote to standard error: %s" % (self.name, text[:500]) if text.strip() else None
        return problem

    def _end(self, number):
        if self.process.poll() is None:
            self.is_expected_dead = True
            self.process.send_signal(number)
        status = self.process.wait(30)
        self._ended()
        return status

    def _ended(self):
        self.process = None
        self.client.close()
        _living.discard(self)


class Cluster:
    """Nodes n1, n2, ... that name each other as peers. Settings are sections of the INI file."""

    def __init__(self, size, places=None, **sections):
        self.directory = tempfile.mkdtemp(prefix="spydercache-cluster-")
        self.nodes = []
        self.sections = sections
        for number in range(size):
            self.add(place=places[number] if places else None)
        for node in self.nodes:
            node.configure("network", peer=[other.address for other in self.nodes if other is not node])

    def add(self, name=None, place=None):
        """One node more, not started, that knows no peers and is nobody's peer."""
        name = name or "n%d" % (len(self.nodes) + 1)
        directory = os.path.join(self.directory, "%02d-%s" % (len(self.nodes) + 1, name))
        node = Node(name, directory, place)
        for section, keys in self.sections.items():
            node.configure(section, **keys)
        self.nodes.append(node)
        return node

    def start(self, nodes=None, within=START_SECONDS):
        for node in nodes or self.nodes:
            node.start()
        return self.wait_converged(nodes, within)

    def living(self):
        return [node for node in self.nodes if node.process is not None]

    def others(self, *nodes):
        return [node for node in self.living() if node not in nodes]

    def wait_converged(self, nodes=None, within=START_SECONDS, every=0.02):
        """Until the nodes are ready and of one mind about who they are; returns the seconds that took."""
        nodes = nodes or self.living()
        return eventually("one view of %s" % ", ".join(node.name for node in nodes),
                          lambda: self.disagreement(nodes) or True, within, every)

    @staticmethod
    def disagreement(nodes):
        """What keeps the nodes from being one cluster, as text; None when nothing does."""
        names, views = sorted(node.name for node in nodes), {}
        for node in nodes:
            node.assert_lives()
            try:
                status = node.call("cluster.status", timeout=2.0)
                ring = node.call("cluster.ring", timeout=2.0)
            except (NoAnswer, RPCError) as failure:
                return "%s: %s" % (node.name, failure)
            members = sorted(member["id"] for member in status["members"] if member["state"] not in ("dead", "left"))
            unsettled = [member["id"] for member in status["members"] if member["id"] in names
                         and (member["state"], member["role"]) != ("alive", "serving")]
            if members != names or unsettled or not (status["ready"] and status["acting"] and node.is_ready()):
                return "%s: %s" % (node.name, json.dumps(status))
            # A view lags behind what its members know of each other; the ring is what keys go by.
            if sorted(member["id"] for member in ring["members"]) != names:
                return "%s: %s" % (node.name, json.dumps(ring))
            views[node.name] = (status["epoch"], status["coordinator"], ring["epoch"])
        if len(set(views.values())) != 1 or list(views.values())[0][1] not in names:
            return "epochs and coordinators: %r" % views
        return None

    def wait_excluded(self, *victims, within=None):
        """Until the living nodes have one view without the victims."""
        return self.wait_converged(self.others(*victims), within or START_SECONDS)

    def coordinator(self):
        name = self.living()[0].call("cluster.status")["coordinator"]
        return next(node for node in self.nodes if node.name == name)

    def status_text(self):
        lines = []
        for node in self.living():
            try:
                lines.append("%s: %s" % (node.name, json.dumps(node.call("cluster.status", timeout=1.0))))
            except (NoAnswer, RPCError) as failure:
                lines.append("%s: %s" % (node.name, failure))
        return "\n".join(lines)

    def show_logs(self):
        """After a failure: the tail of each log, and where the whole is kept."""
        say("logs and INI files are kept in %s" % self.directory)
        for node in self.nodes:
            say(node.tail(setting("LOG_TAIL", 25)).replace("\n", "\n    "))
            shutil.rmtree(os.path.join(node.directory, "data"), ignore_errors=True)

    def finish(self):
        """Ends all nodes; returns what was wrong with their lives."""
        return [problem for problem in [node.finish() for node in self.nodes] if problem]


@unittest.skipUnless(BINARY, "SPYDERCACHE_BINARY does not name the program")
class ClusterTest(unittest.TestCase):
    """A test with clusters that are ended after it."""

    longMessage = True

    def setUp(self):
        self.clusters = []
        self.seed = SEED
        self.random = random.Random("%s %d" % (self.id(), SEED))
        say("%s, SPYDERCACHE_SEED=%d" % (self.id(), SEED))

    def cluster(self, size, **options):
        cluster = Cluster(size, **options)
        self.clusters.append(cluster)
        self.addCleanup(self._end_cluster, cluster)
        return cluster

    def assert_none(self, violations):
        if violations:
            self.fail(describe(violations))

    def run(self, result=None):
        """As always, and afterwards the logs: shown and kept when the test failed, else gone."""
        result = self.defaultTestResult() if result is None else result
        before = len(result.failures) + len(result.errors)
        super().run(result)
        for cluster in getattr(self, "clusters", []):
            if len(result.failures) + len(result.errors) == before:
                shutil.rmtree(cluster.directory)
                continue
            say("%s FAILED" % self.id())
            cluster.show_logs()
        return result

    @staticmethod
    def _end_cluster(cluster):
        problems = cluster.finish()
        if problems:
            raise AssertionError("; ".join(problems))


def _dies_with_parent():
    """A prefix that has the kernel kill the node when this process is killed, where the tool for it exists."""
    tool = shutil.which("setpriv")
    return [tool, "--pdeathsig", "KILL"] if tool else []


@atexit.register
def _end_all():
    for node in list(_living):
        node.process.kill()
        node.process.wait()


def _terminated(number, _):
    sys.exit(128 + number)


# Without it a terminated run would not come to its cleanups.
signal.signal(signal.SIGTERM, _terminated)
