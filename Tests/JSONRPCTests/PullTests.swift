// Reading a frame step by step: judged as the whole text would be, with the nesting of a frame left out of account.

import JSONRPC
import TestSupport
import Testing

/// Leads a pull through the frame between nodes: `params` and the `calls` in it are entered, everything else is read whole.
private struct FrameReading: Equatable {
    /// Names and values in the order in which they were read.
    var steps: [String] = []

    /// Reads with a pull; nil when it refuses the text.
    init?(pulling bytes: UnsafeRawBufferPointer) {
        do throws(JSONError) {
            var pull = JSONPull(bytes)
            try pull.enterObject()
            while let (name, hasEscapes) = try pull.nextName() {
                steps.append(text(name, bytes))
                guard stringEquals(name, hasEscapes: hasEscapes, "params", in: bytes) else {
                    steps.append(text(try pull.value().slice, bytes))
                    continue
                }
                try pull.enterObject()
                while let (name, hasEscapes) = try pull.nextName() {
                    steps.append(text(name, bytes))
                    guard stringEquals(name, hasEscapes: hasEscapes, "calls", in: bytes) else {
                        steps.append(text(try pull.value().slice, bytes))
                        continue
                    }
                    try pull.enterArray()
                    while try pull.nextElement() { steps.append(text(try pull.value().slice, bytes)) }
                }
            }
            try pull.end()
        } catch {
            return nil
        }
    }

    /// The same by validating all of the text first and walking it with cursors.
    init?(validating bytes: UnsafeRawBufferPointer) {
        guard let whole = try? validateJSON(bytes), whole.kind == .object else { return nil }
        var members = JSONObjectCursor(bytes, whole.slice)
        while let member = members.next() {
            steps.append(text(member.name, bytes))
            guard stringEquals(member.name, hasEscapes: member.nameHasEscapes, "params", in: bytes) else {
                steps.append(text(member.value.slice, bytes))
                continue
            }
            guard member.value.kind == .object else { return nil }
            var parameters = JSONObjectCursor(bytes, member.value.slice)
            while let member = parameters.next() {
                steps.append(text(member.name, bytes))
                guard stringEquals(member.name, hasEscapes: member.nameHasEscapes, "calls", in: bytes) else {
                    steps.append(text(member.value.slice, bytes))
                    continue
                }
                guard member.value.kind == .array else { return nil }
                var calls = JSONArrayCursor(bytes, member.value.slice)
                while let call = calls.next() { steps.append(text(call.slice, bytes)) }
            }
        }
    }
}

private func isTooDeep(_ source: String, _ read: (inout JSONPull) throws(JSONError) -> Void) -> Bool? {
    withBytes(source) { bytes in
        var pull = JSONPull(bytes)
        do throws(JSONError) {
            try read(&pull)
            return nil
        } catch {
            return error.isTooDeep
        }
    }
}

private func nested(_ levels: Int) -> String {
    String(repeating: "[", count: levels) + String(repeating: "]", count: levels)
}

@Suite("Pulled JSON")
struct PullTests {
    private static let frames = [
        #"{"jsonrpc":"2.0","id":1,"method":"peer.calls","params":{"cluster":"a b","hop":1,"operations":["0","12"],"calls":[{"jsonrpc":"2.0","id":7,"method":"cache.get","params":{"key":"k"}},{"jsonrpc":"2.0","method":"m"},1102]}}"#,
        " { \"par\\u0061ms\" :\t{ \"calls\" : [ ] , \"calls\":[ null ,[ [ ] ],\"\\\"]\" ] } ,\r\n\"x\" : -1.5e+3 , \"\":{\"calls\":[1]} } ",
        #"{"params":{},"params":{"a":{},"calls":[[],{},"",0,true,false,null]},"grüße":"😀"}"#,
    ]

    @Test("A frame that is pulled apart gives what lies in the text", arguments: frames)
    func readsFrames(_ frame: String) {
        withBytes(frame) { bytes in
            let pulled = FrameReading(pulling: bytes)
            #expect(pulled != nil && pulled?.steps.count ?? 0 > 3)
            #expect(pulled == FrameReading(validating: bytes))
        }
    }

