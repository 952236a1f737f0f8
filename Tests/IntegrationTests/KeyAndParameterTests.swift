// What a key may be, and how parameters of the wrong name, type or number are refused.

import TestSupport
import Testing

extension IntegrationTests {
    @Suite struct KeysAndParameters {
        let node: NodeProcess
        let client: RPCClient

        init() throws {
            node = try NodeProcess.start(["limits.max_key_size=64B", "limits.max_value_size=1KiB"])
            client = try node.client()
        }

        @Test func `an empty key or one over the limit is 1004`() throws {
            #expect(try client.get("").errorCode == 1004)
            #expect(try client.put("", "1").errorCode == 1004)
            let longest = String(repeating: "k", count: 64)
            try client.put(longest, "1")
            #expect(try client.value(longest) == "1")
            #expect(try client.put(longest + "k", "1").errorCode == 1004)
            #expect(try client.get(longest + "k").errorCode == 1004)
            // The limit counts UTF-8 bytes, not characters and not the escapes of the request.
            #expect(try client.put(String(repeating: "é", count: 33), "1").errorCode == 1004)
            let escaped = String(repeating: "\\u0061", count: 64)
            #expect(try client.call("cache.put", "[\"\(escaped)\",1]")["stored"]?.boolean == true)
        }

        @Test(arguments: [
            "😀", "é", "e\u{301}", " ", "a\u{0}b", "\n", "\"", "\\", "/", "../../etc/passwd", "{}", "null", "\u{10FFFF}",
        ])
        func `any other text is a key`(key: String) throws {
            #expect(try client.put(key, "\"x\"")["stored"]?.boolean == true)
            #expect(try client.value(key) == "\"x\"")
            #expect(try client.call("cache.delete", "[\(quoted(key))]")["deleted"]?.boolean == true)
        }

        @Test func `a key is its characters, however they are escaped`() throws {
            try client.call("cache.put", #"["\u00e9\ud83d\ude00\/\u0041",1]"#)
            #expect(try client.value("é😀/A") == "1")
            // Different code points stay different keys: nothing is normalised.
            #expect(try client.value("e\u{301}😀/A") == nil)
        }

        @Test func `a value over the limit is 1001 and the old value stays`() throws {
            let largest = "\"" + String(repeating: "v", count: 1022) + "\""
            #expect(try client.put("k", largest)["stored"]?.boolean == true)
            let refused = try client.put("k", "\"" + String(repeating: "w", count: 1023) + "\"")
            #expect(refused.errorCode == 1001)
            #expect(refused.errorData?["retryable"]?.boolean == false)
            #expect(try client.value("k") == largest)
        }

        @Test(arguments: [
            ("cache.get", #"{"key":"k","colour":1}"#, "colour"),
            ("cache.put", #"{"key":"k","value":1,"ttl":5}"#, "ttl"),
            ("cache.put", #"{"key":"k"}"#, "value"),
            ("cache.get", "{}", "key"),
            ("cache.get", "[]", "key"),
            ("cache.get", #"{"key":5}"#, "key"),
            ("cache.get", #"{"key":null}"#, "key"),
            ("cache.get", #"[["k"]]"#, "key"),
            ("cache.put", #"{"key":"k","value":1,"mode":7}"#, "mode"),
            ("cache.put", #"{"key":"k","value":1,"ifMatch":7}"#, "ifMatch"),
            ("cache.put", #"{"key":"k","value":1,"ifMatch":"x"}"#, "ifMatch"),
            ("cache.put", #"{"key":"k","value":1,"compress":"maybe"}"#, "compress"),
            ("cache.touch", #"{"key":"k"}"#, "ttlMs"),
            ("cache.incr", #"{"key":"k","delta":1.5}"#, "delta"),
            ("cache.incr", #"{"key":"k","initial":"1"}"#, "initial"),
            ("cache.getMany", #"{"keys":"k"}"#, "keys"),
            ("cache.getMany", #"{"keys":["k",5]}"#, "keys"),
            ("cache.putMany", #"{"items":[{"key":"k"}]}"#, "items"),
            ("cache.putMany", #"{"items":[5]}"#, "items"),
        ])
        func `a wrong parameter is -32602 and the path names it`(method: String, params: String, name: String) throws {
            let failed = try client.call(method, params)
            #expect(failed.errorCode == -32602, "\(failed)")
            #expect(failed.errorData?["path"]?.string?.contains(name) == true, "\(failed)")
            #expect(failed.errorData?["retryable"]?.boolean == false)
            #expect(try client.value("k") == nil)
        }

        @Test func `too many positional parameters are -32602`() throws {
            #expect(try client.call("cache.get", #"["k",["value"],"1","extra"]"#).errorCode == -32602)
            #expect(try client.call("cache.flush", "[1]").errorCode == -32602)
            #expect(
                try client.call("cache.get", "[" + (0..<5000).map(String.init).joined(separator: ",") + "]").errorCode
                    == -32602)
        }

        @Test func `positional parameters follow the documented order`() throws {
            let cas = try #require(try client.call("cache.put", #"["p",1,60000,"add"]"#)["cas"]?.string)
            #expect(try client.call("cache.put", #"["p",2,60000,"add"]"#)["reason"]?.string == "exists")
            #expect(try client.call("cache.put", #"["p",3,60000,"set","\#(cas)","never"]"#)["stored"]?.boolean == true)
            let reply = try client.call("cache.get", #"["p",["value","ttlMs"]]"#)
            #expect(reply["value"]?.text == "3")
            #expect(try #require(reply["ttlMs"]?.integer) > 0)
            #expect(try client.call("cache.incr", #"["p",4]"#)["value"]?.integer == 7)
            #expect(try client.call("cache.delete", #"["p"]"#)["deleted"]?.boolean == true)
        }

        @Test func `one bad item of a putMany changes nothing`() throws {
            let failed = try client.call("cache.putMany", #"{"items":[{"key":"good","value":1},{"key":"","value":2}]}"#)
            #expect(failed.errorCode == 1004)
            #expect(failed.errorData?["path"]?.string?.contains("1") == true, "\(failed)")
            #expect(try client.value("good") == nil)
        }
    }
}
