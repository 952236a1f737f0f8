// Which answers are results, which are the node's errors, and which do not come from a node at all.

import SpyderCacheClient
import Testing

struct ReplyTests {
    private func error(answering text: String) async throws -> CacheClientError? {
        let node = try await FakeNode { _ in [.send(text), .close] }
        let client = CacheClient(host: "127.0.0.1", port: node.port)
        return await failure { () async throws(CacheClientError) in try await client.call(method: "m") }
    }

    @Test(arguments: ["200 OK", "400 Bad Request", "413 Content Too Large", "503 Service Unavailable"])
    func `an error object is thrown whatever the status`(status: String) async throws {
        let body = """
            {"jsonrpc":"2.0","error":{"code":-32009,"message":"B\\u00fcsy","data":{"retryable":true,"node":"1"}},"id":null}
            """
        let error = try await self.error(answering: FakeNode.http(body, status: status))
        let data = try JSONText(#"{"retryable":true,"node":"1"}"#)
        #expect(error == .rpc(RPCError(code: -32009, message: "B\u{fc}sy", data: data, isRetryable: true)))
        #expect(error?.description == #"B\#u{fc}sy (-32009) {"retryable":true,"node":"1"}"#)
    }

    @Test func `an error object without data is not retryable`() async throws {
        let error = try await self.error(
            answering: FakeNode.http(#"{"jsonrpc":"2.0","error":{"code":1,"message":"m"},"id":1}"#))
        #expect(error == .rpc(RPCError(code: 1, message: "m")))
    }

    @Test(arguments: [
        ("", "the reply is not a JSON object"),
        ("hello", "the reply is not a JSON object"),
        ("[1]", "the reply is not a JSON object"),
        (#"{"jsonrpc":"2.0","result":1,"id":1"#, "the reply is not a JSON object"),
        (#"{"result":1,"id":1}"#, "the reply is not JSON-RPC 2.0"),
        (#"{"jsonrpc":"1.0","result":1,"id":1}"#, "the reply is not JSON-RPC 2.0"),
        (#"{"jsonrpc":"2.0","result":1,"id":2}"#, "the reply is for another request"),
        (#"{"jsonrpc":"2.0","result":1,"id":-1}"#, "the reply is for another request"),
        (#"{"jsonrpc":"2.0","result":1,"id":"1"}"#, "the reply is for another request"),
        (#"{"jsonrpc":"2.0","result":1}"#, "the reply is for another request"),
        (#"{"jsonrpc":"2.0","id":1}"#, "the reply has neither result nor error"),
        (#"{"jsonrpc":"2.0","error":5,"id":1}"#, "the error object lacks code or message"),
        (#"{"jsonrpc":"2.0","error":{"code":1e0,"message":"m"},"id":1}"#, "the error object lacks code or message"),
        (#"{"jsonrpc":"2.0","error":{"code":1},"id":1}"#, "the error object lacks code or message"),
    ])
    func `a broken envelope is a bad reply`(body: String, reason: String) async throws {
        #expect(try await self.error(answering: FakeNode.http(body)) == .badReply(reason))
    }

    @Test func `a status without an error object is reported as it is`() async throws {
        #expect(try await self.error(answering: FakeNode.http("<html>", status: "502 Bad Gateway")) == .httpStatus(502))
        #expect(try await self.error(answering: "HTTP/1.1 204 No Content\r\n\r\n") == .httpStatus(204))
    }

    @Test func `what is not HTTP is a bad reply`() async throws {
        let error = try await self.error(answering: "SSH-2.0-OpenSSH_9.9\r\n")
        guard case .badReply(let reason) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(reason.hasPrefix("not HTTP/1.1"))
    }

    @Test func `a reply nobody asked for closes the connection`() async throws {
        let node = try await FakeNode { request in
            let reply = FakeNode.result(String(request.connection), to: request)
            return [.send(request.connection == 1 ? reply + reply : reply)]
        }
        let client = CacheClient(host: "127.0.0.1", port: node.port)
        #expect(try await client.call(method: "node.stats").integerValue == 1)
        // The second reply may be read before or after a call is written behind it: then that call sees a foreign id.
        for _ in 0..<2 {
            switch await failure(of: { () async throws(CacheClientError) in try await client.call(method: "m") }) {
            case nil, .badReply, .connectionLost: continue
            case .some(let error): Issue.record("\(error)")
            }
        }
        #expect(try await client.call(method: "m").integerValue ?? 0 > 1)
    }

    @Test func `a connection whose reply is not understood takes no further call`() async throws {
        let node = try await FakeNode { request in
            [.send(request.connection == 1 ? FakeNode.http("{}") : FakeNode.result("2", to: request))]
        }
        let client = CacheClient(host: "127.0.0.1", port: node.port)
        let error = await failure { () async throws(CacheClientError) in try await client.call(method: "m") }
        #expect(error == .badReply("the reply is not JSON-RPC 2.0"))
        #expect(try await client.call(method: "m").integerValue == 2)
    }
}
