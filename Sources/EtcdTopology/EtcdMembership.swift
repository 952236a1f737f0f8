// Who belongs to the cluster and whether this node may act, agreed upon through etcd, as a value: events in, actions
// out. Knows no sockets, clocks, threads or encodings of HTTP.
//
// Rules
// - Claims. A node claims its id by creating `members/<id>` under a lease that it keeps alive. An earlier run's claim
//   is removed, by its address: two processes cannot have one. A claim of another address is waited for; if it outlives
//   a lease, its holder lives and this node is refused.
// - Views. The coordinator, the first member of the latest view whose claim stands, writes `view`: the members whose
//   claims stand, in their order, then the newcomers by the age of their claims. The write is conditional on its own
//   claim and on the view it replaces, so of two that take themselves for the coordinator one loses. The epoch number
//   is a base plus etcd's revision of that write.
// - Serving. Newcomers own nothing until every member has said that its keys agree with the view (`settled`); then the
//   next view has all members serving. In a first view, and when no serving member is left, all serve.
// - Acting. A member acts until a twentieth before its lease can end, so a stopped process has ceased when it comes
//   back. While etcd is out of reach the last view is frozen: a member acts without limit, unless it hears of a later
//   epoch.
// - Outages. When etcd was out of reach, or slow, leases may have ended of nodes that live. So nobody is left out of a
//   view for a missing claim until all have had the time to come back (`grace`), except those known to be gone.
// - Wiped or replaced stores. Seen by a revision that goes back, another cluster id, or a view of another origin.
//   Everyone claims anew and says with its claim under which epoch it was (`floor`); a view below a living node's floor
//   is void. The first of those with the highest floor publishes the view it was in again, numbered from above that
//   floor. Until then the last view stays in force.
//
// Invariants: a node's epochs only rise; no two views of a store share a number; while etcd answers, a view without a
// node is published only after it has ceased to act, or was removed on purpose.
//
// The caller's duties
// 1. Give a monotonic `now` in milliseconds, never going back, and call `tick` every `settings.tickMilliseconds`.
// 2. Carry out the returned actions in order; give each call's result back with the time it was sent at.
// 3. Start each run with an incarnation above all earlier ones of the id.
// 4. Before acting as an owner compare the clock, read afresh, with the latest `mayAct`.

import Membership

/// One node's part in a cluster; the file's head has the rules and the caller's duties.
struct EtcdMembership: Sendable {
    /// Where this node stands with the cluster.
    enum Phase: Sendable, Equatable {
        /// In no view, on the way into one.
        case joining
        case member(View)
        /// Withdrawing; waits for a view without this node until the deadline at most.
        case leaving(View?, deadline: Int64)
        case left
        case refused(RefusalReason)
    }

    /// How far this node is with its claim.
    enum Registration: Sendable, Equatable {
        case none
        case leased(Lease)
        case claimed(Lease, createRevision: Revision)
    }

    /// A lease of this node. Times are its own clock's milliseconds.
    struct Lease: Sendable, Equatable {
        let id: LeaseID
        let ttlMilliseconds: Int64
        /// When etcd can end it at the earliest, less a margin.
        var end: Int64
        var nextKeepAlive: Int64
    }

    /// What this node's right to act in its view rests on.
    enum Authority: Sendable, Equatable {
        case lease
        /// etcd is out of reach or has lost its data: on nobody having been told otherwise.
        case frozen
    }

    /// How well the mirror is known to follow the store.
    enum Sync: Sendable, Equatable {
        case stale
        case watching(since: Int64)
    }

    let settings: EtcdSettings
    let layout: KeyLayout
    var identity: MemberIdentity
    var phase = Phase.joining
    var registration = Registration.none
    var authority = Authority.lease
    var sync = Sync.stale
    /// The store as last seen; nil before the first list.
    var mirror: StoreMirror?
    /// Highest revision of the present store that was seen anywhere.
    var highestRevision = Revision.none
    /// `highestRevision` when the list under way, or the last one, was asked for.
    var revisionAtList = Revision.none
    /// Of this node's latest write: until the mirror is there, nothing new is decided on it.
    var awaited = (revision: Revision.none, since: Int64.min)
    /// The latest view this node was in, its number at least.
    var floor: UInt64
    /// The highest epoch number heard of from peers.
    var met: (number: UInt64, since: Int64) = (0, .min)

    var inFlight: Set<StoreCall> = []
    /// After a failure no new call before this.
    var retryAt = Int64.min
    var backoff: Backoff
    /// Of its own, since lists succeed between watches that fail.
    var watchBackoff: Backoff
    /// Why etcd is out of reach, nil while it is not.
    var outage: String?
    /// Until when a missing claim says nothing about its node.
    var graceUntil: Int64
    /// When this process was stopped last; failures of calls from before it say nothing about etcd.
    var resumedAt = Int64.min
    var lastInput: Int64

