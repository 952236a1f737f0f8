// What the many-key methods and batches share: walking the list under its limits, and writing `{items: […]}`.

import JSONRPC

extension CallContext {
    /// Counts the elements of an array parameter; throws -32602 when it is none and -32010 over `max_batch`.
    func checkedCount(of list: JSONValue, _ path: ParameterPath) throws(MethodFailure) {
        guard list.kind == .array else { throw .invalid(path, "must be an array") }
        var count = 0
        var cursor = JSONArrayCursor(body, list.slice)
        while cursor.next() != nil { count += 1 }
        guard count <= limits.maxBatch else {
            throw MethodFailure(.batchTooLarge, .limit(path, limit: limits.maxBatch, actual: count))
        }
    }

    /// Writes `{"items":[…]}` with what `write` writes for each key of `list`, in order.
    ///
    /// All keys are checked before the first is acted on, so a bad one changes nothing.
    mutating func eachKey(
        of list: JSONValue,
        _ write: (CacheKey, inout CallContext) throws(MethodFailure) -> Void
    ) throws(MethodFailure) {
        try checkedCount(of: list, ParameterPath("keys"))
        var index = 0
        var check = JSONArrayCursor(body, list.slice)
        while let element = check.next() {
            _ = try key(element, ParameterPath("keys", index: index))
            index += 1
        }
        reply.append("{\"items\":[")
        index = 0
        var cursor = JSONArrayCursor(body, list.slice)
        while let element = cursor.next() {
            if index > 0 { reply.append(",") }
            try write(try key(element, ParameterPath("keys", index: index)), &self)
            index += 1
        }
        reply.append("]}")
    }

    /// Throws -32010 once the reply holds as much as one may: many calls can ask for more than the node could ever send.
    func checkReplySize() throws(MethodFailure) {
        guard reply.textBytes - replyStart <= limits.maxReplyBytes else {
            throw MethodFailure(
                .batchTooLarge,
                .limit(ParameterPath("reply"), limit: limits.maxReplyBytes, actual: reply.textBytes - replyStart))
        }
    }
}
