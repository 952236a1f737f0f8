"""One persistent HTTP connection to one node, and JSON-RPC calls over it.

What a fault test needs and a comfortable client hides: nothing is ever sent twice, every call has a deadline, and one
that failed says whether the node can have seen it. An instance belongs to one thread.
"""

import http.client
import itertools
import json
import select
import socket
import time

TIMEOUT_SECONDS = 5.0
_ids = itertools.count(1)


class NoAnswer(Exception):
    """No usable answer came. `sent` is False only when the node cannot have seen the call."""

    def __init__(self, text, sent):
        super().__init__(text)
        self.sent = sent


class RPCError(Exception):
    """The node answered with an error object."""

    def __init__(self, error):
        super().__init__("error %s: %s %s" % (error.get("code"), error.get("message"), json.dumps(error.get("data"))))
        self.code = error["code"]
        self.data = error.get("data") or {}
        self.error = error


class Response:
    """Status, headers (lower-case names) and the body as it came, gzip or not."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body


class _Connection(http.client.HTTPConnection):
    def __init__(self, address, open_socket):
        super().__init__(*address)
        self.open_socket = open_socket

    def connect(self):
        self.sock = self.open_socket(socket.AF_INET, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect((self.host, self.port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class Client:
    """`open_socket(family, type)` makes the socket, so that it can belong to another network namespace."""

    def __init__(self, address, timeout=TIMEOUT_SECONDS, open_socket=socket.socket):
        self.address, self.timeout, self.open_socket = address, timeout, open_socket
        self.connection = None

    def call(self, method, params=None, timeout=None):
        """The result of one call. Raises RPCError or NoAnswer."""
        number = next(_ids)
        request = {"jsonrpc": "2.0", "id": number, "method": method}
        if params is not None:
            request["params"] = params
        response = self.post(json.dumps(request).encode(), timeout=timeout)
        try:
            reply = json.loads(response.body)
            if "error" in reply:
                raise RPCError(reply["error"])
            result, echoed = reply["result"], reply["id"]
        except (ValueError, KeyError, TypeError):
            raise NoAnswer("status %d and no reply: %r" % (response.status, response.body[:200]), True) from None
        if echoed != number:
            raise NoAnswer("the reply to another call: id %r instead of %d" % (echoed, number), True)
        return result

    def post(self, body, headers=None, timeout=None):
        """Sends a body to /rpc as it is; the answer as it comes."""
        return self._exchange("POST", "/rpc", body, {"Content-Type": "application/json", **(headers or {})}, timeout)

    def get(self, path, timeout=None):
        return self._exchange("GET", path, None, {}, timeout)

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def _exchange(self, verb, path, body, headers, timeout):
        deadline = time.monotonic() + (timeout or self.timeout)
        connection = self._connected(deadline)
        try:
            connection.sock.settimeout(_left(deadline))
            connection.request(verb, path, body, headers)
            response = connection.getresponse()
            content = _read(response, connection, deadline)
        except (OSError, http.client.HTTPException) as failure:
            self.close()
            raise NoAnswer("%s %s:%d: %s" % (verb, *self.address, _told(failure)), True) from None
        if response.will_close:
            self.close()
        return Response(response.status, {name.lower(): value for name, value in response.getheaders()}, content)

    def _connected(self, deadline):
        """The open connection, or a new one when the node closed it while it was idle: nothing has been sent then."""
        if self.connection is not None and select.select([self.connection.sock], [], [], 0)[0]:
            self.close()
        if self.connection is None:
            connection = _Connection(self.address, self.open_socket)
            connection.timeout = _left(deadline)
            try:
                connection.connect()
            except OSError as failure:
                connection.close()
                raise NoAnswer("connecting to %s:%d: %s" % (*self.address, _told(failure)), False) from None
            self.connection = connection
        return self.connection


def _left(deadline):
    left = deadline - time.monotonic()
    if left <= 0:
        raise socket.timeout("timed out")
    return left


def _read(response, connection, deadline):
    """The whole body; the deadline holds however slowly it comes."""
    parts = []
    while True:
        if connection.sock is not None:  # None once the last byte of a connection that closes is buffered
            connection.sock.settimeout(_left(deadline))
        part = response.read1(1 << 20)
        if not part:
            response.close()  # or the connection would refuse its next request
            return b"".join(parts)
        parts.append(part)


def _told(failure):
    return str(failure) or type(failure).__name__
