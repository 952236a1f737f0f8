// The connection under load and under failure: pipelining, deadlines, loss, oversized and broken answers.

import NIOHTTP1
import SpyderCacheClient
import Synchronization
import Testing

struct ConnectionTests {
    private func client(_ node: FakeNode, _ change: (inout CacheClient.Configuration) -> Void = { _ in }) -> CacheClient
    {
        var configuration = CacheClient.Configuration(host: "127.0.0.1", port: node.port)
        configuration.timeout = .seconds(20)
        change(&configuration)
        return CacheClient(configuration)
    }

    @Test func `a request carries what the node checks`() async throws {
        let node = try await FakeNode { [.send(FakeNode.result("1", to: $0))] }
        let token = try BearerToken("s3cret")
        let client = self.client(node) { $0.token = token }
        _ = try await client.call(method: "m")
        let head = try #require(node.requests.first).head
        #expect(head.method == .POST && head.uri == "/rpc" && head.version == .http1_1)
        #expect(head.headers["Host"] == ["127.0.0.1:\(node.port)"])
        #expect(head.headers["Content-Type"] == ["application/json"])
        #expect(head.headers["Authorization"] == ["Bearer s3cret"])
    }

    @Test(arguments: ["", "a b", "a\r\nX: y", "\u{e9}"])
    func `a token that would break the header is refused`(text: String) {
        #expect(throws: CacheClientError.invalidArgument("a token is one or more visible ASCII characters")) {
            try BearerToken(text)
        }
    }

    @Test func `calls share one connection and keep to the limit in flight`() async throws {
        let limit = 8
        // Answers only when the pipeline is full, so a client that sent one at a time would wait for ever.
        let held = Mutex<[FakeNode.Request]>([])
        let longest = Mutex(0)
        let node = try await FakeNode { request in
            held.withLock { held in
                held.append(request)
                longest.withLock { $0 = max($0, held.count) }
                guard held.count == limit else { return [] }
                defer { held.removeAll() }
                return held.map { .send(FakeNode.result($0.id, to: $0)) }
            }
        }
        let client = self.client(node) { $0.maxInFlight = limit }
        let results = try await withThrowingTaskGroup(of: Int64?.self) { group in
            for _ in 0..<(limit * 25) { group.addTask { try await client.call(method: "m").integerValue } }
            return try await group.reduce(into: []) { $0.append($1 ?? 0) }
        }
        #expect(results.sorted() == Array(1...Int64(limit * 25)))
        #expect(longest.withLock { $0 } == limit)
        #expect(node.connectionCount == 1)
    }

    @Test(arguments: ["Content-Length", "chunked"])
    func `a reply may arrive byte by byte`(framing: String) async throws {
        let node = try await FakeNode { request in
            let whole = FakeNode.result(#"{"found":true,"value":"abc","cas":"1"}"#, to: request)
            guard framing == "chunked" else { return [.sendBytewise(whole)] }
            let body = whole.split(separator: "\r\n\r\n")[1]
            let (first, second) = (body.prefix(11), body.dropFirst(11))
            let chunks = "b\r\n\(first)\r\n" + String(second.count, radix: 16) + "\r\n\(second)\r\n0\r\n\r\n"
            return [.sendBytewise("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\(chunks)")]
        }
        let client = self.client(node)
        for _ in 0..<3 {
            #expect(try await client.get("k")?.value == .string("abc"))
        }
        #expect(node.connectionCount == 1)
    }

    @Test func `silence ends with the deadline and the next call has a connection of its own`() async throws {
        let node = try await FakeNode { request in
            let isSilent = request.connection == 1 && request.body.contains("silent")
            return isSilent ? [] : [.send(FakeNode.result(String(request.connection), to: request))]
        }
        let client = self.client(node)
        #expect(try await client.call(method: "m").integerValue == 1)
        let late = await failure { () async throws(CacheClientError) in
            try await client.call(method: "silent", timeout: .milliseconds(30))
        }
        #expect(late == .timedOut(after: .milliseconds(30), wasSent: true))
        #expect(try await client.call(method: "m").integerValue == 2)
    }

    @Test func `a call that never had its turn says that it was not sent`() async throws {
        let arrived = AsyncStream.makeStream(of: Void.self)
        let node = try await FakeNode { _ in
            arrived.continuation.yield()
            return []
        }
        let client = self.client(node) { $0.maxInFlight = 1 }
        let first = Task { await failure { () async throws(CacheClientError) in try await client.call(method: "m") } }
        var arrivals = arrived.stream.makeAsyncIterator()
        await arrivals.next()
        let second = await failure { () async throws(CacheClientError) in
            try await client.call(method: "m", timeout: .milliseconds(30))
        }
        #expect(second == .timedOut(after: .milliseconds(30), wasSent: false))
        #expect(node.requests.count == 1)
        await client.shutDown()
        #expect(await first.value == .shutDown)
    }

    @Test func `a cancelled call leaves the connection in step`() async throws {
        let arrived = AsyncStream.makeStream(of: Void.self)
        let held = Mutex<FakeNode.Request?>(nil)
        let node = try await FakeNode { request in
            guard let first = held.withLock({ $0 }) else {
                held.withLock { $0 = request }
                arrived.continuation.yield()
                return []
            }
            return [.send(FakeNode.result("1", to: first)), .send(FakeNode.result("2", to: request))]
        }
        let client = self.client(node)
        let task = Task { await failure { () async throws(CacheClientError) in try await client.call(method: "m") } }
        var arrivals = arrived.stream.makeAsyncIterator()
        await arrivals.next()
        task.cancel()
        #expect(await task.value == .cancelled)
        #expect(try await client.call(method: "m").integerValue == 2)
        #expect(node.connectionCount == 1)
    }

    @Test func `a write whose connection broke is reported, a read is sent again once`() async throws {
        let node = try await FakeNode {
            $0.connection.isMultiple(of: 2) ? [.send(FakeNode.result("{}", to: $0))] : [.close]
        }
        let client = self.client(node)
        let lost = await failure { () async throws(CacheClientError) in try await client.put("k", .integer(1)) }
        #expect(lost == .connectionLost("closed by the node"))
        #expect(node.requests.count == 1)
        _ = try await client.call(method: "m")
        // On connection 2 still; then the node goes away for good.
        let closing = try await FakeNode { _ in [.close] }
        let unlucky = self.client(closing)
        let twice = await failure { () async throws(CacheClientError) in try await unlucky.get("k") }
        #expect(twice == .connectionLost("closed by the node"))
        #expect(closing.requests.count == 2)
        let flaky = try await FakeNode { request in
            request.connection == 1 ? [.close] : [.send(FakeNode.result(#"{"found":false}"#, to: request))]
        }
        #expect(try await self.client(flaky).get("k") == nil)
        #expect(flaky.connectionCount == 2)
    }

    @Test func `a reply that announces the close is delivered and the next call connects again`() async throws {
        let node = try await FakeNode {
            [.send(FakeNode.result(String($0.connection), to: $0, headers: "Connection: close\r\n")), .close]
        }
        let client = self.client(node)
        for expected: Int64 in 1...3 {
            #expect(try await client.call(method: "m").integerValue == expected)
        }
    }

    @Test func `a reply cut short is a lost connection`() async throws {
        let node = try await FakeNode { [.send(String(FakeNode.result("1", to: $0).dropLast(3))), .close] }
        let client = self.client(node)
        let error = await failure { () async throws(CacheClientError) in try await client.call(method: "m") }
        #expect(error == .connectionLost("closed in the middle of a reply"))
    }

    @Test func `a reply over the limit costs its connection alone`() async throws {
        let node = try await FakeNode { request in
            let result = request.connection == 1 ? "\"\(String(repeating: "x", count: 5000))\"" : "1"
            return [.send(FakeNode.result(result, to: request))]
        }
        let client = self.client(node) { $0.maxReplyBytes = 4096 }
        let error = await failure { () async throws(CacheClientError) in try await client.call(method: "m") }
        #expect(error == .replyTooLarge(limitBytes: 4096))
        #expect(try await client.call(method: "m").integerValue == 1)
    }

    @Test func `a refused connection fails what waits at once`() async throws {
        let node = try await FakeNode { _ in [] }
        try await node.stop()
        let client = self.client(node)
        let error = await failure { () async throws(CacheClientError) in try await client.get("k") }
        #expect(error == .unreachable("127.0.0.1:\(node.port): Connection refused"))
    }

    @Test func `one call too many is refused, not queued`() async throws {
        let arrived = AsyncStream.makeStream(of: Void.self)
        let node = try await FakeNode { _ in
            arrived.continuation.yield()
            return []
        }
        let client = self.client(node) {
            $0.maxInFlight = 1
            $0.maxWaiting = 1
        }
        let onTheWire = Task {
            await failure { () async throws(CacheClientError) in try await client.call(method: "a") }
        }
        var arrivals = arrived.stream.makeAsyncIterator()
        await arrivals.next()
        // One of these two waits and the other is refused.
        let outcomes = AsyncStream.makeStream(of: CacheClientError?.self)
        let others = (0..<2).map { _ in
            Task {
                let error = await failure { () async throws(CacheClientError) in try await client.call(method: "b") }
                outcomes.continuation.yield(error)
            }
        }
        var results = outcomes.stream.makeAsyncIterator()
        #expect(await results.next() == .some(.tooManyWaiting(limit: 1)))
        await client.shutDown()
        #expect(await onTheWire.value == .shutDown)
        #expect(await results.next() == .some(.shutDown))
        for task in others { await task.value }
        let later = await failure { () async throws(CacheClientError) in try await client.call(method: "c") }
        #expect(later == .shutDown)
    }
}
