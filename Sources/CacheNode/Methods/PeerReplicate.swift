// What nodes ask of each other about copies: peer.replicate applies changes, peer.offer says which copies are wanted, and
// peer.flush removes everything up to a version. Only nodes can call these (POST /peer).

import CacheStore
import JSONRPC
import NIOCore

enum PeerReplicate {
    static let one = RPCMethod(
        name: "peer.replicate",
        summary: "Applies changes that another node made; the newest version of a key wins.",
        parameters: [.required("records", #"{"type":"array"}"#, "The changes, as Replication.swift draws them.")],
        resultSchema: #"{"type":"object","properties":{"applied":{"type":"integer"}}}"#,
        isWrite: true
    ) { context, arguments throws(MethodFailure) in
        let path = ParameterPath("records")
        guard let list = arguments[0], list.kind == .array else { throw .invalid(path, "must be an array") }
        var applied: Int64 = 0
        var refused: Int64 = 0
        var cursor = JSONArrayCursor(context.body, list.slice)
        while let element = cursor.next() {
            do throws(MethodFailure) {
                try apply(element, path, &context)
                applied += 1
            } catch  where !error.code.retryable && error.code != .journalFailed {
                // One record that this node can never hold does not keep the others from it.
                refused += 1
            }
        }
        context.reply.append("{\"applied\":")
        context.reply.append(decimal: applied)
        context.reply.appendNextMember("refused", decimal: refused)
        context.reply.append("}")
    }

    private static func apply(
        _ element: JSONValue, _ path: ParameterPath, _ context: inout CallContext
    ) throws(MethodFailure) {
        guard element.kind == .array else { throw .invalid(path, "a record is an array") }
        var cursor = JSONArrayCursor(context.body, element.slice)
        guard let kind = cursor.next(), kind.kind == .string, let keyValue = cursor.next(),
            let versionValue = cursor.next(),
            let expiryValue = cursor.next(), let operationValue = cursor.next()
        else { throw .invalid(path, "a record has five or six elements") }
        let version = try context.version(versionValue, path)
        guard context.node.storage.clock.isPlausible(version) else { throw .invalid(path, "a version of the future") }
        let operation = try context.version(operationValue, path)
        let expiry = expiryValue.kind == .null ? Int64.max : try context.integer(expiryValue, path)
        let key = try context.key(keyValue, path)
        var change = ReplicatedChange(kind: .remove, key: key, version: version, wallExpiry: expiry)
        var outcome: OperationOutcome
        let name = kind.content.bytes(in: context.body)
        switch name.first {
        case UInt8(ascii: "r"): outcome = .removed
        case UInt8(ascii: "t"):
            outcome = .touched
            change.kind = .touch
        case UInt8(ascii: "p"), UInt8(ascii: "i"), UInt8(ascii: "c"):
            guard let value = cursor.next() else { throw .invalid(path, "a put has a value") }
            outcome = .put(version: version)
            if name.first != UInt8(ascii: "p"), let number = integer(of: value, in: context.body) {
                outcome = .counted(number, version: version, wasCreated: name.first == UInt8(ascii: "c"))
            }
            if let hole = context.hole(of: value), let source = context.source {
                guard hole.originalBytes <= context.limits.maxValueBytes else { throw MethodFailure(.valueTooLarge) }
                let sequence = try source.withBlocks(of: hole) { blocks throws(MethodFailure) in
                    guard context.thread.areIntact(blocks, hole) else {
                        throw .invalid(path, "a compressed value that does not inflate to what it says")
                    }
                    change.kind = .put(
                        blocks, .deflated(originalBytes: hole.originalBytes, crc32: hole.crc32))
                    return try context.node.storage.apply(change, now: context.now)
                }
                if context.node.copyHolders.changed(key.bytes) { context.node.cluster.tellCopyHolders() }
                context.node.operations.record(operation, outcome)
                return context.wrote(sequence: sequence)
            }
            guard value.slice.count <= context.limits.maxValueBytes else { throw MethodFailure(.valueTooLarge) }
            change.kind = .put(value.slice.bytes(in: context.body), .plain)
        default: throw .invalid(path, "a record is p, i, c, r or t")
        }
        context.wrote(sequence: try context.node.storage.apply(change, now: context.now))
        if context.node.copyHolders.changed(key.bytes) { context.node.cluster.tellCopyHolders() }
        context.node.operations.record(operation, outcome)
    }
}

enum PeerOffer {
    static let one = RPCMethod(
        name: "peer.offer",
        summary:
            "Says of each copy that another node holds whether this one has it, wants it, or knows it to be stale.",
        parameters: [
            .required("items", #"{"type":"array"}"#, "Pairs of key and version."),
            .optional("vouched", #"{"type":"boolean"}"#, "Up-to-date members have found them current."),
        ],
        resultSchema: #"{"type":"object","properties":{"answers":{"type":"string"}}}"#
    ) { context, arguments throws(MethodFailure) in
        let path = ParameterPath("items")
        guard let list = arguments[0], list.kind == .array else { throw .invalid(path, "must be an array") }
        guard case .peer(var standing) = context.origin else { throw MethodFailure(.forbidden) }
        if arguments[1]?.kind == .true { standing = .present }
        let table = context.thread.routing
        if case .unknown = standing, !table.isUpToDate(table.selfID) {
            // The sender believes otherwise, by another view: only one that has been there may call a copy stale.
            throw MethodFailure(.notReady, .reason("this node is joining itself"))
        }
        context.reply.append("{\"answers\":\"")
        var cursor = JSONArrayCursor(context.body, list.slice)
        while let element = cursor.next() {
            guard element.kind == .array else { throw .invalid(path, "an item is a pair") }
            var pair = JSONArrayCursor(context.body, element.slice)
            guard let keyValue = pair.next(), let versionValue = pair.next() else {
                throw .invalid(path, "an item is a pair")
            }
            let answer = context.node.storage.answer(
                offer: try context.key(keyValue, path), version: try context.version(versionValue, path),
                from: standing, now: context.now)
            context.reply.append(answer.letter)
        }
        context.reply.append("\"}")
    }
}

extension OfferAnswer {
    /// In peer.offer's answers.
    var letter: StaticString {
        switch self {
        case .held: "h"
        case .wanted: "w"
        case .stale: "s"
        }
    }

    init?(letter: UInt8) {
        switch letter {
        case UInt8(ascii: "h"): self = .held
        case UInt8(ascii: "w"): self = .wanted
        case UInt8(ascii: "s"): self = .stale
        default: return nil
        }
    }
}

enum PeerFlush {
    static let one = RPCMethod(
        name: "peer.flush",
        summary: "Removes every key whose version is not above the one given, as cache.flush does on all nodes.",
        parameters: [.required("version", CacheGet.casSchema, "Up to which version.")],
        resultSchema: #"{"type":"object","properties":{"removed":{"type":"integer"}}}"#,
        isWrite: true, answersLater: true
    ) { context, arguments throws(MethodFailure) in
        guard let value = arguments[0] else { throw MethodFailure(.invalidParams) }
        let version = try context.version(value, ParameterPath("version"))
        let storage = context.node.storage
        guard storage.clock.isPlausible(version) else {
            throw .invalid(ParameterPath("version"), "a version of the future")
        }
        context.wrote(sequence: try storage.beginFlush(upTo: version))
        context.node.near.clear()
        let pending = context.pendingMessage()
        let mark = context.reply.mark
        step(FlushWalk(version: version), pending, pending.addSlot(from: mark, to: mark, id: context.callID))
    }

    /// Removes some keys, then lets the event loop do other things.
    private static func step(_ walk: FlushWalk, _ pending: PendingMessage, _ slot: Int) {
        var walk = walk
        guard !pending.node.storage.flushStep(&walk, now: NodeClock.monotonicMilliseconds()) else {
            return pending.thread.loop.assumeIsolated().execute { [walk] in step(walk, pending, slot) }
        }
        var result = ReplyBuffer(bytes: ByteBuffer(), acceptsGzip: true)
        result.append("{\"removed\":")
        result.append(decimal: Int64(walk.removed))
        result.append("}")
        pending.settle(slot, .result(result))
    }

    static func writeRequest(version: UInt64, to text: inout ReplyBuffer) {
        text.append("{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"peer.flush\",\"params\":{\"version\":\"")
        text.append(decimal: version)
        text.append("\"}}")
    }
}

enum PeerTell {
    static let clock = RPCMethod(
        name: "peer.clock",
        summary: "Nothing but an answer: its frame says how far the node's clock is.",
        resultSchema: #"{"type":"object"}"#
    ) { context, _ throws(MethodFailure) in context.reply.append("{\"asked\":1}") }

    static func writeClockRequest(to text: inout ReplyBuffer) {
        text.append("{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"peer.clock\"}")
    }

    static let one = RPCMethod(
        name: "peer.tell",
        summary: "Takes a message of the membership protocol; any node may send one.",
        parameters: [.required("message", #"{"type":"object"}"#, "As MembershipCodec.swift draws it.")],
        resultSchema: #"{"const":true}"#
    ) { context, arguments throws(MethodFailure) in
        guard let value = arguments[0], let message = MembershipCodec.message(value, in: context.body) else {
            throw .invalid(ParameterPath("message"), "is not a membership message")
        }
        context.node.cluster.messageReceived(message)
        context.reply.append("true")
    }
}
