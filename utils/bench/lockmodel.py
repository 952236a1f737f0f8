"""How often a thread finds the lock of its shard held: a closed network of queues, solved by mean value analysis (Reiser,
Lavenberg: "Mean-Value Analysis of Closed Multichain Queuing Networks", JACM 1980).

Each of `threads` threads works for `between` nanoseconds, then holds the lock of one of `shards` shards, each as likely as the
others, for `hold` nanoseconds. Both times are taken to vary as exponential ones do. What it leaves out: that a cache line which
another core wrote last comes late (a short hold is then over before the other core could see it: two threads on two cores
found a lock held half as often as this says, or less), and that a waiting thread may be put to sleep and woken.
"""


def contention(threads, shards, hold, between):
    """(chance that a read finds its lock held, reads a second of all threads)."""
    queue = busy = rate = 0.0  # with one thread fewer, which is what an arriving one sees
    for count in range(1, threads + 1):
        found_busy = busy
        visit = hold * (1 + queue)
        rate = count / (between + visit)  # a nanosecond
        queue = rate / shards * visit
        busy = rate / shards * hold
    return found_busy, 1e9 * rate


def shard_count(threads, memory_bytes):
    """The rule of Sources/CacheNode/Storage/ShardCount.swift without a key limit."""
    count = 1
    while threads > 1 and count < 4 * threads and memory_bytes // (2 * count) >= 64 << 20:
        count *= 2
    return count
