// Who belongs to the cluster and whether this node may act, as a value: events in, actions out. Knows no sockets, clocks,
// threads or encodings, and nothing of keys. Written for full-mesh heartbeats among tens of nodes.
//
// Rules
// - Life. Every member sends every other a heartbeat each `heartbeat` ms and answers those it gets. After `failure`/2 of
//   silence a member is suspect: it is probed directly and through three others, four times a heartbeat, until it is heard
//   or `failure` has passed, when it is dead. A suspicion names an incarnation; the suspect answers with a higher one. A
//   member that says it hears no majority counts as silent.
// - Views. The oldest member not dead, gone or restarted proposes the next view: the current one less the dead and the
//   gone, plus the nodes that are joining. A view is agreed when a majority of the members of the view before it accepted
//   it (one Paxos decision a view: prepare, promise, propose, accepted; epochs are the ballots). A restarted node forgot
//   what it promised, so it has no vote until it is a member again, except when every member of the old view is accounted for.
// - Acting. A member may act as an owner only while a majority of its view granted it a heartbeat sent less than 0.95
//   `failure` ago; who grants accepts no view without that member for `failure` ms. So a node that was cut off or stopped has
//   ceased to act, by its own clock, before a view without it can be agreed.
// - Serving. A view names the members that own keys. A joining member is not among them until all members have said that
//   they are settled, which means that what the joining one will own has been copied to it; the next view has all serve.
//   A member that begins to serve acts once those who owned before are in that view too.
// - With `PartitionRule.everySide` nobody votes: each side's oldest member numbers views, and when sides meet again the
//   members of the smaller join the larger. After a pause a node acts again once its coordinator or a majority grants it.
// - Joining. A node heartbeats its seeds until a coordinator takes it in. Nodes that meet only joining nodes form the first
//   view: under the majority rule a majority of themselves and their seeds agrees on it in the same way.
//
// Invariants: a node's epoch only rises; one view an epoch (by number too, under the majority rule); under that rule of two
// disjoint views only one can be acting.
//
// Known limits: nothing is written to disk, so a majority of a cluster's nodes that restart together, cut off from the
// others, form a new cluster; and clocks may differ in speed by up to five in a hundred.
//
// The caller's duties
// 1. Give a monotonic `now` in milliseconds, never going back, and call `tick` every `settings.tickInterval` ms.
// 2. Carry out the returned actions in order; sending is best effort and must not wait.
// 3. Hand in messages as they come; drop those older than a heartbeat.
// 4. Start each run with an incarnation above all earlier ones of the id.
// 5. Say `settled` once for each view in which all keys held here are at the members that will own them.
// 6. Before acting as an owner compare the clock, read afresh, with `actingUntil`.

