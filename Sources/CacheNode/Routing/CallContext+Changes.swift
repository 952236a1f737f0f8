// What an answer waits for: that the other holders have what the call changed, and what it shows of other calls' changes
// (ChangesInDoubt).

import CacheStore
import HashRing
import JSONRPC
import NIOCore

extension CallContext {
    /// Answers about the key wait from now on, until the call's change is with enough holders or has come to nothing.
    mutating func beginChange(at position: UInt64) {
        if node.doubts.isOn { tickets.append(node.doubts.began(at: position)) }
    }

    /// A call's answer is written: it waits for the other holders of what it has changed, and of what it may show.
    mutating func guardAnswer(
        _ method: RPCMethod, _ arguments: borrowing BoundParameters, since mark: ReplyBuffer.Mark,
        _ call: borrowing Call
    ) throws(MethodFailure) {
        let hasChangedAll = handTickets()
        let shows = !call.isNotification && !hasChangedAll && !node.doubts.isEmpty
        let shown = shows ? try keysInDoubt(method, arguments) : []
        var slot: Int?
        if !records.isEmpty { slot = collectChanges(since: mark, call) }
        guard !shown.isEmpty else { return }
        let pending = pendingMessage()
        let place: Int
        if let slot {
            place = slot
            pending.claim(place)
        } else {
            place = pending.addSlot(from: mark, to: reply.mark, id: call.id)
        }
        for key in shown {
            pending.claim(place)
            GuardedAnswer(key, slot: place, of: pending, mayRepeat: !method.isWrite).start()
        }
        pending.settle(place, .asWritten)
    }

    /// The keys of a call that another call's change is under way of, or was missed.
    private mutating func keysInDoubt(
        _ method: RPCMethod, _ arguments: borrowing BoundParameters
    ) throws(MethodFailure) -> [[UInt8]] {
        guard let value = arguments[0] else { return [] }
        var found: [[UInt8]] = []
        // What the call itself has put or removed, it waits for already.
        let changed = Set(records.lazy.filter { $0.version > 0 }.map(\.position))
        func look(at key: CacheKey, _ context: inout CallContext) {
            let position = RingHash.hash(key.bytes)
            let (doubts, storage) = (context.node.doubts, context.node.storage)
            guard !changed.contains(position),
                !doubts.isCertain(at: position) || storage.isInherited(key, position, doubts, now: context.now)
            else { return }
            found.append(Array(key.bytes))
        }
        switch method.placement {
        case .anyNode, .everyNode: break
        case .owner: look(at: try key(value, ParameterPath("key")), &self)
        case .ownersOfKeys:
            var cursor = JSONArrayCursor(body, value.slice)
            while let element = cursor.next() { look(at: try key(element, ParameterPath("keys")), &self) }
        case .ownersOfItems:
            try CachePut.eachKey(of: value, &self) { look(at: $0, &$1) }
        }
        return found
    }

    /// Gives the changes that were made the tickets that were taken for them, in the same order; returns whether there was a
    /// change for each.
    ///
    /// `isUncertain`: where there is none, the store may have been changed all the same.
    @discardableResult
    private mutating func handTickets(isUncertain: Bool = false) -> Bool {
        guard !tickets.isEmpty else { return false }
        let taken = tickets
        tickets.removeAll()
        var handed = 0
        for ticket in taken {
            if handed < records.count, records[handed].position == ticket.position {
                records[handed].ticket = ticket
                handed += 1
            } else {
                node.doubts.ended(
                    ticket, isUncertain ? .missed : .nothing, version: node.storage.clock.newest, now: now)
            }
        }
        return handed == taken.count
    }

    /// A call has changed something: its answer waits for the other holders, in the slot that is returned.
    private mutating func collectChanges(since mark: ReplyBuffer.Mark, _ call: borrowing Call) -> Int {
        let made = records
        records.removeAll()
        let waits = node.configuration.network.replicaAcknowledgement == .all
        let owner =
            waits
            ? pendingMessage()
            : PendingMessage(node: node, thread: thread, body: ByteBuffer(), isForPeer: isForPeer)
        let slot = owner.addSlot(from: mark, to: call.isNotification ? mark : reply.mark, id: call.id)
        for (index, record) in made.enumerated() {
            record.slot = slot
            if index > 0 { owner.claim(slot) }
        }
        if waits { outgoing += made } else { Replication(made, of: owner).start() }
        return slot
    }

    /// A write that was carried out before comes again: its answer waits for the other holders and the journal like the
    /// first one's, which may not have got that far.
    mutating func repeatChange(_ arguments: borrowing BoundParameters) throws(MethodFailure) {
        guard let value = arguments[0] else { return }
        let key = try key(value, ParameterPath("key"))
        if let status = node.storage.journal?.status { wrote(sequence: status.lastSequence) }
        if let record = node.storage.record(of: key, operation: operation, now: now) { records.append(record) }
    }

    /// A call has failed half-way: what it has changed goes to the other holders all the same, and nobody waits for it.
    mutating func sendChangesAnyway(after failure: MethodFailure) {
        handTickets(isUncertain: failure.code == .journalFailed)
        guard !records.isEmpty else { return }
        let unattended = PendingMessage(node: node, thread: thread, body: ByteBuffer(), isForPeer: isForPeer)
        let slot = unattended.addSlot(from: reply.mark, to: reply.mark, id: nil)
        for record in records { record.slot = slot }
        Replication(records, of: unattended).start()
        records.removeAll()
    }

    /// The message has been run: sends its changes, one call to each node.
    mutating func startReplication() {
        guard let pending, !outgoing.isEmpty else { return }
        Replication(outgoing, of: pending).start()
        outgoing.removeAll()
    }
}
