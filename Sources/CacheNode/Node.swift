// The composition root: opens the data directory, binds, recovers, serves, drains, closes. Order matters and is told
// here; every rule lives in the parts.

import CacheStore
import Compression
import Configuration
import HashRing
import Journal
import NIOCore
import NIOPosix

#if canImport(Glibc)
    import Glibc
#endif

/// Why a node could not start, in the terms of its exit status.
package enum NodeStartError: Error, Sendable {
    /// The port, or the data directory's lock, is taken: exit 69.
    case unavailable(String)
    /// A disk or file failed: exit 74.
    case inputOutput(String)
}

/// One running node.
package final class Node: Sendable {
    private let core: NodeCore
    private let loops: EventLoops
    private let server: HTTPServer
    private let workers: WorkerPool
    private let ticker: RepeatingTask
    private let startedMilliseconds: Int64

    /// The address that is listened on; the port is the real one when 0 was asked for.
    package let address: String

    /// Starts a node and returns when it is ready to serve. Blocks.
    package init(_ configuration: NodeConfiguration, log: NodeLog) throws(NodeStartError) {
        startedMilliseconds = NodeClock.monotonicMilliseconds()
        let settings = configuration.local
        let journalStart = try Self.openJournal(configuration, log)

        loops = EventLoops(threads: settings.threads)
        server = HTTPServer(loops: loops, nodeID: settings.nodeID)
        let bound: SocketAddress
        do {
            bound = try server.bind(host: settings.bind.text, port: settings.port)
        } catch {
            throw .unavailable("cannot listen on \(settings.bind):\(settings.port): \(Self.reason(error))")
        }

        let limits = RequestLimits(configuration.limits, memoryLimitBytes: settings.memoryLimitBytes)
        let budget = MemoryBudget(
            limitBytes: settings.memoryLimitBytes, largestBodyBytes: limits.maxBodyBytes,
            reservedBytes: NearCache.limitBytes(configuration))
        let shards = Self.makeShards(settings, budget)
        let wallOffset = NodeClock.wallMilliseconds() - NodeClock.monotonicMilliseconds()
        let clock = VersionClock(node: Array(settings.nodeID.utf8).withUnsafeBytes { RingHash.hash($0) })
        let relay = JournalRelay(log)
        let journal = try Self.recover(journalStart, configuration, shards, wallOffset, clock, relay, log)
        let storage = Storage(
            shards: shards.list, hasher: shards.hasher, clock: clock, budget: budget, journal: journal,
            wallOffset: wallOffset)
        storage.recoveryFinished(relay.recovery, hasAside: Self.hasAside(journalStart))
        workers = WorkerPool(threads: min(settings.threads, 4))
        let cluster = Cluster(configuration, log)
        core = NodeCore(
            configuration: configuration, storage: storage, budget: budget,
            metrics: NodeMetrics(methodCount: MethodTable.forPeers.count), log: log, workers: workers,
            cluster: cluster)
        workers.attach(core)
        relay.attach(loops, core)
        do {
            try loops.prepare(for: core, ConnectionTimeouts(configuration.limits))
        } catch {
            throw .unavailable("cannot prepare the event loops: \(error)")
        }
        // Slices of expiry a millisecond apart leave the core to the event loops in between.
        ticker = RepeatingTask(every: .milliseconds(50), soon: .milliseconds(1)) { [core] in
            let report = storage.tick(now: NodeClock.monotonicMilliseconds())
            core.refusals.memoryRefusals(report.refusedWrites, usedBytes: report.usedBytes, core)
            return report.isMoreDue
        }
        server.serve(core)
        core.becameReady()
        journal?.beginUpkeep()
        let port = bound.port ?? settings.port
        address = "\(settings.bind):\(port)"
        log.emit(
            .nodeListening,
            ["port": .int(port), "host": .string(settings.bind.text), "address": .string(address)])
        do {
            try cluster.start(core, address: Self.advertised(configuration, port: port))
        } catch {
            throw .unavailable("cannot prepare the cluster's event loop: \(error)")
        }
        log.emit(
            .nodeReady,
            [
                "durationMs": .int(Int(NodeClock.monotonicMilliseconds() - startedMilliseconds)),
                "keys": .int(storage.count),
            ])
    }

    /// Whether every event loop answers within `limitMilliseconds`: what a watchdog wants to know. A disk that hangs is
    /// not asked about, as a restart would not mend it.
    package func isAlive(limitMilliseconds: Int) -> Bool {
        loops.areAlive(limitMilliseconds: limitMilliseconds)
    }

    /// Stops: no new connections, requests in flight are answered within `drain_ms`, the journal is written and
    /// synchronised. Blocks; called once.
    package func stop(signal: String) {
        let limit = Int64(core.configuration.limits.drainMilliseconds)
        core.startedDraining()
        core.cluster.stop(limitMilliseconds: min(Int(limit), 500))
        core.log.emit(
            .nodeDraining,
            [
                "limitMs": .int(Int(limit)), "signal": .string(signal),
                "connections": .int(core.budget.openConnections),
            ])
        server.stopAccepting()
        loops.onEveryLoop { $0.drain() }
        let deadline = NodeClock.monotonicMilliseconds() + limit
        while core.budget.openConnections > 0 && NodeClock.monotonicMilliseconds() < deadline {
            usleep(5_000)
            loops.onEveryLoop { $0.drain() }
        }
        let cut = core.budget.openConnections
        loops.onEveryLoop { $0.closeAll() }
        ticker.cancel()
        core.storage.journal?.close()
        core.log.emit(
            .nodeStopped,
            [
                "uptimeMs": .int(Int(NodeClock.monotonicMilliseconds() - startedMilliseconds)),
                "connectionsCut": .int(cut),
            ])
    }

    /// Why a living cluster turned the node away, in which case the process is told to stop; nil else.
    package var refusal: String? { core.cluster.refusal }

    // MARK: Steps of the start

    /// Where other nodes reach this one.
    private static func advertised(_ configuration: NodeConfiguration, port: Int) -> String {
        if let advertise = configuration.local.advertise { return advertise.description }
        let host = configuration.local.bind
        let isWildcard = host.text == "0.0.0.0" || host.text == "::"
        return "\(isWildcard ? Host.loopback : host):\(port)"
    }

    /// What the system says, without the name of the function that failed.
    private static func reason(_ error: any Error) -> String {
        guard let error = error as? IOError else { return "\(error)" }
        return "\(String(cString: strerror(error.errnoCode))) (errno \(error.errnoCode))"
    }

    /// The shards and what they share.
    private struct Shards {
        var list: [Shard]
        var hasher: KeyHasher
    }

    private static func makeShards(_ settings: NodeConfiguration.Local, _ budget: MemoryBudget) -> Shards {
        var random = SystemRandomNumberGenerator()
        let hasher = KeyHasher(seed: (random.next(), random.next()))
        let count = ShardCount.of(
            maxKeys: settings.maxKeys, memoryLimitBytes: settings.memoryLimitBytes, threads: settings.threads)
        guard let policy = CacheStore.EvictionPolicyName(settings.eviction.rawValue) else {
            preconditionFailure("the configuration admits only policies of the store's table")
        }
        let limit = budget.storeLimitBytes / count
        let list = (0..<count).map { _ in
            Shard(
                ShardState(
                    store: Store(
                        settings: StoreSettings(
                            maxKeys: settings.maxKeys, limitBytes: limit, policy: policy, hasher: hasher)),
                    limitBytes: limit))
        }
        return Shards(list: list, hasher: hasher)
    }

    private static func openJournal(
        _ configuration: NodeConfiguration, _ log: NodeLog
    ) throws(NodeStartError) -> JournalDirectory? {
        guard configuration.journal.enabled else { return nil }
        do throws(JournalError) {
            let directory = try JournalDirectory(configuration.local.dataDirectory)
            if !configuration.local.reconstruct,
                let path = try directory.setAside(as: NodeClock.utcName())
            {
                log.emit(.journalAside, ["path": .string(path), "reason": "reconstruct is off"])
            }
            return directory
        } catch {
            throw NodeStartError(error)
        }
    }

    private static func hasAside(_ directory: JournalDirectory?) -> Bool {
        do {
            return try directory?.newestAside() != nil
        } catch {
            // Unreadable: assume the worst, which costs a record for each delete of a key that is not there.
            return true
        }
    }

    private static func recover(
        _ directory: JournalDirectory?, _ configuration: NodeConfiguration, _ shards: Shards, _ wallOffset: Int64,
        _ clock: VersionClock, _ relay: JournalRelay, _ log: NodeLog
    ) throws(NodeStartError) -> JournalService? {
        guard let directory else { return nil }
        let started = NodeClock.monotonicMilliseconds()
        let settings = JournalSettings(configuration)
        let codec = JournalCodec(configuration)
        do throws(JournalError) {
            var sink = StorageRecovery(
                shards: shards.list, hasher: shards.hasher, now: started, wallOffset: wallOffset)
            let recovered = try directory.recover(limits: settings.limits, codec: codec, into: &sink)
            clock.observe(recovered.report.maxVersion)
            relay.report(recovered, shards.list, NodeClock.monotonicMilliseconds() - started)
            var random = SystemRandomNumberGenerator()
            let source = StorageSnapshot(shards: shards.list)
            return try JournalService(
                directory: directory, recovered: recovered, newEpoch: random.next(), settings: settings, codec: codec,
                hooks: JournalHooks(
                    onAdvance: { _ in relay.advanced() }, onFailure: { _, _ in relay.advanced() },
                    onEvent: { relay.log($0) }, snapshotSource: { source.next(&$0, emit: $1) }))
        } catch {
            throw NodeStartError(error)
        }
    }
}

extension NodeStartError {
    init(_ error: JournalError) {
        switch error {
        case .locked: self = .unavailable(error.description)
        case .file, .readOnly, .closed, .abandoned: self = .inputOutput("data_dir: \(error.description)")
        }
    }
}

extension ConnectionTimeouts {
    init(_ limits: NodeConfiguration.Limits) {
        self.init(
            headerMilliseconds: Int64(limits.headerTimeoutMilliseconds),
            bodyMilliseconds: Int64(limits.bodyTimeoutMilliseconds),
            idleMilliseconds: Int64(limits.idleTimeoutMilliseconds))
    }
}
