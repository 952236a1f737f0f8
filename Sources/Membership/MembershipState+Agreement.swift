// How a view comes about: who proposes, who votes, and what counts as agreed. Paxos (Lamport, "Paxos Made Simple", 2001)
// with the members of the current view as acceptors, one decision for each next view.

extension MembershipState {
    /// Starts, repeats or ends what this node proposes.
    mutating func advanceMembership(now: Int64) {
        if let running = ballot, now >= running.deadline || running.base.epoch != epoch { ballot = nil }
        if ballot == nil {
            switch phase {
            case .joining: considerFirstView(now: now)
            case .member(let view): considerNextView(after: view, now: now)
            case .leaving(_, let deadline): repeatLeaving(deadline: deadline, now: now)
            case .left, .refused: return
            }
        } else if case .leaving(_, let deadline) = phase {
            repeatLeaving(deadline: deadline, now: now)
        }
        repeatBallot(now: now)
        confirmView(now: now)
    }

    private mutating func considerNextView(after view: View, now: Int64) {
        for older in view.members {
            if older.id == identity.id { break }
            if isAvailable(older, now: now) { return }
        }
        let wanted = wantedView(after: view, epoch: nextEpoch(), now: now)
        guard !wanted.hasSameMembers(as: view) || isUndecided, !wanted.members.isEmpty else { return }
        switch settings.partitionRule {
        case .everySide: install(wanted, isOwn: true, now: now)
        case .majority:
            let reachable = view.members.filter { $0.id == identity.id || isAvailable($0, now: now) }
            guard isQuorum(Set(reachable.map(\.id)), of: view, now: now) else { return }
            startBallot(base: view, now: now)
        }
    }

    /// Some member accepted a view whose proposer gave up; until that is settled those it leaves out get no grants.
    private var isUndecided: Bool {
        acceptor.accepted != nil || peers.contains { $0.isMember && $0.isUndecided && $0.state != .dead }
    }

    /// The view's members that are neither dead, gone nor restarted, and behind them the nodes that are joining.
    func wantedMembers(after base: View, now: Int64) -> [MemberIdentity] {
        var wanted = base.members.filter { $0.id == identity.id || isAvailable($0, now: now) }
        if view == nil { wanted.append(identity) }
        let joining = peers.filter { peer in
            peer.epoch == .none && peer.state == .alive && now - peer.lastHeard < settings.failure
                && !wanted.contains { $0.id == peer.identity.id }
        }
        wanted += joining.map(\.identity).sorted { $0.id < $1.id }
        // The first view has no age to go by; the lowest id proposes it and leads.
        if view == nil { wanted.sort { $0.id < $1.id } }
        return wanted
    }

    /// The next view as this node would have it: who stays serves as before, who is new waits until all are settled.
    func wantedView(after base: View, epoch: Epoch, now: Int64) -> View {
        let members = wantedMembers(after: base, now: now)
        let mirrors = View.mirrors(among: members, after: base)
        let stayed = Set(members.filter { base.member($0.id) == $0 }.map(\.id))
        let serving = base.serving.intersection(stayed).filter { mirrors[$0] == nil }
        // Nobody is left who has the keys, or all that is left has them.
        if serving.isEmpty || members == base.members && mirrors == base.mirrors && areAllSettled(in: base) {
            return View(epoch: epoch, members: members, mirrors: mirrors)
        }
        return View(epoch: epoch, members: members, serving: serving, mirrors: mirrors)
    }

    /// Whether every member has said that its keys are where `view`, the current one, wants them.
    private func areAllSettled(in view: View) -> Bool {
        isSettled
            && view.members.allSatisfy { member in
                member.id == identity.id || peerIndex[member.id].map { peers[$0].settledEpoch == view.epoch } ?? false
            }
    }

    /// Whether the run of a member that the view means is still there, as far as this node knows.
    func isAvailable(_ member: MemberIdentity, now: Int64) -> Bool {
        guard let index = peerIndex[member.id] else { return false }
        let peer = peers[index]
        switch peer.state {
        case .dead, .left: return false
        case .alive, .suspect: return peer.isMember && !peer.movedOn && !hasRestarted(peer, since: member)
        }
    }

    func hasRestarted(_ peer: Peer, since member: MemberIdentity) -> Bool {
        peer.epoch == .none && peer.identity.incarnation > member.incarnation
    }

    func nextEpoch() -> Epoch {
        let known = max(highestNumber, max(epoch.number, acceptor.promised.number))
        return Epoch(number: known + 1, proposer: identity.id)
    }

    mutating func startBallot(base: View, now: Int64) {
        let epoch = nextEpoch()
        acceptor.promised = epoch
        highestNumber = epoch.number
        var ballot = Ballot(epoch: epoch, base: base, deadline: now + settings.failure)
        ballot.step = .preparing(adopted: acceptor.accepted)
        ballot.votes = [identity.id]
        self.ballot = ballot
        advanceBallot(now: now)
    }

    /// More than half of the base voted with what they had promised in mind; or every member is accounted for, voters,
    /// restarted and gone ones together, so that nobody is left who could act under another view.
    func isQuorum(_ votes: Set<MemberID>, of base: View, now: Int64) -> Bool {
        // For the first view: of this node and its seeds, whose ids nobody knows yet.
        guard !base.members.isEmpty else { return votes.count >= (settings.seeds.count + 1) / 2 + 1 }
        let voted = base.members.count { votes.contains($0.id) }
        if voted >= base.majority { return true }
        return base.members.allSatisfy { member in
            guard !votes.contains(member.id) else { return true }
            guard let index = peerIndex[member.id] else { return false }
            let restarted =
                hasRestarted(peers[index], since: member) && now - peers[index].lastContact < settings.failure
            return peers[index].state == .left || restarted
        }
    }

