// Eight bytes at a time: the tests that let strings be scanned a word at a time, and comparison of short names.
//
// A word is loaded little-endian, so that the lowest lane is the first byte. Each test answers with the top bit of
// every lane that hits. Lanes above the first hit may be wrong (a borrow runs upwards); the first hit never is, and
// callers use no other. Mycroft's test: subtracting 1 from each lane borrows into the top bit exactly where the lane
// was zero.

@usableFromInline
enum ByteWord {
    @inlinable static var ones: UInt64 { 0x0101_0101_0101_0101 }
    @inlinable static var tops: UInt64 { 0x8080_8080_8080_8080 }

    /// The eight bytes from `offset`; the caller has made sure that they exist.
    @inlinable @inline(__always)
    static func load(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> UInt64 {
        assert(offset >= 0 && offset &+ 8 <= bytes.count, "a word lies inside the text")
        return UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }

    /// Lanes a strict reader has to look at: quote, backslash, control character, anything not ASCII.
    @inlinable @inline(__always)
    static func stringStops(_ word: UInt64) -> UInt64 {
        let quotes = (word ^ (ones &* 0x22)) &- ones
        let backslashes = (word ^ (ones &* 0x5C)) &- ones
        return (quotes | backslashes | (word &- (ones &* 0x20)) | word) & tops
    }

    /// Lanes that end a run in text known to be valid: quote and backslash.
    @inlinable @inline(__always)
    static func quotesAndBackslashes(_ word: UInt64) -> UInt64 {
        let quotes = word ^ (ones &* 0x22)
        let backslashes = word ^ (ones &* 0x5C)
        return (((quotes &- ones) & ~quotes) | ((backslashes &- ones) & ~backslashes)) & tops
    }

    /// Lanes a writer has to escape: quote, backslash, control character.
    @inlinable @inline(__always)
    static func needsEscape(_ word: UInt64) -> UInt64 {
        quotesAndBackslashes(word) | ((word &- (ones &* 0x20)) & ~word & tops)
    }

    /// Index of the first lane that hit; `lanes` is not zero.
    @inlinable @inline(__always)
    static func firstLane(_ lanes: UInt64) -> Int { lanes.trailingZeroBitCount &>> 3 }

    /// Whether `count` bytes are the same. Names are short, so no call into the C library; the last load overlaps the
    /// one before rather than walking the rest by bytes.
    @inlinable @inline(__always)
    static func equal(_ left: UnsafeRawPointer, _ right: UnsafeRawPointer, count: Int) -> Bool {
        @inline(__always)
        func differ<Word: FixedWidthInteger & BitwiseCopyable>(_ word: Word.Type, at offset: Int) -> Bool {
            left.loadUnaligned(fromByteOffset: offset, as: word)
                != right.loadUnaligned(fromByteOffset: offset, as: word)
        }
        if count >= 8 {
            var at = 0
            while at &+ 8 < count {
                if differ(UInt64.self, at: at) { return false }
                at &+= 8
            }
            return !differ(UInt64.self, at: count &- 8)
        }
        if count >= 4 { return !differ(UInt32.self, at: 0) && !differ(UInt32.self, at: count &- 4) }
        for at in 0..<count where differ(UInt8.self, at: at) { return false }
        return true
    }
}

/// Names for the bytes that JSON gives a meaning. Computed, so that other modules see constants and no lazy globals.
@usableFromInline
enum ASCII {
    @inlinable static var quote: UInt8 { UInt8(ascii: "\"") }
    @inlinable static var backslash: UInt8 { UInt8(ascii: "\\") }
    @inlinable static var comma: UInt8 { UInt8(ascii: ",") }
    @inlinable static var colon: UInt8 { UInt8(ascii: ":") }
    @inlinable static var minus: UInt8 { UInt8(ascii: "-") }
    @inlinable static var zero: UInt8 { UInt8(ascii: "0") }
    @inlinable static var nine: UInt8 { UInt8(ascii: "9") }
    @inlinable static var openBrace: UInt8 { UInt8(ascii: "{") }
    @inlinable static var closeBrace: UInt8 { UInt8(ascii: "}") }
    @inlinable static var openBracket: UInt8 { UInt8(ascii: "[") }
    @inlinable static var closeBracket: UInt8 { UInt8(ascii: "]") }

    /// Value of a hexadecimal digit, or nil.
    @inlinable
    static func hexadecimal(_ byte: UInt8) -> UInt32? {
        switch byte {
        case 0x30...0x39: UInt32(byte &- 0x30)
        case 0x41...0x46: UInt32(byte &- 0x37)
        case 0x61...0x66: UInt32(byte &- 0x57)
        default: nil
        }
    }
}
