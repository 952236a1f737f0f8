// How many shards the keys are divided into.

/// The rule for the number of shards.
enum ShardCount {
    /// A shard below this share of memory would make large values evict too much of their neighbourhood.
    private static let leastBytes = 64 << 20

    /// One shard where order must be exact: a key limit evicts exactly the least recently used key of the node. One where
    /// one thread works, as nobody would wait. Else four a thread, a power of two, as far as memory goes: two threads then
    /// meet in one of eight shards, for a lock held a fraction of a request's time.
    static func of(maxKeys: Int, memoryLimitBytes: Int, threads: Int) -> Int {
        guard maxKeys == 0, threads > 1 else { return 1 }
        var count = 1
        while count < threads * 4 && memoryLimitBytes / (count * 2) >= leastBytes { count *= 2 }
        return count
    }
}
