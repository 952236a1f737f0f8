// Each method of the cache and each of its outcomes, as a client sees them.

import TestSupport
import Testing

extension IntegrationTests {
    @Suite struct CacheMethods {
        let node: NodeProcess
        let client: RPCClient

        init() throws {
            node = try NodeProcess.start(["limits.max_key_size=64B", "limits.max_value_size=1KiB"])
            client = try node.client()
        }

        @Test func `a miss is a result, not an error`() throws {
            let reply = try client.get("nothing")
            #expect(reply.result?.names == ["found"])
            #expect(reply["found"]?.boolean == false)
        }

        @Test func `what was put is found with its version`() throws {
            let stored = try client.put("k", "{\"a\":[1,2]}")
            #expect(stored["stored"]?.boolean == true)
            let cas = try #require(stored["cas"]?.string)
            #expect(UInt64(cas) != nil, "a version is a decimal string")
            let reply = try client.get("k")
            #expect(reply["found"]?.boolean == true)
            #expect(reply["value"]?.text == "{\"a\":[1,2]}")
            #expect(reply["cas"]?.string == cas)
        }

        @Test(arguments: [
            "1e400", "-1e-400", "0.1000", "-0", "0", "1E5", "123456789012345678901234567890.5", #""\u00e9""#, #""é""#,
            #""\/\b\f\n\r\t\"\\""#, #""\u0000""#, #""\ud83d\ude00""#, #""😀""#, #""""#, "null", "true", "false", "[]",
            "{}",
            "[ 1 ,\t2,\n{ \"a\" : [ ] } ]", #"{"a":1,"a":2}"#, #"{"":{"":[[[[[]]]]]}}"#, #"{"\u0061":0}"#,
        ])
        func `a value comes back byte for byte`(text: String) throws {
            try client.put("exact", text)
            #expect(try client.value("exact") == text)
            let many = try client.call("cache.getMany", "{\"keys\":[\"exact\"]}")
            #expect(many["items"]?[0]?["value"]?.text == text)
        }

        @Test func `fields name what a get returns`() throws {
            try client.put("k", "\"12345678\"", "\"ttlMs\":60000")
            _ = try client.get("k")
            let reply = try client.get(
                "k", "\"fields\":[\"cas\",\"ttlMs\",\"bytes\",\"storedBytes\",\"hits\",\"idleMs\"]")
            #expect(
                Set(reply.result?.names ?? []) == ["found", "cas", "ttlMs", "bytes", "storedBytes", "hits", "idleMs"])
            #expect(reply["bytes"]?.integer == 10)
            #expect(reply["storedBytes"]?.integer == 10)
            let ttl = try #require(reply["ttlMs"]?.integer)
            #expect(ttl > 30000 && ttl <= 60000)
            #expect(try #require(reply["hits"]?.integer) >= 1)
            #expect(try #require(reply["idleMs"]?.integer) >= 0)
            let only = try client.get("k", "\"fields\":[\"value\"]")
            #expect(Set(only.result?.names ?? []) == ["found", "value"])
        }

        @Test func `an unknown field is -32602 and says where`() throws {
            let failed = try client.get("k", "\"fields\":[\"value\",\"colour\"]")
            #expect(failed.errorCode == -32602)
            #expect(failed.errorData?["path"]?.string?.contains("fields") == true, "\(failed)")
        }

        @Test func `a get with the version already held says notModified instead of sending the value`() throws {
            let cas = try #require(try client.put("k", "1")["cas"]?.string)
            let held = try client.get("k", "\"ifNoneMatch\":\"\(cas)\"")
            #expect(held["found"]?.boolean == true)
            #expect(held["notModified"]?.boolean == true)
            #expect(held["cas"]?.string == cas)
            #expect(held["value"] == nil)
            try client.put("k", "2")
            let changed = try client.get("k", "\"ifNoneMatch\":\"\(cas)\"")
            #expect(changed["value"]?.text == "2")
            #expect(changed["notModified"] == nil)
        }

