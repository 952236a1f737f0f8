// Everything that can go wrong between a caller and a node, as one type. Expected outcomes (a miss, a lost race) are not
// in here: they are results.

/// Why a call has no result.
public enum CacheClientError: Error, Equatable, Sendable {
    /// The node answered with a JSON-RPC error.
    case rpc(RPCError)
    /// No connection could be made; nothing was sent.
    case unreachable(String)
    /// The connection broke while the call was in flight: a write may or may not have happened. Reads are sent again
    /// once before this is reported.
    case connectionLost(String)
    /// The deadline passed. With `wasSent` a write may still happen.
    case timedOut(after: Duration, wasSent: Bool)
    /// What answered does not speak the protocol; the text says how.
    case badReply(String)
    /// The answer has an HTTP status other than 200 and no JSON-RPC error in it.
    case httpStatus(Int)
    /// The reply is longer than `CacheClient.Configuration.maxReplyBytes`.
    case replyTooLarge(limitBytes: Int)
    /// `CacheClient.Configuration.maxWaiting` calls already wait for their turn; nothing was sent.
    case tooManyWaiting(limit: Int)
    /// The arguments cannot be sent, e.g. a text that is not JSON; nothing was sent.
    case invalidArgument(String)
    /// The calling task was cancelled; a write may still happen.
    case cancelled
    /// The client was shut down.
    case shutDown
}

/// A JSON-RPC error object.
public struct RPCError: Error, Equatable, Sendable {
    /// JSON-RPC's own (-32700…-32000) or the cache's (1000…1399).
    public var code: Int
    /// Constant for each code.
    public var message: String
    /// The `data` member: a JSON object as sent.
    public var data: JSONText?
    /// `data.retryable`: whether the same call may succeed later. False when the node did not say.
    public var isRetryable: Bool

    public init(code: Int, message: String, data: JSONText? = nil, isRetryable: Bool = false) {
        self.code = code
        self.message = message
        self.data = data
        self.isRetryable = isRetryable
    }
}

extension CacheClientError: CustomStringConvertible {
    /// One line for people.
    public var description: String {
        switch self {
        case .rpc(let error):
            let data = error.data.map { " \($0)" } ?? ""
            return "\(error.message) (\(error.code))\(data)"
        case .unreachable(let reason): return reason
        case .connectionLost(let reason): return "connection lost: \(reason)"
        case .timedOut(let duration, let wasSent):
            let ending = wasSent ? "no answer" : "not sent"
            return "timed out after \(duration.wholeMilliseconds) ms: \(ending)"
        case .badReply(let reason): return "not a cache node: \(reason)"
        case .httpStatus(let status): return "HTTP status \(status)"
        case .replyTooLarge(let limit): return "the reply is longer than \(limit) bytes"
        case .tooManyWaiting(let limit): return "\(limit) calls are waiting already"
        case .invalidArgument(let reason): return reason
        case .cancelled: return "cancelled"
        case .shutDown: return "the client is shut down"
        }
    }
}
