// Base64 with the standard alphabet and padding (RFC 4648, section 4): how etcd's JSON gateway carries keys and values.
//
// Strict: no line ends, no missing padding, no bits left over (section 3.5), so that every text has one meaning.

import JSONRPC

/// Linear in the length, both ways.
enum Base64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    private static let padding = UInt8(ascii: "=")

    /// Appends the text for `bytes`, without quotes.
    static func append(_ bytes: some Collection<UInt8>, to sink: inout some ByteSink) {
        var group: UInt32 = 0
        var count = 0
        func sextet(_ shift: UInt32) -> UInt8 { alphabet[Int(group >> shift & 0x3F)] }
        for byte in bytes {
            group = group << 8 | UInt32(byte)
            count += 1
            guard count == 3 else { continue }
            for shift: UInt32 in [18, 12, 6, 0] { sink.append(byte: sextet(shift)) }
            group = 0
            count = 0
        }
        guard count > 0 else { return }
        group <<= UInt32(8 * (3 - count))
        sink.append(byte: sextet(18))
        sink.append(byte: sextet(12))
        sink.append(byte: count == 2 ? sextet(6) : padding)
        sink.append(byte: padding)
    }

    /// The bytes that `text` stands for, nil when it is not Base64.
    static func decode(_ text: some Collection<UInt8>) -> [UInt8]? {
        guard text.count.isMultiple(of: 4) else { return nil }
        let paddings = text.suffix(2).reversed().prefix { $0 == padding }.count
        let digits = text.dropLast(paddings)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count / 4 * 3)
        var group: UInt32 = 0
        var bits = 0
        for digit in digits {
            guard let value = value(of: digit) else { return nil }
            group = group << 6 | value
            bits += 6
            guard bits >= 8 else { continue }
            bits -= 8
            bytes.append(UInt8(truncatingIfNeeded: group >> UInt32(bits)))
            group &= 1 << UInt32(bits) - 1
        }
        return group == 0 ? bytes : nil
    }

    private static func value(of digit: UInt8) -> UInt32? {
        switch digit {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(digit - UInt8(ascii: "A"))
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(digit - UInt8(ascii: "a")) + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(digit - UInt8(ascii: "0")) + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