    /// Moves to the next step once a quorum has answered this one.
    private mutating func advanceBallot(now: Int64) {
        guard var current = ballot, isQuorum(current.votes, of: current.base, now: now) else { return }
        switch current.step {
        case .preparing(let adopted):
            let wanted =
                adopted.map {
                    View(epoch: current.epoch, members: $0.members, serving: $0.serving, mirrors: $0.mirrors)
                }
                ?? wantedView(after: current.base, epoch: current.epoch, now: now)
            guard !wanted.members.isEmpty, adopted != nil || isUndecided || !wanted.hasSameMembers(as: current.base)
            else {
                ballot = nil
                return
            }
            current.step = .proposing(wanted)
            current.votes = []
            ballot = current
            voteForOwn(now: now)
            repeatBallot(now: now)
        case .proposing(let view):
            ballot = nil
            install(view, isOwn: true, now: now)
        }
    }

    /// This node's own vote follows the same rules as the others'; it may have to wait for a lease it granted.
    private mutating func voteForOwn(now: Int64) {
        guard case .proposing(let view)? = ballot?.step, let base = ballot?.base else { return }
        guard acceptor.promised == view.epoch, mayAccept(view, base: base, now: now) else { return }
        acceptor.accepted = view
        ballot?.votes.insert(identity.id)
        advanceBallot(now: now)
    }

    /// Sends the current step to all who have not answered; every tick, since messages get lost.
    private mutating func repeatBallot(now: Int64) {
        if case .proposing? = ballot?.step, ballot?.votes.contains(identity.id) == false { voteForOwn(now: now) }
        guard let ballot else { return }
        let content: PeerMessageContent =
            switch ballot.step {
            case .preparing: .prepare(epoch: ballot.epoch, base: ballot.base)
            case .proposing(let view): .propose(view: view, base: ballot.base)
            }
        for peer in peers where !ballot.votes.contains(peer.identity.id) {
            let isVoter = ballot.base.members.isEmpty ? peer.epoch == .none : peer.isMember && peer.state != .dead
            if isVoter { send(content, to: peer.identity.address) }
        }
    }

    /// Resends a view this node brought about to the members that do not say they are in it.
    private mutating func confirmView(now: Int64) {
        guard now < confirmUntil, let view else { return }
        for peer in peers where peer.isMember && peer.epoch < view.epoch {
            send(.view(view, inAnswer: false), to: peer.identity.address)
        }
    }

    /// Whether this node, to vote, is where the proposer believes it is; it catches up or helps the proposer to.
    private mutating func isVoter(in base: View, for index: Int, now: Int64) -> Bool {
        if base.epoch > lastEpoch, containsThisRun(base) { install(base, isOwn: false, now: now) }
        if let view, base.epoch < view.epoch {
            send(.view(view, inAnswer: true), to: peers[index].identity.address)
        }
        guard base.epoch == epoch else { return false }
        switch phase {
        case .joining(_, let isFresh): return isFresh
        case .member, .leaving: return true
        case .left, .refused: return false
        }
    }

    mutating func prepareReceived(epoch: Epoch, base: View, from index: Int, now: Int64) {
        guard isVoter(in: base, for: index, now: now) else { return }
        highestNumber = max(highestNumber, epoch.number)
        guard epoch >= acceptor.promised else {
            send(.outdated(promised: acceptor.promised), to: peers[index].identity.address)
            return
        }
        if let own = ballot, own.epoch < epoch { ballot = nil }
        acceptor.promised = epoch
        send(.promise(epoch: epoch, accepted: acceptor.accepted), to: peers[index].identity.address)
    }

    mutating func promised(epoch: Epoch, accepted: View?, from index: Int, now: Int64) {
        guard ballot?.epoch == epoch, case .preparing(let adopted)? = ballot?.step else { return }
        ballot?.votes.insert(peers[index].identity.id)
        if let accepted, accepted.epoch > adopted?.epoch ?? .none { ballot?.step = .preparing(adopted: accepted) }
        advanceBallot(now: now)
    }

    mutating func proposed(_ view: View, base: View, from index: Int, now: Int64) {
        guard isVoter(in: base, for: index, now: now) else { return }
        highestNumber = max(highestNumber, view.epoch.number)
        guard view.epoch >= acceptor.promised else {
            send(.outdated(promised: acceptor.promised), to: peers[index].identity.address)
            return
        }
        guard mayAccept(view, base: base, now: now) else { return }
        if let own = ballot, own.epoch < view.epoch { ballot = nil }
        acceptor.promised = view.epoch
        acceptor.accepted = view
        send(.accepted(epoch: view.epoch), to: peers[index].identity.address)
    }

    mutating func accepted(epoch: Epoch, from index: Int, now: Int64) {
        guard let current = ballot, current.epoch == epoch, case .proposing = current.step else { return }
        ballot?.votes.insert(peers[index].identity.id)
        advanceBallot(now: now)
    }

    mutating func outdated(promised: Epoch) {
        highestNumber = max(highestNumber, promised.number)
        if let current = ballot, current.epoch < promised { ballot = nil }
    }

    /// Keeps the promise that grants are: a member granted less than a failure time ago stays, unless it went on its own or
    /// its process is gone. It gets no further grant, so that the proposal goes through in the end.
    private mutating func mayAccept(_ view: View, base: View, now: Int64) -> Bool {
        var may = true
        for member in base.members where view.member(member.id) == nil {
            // Without this node itself: it ceases to act by accepting.
            guard let index = peerIndex[member.id], peers[index].isMember else { continue }
            if peers[index].state == .left || hasRestarted(peers[index], since: member) { continue }
            peers[index].withheldUntil = now + 2 * settings.failure
            if now - peers[index].grantedAt < settings.failure { may = false }
        }
        return may
    }
}
