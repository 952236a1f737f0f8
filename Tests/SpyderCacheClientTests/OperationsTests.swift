// What each method puts on the wire and makes of the answer.

import SpyderCacheClient
import Testing

struct OperationsTests {
    /// Runs `call` against a node that answers `result`; returns the outcome and the method and params that were sent.
    private func exchange<Outcome: Sendable>(
        answering result: String,
        _ call: (CacheClient) async throws -> Outcome
    ) async throws -> (outcome: Outcome, sent: String) {
        let node = try await FakeNode { [.send(FakeNode.result(result, to: $0))] }
        let client = CacheClient(host: "127.0.0.1", port: node.port)
        let outcome = try await call(client)
        await client.shutDown()
        let body = try #require(node.requests.first).body
        let prefix = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":"
        #expect(body.hasPrefix(prefix))
        return (outcome, String(body.dropFirst(prefix.count).dropLast()))
    }

    @Test(arguments: ["0.1000", "1e400", "\"\\u00e9\"", "{\"a\": [1,2 ]}", "null", "-0", "\"\u{e9}\\\"\""])
    func `a value comes back exactly as the node sent it`(text: String) async throws {
        let (item, sent) = try await self.exchange(answering: "{\"found\":true,\"value\":\(text),\"cas\":\"77\"}") {
            try await $0.get("k")
        }
        #expect(item == CacheItem(value: try JSONText(text), version: CacheVersion(rawValue: 77)))
        #expect(item?.value.description == text)
        #expect(sent == #""cache.get","params":{"key":"k"}"#)
    }

