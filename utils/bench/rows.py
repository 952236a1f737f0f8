"""The rows of the comparison: which servers, which load, which ratio, which target. One function a row."""

import gzip
import os
import signal
import socket
import statistics
import time

from measuring import Comparison, Contestant, Figure, cost, describe, ratio, speed
from servers import memory_kib

ROWS = {}

# 16-byte keys and 100-byte values throughout, unless a row says otherwise.
USUAL = ["--connections", "32", "--keys", "10000", "--value-size", "100"]
WRITES = USUAL + ["--read-ratio", "0"]
MILLION = 1_000_000


def row(name, title):
    def register(function):
        function.title = title
        ROWS[name] = function
        return function

    return register


def compare(results, load, name, contestants, targets, value=cost):
    """Measures `contestants` and adds a comparison for each of `targets`: (ours, theirs, target, at most?)."""
    samples = load.interleaved(contestants)
    results.raw[name] = samples
    for contestant in contestants:
        results.figures.append(Figure(name, contestant.name, describe(samples[contestant.name])))
    for ours, theirs, target, at_most in targets:
        results.comparisons.append(Comparison(
            name, ours, theirs, ratio(samples[ours], samples[theirs], value), target, at_most))


@row("get", "cache.get of a 100 B value, 32 connections, no pipelining")
def get(bench, load, results):
    node, nginx, redis, webdis = bench.node(), bench.nginx(), bench.redis(), bench.webdis()
    compare(results, load, "get", [
        Contestant("cache.get", node, USUAL, USUAL),
        Contestant("nginx `return 200`", nginx, ["--protocol", "http-get", "--connections", "32"]),
        Contestant("Redis GET", redis, USUAL + ["--protocol", "redis"], USUAL + ["--protocol", "redis"]),
        Contestant("Webdis + Redis", webdis, USUAL + ["--protocol", "webdis"], USUAL + ["--protocol", "webdis"]),
    ], [
        ("cache.get", "nginx `return 200`", 1.20, True),
        ("cache.get", "Redis GET", 1.35, True),
        ("cache.get", "Webdis + Redis", 0.52, True),
    ])


@row("put", "cache.put of a 100 B value, journal off and interval")
def put(bench, load, results):
    compare(results, load, "put", [
        Contestant("cache.put, journal off", bench.node(), WRITES),
        Contestant("Redis SET, AOF off", bench.redis(), WRITES + ["--protocol", "redis"]),
        Contestant("cache.put, journal interval", bench.node(
            {"journal.enabled": "True", "journal.fsync": "interval"}), WRITES),
        Contestant("Redis SET, AOF everysec", bench.redis("everysec"), WRITES + ["--protocol", "redis"]),
    ], [
        ("cache.put, journal off", "Redis SET, AOF off", 1.40, True),
        ("cache.put, journal interval", "Redis SET, AOF everysec", 1.60, True),
    ])


@row("fsync", "fsync = always, 64 connections: writes a second")
def fsync(bench, load, results):
    writes = ["--connections", "64", "--keys", "10000", "--value-size", "100", "--read-ratio", "0"]
    compare(results, load, "fsync", [
        Contestant("cache.put, fsync always", bench.node(
            {"journal.enabled": "True", "journal.fsync": "always"}), writes),
        Contestant("Redis SET, appendfsync always", bench.redis("always"), writes + ["--protocol", "redis"]),
    ], [("cache.put, fsync always", "Redis SET, appendfsync always", 1.0, False)], value=speed)


@row("getmany", "cache.getMany of 100 keys, and a batch of 100 cache.get")
def getmany(bench, load, results):
    node, memcached = bench.node(), bench.memcached()
    compare(results, load, "getmany", [
        Contestant("cache.getMany, 100 keys", node, USUAL + ["--many", "100"], USUAL),
        Contestant("memcached get, 100 keys", memcached, USUAL + ["--protocol", "memcached", "--many", "100"],
                   USUAL + ["--protocol", "memcached"]),
        Contestant("batch of 100 cache.get", node, USUAL + ["--batch", "100"]),
    ], [
        ("cache.getMany, 100 keys", "memcached get, 100 keys", 1.2, True),
        ("batch of 100 cache.get", "cache.getMany, 100 keys", 2.0, True),
    ])


