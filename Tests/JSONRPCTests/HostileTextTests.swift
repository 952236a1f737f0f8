// Texts that were cut, changed or built to hurt: never accepted by mistake, never a trap, never the end of the stack.

import JSONRPC
import TestSupport
import Testing

@Suite("Hostile texts")
struct HostileTextTests {
    private static let samples = [
        #"{"jsonrpc":"2.0","id":1,"method":"cache.get","params":{"key":"user:1234567"}}"#,
        #"{"jsonrpc":"2.0","id":"a\u00e9\ud83d\ude39","method":"cache.put","params":["k",{"a":[1,-2.5e+3,true,false,null]},60000]}"#,
        #"[{"jsonrpc":"2.0","method":"a"},{"jsonrpc":"2.0","id":null,"method":"b","params":[]},1,"x",[],{}]"#,
        "{ \"jsonrpc\" : \"2.0\" ,\r\n\t\"id\" : 1e400 , \"method\" : \"grüße 語 😀\" , \"params\" : { \"\" : \"\\\\ \\\" \\/\" } }",
        #"[[[[{"a":[{"b":{"c":[[],{}]}}]}]]],"\b\f\n\r\t",0,-0,0.0,1E-5]"#,
    ]

    @Test("A message cut at any byte is not JSON", arguments: samples)
    func truncated(_ sample: String) {
        let bytes = Array(sample.utf8)
        #expect(outcome(bytes) != "notJSON")
        for count in 0..<bytes.count {
            let cut = Array(bytes.prefix(count))
            #expect(outcome(cut) == "notJSON", "cut at \(count)")
            #expect(!isAccepted(cut), "cut at \(count)")
        }
    }

    @Test("A message followed by anything but whitespace is not JSON", arguments: samples)
    func extended(_ sample: String) {
        for byte in UInt8.min...UInt8.max where ![0x20, 0x09, 0x0A, 0x0D].contains(byte) {
            #expect(outcome(Array(sample.utf8) + [byte]) == "notJSON", "followed by \(byte)")
        }
    }

    @Test("200,000 random changes are judged exactly as the reference judges them")
    func mutated() {
        let seed: UInt64 = 0x5EED_0001
        print("seed \(seed)")
        var random = SeededRandom(seed: seed)
        let telling =
            Array("\"\\{}[]:,0123456789-+.eEutrfalsn \u{0}\u{1F}\u{7F}".utf8) + [0x80, 0xC3, 0xED, 0xF0, 0xF4, 0xFF]
        let samples = Self.samples.map { Array($0.utf8) }
        var accepted = 0
        for round in 0..<200_000 {
            var bytes = samples[round % samples.count]
            for _ in 0...Int.random(in: 0..<3, using: &random) where !bytes.isEmpty {
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
            let isJSON = ReferenceValidator.accepts(bytes)
            let result = outcome(bytes)
            if isJSON { accepted += 1 }
            if isAccepted(bytes) != isJSON || (result != "notJSON") != isJSON {
                Issue.record("round \(round): reference \(isJSON), got \(result) for \(bytes)")
                return
            }
        }
        #expect(accepted > 10_000, "the changes must leave enough JSON to be worth it, got \(accepted)")
    }

    @Test("127 and 128 levels are accepted, 129 are refused, whatever the containers")
    func nesting() {
        let containers = [
            [("[", "]")], [("{\"a\":", "}")], [("[1,", ",2]"), ("{\"x\":[],\"a\" : ", ",\"y\":{}}")], [("[ \n", "\t]")],
        ]
        for mix in containers {
            func nested(_ depth: Int) -> String {
                (0..<depth).reduce("0") { inner, level in mix[level % mix.count].0 + inner + mix[level % mix.count].1 }
            }
            #expect(isAccepted(nested(127)))
            #expect(isAccepted(nested(128)))
            #expect(!isAccepted(nested(129)))
        }
    }

    @Test("A smaller cap holds, and depth is told apart from text that is not JSON")
    func smallerCap() {
        func judge(_ source: String, maxDepth: Int) -> String {
            withBytes(source) { bytes in
                do throws(JSONError) {
                    _ = try validateJSON(bytes, maxDepth: maxDepth)
                    return "accepted"
                } catch {
                    return "\(error.isTooDeep ? "too deep" : "not JSON") at \(error.offset)"
                }
            }
        }
        #expect(judge("[[1]]", maxDepth: 2) == "accepted")
        #expect(judge("[[1]]", maxDepth: 1) == "too deep at 1")
        #expect(judge("[[1]]", maxDepth: 0) == "too deep at 0")
        #expect(judge("1", maxDepth: 0) == "accepted")
        #expect(judge("[[1}]", maxDepth: 128) == "not JSON at 3")
        #expect(judge("[[1", maxDepth: 128) == "not JSON at 3")
    }

    @Test("Nesting of siblings does not add up")
    func siblings() {
        let deep = String(repeating: "[", count: 127) + String(repeating: "]", count: 127)
        #expect(isAccepted("[\(deep),\(deep),{\"a\":1},\(deep)]"))
        #expect(!isAccepted("[\(deep),[\(deep)]]"))
    }

    @Test("A message nested beyond 128 levels is an invalid request, envelope and batch counted in")
    func deepMessages() {
        func call(_ levels: Int) -> String {
            let value = String(repeating: "[", count: levels) + String(repeating: "]", count: levels)
            return #"{"jsonrpc":"2.0","id":1,"method":"m","params":\#(value)}"#
        }
        #expect(outcome(call(127)).hasPrefix("call 1 m"))
        #expect(outcome(call(128)) == "invalid -32600 null")
        #expect(outcome("[\(call(126))]").hasPrefix("batch (call 1 m"))
        #expect(outcome("[\(call(127))]") == "invalid -32600 null")
        #expect(outcome(#"{"x":\#(String(repeating: "{\"a\":", count: 128))1"#) == "invalid -32600 null")
    }

    @Test("100,000 brackets, open or closed, are refused at the cap")
    func bracketFlood() {
        for unit in ["[", "{\"a\":", "[{\"a\":", "[[],"] {
            let flood = String(repeating: unit, count: 100_000)
            #expect(outcome(flood) == "invalid -32600 null")
            #expect(!isAccepted(flood))
        }
        let closed = String(repeating: "[", count: 100_000) + String(repeating: "]", count: 100_000)
        #expect(outcome(closed) == "invalid -32600 null")
        #expect(isAccepted("[" + String(repeating: "[],", count: 100_000) + "[]]"))
        #expect(outcome(String(repeating: "]", count: 100_000)) == "notJSON")
    }
}
