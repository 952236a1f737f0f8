#!/usr/bin/env python3
"""Replays a recorded trace against a running node and compares its hits with a naive LRU's.

    replay_trace.py HOST PORT TRACE.u32.gz CACHE_SIZE [LIMIT]

TRACE is gzip of little-endian unsigned 32-bit integers, one key number a request. The node has to be started fresh with
local.cache_size = CACHE_SIZE, since the comparison begins with an empty cache. Every request is a get and, on a miss, a
put: sent as the pair "get, put if absent" in batches on one connection, the put does nothing after a hit, and the order
of uses, which is what LRU is about, stays the trace's. Hits and misses are counted from the node's answers alone;
evictions come from its counters. Prints one JSON object; exits 0 when the hits are equal, 1 when not, 2 on an error.
"""

import gzip
import http.client
import json
import sys
import time
from array import array
from collections import OrderedDict

PAIRS_A_BATCH = 250  # two calls each: half of the default limits.max_batch


def naive_lru_hits(keys, capacity):
    """Hits of the textbook LRU: an ordered map, the oldest leaves."""
    cache, hits = OrderedDict(), 0
    for key in keys:
        if key in cache:
            hits += 1
            cache.move_to_end(key)
        else:
            cache[key] = None
            if len(cache) > capacity:
                cache.popitem(last=False)
    return hits


class Node:
    def __init__(self, host, port):
        self.connection = http.client.HTTPConnection(host, port, timeout=60)

    def post(self, body):
        self.connection.request("POST", "/rpc", body, {"Content-Type": "application/json"})
        response = self.connection.getresponse()
        text = response.read()
        if response.status != 200:
            raise RuntimeError(f"HTTP {response.status}: {text[:200]!r}")
        return json.loads(text)

    def stats(self):
        reply = self.post('{"jsonrpc":"2.0","id":1,"method":"node.stats"}')
        if "error" in reply:
            raise RuntimeError(f"node.stats: {reply['error']}")
        return reply["result"]


def replay(node, keys):
    """Hits and misses of all requests, from the node's own answers."""
    hits = misses = 0
    for start in range(0, len(keys), PAIRS_A_BATCH):
        part = keys[start : start + PAIRS_A_BATCH]
        calls = ",".join(
            f'{{"jsonrpc":"2.0","id":{2 * i},"method":"cache.get","params":["k{key}",["cas"]]}},'
            f'{{"jsonrpc":"2.0","id":{2 * i + 1},"method":"cache.put","params":{{"key":"k{key}","value":{key},"mode":"add"}}}}'
            for i, key in enumerate(part)
        )
        replies = node.post("[" + calls + "]")
        if not isinstance(replies, list) or len(replies) != 2 * len(part):
            raise RuntimeError(f"unexpected reply to a batch: {str(replies)[:300]}")
        for got, put in zip(replies[::2], replies[1::2]):
            found, stored = got["result"]["found"], put["result"]["stored"]
            if found == stored:
                raise RuntimeError(f"get and put contradict each other: {got} {put}")
            hits += found
            misses += not found
    return hits, misses


def main(arguments):
    if len(arguments) not in (4, 5):
        print(__doc__.strip().splitlines()[2].strip(), file=sys.stderr)
        return 64
    host, port, path, capacity = arguments[0], int(arguments[1]), arguments[2], int(arguments[3])
    keys = array("I")
    with gzip.open(path) as file:
        keys.frombytes(file.read(4 * int(arguments[4])) if len(arguments) == 5 else file.read())
    if sys.byteorder == "big":
        keys.byteswap()
    node = Node(host, port)
    before = node.stats()
    if before["currItems"] != 0:
        print("the node is not empty: start it fresh, or flush it", file=sys.stderr)
        return 2
    began = time.monotonic()
    hits, misses = replay(node, keys)
    seconds = time.monotonic() - began
    after = node.stats()
    expected = naive_lru_hits(keys, capacity)
    report = {
        "requests": len(keys),
        "hits": hits,
        "misses": misses,
        "evictions": after["evictions"] - before["evictions"],
        "hitRatio": round(hits / max(len(keys), 1), 6),
        "naiveLRUHits": expected,
        "equal": hits == expected,
        "seconds": round(seconds, 3),
    }
    print(json.dumps(report))
    return 0 if report["equal"] else 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (OSError, RuntimeError, ValueError, KeyError, http.client.HTTPException) as problem:
        print(f"replay_trace.py: {problem}", file=sys.stderr)
        sys.exit(2)
