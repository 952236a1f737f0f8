// One walk over the keys for one view: where it stands, what is under way, what waits to be sent together. No sending.

import CacheStore
import NIOCore

final class HandoffRound {
    /// A key that others should hold.
    final class Offer {
        let key: [UInt8]
        let version: UInt64
        /// Targets that have not confirmed it.
        var missing = 0
        /// Of those, up-to-date members that are to say first whether it is current.
        var judges = 0
        /// Who is offered it then: joining members, which cannot tell.
        var later: [PeerTarget] = []
        /// A judge has said that it is not.
        var isStale = false

        init(key: [UInt8], version: UInt64) {
            self.key = key
            self.version = version
        }
    }

    /// By which changes that were missed tell whether it has brought them along (ChangesInDoubt).
    var number: UInt64 = 0
    let table: RoutingTable
    let isLeaving: Bool
    let started = NodeClock.monotonicMilliseconds()
    /// Another one has taken its place.
    var isOver = false
    var hasSettled = false
    /// A change was acknowledged without all of its holders since the walk began.
    var isIncomplete = false
    var isStepping = false
    var inFlight = 0
    /// What has a newer version was written during the round, and went to its holders by itself.
    let startVersion: UInt64
    /// What an owner that is gone by now may not have sent to all holders has this version or a newer one.
    private let recentFrom: UInt64
    /// This node has been a member all along.
    let isUpToDate: Bool
    private(set) var shard = 0
    var cursor = ScanCursor()
    private let shards: Int
    private let baseline: RoutingTable?
    /// Of the views since the baseline's, in none of which this node has settled.
    private let unsettled: [RoutingTable]
    private var offers: [PeerTarget: [Offer]] = [:]
    /// Offers that judges have found current, for members that cannot tell.
    private var vouched: [PeerTarget: [Offer]] = [:]
    private var graves: [PeerTarget: [ReplyBuffer]] = [:]
    private(set) var sentRecords = 0
    private(set) var sentBytes = 0

    init(
        table: RoutingTable, baseline: RoutingTable?, unsettled: [RoutingTable], isLeaving: Bool, shards: Int,
        startVersion: UInt64, recentFrom: UInt64, isUpToDate: Bool
    ) {
        self.recentFrom = recentFrom
        self.isUpToDate = isUpToDate
        self.startVersion = startVersion
        self.table = table
        self.baseline = baseline
        self.unsettled = unsettled
        self.isLeaving = isLeaving
        self.shards = shards
    }

    var walkIsOver: Bool { shard >= shards }

    /// There is nobody to offer anything to.
    func endWalk() { shard = shards }

    func nextShard() {
        shard += 1
        cursor = ScanCursor()
    }

    /// Who has to be offered what stands at a position: its other holders, without those that are known to have it.
    func targets(_ position: UInt64, version: UInt64) -> [PeerTarget] {
        let wanted = table.copies(at: position)
        guard let baseline, !wanted.isEmpty, baseline.isHolder(at: position) else { return wanted }
        // Its owner sent every change to all of them, but for the last ones of an owner that did not get that far.
        guard
            version < recentFrom
                || table.hasMember(owning: position, in: baseline)
                    && unsettled.allSatisfy({ table.hasMember(owning: position, in: $0) })
        else { return wanted }
        let known = baseline.copies(at: position)
        return wanted.filter { !known.contains($0) }
    }

    /// Adds an offer; returns a full list to be sent.
    func add(_ offer: Offer, for target: PeerTarget, limit: Int) -> [Offer]? {
        offers[target, default: []].append(offer)
        return offers[target]?.count ?? 0 >= limit ? offers.removeValue(forKey: target) : nil
    }

    func add(grave: ReplyBuffer, for target: PeerTarget, limit: Int) -> [ReplyBuffer]? {
        graves[target, default: []].append(grave)
        return graves[target]?.count ?? 0 >= limit ? graves.removeValue(forKey: target) : nil
    }

    func add(vouched offer: Offer, for target: PeerTarget) { vouched[target, default: []].append(offer) }

    func takeVouched() -> [PeerTarget: [Offer]] {
        defer { vouched = [:] }
        return vouched
    }

    func takeOffers() -> [PeerTarget: [Offer]] {
        defer { offers = [:] }
        return offers
    }

    func takeGraves() -> [PeerTarget: [ReplyBuffer]] {
        defer { graves = [:] }
        return graves
    }

    func sent(records: Int, bytes: Int) {
        sentRecords += records
        sentBytes += bytes
    }

    /// How long to wait before the next step so that records stay within the pace, in milliseconds.
    func pace(_ now: Int64) -> Int64 {
        let earned = (now - started) * Int64(Handoff.bytesPerSecond / 1000)
        return max(0, min(100, (Int64(sentBytes) - earned) / Int64(Handoff.bytesPerSecond / 1000)))
    }

    /// Something that counts as under way until it is tried again.
    func retryLater(_ loop: any EventLoop, _ milliseconds: Int64, _ retry: @escaping () -> Void) {
        inFlight += 1
        loop.assumeIsolated().scheduleTask(in: .milliseconds(milliseconds)) {
            self.inFlight -= 1
            if !self.isOver { retry() }
        }
    }
}

@available(*, unavailable)
extension HandoffRound: Sendable {}
