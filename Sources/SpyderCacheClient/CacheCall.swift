// The cache's methods as values: name, parameters, and how to read the result. The shapes are those of the node's OpenRPC
// document. Typed methods (CacheClient+Operations) and the command line, which also prints results as they came, share them.

import JSONRPC

/// A method with its parameters and the way to read its result.
package struct CacheCall<Outcome> {
    let method: String
    /// Changes nothing on the node, so it may be sent twice.
    let isRead: Bool
    /// Writes the parameters as one JSON object, or nothing.
    let writeParams: (inout RequestText) -> Void
    /// Nil when the result lacks what the method promises.
    let read: (JSONReader, JSONValue) -> Outcome?

    init(
        _ method: String,
        isRead: Bool = false,
        writeParams: @escaping (inout RequestText) -> Void = { _ in },
        read: @escaping (JSONReader, JSONValue) -> Outcome?
    ) {
        self.method = method
        self.isRead = isRead
        self.writeParams = writeParams
        self.read = read
    }
}

/// A result, as read and as sent.
package struct CacheReply<Outcome> {
    package let outcome: Outcome
    private let reply: RPCReply

    init(outcome: Outcome, reply: RPCReply) {
        self.outcome = outcome
        self.reply = reply
    }

    /// The result's text as the node sent it.
    package var text: JSONText { self.reply.read { $0.text(of: $1) } }
}

extension CacheClient {
    /// Makes a typed call. Throws as `call(method:params:timeout:)`, and `badReply` for a result of another shape.
    package func reply<Outcome>(
        to call: CacheCall<Outcome>,
        timeout: Duration? = nil
    ) async throws(CacheClientError) -> CacheReply<Outcome> {
        let reply = try await self.perform(
            call.method,
            isRead: call.isRead,
            timeout: timeout,
            writeParams: call.writeParams
        )
        return CacheReply(outcome: try reply.require(call.read), reply: reply)
    }
}

extension CacheCall where Outcome == CacheItem? {
    package static func get(_ key: String) -> Self {
        Self("cache.get", isRead: true) { request in
            request.object { $0.member("key", string: key) }
        } read: {
            $0.lookup($1).map(\.item)
        }
    }
}

extension CacheCall where Outcome == [CacheItem?] {
    package static func getMany(_ keys: [String]) -> Self {
        Self("cache.getMany", isRead: true) {
            $0.append(keys: keys)
        } read: {
            $0.items($1, count: keys.count) { $0.lookup($1) }?.map(\.item)
        }
    }
}

extension CacheCall where Outcome == PutOutcome {
    package static func put(_ item: PutItem) -> Self {
        Self("cache.put") {
            $0.append(item)
        } read: {
            $0.putOutcome($1)
        }
    }
}

extension CacheCall where Outcome == [PutOutcome] {
    package static func putMany(_ items: [PutItem]) -> Self {
        Self("cache.putMany") { request in
            request.object { $0.member("items") { $0.array(of: items) { $0.append($1) } } }
        } read: {
            $0.items($1, count: items.count) { $0.putOutcome($1) }
        }
    }
}

extension CacheCall where Outcome == DeleteOutcome {
    package static func delete(_ key: String, ifMatch: CacheVersion? = nil) -> Self {
        Self("cache.delete") { request in
            request.object {
                $0.member("key", string: key)
                if let ifMatch { $0.member("ifMatch", version: ifMatch) }
            }
        } read: {
            $0.deleteOutcome($1)
        }
    }
}

extension CacheCall where Outcome == [DeleteOutcome] {
    package static func deleteMany(_ keys: [String]) -> Self {
        Self("cache.deleteMany") {
            $0.append(keys: keys)
        } read: {
            $0.items($1, count: keys.count) { $0.deleteOutcome($1) }
        }
    }
}

extension CacheCall where Outcome == Bool {
    package static func touch(_ key: String, timeToLive: Duration) -> Self {
        Self("cache.touch") { request in
            request.object {
                $0.member("key", string: key)
                $0.member("ttlMs", integer: timeToLive.wholeMilliseconds)
            }
        } read: {
            $0.flag("found", of: $1)
        }
    }
}

extension CacheCall where Outcome == CounterValue? {
    package static func incr(_ key: String, by delta: Int64, initial: Int64?, timeToLive: Duration?) -> Self {
        Self("cache.incr") { request in
            request.object {
                $0.member("key", string: key)
                $0.member("delta", integer: delta)
                if let initial { $0.member("initial", integer: initial) }
                if let timeToLive { $0.member("ttlMs", integer: timeToLive.wholeMilliseconds) }
            }
        } read: {
            $0.counter($1).map(\.value)
        }
    }
}

extension CacheCall where Outcome == Int64 {
    package static var flush: Self {
        Self("cache.flush") { reader, result in
            reader.member("removed", of: result).flatMap { reader.integer($0) }
        }
    }
}

extension CacheCall where Outcome == JSONText {
    package static var stats: Self {
        Self("node.stats", isRead: true) { $0.text(of: $1) }
    }
}

extension RequestText {
    /// Writes the params of `cache.put`, which are also an item of `cache.putMany`.
    fileprivate mutating func append(_ item: PutItem) {
        self.object {
            $0.member("key", string: item.key)
            $0.member("value", json: item.value)
            if let timeToLive = item.options.timeToLive {
                $0.member("ttlMs", integer: timeToLive.wholeMilliseconds)
            }
            if let mode = item.options.mode { $0.member("mode", string: mode.rawValue) }
            if let ifMatch = item.options.ifMatch { $0.member("ifMatch", version: ifMatch) }
            if let compression = item.options.compression { $0.member("compress", string: compression.rawValue) }
        }
    }

    fileprivate mutating func append(keys: [String]) {
        self.object { $0.member("keys") { $0.array(of: keys) { $0.appendJSONString($1) } } }
    }
}
