// Strings: the one place where request bytes are looked at in bulk, hence a word at a time while they are plain ASCII.
//
// Strict: escapes must be known, surrogates must come in pairs, UTF-8 must be well-formed. A cache that stored anything
// else would hand some later reader a text its parser refuses.

extension JSONScanner {
    /// Reads a string, quotes included, and says whether it contains a backslash.
    mutating func scanString() throws(JSONFault) -> Bool {
        guard current == ASCII.quote else { throw unexpected }
        let end = bytes.count
        var at = position &+ 1
        var hasEscapes = false
        while true {
            while at &+ 8 <= end {
                let stops = ByteWord.stringStops(ByteWord.load(bytes, at: at))
                guard stops == 0 else {
                    at &+= ByteWord.firstLane(stops)
                    break
                }
                at &+= 8
            }
            guard at < end else {
                position = end
                throw .unexpectedEnd
            }
            switch bytes[at] {
            case ASCII.quote:
                position = at &+ 1
                return hasEscapes
            case ASCII.backslash:
                hasEscapes = true
                position = at
                try scanEscape()
                at = position
            case 0..<0x20:
                position = at
                throw .controlCharacter
            case 0x80...:
                position = at
                try scanMultibyteRun()
                at = position
            default:
                at &+= 1  // Fewer than eight bytes are left.
            }
        }
    }

    /// Steps over one escape; a high surrogate takes the low one behind it along.
    private mutating func scanEscape() throws(JSONFault) {
        guard position &+ 1 < bytes.count else { throw .unexpectedEnd }
        switch bytes[position &+ 1] {
        case ASCII.quote, ASCII.backslash, UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            position &+= 2
        case UInt8(ascii: "u"):
            switch try codeUnit(at: position &+ 2) {
            case 0xD800...0xDBFF:
                guard position &+ 7 < bytes.count, bytes[position &+ 6] == ASCII.backslash,
                    bytes[position &+ 7] == UInt8(ascii: "u"),
                    case 0xDC00...0xDFFF = try codeUnit(at: position &+ 8)
                else { throw .loneSurrogate }
                position &+= 12
            case 0xDC00...0xDFFF:
                throw .loneSurrogate
            default:
                position &+= 6
            }
        default:
            throw .invalidEscape
        }
    }

    /// Four hexadecimal digits.
    private func codeUnit(at offset: Int) throws(JSONFault) -> UInt32 {
        guard offset &+ 4 <= bytes.count else { throw .unexpectedEnd }
        var unit: UInt32 = 0
        for index in offset..<(offset &+ 4) {
            guard let digit = ASCII.hexadecimal(bytes[index]) else { throw .invalidEscape }
            unit = unit &<< 4 | digit
        }
        return unit
    }

    /// Steps over bytes from 0x80 up as long as they are well-formed UTF-8 (Unicode 16, table 3-7): no overlong form,
    /// no surrogate, nothing above U+10FFFF.
    private mutating func scanMultibyteRun() throws(JSONFault) {
        var at = position
        // A sequence cut off by the end is refused as well: what is missing reads as zero, no continuation byte.
        func byte(_ offset: Int) -> UInt8 { offset < bytes.count ? bytes[offset] : 0 }
        func continues(_ offset: Int) -> Bool { byte(offset) & 0xC0 == 0x80 }
        while byte(at) >= 0x80 {
            let second = byte(at &+ 1)
            let isValid: Bool
            let count: Int
            switch byte(at) {
            case 0xC2...0xDF: (isValid, count) = (continues(at &+ 1), 2)
            case 0xE0: (isValid, count) = (0xA0...0xBF ~= second && continues(at &+ 2), 3)
            case 0xED: (isValid, count) = (0x80...0x9F ~= second && continues(at &+ 2), 3)
            case 0xE1...0xEF: (isValid, count) = (continues(at &+ 1) && continues(at &+ 2), 3)
            case 0xF0: (isValid, count) = (0x90...0xBF ~= second && continues(at &+ 2) && continues(at &+ 3), 4)
            case 0xF1...0xF3: (isValid, count) = (continues(at &+ 1) && continues(at &+ 2) && continues(at &+ 3), 4)
            case 0xF4: (isValid, count) = (0x80...0x8F ~= second && continues(at &+ 2) && continues(at &+ 3), 4)
            default: (isValid, count) = (false, 1)
            }
            guard isValid else {
                position = at
                throw .invalidUTF8
            }
            at &+= count
        }
        position = at
    }
}
