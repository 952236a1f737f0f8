"""The nodes that the scripts are tested against: a small in-memory imitation, and the real program.

The imitation answers the four methods the scripts use and can be told to answer anything else, so that broken nodes can
be shown to the scripts. It is no specification: that the real node answers alike is what the same tests show when
SPYDERCACHE_BINARY names it.
"""

import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading

PROJECT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
UTILS = os.path.join(PROJECT, "utils")
BINARY = os.environ.get("SPYDERCACHE_BINARY")

sys.dont_write_bytecode = True
sys.path.insert(0, UTILS)
import spyderrpc  # noqa: E402  (the module under test, cut values out of requests with its scanner)


def script(name, *arguments, stdin=b"", **environment):
    """Runs utils/NAME; arguments may be str or bytes. Returns (exit status, stdout bytes, stderr bytes)."""
    done = subprocess.run(
        [sys.executable, os.path.join(UTILS, name), *arguments],
        input=stdin, capture_output=True, timeout=60, env={**os.environ, **environment})
    return done.returncode, done.stdout, done.stderr


class FakeNode:
    """`answer` (status, headers, body bytes), when set, replaces every reply; `requests` are (path, headers, body)."""

    def __init__(self, host="127.0.0.1"):
        self.answer = None
        self.requests = []
        self.values = {}
        node = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                node.requests.append((self.path, self.headers, body))
                status, headers, reply = node.answer or (200, {}, node.reply(body.decode("utf-8")))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if "Content-Length" not in headers:
                    self.send_header("Content-Length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)
                self.close_connection = True

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

        self.server = Server((host, 0), Handler)
        self.host, self.port = host, str(self.server.server_address[1])
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def reply(self, body):
        request = spyderrpc.members(body)
        params = spyderrpc.members(request["params"])
        key = json.loads(params["key"]) if "key" in params else None
        method = json.loads(request["method"])
        if method == "cache.put":
            self.values[key] = params["value"]
            result = '{"stored":true,"cas":"7"}'
        elif method == "cache.get":
            found = key in self.values
            result = '{"found":true, "value" : %s ,"cas":"7"}' % self.values[key] if found else '{"found":false}'
        elif method == "cache.delete":
            result = '{"deleted":true}' if self.values.pop(key, None) else '{"deleted":false,"reason":"notFound"}'
        else:
            result = '{"records":%d,"keys":%d,"droppedBytes":0}' % (len(self.values), len(self.values))
        return ('{"jsonrpc":"2.0","result":%s,"id":%s}\n' % (result, request["id"])).encode("utf-8")

    def stop(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


class RealNode:
    """The program itself on a free port, with a data directory of its own that survives `kill` and `start`."""

    def __init__(self, host="127.0.0.1"):
        self.host = host
        self.directory = tempfile.mkdtemp(prefix="spydercache-scripts-")
        self.config = os.path.join(self.directory, "node.ini")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write("[local]\nnode_id = scripts\nnode_port = 0\nbind = %s\nreconstruct = True\ndata_dir = %s\n"
                       % (host, os.path.join(self.directory, "data")))
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [BINARY, "serve", "--config", self.config], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        for line in self.process.stdout:
            entry = json.loads(line)
            if entry["event"] == "node.listening":
                self.port = str(entry["port"])
                break
        else:
            raise AssertionError("the node ended without listening, status %d" % self.process.wait())
        # The pipe must not fill: what else the node logs is read and dropped.
        self.drain = threading.Thread(target=self.process.stdout.read)
        self.drain.start()

    def kill(self):
        self._end(signal.SIGKILL)

    def stop(self):
        status = self._end(signal.SIGTERM)
        shutil.rmtree(self.directory)
        if status != 0:
            raise AssertionError("the node stopped with status %d" % status)

    def _end(self, number):
        self.process.send_signal(number)
        status = self.process.wait(timeout=30)
        self.drain.join()
        self.process.stdout.close()
        return status
