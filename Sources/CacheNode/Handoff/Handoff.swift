// Brings what this node holds to where a view wants it. Confined to the cluster's event loop.
//
//     walk the shards ─▶ for each key, the other holders it should have ─▶ offers: key and version, many in one call
//         answers: held    nothing to do
//                  wanted  the entry goes there, as it is by then (peer.replicate)
//                  stale   it was removed or replaced: dropped here
//     (what a joining member brings along is offered first to those who have been there, then to other joining ones)
//     walked, and everything answered ─▶ settled ─▶ keys that this node does not have to hold are dropped
//
// Every member does this for every view, so that a key is copied as long as anybody has it: after a death the survivors
// restore the missing copies, a node that comes back is filled by those who answered meanwhile, and what it brings along
// from its journal is taken only where nothing newer is known. Writes go to all holders by themselves (Replication), so
// only what was there before the view is walked.
//
// Not everything is offered again and again: what a target had to hold already under the last view that this node settled
// in, the same run of it, it was offered then and sent every change since. A change that was not acknowledged by a holder
// ends that trust, and one more round is walked. The last changes of an owner that is gone are offered to all: it may have
// got to some of their holders only.
//
// Bounded: a few offers under way, records paced to `bytesPerSecond`, short locks. A new view ends the round.

import CacheStore
import HashRing
import JSONRPC
import Membership
import NIOCore

final class Handoff {
    /// Keys looked at under one lock.
    private static let stepKeys = 256
    private static let offerKeys = 512
    private static let maxInFlight = 16
    private static let replicateBytes = 256 * 1024
    private static let callMilliseconds: Int64 = 5000
    private static let retryMilliseconds: Int64 = 50
    /// So that clients are answered meanwhile; about half of what a core can send.
    static let bytesPerSecond = 64 << 20

    private let node: NodeCore
    private let thread: ThreadState
    private let onSettled: (Epoch, _ wasLeaving: Bool) -> Void
    /// Of the last view in which this node settled; nil when it can't be relied on.
    private var baseline: RoutingTable?
    private var round: HandoffRound?
    /// Of the last view in which this node settled, whatever was missed since.
    private var settledTable: RoutingTable?
    /// Of the views since then, without the newest.
    private var unsettledTables: [RoutingTable] = []
    private static let maxUnsettledTables = 16
    private var isRepeatScheduled = false

    init(_ node: NodeCore, _ thread: ThreadState, onSettled: @escaping (Epoch, Bool) -> Void) {
        self.node = node
        self.thread = thread
        self.onSettled = onSettled
    }

    /// A table is about to be published: what this node will own by it, and has of an owner that may not have sent it to
    /// all holders, is in doubt until a round has settled.
    func willBegin() {
        if let round, !round.hasSettled, unsettledTables.last !== round.table { unsettledTables.append(round.table) }
        if unsettledTables.count > Self.maxUnsettledTables {
            // So much has changed that nothing is known.
            settledTable = nil
            baseline = nil
            unsettledTables = []
        }
        let earlier = settledTable.map { [$0] + unsettledTables } ?? []
        node.doubts.viewComes(after: earlier, recentFrom: recentFrom)
    }

    /// Changes older than that were sent to all holders, or missed and sent again, before their owner was found dead.
    private var recentFrom: UInt64 {
        let network = node.configuration.network
        return node.storage.clock.newest(
            before: 2
                * Int64(
                    network.failureMilliseconds + 2 * network.heartbeatMilliseconds + network.forwardTimeoutMilliseconds
                ))
    }

    /// Starts over for a new table.
    func begin(_ table: RoutingTable, isLeaving: Bool) {
        cancel()
        let round = HandoffRound(
            table: table, baseline: baseline, unsettled: unsettledTables, isLeaving: isLeaving,
            shards: node.storage.shards.count,
            startVersion: node.storage.clock.newest, recentFrom: recentFrom,
            isUpToDate: table.isUpToDate(table.selfID))
        self.round = round
        round.number = node.doubts.roundBegan()
        node.handoffNumbers.began(keys: node.storage.count, owesCopies: table.replicas > 0)
        if table.others.isEmpty { round.endWalk() }
        step(round)
    }

