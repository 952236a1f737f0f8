// cache.put and cache.putMany: storing values as their JSON text came, compressed where that saves enough.

import CacheStore
import Compression
import HashRing
import JSONRPC

/// A checked `cache.put`, ready to be applied.
private struct PutArguments {
    var key: CacheKey
    var value: JSONSlice
    var expiry: PutExpiry
    var condition: PutCondition
    var compression: CompressionChoice
}

/// The client's word on compressing a value.
private enum CompressionChoice: Int {
    /// At `compression.threshold` bytes or more, when it saves at least 10 %.
    case auto
    case never
    /// Whatever its size, when it saves anything at all.
    case always
}

extension [UInt8] {
    /// `withUnsafeBytes` for a body with a typed error.
    fileprivate func withBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try span.withUnsafeBytes(body)
    }
}

extension CallContext {
    /// Notes a put that stored.
    fileprivate mutating func stored(
        _ key: CacheKey, _ report: WriteReport, _ value: (bytes: UnsafeRawBufferPointer, form: StoredForm)
    ) {
        guard case .stored = report.outcome else { return }
        node.operations.record(operation, .put(version: report.version))
        changed(.put, key, version: report.version, expiresAt: report.expiresAt, value: value)
    }
}

enum CachePut {
    private static let parameters: [ParameterSpecification] = [
        .required("key", CacheGet.keySchema, "The key."),
        .required("value", "{}", "Any JSON value; its text is kept as sent."),
        .optional("ttlMs", #"{"type":"integer","minimum":1}"#, "Time to live in ms; absent: it does not expire."),
        .optional("mode", #"{"enum":["set","add","replace"]}"#, "add: only a new key; replace: only an existing one."),
        .optional("ifMatch", CacheGet.casSchema, "Stores only when the entry has this cas."),
        .optional("compress", #"{"enum":["auto","never","always"]}"#, "Overrides the node's compression threshold."),
    ]
    private static let itemSchema: StaticString = """
        {"type":"array","items":{"type":"object","required":["key","value"],"properties":{"key":{"type":"string"},\
        "value":{},"ttlMs":{"type":"integer"},"mode":{"enum":["set","add","replace"]},"ifMatch":{"type":"string"},\
        "compress":{"enum":["auto","never","always"]}}}}
        """

    static let one = RPCMethod(
        name: "cache.put",
        summary: "Stores a value; a condition that does not hold is {stored: false, reason}.",
        parameters: parameters,
        resultSchema: """
            {"type":"object","required":["stored"],"properties":{"stored":{"type":"boolean"},\
            "cas":{"type":"string"},"reason":{"enum":["exists","notFound","casMismatch"]}}}
            """,
        isWrite: true,
        placement: .owner
    ) { context, arguments throws(MethodFailure) in
        let put = try check(arguments, ParameterPath("key"), ParameterPath("value"), &context)
        let report = try store(put, &context)
        if case .memoryFull = report.outcome { throw MethodFailure(.memoryFull) }
        write(report, &context)
    }

    static let many = RPCMethod(
        name: "cache.putMany",
        summary: "Stores many values, each as cache.put does; all are checked before the first is stored.",
        parameters: [.required("items", itemSchema, "What to store; each item has the parameters of cache.put.")],
        resultSchema: #"{"type":"object","required":["items"],"properties":{"items":{"type":"array"}}}"#,
        isWrite: true,
        placement: .ownersOfItems
    ) { context, arguments throws(MethodFailure) in
        guard let items = arguments[0] else { throw MethodFailure(.invalidParams) }
        try context.checkedCount(of: items, ParameterPath("items"))
        try eachItem(of: items, &context) { _, _ in }
        context.reply.append("{\"items\":[")
        var isFirst = true
        try eachItem(of: items, &context) { put, context throws(MethodFailure) in
            if !isFirst { context.reply.append(",") }
            isFirst = false
            write(try store(put, &context), &context)
        }
        context.reply.append("]}")
    }

    private static func eachItem(
        of items: JSONValue, _ context: inout CallContext,
        _ body: (PutArguments, inout CallContext) throws(MethodFailure) -> Void
    ) throws(MethodFailure) {
        var index = 0
        var cursor = JSONArrayCursor(context.body, items.slice)
        while let item = cursor.next() {
            let path = ParameterPath("items", index: index)
            let arguments = try BoundParameters(object: item, at: path, to: parameters, in: context.body)
            let put = try check(
                arguments, ParameterPath("items", index: index, member: "key"),
                ParameterPath("items", index: index, member: "value"), &context)
            try body(put, &context)
            index += 1
        }
    }

    private static func check(
        _ arguments: borrowing BoundParameters, _ keyPath: ParameterPath, _ valuePath: ParameterPath,
        _ context: inout CallContext
    ) throws(MethodFailure) -> PutArguments {
        guard let keyValue = arguments[0], let value = arguments[1] else { throw MethodFailure(.invalidParams) }
        func sibling(_ name: StaticString) -> ParameterPath {
            keyPath.index == nil
                ? ParameterPath(name) : ParameterPath(keyPath.name, index: keyPath.index, member: name)
        }
        guard value.slice.count <= context.limits.maxValueBytes else {
            throw MethodFailure(
                .valueTooLarge,
                .limit(valuePath, limit: context.limits.maxValueBytes, actual: value.slice.count))
        }
        var expiry = PutExpiry.never
        if let ttl = arguments[2] { expiry = .at(try context.deadline(ttl, sibling("ttlMs"))) }
        var condition = PutCondition.always
        if let mode = arguments[3] {
            let choice = try context.option(
                mode, of: ["set", "add", "replace"], sibling("mode"), "must be set, add or replace")
            condition = [.always, .ifAbsent, .ifPresent][choice]
        }
        if let match = arguments[4] {
            guard case .always = condition else {
                throw .invalid(sibling("ifMatch"), "can't be combined with mode add or replace")
            }
            condition = .ifVersion(try context.version(match, sibling("ifMatch")))
        }
        var compression = CompressionChoice.auto
        if let choice = arguments[5] {
            let index = try context.option(
                choice, of: ["auto", "never", "always"], sibling("compress"), "must be auto, never or always")
            compression = CompressionChoice(rawValue: index) ?? .auto
        }
        return PutArguments(
            key: try context.key(keyValue, keyPath), value: value.slice, expiry: expiry, condition: condition,
            compression: compression)
    }

    /// Values up to this size are never compressed: deflate gains nothing, and counters stay plain.
    private static let leastBytes = 20

    /// Compresses the value where that pays, stores it and hands it to the journal in the same form.
    private static func store(
        _ put: PutArguments, _ context: inout CallContext
    ) throws(MethodFailure) -> WriteReport {
        let text = put.value.bytes(in: context.body)
        let thread = context.thread
        let now = context.now
        let storage = context.node.storage
        let settings = context.node.compression
        var maxOutput = 0
        switch put.compression {
        case .never: break
        case .auto where text.count <= Self.leastBytes, .always where text.count <= Self.leastBytes: break
        case .auto where settings.thresholdBytes == 0 || text.count < settings.thresholdBytes: break
        case .auto: maxOutput = text.count - (text.count + 9) / 10
        case .always: maxOutput = text.count - 1
        }
        var report: WriteReport
        if maxOutput > 0,
            thread.deflater.deflateBlocks(text, into: &thread.deflated, maxOutput: maxOutput) != nil
        {
            let form = StoredForm.deflated(originalBytes: UInt32(text.count), crc32: crc32(text))
            thread.counters.compressed(fromBytes: text.count, toBytes: thread.deflated.count)
            report = try thread.deflated.withBytes { blocks throws(MethodFailure) in
                let report = try storage.put(
                    put.key, blocks, form: form, expiry: put.expiry, condition: put.condition, now: now)
                context.stored(put.key, report, (blocks, form))
                return report
            }
        } else {
            report = try storage.put(
                put.key, text, form: .plain, expiry: put.expiry, condition: put.condition, now: now)
            context.stored(put.key, report, (text, .plain))
        }
        context.wrote(sequence: report.sequence)
        return report
    }

    /// The keys of a list of items.
    static func eachKey(
        of items: JSONValue, _ context: inout CallContext,
        _ body: (CacheKey, inout CallContext) throws(MethodFailure) -> Void
    ) throws(MethodFailure) {
        try eachItem(of: items, &context) { put, context throws(MethodFailure) in try body(put.key, &context) }
    }

    /// Checks a list of items and finds where each belongs in the cluster.
    static func places(of items: JSONValue, _ context: inout CallContext) throws(MethodFailure) -> [Gathering.Item] {
        try context.checkedCount(of: items, ParameterPath("items"))
        var places: [UInt64] = []
        try eachKey(of: items, &context) { key, _ in places.append(RingHash.hash(key.bytes)) }
        var found: [Gathering.Item] = []
        found.reserveCapacity(places.count)
        var cursor = JSONArrayCursor(context.body, items.slice)
        while let item = cursor.next(), found.count < places.count {
            found.append(Gathering.Item(text: item.slice, position: places[found.count]))
        }
        return found
    }

    /// Writes the result object of one put.
    private static func write(_ report: WriteReport, _ context: inout CallContext) {
        switch report.outcome {
        case .stored:
            context.reply.append(upTo: 48) { sink in
                sink.append("{\"stored\":true,\"cas\":\"")
                sink.append(decimal: report.version)
                sink.append("\"}")
            }
        case .exists(let version):
            context.reply.append("{\"stored\":false,\"reason\":\"exists\",\"cas\":\"")
            context.reply.append(decimal: version)
            context.reply.append("\"}")
        case .versionMismatch(let version):
            context.reply.append("{\"stored\":false,\"reason\":\"casMismatch\",\"cas\":\"")
            context.reply.append(decimal: version)
            context.reply.append("\"}")
        case .notFound:
            context.reply.append("{\"stored\":false,\"reason\":\"notFound\"}")
        case .memoryFull:
            context.reply.append("{\"stored\":false,\"reason\":\"memoryFull\"}")
        }
    }
}
