// What the specification leaves to the server, and the edges of what it fixes: ids byte for byte, null ids, nesting,
// duplicate members, batches over the limit, and what every error carries.

import TestSupport
import Testing

extension IntegrationTests {
    @Suite struct JSONRPCEnvelope {
        let node: NodeProcess
        let client: RPCClient

        init() throws {
            node = try NodeProcess.start(["local.node_id=envelope", "limits.max_batch=20"])
            client = try node.client()
        }

        private func reply(_ body: String, status: Int = 200) throws -> RPCReply {
            let response = try client.post(body)
            #expect(response.status == status, "\(body.prefix(200)) got \(response.text.prefix(500))")
            return RPCReply(try response.json())
        }

        @Test(arguments: [
            "1", "0", "-0", "1.0", "1e2", "1E+2", "0.10", "-7", "123456789012345678901234567890", "1e400",
            "null", #""""#, #""a""#, #""\u00e9""#, #""é""#, #""\u0041\/\n""#, #""\ud83d\ude00""#, #""😀""#, #""\u0000""#,
        ])
        func `an id is echoed byte for byte`(id: String) throws {
            let body = #"{"jsonrpc":"2.0","id":\#(id),"method":"cache.get","params":["nothing"]}"#
            #expect(try reply(body).json["id"]?.text == id)
            let failing = #"{"jsonrpc":"2.0","method":"no.such","id": \#(id) }"#
            #expect(try reply(failing).json["id"]?.text == id)
            let batch = try client.post("[\(body)]").json()
            #expect(batch[0]?["id"]?.text == id)
        }

