// What is written can be read back, and frames are what the specification says.

import Foundation
import JSONRPC
import TestSupport
import Testing

@Suite("Writer")
struct WriterTests {
    @Test("Every string survives being written and read")
    func roundTrip() throws {
        let seed: UInt64 = 0x5EED_0004
        print("seed \(seed)")
        var random = SeededRandom(seed: seed)
        let alphabet =
            (0..<0x80).compactMap(UnicodeScalar.init).map(Character.init) + ["é", "語", "😀", "\u{2028}", "\u{10FFFF}"]
        for _ in 0..<5000 {
            let original = String(
                (0..<Int.random(in: 0..<40, using: &random)).map { _ in alphabet.randomElement(using: &random) ?? "x" })
            var written: [UInt8] = []
            written.appendJSONString(original)
            try written.withUnsafeBytes { bytes in
                let value = try validateJSON(bytes)
                var decoded: [UInt8] = []
                decodeString(value, in: bytes, into: &decoded)
                #expect(decoded == Array(original.utf8))
            }
            let read = try JSONSerialization.jsonObject(with: Data(written), options: .fragmentsAllowed) as? String
            #expect(read.map { Array($0.utf8) } == Array(original.utf8))
        }
    }

    @Test("Only what must be escaped is escaped, at every place within a word")
    func escapes() {
        for byte in UInt8.min...0x7F {
            for place in 0..<18 {
                var bytes = [UInt8](repeating: UInt8(ascii: "x"), count: 18)
                bytes[place] = byte
                var written: [UInt8] = []
                bytes.withUnsafeBytes { written.appendJSONString($0) }
                let isEscaped = byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\")
                #expect(written.contains(UInt8(ascii: "\\")) == isEscaped)
                #expect(isAccepted(written))
            }
        }
        var written: [UInt8] = []
        written.appendJSONString("a\"\\/\u{8}\t\n\u{C}\r\u{0}\u{1F}\u{7F}é😀")
        #expect(String(decoding: written, as: UTF8.self) == #""a\"\\/\b\t\n\f\r\u0000\u001f"# + "\u{7F}é😀\"")
    }

    @Test("Integers are written in decimal from end to end")
    func decimals() {
        for number in [0, 1, -1, 9, 10, -10, 1234567890, Int64.max, Int64.min] {
            var written: [UInt8] = []
            written.append(decimal: number)
            #expect(String(decoding: written, as: UTF8.self) == "\(number)")
        }
        var written: [UInt8] = []
        written.append(decimal: UInt64.max)
        #expect(String(decoding: written, as: UTF8.self) == "18446744073709551615")
    }

    @Test("A response frames its result and echoes the id's text")
    func response() {
        withBytes(#"{"id" : "a\u0062" }"#) { body in
            var written: [UInt8] = []
            written.appendResponsePrefix(id: JSONSlice(start: 8, end: 17), in: body)
            written.append("{}")
            written.appendResponseSuffix()
            #expect(String(decoding: written, as: UTF8.self) == #"{"jsonrpc":"2.0","id":"a\u0062","result":{}}"#)
        }
    }

    @Test("An error response carries code, message, retryable, node and what else helps")
    func error() {
        let noBody = UnsafeRawBufferPointer(start: nil, count: 0)
        var written: [UInt8] = []
        written.appendErrorResponse(id: nil, in: noBody, .invalidParams, node: "a\"1") { sink in
            sink.appendNextMember("path", string: "params.key")
            sink.appendNextMember("reason", constant: "is missing")
            sink.appendNextMember("limitBytes", decimal: 4096)
        }
        let expected =
            #"{"jsonrpc":"2.0","id":null,"error":{"code":-32602,"message":"Invalid params","data":{"retryable":false,"#
            + #""node":"a\"1","path":"params.key","reason":"is missing","limitBytes":4096}}}"#
        #expect(String(decoding: written, as: UTF8.self) == expected)
    }

    @Test("Every error code writes a valid error object with its own message")
    func codes() {
        var messages: Set<String> = []
        for code in RPCErrorCode.allCases {
            var written: [UInt8] = []
            written.appendError(code, node: "1")
            #expect(isAccepted(written))
            #expect(
                String(decoding: written, as: UTF8.self).hasPrefix(
                    #"{"code":\#(code.rawValue),"message":"\#(code.message)""#))
            messages.insert("\(code.message)")
        }
        #expect(messages.count == RPCErrorCode.allCases.count)
    }
}
