// What a method sees while it answers one call. Lives on one thread, for one HTTP message.

import CacheStore
import Compression
import HashRing
import JSONRPC
import Membership
import NIOCore

/// The request being answered, the reply being written, and the thread's own tools.
struct CallContext {
    let node: NodeCore
    /// The thread's reusable buffers, (de)compressors and counters.
    let thread: ThreadState
    /// The whole request body; slices of the call index it.
    let body: UnsafeRawBufferPointer
    /// Monotonic milliseconds, read once a message.
    let now: Int64
    var reply: ReplyBuffer
    /// The newest journal sequence that this message's writes were given; the reply waits for it. Zero when none.
    var sequence: UInt64 = 0
    /// The message is a batch.
    var isBatch = false
    /// Who asks.
    var origin = CallOrigin.client
    /// The number another node gave the call, if it is a write; else 0.
    var operation: UInt64 = 0
    /// The buffer that `body` is the content of, where there is one.
    var bodyBuffer: ByteBuffer?
    /// The body with its holes, when another node sent it.
    var source: PeerText?
    /// Made when other nodes have to do with the message.
    var pending: PendingMessage?
    /// Of the call being answered; nil for a notification.
    var callID: JSONSlice?
    /// Where the reply to the call begins, when other nodes' calls are in front of it.
    var replyStart = 0
    /// What the call has changed.
    var records: [ReplicationRecord] = []
    /// Of the changes that the call may make.
    var tickets: [ChangesInDoubt.Ticket] = []
    /// What the message's calls have changed and other holders are to have before it is answered.
    var outgoing: [ReplicationRecord] = []

    var limits: RequestLimits { node.limits }

    /// Notes that the reply depends on a journal record.
    mutating func wrote(sequence: UInt64) {
        self.sequence = max(self.sequence, sequence)
    }
}

/// Who sent a call.
enum CallOrigin {
    case client
    /// Another node of the cluster, or this one on its behalf.
    case peer(HolderStanding)
}

/// A decoded key and its hash.
///
/// The bytes lie in the request body, or in the thread's key buffer when the key was sent with escapes: they are valid
/// until the next key of the same thread is decoded.
struct CacheKey {
    let bytes: UnsafeRawBufferPointer
    let hash: KeyHash
}

extension CallContext {
    /// Decodes a key; throws 1004 for an empty or too long one, -32602 for anything but a string.
    func key(_ value: JSONValue, _ path: ParameterPath) throws(MethodFailure) -> CacheKey {
        guard value.kind == .string else { throw .invalid(path, "must be a string") }
        let content = value.content.bytes(in: body)
        var bytes = content
        if value.hasEscapes {
            var sink = FixedSink(thread.keyBuffer)
            decodeString(value, in: body, into: &sink)
            guard !sink.overflowed else {
                throw MethodFailure(
                    .keyInvalid, .limit(path, limit: limits.maxKeyBytes, actual: content.count))
            }
            bytes = UnsafeRawBufferPointer(rebasing: thread.keyBuffer[..<sink.count])
        }
        guard !bytes.isEmpty else { throw MethodFailure(.keyInvalid, .parameter(path, "a key is not empty")) }
        guard bytes.count <= limits.maxKeyBytes else {
            throw MethodFailure(.keyInvalid, .limit(path, limit: limits.maxKeyBytes, actual: bytes.count))
        }
        return CacheKey(bytes: bytes, hash: node.storage.hash(bytes))
    }

    /// The stored form of a value that another node sent compressed; nil for one that is text.
    func hole(of value: JSONValue) -> PeerText.Hole? {
        guard value.kind == .null, let source, !source.holes.isEmpty else { return nil }
        return source.hole(at: value.slice)
    }

    /// Notes a change of the entry under `key`, to be sent to the key's other holders.
    mutating func changed(
        _ kind: ReplicatedKind, _ key: CacheKey, version: UInt64, expiresAt: Int64,
        value: (bytes: UnsafeRawBufferPointer, form: StoredForm)? = nil
    ) {
        if node.copyHolders.changed(key.bytes) { node.cluster.tellCopyHolders() }
        // By the routing as of now, after the change: a node that has begun to join meanwhile, or owns the key by now, must
        // have it.
        guard !thread.servesAlone else { return }
        let table = thread.routing
        let position = RingHash.hash(key.bytes)
        guard table.hasCopies || !table.isOwner(at: position) else { return }
        // A touch leaves the value as it is, and says nothing about whether holders have it.
        let isTouch = if case .touched = kind { true } else { false }
        records.append(
            ReplicationRecord(
                text: ReplicationCodec.record(
                    kind, key: key.bytes, version: version, wallExpiry: node.storage.wall(expiresAt),
                    operation: operation, value: value),
                position: position, version: isTouch ? 0 : version))
    }

    /// How this node stands to another one that offers copies or asks for something.
    func standing(of id: MemberID) -> HolderStanding { node.cluster.standing(of: id, in: thread.routing) }

    /// Decodes a version given as a decimal string.
    func version(_ value: JSONValue, _ path: ParameterPath) throws(MethodFailure) -> UInt64 {
        guard value.kind == .string, let version = unsignedInteger(in: value.content.bytes(in: body)) else {
            throw .invalid(path, "must be a version: a string of decimal digits")
        }
        return version
    }

    /// Decodes an integer within `range`.
    func integer(
        _ value: JSONValue, in range: ClosedRange<Int64> = .min ... .max, _ path: ParameterPath
    ) throws(MethodFailure) -> Int64 {
        guard value.kind == .number, let number = JSONRPC.integer(of: value, in: body) else {
            throw .invalid(path, "must be an integer")
        }
        guard range.contains(number) else { throw .invalid(path, "is out of range") }
        return number
    }

    /// The longest time to live: about 31,000 years.
    static let maxTimeToLiveMilliseconds: Int64 = 1_000_000_000_000_000

    /// Decodes a time to live in milliseconds into a deadline of the monotonic clock.
    func deadline(_ value: JSONValue, _ path: ParameterPath) throws(MethodFailure) -> Int64 {
        now + (try integer(value, in: 1...Self.maxTimeToLiveMilliseconds, path))
    }

    /// Finds a string parameter among named options; the index of the one that was given.
    func option(
        _ value: JSONValue, of names: [StaticString], _ path: ParameterPath, _ reason: StaticString
    ) throws(MethodFailure) -> Int {
        guard value.kind == .string else { throw .invalid(path, reason) }
        let content = JSONSlice(start: value.slice.start + 1, end: value.slice.end - 1)
        for index in names.indices
        where stringEquals(content, hasEscapes: value.hasEscapes, names[index], in: body) {
            return index
        }
        throw .invalid(path, reason)
    }
}
