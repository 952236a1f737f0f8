#!/usr/bin/env python3
"""connect.py HOST PORT PEER_HOST PEER_PORT: connects the node at HOST PORT to the one at PEER_HOST PEER_PORT.

It joins that node's cluster, or where its own is the larger one, the other way round. It answers as soon as it has begun;
utils/monitor.py shows how far it is.
Exit status: 0 it has begun, 1 it has not, 2 error with one line on stderr.
"""

import spyderrpc


def main():
    parser = spyderrpc.parser_with_peer(
        "Connects a node to another, so that they are one cluster. Exit status 0 it has begun, 1 it has not, 2 error.")
    options = parser.parse_args()

    params = {"address": spyderrpc.peer_address(options)}
    result = spyderrpc.members(spyderrpc.call(options, "cluster.connect", params)) or {}
    if result.get("connected") == "true":
        print("connecting")
        return 0
    if result.get("connected") != "false":
        raise spyderrpc.Failure("the reply does not say whether the node connects")
    print("not connecting")
    return 1


if __name__ == "__main__":
    spyderrpc.run(main)
