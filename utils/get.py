#!/usr/bin/env python3
"""get.py KEY HOST PORT: prints the value stored under KEY, a string raw, anything else as JSON exactly as stored.

Exit status: 0 found, 1 not found, 2 error with one line on stderr.
"""

import json

import spyderrpc


def main():
    parser = spyderrpc.parser(
        "Prints the value of a key. Exit status 0 found, 1 not found, 2 error.",
        ("KEY", "a non-empty text"))
    options = parser.parse_args()

    key = json.dumps(spyderrpc.utf8_argument(options.key, "KEY"), ensure_ascii=False)
    result = spyderrpc.members(spyderrpc.call(options, "cache.get", {"key": key})) or {}
    if result.get("found") == "false":
        return 1
    if "value" not in result:
        raise spyderrpc.Failure("the reply holds no value")
    spyderrpc.print_text(spyderrpc.string_or_json(result["value"]))
    return 0


if __name__ == "__main__":
    spyderrpc.run(main)