        @Test func `versions rise with every write`() throws {
            var last: UInt64 = 0
            for index in 0..<50 {
                let text = try #require(try client.put("v\(index % 3)", "\(index)")["cas"]?.string)
                let cas = try #require(UInt64(text))
                #expect(cas > last)
                last = cas
            }
        }

        @Test func `a put with ifMatch wins only over the version it names`() throws {
            let first = try #require(try client.put("k", "1")["cas"]?.string)
            let second = try client.put("k", "2", "\"ifMatch\":\"\(first)\"")
            #expect(second["stored"]?.boolean == true)
            let late = try client.put("k", "3", "\"ifMatch\":\"\(first)\"")
            #expect(late["stored"]?.boolean == false)
            #expect(late["reason"]?.string == "casMismatch")
            #expect(late["cas"]?.string == second["cas"]?.string)
            #expect(try client.value("k") == "2")
            let absent = try client.put("absent", "1", "\"ifMatch\":\"\(first)\"")
            #expect(absent["stored"]?.boolean == false)
            #expect(absent["reason"]?.string == "notFound")
            #expect(try client.value("absent") == nil)
        }

        @Test func `add stores only a new key and replace only an old one`() throws {
            #expect(try client.put("k", "1", "\"mode\":\"replace\"")["reason"]?.string == "notFound")
            #expect(try client.value("k") == nil)
            #expect(try client.put("k", "2", "\"mode\":\"add\"")["stored"]?.boolean == true)
            let exists = try client.put("k", "3", "\"mode\":\"add\"")
            #expect(exists["stored"]?.boolean == false)
            #expect(exists["reason"]?.string == "exists")
            #expect(try client.value("k") == "2")
            #expect(try client.put("k", "4", "\"mode\":\"replace\"")["stored"]?.boolean == true)
            #expect(try client.put("k", "5", "\"mode\":\"set\"")["stored"]?.boolean == true)
            #expect(try client.value("k") == "5")
            #expect(try client.put("k", "6", "\"mode\":\"upsert\"").errorCode == -32602)
        }

