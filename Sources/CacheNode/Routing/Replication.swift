// Changes on their way to the other holders of their keys. A write is acknowledged when all of them have it. Confined to the
// event loop of the message.
//
//     record ─▶ every holder but this node, by the table as of the write      one call a node for a whole message
//            ─▶ acknowledged by all                                           the write's answer stands
//            ─▶ a holder refuses connections, is gone, has no room            again in a moment, to the holders as of then
//            ─▶ time is over                                                  stands if `min_replicas` have it, else 1104
//
// As JSON, in peer.replicate's `records`: ["p","key","version",expiry,"operation",value] and likewise "i" (a counter's new
// value, "c" when it was created), "r" (removed) and "t" (touched) without a value. Expiries are Unix milliseconds or null.

import CacheStore
import HashRing
import JSONRPC
import NIOCore

/// A change and who has yet to hear of it.
final class ReplicationRecord {
    let text: ReplyBuffer
    let position: UInt64
    let version: UInt64
    /// Of a change made by this call, where answers wait for it.
    var ticket: ChangesInDoubt.Ticket?
    fileprivate(set) var acknowledged: [PeerTarget] = []
    /// Asked and not heard from yet.
    fileprivate var inFlight: [PeerTarget] = []
    /// To be sent again in a moment.
    fileprivate var isRetrying = false
    fileprivate var isSettled = false
    /// The slot of the call that made it.
    var slot = -1

    init(text: ReplyBuffer, position: UInt64, version: UInt64) {
        self.text = text
        self.position = position
        self.version = version
    }
}

/// What a record says.
enum ReplicatedKind {
    case put
    case counted(wasCreated: Bool)
    case removed
    case touched

    var name: StaticString {
        switch self {
        case .put: "p"
        case .counted(let wasCreated): wasCreated ? "c" : "i"
        case .removed: "r"
        case .touched: "t"
        }
    }
}

/// The records of one message.
final class Replication {
    /// Of one call; a larger record goes alone.
    private static let maxCallBytes = 256 * 1024

    private let pending: PendingMessage
    private let records: [ReplicationRecord]
    private let deadline: Int64
    /// The table of the last attempt.
    private var lastTable: RoutingTable
    private let started = NodeClock.monotonicMilliseconds()

    /// Each record has a claim on its slot.
    init(_ records: [ReplicationRecord], of pending: PendingMessage) {
        self.pending = pending
        self.records = records
        lastTable = pending.thread.routing
        deadline = Self.deadline(for: pending)
    }

    /// Until when a message that comes now waits for other holders.
    static func deadline(for pending: PendingMessage) -> Int64 {
        // A node that waits for this one's answer waits as long: it is to hear what became of the write.
        let patience = Int64(pending.node.configuration.network.forwardTimeoutMilliseconds)
        return NodeClock.monotonicMilliseconds() + (pending.isForPeer ? patience * 3 / 4 : patience)
    }

    func start() { send(records) }

    /// Sends records to the holders that have not acknowledged them.
    private func send(_ records: [ReplicationRecord]) {
        let thread = pending.thread
        let table = thread.routing
        lastTable = table
        var batches: [(target: PeerTarget, records: [ReplicationRecord], bytes: Int)] = []
        for record in records where !record.isSettled {
            let waiting = table.copies(at: record.position).filter { !record.acknowledged.contains($0) }
            guard !waiting.isEmpty else {
                finish(record, table)
                continue
            }
            for target in waiting where !record.inFlight.contains(target) {
                record.inFlight.append(target)
                // The last one of a target is the one that may have room.
                let bytes = record.text.textBytes
                if let place = batches.lastIndex(where: { $0.target == target }),
                    batches[place].bytes + bytes <= Self.maxCallBytes
                {
                    batches[place].records.append(record)
                    batches[place].bytes += bytes
                } else {
                    batches.append((target, [record], bytes))
                }
            }
        }
        for batch in batches {
            let call = PeerCall(text: ReplicationCodec.request(batch.records.map(\.text)), deadline: deadline) {
                self.received($0, batch.records, from: batch.target)
            }
            thread.counters.replicatedRecords.add(batch.records.count)
            thread.peers.send(call, to: batch.target, over: .data)
        }
    }

    private func received(
        _ result: Result<PeerReply, PeerFailure>, _ records: [ReplicationRecord], from target: PeerTarget
    ) {
        for record in records { record.inFlight.removeAll { $0 == target } }
        var unsettled = records.filter { !$0.isSettled }
        if case .success(let reply) = result, reply.isResult {
            let table = pending.thread.routing
            pending.thread.replicationTime.note(NodeClock.monotonicMilliseconds() - started)
            for record in unsettled {
                record.acknowledged.append(target)
                let waiting = table.copies(at: record.position).filter { !record.acknowledged.contains($0) }
                if waiting.isEmpty { finish(record, table) }
            }
            // Other holders are on their way, unless a view that came meanwhile wants copies that were not asked for.
            guard table !== lastTable else { return }
            unsettled = unsettled.filter { !$0.isSettled }
        }
        if !unsettled.isEmpty { retry(unsettled) }
    }

    private func retry(_ records: [ReplicationRecord]) {
        guard NodeClock.monotonicMilliseconds() + Forwarding.pauseMilliseconds < deadline else {
            for record in records { giveUp(record) }
            return
        }
        let resting = records.filter { !$0.isRetrying }
        for record in resting { record.isRetrying = true }
        pending.thread.loop.assumeIsolated().scheduleTask(in: .milliseconds(Forwarding.pauseMilliseconds)) {
            for record in resting { record.isRetrying = false }
            self.send(resting)
        }
    }

