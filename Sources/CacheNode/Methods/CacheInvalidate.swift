// cache.invalidate: drops keys on every node that holds or caches them.

import HashRing
import JSONRPC

enum CacheInvalidate {
    static let one = RPCMethod(
        name: "cache.invalidate",
        summary: "Drops keys on every node that holds or caches them; says how many there were.",
        parameters: [
            .required("keys", #"{"type":"array","items":{"type":"string","minLength":1}}"#, "The keys.")
        ],
        resultSchema: """
            {"type":"object","required":["invalidated"],"properties":{"invalidated":{"type":"integer"}}}
            """,
        isWrite: true,
        placement: .everyNode(sum: "invalidated")
    ) { context, arguments throws(MethodFailure) in
        guard let list = arguments[0] else { throw MethodFailure(.invalidParams) }
        try context.checkedCount(of: list, ParameterPath("keys"))
        var index = 0
        var check = JSONArrayCursor(context.body, list.slice)
        while let element = check.next() {
            _ = try context.key(element, ParameterPath("keys", index: index))
            index += 1
        }
        var invalidated: Int64 = 0
        index = 0
        var cursor = JSONArrayCursor(context.body, list.slice)
        while let element = cursor.next() {
            let key = try context.key(element, ParameterPath("keys", index: index))
            index += 1
            context.node.near.drop(key.bytes, now: context.now)
            let position = RingHash.hash(key.bytes)
            guard try context.ownsKey(at: position) else { continue }
            context.beginChange(at: position)
            let report = try context.node.storage.remove(key, ifVersion: nil, now: context.now)
            context.wrote(sequence: report.sequence)
            context.changed(.removed, key, version: report.version, expiresAt: .max)
            if report.outcome == .removed { invalidated += 1 }
        }
        context.reply.append("{\"invalidated\":")
        context.reply.append(decimal: invalidated)
        context.reply.append("}")
    }
}
