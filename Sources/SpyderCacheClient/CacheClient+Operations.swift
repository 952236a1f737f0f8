// The cache's methods with types on both sides, each one call. What goes over the wire is told in CacheCall.
//
// All of them throw CacheClientError as `call(method:params:timeout:)` does, and `badReply` for a result that lacks what
// the method promises.

extension CacheClient {
    /// The value of `key`, nil when there is none.
    public func get(_ key: String, timeout: Duration? = nil) async throws(CacheClientError) -> CacheItem? {
        try await self.reply(to: .get(key), timeout: timeout).outcome
    }

    /// Stores `value` under `key`.
    public func put(
        _ key: String,
        _ value: JSONText,
        options: PutOptions = PutOptions(),
        timeout: Duration? = nil
    ) async throws(CacheClientError) -> PutOutcome {
        let item = PutItem(key: key, value: value, options: options)
        return try await self.reply(to: .put(item), timeout: timeout).outcome
    }

    /// Deletes `key`, with `ifMatch` only when the stored value has that version.
    public func delete(
        _ key: String,
        ifMatch: CacheVersion? = nil,
        timeout: Duration? = nil
    ) async throws(CacheClientError) -> DeleteOutcome {
        try await self.reply(to: .delete(key, ifMatch: ifMatch), timeout: timeout).outcome
    }

    /// Lets `key` expire `timeToLive` from now; false when there is no such key.
    public func touch(
        _ key: String,
        timeToLive: Duration,
        timeout: Duration? = nil
    ) async throws(CacheClientError) -> Bool {
        try await self.reply(to: .touch(key, timeToLive: timeToLive), timeout: timeout).outcome
    }

    /// Adds `delta` to the integer under `key` and returns the sum; nil when there is no such key and no `initial`.
    ///
    /// - Parameters:
    ///   - initial: the value of a counter that does not exist yet; `delta` is not added to it.
    ///   - timeToLive: of a counter that is created by this call.
    public func incr(
        _ key: String,
        by delta: Int64 = 1,
        initial: Int64? = nil,
        timeToLive: Duration? = nil,
        timeout: Duration? = nil
    ) async throws(CacheClientError) -> CounterValue? {
        let call = CacheCall.incr(key, by: delta, initial: initial, timeToLive: timeToLive)
        return try await self.reply(to: call, timeout: timeout).outcome
    }

    /// The values of `keys` in their order, nil where there is none.
    public func getMany(_ keys: [String], timeout: Duration? = nil) async throws(CacheClientError) -> [CacheItem?] {
        try await self.reply(to: .getMany(keys), timeout: timeout).outcome
    }

    /// Stores every item; the outcomes are in the order of the items.
    public func putMany(_ items: [PutItem], timeout: Duration? = nil) async throws(CacheClientError) -> [PutOutcome] {
        try await self.reply(to: .putMany(items), timeout: timeout).outcome
    }

    /// Deletes every key; the outcomes are in the order of the keys.
    public func deleteMany(_ keys: [String], timeout: Duration? = nil) async throws(CacheClientError) -> [DeleteOutcome]
    {
        try await self.reply(to: .deleteMany(keys), timeout: timeout).outcome
    }

    /// Removes every key and returns how many there were.
    public func flush(timeout: Duration? = nil) async throws(CacheClientError) -> Int64 {
        try await self.reply(to: .flush, timeout: timeout).outcome
    }

    /// The node's counters as the JSON object it sent.
    public func stats(timeout: Duration? = nil) async throws(CacheClientError) -> JSONText {
        try await self.reply(to: .stats, timeout: timeout).outcome
    }
}
