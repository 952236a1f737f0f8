// The frame around calls between nodes: one JSON-RPC request with many inside, so that each exchange names cluster,
// protocol, sender and epoch once.
//
//     {"jsonrpc":"2.0","id":1,"method":"peer.calls","params":{"cluster":"default","protocol":1,"from":"2","epoch":7,
//      "clock":"117680064207323136","hop":1,"operations":[0,…],"calls":[{"jsonrpc":"2.0","id":…,"method":"cache.get","params":…},…]}}
//
//     {"jsonrpc":"2.0","id":1,"result":{"epoch":7,"clock":"117680064207323136","replies":[{"jsonrpc":"2.0","id":…,"result":…}, 1101, …]}}
//
// The inner calls are a client's own bytes: id, method and params as they were sent. Each reply is what the client gets, or
// the bare code of a call that was not carried out and may be tried again elsewhere. A call is forwarded once: whoever gets
// it by this frame carries it out or says that it is not the owner; `hop` above 1 is an error (1105).

import JSONRPC
import NIOCore

enum PeerEnvelope {
    /// The request for a batch of calls.
    static func request(_ calls: [PeerCall], node: NodeCore) -> ReplyBuffer {
        var buffer = ReplyBuffer(bytes: ByteBuffer(), acceptsGzip: true)
        buffer.append("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"peer.calls\",\"params\":{\"cluster\":")
        buffer.appendJSONString(node.configuration.network.cluster)
        buffer.append(",\"protocol\":")
        buffer.append(decimal: Int64(peerProtocolVersion))
        buffer.append(",\"from\":")
        buffer.appendJSONString(node.nodeID)
        buffer.append(",\"epoch\":")
        buffer.append(decimal: node.cluster.epochNumber)
        buffer.append(",\"clock\":\"")
        buffer.append(decimal: node.storage.clock.newest)
        buffer.append("\",\"hop\":1")
        if calls.contains(where: { $0.operation != 0 }) {
            buffer.append(",\"operations\":[")
            for (index, call) in calls.enumerated() {
                if index > 0 { buffer.append(",") }
                buffer.append("\"")
                buffer.append(decimal: call.operation)
                buffer.append("\"")
            }
            buffer.append("]")
        }
        buffer.append(",\"calls\":[")
        for (index, call) in calls.enumerated() {
            if index > 0 { buffer.append(",") }
            buffer.append(whole: call.text)
        }
        buffer.append("]}}")
        return buffer
    }

    /// Hands each call its part of the response.
    static func answer(_ calls: [PeerCall], with result: Result<PeerText, PeerFailure>, node: NodeCore) {
        switch result {
        case .failure(let failure):
            for call in calls { call.completion(.failure(failure)) }
        case .success(let text):
            let read = text.text.withUnsafeReadableBytes { replies(in: $0, count: calls.count, node: node) }
            switch read {
            case .replies(let values):
                for (call, value) in zip(calls, values) {
                    call.completion(.success(PeerReply(text: text, value: value)))
                }
            case .unreadable:
                for call in calls { call.completion(.failure(.lost)) }
            }
        }
    }

    private enum Read {
        case replies([JSONValue])
        case unreadable
    }

    private static func replies(in bytes: UnsafeRawBufferPointer, count: Int, node: NodeCore) -> Read {
        do throws(JSONError) {
            return try read(bytes, count: count, node: node)
        } catch {
            return .unreadable
        }
    }

    private static func read(
        _ bytes: UnsafeRawBufferPointer, count: Int, node: NodeCore
    ) throws(JSONError) -> Read {
        guard bytes.count <= Int32.max else { return .unreadable }
        var pull = JSONPull(bytes, maxDepth: maxPeerNestingLevels)
        try pull.enterObject()
        while let (name, hasEscapes) = try pull.nextName() {
            guard stringEquals(name, hasEscapes: hasEscapes, "result", in: bytes) else {
                _ = try pull.value()
                continue
            }
            try pull.enterObject()
            while let (name, hasEscapes) = try pull.nextName() {
                func isNamed(_ text: StaticString) -> Bool {
                    stringEquals(name, hasEscapes: hasEscapes, text, in: bytes)
                }
                if isNamed("replies") {
                    var values: [JSONValue] = []
                    values.reserveCapacity(count)
                    try pull.enterArray()
                    while try pull.nextElement() { values.append(try pull.value()) }
                    return values.count == count ? .replies(values) : .unreadable
                }
                let value = try pull.value()
                let number = integer(of: value, in: bytes)
                if isNamed("epoch"), let number, number > 0 { node.cluster.epochMet(UInt64(number)) }
                if isNamed("clock"), value.kind == .string {
                    node.observeClock(unsignedInteger(in: value.content.bytes(in: bytes)))
                }
            }
        }
        return .unreadable
    }
}

/// Looks members of an object up by name.
struct JSONMembers {
    private let object: JSONValue
    private let bytes: UnsafeRawBufferPointer

    init(_ object: JSONValue, in bytes: UnsafeRawBufferPointer) {
        self.object = object
        self.bytes = bytes
    }

    /// The first member of that name; nil when there is none or the value is no object. O(bytes).
    subscript(_ name: StaticString) -> JSONValue? {
        guard object.kind == .object else { return nil }
        var cursor = JSONObjectCursor(bytes, object.slice)
        while let member = cursor.next() {
            if stringEquals(member.name, hasEscapes: member.nameHasEscapes, name, in: bytes) { return member.value }
        }
        return nil
    }

    /// An integer member.
    func integer(_ name: StaticString) -> Int64? {
        self[name].flatMap { JSONRPC.integer(of: $0, in: bytes) }
    }

    /// An integer member that is not negative.
    func unsigned(_ name: StaticString) -> UInt64? {
        integer(name).flatMap { UInt64(exactly: $0) }
    }

    func boolean(_ name: StaticString) -> Bool? {
        switch self[name]?.kind {
        case .true: true
        case .false: false
        default: nil
        }
    }

    /// A string member, decoded.
    func string(_ name: StaticString) -> String? {
        self[name].flatMap { JSONRPC.string(of: $0, in: bytes) }
    }
}
