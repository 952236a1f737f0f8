"""What the demo of a cluster and its measurements share: ports, a client, who owns what, and when all nodes agree. Neither
what is shown nor what is measured: that is ../cluster-demo's and cluster's."""

import http.client
import json
import os
import random
import socket
import time

from servers import Bench, BenchError, Node

CALLS_A_BATCH = 500  # half of the default limits.max_batch


class RPCError(Exception):
    """An error that a node answered with."""

    def __init__(self, method, error):
        super().__init__(f"{method}: {error['code']} {error['message']} {json.dumps(error.get('data', {}))}")
        self.code = error["code"]


class Client:
    """One connection to a node, kept open and opened again when it was lost. For one thread."""

    # What a call can raise: an error of the node, a connection that fails, a reply that is none.
    ERRORS = (RPCError, OSError, http.client.HTTPException, ValueError, KeyError, TypeError)

    def __init__(self, port, timeout=5.0):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)

    def call(self, method, params=None):
        """The result of one call."""
        reply = self._post({"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}})
        return self._result(method, reply)

    def calls(self, method, list_of_params):
        """The results of many calls of one method, sent in batches."""
        results = []
        for start in range(0, len(list_of_params), CALLS_A_BATCH):
            part = list_of_params[start:start + CALLS_A_BATCH]
            batch = [{"jsonrpc": "2.0", "id": index, "method": method, "params": params}
                     for index, params in enumerate(part)]
            replies = {reply["id"]: reply for reply in self._post(batch)}
            results += [self._result(method, replies[index]) for index in range(len(part))]
        return results

    def close(self):
        self.connection.close()

    def _post(self, message):
        try:
            self.connection.request("POST", "/rpc", json.dumps(message), {"Content-Type": "application/json"})
            return json.loads(self.connection.getresponse().read())
        except BaseException:
            self.connection.close()  # the next call begins with a new connection
            raise

    @staticmethod
    def _result(method, reply):
        if "error" in reply:
            raise RPCError(method, reply["error"])
        return reply["result"]


def free_ports(count):
    """Ports that nobody listens on, below those that the system gives to outgoing connections: a node that connects to a
    dead peer's port again and again could otherwise be given just that port, and the peer could not come back."""
    ports, sockets = [], []
    try:
        for port in random.sample(range(20000, 32000), 2000):
            probe = socket.socket()
            sockets.append(probe)
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            ports.append(port)
            if len(ports) == count:
                return ports
    finally:
        for probe in sockets:
            probe.close()
    raise BenchError("no free ports between 20000 and 32000")


def unique_name(word):
    """A name for network.cluster: nodes of others that look for peers at ports that are now ours are turned away."""
    return f"{word}-{os.getpid()}-{random.getrandbits(32):08x}"


def view(status):
    """{id: role} of the members in a node's view; the nodes it knows beside them have the role none."""
    return {member["id"]: member["role"] for member in status["members"] if member["role"] != "none"}


def agree(statuses, ids):
    """Whether nodes that answered with these statuses are all ready in one view, with just these members serving."""
    wanted = {id: "serving" for id in ids}
    return (len({status["epoch"] for status in statuses}) == 1
            and all(status["ready"] and status["acting"] and view(status) == wanted for status in statuses))


def wait_for_one_view(ports, ids, seconds=30):
    """Waits until the nodes agree; returns their statuses."""
    clients, problem = [Client(port, timeout=2) for port in ports], "no answer"
    deadline = time.monotonic() + seconds
    try:
        while time.monotonic() < deadline:
            try:
                statuses = [client.call("cluster.status") for client in clients]
                if agree(statuses, ids):
                    return statuses
                problem = json.dumps(statuses)
            except Client.ERRORS as error:
                problem = str(error)
            time.sleep(0.02)
    finally:
        for client in clients:
            client.close()
    raise BenchError(f"the nodes had no common view after {seconds} s: {problem}")


def owners(client, keys):
    """{key: id of its owner}, as one node tells it."""
    return {key: result["owner"] for key, result in
            zip(keys, client.calls("cluster.owner", [{"key": key} for key in keys]))}


class ClusterBench(Bench):
    """Starts clusters of nodes beside single ones."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.cluster_name = unique_name("bench")

    def cluster(self, count):
        """`count` nodes that know each other, in one view when this returns."""
        ports = free_ports(count)
        nodes = [self.member(str(index + 1), port, ports) for index, port in enumerate(ports)]
        for node in nodes:
            node.wait_until_ready()
        wait_for_one_view(ports, [node.id for node in nodes])
        return nodes

    def member(self, id, port, ports):
        directory = self._directory("member")
        command = [self.binary, "serve"]
        for setting in (f"local.node_id={id}", f"local.node_port={port}", "local.threads=1", "local.memory_limit=2GiB",
                        f"local.data_dir={directory}/data", "journal.enabled=False", f"network.cluster={self.cluster_name}",
                        "network.peer=" + ",".join(f"127.0.0.1:{peer}" for peer in ports if peer != port)):
            command += ["--set", setting]
        node = Node(f"node {id}", command, port, directory, self.server_cores)
        node.id = id
        return self._add(node, waits=False)

    def log_tails(self):
        """(name, end of its log) of all servers that run, to see what went wrong."""
        return [(server.name, server.log_tail()) for server in self._servers]