        @Test func `a null id is a call that is answered, only a missing id makes a notification`() throws {
            let answered = try reply(#"{"jsonrpc":"2.0","id":null,"method":"cache.put","params":["k",1]}"#)
            #expect(answered["stored"]?.boolean == true)
            #expect(answered.json["id"]?.text == "null")
        }

        @Test(arguments: ["true", "false", "[1]", "{}", #"{"a":1}"#])
        func `an id that is neither string nor number nor null is -32600`(id: String) throws {
            let refused = try reply(#"{"jsonrpc":"2.0","id":\#(id),"method":"cache.get","params":["k"]}"#)
            #expect(refused.errorCode == -32600)
            #expect(refused.json["id"]?.text == "null")
        }

        @Test(arguments: [
            #"{"id":1,"method":"cache.get","params":["k"]}"#,
            #"{"jsonrpc":"1.0","id":1,"method":"cache.get","params":["k"]}"#,
            #"{"jsonrpc":2.0,"id":1,"method":"cache.get","params":["k"]}"#,
            #"{"jsonrpc":"2.0","id":1}"#,
            #"{"jsonrpc":"2.0","id":1,"method":null}"#,
            #"{"jsonrpc":"2.0","id":1,"method":["cache.get"]}"#,
            #"{"jsonrpc":"2.0","jsonrpc":"2.0","id":1,"method":"cache.get","params":["k"]}"#,
            #"{"jsonrpc":"2.0","id":1,"id":2,"method":"cache.get","params":["k"]}"#,
            #"{"jsonrpc":"2.0","id":1,"method":"cache.get","method":"cache.put","params":["k",1]}"#,
            #"{"jsonrpc":"2.0","id":1,"method":"cache.get","params":["k"],"params":["l"]}"#,
            #"{"jsonrpc":"2.0","id":1,"method":"cache.get","params":["k"],"par\u0061ms":["l"]}"#,
            "1", "\"text\"", "null", "true", "{}",
        ])
        func `what is no request object is -32600`(body: String) throws {
            #expect(try reply(body).errorCode == -32600)
        }

        @Test(arguments: ["7", "\"k\"", "true", "null"])
        func `parameters that are neither array nor object are refused`(params: String) throws {
            let code = try reply(#"{"jsonrpc":"2.0","id":1,"method":"cache.get","params":\#(params)}"#).errorCode
            #expect(code == -32600 || code == -32602)
        }

        @Test(arguments: [
            #"{"key":"a","key":"b"}"#, #"{"key":"a","k\u0065y":"b"}"#, #"{"key":"a","key":"a"}"#,
        ])
        func `duplicate names in the parameters are -32602 whatever their spelling`(params: String) throws {
            #expect(try client.call("cache.get", params).errorCode == -32602)
        }

        @Test func `the escaped spelling of a name or a method is the same name`() throws {
            try client.put("k", "5")
            let body = #"{"\u006asonrpc":"2.0","i\u0064":1,"method":"cache\u002eget","params":{"k\u0065y":"\u006b"}}"#
            #expect(try reply(body)["value"]?.text == "5")
        }

        @Test(arguments: [
            "", " ", "{", "[1,]", "{\"a\":1,}", "nul", "01", "1.", "+1", ".5", "'a'", "{a:1}", "[1] 2", "NaN",
            "\u{FEFF}{}",
            #"{"jsonrpc":"2.0","id":1,"method":"cache.put","params":["k","\ud800"]}"#,
            #"{"jsonrpc":"2.0","id":1,"method":"cache.put","params":["k","\udc00\ud800"]}"#,
            #"{"jsonrpc":"2.0","id":1,"method":"cache.put","params":["k","\x"]}"#,
            "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"cache.put\",\"params\":[\"k\",\"a\nb\"]}",
            "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"cache.put\",\"params\":[\"k\",\"a\u{0}b\"]}",
        ])
        func `text that is not JSON is -32700 with status 400`(body: String) throws {
            let refused = try reply(body, status: 400)
            #expect(refused.errorCode == -32700)
            #expect(refused.json["id"]?.text == "null")
            #expect(try client.call("cache.get", "[\"k\"]")["found"]?.boolean == false)
        }

        @Test(
            arguments: [[0xff], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe2, 0x82]] as [[UInt8]])
        func `bytes that are not UTF-8 are -32700`(bytes: [UInt8]) throws {
            let head = Array(#"{"jsonrpc":"2.0","id":1,"method":"cache.put","params":["k",""#.utf8)
            let body = head + bytes + Array("\"]}".utf8)
            try client.connection.send(HTTPRequest.post(body))
            let response = try client.connection.receive()
            #expect(response.status == 400)
            #expect(try response.json()["error"]?["code"]?.integer == -32700)
        }

        @Test func `nesting is served up to 128 levels and refused beyond`() throws {
            // The envelope and the array of parameters are two of the 128 levels.
            func put(levels: Int) throws -> RPCReply {
                let value = String(repeating: "[", count: levels) + String(repeating: "]", count: levels)
                return try reply(#"{"jsonrpc":"2.0","id":1,"method":"cache.put","params":["deep",\#(value)]}"#)
            }
            #expect(try put(levels: 126)["stored"]?.boolean == true)
            let stored = try #require(try client.value("deep"))
            #expect(stored == String(repeating: "[", count: 126) + String(repeating: "]", count: 126))
            #expect(try put(levels: 127).errorCode == -32600)
            let abyss = String(repeating: "[", count: 100_000) + String(repeating: "]", count: 100_000)
            #expect(try reply(abyss).errorCode == -32600)
            // Whether more than 128 levels would have become JSON is not worth finding out.
            #expect(try reply(String(repeating: "{\"a\":", count: 200_000)).errorCode == -32600)
        }

        @Test func `a batch of max_batch calls is served, one more is -32010`() throws {
            let call = RPCClient.request("cache.get", "[\"k\"]", id: "1")
            func batch(_ count: Int) throws -> RawJSON {
                try client.post("[" + Array(repeating: call, count: count).joined(separator: ",") + "]").json()
            }
            #expect(try batch(20).elements?.count == 20)
            let refused = RPCReply(try batch(21))
            #expect(refused.errorCode == -32010)
            #expect(refused.json["id"]?.text == "null")
        }

        @Test func `a batch over the limit has no effect`() throws {
            let put = RPCClient.request("cache.put", "[\"effect\",1]", id: "1")
            _ = try client.post("[" + Array(repeating: put, count: 21).joined(separator: ",") + "]")
            #expect(try client.value("effect") == nil)
        }

        @Test func `many-key calls obey the limit of batches`() throws {
            let keys = (0..<21).map { "\"k\($0)\"" }.joined(separator: ",")
            #expect(try client.call("cache.getMany", "{\"keys\":[\(keys)]}").errorCode == -32010)
        }

        @Test func `calls of a batch act in their order`() throws {
            let replies = try client.batch([
                ("cache.put", #"["o",1]"#), ("cache.get", #"["o"]"#), ("cache.put", #"["o",2]"#),
                ("cache.get", #"["o"]"#),
                ("cache.delete", #"["o"]"#), ("cache.get", #"["o"]"#),
            ])
            #expect(replies[1]["value"]?.text == "1")
            #expect(replies[3]["value"]?.text == "2")
            #expect(replies[5]["found"]?.boolean == false)
        }

        @Test func `every error says whether to retry and which node refused`() throws {
            try client.put("text", "\"a\"")
            let calls = [
                RPCClient.request("no.such", nil, id: "1"),
                RPCClient.request("cache.get", "{\"nokey\":1}", id: "1"),
                RPCClient.request("cache.get", "{\"key\":\"\"}", id: "1"),
                RPCClient.request("cache.incr", "[\"text\"]", id: "1"),
                "{\"id\":1}", "[]", "{",
                "[" + Array(repeating: "1", count: 21).joined(separator: ",") + "]",
            ]
            for body in calls {
                let failed = RPCReply(try client.post(body).json())
                #expect(failed.errorCode != nil, "\(body)")
                #expect(failed.errorData?["retryable"]?.boolean != nil, "\(body): \(failed)")
                #expect(failed.errorData?["node"]?.text == "\"envelope\"", "\(body): \(failed)")
            }
        }

        @Test func `an error's message depends on its code alone`() throws {
            var messages: [Int: Set<String>] = [:]
            let bodies =
                ["x", "nope", "a b", String(repeating: "m", count: 500), "\\u0000"].map {
                    #"{"jsonrpc":"2.0","id":1,"method":"\#($0)"}"#
                } + ["{", "[", "1 1", "[]", "{}", "5"]
                + [#"["k",1,2,3,4,5,6,7,8,9]"#, #"{"zzz":1}"#, "{}", "[]"].map {
                    RPCClient.request("cache.get", $0, id: "1")
                }
            for body in bodies {
                let failed = RPCReply(try client.post(body).json())
                let code = try #require(failed.errorCode, "\(body): \(failed)")
                messages[code, default: []].insert(try #require(failed.errorMessage))
            }
            #expect(
                messages == [
                    -32700: ["Parse error"], -32600: ["Invalid Request"], -32601: ["Method not found"],
                    -32602: ["Invalid params"],
                ])
        }
    }
}
