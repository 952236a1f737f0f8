// What every part of a running node shares: settings in the form in which they are used, storage, counters, log. Made
// once by Node; everything in it is safe to use from any thread.

import Configuration
import JSONRPC
import Synchronization

/// What one request may ask for, in bytes and counts.
struct RequestLimits: Sendable {
    let maxKeyBytes: Int
    let maxValueBytes: Int
    /// Elements of a batch, keys of a many-call.
    let maxBatch: Int
    /// A request body, before and after inflating it: the largest value with its key and envelope.
    let maxBodyBytes: Int
    /// A body between nodes: a client's, with its frame, or an exchange of many calls.
    let maxPeerBodyBytes: Int
    /// JSON text of one reply.
    let maxReplyBytes: Int

    init(_ limits: NodeConfiguration.Limits, memoryLimitBytes: Int) {
        maxKeyBytes = limits.maxKeyBytes
        maxValueBytes = limits.maxValueBytes
        maxBatch = limits.maxBatch
        maxBodyBytes = limits.maxValueBytes + (1 << 20)
        // Sizes within a body between nodes are 32-bit numbers.
        maxReplyBytes = max(limits.maxValueBytes + (1 << 20), min(memoryLimitBytes / 8, 1 << 30))
        maxPeerBodyBytes = 2 * max(maxBodyBytes, maxReplyBytes) + (4 << 20)
    }
}

/// The node's shared state.
final class NodeCore: Sendable {
    let configuration: NodeConfiguration
    let settings: [RenderedSetting]
    let nodeID: String
    let limits: RequestLimits
    let compression: NodeConfiguration.Compression
    let storage: Storage
    let budget: MemoryBudget
    let executor: RPCExecutor
    let peerExecutor: RPCExecutor
    let cluster: Cluster
    let operations = RecentOperations()
    let doubts: ChangesInDoubt
    let handoffNumbers = HandoffNumbers()
    let near: NearCache
    let copyHolders = CopyHolders()
    let metrics: NodeMetrics
    let log: NodeLog
    let accessLog: AccessLog
    let workers: WorkerPool
    let refusals = Refusals()
    let startedMilliseconds = NodeClock.monotonicMilliseconds()

    private let ready = Atomic<Bool>(false)
    private let draining = Atomic<Bool>(false)

    init(
        configuration: NodeConfiguration, storage: Storage, budget: MemoryBudget, metrics: NodeMetrics, log: NodeLog,
        workers: WorkerPool, cluster: Cluster
    ) {
        self.cluster = cluster
        near = NearCache(configuration, hasher: storage.hasher)
        self.configuration = configuration
        let network = configuration.network
        doubts = ChangesInDoubt(
            isOn: network.minReplicas > 0 && network.replicas > 0 && network.replicaAcknowledgement == .all,
            // Ten times as long as it takes to notice: a network that flaps renews a node's right to act in between.
            missedMilliseconds: 10 * Int64(network.failureMilliseconds + 2 * network.heartbeatMilliseconds))
        settings = configuration.renderedSettings
        nodeID = configuration.local.nodeID
        limits = RequestLimits(configuration.limits, memoryLimitBytes: configuration.local.memoryLimitBytes)
        compression = configuration.compression
        self.storage = storage
        self.budget = budget
        executor = RPCExecutor(methods: MethodTable())
        peerExecutor = RPCExecutor(methods: MethodTable(MethodTable.forPeers))
        self.metrics = metrics
        self.log = log
        accessLog = AccessLog(configuration.log, log)
        self.workers = workers
    }

    /// Recovery is done, and the node serves its share of the cluster's keys.
    var isReady: Bool { hasRecovered && !isDraining && cluster.isServing }

    /// Recovery is done and requests are answered.
    var hasRecovered: Bool { ready.load(ordering: .acquiring) }

    /// The node is on its way to stop.
    var isDraining: Bool { draining.load(ordering: .relaxed) }

    /// Another node's clock: versions issued here are above all that it has seen.
    func observeClock(_ version: UInt64?) {
        if let version, storage.clock.isPlausible(version) { storage.clock.observe(version) }
    }

    func becameReady() { ready.store(true, ordering: .releasing) }

    func startedDraining() { draining.store(true, ordering: .releasing) }
}
