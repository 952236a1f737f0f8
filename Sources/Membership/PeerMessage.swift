// What nodes tell each other about membership: plain values that the caller encodes. Every message is one-way; an answer is
// a message of its own. All may be lost, repeated and reordered.

/// Bumped when nodes of two versions could not understand each other.
package let membershipProtocolVersion = 1

/// A message and who sent it.
package struct PeerMessage: Sendable, Equatable {
    package var cluster: String
    package var protocolVersion: Int
    package var sender: MemberIdentity
    /// Rises with every message of a run and from run to run; older ones are no sign of life.
    package var sequence: UInt64
    /// The view the sender is in; `.none` while it is joining.
    package var epoch: Epoch
    package var content: PeerMessageContent

    package init(
        cluster: String, protocolVersion: Int, sender: MemberIdentity, sequence: UInt64, epoch: Epoch,
        content: PeerMessageContent
    ) {
        self.cluster = cluster
        self.protocolVersion = protocolVersion
        self.sender = sender
        self.sequence = sequence
        self.epoch = epoch
        self.content = content
    }
}

package enum PeerMessageContent: Sendable, Equatable {
    case heartbeat(Heartbeat)
    case heartbeatReply(HeartbeatReply)
    /// Asks whether the receiver hears `target`: an indirect probe.
    case probeRequest(target: MemberID)
    /// The sender itself heard `target` `heardAgo` milliseconds before it sent this.
    case probeAnswer(target: MemberID, incarnation: UInt64, heardAgo: Int64)
    /// Asks the members of `base` to take no part in lower epochs after it (Paxos phase 1a).
    case prepare(epoch: Epoch, base: View)
    /// Phase 1b; `accepted` is what the sender has accepted on top of its view and may have been agreed.
    case promise(epoch: Epoch, accepted: View?)
    /// Asks the members of `base` to accept `view` (phase 2a).
    case propose(view: View, base: View)
    /// Phase 2b.
    case accepted(epoch: Epoch)
    /// The sender promised a higher epoch.
    case outdated(promised: Epoch)
    /// An agreed view. `inAnswer`: the sender has just heard the receiver, so the way is open in both directions.
    case view(View, inAnswer: Bool)
    /// The sender goes; it hands over first.
    case leave
    /// An operator declared the receiver dead: it is to leave at once.
    case dismissal
    case refusal(RefusalReason)
}

package struct Heartbeat: Sendable, Equatable {
    /// The sender's clock, milliseconds; only echoed.
    package var sentAt: Int64
    /// False: the sender is deaf. It does not count as alive, or keys would stay with a node that cannot serve them.
    package var hearsMajority: Bool
    /// The incarnation of the receiver that the sender doubts, 0 for none; the receiver answers with a higher one.
    package var doubted: UInt64
    /// The highest epoch number the sender has met; the next view's is above it.
    package var highestNumber: UInt64
    /// The sender accepted a view that it does not know to be agreed; the coordinator has to settle it.
    package var isUndecided: Bool
    /// The sender's keys are where the view of the message's epoch wants them.
    package var isSettled: Bool

    package init(
        sentAt: Int64, hearsMajority: Bool, doubted: UInt64, highestNumber: UInt64, isUndecided: Bool, isSettled: Bool
    ) {
        self.isSettled = isSettled
        self.sentAt = sentAt
        self.hearsMajority = hearsMajority
        self.doubted = doubted
        self.highestNumber = highestNumber
        self.isUndecided = isUndecided
    }
}

package struct HeartbeatReply: Sendable, Equatable {
    /// `Heartbeat.sentAt` of the heartbeat that is answered.
    package var sentAt: Int64
    /// The sender will accept no view without the receiver for one failure time from now.
    package var granted: Bool
    package var hearsMajority: Bool
    package var doubted: UInt64
    /// As in `Heartbeat`.
    package var isSettled: Bool

    package init(sentAt: Int64, granted: Bool, hearsMajority: Bool, doubted: UInt64, isSettled: Bool) {
        self.isSettled = isSettled
        self.sentAt = sentAt
        self.granted = granted
        self.hearsMajority = hearsMajority
        self.doubted = doubted
    }
}

/// Why a node may not take part.
package enum RefusalReason: Sendable, Equatable {
    case otherCluster(expected: String)
    case otherProtocol(expected: Int)
    /// A living member at `holder` has the id.
    case duplicateID(holder: String)
}
