// Every exchange of section 7 of the JSON-RPC 2.0 specification (https://www.jsonrpc.org/specification#examples), with
// our methods in the place of its "subtract", "update" and the like; what is malformed there is malformed here verbatim.

import TestSupport
import Testing

extension IntegrationTests {
    @Suite struct SpecificationExamples {
        let node: NodeProcess
        let client: RPCClient

        init() throws {
            node = try NodeProcess.start()
            client = try node.client()
            try client.put("n", "19")
        }

        /// Posts `body` and checks the status; the response as JSON.
        private func exchange(_ body: String, status: Int = 200) throws -> RawJSON {
            let response = try client.post(body)
            #expect(response.status == status, "\(body) got \(response.text)")
            return try response.json()
        }

        @Test func `a call with positional parameters is answered under its id`() throws {
            let first = try exchange(#"{"jsonrpc": "2.0", "method": "cache.incr", "params": ["n", 23], "id": 1}"#)
            #expect(first["result"]?["value"]?.text == "42")
            #expect(first["id"]?.text == "1")
            #expect(first["jsonrpc"]?.text == "\"2.0\"")
            #expect(first["error"] == nil)
            let second = try exchange(#"{"jsonrpc": "2.0", "method": "cache.incr", "params": ["n", -61], "id": 2}"#)
            #expect(second["result"]?["value"]?.text == "-19")
            #expect(second["id"]?.text == "2")
        }

        @Test func `a call with named parameters does not depend on their order`() throws {
            let first = try exchange(
                #"{"jsonrpc": "2.0", "method": "cache.incr", "params": {"key": "n", "delta": 1}, "id": 3}"#)
            #expect(first["result"]?["value"]?.text == "20")
            #expect(first["id"]?.text == "3")
            let second = try exchange(
                #"{"jsonrpc": "2.0", "method": "cache.incr", "params": {"delta": 1, "key": "n"}, "id": 4}"#)
            #expect(second["result"]?["value"]?.text == "21")
            #expect(second["id"]?.text == "4")
        }

        @Test func `a notification is carried out and answered with 204 and no body`() throws {
            let update = try client.post(#"{"jsonrpc": "2.0", "method": "cache.put", "params": ["u", [1,2,3,4,5]]}"#)
            #expect(update.status == 204)
            #expect(update.body.isEmpty)
            #expect(try client.value("u") == "[1,2,3,4,5]")
            let unknown = try client.post(#"{"jsonrpc": "2.0", "method": "foobar"}"#)
            #expect(unknown.status == 204)
            #expect(unknown.body.isEmpty)
        }

        @Test func `a call of a method that does not exist is -32601`() throws {
            let reply = try exchange(#"{"jsonrpc": "2.0", "method": "foobar", "id": "1"}"#)
            #expect(reply["error"]?["code"]?.text == "-32601")
            #expect(reply["error"]?["message"]?.text == "\"Method not found\"")
            #expect(reply["id"]?.text == "\"1\"")
            #expect(reply["result"] == nil)
        }

        @Test func `a call with invalid JSON is -32700 with a null id and status 400`() throws {
            let reply = try exchange(
                #"{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]"#, status: 400)
            #expect(reply["error"]?["code"]?.text == "-32700")
            #expect(reply["error"]?["message"]?.text == "\"Parse error\"")
            #expect(reply["id"]?.text == "null")
        }

        @Test func `a call with an invalid request object is -32600 with a null id`() throws {
            let reply = try exchange(#"{"jsonrpc": "2.0", "method": 1, "params": "bar"}"#)
            #expect(reply["error"]?["code"]?.text == "-32600")
            #expect(reply["error"]?["message"]?.text == "\"Invalid Request\"")
            #expect(reply["id"]?.text == "null")
        }

        @Test func `a batch with invalid JSON is one -32700 object`() throws {
            let reply = try exchange(
                """
                [
                  {"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},
                  {"jsonrpc": "2.0", "method"
                ]
                """, status: 400)
            #expect(reply["error"]?["code"]?.text == "-32700")
            #expect(reply["id"]?.text == "null")
        }

        @Test func `an empty batch is one -32600 object, not an array`() throws {
            let reply = try exchange("[]")
            #expect(reply["error"]?["code"]?.text == "-32600")
            #expect(reply["id"]?.text == "null")
        }

        @Test(arguments: [("[1]", 1), ("[1,2,3]", 3)])
        func `a batch of rubbish is answered with as many -32600 objects`(body: String, count: Int) throws {
            let replies = try #require(try exchange(body).elements)
            #expect(replies.count == count)
            for reply in replies {
                #expect(reply["error"]?["code"]?.text == "-32600")
                #expect(reply["id"]?.text == "null")
            }
        }

        @Test func `a batch mixes calls, notifications and rubbish`() throws {
            let replies = try #require(
                try exchange(
                    """
                    [
                      {"jsonrpc": "2.0", "method": "cache.incr", "params": ["n", 1], "id": "1"},
                      {"jsonrpc": "2.0", "method": "cache.incr", "params": ["n", 7]},
                      {"jsonrpc": "2.0", "method": "cache.incr", "params": ["n", 42], "id": "2"},
                      {"foo": "boo"},
                      {"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"},
                      {"jsonrpc": "2.0", "method": "cache.get", "params": ["n"], "id": "9"}
                    ]
                    """
                ).elements)
            #expect(replies.count == 5)
            func reply(_ id: String) throws -> RawJSON { try #require(replies.first { $0["id"]?.text == id }) }
            #expect(try reply("\"1\"")["result"]?["value"]?.text == "20")
            #expect(try reply("\"2\"")["result"]?["value"]?.text == "69")
            #expect(try reply("null")["error"]?["code"]?.text == "-32600")
            #expect(try reply("\"5\"")["error"]?["code"]?.text == "-32601")
            #expect(try reply("\"9\"")["result"]?["value"]?.text == "69")
        }

        @Test func `a batch of notifications alone is answered with 204 and no body`() throws {
            let response = try client.post(
                """
                [
                  {"jsonrpc": "2.0", "method": "cache.incr", "params": ["n", 1]},
                  {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]}
                ]
                """)
            #expect(response.status == 204)
            #expect(response.body.isEmpty)
            #expect(try client.value("n") == "20")
        }
    }
}
