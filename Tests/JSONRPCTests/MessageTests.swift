// What a body turns out to be: the exchanges of the JSON-RPC 2.0 specification, section 7, and the judgement of
// envelopes.

import JSONRPC
import Testing

@Suite("Messages")
struct MessageTests {
    @Test("The exchanges of the specification are read as it says", arguments: specification)
    func section7(_ body: String, expected: String) {
        #expect(outcome(body) == expected)
    }

    private static let specification = [
        (#"{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}"#, "call 1 subtract [42, 23]"),
        (#"{"jsonrpc": "2.0", "method": "subtract", "params": [23, 42], "id": 2}"#, "call 2 subtract [23, 42]"),
        (
            #"{"jsonrpc": "2.0", "method": "subtract", "params": {"subtrahend": 23, "minuend": 42}, "id": 3}"#,
            #"call 3 subtract {"subtrahend": 23, "minuend": 42}"#
        ),
        (
            #"{"jsonrpc": "2.0", "method": "subtract", "params": {"minuend": 42, "subtrahend": 23}, "id": 4}"#,
            #"call 4 subtract {"minuend": 42, "subtrahend": 23}"#
        ),
        (#"{"jsonrpc": "2.0", "method": "update", "params": [1,2,3,4,5]}"#, "notification update [1,2,3,4,5]"),
        (#"{"jsonrpc": "2.0", "method": "foobar"}"#, "notification foobar"),
        (#"{"jsonrpc": "2.0", "method": "foobar", "id": "1"}"#, #"call "1" foobar"#),
        (#"{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]"#, "notJSON"),
        (#"{"jsonrpc": "2.0", "method": 1, "params": "bar"}"#, "invalid -32600 null"),
        (
            """
            [
              {"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},
              {"jsonrpc": "2.0", "method"
            ]
            """, "notJSON"
        ),
        ("[]", "invalid -32600 null"),
        ("[1]", "batch (invalid -32600 null)"),
        ("[1,2,3]", "batch (invalid -32600 null) (invalid -32600 null) (invalid -32600 null)"),
        (
            """
            [
                {"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},
                {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]},
                {"jsonrpc": "2.0", "method": "subtract", "params": [42,23], "id": "2"},
                {"foo": "boo"},
                {"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"},
                {"jsonrpc": "2.0", "method": "get_data", "id": "9"}
            ]
            """,
            #"batch (call "1" sum [1,2,4]) (notification notify_hello [7]) (call "2" subtract [42,23]) (invalid -32600 null) "#
                + #"(call "5" foo.get {"name": "myself"}) (call "9" get_data)"#
        ),
        (
            """
            [
                {"jsonrpc": "2.0", "method": "notify_sum", "params": [1,2,4]},
                {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]}
            ]
            """, "batch (notification notify_sum [1,2,4]) (notification notify_hello [7])"
        ),
    ]

    @Test(
        "An id that is a string, a number or null is echoed byte for byte",
        arguments: [
            "0", "-1", "1.50", "1e400", "-0.0E+2", "null", #""""#, #""a\u0062\/""#, #""grüße""#,
            "123456789012345678901234567890",
        ])
    func ids(_ id: String) {
        #expect(outcome(#"{"jsonrpc":"2.0","id":\#(id),"method":"m"}"#) == "call \(id) m")
        #expect(outcome(#"{"method":"m","jsonrpc":"2.0", "id" : \#(id) }"#) == "call \(id) m")
        #expect(outcome(#"{"jsonrpc":"1.0","id":\#(id),"method":"m"}"#) == "invalid -32600 \(id)")
    }

    @Test(
        "An id of another kind makes the request invalid, answered with null",
        arguments: ["true", "false", "{}", "[]", "[1]"])
    func wrongIDs(_ id: String) {
        #expect(outcome(#"{"jsonrpc":"2.0","id":\#(id),"method":"m"}"#) == "invalid -32600 null")
    }

    @Test(
        "An invalid request is answered with its id wherever the id stands",
        arguments: [
            #"{"id":7}"#, #"{"id":7,"method":"m"}"#, #"{"method":"m","id":7}"#, #"{"jsonrpc":"2.0","id":7}"#,
            #"{"jsonrpc":2.0,"id":7,"method":"m"}"#, #"{"jsonrpc":"2","id":7,"method":"m"}"#,
            #"{"jsonrpc":"2.00","id":7,"method":"m"}"#,
            #"{"jsonrpc":null,"method":"m","id":7}"#, #"{"jsonrpc":"2.0","method":null,"id":7}"#,
            #"{"jsonrpc":"2.0","method":[],"id":7}"#,
            #"{"jsonrpc":"2.0","method":"m","params":null,"id":7}"#,
            #"{"jsonrpc":"2.0","method":"m","params":"x","id":7}"#,
            #"{"jsonrpc":"2.0","method":"m","params":1,"id":7}"#,
            #"{"jsonrpc":"2.0","method":"m","params":true,"id":7}"#,
            #"{"jsonrpc":"2.0","jsonrpc":"2.0","method":"m","id":7}"#,
            #"{"jsonrpc":"2.0","method":"m","method":"m","id":7}"#,
            #"{"jsonrpc":"2.0","method":"m","params":[],"params":[],"id":7}"#,
            #"{"JSONRPC":"2.0","method":"m","id":7}"#,
            #"{"jsonrpc":"2.0","Method":"m","id":7}"#, #"{"id":7,"x":1,"jsonrpc":"2.0","method":"m","x":2}"#,
            #"{"jsonrpc":"2.0","meth\u006fd":"m","method":"m","id":7}"#,
            #"{"jsonrpc":"2.0","method":"m","x":1,"\u0078":1,"id":7}"#,
        ])
    func invalidKeepsID(_ body: String) {
        #expect(outcome(body) == "invalid -32600 7")
        #expect(outcome("[\(body)]") == "batch (invalid -32600 7)")
    }

    @Test("An id that occurs twice is no id")
    func duplicateID() {
        #expect(outcome(#"{"jsonrpc":"2.0","id":1,"method":"m","id":1}"#) == "invalid -32600 null")
        #expect(outcome(#"{"jsonrpc":"2.0","id":1,"method":"m","\u0069d":2}"#) == "invalid -32600 null")
    }

    @Test(
        "Anything that is JSON but not an object is an invalid request",
        arguments: ["1", "\"x\"", "true", "null", " 0 ", "{}", "-1e5"])
    func notAnObject(_ body: String) {
        #expect(outcome(body) == "invalid -32600 null")
    }

    @Test("Members that JSON-RPC does not know are ignored, up to eight of them")
    func unknownMembers() {
        func call(_ unknown: Int) -> String {
            let extra = (0..<unknown).map { #""x\#($0)":[{"id":9,"method":1}],"# }.joined()
            return "{\(extra)" + #""jsonrpc":"2.0","id":1,"method":"m"}"#
        }
        for count in 0...8 { #expect(outcome(call(count)) == "call 1 m") }
        #expect(outcome(call(9)) == "invalid -32600 1")
        #expect(outcome(call(5000)) == "invalid -32600 1")
    }

    @Test("Names and the method are compared by what they stand for, not by how they are written")
    func escapedNames() {
        let body = #"{"\u006asonrpc":"2\u002e0","i\u0064":1,"\u006D\u0065thod":"cache\u002eget","param\u0073":["k"]}"#
        #expect(outcome(body) == #"call 1 cache.get ["k"]"#)
    }

    @Test("A body without JSON in it is not JSON", arguments: ["", " ", "\r\n", "\t \n"])
    func emptyBody(_ body: String) {
        #expect(outcome(body) == "notJSON")
    }

    @Test("A missing buffer is an empty body")
    func missingBuffer() {
        guard case .notJSON(offset: 0, _) = parseMessage(UnsafeRawBufferPointer(start: nil, count: 0)) else {
            Issue.record("an empty body is not JSON")
            return
        }
    }

    @Test("One bad byte anywhere makes the whole batch not JSON")
    func batchIsValidatedFirst() {
        #expect(outcome(#"[{"jsonrpc":"2.0","method":"flush"},{"jsonrpc":"2.0","method":"m" "id":1}]"#) == "notJSON")
        #expect(outcome(#"[{"jsonrpc":"2.0","method":"flush"}],"#) == "notJSON")
        #expect(outcome(#"[{"jsonrpc":"2.0","method":"flush"},]"#) == "notJSON")
    }

    @Test("Beyond the elements that are kept a batch goes on as before", arguments: [255, 256, 257, 1300])
    func longBatches(count: Int) {
        let calls = (0..<count).map { number in
            switch number % 4 {
            case 0: #"{"jsonrpc":"2.0","id":\#(number),"method":"m","params":{"key":[\#(number)]}}"#
            case 1: #"{ "method" : "n" , "jsonrpc" : "2.0" }"#
            case 2: #"[\#(number)]"#
            default: #"{"jsonrpc":"2.0","id":\#(number)}"#
            }
        }
        let outcomes = calls.map { "(\(outcome($0.hasPrefix("[") ? "0" : $0)))" }
        #expect(outcome("[\(calls.joined(separator: " , "))]") == "batch \(outcomes.joined(separator: " "))")
        #expect(outcome("[\(calls.joined(separator: ","))") == "notJSON")
        #expect(outcome("[\(calls.joined(separator: ",")),]") == "notJSON")
        #expect(outcome("[\(calls.joined(separator: ",")) 1]") == "notJSON")
    }

    @Test(
        "The usual spelling of an envelope, read by comparison, means what any other spelling means",
        arguments: [
            (#"{"jsonrpc":"2.0",}"#, "notJSON"), (#"{"jsonrpc":"2.0","#, "notJSON"), (#"{"jsonrpc":"2.0""#, "notJSON"),
            (#"{"jsonrpc":"2.0",  "id":1,"method":"m"}"#, "call 1 m"),
            (#"{"id":1,"jsonrpc":"2.0","method":"m"}"#, "call 1 m"),
            (#"{"id":1,"method":"m","jsonrpc":"2.0"}"#, "call 1 m"),
            (#"{"jsonrpc":"2.0","jsonrpc":"2.0","id":1,"method":"m"}"#, "invalid -32600 1"),
            (#"{"jsonrpc":"2.0","id":1,"id":1,"method":"m"}"#, "invalid -32600 null"),
            (#"{"jsonrpc":"2.0","id":1,"method":"m","params":[1],"params":[1]}"#, "invalid -32600 1"),
            (#"{"jsonrpc":"2.0","id":}"#, "notJSON"), (#"{"jsonrpc":"2.0","id"1,"method":"m"}"#, "notJSON"),
            (#"{"jsonrpc":"2.0","id":1,"method":"m","params":[1]"#, "notJSON"),
            (#"{"jsonrpc":"2.0","params":[1],"method":"m","id":1}"#, "call 1 m [1]"),
        ])
    func usualSpelling(_ body: String, _ expected: String) {
        #expect(outcome(body) == expected)
    }

    @Test("The methods of kept calls can be asked for; of a longer batch only a yes is certain")
    func keptCalls() {
        func asks(_ body: String) -> Bool?? {
            withBytes(body) { bytes in
                guard case .batch(let batch) = parseMessage(bytes) else { return nil }
                return .some(batch.hasKeptCall { stringEquals($0, "m", in: bytes) })
            }
        }
        let call = #"{"jsonrpc":"2.0","method":"n"}"#
        #expect(asks("[\(call),1]") == .some(false))
        #expect(asks(#"[\#(call),{"jsonrpc":"2.0","method":"m"}]"#) == .some(true))
        #expect(asks(#"[\#(call),{"jsonrpc":"2.0","method":"\u006d"}]"#) == .some(true))
        #expect(asks(#"[\#(call),{"jsonrpc":"2.0","method":"m","id":[]}]"#) == .some(false))
        #expect(asks(#"[\#(call),{"jsonrpc":"2.0","method":"n","params":["m"]}]"#) == .some(false))
        let many = Array(repeating: call, count: 256).joined(separator: ",")
        #expect(asks("[\(many)]") == .some(false))
        #expect(asks("[\(many),\(call)]") == .some(nil))
        #expect(asks(#"[{"jsonrpc":"2.0","method":"m"},\#(many)]"#) == .some(true))
    }

    @Test("A batch counts its elements before they are read")
    func batchCount() {
        let body = "[" + Array(repeating: " {\"a\":[1,2,{}]} ", count: 1001).joined(separator: ",") + "]"
        withBytes(body) { bytes in
            guard case .batch(var batch) = parseMessage(bytes) else {
                Issue.record("a batch is expected")
                return
            }
            #expect(batch.count == 1001)
            var seen = 0
            while batch.next() != nil { seen += 1 }
            #expect(seen == 1001)
            #expect(batch.next() == nil)
        }
    }
}
