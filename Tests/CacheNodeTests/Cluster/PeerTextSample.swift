// Seeded texts with compressed values in them, as a reply and as the plain text they stand for.

import JSONRPC
import TestSupport

@testable import CacheNode

/// A JSON array of values, some of them compressed.
struct PeerTextSample {
    /// The whole text with every value inflated.
    private(set) var model: [UInt8] = Array("[".utf8)
    /// Each element's text.
    private(set) var elements: [[UInt8]] = []
    private(set) var compressedCount = 0
    private(set) var reply = ReplyBuffer.empty()
    /// Where each element begins and ends in the reply.
    private(set) var marks: [(start: ReplyBuffer.Mark, end: ReplyBuffer.Mark)] = []

    init(_ random: inout SeededRandom, elements count: Int) throws {
        reply.append("[")
        for index in 0..<count {
            if index > 0 {
                model.append(UInt8(ascii: ","))
                reply.append(",")
            }
            let start = reply.mark
            // Between two compressed values there may be nothing but a comma; `null` also comes as itself.
            let text = Self.value(&random)
            if Bool.random(using: &random) {
                reply.append(try CompressedSample(text))
                compressedCount += 1
            } else {
                reply.append(text: text)
            }
            marks.append((start, reply.mark))
            model += text
            elements.append(text)
        }
        model.append(UInt8(ascii: "]"))
        reply.append("]")
    }

    private static func value(_ random: inout SeededRandom) -> [UInt8] {
        switch Int.random(in: 0..<6, using: &random) {
        case 0: Array("null".utf8)
        case 1: Array("\(Int64.random(in: .min ... .max, using: &random))".utf8)
        case 2: Array("{\"null\":\"null, [null]\",\"a\":[null,null]}".utf8)
        case 3: Array("\"\(String(repeating: "spyder ", count: Int.random(in: 0..<200, using: &random)))\"".utf8)
        case 4:
            Array("[".utf8)
                + (0..<Int.random(in: 0..<300, using: &random)).flatMap { _ in
                    Array("\(UInt16.random(in: 0...999, using: &random)),".utf8)
                } + Array("0]".utf8)
        default: Array("\"\"".utf8)
        }
    }
}

extension PeerText {
    /// Where the elements of the array that the text is lie in it.
    var elementSlices: [JSONSlice] {
        text.withUnsafeReadableBytes { bytes in
            var slices: [JSONSlice] = []
            var cursor = JSONArrayCursor(bytes, JSONSlice(start: 0, end: Int32(bytes.count)))
            while let element = cursor.next() { slices.append(element.slice) }
            return slices
        }
    }

    var wholeSlice: JSONSlice { JSONSlice(start: 0, end: Int32(text.readableBytes)) }
}