    @Test("A frame cut at any byte is refused", arguments: frames)
    func truncated(_ frame: String) {
        // Trailing white space may be missing.
        let needed = frame.utf8.count - (frame.hasSuffix(" ") ? 1 : 0)
        for count in 0..<needed {
            Array(frame.utf8.prefix(count)).withUnsafeBytes { bytes in
                #expect(FrameReading(pulling: bytes) == nil, "cut at \(count)")
            }
        }
    }

    @Test("A frame followed by anything but white space is refused", arguments: frames)
    func extended(_ frame: String) {
        for byte in UInt8.min...UInt8.max where ![0x20, 0x09, 0x0A, 0x0D].contains(byte) {
            (Array(frame.utf8) + [byte]).withUnsafeBytes { bytes in
                #expect(FrameReading(pulling: bytes) == nil, "followed by \(byte)")
            }
        }
    }

    @Test("50,000 changed frames are read exactly when the whole text is valid, and give the same parts")
    func mutated() {
        let seed: UInt64 = 0x5EED_0011
        print("seed \(seed)")
        var random = SeededRandom(seed: seed)
        let telling = Array("\"\\{}[]:,0123456789-+.eEutrfalsn \u{0}".utf8) + [0x80, 0xC3, 0xED, 0xFF]
        let frames = Self.frames.map { Array($0.utf8) }
        var accepted = 0
        for round in 0..<50_000 {
            var bytes = frames[round % frames.count]
            for _ in 0...Int.random(in: 0..<2, using: &random) where !bytes.isEmpty {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                let byte = telling[Int.random(in: 0..<telling.count, using: &random)]
                switch Int.random(in: 0..<5, using: &random) {
                case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes[place] = byte
                case 2: bytes.insert(byte, at: place)
                case 3: bytes.remove(at: place)
                default: bytes.removeSubrange(place..<min(bytes.count, place + Int.random(in: 0..<8, using: &random)))
                }
            }
            let (pulled, whole) = bytes.withUnsafeBytes { (FrameReading(pulling: $0), FrameReading(validating: $0)) }
            if whole != nil { accepted += 1 }
            if pulled != whole {
                Issue.record("round \(round): pulled \(pulled != nil), whole \(whole != nil) for \(bytes)")
                return
            }
        }
        #expect(accepted > 5000, "the changes must leave enough frames to be worth it, got \(accepted)")
    }