    /// Whether as many members have it as a change needs to be acknowledged.
    private func isEnough(_ record: ReplicationRecord, _ table: RoutingTable) -> Bool {
        guard table.view != nil else { return false }
        let living = record.acknowledged.count { table.others.contains($0) }
        return living >= table.neededReplicas(least: pending.node.configuration.network.minReplicas)
    }

    /// All holders of the table have it: which must be enough of them.
    private func finish(_ record: ReplicationRecord, _ table: RoutingTable) {
        guard isEnough(record, table) else { return retry([record]) }
        settle(record, .asWritten)
    }

    /// Not every holder has it. Handoff brings it to the others.
    private func giveUp(_ record: ReplicationRecord) {
        let node = pending.node
        node.cluster.missedReplica()
        if isEnough(record, pending.thread.routing) {
            settle(record, .asWritten)
        } else {
            settle(record, .failed(MethodFailure(.notEnoughReplicas, .reason("a replica did not answer in time"))))
        }
    }

    private func settle(_ record: ReplicationRecord, _ state: PendingMessage.Slot.State) {
        guard !record.isSettled else { return }
        record.isSettled = true
        var fate = ChangesInDoubt.Fate.held
        if case .failed = state { fate = .missed }
        giveBackTicket(of: record, fate)
        pending.settle(record.slot, state)
    }
}

extension Replication {
    /// Not before all holders have it, or its time is over: each of them may be the next owner, and answers at once.
    private func giveBackTicket(of record: ReplicationRecord, _ fate: ChangesInDoubt.Fate) {
        let doubts = pending.node.doubts
        if let ticket = record.ticket {
            record.ticket = nil
            doubts.ended(ticket, fate, version: record.version, now: NodeClock.monotonicMilliseconds())
        } else if fate == .held {
            doubts.spread(at: record.position, version: record.version)
        }
    }
}

extension PeerReply {
    /// Whether the result is `true`.
    var isTrue: Bool {
        value.kind == .object
            && text.text.withUnsafeReadableBytes { JSONMembers(value, in: $0).boolean("result") == true }
    }

    /// Whether it is a response with a result.
    var isResult: Bool {
        value.kind == .object && text.text.withUnsafeReadableBytes { JSONMembers(value, in: $0)["result"] != nil }
    }
}

/// How long it takes until another holder has a change: a moving average over the last dozen.
struct ReplicationTime {
    private var eighths: Int64 = 0

    var milliseconds: Int64 { eighths / 8 }

    mutating func note(_ milliseconds: Int64) { eighths += milliseconds - eighths / 8 }
}

/// Records of changes as JSON.
enum ReplicationCodec {
    static func request(_ records: [ReplyBuffer]) -> ReplyBuffer {
        var text = ReplyBuffer(bytes: ByteBuffer(), acceptsGzip: true)
        text.append("{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"peer.replicate\",\"params\":{\"records\":[")
        for (index, record) in records.enumerated() {
            if index > 0 { text.append(",") }
            text.append(whole: record)
        }
        text.append("]}}")
        return text
    }

    /// One record. `value` is nil where nothing is stored.
    static func record(
        _ kind: ReplicatedKind, key: UnsafeRawBufferPointer, version: UInt64, wallExpiry: Int64, operation: UInt64,
        value: (bytes: UnsafeRawBufferPointer, form: StoredForm)?
    ) -> ReplyBuffer {
        var text = ReplyBuffer(bytes: ByteBuffer(), acceptsGzip: true)
        text.append("[\"")
        text.append(kind.name)
        text.append("\",")
        text.appendJSONString(key)
        text.append(",\"")
        text.append(decimal: version)
        text.append("\",")
        if wallExpiry == .max { text.append("null") } else { text.append(decimal: wallExpiry) }
        text.append(",\"")
        text.append(decimal: operation)
        text.append("\"")
        if let value {
            text.append(",")
            switch value.form {
            case .plain: text.append(bytes: value.bytes)
            case .deflated(let originalBytes, let crc32):
                text.append(blocks: value.bytes, originalBytes: originalBytes, crc32: crc32)
            }
        }
        text.append("]")
        return text
    }
}

extension Storage {
    /// What there is of a key, for its other holders: the entry, or that it was removed; nil: neither.
    func record(of key: CacheKey, operation: UInt64, now: Int64) -> ReplicationRecord? {
        shard(key).state.withLock { state in
            let text: ReplyBuffer
            let version: UInt64
            if let entry = state.store.peek(key.bytes, hash: key.hash, now: now) {
                version = entry.version
                text = ReplicationCodec.record(
                    .put, key: key.bytes, version: version, wallExpiry: wall(entry.expiresAt), operation: operation,
                    value: (entry.value, entry.form))
            } else if let removed = state.tombstones.version(key.bytes) {
                version = removed
                text = ReplicationCodec.record(
                    .removed, key: key.bytes, version: version, wallExpiry: .max, operation: operation, value: nil)
            } else {
                return nil
            }
            return ReplicationRecord(text: text, position: RingHash.hash(key.bytes), version: version)
        }
    }
}

@available(*, unavailable)
extension ReplicationRecord: Sendable {}
@available(*, unavailable)
extension Replication: Sendable {}
