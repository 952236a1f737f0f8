// What nodes ask of each other about copies: peer.replicate applies changes, peer.offer says which copies are wanted, and
// peer.flush removes everything up to a version. Only nodes can call these (POST /peer).

import CacheStore
import JSONRPC

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
        var cursor = JSONArrayCursor(context.body, list.slice)
        while let element = cursor.next() {
            try apply(element, path, &context)
            applied += 1
        }
        context.reply.append("{\"applied\":")
        context.reply.append(decimal: applied)
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
                let sequence = try source.withBlocks(of: hole) { blocks throws(MethodFailure) in
                    change.kind = .put(
                        blocks, .deflated(originalBytes: hole.originalBytes, crc32: hole.crc32))
                    return try context.node.storage.apply(change, now: context.now)
                }
                if context.node.copyHolders.changed(key.bytes) { context.node.cluster.tellCopyHolders() }
                context.node.operations.record(operation, outcome)
                return context.wrote(sequence: sequence)
            }
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
        parameters: [.required("items", #"{"type":"array"}"#, "Pairs of key and version.")],
        resultSchema: #"{"type":"object","properties":{"answers":{"type":"string"}}}"#
    ) { context, arguments throws(MethodFailure) in
        let path = ParameterPath("items")
        guard let list = arguments[0], list.kind == .array else { throw .invalid(path, "must be an array") }
        var isTrusted = false
        if case .peer(let trusted) = context.origin { isTrusted = trusted }
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
                isTrusted: isTrusted, now: context.now)
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
        isWrite: true, runsOffLoop: true
    ) { context, arguments throws(MethodFailure) in
        guard let value = arguments[0] else { throw MethodFailure(.invalidParams) }
        let version = try context.version(value, ParameterPath("version"))
        let (removed, sequence) = try context.node.storage.flush(upTo: version, now: context.now)
        context.node.near.clear()
        context.wrote(sequence: sequence)
        context.reply.append("{\"removed\":")
        context.reply.append(decimal: Int64(removed))
        context.reply.append("}")
    }

    static func writeRequest(version: UInt64, to text: inout ReplyBuffer) {
        text.append("{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"peer.flush\",\"params\":{\"version\":\"")
        text.append(decimal: version)
        text.append("\"}}")
    }
}

enum PeerTell {
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