@row("gzip", "get of a 200 KiB JSON value by a client that accepts gzip")
def gzip_row(bench, load, results):
    size = 200 * 1024
    value = ["--connections", "32", "--keys", "100", "--value-size", size, "--value-kind", "records"]
    node = bench.node()
    load.fill(node, value)
    text = node.call_text("cache.get", {"key": "key:000000000000", "fields": ["value"]})
    start = text.index('"value":') + len('"value":')
    body = text[start:start + size].encode()
    files = {"value.json": body, "value.json.gz": gzip.compress(body, 6)}
    path = ["--protocol", "http-get", "--path", "/value.json", "--connections", "32", "--gzip"]
    compare(results, load, "gzip", [
        Contestant("cache.get 200 KiB, gzip", node, value + ["--gzip"]),
        Contestant("nginx `gzip_static`", bench.nginx("gzip_static on;", files), path),
        Contestant("nginx `gzip on`", bench.nginx("gzip on; gzip_types application/json;", files), path),
    ], [
        ("cache.get 200 KiB, gzip", "nginx `gzip_static`", 1.2, True),
        ("nginx `gzip on`", "cache.get 200 KiB, gzip", 20, False),
    ])


@row("memory", "resident memory an entry: 10^6 entries, 16 B keys, 100 B values")
def memory(bench, load, results):
    million = ["--keys", MILLION, "--value-size", "100"]
    bytes_an_entry = {}
    for name, server, arguments in [
            ("spydercache", bench.node(), million),
            ("memcached", bench.memcached(), million + ["--protocol", "memcached"]),
            ("redis", bench.redis(), million + ["--protocol", "redis"])]:
        before = sum(memory_kib(pid) for pid in server.pids)
        load.fill(server, arguments)
        bytes_an_entry[name] = (sum(memory_kib(pid) for pid in server.pids) - before) * 1024 / MILLION
        results.figures.append(Figure("memory", name, f"{bytes_an_entry[name]:.0f} B an entry"))
    results.raw["memory"] = bytes_an_entry
    results.comparisons.append(Comparison(
        "memory", "memory an entry", "memcached", bytes_an_entry["spydercache"] / bytes_an_entry["memcached"], 0.80))


@row("recovery", "recovery of 10^6 such entries, and memory during it")
def recovery(bench, load, results):
    million = ["--keys", MILLION, "--value-size", "100"]
    settings = {"journal.enabled": "True", "local.reconstruct": "True"}
    node, redis = bench.node(settings), bench.redis("everysec")
    load.fill(node, million)
    load.fill(redis, million + ["--protocol", "redis"])
    node.stop()
    redis.stop(signal.SIGTERM)
    ours, theirs, peaks = [], [], []
    for _ in range(load.rounds):
        again = bench.node(settings, directory=node.directory, waits=False)
        ours.append(again.wait_until_ready())
        items = again.call("node.stats")["currItems"]
        if int(items) != MILLION:
            raise AssertionError(f"{items} entries came back instead of {MILLION}")
        peak = memory_kib(again.process.pid, "VmHWM")
        time.sleep(1)
        peaks.append(peak / memory_kib(again.process.pid))
        again.stop()
        again = bench.redis("everysec", directory=redis.directory, waits=False)
        theirs.append(again.wait_until(lambda: "DB loaded from append only file" in again.log_text()))
        again.stop()
    results.raw["recovery"] = {"spydercache": ours, "redis": theirs, "peaks": peaks}
    for name, times in (("spydercache", ours), ("redis AOF", theirs)):
        results.figures.append(Figure("recovery", name, f"{statistics.median(times):.2f} s from exec to ready"))
    results.comparisons += [
        Comparison("recovery", "recovery of 10^6 entries", "Redis AOF",
                   statistics.median(a / b for a, b in zip(ours, theirs)), 0.7),
        Comparison("recovery", "memory during recovery", "after it", statistics.median(peaks), 1.3),
    ]


@row("idle", "an idle connection's memory, 5,000 of them")
def idle(bench, load, results):
    count, node = 5000, bench.node()
    before = memory_kib(node.process.pid)
    connections = [socket.create_connection(("127.0.0.1", node.port)) for _ in range(count)]
    request = (b"POST /rpc HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 55\r\n\r\n"
               b'{"jsonrpc":"2.0","id":1,"method":"node.health","p":1}  ')
    for connection in connections:  # idle, but used: buffers that stay would show
        connection.sendall(request)
        connection.recv(4096)
    time.sleep(1)
    kib = (memory_kib(node.process.pid) - before) / count
    for connection in connections:
        connection.close()
    results.raw["idle"] = kib
    results.figures.append(Figure("idle", "spydercache", f"{kib:.1f} KiB a connection"))
    results.comparisons.append(Comparison("idle", "idle connection", "limit", kib, 8, unit="KiB"))


