// cache.incr: a counter whose value is a JSON integer of 64 bits.

import CacheStore
import JSONRPC

enum CacheIncr {
    static let one = RPCMethod(
        name: "cache.incr",
        summary: "Adds to an integer value in one step; creates it as `initial` when that is given.",
        parameters: [
            .required("key", CacheGet.keySchema, "The key."),
            .optional("delta", #"{"type":"integer","default":1}"#, "What to add; negative counts down."),
            .optional("initial", #"{"type":"integer"}"#, "The value of a counter that is not there yet."),
            .optional("ttlMs", #"{"type":"integer","minimum":1}"#, "Time to live in ms of a counter created now."),
        ],
        resultSchema: """
            {"type":"object","required":["found"],"properties":{"found":{"type":"boolean"},\
            "value":{"type":"integer"},"cas":{"type":"string"},"created":{"const":true}}}
            """,
        isWrite: true,
        placement: .owner
    ) { context, arguments throws(MethodFailure) in
        guard let keyValue = arguments[0] else { throw MethodFailure(.invalidParams) }
        var delta: Int64 = 1
        if let value = arguments[1] { delta = try context.integer(value, ParameterPath("delta")) }
        var initial: Int64?
        if let value = arguments[2] { initial = try context.integer(value, ParameterPath("initial")) }
        var expiry = PutExpiry.never
        if let ttl = arguments[3] { expiry = .at(try context.deadline(ttl, ParameterPath("ttlMs"))) }
        let key = try context.key(keyValue, ParameterPath("key"))
        let report = try context.node.storage.increment(
            key, by: delta, initial: initial, initialExpiry: expiry, now: context.now)
        context.wrote(sequence: report.sequence)
        switch report.outcome {
        case .missing:
            context.reply.append("{\"found\":false}")
        case .counted(let value, let wasCreated):
            context.node.operations.record(
                context.operation, .counted(value, version: report.version, wasCreated: wasCreated))
            Counters.withText(of: value) { text in
                context.changed(
                    .counted(wasCreated: wasCreated), key, version: report.version, expiresAt: report.expiresAt,
                    value: (text, .plain))
            }
            context.reply.append("{\"found\":true,\"value\":")
            context.reply.append(decimal: value)
            context.reply.append(",\"cas\":\"")
            context.reply.append(decimal: report.version)
            context.reply.append(wasCreated ? "\",\"created\":true}" : "\"}")
        }
    }
}
