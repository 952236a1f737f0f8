#!/usr/bin/env python3
"""fake_death.py HOST PORT PEER_HOST PEER_PORT: declares the node at PEER_HOST PEER_PORT dead, by the word of the node at
HOST PORT.

The cluster goes on without it, whether or not it still runs. One that does is told to go, and stays out until
utils/connect.py or a restart brings it back.
Exit status: 0 declared dead, 1 no member has that address, 2 error with one line on stderr.
"""

import spyderrpc


def main():
    parser = spyderrpc.parser_with_peer(
        "Declares a member of a node's cluster dead. Exit status 0 declared dead, 1 no such member, 2 error.")
    options = parser.parse_args()

    params = {"address": spyderrpc.peer_address(options)}
    result = spyderrpc.members(spyderrpc.call(options, "cluster.remove", params)) or {}
    if result.get("removed") == "true":
        print("declared dead")
        return 0
    if result.get("removed") != "false":
        raise spyderrpc.Failure("the reply does not say whether the member was declared dead")
    print("no such member")
    return 1


if __name__ == "__main__":
    spyderrpc.run(main)
