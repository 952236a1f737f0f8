// cache.get and cache.getMany: reading values, byte for byte as they were put.

import CacheStore
import JSONRPC
import Membership

/// Which members of an entry a reader asks for.
struct EntryFields: OptionSet {
    let rawValue: UInt16

    static let value = EntryFields(rawValue: 1 << 0)
    static let cas = EntryFields(rawValue: 1 << 1)
    static let timeToLive = EntryFields(rawValue: 1 << 2)
    static let bytes = EntryFields(rawValue: 1 << 3)
    static let storedBytes = EntryFields(rawValue: 1 << 4)
    static let hits = EntryFields(rawValue: 1 << 5)
    static let idle = EntryFields(rawValue: 1 << 6)
    static let owner = EntryFields(rawValue: 1 << 7)

    /// In the order of their bits.
    static let names: [StaticString] = ["value", "cas", "ttlMs", "bytes", "storedBytes", "hits", "idleMs", "owner"]
    static let usual: EntryFields = [.value, .cas]
}

enum CacheGet {
    static let fieldsSchema: StaticString = """
        {"type":"array","items":{"enum":["value","cas","ttlMs","bytes","storedBytes","hits","idleMs","owner"]}}
        """
    static let keySchema: StaticString = #"{"type":"string","minLength":1}"#
    static let casSchema: StaticString = #"{"type":"string","pattern":"^[0-9]{1,20}$"}"#
    static let resultSchema: StaticString = """
        {"type":"object","required":["found"],"properties":{"found":{"type":"boolean"},"value":{},\
        "cas":{"type":"string"},"notModified":{"const":true},"ttlMs":{"type":["integer","null"]},\
        "bytes":{"type":"integer"},"storedBytes":{"type":"integer"},"hits":{"type":"integer"},\
        "idleMs":{"type":"integer"},"owner":{"type":"string"}}}
        """

    static let one = RPCMethod(
        name: "cache.get",
        summary: "Reads a value; a miss is {found: false}.",
        parameters: [
            .required("key", keySchema, "The key."),
            .optional("fields", fieldsSchema, "What to return of the entry; value and cas when absent."),
            .optional("ifNoneMatch", casSchema, "Leaves the value out (notModified) when the entry has this cas."),
        ],
        resultSchema: resultSchema,
        placement: .owner,
        isAnsweredByCopies: true
    ) { context, arguments throws(MethodFailure) in
        guard let keyValue = arguments[0] else { throw MethodFailure(.invalidParams) }
        let request = try request(arguments, &context)
        let key = try context.key(keyValue, ParameterPath("key"))
        if try !answer(key, request, from: .storage, &context) { context.reply.append("{\"found\":false}") }
    }

    /// What of an entry is asked for.
    struct Request {
        var fields = EntryFields.usual
        /// The version the client has already.
        var known: UInt64?
    }

    /// Where an entry is looked for.
    enum Place {
        case storage
        case copies(of: MemberID)
    }

    static func request(
        _ arguments: borrowing BoundParameters, _ context: inout CallContext
    ) throws(MethodFailure) -> Request {
        var request = Request()
        if let list = arguments[1] { request.fields = try parseFields(list, &context) }
        if let version = arguments[2] { request.known = try context.version(version, ParameterPath("ifNoneMatch")) }
        return request
    }

