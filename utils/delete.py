#!/usr/bin/env python3
"""delete.py KEY HOST PORT: forgets the value stored under KEY.

Exit status: 0 deleted, 1 not found, 2 error with one line on stderr.
"""

import json

import spyderrpc


def main():
    parser = spyderrpc.parser(
        "Deletes a key. Exit status 0 deleted, 1 not found, 2 error.",
        ("KEY", "a non-empty text"))
    options = parser.parse_args()

    key = json.dumps(spyderrpc.utf8_argument(options.key, "KEY"), ensure_ascii=False)
    result = spyderrpc.members(spyderrpc.call(options, "cache.delete", {"key": key})) or {}
    if result.get("deleted") == "true":
        print("deleted")
        return 0
    if result.get("deleted") != "false":
        raise spyderrpc.Failure("the reply does not say whether the key was deleted")
    print("not found")
    return 1


if __name__ == "__main__":
    spyderrpc.run(main)
