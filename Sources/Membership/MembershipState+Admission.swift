// Coming and going: whose messages count, joining, leaving, and refusals.

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
        guard message.isWithinLimits else { return nil }
        guard sender.id != identity.id else {
            // The later of two starting nodes goes, and anyone before a member does.
            let isOurs = view != nil || identity.incarnation < sender.incarnation
            if sender.address != identity.address, isOurs {
                refuse(sender, .duplicateID(holder: identity.address), now: now, evenJoining: true)
            }
            return nil
        }
        guard let index = peerIndex[sender.id] else {
            // Ids are other nodes' words: a bound far above what a full mesh can serve.
            guard peers.count < Self.maxPeers else { return nil }
            peers.append(Peer(identity: sender, heardAt: now))
            peerIndex[sender.id] = peers.count - 1
            peers[peers.count - 1].epoch = message.epoch
            peers[peers.count - 1].lastSequence = message.sequence
            highestNumber = max(highestNumber, message.epoch.number)
            return peers.count - 1
        }
        return isCurrent(message, peer: index, now: now) ? index : nil
    }

    private static let maxPeers = 10_000

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

    mutating func finishLeaving() {
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
