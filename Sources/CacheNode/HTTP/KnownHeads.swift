// Request heads that came before. A client sends the same head with every request, but for the length of the body, and
// reading it again was a sixth of what a cache.get costs outside of the kernel (callgrind: 3,900 of 22,200
// instructions; comparing it takes 150).
//
//     slot     POST /rpc HTTP/1.1 CRLF Host: … CRLF Content-Length: │ 97 │ CRLF … CRLF CRLF
//              └─────────────────── prefix ────────────────────────┘      └─── suffix ────┘
//
// A head with the bytes of a known one and other digits means what that one meant: facts are a function of the bytes
// alone. The digits are read by the parser's own rule, and whatever does not match is left to the parser.
//
// Invariant: a slot's prefix and suffix are those of a head that HTTPRequestParser has accepted, so the empty line that
// ends a head stands at the end of the suffix and nowhere else.

#if canImport(Glibc)
    import Glibc
#endif

/// The last few different heads that a thread has read. Confined to its thread.
final class KnownHeads {
    private struct Slot {
        var prefixBytes = 0
        var suffixBytes = 0
        var hasLength = false
        /// nil for a slot that holds no head yet.
        var facts: RequestFacts?
    }

    /// Heads longer than this are read each time.
    static let maxBytes = 512
    static let capacity = 16

    private let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity * maxBytes, alignment: 16)
    private var slots = [Slot](repeating: Slot(), count: capacity)
    private var oldest = 0

    deinit { memory.deallocate() }

    /// What a known head at the start of `bytes` says; nil when there is none, or not all of it yet.
    ///
    /// `hint` is the slot that fitted the connection's last request and becomes the one that fits now. O(head), and
    /// O(head * `capacity`) when another slot fits than the one hinted at.
    @inline(__always)
    func match(_ bytes: UnsafeRawBufferPointer, hint: inout Int) -> (facts: RequestFacts, headBytes: Int)? {
        if let found = match(bytes, slot: hint) { return found }
        return matchElsewhere(bytes, &hint)
    }

    private func matchElsewhere(
        _ bytes: UnsafeRawBufferPointer, _ hint: inout Int
    ) -> (facts: RequestFacts, headBytes: Int)? {
        for slot in slots.indices where slot != hint {
            guard let found = match(bytes, slot: slot) else { continue }
            hint = slot
            return found
        }
        return nil
    }

    @inline(__always)
    private func match(_ bytes: UnsafeRawBufferPointer, slot: Int) -> (facts: RequestFacts, headBytes: Int)? {
        let known = slots[slot]
        guard var facts = known.facts, let base = bytes.baseAddress,
            bytes.count >= known.prefixBytes + known.suffixBytes
        else { return nil }
        let head = memory.baseAddress.unsafelyUnwrapped + slot * Self.maxBytes
        guard memcmp(base, head, known.prefixBytes) == 0 else { return nil }
        var at = known.prefixBytes
        if known.hasLength {
            var length = 0
            // 18 digits stay below 2^63.
            let end = min(bytes.count, at + 18)
            while at < end, case let digit = bytes[at] &- UInt8(ascii: "0"), digit < 10 {
                length = length &* 10 &+ Int(digit)
                at &+= 1
            }
            guard at > known.prefixBytes else { return nil }
            facts.contentLength = length
        }
        guard bytes.count - at >= known.suffixBytes,
            memcmp(base + at, head + known.prefixBytes, known.suffixBytes) == 0
        else { return nil }
        return (facts, at + known.suffixBytes)
    }

    /// Keeps a head that the parser has read, in place of the oldest one; returns its slot.
    ///
    /// `lengthDigits` is where in `head` the digits of its Content-Length stand, if it has one.
    func remember(_ head: UnsafeRawBufferPointer, _ facts: RequestFacts, lengthDigits: Range<Int>?) -> Int {
        let digits = lengthDigits ?? head.count - 2..<head.count - 2
        let kept = head.count - digits.count
        guard kept <= Self.maxBytes else { return oldest }
        let slot = oldest
        oldest = (oldest + 1) % Self.capacity
        let target = UnsafeMutableRawBufferPointer(rebasing: memory[slot * Self.maxBytes..<(slot + 1) * Self.maxBytes])
        target.copyMemory(from: UnsafeRawBufferPointer(rebasing: head[..<digits.lowerBound]))
        UnsafeMutableRawBufferPointer(rebasing: target[digits.lowerBound...])
            .copyMemory(from: UnsafeRawBufferPointer(rebasing: head[digits.upperBound...]))
        slots[slot] = Slot(
            prefixBytes: digits.lowerBound, suffixBytes: head.count - digits.upperBound, hasLength: lengthDigits != nil,
            facts: facts)
        return slot
    }
}