    /// When the coordinator has to look again whether the view fits; `.max`: at the next change.
    var reviewAt = Int64.min
    var claimedAt = Int64.max
    /// Since when a node at another address has this one's id, and its claim's revision.
    var holder: (revision: Revision, since: Int64)?
    /// This node's keys agree with the view of this epoch.
    var settledEpoch = Epoch.none
    var deletions: [Deletion] = []
    /// Runs whose host refuses connections, or that an operator removed.
    var knownGone: Set<MemberIdentity> = []
    /// Runs whose claims this node removed because their hosts refused connections.
    var removedRuns: [MemberID: UInt64] = [:]
    /// Of the other members of the view, as last told.
    var standing: [MemberIdentity: MemberState] = [:]
    /// Members that went, the latest last.
    var departed: [Member] = []
    var lastActing = Int64.min
    var actions: [EtcdAction] = []

    /// A node that begins to join; the first calls come from `tick`. `seed`: of the waits between attempts.
    init(settings: EtcdSettings, identity: MemberIdentity, now: Int64, seed: UInt64) {
        self.settings = settings
        self.identity = identity
        layout = KeyLayout(prefix: settings.prefix, cluster: settings.cluster)
        floor = min(settings.lastEpochNumber, maxEpochNumber)
        backoff = Backoff(seed: seed)
        watchBackoff = Backoff(seed: ~seed)
        lastInput = now
        graceUntil = now + Self.grace(settings)
    }

    /// The current view; nil while joining and once left or refused.
    var view: View? {
        switch phase {
        case .member(let view): view
        case .leaving(let view, _): view
        case .joining, .left, .refused: nil
        }
    }

    /// Until when this node may act as an owner unless a later event says otherwise.
    var actingUntil: Int64 {
        guard let view, view.epoch.number >= met.number else { return .min }
        switch (authority, registration) {
        case (.frozen, _): return .max
        case (.lease, .claimed(let lease, _)): return lease.end
        case (.lease, .leased), (.lease, .none): return .min
        }
    }

    var ttlMilliseconds: Int64 { settings.ttlSeconds * 1000 }

    /// A call that takes longer has failed: before a lease can end that was renewed a third of it ago.
    var callTimeout: Int64 { min(ttlMilliseconds / 2, 5000) }

    /// Everyone is back by then: the longest wait between attempts, a call that was under way, and the four it takes.
    static func grace(_ settings: EtcdSettings) -> Int64 { settings.ttlSeconds * 1000 + Backoff.cap }

    /// Time passed.
    mutating func tick(now: Int64) -> [EtcdAction] {
        input(now: now) { _ in }
    }

    /// Runs one input and what follows from it.
    mutating func input(now: Int64, _ body: (inout EtcdMembership) -> Void) -> [EtcdAction] {
        precondition(now >= lastInput, "the clock went back")
        // Ticks come far more often: this process did not run.
        if now - lastInput > ttlMilliseconds / 4 { resumedAt = now }
        lastInput = now
        body(&self)
        advance(now: now)
        tellActing()
        defer { actions.removeAll(keepingCapacity: true) }
        return actions
    }

    /// Does what the state asks for; every input ends here, so nothing hangs on one event being seen.
    private mutating func advance(now: Int64) {
        switch phase {
        case .left, .refused: return
        case .leaving(_, let deadline) where now >= deadline: return finishLeaving()
        case .joining, .member, .leaving: break
        }
        keepLeaseAlive(now: now)
        guard now >= retryAt else { return }
        guard isSynced(now: now) else { return }
        switch phase {
        case .left, .refused: return
        case .leaving: depart(now: now)
        case .joining, .member:
            register(now: now)
            carryOutDeletions(now: now)
            settle()
            coordinate(now: now)
        }
    }

    /// Whether the mirror can be decided on; asks for a list when it cannot.
    private mutating func isSynced(now: Int64) -> Bool {
        switch sync {
        case .stale:
            if !inFlight.contains(.list) { revisionAtList = highestRevision }
            call(.list, .list(prefix: layout.root))
            return false
        case .watching:
            guard let mirror, mirror.revision < awaited.revision else { return true }
            // The watch owes an event; if it does not come the watch is dead.
            if now - awaited.since > callTimeout { loseSync() }
            return false
        }
    }

    /// The mirror no longer follows the store; a list is next.
    mutating func loseSync() {
        guard sync != .stale else { return }
        sync = .stale
        actions.append(.cancelWatch)
    }

    /// Asks for a call unless one for the same purpose is under way.
    mutating func call(_ purpose: StoreCall, _ request: GatewayRequest) {
        guard inFlight.insert(purpose).inserted else { return }
        actions.append(.call(purpose, request, timeoutMilliseconds: callTimeout))
    }

    /// Tells the sink.
    mutating func emit(_ event: TopologyEvent) {
        actions.append(.emit(event))
    }

    /// Says until when this node may act if that changed; before an event that ends its membership, too.
    mutating func tellActing() {
        let acting = actingUntil
        guard acting != lastActing else { return }
        lastActing = acting
        actions.append(.mayAct(until: acting))
    }
}
