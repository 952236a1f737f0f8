// cache.delete, cache.deleteMany and cache.flush: removing entries.

import CacheStore
import JSONRPC

enum CacheDelete {
    private static let resultSchema: StaticString = """
        {"type":"object","required":["deleted"],"properties":{"deleted":{"type":"boolean"},\
        "reason":{"enum":["notFound","casMismatch"]},"cas":{"type":"string"}}}
        """

    static let one = RPCMethod(
        name: "cache.delete",
        summary: "Deletes a key; one that is not there is {deleted: false}.",
        parameters: [
            .required("key", CacheGet.keySchema, "The key."),
            .optional("ifMatch", CacheGet.casSchema, "Deletes only when the entry has this cas."),
        ],
        resultSchema: resultSchema,
        isWrite: true,
        placement: .owner
    ) { context, arguments throws(MethodFailure) in
        guard let keyValue = arguments[0] else { throw MethodFailure(.invalidParams) }
        var match: UInt64?
        if let version = arguments[1] { match = try context.version(version, ParameterPath("ifMatch")) }
        try delete(try context.key(keyValue, ParameterPath("key")), ifVersion: match, &context)
    }

    static let many = RPCMethod(
        name: "cache.deleteMany",
        summary: "Deletes many keys; the items come in the order of the keys.",
        parameters: [
            .required("keys", #"{"type":"array","items":{"type":"string","minLength":1}}"#, "The keys.")
        ],
        resultSchema: #"{"type":"object","required":["items"],"properties":{"items":{"type":"array"}}}"#,
        isWrite: true,
        placement: .ownersOfKeys
    ) { context, arguments throws(MethodFailure) in
        guard let keys = arguments[0] else { throw MethodFailure(.invalidParams) }
        try context.eachKey(of: keys) { key, context throws(MethodFailure) in
            try delete(key, ifVersion: nil, &context)
        }
    }

    static let flush = RPCMethod(
        name: "cache.flush",
        summary: "Removes every key.",
        resultSchema: #"{"type":"object","required":["removed"],"properties":{"removed":{"type":"integer"}}}"#,
        isWrite: true,
        runsOffLoop: true,
        placement: .everyNode(sum: "removed")
    ) { context, _ throws(MethodFailure) in
        let (removed, sequence) = try context.node.storage.flush()
        context.wrote(sequence: sequence)
        context.reply.append("{\"removed\":")
        context.reply.append(decimal: Int64(removed))
        context.reply.append("}")
    }

    private static func delete(
        _ key: CacheKey, ifVersion: UInt64?, _ context: inout CallContext
    ) throws(MethodFailure) {
        let report = try context.node.storage.remove(key, ifVersion: ifVersion, now: context.now)
        context.wrote(sequence: report.sequence)
        switch report.outcome {
        case .removed:
            context.node.operations.record(context.operation, .removed)
            context.changed(.removed, key, version: report.version, expiresAt: .max)
        case .notFound:
            // What was evicted here may still be with a replica.
            context.changed(.removed, key, version: report.version, expiresAt: .max)
        case .versionMismatch: break
        }
        switch report.outcome {
        case .removed:
            context.reply.append("{\"deleted\":true}")
        case .notFound:
            context.reply.append("{\"deleted\":false,\"reason\":\"notFound\"}")
        case .versionMismatch(let version):
            context.reply.append("{\"deleted\":false,\"reason\":\"casMismatch\",\"cas\":\"")
            context.reply.append(decimal: version)
            context.reply.append("\"}")
        }
    }
}
