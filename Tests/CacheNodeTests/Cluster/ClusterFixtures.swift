// What the cluster's tests share: storages without a journal, a node without sockets, compressed values, texts.

import CacheStore
import Compression
import Configuration
import Membership
import NIOCore
import NIOPosix
import TestSupport

@testable import CacheNode

/// A storage as a node alone or in a cluster has it, without a journal. Monotonic and Unix time are the same.
func makeStorage(
    shards count: Int = 1, maxKeys: Int = 0, limitBytes: Int = 64 << 20, isClustered: Bool = true
) -> Storage {
    let hasher = KeyHasher(seed: (1, 2))
    let shards = (0..<count).map { _ in
        let settings = StoreSettings(maxKeys: maxKeys, limitBytes: limitBytes / count, hasher: hasher)
        return Shard(ShardState(store: Store(settings: settings), limitBytes: limitBytes / count))
    }
    let storage = Storage(
        shards: shards, hasher: hasher, clock: VersionClock(),
        budget: MemoryBudget(limitBytes: limitBytes, largestBodyBytes: 1 << 20), journal: nil, wallOffset: 0)
    if isClustered { storage.becomeClustered() }
    return storage
}

extension Storage {
    /// Lends `key` with its hash.
    func with<Result, Failure: Error>(
        _ key: String, _ body: (CacheKey) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let key = Array(key.utf8)
        return try key.span.withUnsafeBytes { bytes throws(Failure) in
            try body(CacheKey(bytes: bytes, hash: hash(bytes)))
        }
    }

    /// A change of another node with a plain value.
    func applyPut(
        _ key: String, _ value: String, version: UInt64, wallExpiry: Int64 = .max, now: Int64 = 0
    ) throws(MethodFailure) {
        let value = Array(value.utf8)
        try with(key) { key throws(MethodFailure) in
            try value.span.withUnsafeBytes { value throws(MethodFailure) in
                _ = try apply(
                    ReplicatedChange(kind: .put(value, .plain), key: key, version: version, wallExpiry: wallExpiry),
                    now: now)
            }
        }
    }

    func applyRemove(_ key: String, version: UInt64, now: Int64 = 0) throws(MethodFailure) {
        try with(key) { key throws(MethodFailure) in
            _ = try apply(ReplicatedChange(kind: .remove, key: key, version: version), now: now)
        }
    }

    func applyTouch(_ key: String, version: UInt64, wallExpiry: Int64, now: Int64 = 0) throws(MethodFailure) {
        try with(key) { key throws(MethodFailure) in
            _ = try apply(
                ReplicatedChange(kind: .touch, key: key, version: version, wallExpiry: wallExpiry), now: now)
        }
    }

    func answer(offer key: String, version: UInt64, from holder: HolderStanding, now: Int64 = 0) -> OfferAnswer {
        with(key) { answer(offer: $0, version: version, from: holder, now: now) }
    }

    /// Removes what a flush covers, to the end; returns how many.
    @discardableResult func flush(upTo version: UInt64) throws(MethodFailure) -> Int {
        _ = try beginFlush(upTo: version)
        var walk = FlushWalk(version: version)
        while flushStep(&walk, now: 0) {}
        return walk.removed
    }

    /// Value, version and expiry of a living entry, as `value@version until expiry`; nil when there is none.
    func entry(_ key: String, now: Int64 = 0) -> String? {
        with(key) { key in
            shard(key).state.withLock { state in
                state.store.peek(key.bytes, hash: key.hash, now: now).map { entry in
                    let expiry = entry.expiresAt == .max ? "" : " until \(entry.expiresAt)"
                    return "\(String(decoding: entry.value, as: UTF8.self))@\(entry.version)\(expiry)"
                }
            }
        }
    }

    /// The version of the key's removal, nil when it is not known as removed.
    func tombstone(_ key: String) -> UInt64? {
        with(key) { key in shard(key).state.withLock { $0.tombstones.version(key.bytes) } }
    }
}

/// A text and its deflate blocks.
struct CompressedSample {
    let text: [UInt8]
    let blocks: [UInt8]
    let crc: UInt32

    init(_ text: [UInt8]) throws {
        self.text = text
        var deflater = try Deflater(level: 6)
        var blocks: [UInt8] = []
        _ = text.withUnsafeBytes { deflater.deflateBlocks($0, into: &blocks, maxOutput: .max) }
        self.blocks = blocks
        crc = text.withUnsafeBytes { crc32($0) }
    }
}

extension ReplyBuffer {
    /// Nothing in it yet; as between nodes unless it is for a client without gzip.
    static func empty(acceptsGzip: Bool = true) -> ReplyBuffer {
        ReplyBuffer(bytes: ByteBuffer(), acceptsGzip: acceptsGzip)
    }

    mutating func append(text: [UInt8]) { text.withUnsafeBytes { append(bytes: $0) } }
    mutating func append(text: String) { append(text: Array(text.utf8)) }

    mutating func append(_ sample: CompressedSample) {
        sample.blocks.withUnsafeBytes {
            append(blocks: $0, originalBytes: UInt32(sample.text.count), crc32: sample.crc)
        }
    }

    /// The JSON text of a reply that holds no blocks.
    var plainText: [UInt8] {
        precondition(splices.isEmpty, "blocks are no text")
        return bytes.getBytes(at: Self.headRoomBytes, length: bytes.writerIndex - Self.headRoomBytes) ?? []
    }

    /// What the node at the other end gets; nil when it can't be read.
    consuming func sent() -> PeerText? {
        let (body, isHoled) = finishForPeer()
        return isHoled ? PeerText(holed: body) : PeerText(plain: body)
    }
}

extension PeerText {
    /// The text as a whole, with `null` in its holes.
    var bytes: [UInt8] { Array(text.readableBytesView) }

    /// The text as a whole with every value inflated; nil when one is damaged.
    func inflated(with inflater: inout Inflater) -> [UInt8]? {
        var reply = ReplyBuffer.empty(acceptsGzip: false)
        guard reply.append(wholeSlice, of: self, with: &inflater) else { return nil }
        return reply.plainText
    }
}

/// A member with a usable address; `port` tells it from others.
func member(_ id: String, port: Int = 8001, incarnation: UInt64 = 1) -> MemberIdentity {
    MemberIdentity(id: MemberID(id), address: "127.0.0.1:\(port)", incarnation: incarnation)
}

/// A node's shared state with nothing started: no sockets, no membership.
func makeNode(_ change: (inout NodeConfiguration) -> Void = { _ in }) -> NodeCore {
    var configuration = NodeConfiguration()
    configuration.local.nodeID = "me"
    change(&configuration)
    let workers = WorkerPool(threads: 1)
    let node = NodeCore(
        configuration: configuration, storage: makeStorage(),
        budget: MemoryBudget(limitBytes: 64 << 20, largestBodyBytes: 1 << 20),
        metrics: NodeMetrics(methodCount: MethodTable.forPeers.count), log: .discarding, workers: workers,
        cluster: Cluster(configuration, .discarding))
    workers.attach(node)
    return node
}
