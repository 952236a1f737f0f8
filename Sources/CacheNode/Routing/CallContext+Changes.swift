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
        for key in shown { key.withUnsafeBytes { waitForHolders(of: $0, slot: place, of: pending) } }
        pending.settle(place, .asWritten)
    }

    /// The keys of a call that another call's change is under way of, or was missed.
    private mutating func keysInDoubt(
        _ method: RPCMethod, _ arguments: borrowing BoundParameters
    ) throws(MethodFailure) -> [[UInt8]] {
        guard let value = arguments[0] else { return [] }
        var found: [[UInt8]] = []
        // What the call itself has changed, it waits for already.
        let changed = Set(records.lazy.map(\.position))
        func look(at key: CacheKey, _ context: inout CallContext) {
            let position = RingHash.hash(key.bytes)
            guard !changed.contains(position), !context.node.doubts.isCertain(at: position) else { return }
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

    /// Has a slot wait for whatever is in doubt of a key.
    private func waitForHolders(of key: UnsafeRawBufferPointer, slot: Int, of pending: PendingMessage) {
        let bound = NIOLoopBound(pending, eventLoop: thread.loop)
        let loop = thread.loop
        let position = RingHash.hash(key)
        let certainty = node.doubts.ask(at: position) { stands in
            loop.execute {
                let failure = MethodFailure(
                    .notEnoughReplicas, .reason("a change of the key did not reach its replicas"))
                bound.value.settle(slot, stands ? .asWritten : .failed(failure))
            }
        }
        switch certainty {
        case .certain: return
        case .waiting: pending.claim(slot)
        case .left:
            let key = CacheKey(bytes: key, hash: node.storage.hash(key))
            guard let record = record(of: key) else { return }
            record.slot = slot
            pending.claim(slot)
            Replication([record], of: pending).start()
        }
    }

    /// Gives the changes that were made the tickets that were taken for them, in the same order; returns whether there was a
    /// change for each.
    @discardableResult
    private mutating func handTickets() -> Bool {
        guard !tickets.isEmpty else { return false }
        let taken = tickets
        tickets.removeAll()
        var handed = 0
        for ticket in taken {
            if handed < records.count, records[handed].position == ticket.position {
                records[handed].ticket = ticket
                handed += 1
            } else {
                node.doubts.ended(ticket, .nothing, version: 0)
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
        if let record = record(of: key) { records.append(record) }
    }

    /// What this node has of a key, for its other holders: the entry, or that it was removed.
    private func record(of key: CacheKey) -> ReplicationRecord? {
        let storage = node.storage
        return storage.shard(key).state.withLock { state in
            let text: ReplyBuffer
            let version: UInt64
            if let entry = state.store.peek(key.bytes, hash: key.hash, now: now) {
                version = entry.version
                text = ReplicationCodec.record(
                    .put, key: key.bytes, version: version, wallExpiry: storage.wall(entry.expiresAt),
                    operation: operation, value: (entry.value, entry.form))
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

    /// A call has failed half-way: what it has changed goes to the other holders all the same, and nobody waits for it.
    mutating func sendChangesAnyway() {
        handTickets()
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
