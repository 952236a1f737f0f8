// Coming and going: who is let in, what happens when views meet, leaving, and refusals.

extension MembershipState {
    /// Checks a message's sender and finds its record; nil when the message is of no further use.
    mutating func admitted(_ message: PeerMessage, now: Int64) -> Int? {
        let sender = message.sender
        if case .refusal(let reason) = message.content {
            refusalReceived(reason, from: sender.address)
            return nil
        }
        guard message.cluster == settings.cluster else {
            refuse(sender, .otherCluster(expected: settings.cluster), now: now)
            return nil
        }
        guard message.protocolVersion == membershipProtocolVersion else {
            refuse(sender, .otherProtocol(expected: membershipProtocolVersion), now: now)
            return nil
        }
        guard sender.id != identity.id else {
            // The later of two starting nodes goes, and anyone before a member does.
            let isOurs = view != nil || identity.incarnation < sender.incarnation
            if sender.address != identity.address, isOurs {
                refuse(sender, .duplicateID(holder: identity.address), now: now, evenJoining: true)
            }
            return nil
        }
        guard let index = peerIndex[sender.id] else {
            peers.append(Peer(identity: sender, heardAt: now))
            peerIndex[sender.id] = peers.count - 1
            peers[peers.count - 1].epoch = message.epoch
            peers[peers.count - 1].lastSequence = message.sequence
            highestNumber = max(highestNumber, message.epoch.number)
            return peers.count - 1
        }
        return isCurrent(message, peer: index, now: now) ? index : nil
    }

    /// Whether the message is of the run this node knows or of a later one, and newer than the last.
    private mutating func isCurrent(_ message: PeerMessage, peer index: Int, now: Int64) -> Bool {
        let sender = message.sender
        let known = peers[index]
        if sender.address != known.identity.address, known.isMember, known.state == .alive || known.state == .suspect {
            // The id's holder may just have died and come back elsewhere: only a sign of life since the claim proves that
            // there are two.
            if let since = known.claimedSince, known.lastHeard > since, now - known.lastHeard < settings.suspicion {
                refuse(sender, .duplicateID(holder: known.identity.address), now: now)
            } else if known.claimedSince == nil || now - known.lastHeard >= settings.suspicion {
                peers[index].claimedSince = now
            }
            return false
        }
        guard sender.incarnation >= known.identity.incarnation else { return false }
        guard message.sequence > known.lastSequence else {
            // A heartbeat heard late says nothing; answers to a ballot are safe to hear in any order.
            if case .heartbeat = message.content { return false }
            if case .heartbeatReply = message.content { return false }
            return message.epoch == known.epoch && sender.incarnation == known.identity.incarnation
        }
        peers[index].lastSequence = message.sequence
        peers[index].epoch = message.epoch
        highestNumber = max(highestNumber, message.epoch.number)
        if sender.incarnation > known.identity.incarnation {
            peers[index].identity = sender
            peers[index].claimedSince = nil
            if message.epoch == .none {
                // Whatever it granted or was granted, it no longer holds to.
                peers[index].leaseFrom = .min / 2
                peers[index].grantedAt = .min / 2
            }
            // It has refuted, or it is a new run.
            if known.state == .dead || (known.state == .left && message.epoch == .none) {
                peers[index].lastHeard = now
                become(.alive, index)
            }
        }
        return true
    }

    mutating func handle(_ message: PeerMessage, from index: Int, now: Int64) {
        switch message.content {
        case .heartbeat(let heartbeat): heartbeatReceived(heartbeat, from: index, now: now)
        case .heartbeatReply(let reply): heartbeatReplied(reply, from: index, now: now)
        case .probeRequest(let target): probeRequested(target: target, from: index, now: now)
        case .probeAnswer(let target, let incarnation, let heardAgo):
            probeAnswered(target: target, incarnation: incarnation, heardAgo: heardAgo, now: now)
        case .prepare(let epoch, let base): prepareReceived(epoch: epoch, base: base, from: index, now: now)
        case .promise(let epoch, let accepted): promised(epoch: epoch, accepted: accepted, from: index, now: now)
        case .propose(let view, let base): proposed(view, base: base, from: index, now: now)
        case .accepted(let epoch): accepted(epoch: epoch, from: index, now: now)
        case .outdated(let promised): outdated(promised: promised)
        case .view(let view, let inAnswer): viewReceived(view, inAnswer: inAnswer, from: index, now: now)
        case .leave: if peers[index].isMember { become(.left, index) }
        case .dismissal: beginLeaving(now: now)
        case .refusal: break
        }
    }

