#!/usr/bin/env python3
"""put.py KEY VALUE HOST PORT: stores VALUE under KEY, as a JSON string or, with --json, as the JSON value it is.

Exit status: 0 stored, 1 not stored, 2 error with one line on stderr. A KEY or VALUE that starts with a dash goes
after --, as in: put.py --json -- KEY -5 HOST PORT
"""

import argparse
import json
import sys

import spyderrpc


def main():
    parser = spyderrpc.parser(
        "Stores a value under a key. Exit status 0 stored, 1 not stored, 2 error.",
        ("KEY", "a non-empty text"),
        ("VALUE", "the value; - reads it from stdin, to the last byte"))
    parser.add_argument("--json", action="store_true", help="VALUE is JSON and is sent as it is")
    parser.add_argument("--ttl-ms", metavar="N", type=_milliseconds, help="forget the value after N milliseconds")
    options = parser.parse_args()

    key = spyderrpc.utf8_argument(options.key, "KEY")
    value = _stdin() if options.value == "-" else spyderrpc.utf8_argument(options.value, "VALUE")
    text = spyderrpc.valid_json(value, "VALUE") if options.json else json.dumps(value, ensure_ascii=False)
    params = {"key": json.dumps(key, ensure_ascii=False), "value": text}
    if options.ttl_ms is not None:
        params["ttlMs"] = str(options.ttl_ms)

    result = spyderrpc.members(spyderrpc.call(options, "cache.put", params)) or {}
    if result.get("stored") == "true":
        print("stored")
        return 0
    if result.get("stored") != "false":
        raise spyderrpc.Failure("the reply does not say whether the value was stored")
    print("not stored: " + spyderrpc.string_or_json(result.get("reason", '"no reason given"')))
    return 1


def _stdin():
    try:
        return sys.stdin.buffer.read().decode("utf-8")
    except UnicodeError:
        raise spyderrpc.Failure("stdin is not valid UTF-8") from None


def _milliseconds(text):
    if not (text.isascii() and text.isdigit()) or len(text) > 18 or int(text) == 0:
        raise argparse.ArgumentTypeError("'%s' is not a number of milliseconds" % text)
    return int(text)


if __name__ == "__main__":
    spyderrpc.run(main)
