"""Load on keys that were chosen, which `spydercache bench` does not do: cache.get over raw sockets, every reply checked."""

import os
import socket
import time

from servers import BenchError


def processor_seconds(pid):
    """What the living threads of a process have run so far: schedstat counts nanoseconds, stat ticks of 10 ms."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{thread}/schedstat") as file:
                total += int(file.read().split()[0])
        except (FileNotFoundError, ProcessLookupError):  # it ended
            pass
    return total / 1e9


def request(key):
    body = b'{"jsonrpc":"2.0","id":1,"method":"cache.get","params":{"key":"%s"}}' % key.encode()
    return b"POST /rpc HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
        len(body), body)


class Connections:
    """So many connections to a node, each with one request in flight; `exchanges` are (request, what the reply holds)."""

    def __init__(self, port, count, exchanges):
        self.exchanges, self.next, self.count = exchanges, 0, count
        self.sockets = []
        for _ in range(count):
            connection = socket.create_connection(("127.0.0.1", port), timeout=10)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.sockets.append(connection)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for connection in self.sockets:
            connection.close()

    def run(self, seconds):
        """Loads the node; returns (requests, seconds, latencies in seconds). In turn, the same key never twice at a time:
        a node may ask another once for callers that want the same key together."""
        latencies, expected, sent = [], [None] * self.count, [0.0] * self.count
        began = now = time.perf_counter()
        while now - began < seconds:
            for index, connection in enumerate(self.sockets):
                if expected[index] is not None:
                    self._receive(connection, expected[index])
                    now = time.perf_counter()
                    latencies.append(now - sent[index])
                message, expected[index] = self.exchanges[self.next]
                self.next = (self.next + 1) % len(self.exchanges)
                sent[index] = time.perf_counter()
                connection.sendall(message)
        for index, connection in enumerate(self.sockets):
            self._receive(connection, expected[index])
            latencies.append(time.perf_counter() - sent[index])
        return len(latencies), time.perf_counter() - began, latencies

    @staticmethod
    def _receive(connection, expected):
        data, length = b"", None
        while length is None or len(data) < length:
            part = connection.recv(65536)
            if not part:
                raise BenchError("the node closed a connection under load")
            data += part
            end = data.find(b"\r\n\r\n")
            if length is None and end >= 0:
                head = data[:end].lower()
                length = end + 4 + int(head[head.index(b"content-length:") + 15:].split(b"\r\n", 1)[0])
        if expected not in data:
            raise BenchError(f"not the reply that was due: {data[:400]!r} without {expected[:60]!r}")
