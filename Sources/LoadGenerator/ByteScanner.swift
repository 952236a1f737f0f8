// A view of received bytes that is read from the front: the few steps that reply readers need, on glibc's searches.
// All unsafe reads of replies are here.

#if canImport(Glibc)
    import Glibc
#endif

/// Bytes not yet read; valid only as long as the buffer behind them.
package struct ByteScanner {
    private var base: UnsafePointer<UInt8>
    package private(set) var count: Int

    package init(_ base: UnsafePointer<UInt8>, count: Int) {
        self.base = base
        self.count = count
    }

    var first: UInt8? { self.count > 0 ? self.base[0] : nil }

    subscript(index: Int) -> UInt8 {
        assert(index >= 0 && index < self.count, "a reply is read within its bounds")
        return self.base[index]
    }

    /// Drops `count` bytes, or all where there are fewer.
    mutating func drop(_ count: Int) {
        let count = min(count, self.count)
        self.base += count
        self.count -= count
    }

    func prefix(_ count: Int) -> ByteScanner {
        ByteScanner(self.base, count: min(count, self.count))
    }

    func starts(with text: StaticString) -> Bool {
        let length = text.utf8CodeUnitCount
        return self.count >= length && memcmp(self.base, text.utf8Start, length) == 0
    }

    func starts(with bytes: [UInt8]) -> Bool {
        self.count >= bytes.count && memcmp(self.base, bytes, bytes.count) == 0
    }

    /// Whether the digits of `key` stand at `offset`.
    func hasDigits(of key: Int, at offset: Int) -> Bool {
        self.count >= offset + LoadPlan.keyDigits && KeyDigits.match(key, self.base + offset)
    }

    /// Moves behind the first occurrence of `text`; false, and nothing moved, where there is none.
    mutating func skip(past text: StaticString) -> Bool {
        let length = text.utf8CodeUnitCount
        var offset = 0
        while offset + length <= self.count {
            let first = Int32(text.utf8Start[0])
            guard let found = memchr(self.base + offset, first, self.count - offset - length + 1) else { return false }
            offset = UnsafeRawPointer(found) - UnsafeRawPointer(self.base)
            if memcmp(found, text.utf8Start, length) == 0 {
                self.drop(offset + length)
                return true
            }
            offset += 1
        }
        return false
    }

    /// Takes a decimal number and the line end behind it; nil while the line is not complete, or for what is no number.
    mutating func takeNumber() -> Int? {
        var line = self
        guard line.skip(past: "\r\n") else { return nil }
        var value = 0
        var index = 0
        let isNegative = self[0] == UInt8(ascii: "-")
        if isNegative { index = 1 }
        while self[index] != UInt8(ascii: "\r") {
            let digit = self[index] &- UInt8(ascii: "0")
            guard digit < 10, value < 1 << 40 else { return nil }
            value = value * 10 + Int(digit)
            index += 1
        }
        self = line
        return isNegative ? -value : value
    }

    /// The last four bytes as a little-endian number.
    var lastWord: UInt32? {
        guard self.count >= 4 else { return nil }
        return UnsafeRawPointer(self.base + self.count - 4).loadUnaligned(as: UInt32.self).littleEndian
    }
}