@row("start", "start to ready of an empty node, and its memory then")
def start(bench, load, results):
    times, sizes = [], []
    for _ in range(load.rounds):
        node = bench.node({"journal.enabled": "True"}, waits=False)
        times.append(1000 * node.wait_until_ready())
        sizes.append(memory_kib(node.process.pid) / 1024)
        node.stop()
    results.raw["start"] = {"milliseconds": times, "mebibytes": sizes}
    results.comparisons += [
        Comparison("start", "start to ready", "limit", statistics.median(times), 50, unit="ms"),
        Comparison("start", "resident when ready", "limit", statistics.median(sizes), 20, unit="MiB"),
    ]


@row("tail", "p99 at half of the peak while 10^6 entries expire, segments are sealed and a snapshot is written")
def tail(bench, load, results):
    node = bench.node({"journal.enabled": "True", "journal.segment_size": "4MiB"})
    load.fill(node, USUAL)
    mixed = USUAL + ["--read-ratio", "0.9"]
    peak = speed(load.run(node, mixed + ["--duration", load.seconds]))
    half = mixed + ["--rate", int(peak / 2), "--duration", max(3 * load.seconds, 3)]
    quiet = [load.run(node, half) for _ in range(load.rounds)]
    busy, upkeep = [], {"compressedSegments": [], "compactions": []}
    for _ in range(load.rounds):
        before = node.call("node.stats")
        # The entries live long enough to be written, and end while the load runs; the hot keys are put back without end.
        load.fill(node, ["--keys", MILLION, "--value-size", "100", "--ttl-ms", "9000"])
        load.fill(node, USUAL)
        filled = node.call("node.stats")
        busy.append(load.run(node, half[:-1] + ["13"]))
        after = node.call("node.stats")
        if int(after["expired"]) - int(before["expired"]) < MILLION // 2:
            raise AssertionError("the entries did not expire while the load ran")
        for counter in upkeep:
            upkeep[counter].append(int(after["journal"][counter]) - int(filled["journal"][counter]))
    # Upkeep takes what the load leaves of the core, so that one round may see a snapshot and another one the segments.
    if not all(map(sum, upkeep.values())) or not all(map(sum, zip(*upkeep.values()))):
        raise AssertionError(f"the load met too little upkeep of the journal: {upkeep}")
    results.raw["tail"] = {"peak": peak, "quiet": quiet, "busy": busy, "upkeep": upkeep}
    for name, samples in (("quiet", quiet), ("busy", busy)):
        results.figures.append(Figure("tail", name, describe(samples)))
    p99 = {name: statistics.median(sample["latencyUs"]["p99"] for sample in samples)
           for name, samples in (("quiet", quiet), ("busy", busy))}
    results.comparisons.append(Comparison("tail", "p99 while busy", "quiet p99", p99["busy"] / p99["quiet"], 3))


@row("threads", "CPU a request with two threads against one, 64 connections")
def threads(bench, load, results):
    # On one core, as every row, which shows what a second loop costs; and on all cores, where on a machine with two the
    # second loop shares its core with the load: its wake-ups and the smaller batches are then part of the figure.
    spread = ["--connections", "64", "--keys", "10000", "--value-size", "100"]
    contestants, targets = [], []
    for keys in ("uniform", "one-hot"):
        load_of = spread + ["--distribution", keys]
        for place, cores, limit in (("one core", bench.server_cores, 1.15), ("all cores", bench.all_cores, None)):
            pairs = [
                ("cache.get", [], limit, lambda n, cores=cores: bench.node(threads=n, cores=cores)),
                ("Redis GET", ["--protocol", "redis"], None,
                 lambda n, cores=cores: bench.redis(io_threads=n, cores=cores)),
            ]
            for name, protocol, most, begin in pairs:
                for count in (1, 2):
                    contestants.append(Contestant(
                        f"{name}, {keys}, {place}, {count} thread{'s' * (count - 1)}", begin(count), load_of + protocol,
                        spread + protocol))
                targets.append((f"{name}, {keys}, {place}, 2 threads", f"{name}, {keys}, {place}, 1 thread", most, True))
    compare(results, load, "threads", contestants, targets)
