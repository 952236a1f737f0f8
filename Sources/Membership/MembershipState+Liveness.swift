// Failure detection: heartbeats, probes through others, refutation, and the leases that let a node act.

extension MembershipState {
    /// Everything that is due at `now`: judging peers, heartbeats, probes, leases and proposals.
    mutating func sweep(now: Int64) {
        nextSweep = now + settings.probeInterval
        probeRound &+= 1
        hearsMajority = isMajorityHeard(now: now)
        for index in peers.indices { judge(index, now: now) }
        for index in contacts.indices where now >= contacts[index].next {
            contacts[index].next = now + settings.heartbeat
            let address = contacts[index].address
            guard address != identity.address, !peers.contains(where: { $0.identity.address == address }) else {
                continue
            }
            send(.heartbeat(heartbeat(doubting: 0, now: now)), to: address)
        }
        updateLease(now: now)
        advanceMembership(now: now)
    }

    private func heartbeat(doubting doubted: UInt64, now: Int64) -> Heartbeat {
        Heartbeat(
            sentAt: now, hearsMajority: hearsMajority, doubted: doubted, highestNumber: highestNumber,
            isUndecided: acceptor.accepted != nil, isSettled: isSettled)
    }

    /// Moves a member through alive, suspect and dead, and sends what it is due.
    private mutating func judge(_ index: Int, now: Int64) {
        let peer = peers[index]
        let silence = now - peer.lastSign
        if peer.isMember {
            switch peer.state {
            case .alive where silence >= settings.suspicion: become(.suspect, index)
            case .suspect where silence >= settings.failure: become(.dead, index)
            case .alive, .suspect, .dead, .left: break
            }
        }
        // Who went on purpose comes back by its own heartbeats.
        guard now >= peers[index].nextHeartbeat, peer.isMember || peer.state != .left else { return }
        peers[index].nextHeartbeat = now + interval(peers[index], now: now)
        send(.heartbeat(heartbeat(doubting: peers[index].doubted, now: now)), to: peer.identity.address)
        if peers[index].isMember, peers[index].state == .suspect { probe(index, now: now) }
    }

    /// Suspects and members that have not granted for long are asked four times as often; nodes outside the view half as
    /// often: they are how the sides of a split find each other again.
    private func interval(_ peer: Peer, now: Int64) -> Int64 {
        switch (peer.isMember, peer.state) {
        case (true, .suspect): return settings.probeInterval
        case (true, .alive):
            return now - peer.leaseFrom > settings.suspicion && now - peer.lastHeard < settings.suspicion
                ? 2 * settings.probeInterval : settings.heartbeat
        case (false, _): return view == nil ? settings.heartbeat : 2 * settings.heartbeat
        case (true, .dead), (true, .left): return settings.heartbeat
        }
    }

    /// Asks three other members, in turn, whether they hear this one.
    private mutating func probe(_ index: Int, now: Int64) {
        let others = peers.indices.filter { $0 != index && peers[$0].isMember && peers[$0].state == .alive }
        guard !others.isEmpty else { return }
        for step in 0..<min(3, others.count) {
            let helper = others[(probeRound &* 3 &+ step &+ index) % others.count]
            send(.probeRequest(target: peers[index].identity.id), to: peers[helper].identity.address)
        }
    }

    mutating func heartbeatReceived(_ heartbeat: Heartbeat, from index: Int, now: Int64) {
        noteAlive(index, hears: heartbeat.hearsMajority, now: now)
        refute(heartbeat.doubted)
        highestNumber = max(highestNumber, heartbeat.highestNumber)
        peers[index].isUndecided = heartbeat.isUndecided && peers[index].epoch == epoch
        if heartbeat.isSettled { noteSettled(index, now: now) }
        let granted = grants(index, now: now)
        if granted { peers[index].grantedAt = now }
        let reply = HeartbeatReply(
            sentAt: heartbeat.sentAt, granted: granted, hearsMajority: hearsMajority,
            doubted: peers[index].doubted, isSettled: isSettled)
        send(.heartbeatReply(reply), to: peers[index].identity.address)
        if let view, peers[index].epoch != view.epoch {
            send(.view(view, inAnswer: true), to: peers[index].identity.address)
        }
    }