    @Test(
        "JSON that is no frame is refused",
        arguments: [
            "7", "[]", "null", "\"{}\"", #"{"params":[]}"#, #"{"params":null}"#, #"{"params":{"calls":{}}}"#,
            #"{"params":{"calls":"[]"}}"#,
        ])
    func otherShapes(_ source: String) {
        #expect(isAccepted(source))
        withBytes(source) { #expect(FrameReading(pulling: $0) == nil) }
    }

    @Test(
        "A call of 128 levels is read however deep the frame is, one of 129 is too deep", arguments: [0, 1, 2, 60, 500])
    func callNesting(_ frameLevels: Int) {
        func pulled(_ levels: Int) -> Bool? {
            // The request object is the first level.
            let call = #"{"jsonrpc":"2.0","id":1,"method":"m","params":\#(nested(levels - 1))}"#
            let frame = String(repeating: "[", count: frameLevels) + call + String(repeating: "]", count: frameLevels)
            return isTooDeep(frame) { pull throws(JSONError) in
                for _ in 0..<frameLevels {
                    try pull.enterArray()
                    _ = try pull.nextElement()
                }
                if case .invalid = try pull.call() { Issue.record("not taken for a call") }
                for _ in 0..<frameLevels where try pull.nextElement() { Issue.record("there is one element only") }
                try pull.end()
            }
        }
        #expect(pulled(127) == nil)
        #expect(pulled(128) == nil)
        #expect(pulled(129) == true)
    }

    @Test("A value of 128 levels is read however deep the frame is, one of 129 is too deep", arguments: [0, 1, 2, 60])
    func valueNesting(_ frameLevels: Int) {
        func pulled(_ levels: Int) -> Bool? {
            let open = String(repeating: "{\"a\":", count: frameLevels)
            return isTooDeep(open + nested(levels) + String(repeating: "}", count: frameLevels)) {
                pull throws(JSONError) in
                for _ in 0..<frameLevels {
                    try pull.enterObject()
                    _ = try pull.nextName()
                }
                #expect(try pull.value().kind == .array)
                for _ in 0..<frameLevels where try pull.nextName() != nil { Issue.record("there is one member only") }
                try pull.end()
            }
        }
        #expect(pulled(128) == nil)
        #expect(pulled(129) == true)
    }

    @Test("Calls one after the other do not add up in depth")
    func siblings() {
        let call = #"{"jsonrpc":"2.0","method":"m","params":\#(nested(127))}"#
        let read = isTooDeep("[" + repeatElement(call, count: 50).joined(separator: ",") + "]") {
            pull throws(JSONError) in
            try pull.enterArray()
            var count = 0
            while try pull.nextElement() {
                _ = try pull.call()
                count += 1
            }
            #expect(count == 50)
            try pull.end()
        }
        #expect(read == nil)
    }

    @Test(
        "A call in a frame is judged as it would be alone",
        arguments: [
            #"{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":1,"a":2}}"#, #"{"jsonrpc":"2.0","method":"m"}"#,
            #"{"jsonrpc":"2.0","id":null,"method":"m","params":[1,2]}"#, #"{"jsonrpc":"1.0","id":"x","method":"m"}"#,
            #"{"id":4,"method":"m"}"#, #"{"jsonrpc":"2.0","id":[],"method":"m"}"#, #"{"jsonrpc":"2.0","id":1}"#,
            #"{"jsonrpc":"2.0","id":1,"method":"m","params":3}"#, #"{"jsonrpc":"2.0","id":1,"id":2,"method":"m"}"#,
            "{}", "7", "\"x\"", "[]",
        ])
    func judgement(_ call: String) {
        func summary(_ element: Element, _ bytes: UnsafeRawBufferPointer) -> String {
            switch element {
            case .call(let call):
                let id = call.id.map { text($0, bytes) } ?? "none"
                return "\(id) \(text(call.method.slice, bytes)) \(text(call.params.slice, bytes)) \(call.params.count)"
            case .invalid(let id, let code, let reason):
                return "\(id.map { text($0, bytes) } ?? "none") \(code.rawValue) \(reason)"
            }
        }
        let alone = withBytes(call) { bytes in
            // Alone an array is a batch, within a frame it is no request.
            guard call != "[]", case .single(let element) = parseMessage(bytes) else {
                return "none -32600 a request is an object"
            }
            return summary(element, bytes)
        }
        let framed = withBytes(" [ \(call) ]") { bytes in
            do throws(JSONError) {
                var pull = JSONPull(bytes)
                try pull.enterArray()
                guard try pull.nextElement() else { return "no element" }
                let element = try pull.call()
                guard try !pull.nextElement() else { return "another element" }
                try pull.end()
                return summary(element, bytes)
            } catch {
                return "refused at \(error.offset)"
            }
        }
        #expect(framed == alone)
    }

    @Test(
        "A container that closes with the other bracket, or has a comma too many or too few, is refused",
        arguments: [
            "[1}", "[1,]", "[,1]", "[1 2]", "[1,,2]", "[", "[1", "[1,", "{\"a\":1]", "{\"a\":1,}", "{,\"a\":1}",
            "{\"a\" 1}", "{\"a\":1 \"b\":2}", "{a:1}", "{\"a\"}", "{\"a\":}", "{1:1}", "",
        ])
    func brackets(_ source: String) {
        let refusal = isTooDeep(source) { pull throws(JSONError) in
            if source.hasPrefix("{") {
                try pull.enterObject()
                while try pull.nextName() != nil { _ = try pull.value() }
            } else {
                try pull.enterArray()
                while try pull.nextElement() { _ = try pull.value() }
            }
            try pull.end()
        }
        #expect(refusal == false)
    }
}