    @Test func `a miss is no item`() async throws {
        let (item, sent) = try await self.exchange(answering: #"{"found":false}"#) { try await $0.get("a\"\n\u{e9}") }
        #expect(item == nil)
        #expect(sent == #""cache.get","params":{"key":"a\"\n"# + "\u{e9}\"}")
    }

    @Test func `a put sends only the options that are set`() async throws {
        let (outcome, sent) = try await self.exchange(answering: #"{"stored":true,"cas":"18446744073709551615"}"#) {
            try await $0.put("k", .string("v"))
        }
        #expect(outcome == .stored(CacheVersion(rawValue: .max)))
        #expect(sent == #""cache.put","params":{"key":"k","value":"v"}"#)
        let options = PutOptions(
            timeToLive: .seconds(1.0005), mode: .replace, ifMatch: CacheVersion(rawValue: 5), compression: .always)
        let (refused, longer) = try await self.exchange(answering: #"{"stored":false,"reason":"notFound"}"#) {
            try await $0.put("k", JSONText(" [1] "), options: options)
        }
        #expect(refused == .notStored(.notFound, version: nil))
        #expect(
            longer
                == #""cache.put","params":{"key":"k","value":[1],"ttlMs":1001,"mode":"replace","ifMatch":"5","#
                + #""compress":"always"}"#)
    }

    @Test(arguments: [
        (#"{"deleted":true}"#, DeleteOutcome.deleted),
        (#"{"deleted":false,"reason":"notFound"}"#, .notFound),
        (#"{"deleted":false}"#, .notFound),
        (#"{"deleted":false,"reason":"casMismatch","cas":"9"}"#, .casMismatch(CacheVersion(rawValue: 9))),
    ])
    func `a delete tells why nothing was deleted`(result: String, expected: DeleteOutcome) async throws {
        let (outcome, sent) = try await self.exchange(answering: result) {
            try await $0.delete("k", ifMatch: CacheVersion(rawValue: 8))
        }
        #expect(outcome == expected)
        #expect(sent == #""cache.delete","params":{"key":"k","ifMatch":"8"}"#)
    }

    @Test func `touch and incr send durations in milliseconds`() async throws {
        let (found, touch) = try await self.exchange(answering: #"{"found":true}"#) {
            try await $0.touch("k", timeToLive: .seconds(2))
        }
        #expect(found)
        #expect(touch == #""cache.touch","params":{"key":"k","ttlMs":2000}"#)
        let (count, incr) = try await self.exchange(
            answering: #"{"found":true,"value":-9223372036854775808,"cas":"3"}"#
        ) {
            try await $0.incr("k", by: -4, initial: 7, timeToLive: .milliseconds(1))
        }
        #expect(count == CounterValue(value: .min, version: CacheVersion(rawValue: 3)))
        #expect(incr == #""cache.incr","params":{"key":"k","delta":-4,"initial":7,"ttlMs":1}"#)
        let (missing, _) = try await self.exchange(answering: #"{"found":false}"#) { try await $0.incr("k") }
        #expect(missing == nil)
    }

    @Test func `many-key calls keep the order asked`() async throws {
        let items =
            #"{"items":[{"found":true,"value":1,"cas":"1"},{"found":false},{"found":true,"value":"x","cas":"2"}]}"#
        let (found, get) = try await self.exchange(answering: items) { try await $0.getMany(["a", "b", "c"]) }
        #expect(found.map { $0?.value.description } == ["1", nil, "\"x\""])
        #expect(get == #""cache.getMany","params":{"keys":["a","b","c"]}"#)

        let stored = #"{"items":[{"stored":true,"cas":"4"},{"stored":false,"reason":"memoryFull"}]}"#
        let (outcomes, put) = try await self.exchange(answering: stored) {
            try await $0.putMany([
                PutItem(key: "a", value: .integer(1)),
                PutItem(key: "b", value: .string("2"), options: PutOptions(mode: .add)),
            ])
        }
        #expect(outcomes == [.stored(CacheVersion(rawValue: 4)), .notStored(.memoryFull, version: nil)])
        #expect(
            put
                == #""cache.putMany","params":{"items":[{"key":"a","value":1},{"key":"b","value":"2","mode":"add"}]}"#)

        let deleted = #"{"items":[{"deleted":true},{"deleted":false,"reason":"notFound"}]}"#
        let (gone, delete) = try await self.exchange(answering: deleted) { try await $0.deleteMany(["a", "b"]) }
        #expect(gone == [.deleted, .notFound])
        #expect(delete == #""cache.deleteMany","params":{"keys":["a","b"]}"#)
    }

    @Test func `flush, stats and raw calls leave out params they do not have`() async throws {
        let (removed, flush) = try await self.exchange(answering: #"{"removed":12}"#) { try await $0.flush() }
        #expect(removed == 12)
        #expect(flush == #""cache.flush""#)
        let (stats, _) = try await self.exchange(answering: #"{ "currItems" : 1 }"#) { try await $0.stats() }
        #expect(stats.description == #"{ "currItems" : 1 }"#)
        let (raw, sent) = try await self.exchange(answering: "[1, 2]") {
            try await $0.call(method: "rpc.\"x\"", params: JSONText("[ 1 ]"))
        }
        #expect(raw.description == "[1, 2]")
        #expect(sent == #""rpc.\"x\"","params":[ 1 ]"#)
    }

    @Test(arguments: [
        "{}", "[]", "null", #"{"found":1}"#, #"{"found":true}"#, #"{"found":true,"value":1}"#,
        #"{"found":true,"value":1,"cas":5}"#, #"{"found":true,"value":1,"cas":"-5"}"#,
    ])
    func `a result of another shape is a bad reply`(result: String) async throws {
        let node = try await FakeNode { [.send(FakeNode.result(result, to: $0))] }
        let client = CacheClient(host: "127.0.0.1", port: node.port)
        let error = await failure { () async throws(CacheClientError) in try await client.get("k") }
        #expect(error == .badReply("the result lacks what the method promises"))
    }

    @Test func `a list of another length is a bad reply`() async throws {
        let node = try await FakeNode { [.send(FakeNode.result(#"{"items":[{"found":false}]}"#, to: $0))] }
        let client = CacheClient(host: "127.0.0.1", port: node.port)
        let error = await failure { () async throws(CacheClientError) in try await client.getMany(["a", "b"]) }
        #expect(error == .badReply("the result lacks what the method promises"))
    }
}
