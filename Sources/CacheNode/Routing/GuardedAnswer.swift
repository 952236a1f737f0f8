// An answer about one key that waits until enough holders have what it shows (ChangesInDoubt). Confined to the event loop of
// its message.
//
//     ask ─▶ certain                            the answer stands
//         ─▶ a change is under way              told when that has ended: stands, or asks again
//         ─▶ a change was missed, or inherited  sends the entry to its holders again, for all that wait; told like the others
//         ─▶ time is over                       1104; to another node: again in a moment
//
// Another node's answers come in exchanges of many calls, which are sent back together: they wait for a moment only, some
// times as long as a change takes, and the asking node comes back.

import CacheStore
import HashRing
import JSONRPC
import NIOCore

final class GuardedAnswer {
    /// How long another node's read waits here at the least; a change takes about a millisecond.
    private static let peerMilliseconds: Int64 = 20

    /// What a change holds of an answer that waits for it: nothing, once the answer has been given.
    private final class Reference {
        var answer: GuardedAnswer?
        init(_ answer: GuardedAnswer) { self.answer = answer }
    }

    private let pending: PendingMessage
    /// Has a claim for this answer.
    private let slot: Int
    private let key: [UInt8]
    private let position: UInt64
    private let deadline: Int64
    private let failure: MethodFailure
    private var isOver = false
    private var timer: Scheduled<Void>?
    private var reference: Reference?

    /// `mayRepeat`: another node may ask again without harm.
    init(_ key: [UInt8], slot: Int, of pending: PendingMessage, mayRepeat: Bool) {
        self.key = key
        self.slot = slot
        self.pending = pending
        position = key.withUnsafeBytes { RingHash.hash($0) }
        let isShort = pending.isForPeer && mayRepeat
        let longest = Replication.deadline(for: pending)
        // As long as changes take, or those that are under way whenever it comes back would keep it for ever.
        let usual = max(Self.peerMilliseconds, 3 * pending.thread.replicationTime.milliseconds)
        deadline = isShort ? min(longest, NodeClock.monotonicMilliseconds() + usual) : longest
        failure =
            isShort
            ? MethodFailure(.notReady, .reason("a change of the key is on its way to its replicas"))
            : MethodFailure(.notEnoughReplicas, .reason("a change of the key did not reach its replicas"))
    }

    func start() {
        ask()
        guard !isOver else { return }
        let left = max(0, deadline - NodeClock.monotonicMilliseconds())
        timer = pending.thread.loop.assumeIsolated().scheduleTask(in: .milliseconds(left)) {
            self.finish(stands: false)
        }
    }

    private func ask() {
        let node = pending.node
        let loop = pending.thread.loop
        let reference = Reference(self)
        self.reference = reference
        let bound = NIOLoopBound(reference, eventLoop: loop)
        let told: ChangesInDoubt.Completion = { stands in loop.execute { bound.value.answer?.told(stands) } }
        let now = NodeClock.monotonicMilliseconds()
        var certainty = node.doubts.ask(at: position, now: now, told)
        if case .certain = certainty, isInherited(now) {
            certainty = node.doubts.askAboutInherited(at: position, told)
        }
        switch certainty {
        case .certain: finish(stands: true)
        case .waiting: break
        case .repair(let ticket, let version): repair(ticket, missed: version, now)
        }
    }

    private func told(_ stands: Bool) {
        guard !isOver else { return }
        if stands { return finish(stands: true) }
        guard NodeClock.monotonicMilliseconds() < deadline else { return finish(stands: false) }
        ask()
    }

    private func finish(stands: Bool) {
        guard !isOver else { return }
        isOver = true
        timer?.cancel()
        timer = nil
        reference?.answer = nil
        reference = nil
        pending.settle(slot, stands ? .asWritten : .failed(failure))
    }

    private func isInherited(_ now: Int64) -> Bool {
        key.withUnsafeBytes { bytes in
            let storage = pending.node.storage
            return storage.isInherited(
                CacheKey(bytes: bytes, hash: storage.hash(bytes)), position, pending.node.doubts, now: now)
        }
    }

    /// Sends what there is of the key to the other holders, for as long as a change would be sent.
    private func repair(_ ticket: ChangesInDoubt.Ticket, missed: UInt64, _ now: Int64) {
        let node = pending.node
        let record: ReplicationRecord? = key.withUnsafeBytes { bytes in
            let key = CacheKey(bytes: bytes, hash: node.storage.hash(bytes))
            if let record = node.storage.record(of: key, operation: 0, now: now) { return record }
            guard missed > 0 else { return nil }
            // It has expired or was evicted: so must be what it replaced elsewhere.
            let text = ReplicationCodec.record(
                .removed, key: bytes, version: missed, wallExpiry: .max, operation: 0, value: nil)
            return ReplicationRecord(text: text, position: position, version: missed)
        }
        guard let record else { return node.doubts.ended(ticket, .nothing, version: 0, now: now) }
        record.ticket = ticket
        let unattended = PendingMessage(node: node, thread: pending.thread, body: ByteBuffer(), isForPeer: false)
        let mark = ReplyBuffer(bytes: ByteBuffer(), acceptsGzip: true).mark
        record.slot = unattended.addSlot(from: mark, to: mark, id: nil)
        Replication([record], of: unattended).start()
    }
}

extension Storage {
    /// Whether what this node has of a key may be with it alone because another node owned the key before.
    func isInherited(_ key: CacheKey, _ position: UInt64, _ doubts: ChangesInDoubt, now: Int64) -> Bool {
        guard doubts.hasInheritance else { return false }
        let version = shard(key).state.withLock { state in
            state.store.peek(key.bytes, hash: key.hash, now: now)?.version ?? state.tombstones.version(key.bytes)
        }
        return version.map { doubts.isInherited($0, at: position) } ?? false
    }
}

@available(*, unavailable)
extension GuardedAnswer: Sendable {}
