"""connect.py, fake_death.py and monitor.py against imitations of cluster nodes and, with SPYDERCACHE_BINARY, real ones."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

import nodes
import monitor


class ClusterNode:
    """An imitation that answers the methods these scripts call; what it says of itself and others can be set."""

    def __init__(self, id, host="127.0.0.1"):
        self.fake = nodes.FakeNode(host)
        self.fake.reply = self.reply
        self.host, self.port = host, self.fake.port
        self.address = nodes.spyderrpc.address(host, int(self.port))
        self.results = {"cluster.connect": {"connected": True}, "cluster.remove": {"removed": True}}
        self.results["cluster.status"] = {
            "node": id, "ready": True, "acting": True, "epoch": 3, "coordinator": "1", "members": [self.member(id)],
            "handoffPercent": 100, "underReplicated": 0, "topology": "static"}
        self.results["node.stats"] = {"getHits": 39, "getMisses": 1, "currItems": 42}

    def member(self, id, state="alive"):
        return member(id, self.address, state)

    def sees(self, *members):
        self.results["cluster.status"]["members"] = list(members)

    def reply(self, body):
        request = json.loads(body)
        outcome = {"error": {"code": -32601, "message": "Method not found", "data": {"retryable": False}}}
        if request["method"] in self.results:
            outcome = {"result": self.results[request["method"]]}
        return json.dumps({"jsonrpc": "2.0", "id": request["id"], **outcome}).encode()

    def stop(self):
        self.fake.stop()


def member(id, address, state="alive", role="serving"):
    return {"id": id, "address": address, "state": state, "role": role, "incarnation": 1}


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextlib.contextmanager
def ini_file(text):
    with tempfile.TemporaryDirectory(prefix="spydercache-scripts-") as directory:
        path = os.path.join(directory, "node.ini")
        with open(path, "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode())
        yield path


def seed_like(port, *peers):
    """The settings as people lay them out: indented, with tabs, comments after values and a list over several lines."""
    lines = ["    #This is the configuration file.", "", "    [local]", "    node_id = 1\t\t\t#any string is valid",
             "    node_port = %s\t#a port" % port, "\tcache_size = 1000\t#Maximum number of keys",
             "\t\t\t\t\t#After this limit is hit", "    ", "    [network]\t#simply the list of peers"]
    for index, peer in enumerate(peers):
        comma = "," if index + 1 < len(peers) else ""
        lines.append(("    peer = " if index == 0 else "           ") + peer + comma + "\t\t#a comma separated list, a = b")
    return "\n".join(lines) + "\n"


class FailingScripts(unittest.TestCase):
    def assert_fails(self, name, *arguments, says):
        status, out, err = nodes.script(name, *arguments)
        self.assertEqual((status, out, err.count(b"\n")), (2, b"", 1), err.decode(errors="replace"))
        self.assertIn(says.encode(), err)
        self.assertNotIn(b"Traceback", err)


class PeerScripts(FailingScripts):
    def setUp(self):
        self.node = ClusterNode("1")
        self.addCleanup(self.node.stop)

    def test_what_is_sent(self):
        here = (self.node.host, self.node.port)
        self.assertEqual(nodes.script("connect.py", *here, "10.0.0.7", "8002"), (0, b"connecting\n", b""))
        self.assertEqual(nodes.script("fake_death.py", *here, "[::1]", "8003"), (0, b"declared dead\n", b""))
        self.assertEqual(nodes.script("fake_death.py", *here, "fe80::1", "8003"), (0, b"declared dead\n", b""))
        self.assertEqual([body for _, _, body in self.node.fake.requests], [
            b'{"jsonrpc":"2.0","id":1,"method":"cluster.connect","params":{"address":"10.0.0.7:8002"}}',
            b'{"jsonrpc":"2.0","id":1,"method":"cluster.remove","params":{"address":"[::1]:8003"}}',
            b'{"jsonrpc":"2.0","id":1,"method":"cluster.remove","params":{"address":"[fe80::1]:8003"}}'])

    def test_a_plain_no(self):
        self.node.results = {"cluster.connect": {"connected": False}, "cluster.remove": {"removed": False}}
        call = (self.node.host, self.node.port, "127.0.0.1", "8002")
        self.assertEqual(nodes.script("connect.py", *call), (1, b"not connecting\n", b""))
        self.assertEqual(nodes.script("fake_death.py", *call), (1, b"no such member\n", b""))

    def test_errors(self):
        here = (self.node.host, self.node.port)
        for name in ("connect.py", "fake_death.py"):
            with self.subTest(name=name):
                self.assert_fails(name, *here, says="PEER_HOST")
                self.assert_fails(name, *here, "127.0.0.1", "0", says="'0' is not a port number")
                self.assert_fails(name, *here, "", "8002", says="PEER_HOST is empty")
                self.assert_fails(name, *here, b"\xff", "8002", says="PEER_HOST is not valid UTF-8")
                self.assertEqual(self.node.fake.requests, [])
                port = str(free_port())
                self.assert_fails(name, "127.0.0.1", port, "127.0.0.1", "8002", says="cannot reach 127.0.0.1:" + port)
                self.node.fake.answer = (200, {}, b'{"jsonrpc":"2.0","id":1,"result":{}}')
                self.assert_fails(name, *here, "127.0.0.1", "8002", says="the reply does not say")
                self.node.fake.answer = (200, {}, b'{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"Invalid"}}')
                self.assert_fails(name, *here, "127.0.0.1", "8002", says="error -32602: Invalid")
                self.node.fake.answer = None
                self.node.fake.requests.clear()


class Monitor(FailingScripts):
    def setUp(self):
        self.one, self.two = ClusterNode("1"), ClusterNode("2")
        self.addCleanup(self.one.stop)
        self.addCleanup(self.two.stop)
        for node in (self.one, self.two):
            node.sees(self.one.member("1"), self.two.member("2"))

    def round(self, text, *options):
        """The lines of a single round, as lists of words."""
        with ini_file(text) as path:
            status, out, err = nodes.script("monitor.py", path, "0", *options)
        self.assertEqual((status, err), (0, b""))
        return [line.split() for line in out.decode().splitlines()]

    def test_a_line_a_node(self):
        self.two.results["cluster.status"].update(ready=False, acting=False, handoffPercent=40, underReplicated=7)
        self.two.sees(self.one.member("1", "suspect"), self.two.member("2"))
        self.two.results["node.stats"] = {"getHits": "0", "getMisses": "0", "currItems": "1"}
        self.assertEqual(self.round(seed_like(self.one.port, self.two.address)), [
            [self.one.address, "id=1", "state=up,ready", "epoch=3", "coordinator=1", "alive=2/2", "handoff=100%",
             "underReplicated=0", "keys=42", "hits=97.5%"],
            [self.two.address, "id=2", "state=up,not-ready,not-acting", "epoch=3", "coordinator=1", "alive=1/2",
             "handoff=40%", "underReplicated=7", "keys=1", "hits=-"]])

    def test_a_node_that_is_down_is_named_by_the_others(self):
        dead = member("3", "127.0.0.1:%d" % free_port(), "dead", "none")
        self.one.sees(self.one.member("1"), dead)
        lines = self.round(seed_like(self.one.port, dead["address"]))
        self.assertIn("alive=1/1", lines[0])
        self.assertEqual(lines[1][:3], [dead["address"], "id=3", "state=down"])
        self.assertEqual(" ".join(lines[1][10:]), "cannot reach %s: Connection refused" % dead["address"])

    def test_members_that_the_file_does_not_name_are_shown_while_they_live(self):
        dead = member("3", "127.0.0.1:%d" % free_port(), "dead", "none")
        self.one.sees(self.one.member("1"), self.two.member("2"), dead)
        lines = self.round("[local]\nnode_port = %s\n" % self.one.port)
        self.assertEqual([line[:2] for line in lines], [[self.one.address, "id=1"], [self.two.address, "id=2"]])

    def test_a_member_under_another_name_is_shown_once(self):
        lines = self.round(seed_like(self.one.port, "localhost:" + self.two.port))
        self.assertEqual([line[:2] for line in lines], [[self.one.address, "id=1"], ["localhost:" + self.two.port, "id=2"]])

    def test_answers_that_are_no_status(self):
        text = "[local]\nnode_port = %s\n" % self.one.port
        del self.one.results["cluster.status"]
        line = self.round(text)[0]
        self.assertEqual(line[2], "state=up")
        self.assertIn("error -32601: Method not found", " ".join(line))
        for status in (None, [], {}, {"node": "1", "members": [1]}, {"members": "x"}, 7):
            with self.subTest(status=status):
                self.one.results["cluster.status"] = status
                line = self.round(text)[0]
                self.assertEqual(line[2], "state=up")
                self.assertIn("its answers are not those of a node", " ".join(line))
        for answer in ((401, {}, b""), (200, {}, b"[]"), (200, {}, b"[" * 100000)):
            with self.subTest(answer=answer[2][:9]):
                self.one.fake.answer = answer
                self.assertEqual(self.round(text)[0][2], "state=up")

    def test_a_silent_node_holds_up_nobody(self):
        self.one.sees(self.one.member("1"))
        with contextlib.ExitStack() as stack:
            silent = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(8)]
            began = time.monotonic()
            addresses = ["127.0.0.1:%d" % listener.getsockname()[1] for listener in silent]
            lines = self.round(seed_like(self.one.port, *addresses), "--timeout", "1")
            self.assertLess(time.monotonic() - began, 6)
        self.assertEqual([line[2] for line in lines], ["state=up,ready"] + ["state=down"] * 8)

    def test_rounds_until_ctrl_c(self):
        with ini_file(seed_like(self.one.port, self.two.address)) as path:
            process = subprocess.Popen(
                [sys.executable, os.path.join(nodes.UTILS, "monitor.py"), path, "0.05"],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                # As at a terminal: what a shell runs in the background inherits that SIGINT is ignored.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
            with process:
                try:
                    first = [process.stdout.readline() for _ in range(2)]
                    # Of what is counted from here on half is found, whatever came before.
                    self.one.results["node.stats"] = {"getHits": 139, "getMisses": 101, "currItems": 42}
                    seen = b""
                    while b"hits=50.0%" not in seen:
                        self.assertNotEqual(seen := process.stdout.readline(), b"")
                    process.send_signal(signal.SIGINT)
                    _, err = process.communicate(timeout=30)
                finally:
                    process.kill()
            self.assertEqual((process.returncode, err), (0, b""))
            self.assertIn(b"hits=97.5%", first[0])

    def test_files_that_do_not_do(self):
        self.assert_fails("monitor.py", says="FILE")
        self.assert_fails("monitor.py", "/nonexistent.ini", says="/nonexistent.ini: No such file")
        self.assert_fails("monitor.py", "/", says="Is a directory")
        for text, says in ((b"\xff", "not valid UTF-8"), ("[local]\nnode_port = 0\n", "node_port = 0"),
                           ("[local]\nnode_port = http\n", "'http' is not host:port"),
                           ("[local]\nnode_port = 65536\n", "is not host:port"),
                           ("[network]\npeer = 127.0.0.1\n", "'127.0.0.1' is not host:port"),
                           ("[network]\npeer = ::1:8002\n", "'::1:8002' is not host:port")):
            with self.subTest(text=text), ini_file(text) as path:
                self.assert_fails("monitor.py", path, "0", says=says)
        for seconds in ("-1", "nan", "inf", "x"):
            self.assert_fails("monitor.py", "--", "/nonexistent.ini", seconds, says="is not a number of seconds")
        with ini_file("") as path:
            self.assert_fails("monitor.py", path, "0", "--token-file", "/nonexistent/token", says="token file")


class Settings(unittest.TestCase):
    def test_a_file_with_everything_in_it(self):
        text = (seed_like(8001, "127.0.0.1:8002", "127.0.0.1:8003") +
                "peers=[::1]:8004 ,\r\n\t; in between\r\n\r\n  [::1]:8005#not a comment\r\n[log] ; here\n"
                'destination = "a # \\"b\\"" # c\nlevel=info\n')
        self.assertEqual(monitor.read_settings(text), {
            ("local", "node_id"): "1", ("local", "node_port"): "8001", ("local", "cache_size"): "1000",
            ("network", "peer"): "127.0.0.1:8002,127.0.0.1:8003", ("network", "peers"): "[::1]:8004 ,[::1]:8005#not a comment",
            ("log", "destination"): 'a # "b"', ("log", "level"): "info"})

    def test_a_key_or_a_section_ends_a_list(self):
        for following in ("replicas = 1", "[log]"):
            settings = monitor.read_settings("[network]\npeer = a:1,\n" + following + "\nb:2\n")
            self.assertEqual(settings[("network", "peer")], "a:1,")


class Member(nodes.RealNode):
    """A real node that can be one of several: an id of its own, short times, no journal."""

    def __init__(self, id):
        self.host = "127.0.0.1"
        self.id = id
        self.directory = tempfile.mkdtemp(prefix="spydercache-scripts-")
        self.config = os.path.join(self.directory, "node.ini")
        self.port = str(free_port())
        with open(self.config, "w", encoding="utf-8") as file:
            file.write("[local]\nnode_id = %s\nnode_port = %s\ndata_dir = %s\n[journal]\nenabled = False\n"
                       "[network]\nheartbeat_ms = 50\nfailure_ms = 500\n"
                       % (id, self.port, os.path.join(self.directory, "data")))
        self.start()


@unittest.skipUnless(nodes.BINARY, "SPYDERCACHE_BINARY does not name the program")
class AgainstNodes(unittest.TestCase):
    def setUp(self):
        self.one = Member("one")
        self.addCleanup(self.one.stop)
        self.two = Member("two")
        self.addCleanup(self.two.stop)

    def wait_for(self, *words):
        """Waits until a round shows all words in the line of each node."""
        deadline = time.monotonic() + 30
        while True:
            status, out, err = nodes.script("monitor.py", self.one.config, "0")
            self.assertEqual((status, err), (0, b""))
            lines = [line.split() for line in out.decode().splitlines()]
            if all(set(expected) <= set(line) for expected, line in zip(words, lines)) and len(lines) == len(words):
                return
            self.assertLess(time.monotonic(), deadline, "not seen: %s\n%s" % (words, out.decode()))

    def test_a_node_joins_is_declared_dead_and_comes_back(self):
        self.wait_for(("id=one", "state=up,ready", "alive=1/1"))
        peer = (self.two.host, self.two.port, self.one.host, self.one.port)
        self.assertEqual(nodes.script("connect.py", *peer), (0, b"connecting\n", b""))
        both = (("id=one", "state=up,ready", "alive=2/2"), ("id=two", "state=up,ready", "alive=2/2"))
        self.wait_for(*both)
        self.assertEqual(nodes.script("put.py", "key", "value", self.one.host, self.one.port)[0], 0)
        self.assertEqual(nodes.script("get.py", "key", self.two.host, self.two.port), (0, b"value\n", b""))
        dead = (self.one.host, self.one.port, self.two.host, self.two.port)
        self.assertEqual(nodes.script("fake_death.py", *dead), (0, b"declared dead\n", b""))
        self.wait_for(("id=one", "state=up,ready", "alive=1/1"))
        self.assertEqual(nodes.script("fake_death.py", *dead), (1, b"no such member\n", b""))
        self.assertEqual(nodes.script("connect.py", *peer), (0, b"connecting\n", b""))
        self.wait_for(*both)


if __name__ == "__main__":
    unittest.main()
