"""Every way in which a script can fail: status 2, nothing on stdout, exactly one line on stderr, no traceback."""

import os
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

import nodes


class Errors(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.node = nodes.FakeNode()

    @classmethod
    def tearDownClass(cls):
        cls.node.stop()

    def setUp(self):
        self.node.answer = None
        self.node.requests.clear()

    def assert_fails(self, name, *arguments, says, **keywords):
        status, out, err = nodes.script(name, *arguments, **keywords)
        self.assertEqual((status, out, err.count(b"\n")), (2, b"", 1), err.decode(errors="replace"))
        self.assertTrue(err.endswith(b"\n"))
        self.assertIn(says.encode(), err)
        self.assertNotIn(b"Traceback", err)

    def test_wrong_calls(self):
        host, port = self.node.host, self.node.port
        self.assert_fails("put.py", "k", "v", host, says="PORT")
        self.assert_fails("put.py", says="required")
        self.assert_fails("get.py", "k", host, "0", says="'0' is not a port number")
        self.assert_fails("get.py", "k", host, "65536", says="port number")
        self.assert_fails("get.py", "k", host, "80²", says="port number")
        self.assert_fails("get.py", "k", host, port, "--nonsense", says="--nonsense")
        self.assert_fails("get.py", "k", "", port, says="HOST is empty")
        self.assert_fails("get.py", "k", host, port, "--timeout", "nan", says="number of seconds")
        self.assert_fails("put.py", "k", "v", host, port, "--ttl-ms", "0", says="number of milliseconds")
        self.assert_fails("put.py", "k", "v", host, port, "--ttl-ms", "1.5", says="number of milliseconds")
        self.assertEqual(self.node.requests, [])

    def test_bytes_that_are_not_utf8(self):
        host, port = self.node.host, self.node.port
        self.assert_fails("put.py", b"\xff", "v", host, port, says="KEY is not valid UTF-8")
        self.assert_fails("put.py", "k", b"a\xe9", host, port, says="VALUE is not valid UTF-8")
        self.assert_fails("get.py", b"\xed\xa0\x80", host, port, says="KEY is not valid UTF-8")
        self.assert_fails("delete.py", b"\xc0\xaf", host, port, says="KEY is not valid UTF-8")
        self.assert_fails("put.py", "k", "-", host, port, stdin=b"\xff\x00", says="stdin is not valid UTF-8")
        self.assert_fails("get.py", "k", b"\xff", port, says="HOST")
        self.assert_fails("get.py", "k", host, b"\xff", says="port number")
        self.assertEqual(self.node.requests, [])

    def test_values_that_are_not_json(self):
        for text in ["", "{", "NaN", "-Infinity", "01", "1.", "'a'", "[1,]", "{\"a\":1,}", "1 2", "\"\t\"", "tru",
                     "\ufeff1", "[" * 100000]:
            with self.subTest(text=text[:20]):
                self.assert_fails("put.py", "--json", "--", "k", "-", self.node.host, self.node.port,
                                  stdin=text.encode(), says="VALUE is")
        self.assertEqual(self.node.requests, [])

    def test_a_node_that_is_not_there(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
            for name, arguments in (("put.py", ["k", "v"]), ("get.py", ["k"]), ("delete.py", ["k"]),
                                    ("reconstruct.py", [])):
                self.assert_fails(name, *arguments, "127.0.0.1", port, says="cannot reach 127.0.0.1:" + port)
            self.assert_fails("get.py", "k", "[::1]", port, says="cannot reach [::1]:" + port)
        self.assert_fails("get.py", "k", "no-such-host.invalid", "8001", says="cannot reach no-such-host.invalid")

    def test_a_node_that_does_not_answer(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = str(silent.getsockname()[1])
            self.assert_fails("get.py", "k", "127.0.0.1", port, "--timeout", "0.2", says="timed out")

    def test_a_node_that_closes_the_connection(self):
        for bytes_sent in (b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", b"rubbish\r\n\r\n"):
            with self.subTest(sent=bytes_sent), socket.create_server(("127.0.0.1", 0)) as listener:
                def serve():
                    connection, _ = listener.accept()
                    with connection:
                        connection.recv(65536)
                        connection.sendall(bytes_sent)
                thread = threading.Thread(target=serve)
                thread.start()
                port = str(listener.getsockname()[1])
                self.assert_fails("get.py", "k", "127.0.0.1", port, says="127.0.0.1:" + port)
                thread.join()

    def test_errors_of_the_node(self):
        body = b'{"jsonrpc":"2.0","id":1,"error":{"code":1002,"message":"memory\\nfull","data":{"retryable":true}}}'
        for status in (200, 413, 503):
            self.node.answer = (status, {}, body)
            self.assert_fails("put.py", "k", "v", self.node.host, self.node.port,
                              says='error 1002: memory full {"retryable":true}')
        self.node.answer = (415, {}, b"")
        self.assert_fails("get.py", "k", self.node.host, self.node.port, says="HTTP status 415")
        self.node.answer = (401, {}, b"who are you")
        self.assert_fails("get.py", "k", self.node.host, self.node.port, says="HTTP status 401")

    def test_replies_that_are_no_reply(self):
        for body in [b"", b"[]", b"{", b"hello", b'{"jsonrpc":"2.0","id":2,"result":{"found":false}}', b"{}",
                     b'{"jsonrpc":"2.0","id":1,"result":{"found":false}} x', b'{"jsonrpc":"2.0","id":1,"result":[]}',
                     b'{"jsonrpc":"2.0","id":1,"result":{"found":true}}', b"[" * 100000, b'{"a":\xff}',
                     b'{"jsonrpc":"2.0","id":1,"result":{"found":true,"value":"\\ud800"}}',
                     b'{"jsonrpc":"2.0","id":1,"error":7}']:
            with self.subTest(body=body[:60]):
                self.node.answer = (200, {}, body)
                self.assert_fails("get.py", "k", self.node.host, self.node.port, says="get.py: ")
        self.node.answer = (200, {}, b'{"jsonrpc":"2.0","id":1,"result":{}}')
        self.assert_fails("put.py", "k", "v", self.node.host, self.node.port, says="stored")
        self.assert_fails("delete.py", "k", self.node.host, self.node.port, says="deleted")

    def test_a_refused_put_is_an_answer(self):
        self.node.answer = (200, {}, b'{"jsonrpc":"2.0","id":1,"result":{"stored":false,"reason":"exists"}}')
        self.assertEqual(nodes.script("put.py", "k", "v", self.node.host, self.node.port),
                         (1, b"not stored: exists\n", b""))

    def test_token_files(self):
        call = ("get.py", "k", self.node.host, self.node.port, "--token-file")
        self.assert_fails(*call, "/nonexistent/token", says="token file")
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "token")
            for content in (b"", b"\n", b"two words", b"two\nlines\n", b"\xff"):
                with self.subTest(content=content):
                    with open(path, "wb") as file:
                        file.write(content)
                    self.assert_fails(*call, path, says="token file")
            self.assertEqual(self.node.requests, [])
            with open(path, "wb") as file:
                file.write(b"s3cret-token\n")
            self.assertEqual(nodes.script(*call, path)[0], 1)
        self.assertEqual(self.node.requests[0][1]["Authorization"], "Bearer s3cret-token")


class Requests(unittest.TestCase):
    def test_what_is_sent(self):
        node = nodes.FakeNode()
        try:
            nodes.script("put.py", "k", " [1.0]", node.host, node.port, "--json", "--ttl-ms", "50")
            nodes.script("reconstruct.py", node.host, node.port)
        finally:
            node.stop()
        path, headers, body = node.requests[0]
        self.assertEqual((path, headers["Content-Type"]), ("/rpc", "application/json"))
        self.assertNotIn("Authorization", headers)
        self.assertEqual(body, b'{"jsonrpc":"2.0","id":1,"method":"cache.put",'
                               b'"params":{"key":"k","value": [1.0],"ttlMs":50}}')
        self.assertEqual(node.requests[1][2], b'{"jsonrpc":"2.0","id":1,"method":"node.reconstruct","params":{}}')

    def test_a_closed_pipe_is_no_traceback(self):
        node = nodes.FakeNode()
        try:
            nodes.script("put.py", "k", "-", node.host, node.port, stdin=b"x" * (1 << 20))
            read, write = os.pipe()
            os.close(read)
            with os.fdopen(write, "wb") as closed:
                done = subprocess.run(
                    [sys.executable, os.path.join(nodes.UTILS, "get.py"), "k", node.host, node.port],
                    stdout=closed, stderr=subprocess.PIPE, timeout=60)
            self.assertNotIn(b"Traceback", done.stderr)
            self.assertEqual(done.returncode, 2)
        finally:
            node.stop()


if __name__ == "__main__":
    unittest.main()