    func cancel() {
        round?.isOver = true
        round = nil
    }

    /// The node is out of its cluster: nothing is known of what others hold.
    func forget() {
        cancel()
        baseline = nil
        settledTable = nil
        unsettledTables = []
    }

    /// What was trusted to be with all holders is not: everything is offered again, soon.
    func missedReplica() {
        baseline = nil
        // A round under way walks once more at its end; it is not cut short, or it might never end.
        if let round, !round.hasSettled { return round.isIncomplete = true }
        guard !isRepeatScheduled else { return }
        isRepeatScheduled = true
        thread.loop.assumeIsolated().scheduleTask(in: .milliseconds(500)) {
            self.isRepeatScheduled = false
            guard let round = self.round, round.hasSettled, !round.isLeaving else { return }
            self.begin(round.table, isLeaving: false)
        }
    }

    // MARK: Walking

    /// Looks at more keys, unless enough is under way.
    private func step(_ round: HandoffRound) {
        guard !round.isOver, !round.isStepping else { return }
        guard round.inFlight < Self.maxInFlight else { return }
        if round.walkIsOver { return finishIfDone(round) }
        round.isStepping = true
        walk(round)
        if round.walkIsOver { for (target, offers) in round.takeOffers() { send(offers, to: target, round) } }
        let pause = round.pace(NodeClock.monotonicMilliseconds())
        thread.loop.assumeIsolated().scheduleTask(in: .milliseconds(pause)) {
            round.isStepping = false
            self.step(round)
        }
    }

    private func walk(_ round: HandoffRound) {
        let now = NodeClock.monotonicMilliseconds()
        var found: [(key: [UInt8], version: UInt64)] = []
        var graves: [(key: [UInt8], version: UInt64)] = []
        node.storage.shards[round.shard].state.withLock { state in
            let hasMore = state.store.forEachEntry(from: &round.cursor, limit: Self.stepKeys, now: now) { entry in
                found.append((Array(entry.key), entry.version))
            }
            if !hasMore {
                state.tombstones.forEach { graves.append((Array($0), $1)) }
                round.nextShard()
            }
        }
        for (key, version) in found {
            let targets = round.targets(key.withUnsafeBytes { RingHash.hash($0) }, version: version)
            if targets.isEmpty {
                node.handoffNumbers.checked(1)
                continue
            }
            let offer = HandoffRound.Offer(key: key, version: version)
            offer.missing = targets.count
            var first = targets
            if !round.isUpToDate {
                // What this node brings along may be old: those who know are asked before those who do not.
                first = targets.filter { round.table.isUpToDate($0.id) }
                offer.later = targets.filter { !first.contains($0) }
                offer.judges = first.count
                // Where none is left to be asked, they were in an earlier round.
                if first.isEmpty { for target in targets { round.add(vouched: offer, for: target) } }
            }
            for target in first {
                if let full = round.add(offer, for: target, limit: Self.offerKeys) { send(full, to: target, round) }
            }
        }
        for (key, version) in graves {
            for target in round.targets(key.withUnsafeBytes({ RingHash.hash($0) }), version: version) {
                let record = key.withUnsafeBytes {
                    ReplicationCodec.record(
                        .removed, key: $0, version: version, wallExpiry: .max, operation: 0, value: nil)
                }
                if let full = round.add(grave: record, for: target, limit: Self.offerKeys) {
                    replicate(full, [], to: target, round)
                }
            }
        }
        sendVouched(round)
        if round.walkIsOver {
            for (target, records) in round.takeGraves() { replicate(records, [], to: target, round) }
        }
    }

