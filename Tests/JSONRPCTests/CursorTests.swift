// Walking arrays and objects that were validated before.

import JSONRPC
import TestSupport
import Testing

@Suite("Cursors")
struct CursorTests {
    @Test("An array's elements come in order, each with its kind and exact text")
    func array() {
        let source = #" [ 1 ,"a,]\"" , [ [], {"x":"]"} ],{"b":[1,2]}, true,false ,null,-1.5e+3 ] "#
        let found = elements(source, from: 1, to: source.utf8.count - 1)
        #expect(
            found.map(\.text) == [
                "1", #""a,]\"""#, #"[ [], {"x":"]"} ]"#, #"{"b":[1,2]}"#, "true", "false", "null", "-1.5e+3",
            ])
        #expect(found.map(\.kind) == [.number, .string, .array, .object, .true, .false, .null, .number])
    }

    @Test("Empty containers have nothing in them", arguments: ["[]", "[ ]", "{}", "{\n}"])
    func empty(_ source: String) {
        withBytes(source) { bytes in
            let slice = JSONSlice(start: 0, end: Int32(bytes.count))
            if source.hasPrefix("[") {
                var cursor = JSONArrayCursor(bytes, slice)
                #expect(cursor.next() == nil && cursor.next() == nil)
            } else {
                var cursor = JSONObjectCursor(bytes, slice)
                #expect(cursor.next() == nil && cursor.next() == nil)
            }
        }
    }

    @Test("An object's members come in order, duplicates included")
    func object() {
        let source = #"{ "a" : 1,"b\"":"x\\","":{"}":"{"},"a":[ ] }"#
        withBytes(source) { bytes in
            var cursor = JSONObjectCursor(bytes, JSONSlice(start: 0, end: Int32(bytes.count)))
            var found: [String] = []
            while let member = cursor.next() {
                found.append("\(text(member.name, bytes))|\(member.nameHasEscapes)|\(text(member.value.slice, bytes))")
            }
            #expect(found == ["a|false|1", #"b\"|true|"x\\""#, #"|false|{"}":"{"}"#, "a|false|[ ]"])
        }
    }

    @Test("A cursor finds in random documents what the message reader found")
    func agreesWithScanner() {
        let seed: UInt64 = 0x5EED_0002
        print("seed \(seed)")
        var random = SeededRandom(seed: seed)
        for _ in 0..<2000 {
            let items = (0..<Int.random(in: 0...8, using: &random)).map { _ in randomValue(&random, depth: 4) }
            let source = "[" + items.joined(separator: Bool.random(using: &random) ? "," : " ,\n") + "]"
            #expect(isAccepted(source))
            #expect(elements(source, from: 0, to: source.utf8.count).map(\.text) == items)
        }
    }

    @Test("Text that was never validated cannot lead a cursor outside its slice")
    func rubbish() {
        var random = SeededRandom(seed: 0x5EED_0003)
        for _ in 0..<20_000 {
            let bytes = (0..<Int.random(in: 2..<40, using: &random)).map { _ in
                "[]{}\",:\\u1t ".utf8.randomElement(using: &random) ?? 0
            }
            bytes.withUnsafeBytes { bytes in
                let slice = JSONSlice(start: 0, end: Int32(bytes.count))
                var array = JSONArrayCursor(bytes, slice)
                while let value = array.next() {
                    #expect(value.slice.start >= 0 && value.slice.count >= 0 && value.slice.end <= slice.end)
                }
                var object = JSONObjectCursor(bytes, slice)
                while let member = object.next() {
                    #expect(
                        member.name.count >= 0 && member.name.end <= slice.end && member.value.slice.end <= slice.end)
                }
            }
        }
    }

    private func elements(_ source: String, from start: Int, to end: Int) -> [(text: String, kind: JSONKind)] {
        withBytes(source) { bytes in
            var cursor = JSONArrayCursor(bytes, JSONSlice(start: Int32(start), end: Int32(end)))
            var found: [(String, JSONKind)] = []
            while let value = cursor.next() { found.append((text(value.slice, bytes), value.kind)) }
            return found
        }
    }
}

/// A random JSON value, compact at its edges.
func randomValue(_ random: inout SeededRandom, depth: Int) -> String {
    let scalars = [
        "0", "-1.5e3", "true", "false", "null", #""""#, #""a\"],}""#, #""grüße\n\ud83d\ude39""#,
        #""0123456789 0123456789\\""#,
    ]
    guard depth > 0, Bool.random(using: &random) else { return scalars.randomElement(using: &random) ?? "0" }
    let count = Int.random(in: 0...4, using: &random)
    if Bool.random(using: &random) {
        return "[" + (0..<count).map { _ in randomValue(&random, depth: depth - 1) }.joined(separator: ", ") + "]"
    }
    return "{" + (0..<count).map { "\"n\($0)\" :\(randomValue(&random, depth: depth - 1))" }.joined(separator: ",")
        + "}"
}