    static let many = RPCMethod(
        name: "cache.getMany",
        summary: "Reads many values; the items come in the order of the keys.",
        parameters: [
            .required("keys", #"{"type":"array","items":{"type":"string","minLength":1}}"#, "The keys."),
            .optional("fields", fieldsSchema, "What to return of each entry; value and cas when absent."),
        ],
        resultSchema: #"{"type":"object","required":["items"],"properties":{"items":{"type":"array"}}}"#,
        placement: .ownersOfKeys
    ) { context, arguments throws(MethodFailure) in
        guard let keys = arguments[0] else { throw MethodFailure(.invalidParams) }
        var request = Request()
        if let list = arguments[1] { request.fields = try parseFields(list, &context) }
        try context.eachKey(of: keys) { key, context throws(MethodFailure) in
            if try !answer(key, request, from: .storage, &context) { context.reply.append("{\"found\":false}") }
        }
    }

    private static func parseFields(
        _ list: JSONValue, _ context: inout CallContext
    ) throws(MethodFailure) -> EntryFields {
        let path = ParameterPath("fields")
        guard list.kind == .array else { throw .invalid(path, "must be an array of field names") }
        var fields: EntryFields = []
        var cursor = JSONArrayCursor(context.body, list.slice)
        while let element = cursor.next() {
            let index = try context.option(
                element, of: EntryFields.names, path,
                "must name value, cas, ttlMs, bytes, storedBytes, hits, idleMs or owner")
            fields.insert(EntryFields(rawValue: 1 << UInt16(index)))
        }
        return fields
    }

    /// Writes the result object for one key; false, with nothing written, when there is no entry.
    ///
    /// Plain values and blocks for a gzip client are copied into the reply under the shard's lock; blocks that must be
    /// inflated are copied out first and inflated after it.
    @inline(__always)
    static func answer(
        _ key: CacheKey, _ request: Request, from place: Place, _ context: inout CallContext
    ) throws(MethodFailure) -> Bool {
        let (fields, known) = (request.fields, request.known)
        try context.checkReplySize()
        let mark = context.reply.mark
        let thread = context.thread
        var isComplete = false
        var hasBlocks = false
        func copy(_ entry: borrowing Entry) {
            if case .plain = entry.form, fields == .usual, entry.version != known {
                isComplete = true
                let (value, version) = (entry.value, entry.version)
                return context.reply.append(upTo: value.count + 64) { sink in
                    sink.append("{\"found\":true,\"value\":")
                    sink.append(bytes: value)
                    sink.append(",\"cas\":\"")
                    sink.append(decimal: version)
                    sink.append("\"}")
                }
            }
            context.reply.append("{\"found\":true")
            guard entry.version != known, fields.contains(.value) else { return }
            context.reply.append(",\"value\":")
            switch entry.form {
            case .plain:
                context.reply.append(bytes: entry.value)
            case .deflated(let originalBytes, let crc32):
                if context.reply.acceptsGzip {
                    context.reply.append(blocks: entry.value, originalBytes: originalBytes, crc32: crc32)
                } else {
                    thread.blocks.clear(minimumCapacity: 0)
                    thread.blocks.writeBytes(entry.value)
                    hasBlocks = true
                }
            }
        }
        let found: EntryFacts?
        switch place {
        case .storage: found = context.node.storage.read(key, now: context.now, copy)
        case .copies(let owner): found = context.node.near.read(key, owner: owner, now: context.now, copy)
        }
        guard let facts = found else { return false }
        guard !isComplete else { return true }
        if facts.version == known {
            context.reply.append(",\"notModified\":true,\"cas\":\"")
            context.reply.append(decimal: facts.version)
            context.reply.append("\"}")
            return true
        }
        if hasBlocks, case .deflated(let originalBytes, let crc32) = facts.form {
            let inflated = thread.blocks.withUnsafeReadableBytes { blocks in
                context.reply.append(
                    inflating: blocks, originalBytes: originalBytes, crc32: crc32, with: &thread.inflater)
            }
            guard inflated else {
                context.reply.rollBack(to: mark)
                throw MethodFailure(.internalError, .reason("the stored value is damaged"))
            }
        }
        var owner: String?
        if case .copies(let id) = place { owner = id.text }
        write(facts, fields, owner: owner, &context)
        return true
    }

    /// Writes the members after the value, and closes the object.
    private static func write(
        _ facts: EntryFacts, _ fields: EntryFields, owner: String?, _ context: inout CallContext
    ) {
        if fields.contains(.cas) {
            context.reply.append(",\"cas\":\"")
            context.reply.append(decimal: facts.version)
            context.reply.append("\"")
        }
        if fields.contains(.timeToLive) {
            context.reply.append(",\"ttlMs\":")
            if facts.expiresAt == .max {
                context.reply.append("null")
            } else {
                context.reply.append(decimal: max(facts.expiresAt - context.now, 0))
            }
        }
        if fields.contains(.bytes) {
            context.reply.append(",\"bytes\":")
            context.reply.append(decimal: Int64(facts.originalBytes))
        }
        if fields.contains(.storedBytes) {
            context.reply.append(",\"storedBytes\":")
            context.reply.append(decimal: Int64(facts.storedBytes))
        }
        if fields.contains(.hits) {
            context.reply.append(",\"hits\":")
            context.reply.append(decimal: Int64(facts.hits))
        }
        if fields.contains(.idle) {
            context.reply.append(",\"idleMs\":")
            context.reply.append(decimal: facts.idleMilliseconds)
        }
        if fields.contains(.owner) {
            context.reply.append(",\"owner\":")
            context.reply.appendJSONString(owner ?? context.node.nodeID)
        }
        context.reply.append("}")
    }
}