    mutating func heartbeatReplied(_ reply: HeartbeatReply, from index: Int, now: Int64) {
        noteAlive(index, hears: reply.hearsMajority, now: now)
        refute(reply.doubted)
        if reply.isSettled { noteSettled(index, now: now) }
        guard reply.granted, peers[index].epoch == epoch else { return }
        peers[index].leaseFrom = max(peers[index].leaseFrom, min(reply.sentAt, now))
    }

    mutating func probeRequested(target: MemberID, from index: Int, now: Int64) {
        guard let targetIndex = peerIndex[target] else { return }
        let peer = peers[targetIndex]
        let ago = now - peer.lastHeard
        if ago < settings.suspicion, peer.state == .alive || peer.state == .suspect {
            let answer = PeerMessageContent.probeAnswer(
                target: target, incarnation: peer.identity.incarnation, heardAgo: ago)
            send(answer, to: peers[index].identity.address)
        }
        // The one who asks will ask again within a probe interval; the answer will then be fresh.
        if ago > settings.probeInterval { peers[targetIndex].nextHeartbeat = now }
    }

    mutating func probeAnswered(target: MemberID, incarnation: UInt64, heardAgo: Int64, now: Int64) {
        guard let index = peerIndex[target], heardAgo >= 0, incarnation >= peers[index].identity.incarnation,
            peers[index].state == .suspect || peers[index].state == .alive
        else { return }
        peers[index].vouchedAt = max(peers[index].vouchedAt, now - heardAgo)
        if now - peers[index].lastSign < settings.suspicion, peers[index].state == .suspect { become(.alive, index) }
    }

    /// The sender's message is a sign of life; of a dead one only after it has refuted.
    private mutating func noteAlive(_ index: Int, hears: Bool, now: Int64) {
        peers[index].lastContact = now
        guard hears else { return }
        switch peers[index].state {
        case .dead where peers[index].isMember, .left: return
        case .alive, .suspect, .dead: break
        }
        peers[index].lastHeard = now
        if peers[index].state != .alive { become(.alive, index) }
    }

    /// The last one to settle lets the coordinator have the joining members serve, at once.
    private mutating func noteSettled(_ index: Int, now: Int64) {
        guard let view, peers[index].epoch == view.epoch, peers[index].settledEpoch != view.epoch else { return }
        peers[index].settledEpoch = view.epoch
        if view.hasJoining { nextSweep = now }
    }

    private mutating func refute(_ doubted: UInt64) {
        if doubted >= identity.incarnation { identity.incarnation = doubted + 1 }
    }

    mutating func become(_ state: MemberState, _ index: Int) {
        guard peers[index].state != state else { return }
        peers[index].state = state
        if state == .suspect { peers[index].nextHeartbeat = .min }
        actions.append(.memberBecame(state, peers[index].identity))
    }

    /// Whether to promise this member to accept no view without it for a failure time.
    private func grants(_ index: Int, now: Int64) -> Bool {
        let peer = peers[index]
        guard view != nil, peer.isMember, peer.epoch == epoch, now >= peer.withheldUntil else { return false }
        guard peer.state == .alive || peer.state == .suspect else { return false }
        return acceptor.accepted.map { $0.member(peer.identity.id) != nil } ?? true
    }

    /// Whether more than half of the view was in touch, deaf or not, within a failure time.
    private func isMajorityHeard(now: Int64) -> Bool {
        guard let view else { return true }
        var heard = 1
        for peer in peers where peer.isMember && now - peer.lastContact < settings.failure { heard += 1 }
        return heard >= view.majority
    }

    /// When the grants of a majority run out; and whether one proves that a paused node was not expelled.
    func majorityGrant(of view: View) -> Int64 {
        let needed = view.majority - 1
        guard needed > 0 else { return .max }
        let grants = peers.filter(\.isMember).map(\.leaseFrom).sorted(by: >)
        return grants.count >= needed ? grants[needed - 1] : .min
    }

    mutating func updateLease(now: Int64) {
        guard let view else {
            leaseEnd = .min
            return
        }
        let granted = majorityGrant(of: view)
        if let resumed = resumedAt {
            let byCoordinator = view.coordinator.flatMap { peerIndex[$0] }.map { peers[$0].leaseFrom } ?? .min
            if max(granted, byCoordinator) >= resumed { resumedAt = nil }
        }
        switch settings.partitionRule {
        case .everySide: leaseEnd = .max
        case .majority: leaseEnd = granted == .max || granted < 0 ? granted : granted + settings.lease
        }
    }
}
