// Parameters as recorded while the envelope is read.

import JSONRPC
import Testing

@Suite("Params")
struct ParamsTests {
    @Test("By name: members in the order sent, values as sent")
    func byName() {
        expectParams(#"{ "key" : "a\n" , "value":{"x":[1, 2]},"ttlMs":60000,"n":null,"t":true,"f":false}"#) {
            params, body in
            #expect(params.kind == .byName && params.count == 6 && !params.overflow && params.duplicate == nil)
            let names = (0..<6).map { text(params[$0].name, body) }
            #expect(names == ["key", "value", "ttlMs", "n", "t", "f"])
            let values = (0..<6).map { text(params[$0].value.slice, body) }
            #expect(values == [#""a\n""#, #"{"x":[1, 2]}"#, "60000", "null", "true", "false"])
            #expect((0..<6).map { params[$0].value.kind } == [.string, .object, .number, .null, .true, .false])
            #expect(params[0].value.hasEscapes && !params[1].value.hasEscapes)
        }
    }

    @Test("By position: elements in order, without names")
    func byPosition() {
        expectParams(#"[ "k" , [] ,-1.5e3]"#) { params, body in
            #expect(params.kind == .byPosition && params.count == 3)
            #expect((0..<3).map { text(params[$0].value.slice, body) } == [#""k""#, "[]", "-1.5e3"])
            #expect((0..<3).allSatisfy { params[$0].name.count == 0 })
            #expect(params[0].value.content.bytes(in: body).elementsEqual("k".utf8))
        }
    }

    @Test("Absent, empty by name and empty by position are three different things")
    func empty() {
        expectParams(nil) { params, _ in #expect(params.kind == .none && params.count == 0) }
        expectParams("{ }") { params, _ in #expect(params.kind == .byName && params.count == 0) }
        expectParams("[ ]") { params, _ in #expect(params.kind == .byPosition && params.count == 0) }
    }

    @Test("Eight are kept; a ninth is reported, and validated all the same")
    func overflow() {
        expectParams("[1,2,3,4,5,6,7,8]") { params, _ in #expect(params.count == 8 && !params.overflow) }
        expectParams("[1,2,3,4,5,6,7,8,9]") { params, body in
            #expect(params.count == 8 && params.overflow)
            #expect(text(params.slice, body) == "[1,2,3,4,5,6,7,8,9]")
        }
        #expect(outcome(#"{"jsonrpc":"2.0","method":"m","params":[1,2,3,4,5,6,7,8,09]}"#) == "notJSON")
    }

    @Test(
        "A name that occurs twice is reported, however it is written",
        arguments: [
            (#"{"a":1,"a":2}"#, "a"), (#"{"a":1,"b":2,"c":3,"b":4,"a":5}"#, "b"),
            (#"{"key":1,"k\u0065y":2}"#, #"k\u0065y"#),
            (#"{"\u006bey":1,"key":2}"#, "key"), (#"{"":1,"":2}"#, ""), (#"{"é":1,"\u00E9":2}"#, #"\u00E9"#),
            (#"{"😀":1,"\uD83D\uDE00":2}"#, #"\uD83D\uDE00"#),
        ])
    func duplicates(_ params: String, duplicate: String) {
        expectParams(params) { params, body in
            #expect(params.duplicate.map { text($0, body) } == duplicate)
        }
    }

    @Test(
        "Names that only look alike are not duplicates",
        arguments: [#"{"a":1,"A":2}"#, #"{"a":1,"a ":2}"#, #"{"a":{"a":1}}"#, #"{"\\u0061":1,"a":2}"#])
    func notDuplicates(_ params: String) {
        expectParams(params) { params, _ in #expect(params.duplicate == nil) }
    }

    @Test("A parameter is found by its name or by its position")
    func lookup() {
        for params in [#"{"value":2,"k\u0065y":1}"#, "[1,2]"] {
            expectParams(params) { params, body in
                #expect(params.value("key", at: 0, in: body).map { text($0.slice, body) } == "1")
                #expect(params.value("value", at: 1, in: body).map { text($0.slice, body) } == "2")
                #expect(params.value("ttlMs", at: 2, in: body) == nil)
            }
        }
        expectParams(nil) { params, body in #expect(params.value("key", at: 0, in: body) == nil) }
    }

    private func expectParams(_ params: String?, _ check: (Params, UnsafeRawBufferPointer) -> Void) {
        let member = params.map { #","params":\#($0)"# } ?? ""
        withBytes(#"{"jsonrpc":"2.0","method":"m"\#(member),"id":1}"#) { body in
            guard case .single(.call(let call)) = parseMessage(body) else {
                Issue.record("a call is expected")
                return
            }
            check(call.params, body)
        }
    }
}