        @Test func `a delete says whether there was something to delete`() throws {
            let cas = try #require(try client.put("k", "1")["cas"]?.string)
            let other = try #require(try client.put("other", "1")["cas"]?.string)
            let refused = try client.call("cache.delete", "{\"key\":\"k\",\"ifMatch\":\"\(other)\"}")
            #expect(refused["deleted"]?.boolean == false)
            #expect(refused["reason"]?.string == "casMismatch")
            #expect(
                try client.call("cache.delete", "{\"key\":\"k\",\"ifMatch\":\"\(cas)\"}")["deleted"]?.boolean == true)
            let again = try client.call("cache.delete", "[\"k\"]")
            #expect(again["deleted"]?.boolean == false)
            #expect(again["reason"]?.string == "notFound")
            #expect(try client.value("k") == nil)
        }

        @Test func `touch gives a key a new time to live`() throws {
            try client.put("k", "1", "\"ttlMs\":60000")
            #expect(try client.call("cache.touch", "[\"k\",5000]")["found"]?.boolean == true)
            let ttl = try #require(try client.get("k", "\"fields\":[\"ttlMs\"]")["ttlMs"]?.integer)
            #expect(ttl > 0 && ttl <= 5000)
            #expect(try client.call("cache.touch", "[\"nothing\",5000]")["found"]?.boolean == false)
        }

        @Test(arguments: ["-1", "1.5", "\"5\"", "1e3", "99999999999999999999999", "[]"])
        func `a time to live that is no whole number of milliseconds is -32602`(ttl: String) throws {
            let failed = try client.put("k", "1", "\"ttlMs\":\(ttl)")
            #expect(failed.errorCode == -32602)
            #expect(failed.errorData?["path"]?.string?.contains("ttlMs") == true, "\(failed)")
            #expect(try client.value("k") == nil)
        }

        @Test func `a key without a time to live reports none`() throws {
            try client.put("k", "1")
            let reply = try client.get("k", "\"fields\":[\"ttlMs\"]")
            #expect(reply["ttlMs"] == nil || reply["ttlMs"]?.text == "null", "\(reply)")
        }

        @Test func `incr counts from what is there or from initial`() throws {
            #expect(try client.call("cache.incr", "[\"n\"]")["found"]?.boolean == false)
            #expect(try client.value("n") == nil)
            let created = try client.call("cache.incr", "{\"key\":\"n\",\"delta\":5,\"initial\":10}")
            let start = try #require(created["value"]?.integer)
            #expect(created["cas"]?.string != nil)
            let next = try client.call("cache.incr", "{\"key\":\"n\",\"delta\":5}")
            #expect(next["found"]?.boolean == true)
            #expect(next["value"]?.integer == start + 5)
            #expect(try client.call("cache.incr", "[\"n\",-7]")["value"]?.integer == start - 2)
            #expect(try client.call("cache.incr", "[\"n\"]")["value"]?.integer == start - 1)
            #expect(try client.value("n") == "\(start - 1)")
        }

        @Test func `incr to the ends of 64 bits works and beyond is an error that changes nothing`() throws {
            try client.put("top", "9223372036854775806")
            #expect(try client.call("cache.incr", "[\"top\"]")["value"]?.text == "9223372036854775807")
            #expect(try client.call("cache.incr", "[\"top\"]").errorCode != nil)
            #expect(try client.value("top") == "9223372036854775807")
            try client.put("bottom", "-9223372036854775807")
            #expect(try client.call("cache.incr", "[\"bottom\",-1]")["value"]?.text == "-9223372036854775808")
            #expect(try client.call("cache.incr", "[\"bottom\",-1]").errorCode != nil)
            #expect(try client.value("bottom") == "-9223372036854775808")
        }

        @Test(arguments: ["\"5\"", "1.0", "1e2", "null", "[1]", "9223372036854775808"])
        func `incr of what is no 64-bit integer is 1003`(value: String) throws {
            try client.put("n", value)
            #expect(try client.call("cache.incr", "[\"n\"]").errorCode == 1003)
            #expect(try client.value("n") == value)
        }

        @Test func `many-key calls answer in the order asked`() throws {
            let stored = try client.call(
                "cache.putMany",
                #"{"items":[{"key":"a","value":1},{"key":"b","value":[2]},{"key":"a","value":3,"mode":"add"}]}"#)
            let outcomes = stored["items"]?.elements?.map { $0["stored"]?.text }
            #expect(outcomes == ["true", "true", "false"])
            #expect(stored["items"]?[2]?["reason"]?.string == "exists")
            let got = try client.call("cache.getMany", #"{"keys":["b","nothing","a","b"]}"#)
            #expect(got["items"]?.elements?.map { $0["value"]?.text } == ["[2]", nil, "1", "[2]"])
            #expect(got["items"]?[1]?["found"]?.boolean == false)
            let fields = try client.call("cache.getMany", #"{"keys":["a"],"fields":["bytes"]}"#)
            #expect(Set(fields["items"]?[0]?.names ?? []) == ["found", "bytes"])
            let deleted = try client.call("cache.deleteMany", #"[["a","nothing","b"]]"#)
            #expect(deleted["items"]?.elements?.map { $0["deleted"]?.text } == ["true", "false", "true"])
            #expect(try client.values(["a", "b"]) == [:])
            #expect(try client.call("cache.getMany", #"{"keys":[]}"#)["items"]?.elements?.isEmpty == true)
        }

        @Test func `flush removes everything and says how much`() throws {
            for index in 0..<10 { try client.put("k\(index)", "1") }
            #expect(try client.call("cache.flush")["removed"]?.integer == 10)
            #expect(try client.call("cache.flush", "{}")["removed"]?.integer == 0)
            #expect(try client.call("node.stats")["currItems"]?.integer == 0)
        }
    }
}
