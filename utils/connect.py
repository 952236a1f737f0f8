#!/usr/bin/env python3
"""connect.py HOST PORT PEER_HOST PEER_PORT: has the node at HOST PORT join the cluster of the node at PEER_HOST PEER_PORT.

The node begins to join and answers at once; utils/monitor.py shows how far it is.
Exit status: 0 the node has begun to join, 1 it has not, 2 error with one line on stderr.
"""

import spyderrpc


def main():
    parser = spyderrpc.parser_with_peer(
        "Has a node join the cluster of another. Exit status 0 it begins to join, 1 it does not, 2 error.")
    options = parser.parse_args()

    params = {"address": spyderrpc.peer_address(options)}
    result = spyderrpc.members(spyderrpc.call(options, "cluster.connect", params)) or {}
    if result.get("connected") == "true":
        print("joining")
        return 0
    if result.get("connected") != "false":
        raise spyderrpc.Failure("the reply does not say whether the node joins")
    print("not joining")
    return 1


if __name__ == "__main__":
    spyderrpc.run(main)
