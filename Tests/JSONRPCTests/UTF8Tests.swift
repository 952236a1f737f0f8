// Well-formed UTF-8 (Unicode 16, table 3-7; RFC 3629), exhaustively for the leading bytes.

import JSONRPC
import Testing

@Suite("UTF-8 in strings")
struct UTF8Tests {
    @Test("Every sequence of two bytes is judged as the standard library judges it")
    func twoBytes() {
        for first in UInt8(0x80)...0xFF {
            for second in UInt8(0x80)...0xFF { expectSame([first, second]) }
        }
    }

    @Test(
        "Sequences of three and four bytes are judged as the standard library judges them, at the edges of every range")
    func longer() {
        let edges: [UInt8] = [0x20, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF]
        for first in UInt8(0xC0)...0xFF {
            for second in edges {
                for third in edges {
                    expectSame([first, second, third])
                    for fourth in [0x7F, 0x80, 0xBF, 0xC0] as [UInt8] { expectSame([first, second, third, fourth]) }
                }
            }
        }
    }

    @Test(
        "Overlong forms, surrogates and code points above U+10FFFF are refused",
        arguments: [
            [0xC0, 0xAF], [0xC1, 0xBF], [0xE0, 0x80, 0xAF], [0xE0, 0x9F, 0xBF], [0xF0, 0x80, 0x80, 0xAF],
            [0xF0, 0x8F, 0xBF, 0xBF],
            [0xED, 0xA0, 0x80], [0xED, 0xBF, 0xBF], [0xED, 0xA0, 0xBD, 0xED, 0xB8, 0xB9], [0xF4, 0x90, 0x80, 0x80],
            [0xF5, 0x80, 0x80, 0x80], [0xF8, 0x88, 0x80, 0x80, 0x80], [0xFC, 0x84, 0x80, 0x80, 0x80, 0x80], [0xFE],
            [0xFF], [0x80], [0xBF],
            [0xC3], [0xE2, 0x82], [0xF0, 0x9F, 0x98], [0xC3, 0x28], [0xE2, 0x28, 0xA1], [0xE2, 0x82, 0x28],
            [0xF0, 0x28, 0x8C, 0xBC],
        ] as [[UInt8]])
    func refused(_ sequence: [UInt8]) {
        for before in 0..<9 {
            for after in 0..<9 {
                let bytes =
                    [0x22] + [UInt8](repeating: 0x61, count: before) + sequence + [UInt8](repeating: 0x62, count: after)
                    + [0x22]
                #expect(!isAccepted(bytes), "\(sequence) after \(before), before \(after)")
            }
        }
    }

    @Test("A sequence cut off by the end of the text is refused")
    func cutOff() {
        for sequence in [[0xC3, 0xA9], [0xE8, 0xAA, 0x9E], [0xF0, 0x9F, 0x98, 0x80]] as [[UInt8]] {
            for count in 1...sequence.count { #expect(!isAccepted([0x22] + sequence.prefix(count))) }
            #expect(isAccepted([0x22] + sequence + [0x22]))
        }
    }

    private func expectSame(_ sequence: [UInt8]) {
        let expected = String(validating: sequence, as: UTF8.self) != nil
        if isAccepted([0x22] + sequence + [0x22]) != expected {
            Issue.record("\(sequence) must be \(expected ? "accepted" : "refused")")
        }
    }
}