    private func finishIfDone(_ round: HandoffRound) {
        guard round.walkIsOver, round.inFlight == 0, !round.isOver, !round.hasSettled else { return }
        guard !round.isIncomplete else { return begin(round.table, isLeaving: round.isLeaving) }
        round.hasSettled = true
        baseline = round.table
        settledTable = round.table
        unsettledTables = []
        node.doubts.roundSettled(round.number)
        node.handoffNumbers.finished()
        node.log.emit(
            .handoffFinished,
            [
                "epoch": .int(Int(clamping: round.table.epoch.number)), "records": .int(round.sentRecords),
                "bytes": .int(round.sentBytes),
                "durationMs": .int(Int(NodeClock.monotonicMilliseconds() - round.started)),
            ])
        onSettled(round.table.epoch, round.isLeaving)
        guard !round.isLeaving, !round.table.others.isEmpty else { return }
        // Changes that were under way when the walk passed have been acknowledged, or missed, by then.
        let patience = Int64(node.configuration.network.forwardTimeoutMilliseconds + 500)
        thread.loop.assumeIsolated().scheduleTask(in: .milliseconds(patience)) {
            self.purge(round, shard: 0, cursor: ScanCursor())
        }
    }

    /// Drops the keys that other nodes hold now: what the walk saw, if nothing was missed since.
    private func purge(_ round: HandoffRound, shard: Int, cursor: ScanCursor) {
        guard !round.isOver, baseline === round.table, shard < node.storage.shards.count else { return }
        let now = NodeClock.monotonicMilliseconds()
        var cursor = cursor
        var found: [(key: [UInt8], version: UInt64)] = []
        let hasMore = node.storage.shards[shard].state.withLock { state in
            state.store.forEachEntry(from: &cursor, limit: Self.stepKeys, now: now) { entry in
                if entry.version <= round.startVersion { found.append((Array(entry.key), entry.version)) }
            }
        }
        for (key, version) in found {
            key.withUnsafeBytes { bytes in
                guard !round.table.isHolder(at: RingHash.hash(bytes)) else { return }
                node.storage.drop(
                    CacheKey(bytes: bytes, hash: node.storage.hash(bytes)), version: version, now: now)
            }
        }
        thread.loop.assumeIsolated().scheduleTask(in: .milliseconds(1)) { [cursor] in
            self.purge(round, shard: hasMore ? shard : shard + 1, cursor: hasMore ? cursor : ScanCursor())
        }
    }

    // MARK: Sending

    private func call(
        _ text: ReplyBuffer, to target: PeerTarget, _ round: HandoffRound,
        _ completion: @escaping (PeerReply) -> Void, orElse retry: @escaping () -> Void
    ) {
        round.inFlight += 1
        let deadline = NodeClock.monotonicMilliseconds() + Self.callMilliseconds
        let call = PeerCall(text: text, deadline: deadline) { result in
            round.inFlight -= 1
            guard !round.isOver else { return }
            if case .success(let reply) = result, reply.isResult {
                completion(reply)
                return self.step(round)
            }
            // The view will change if the target is gone; until then it is asked again.
            round.inFlight += 1
            self.thread.loop.assumeIsolated().scheduleTask(in: .milliseconds(Self.retryMilliseconds)) {
                round.inFlight -= 1
                if !round.isOver { retry() }
            }
        }
        thread.peers.send(call, to: target, over: .handoff)
    }

    private func send(
        _ offers: [HandoffRound.Offer], to target: PeerTarget, isVouched: Bool = false, _ round: HandoffRound
    ) {
        guard !offers.isEmpty else { return }
        var text = ReplyBuffer(bytes: ByteBuffer(), acceptsGzip: true)
        text.append("{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"peer.offer\",\"params\":{\"vouched\":")
        text.append(isVouched ? "true,\"items\":[" : "false,\"items\":[")
        for (index, offer) in offers.enumerated() {
            text.append(index > 0 ? ",[" : "[")
            offer.key.withUnsafeBytes { text.appendJSONString($0) }
            text.append(",\"")
            text.append(decimal: offer.version)
            text.append("\"]")
        }
        text.append("]}}")
        call(text, to: target, round) {
            self.answered(offers, $0, target, isVouched: isVouched, round)
        } orElse: {
            self.send(offers, to: target, isVouched: isVouched, round)
        }
    }