package struct MembershipState: Sendable {
    package enum Phase: Sendable, Equatable {
        /// In no view since `since`. `isFresh`: never was in one in this run.
        case joining(since: Int64, isFresh: Bool)
        case member(View)
        /// Still a member, waiting for a view without itself, until `deadline` at most.
        case leaving(View, deadline: Int64)
        case left
        case refused(RefusalReason)
    }

    package let settings: MembershipSettings
    package internal(set) var identity: MemberIdentity
    package internal(set) var phase: Phase

    /// In the order they were met; a dictionary's own order would differ from run to run.
    var peers: [Peer] = []
    var peerIndex: [MemberID: Int] = [:]
    /// Addresses to reach whoever is there, with the time of the next attempt; seeds stay, others go once met.
    var contacts: [(address: String, next: Int64)]
    /// Addresses an operator asked to connect to.
    var named: Set<String> = []
    /// The incarnation at which this run last began to join; a view with a lower one of this id means an earlier run.
    var joinedFrom: UInt64
    /// Of the latest view this run was in.
    var lastEpoch = Epoch.none
    /// Highest epoch number met anywhere.
    var highestNumber: UInt64
    var acceptor = Acceptor()
    var ballot: Ballot?
    /// Until when this node resends the view it brought about to members that have not said they are in it.
    var confirmUntil = Int64.min
    /// When the clock last jumped by more than a failure time and nothing proved since that the node was not expelled.
    var resumedAt: Int64?
    var leaseEnd = Int64.min
    /// This node's keys are where the current view wants them.
    var isSettled = false
    /// Who owned what this node owns since the current view: it acts once they are all known to be in that view.
    var servedBefore: Set<MemberID> = []
    /// Seeds whose hosts refused a connection: no node listens there.
    var refusedSeeds: Set<String> = []
    /// As of the last sweep.
    var hearsMajority = true
    var lastTick: Int64
    var nextSweep: Int64
    var probeRound = 0
    var sequence: UInt64
    var refusalLogged: [String: Int64] = [:]
    var actions: [MembershipAction] = []

    /// A node that begins to join; nothing is sent before the first `tick`.
    package init(settings: MembershipSettings, identity: MemberIdentity, now: Int64) {
        self.settings = settings
        self.identity = identity
        phase = .joining(since: now, isFresh: true)
        contacts = settings.seeds.filter { $0 != identity.address }.map { ($0, now) }
        joinedFrom = identity.incarnation
        highestNumber = settings.lastEpochNumber
        lastTick = now
        nextSweep = now
        // Above every sequence of an earlier run: a run sends fewer than a thousand messages a millisecond of its life.
        sequence = identity.incarnation &* 1000
    }

    /// The current view; nil while joining and once left or refused.
    package var view: View? {
        switch phase {
        case .member(let view), .leaving(let view, _): view
        case .joining, .left, .refused: nil
        }
    }

    package var epoch: Epoch { view?.epoch ?? .none }

    /// Until when this node may act as an owner and take writes unless a later event says otherwise; compare with the clock
    /// read afresh, since the node may have been stopped meanwhile.
    package var actingUntil: Int64 {
        guard case .member(let view) = phase, resumedAt == nil, servedBefore.allSatisfy({ hasEntered($0, view) }),
            acceptor.accepted?.member(identity.id) != nil || acceptor.accepted == nil
        else { return .min }
        // Alone and without a rule to ask others there is nobody to be outdated by.
        if settings.partitionRule == .everySide && view.members.count == 1 { return .max }
        return min(leaseEnd, lastTick + settings.failure)
    }

    /// Whether a former owner has ceased to act under the view before `view`: it is in `view`, or dead.
    private func hasEntered(_ id: MemberID, _ view: View) -> Bool {
        guard let index = peerIndex[id], peers[index].epoch < view.epoch, peers[index].state != .left else {
            return true
        }
        // One that seems dead may still hold a lease: the view without it comes when that is over.
        return settings.partitionRule == .everySide && peers[index].state == .dead
    }

    /// Whether this node may act as an owner at `now`.
    package func mayAct(now: Int64) -> Bool { now < actingUntil }

    /// All known nodes as this one sees them, view members first in age order, itself included.
    package var members: [Member] {
        let inView = view?.members ?? []
        var members = inView.map { identity in
            guard identity.id != self.identity.id else { return Member(identity: self.identity, state: .alive) }
            return Member(identity: identity, state: peerIndex[identity.id].map { peers[$0].state } ?? .alive)
        }
        for peer in peers where !peer.isMember && (peer.state == .dead || peer.state == .left) {
            members.append(Member(identity: peer.identity, state: peer.state))
        }
        return members
    }

    /// Time passed. Call every `settings.tickInterval`; much later calls are taken for a pause of this node.
    package mutating func tick(now: Int64) -> [MembershipAction] {
        precondition(now >= lastTick, "the clock went back")
        if now - lastTick > settings.failure / 2 { paused(now: now) }
        lastTick = now
        switch phase {
        case .left, .refused: return []
        case .joining, .member, .leaving: break
        }
        if now >= nextSweep || ballot != nil || now < confirmUntil || peers.contains(where: { $0.state == .suspect }) {
            sweep(now: now)
        }
        return drain()
    }

    /// A message came.
    package mutating func messageReceived(_ message: PeerMessage, now: Int64) -> [MembershipAction] {
        switch phase {
        case .left, .refused: return []
        case .joining, .member, .leaving: break
        }
        if let index = admitted(message, now: now) { handle(message, from: index, now: now) }
        return drain()
    }

    /// An operator names a peer's address: join it, or merge its cluster with this one. Rejoins after `left`.
    package mutating func connect(to address: String, now: Int64) -> [MembershipAction] {
        named.insert(address)
        if !contacts.contains(where: { $0.address == address }) { contacts.append((address, now)) }
        if case .left = phase { beginJoining(after: identity.incarnation, now: now) }
        return drain()
    }

    /// This node's keys are where the view of `epoch` wants them; of no meaning when the view has changed meanwhile.
    package mutating func settled(_ epoch: Epoch, now: Int64) -> [MembershipAction] {
        guard epoch == self.epoch, !isSettled else { return [] }
        isSettled = true
        nextSweep = now
        // The coordinator hears it at once.
        for index in peers.indices where peers[index].isMember { peers[index].nextHeartbeat = now }
        return drain()
    }

    /// The host at `address` refused a connection: nobody listens there. A member there is dead, as a node listens before it
    /// joins and until it has left; a seed there need not be waited for. Its lease still counts (`mayAccept`): what looks
    /// like a refusal may be a packet filter's.
    ///
    /// `incarnation`: of the run that the caller meant, 0 when it knows none; a later run is not gone.
    package mutating func connectionRefused(
        by address: String, incarnation: UInt64 = 0, now: Int64
    ) -> [MembershipAction] {
        if case .joining = phase, settings.seeds.contains(address) {
            refusedSeeds.insert(address)
            nextSweep = now
        }
        for index in peers.indices
        where peers[index].identity.address == address && peers[index].isMember
            && (incarnation == 0 || peers[index].identity.incarnation <= incarnation &+ Self.refutations)
        {
            become(.dead, index)
            nextSweep = now
        }
        return drain()
    }

    /// By how much an incarnation may have risen since a view named it: it rises by one with each refutation.
    private static let refutations: UInt64 = 64

    /// An operator declares the member at `address` dead. It is told to go; if it cannot be reached, the failure detector
    /// removes it. Returns no action when the address is no member's.
    package mutating func remove(address: String, now: Int64) -> [MembershipAction] {
        guard address != identity.address else { return leave(now: now) }
        for peer in peers where peer.identity.address == address && peer.isMember {
            send(.dismissal, to: address)
        }
        return drain()
    }

    /// This node goes; the caller has handed its keys over. `left` follows within a failure time.
    package mutating func leave(now: Int64) -> [MembershipAction] {
        beginLeaving(now: now)
        return drain()
    }

    private mutating func drain() -> [MembershipAction] {
        let drained = actions
        actions.removeAll(keepingCapacity: true)
        return drained
    }

    /// The node's own clock jumped: silence meanwhile says nothing about the others, and they may have gone on without it.
    private mutating func paused(now: Int64) {
        for index in peers.indices {
            let grace = now - settings.failure + 2 * settings.heartbeat
            peers[index].lastHeard = max(peers[index].lastHeard, grace)
            peers[index].lastContact = max(peers[index].lastContact, grace)
        }
        ballot = nil
        if now - lastTick >= settings.failure { resumedAt = now }
        nextSweep = now
    }
}
