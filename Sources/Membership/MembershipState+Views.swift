// Entering views: the first one, agreed ones as they are told, and which stays when two meet.

extension MembershipState {
    /// The lowest of the joining nodes in touch forms the first view once all seeds are there or a failure time has passed.
    mutating func considerFirstView(now: Int64) {
        guard case .joining(let since, let isFresh) = phase else { return }
        let members = wantedMembers(after: .none, now: now)
        guard members.first?.id == identity.id else { return }
        let formed = peers.contains { $0.epoch != .none && now - $0.lastContact < settings.failure }
        guard !formed, areSeedsAccountedFor(by: members) || now - since >= settings.failure else { return }
        switch settings.partitionRule {
        case .everySide:
            guard isFresh || now - since >= 2 * settings.failure || settings.seeds.isEmpty else { return }
            install(wantedView(after: .none, epoch: nextEpoch(), now: now), isOwn: true, now: now)
        case .majority:
            guard isFresh, isQuorum(Set(members.map(\.id)), of: .none, now: now) else { return }
            startBallot(base: .none, now: now)
        }
    }

    /// Whether nobody else can be there: every seed is met, or its host says that no node listens there.
    private func areSeedsAccountedFor(by members: [MemberIdentity]) -> Bool {
        let met = Set(members.map(\.address))
        return members.count > settings.seeds.count
            || settings.seeds.allSatisfy { met.contains($0) || refusedSeeds.contains($0) }
    }

    /// Whether the view means this run of this node, not an earlier one or one before it was expelled.
    func containsThisRun(_ view: View) -> Bool {
        view.member(identity.id).map { $0.incarnation >= joinedFrom } ?? false
    }

    mutating func viewReceived(_ received: View, inAnswer: Bool, from index: Int, now: Int64) {
        highestNumber = max(highestNumber, received.epoch.number)
        if containsThisRun(received) {
            if received.epoch > lastEpoch { install(received, isOwn: false, now: now) }
            return
        }
        guard let view else {
            for member in received.members where peerIndex[member.id] == nil && member.id != identity.id {
                learn(member)
            }
            return
        }
        guard view.epoch != received.epoch, inAnswer else { return }
        if case .leaving = phase {
            if received.epoch > view.epoch { finishLeaving() }
            return
        }
        if isReplaced(view, by: received) {
            actions.append(.expelled(by: received))
            beginJoining(after: received.member(identity.id)?.incarnation ?? 0, now: now)
            for member in received.members where peerIndex[member.id] == nil && member.id != identity.id {
                learn(member)
            }
        } else if peers[index].isMember, received.epoch > view.epoch {
            peers[index].movedOn = true
            nextSweep = now
        }
    }

    /// Whether this node gives up its view for one without it. Under the majority rule the later one was agreed after the
    /// other; else the larger side stays, so that one lost node does not dissolve a cluster. Members that the other view has
    /// taken over do not count for this one.
    private func isReplaced(_ view: View, by other: View) -> Bool {
        switch settings.partitionRule {
        case .majority: return other.epoch > view.epoch
        case .everySide:
            let own = view.members.count { other.member($0.id) == nil }
            return other.members.count != own ? other.members.count > own : other.epoch > view.epoch
        }
    }

    /// Enters a view. `isOwn`: this node brought it about and sees to it that the others hear of it.
    mutating func install(_ view: View, isOwn: Bool, now: Int64) {
        let previous = self.view
        precondition(view.epoch > lastEpoch, "an epoch never goes back")
        highestNumber = max(highestNumber, view.epoch.number)
        lastEpoch = view.epoch
        acceptor.accepted = nil
        acceptor.promised = max(acceptor.promised, view.epoch)
        ballot = nil
        let isMember = view.member(identity.id) != nil
        isSettled = false
        if let previous, !previous.serving.contains(identity.id), view.serving.contains(identity.id) {
            servedBefore = previous.serving.filter { $0 != identity.id && view.member($0) != nil }
        } else {
            servedBefore = []
        }
        var seen: Set<MemberID> = []
        for member in view.members where member.id != identity.id {
            seen.insert(member.id)
            learn(member)
        }
        for index in peers.indices where peers[index].isMember && !seen.contains(peers[index].identity.id) {
            peers[index].isMember = false
            if peers[index].state != .left { become(.dead, index) }
            if isOwn { send(.view(view, inAnswer: true), to: peers[index].identity.address) }
        }
        guard isMember else {
            guard case .leaving = phase else {
                // Others had agreed on it while this node was cut off, and it had to bring their decision about.
                actions.append(.expelled(by: view))
                return beginJoining(after: 0, now: now)
            }
            finishLeaving()
            return
        }
        if case .leaving(_, let deadline) = phase {
            phase = .leaving(view, deadline: deadline)
        } else {
            phase = .member(view)
        }
        for index in peers.indices where seen.contains(peers[index].identity.id) { enroll(index, now: now) }
        confirmUntil = isOwn ? now + settings.failure : .min
        updateLease(now: now)
        actions.append(.viewInstalled(view, previous: previous))
        nextSweep = now
        if isOwn {
            for peer in peers where peer.isMember { send(.view(view, inAnswer: false), to: peer.identity.address) }
        }
    }

    /// A peer of the new view; one that was not in the old starts with a clean slate.
    private mutating func enroll(_ index: Int, now: Int64) {
        peers[index].nextHeartbeat = now
        peers[index].withheldUntil = .min
        peers[index].movedOn = false
        peers[index].isUndecided = false
        guard !peers[index].isMember else { return }
        peers[index].isMember = true
        peers[index].claimedSince = nil
        peers[index].lastHeard = max(peers[index].lastHeard, now)
        peers[index].lastContact = max(peers[index].lastContact, now)
        peers[index].leaseFrom = .min / 2
        become(.alive, index)
    }

    /// Takes note of a member that a view names; a later run replaces an earlier one.
    private mutating func learn(_ member: MemberIdentity) {
        guard let index = peerIndex[member.id] else {
            peerIndex[member.id] = peers.count
            peers.append(Peer(identity: member, heardAt: nil))
            return
        }
        guard member.incarnation > peers[index].identity.incarnation else { return }
        peers[index].identity = member
        peers[index].isMember = false
    }
}