    private func answered(
        _ offers: [HandoffRound.Offer], _ reply: PeerReply, _ target: PeerTarget, isVouched: Bool, _ round: HandoffRound
    ) {
        let letters: [UInt8] = reply.text.text.withUnsafeReadableBytes { bytes in
            let result = JSONMembers(reply.value, in: bytes)["result"]
            return result.flatMap { JSONMembers($0, in: bytes).string("answers") }.map { Array($0.utf8) } ?? []
        }
        guard letters.count == offers.count else {
            return round.retryLater(thread.loop, Self.retryMilliseconds) {
                self.send(offers, to: target, isVouched: isVouched, round)
            }
        }
        var wanted: [HandoffRound.Offer] = []
        let now = NodeClock.monotonicMilliseconds()
        for (offer, letter) in zip(offers, letters) {
            switch OfferAnswer(letter: letter) {
            case .held?: confirm(offer, round)
            case .stale?:
                offer.isStale = true
                offer.key.withUnsafeBytes { bytes in
                    node.storage.drop(
                        CacheKey(bytes: bytes, hash: node.storage.hash(bytes)), version: offer.version, now: now)
                }
                confirm(offer, round)
            case .wanted?, nil: wanted.append(offer)
            }
        }
        copy(wanted, to: target, round)
        sendVouched(round)
    }

    private func sendVouched(_ round: HandoffRound) {
        for (target, offers) in round.takeVouched() { send(offers, to: target, isVouched: true, round) }
    }

    /// Sends entries as they are now; what is gone meanwhile was removed or evicted.
    private func copy(_ wanted: [HandoffRound.Offer], to target: PeerTarget, _ round: HandoffRound) {
        let now = NodeClock.monotonicMilliseconds()
        var records: [ReplyBuffer] = []
        var offers: [HandoffRound.Offer] = []
        var bytes = 0
        for offer in wanted {
            let record: ReplyBuffer? = offer.key.withUnsafeBytes { key in
                let hash = node.storage.hash(key)
                return node.storage.shard(CacheKey(bytes: key, hash: hash)).state.withLock { state in
                    state.store.peek(key, hash: hash, now: now).map { entry in
                        ReplicationCodec.record(
                            .put, key: key, version: entry.version, wallExpiry: node.storage.wall(entry.expiresAt),
                            operation: 0, value: (entry.value, entry.form))
                    }
                }
            }
            guard let record else {
                confirm(offer, round)
                continue
            }
            records.append(record)
            offers.append(offer)
            bytes += record.storedBytes
            if bytes >= Self.replicateBytes {
                replicate(records, offers, to: target, round)
                records = []
                offers = []
                bytes = 0
            }
        }
        if !records.isEmpty { replicate(records, offers, to: target, round) }
    }

    private func replicate(
        _ records: [ReplyBuffer], _ offers: [HandoffRound.Offer], to target: PeerTarget, _ round: HandoffRound
    ) {
        guard !records.isEmpty else { return }
        let text = ReplicationCodec.request(records)
        round.sent(records: records.count, bytes: text.storedBytes)
        node.handoffNumbers.sent(records: records.count, bytes: text.storedBytes)
        call(text, to: target, round) { _ in
            for offer in offers { self.confirm(offer, round) }
            self.sendVouched(round)
        } orElse: {
            self.replicate(records, offers, to: target, round)
        }
    }

    private func confirm(_ offer: HandoffRound.Offer, _ round: HandoffRound) {
        offer.missing -= 1
        if offer.judges > 0 {
            offer.judges -= 1
            if offer.judges == 0 {
                if offer.isStale { offer.missing -= offer.later.count }
                for target in offer.later where !offer.isStale { round.add(vouched: offer, for: target) }
            }
        }
        if offer.missing == 0 { node.handoffNumbers.checked(1) }
    }
}

@available(*, unavailable)
extension Handoff: Sendable {}
