// One call from this node to another, and what can become of it. No behaviour.

import JSONRPC
import Membership

/// A node to call.
struct PeerTarget: Sendable, Hashable {
    let id: MemberID
    /// `host:port`.
    let address: String
    let incarnation: UInt64
    let host: String
    let port: Int

    /// nil when the address is none: a member's identity is another node's word.
    init?(_ member: MemberIdentity) {
        guard let (host, port) = PeerTarget.parse(member.address) else { return nil }
        id = member.id
        address = member.address
        incarnation = member.incarnation
        self.host = host
        self.port = port
    }

    /// A node of which only the address is known.
    init?(address: String) {
        self.init(MemberIdentity(id: MemberID(""), address: address, incarnation: 0))
    }

    /// Takes `host:port` or `[ipv6]:port` apart.
    private static func parse(_ address: String) -> (String, Int)? {
        guard let colon = address.lastIndex(of: ":"), let port = Int(address[address.index(after: colon)...]),
            (1...65535).contains(port)
        else { return nil }
        var host = address[..<colon]
        if host.hasPrefix("[") && host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        return host.isEmpty ? nil : (String(host), port)
    }
}

/// Which connections a call goes over. A call that makes its receiver call other nodes must never hold up one that does
/// not, or two nodes could wait for each other.
enum PeerLaneKind: Hashable, Sendable {
    /// Clients' writes for their owner, which wait for replicas, and batches.
    case calls
    /// Clients' reads: no replica that hangs holds them up.
    case reads
    /// Replicas, offers, invalidations: answered by the receiver alone.
    case data
    /// Offers and copies of hand-off, which may take long.
    case handoff
    /// What owners tell nodes that keep copies, and leases: in order.
    case changes
    /// Heartbeats and votes: nothing else may delay them.
    case membership

    /// Connections to one node from one event loop. Calls that come while all are busy go together when one is free.
    var maxConnections: Int {
        switch self {
        case .calls, .reads: 3
        case .data, .handoff: 2
        case .changes, .membership: 1
        }
    }
}

/// Why there is no answer.
enum PeerFailure: Error, Sendable, Equatable {
    /// The address refuses connections: no node listens there. Nothing was sent.
    case refused
    /// No connection, or it has no room for more. Nothing was sent.
    case unreachable
    /// It was sent; whether it was carried out is unknown.
    case lost
    /// No answer in time for this call or another of its exchange; whether it was carried out is unknown.
    case timedOut
}

/// An answer: one JSON value in what the other node sent.
struct PeerReply {
    let text: PeerText
    let value: JSONValue
}

/// A call under way. Confined to its event loop.
struct PeerCall {
    /// A JSON-RPC request object.
    var text: ReplyBuffer
    /// Marks a write, so that a repetition after a lost answer is recognised; 0 for none.
    var operation: UInt64 = 0
    /// The client's message it belongs to: the calls of one message to one node go in one exchange, so that they are carried
    /// out in their order.
    var message: ObjectIdentifier?
    /// Monotonic milliseconds.
    var deadline: Int64
    var completion: (Result<PeerReply, PeerFailure>) -> Void
}
