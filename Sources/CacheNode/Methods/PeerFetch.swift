// Between owners and the nodes that keep copies of their entries (NearCache.swift tells how): peer.fetch, peer.changed,
// peer.lease.

import CacheStore
import JSONRPC
import Membership

enum PeerFetch {
    static let one = RPCMethod(
        name: "peer.fetch",
        summary: "Reads an entry whole, for a node that will keep a copy and is told when it changes.",
        parameters: [
            .required("key", CacheGet.keySchema, "The key."),
            .required("holder", #"{"type":"string"}"#, "Who keeps it."),
        ],
        resultSchema: #"{"type":"object"}"#, placement: .owner
    ) { context, arguments throws(MethodFailure) in
        guard let keyValue = arguments[0], let holderValue = arguments[1],
            let holder = string(of: holderValue, in: context.body)
        else { throw MethodFailure(.invalidParams) }
        let key = try context.key(keyValue, ParameterPath("key"))
        let ticket = context.node.copyHolders.register(key.bytes, MemberID(holder))
        var deadline = Int64.max
        let facts = context.node.storage.read(key, now: context.now) { entry in
            context.reply.append("{\"found\":true,\"value\":")
            switch entry.form {
            case .plain: context.reply.append(bytes: entry.value)
            case .deflated(let originalBytes, let crc32):
                context.reply.append(blocks: entry.value, originalBytes: originalBytes, crc32: crc32)
            }
            deadline = entry.expiresAt
        }
        if let facts {
            context.reply.append(",\"cas\":\"")
            context.reply.append(decimal: facts.version)
            context.reply.append("\"")
            if deadline != .max {
                context.reply.appendNextMember("expiry", decimal: context.node.storage.wall(deadline))
            }
            context.reply.appendNextMember("bytes", decimal: Int64(facts.originalBytes))
            context.reply.appendNextMember("storedBytes", decimal: Int64(facts.storedBytes))
        } else {
            context.reply.append("{\"found\":false")
        }
        context.reply.appendNextMember("owner", string: context.node.nodeID)
        context.reply.append(ticket)
        context.reply.append("}")
    }

    static let changed = RPCMethod(
        name: "peer.changed",
        summary: "Tells a node that keeps copies which of them are outdated.",
        parameters: [
            .required("owner", #"{"type":"string"}"#, "Who tells."),
            .required("stream", CacheGet.casSchema, "Which stream of messages."),
            .required("sequence", CacheGet.casSchema, "The message's number in it."),
            .required("keys", #"{"type":"array"}"#, "The keys."),
        ],
        resultSchema: #"{"const":true}"#
    ) { context, arguments throws(MethodFailure) in
        guard let ownerValue = arguments[0], let owner = string(of: ownerValue, in: context.body),
            let stream = arguments[1], let sequence = arguments[2], let list = arguments[3], list.kind == .array
        else { throw MethodFailure(.invalidParams) }
        let ticket = CopyTicket(
            stream: try context.version(stream, ParameterPath("stream")),
            sequence: try context.version(sequence, ParameterPath("sequence")))
        var keys: [[UInt8]] = []
        var cursor = JSONArrayCursor(context.body, list.slice)
        while let element = cursor.next() { keys.append(Array(try context.key(element, ParameterPath("keys")).bytes)) }
        context.node.near.changed(keys, from: MemberID(owner), ticket, now: context.now)
        context.reply.append("true")
    }

    static let lease = RPCMethod(
        name: "peer.lease",
        summary: "Says which message to a node that keeps copies was the last.",
        parameters: [.required("holder", #"{"type":"string"}"#, "Who asks.")],
        resultSchema: #"{"type":"object"}"#
    ) { context, arguments throws(MethodFailure) in
        guard let value = arguments[0], let holder = string(of: value, in: context.body) else {
            throw MethodFailure(.invalidParams)
        }
        guard context.node.cluster.isServing else { throw MethodFailure(.notReady) }
        context.reply.append("{\"owner\":")
        context.reply.appendJSONString(context.node.nodeID)
        context.reply.append(context.node.copyHolders.ticket(for: MemberID(holder)))
        context.reply.append("}")
    }
}

extension ReplyBuffer {
    /// Appends the members of a ticket.
    mutating func append(_ ticket: CopyTicket) {
        append(",\"stream\":\"")
        append(decimal: ticket.stream)
        append("\",\"sequence\":\"")
        append(decimal: ticket.sequence)
        append("\"")
    }
}

extension PeerReply {
    /// The ticket in a result; nil when there is none.
    var ticket: CopyTicket? {
        text.text.withUnsafeReadableBytes { bytes in
            guard let result = JSONMembers(value, in: bytes)["result"] else { return nil }
            let members = JSONMembers(result, in: bytes)
            func number(_ name: StaticString) -> UInt64? {
                members[name].flatMap {
                    $0.kind == .string ? unsignedInteger(in: $0.content.bytes(in: bytes)) : nil
                }
            }
            guard let stream = number("stream"), let sequence = number("sequence") else { return nil }
            return CopyTicket(stream: stream, sequence: sequence)
        }
    }
}
