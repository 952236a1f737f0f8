// One reading of everything the node counts, for node.stats and /metrics alike.

import CacheStore

#if canImport(Glibc)
    import Glibc
#endif

/// Numbers under memcached's names in camelCase where it has one.
struct StatsSnapshot {
    var counters: [(name: String, value: UInt64)] = []
    /// Bytes by purpose, and beside them the process's resident set.
    var memory: [(String, Int)] = []
    var compression: [(String, Int)] = []
    let journal: JournalStatus?
    /// What recovery at start found, in the journal's numbers.
    private(set) var recovery: [(String, Int)] = []

    init(_ node: NodeCore) {
        var store = StoreCounters()
        var use = MemoryUse.zero
        var items = 0
        var tombstones = 0
        var tombstoneBytes = 0
        for shard in node.storage.shards {
            shard.state.withLock { state in
                store.add(state.store.counters)
                use.add(state.store.memory)
                items += state.store.count
                tombstones += state.tombstones.count
                tombstoneBytes += state.tombstones.bytes
            }
        }
        let near = node.near.numbers
        let metrics = node.metrics
        let budget = node.budget
        journal = node.storage.journal?.status
        if let report = node.storage.recovery {
            recovery = [
                ("recoveredRecords", report.records), ("damagedPlaces", report.damageCount),
                ("droppedRecords", report.droppedRecords), ("droppedBytes", report.droppedBytes),
                ("droppedKeys", report.droppedKeys), ("tornBytes", report.tornBytes),
            ]
        }
        let now = NodeClock.monotonicMilliseconds()
        counters = [
            ("pid", UInt64(getpid())),
            ("uptime", UInt64(max(now - node.startedMilliseconds, 0) / 1000)),
            ("time", UInt64(clamping: NodeClock.wallMilliseconds() / 1000)),
            ("threads", UInt64(node.configuration.local.threads)),
            ("shards", UInt64(node.storage.shards.count)),
            ("currItems", UInt64(items)),
            ("totalItems", store.totalItems),
            ("bytes", UInt64(use.payloadBytes)),
            ("limitMaxbytes", UInt64(budget.limitBytes)),
            ("cmdGet", store.getHits + store.getMisses),
            ("cmdSet", store.totalItems + store.refused),
            ("getHits", store.getHits),
            ("getMisses", store.getMisses),
            ("deleteHits", store.removeHits),
            ("deleteMisses", store.removeMisses),
            ("touchHits", store.touchHits),
            ("touchMisses", store.touchMisses),
            ("evictions", store.evictions),
            ("expired", store.expired),
            ("refusedWrites", store.refused),
            ("currConnections", UInt64(clamping: budget.openConnections)),
            ("totalConnections", metrics.connectionsAccepted.load(ordering: .relaxed)),
            ("rejectedConnections", metrics.connectionsRefused.load(ordering: .relaxed)),
            ("timedOutConnections", metrics.connectionTimeouts.load(ordering: .relaxed)),
            ("requests", metrics.total(\.messages)),
            ("failedCalls", metrics.total(\.failures)),
            ("refusedRequests", metrics.total(\.httpErrors)),
            ("forwardedCalls", metrics.total(\.forwardedCalls)),
            ("forwardFailures", metrics.total(\.forwardFailures)),
            ("peerCalls", metrics.total(\.peerCalls)),
            ("replicatedRecords", metrics.total(\.replicatedRecords)),
            ("handoffRecords", node.cluster.handoffCounters.records),
            ("handoffBytes", node.cluster.handoffCounters.bytes),
            ("nearItems", UInt64(near.keys)),
            ("nearHits", near.hits),
            ("tombstones", UInt64(tombstones)),
            ("bytesRead", metrics.total(\.bytesRead)),
            ("bytesWritten", metrics.total(\.bytesWritten)),
        ]
        let journalBytes = journal?.pendingBytes ?? 0
        let connectionBytes = budget.openConnections * MemoryBudget.bytesPerConnection
        memory = [
            ("limitBytes", budget.limitBytes),
            ("usedBytes", use.footprintBytes + budget.bufferBytes + journalBytes + connectionBytes),
            ("entriesBytes", use.liveBytes),
            ("keysAndValuesBytes", use.payloadBytes),
            ("reclaimableBytes", use.arenaBytes + use.largeBytes - use.liveBytes),
            ("indexBytes", use.indexBytes),
            ("tablesBytes", use.tableBytes),
            ("buffersBytes", budget.bufferBytes),
            ("connectionsBytes", connectionBytes),
            ("journalBytes", journalBytes),
            ("nearCacheBytes", near.bytes),
            ("tombstonesBytes", tombstoneBytes),
            ("storeLimitBytes", node.storage.storeShareBytes * node.storage.shards.count),
            ("rssBytes", ProcessMemory.residentBytes()),
        ]
        compression = [
            ("originalBytes", Int(clamping: metrics.total(\.compressedFromBytes))),
            ("storedBytes", Int(clamping: metrics.total(\.compressedToBytes))),
            ("splicedReplies", Int(clamping: metrics.total(\.splicedReplies))),
        ]
    }
}

extension StoreCounters {
    mutating func add(_ other: StoreCounters) {
        getHits += other.getHits
        getMisses += other.getMisses
        totalItems += other.totalItems
        removeHits += other.removeHits
        removeMisses += other.removeMisses
        touchHits += other.touchHits
        touchMisses += other.touchMisses
        evictions += other.evictions
        expired += other.expired
        refused += other.refused
        cleanedBytes += other.cleanedBytes
    }
}

extension MemoryUse {
    mutating func add(_ other: MemoryUse) {
        arenaBytes += other.arenaBytes
        largeBytes += other.largeBytes
        indexBytes += other.indexBytes
        tableBytes += other.tableBytes
        liveBytes += other.liveBytes
        payloadBytes += other.payloadBytes
        deadBytes += other.deadBytes
    }
}

/// What the kernel says of this process.
enum ProcessMemory {
    /// The resident set in bytes, from /proc/self/statm; 0 where that can't be read.
    static func residentBytes() -> Int {
        let descriptor = open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return 0 }
        defer { close(descriptor) }
        let text = withUnsafeTemporaryAllocation(byteCount: 128, alignment: 1) { buffer in
            let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
            return String(decoding: buffer.prefix(max(count, 0)), as: UTF8.self)
        }
        let fields = text.split(separator: " ")
        guard fields.count > 1, let pages = Int(fields[1]) else { return 0 }
        return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
    }
}