    /// The lowest of the joining nodes in touch forms the first view once all seeds are there or a failure time has passed.
    mutating func considerFirstView(now: Int64) {
        guard case .joining(let since, let isFresh) = phase else { return }
        let members = wantedMembers(after: .none, now: now)
        guard members.first?.id == identity.id else { return }
        let formed = peers.contains { $0.epoch != .none && now - $0.lastContact < settings.failure }
        guard !formed, members.count > settings.seeds.count || now - since >= settings.failure else { return }
        switch settings.partitionRule {
        case .everySide:
            guard isFresh || now - since >= 2 * settings.failure || settings.seeds.isEmpty else { return }
            install(View(epoch: nextEpoch(), members: members), isOwn: true, now: now)
        case .majority:
            guard isFresh, isQuorum(Set(members.map(\.id)), of: .none, now: now) else { return }
            startBallot(base: .none, now: now)
        }
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

    mutating func beginJoining(after incarnation: UInt64, now: Int64) {
        identity.incarnation = max(identity.incarnation, incarnation) + 1
        joinedFrom = identity.incarnation
        phase = .joining(since: now, isFresh: false)
        acceptor.accepted = nil
        ballot = nil
        confirmUntil = .min
        resumedAt = nil
        leaseEnd = .min
        for index in peers.indices {
            peers[index].isMember = false
            peers[index].nextHeartbeat = now
        }
        nextSweep = now
    }

    mutating func beginLeaving(now: Int64) {
        switch phase {
        case .member(let view) where view.members.count > 1:
            phase = .leaving(view, deadline: now + settings.failure + 2 * settings.heartbeat)
            ballot = nil
            confirmUntil = .min
            nextSweep = now
            for peer in peers where peer.isMember { send(.leave, to: peer.identity.address) }
        case .member, .joining: finishLeaving()
        case .leaving, .left, .refused: break
        }
    }

    mutating func repeatLeaving(deadline: Int64, now: Int64) {
        guard now < deadline else {
            finishLeaving()
            return
        }
        for peer in peers where peer.isMember && peer.state != .dead { send(.leave, to: peer.identity.address) }
    }

    private mutating func finishLeaving() {
        phase = .left
        ballot = nil
        leaseEnd = .min
        for index in peers.indices { peers[index].isMember = false }
        actions.append(.left)
    }

    /// A member refuses whoever does not belong; a node that is joining itself has no say.
    private mutating func refuse(
        _ sender: MemberIdentity, _ reason: RefusalReason, now: Int64, evenJoining: Bool = false
    ) {
        if refusalLogged[sender.address].map({ now - $0 >= 60_000 }) ?? true {
            if refusalLogged.count >= 1000 { refusalLogged.removeAll() }
            refusalLogged[sender.address] = now
            actions.append(.peerRefused(sender, reason))
        }
        if view != nil || evenJoining { send(.refusal(reason), to: sender.address) }
    }

    private mutating func refusalReceived(_ reason: RefusalReason, from address: String) {
        if case .joining = phase {
            phase = .refused(reason)
            actions.append(.refused(reason, by: address))
        } else if named.contains(address) {
            named.remove(address)
            actions.append(.refusedByPeer(reason, by: address))
        }
    }

    mutating func send(_ content: PeerMessageContent, to address: String) {
        sequence += 1
        let message = PeerMessage(
            cluster: settings.cluster, protocolVersion: membershipProtocolVersion, sender: identity, sequence: sequence,
            epoch: epoch, content: content)
        actions.append(.send(message, to: address))
    }
}
