// Numbers a peer may send. Not authentication: that is the channel's.

extension PeerMessage {
    /// Whether every number leaves room to count on and survives JSON, whose numbers are exact up to 2^53; a message that is
    /// not within limits is dropped, since adding to its numbers could overflow.
    var isWithinLimits: Bool {
        [sender.incarnation, sequence, epoch.number].allSatisfy(Self.isWithinLimits) && content.isWithinLimits
            && sender.mirrors.count <= Self.maxMirrors
    }

    static let maxMirrors = 64

    static func isWithinLimits(_ number: UInt64) -> Bool { number < 1 << 53 }
}

extension PeerMessageContent {
    fileprivate var isWithinLimits: Bool {
        switch self {
        case .heartbeat(let heartbeat):
            PeerMessage.isWithinLimits(heartbeat.doubted) && PeerMessage.isWithinLimits(heartbeat.highestNumber)
        case .heartbeatReply(let reply): PeerMessage.isWithinLimits(reply.doubted)
        case .probeAnswer(_, let incarnation, let heardAgo):
            PeerMessage.isWithinLimits(incarnation) && heardAgo >= 0 && PeerMessage.isWithinLimits(UInt64(heardAgo))
        case .prepare(let epoch, let base): PeerMessage.isWithinLimits(epoch.number) && base.isWithinLimits
        case .promise(let epoch, let accepted):
            PeerMessage.isWithinLimits(epoch.number) && accepted?.isWithinLimits ?? true
        case .propose(let view, let base): view.isWithinLimits && base.isWithinLimits
        case .accepted(let epoch), .outdated(let epoch): PeerMessage.isWithinLimits(epoch.number)
        case .view(let view, _): view.isWithinLimits
        case .probeRequest, .leave, .dismissal, .refusal: true
        }
    }
}

extension View {
    fileprivate var isWithinLimits: Bool {
        PeerMessage.isWithinLimits(epoch.number)
            && members.allSatisfy {
                PeerMessage.isWithinLimits($0.incarnation) && $0.mirrors.count <= PeerMessage.maxMirrors
            }
    }
}
