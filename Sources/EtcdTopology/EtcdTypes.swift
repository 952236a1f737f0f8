// What etcd deals in, as far as membership needs it, and how a call can fail.

/// A lease: keys put under it go when it is not kept alive. Unique within one store.
struct LeaseID: Hashable, Sendable {
    let rawValue: Int64
}

/// A point in the history of one store; every change has its own. `none` (0) is before any: the key does not exist.
struct Revision: Hashable, Comparable, Sendable {
    let rawValue: Int64

    static let none = Revision(rawValue: 0)

    /// The one after this.
    var next: Revision { Revision(rawValue: rawValue == .max ? .max : rawValue + 1) }

    static func < (left: Revision, right: Revision) -> Bool { left.rawValue < right.rawValue }
}

/// Which store answered and how far it was.
struct StoreHeader: Equatable, Sendable {
    /// Derived from the members' URLs: a wiped store that is started in the same way has the same one.
    var clusterID: UInt64
    var revision: Revision
}

/// A key as it stands.
struct KeyValue: Equatable, Sendable {
    var key: String
    var value: [UInt8]
    /// When the key came into being; it stays through later puts.
    var createRevision: Revision
    var modRevision: Revision
    /// Nil when the key lasts.
    var lease: LeaseID?
}

/// One change of one key.
enum KeyEvent: Equatable, Sendable {
    case put(KeyValue)
    case deleted(key: String, at: Revision)
}

/// Writes that happen together, and only if all conditions hold.
struct Transaction: Equatable, Sendable {
    /// What has to be so.
    enum Condition: Equatable, Sendable {
        /// The key was created at this revision; `.none`: it does not exist.
        case created(String, at: Revision)
        /// The key was last changed at this revision; `.none`: it does not exist.
        case modified(String, at: Revision)
    }

    /// What is written.
    enum Operation: Equatable, Sendable {
        case put(String, value: [UInt8], lease: LeaseID?)
        case delete(String)
    }

    var conditions: [Condition]
    var operations: [Operation]
}

/// Why a call has no result.
enum EtcdError: Error, Equatable, CustomStringConvertible {
    /// No connection, or it broke before the reply.
    case unreachable(String)
    case timedOut(milliseconds: Int64)
    /// etcd answered with an error; `code` is gRPC's.
    case refused(status: Int, code: Int64, message: String)
    /// The lease has ended or never was.
    case leaseNotFound
    /// The history from the revision asked for is no longer kept.
    case compacted
    case malformed(String)
    case tooLarge(limitBytes: Int)

    var description: String {
        switch self {
        case .unreachable(let reason): reason
        case .timedOut(let milliseconds): "no answer within \(milliseconds) ms"
        case .refused(let status, let code, let message): "HTTP \(status), code \(code): \(message)"
        case .leaseNotFound: "the lease has ended"
        case .compacted: "the history asked for has been compacted"
        case .malformed(let what): "not understood: \(what)"
        case .tooLarge(let limit): "an answer of more than \(limit) bytes"
        }
    }

    /// Whether another endpoint may do better: this one is out of reach or cannot work at the moment.
    var isEndpointsFault: Bool {
        switch self {
        case .unreachable, .timedOut, .malformed: true
        case .refused(let status, _, _): status >= 500
        case .leaseNotFound, .compacted, .tooLarge: false
        }
    }
}
