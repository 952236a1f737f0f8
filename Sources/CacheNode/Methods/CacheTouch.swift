// cache.touch: a new time to live without moving the value.

import CacheStore
import JSONRPC

enum CacheTouch {
    static let one = RPCMethod(
        name: "cache.touch",
        summary: "Sets a key's time to live, or ends it with null.",
        parameters: [
            .required("key", CacheGet.keySchema, "The key."),
            .required("ttlMs", #"{"type":["integer","null"],"minimum":1}"#, "Time to live in ms; null: no expiry."),
        ],
        resultSchema: #"{"type":"object","required":["found"],"properties":{"found":{"type":"boolean"}}}"#,
        isWrite: true,
        placement: .owner
    ) { context, arguments throws(MethodFailure) in
        guard let keyValue = arguments[0], let ttl = arguments[1] else { throw MethodFailure(.invalidParams) }
        let expiry: PutExpiry =
            ttl.kind == .null ? .never : .at(try context.deadline(ttl, ParameterPath("ttlMs")))
        let key = try context.key(keyValue, ParameterPath("key"))
        let report = try context.node.storage.touch(key, expiry: expiry, now: context.now)
        context.wrote(sequence: report.sequence)
        if report.found {
            var expiresAt = Int64.max
            if case .at(let deadline) = expiry { expiresAt = deadline }
            context.node.operations.record(context.operation, .touched)
            context.changed(.touched, key, version: report.version, expiresAt: expiresAt)
        }
        context.reply.append(report.found ? "{\"found\":true}" : "{\"found\":false}")
    }
}
