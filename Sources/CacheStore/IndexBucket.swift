// The bytes of the index: buckets, and the sub-tables that gather them. See HashIndex.swift for the drawing.

/// An entry as it is filed.
struct Filed: BitwiseCopyable {
    var fragment: UInt16
    var address: EntryAddress
}

/// A view of one bucket's cache line.
struct Bucket {
    static let slots = 10
    static let bytes = 64

    let base: UnsafeMutableRawPointer

    var occupied: UInt16 {
        get { base.load(fromByteOffset: 20, as: UInt16.self) }
        nonmutating set { base.storeBytes(of: newValue, toByteOffset: 20, as: UInt16.self) }
    }

    /// Entries that found this bucket full and lie further on.
    var passedBy: UInt16 {
        get { base.load(fromByteOffset: 22, as: UInt16.self) }
        nonmutating set { base.storeBytes(of: newValue, toByteOffset: 22, as: UInt16.self) }
    }

    /// The lowest free slot.
    var emptySlot: Int? {
        let slot = (~occupied).trailingZeroBitCount
        return slot < Self.slots ? slot : nil
    }

    func fragment(_ slot: Int) -> UInt16 { base.load(fromByteOffset: slot &* 2, as: UInt16.self) }
    func address(_ slot: Int) -> EntryAddress { base.load(fromByteOffset: 24 &+ slot &* 4, as: EntryAddress.self) }

    func setAddress(_ slot: Int, _ address: EntryAddress) {
        assert(occupied & 1 << UInt16(slot) != 0)
        base.storeBytes(of: address, toByteOffset: 24 + slot * 4, as: EntryAddress.self)
    }

    func set(_ slot: Int, _ entry: Filed) {
        base.storeBytes(of: entry.fragment, toByteOffset: slot * 2, as: UInt16.self)
        occupied |= 1 << UInt16(truncatingIfNeeded: slot)
        setAddress(slot, entry.address)
    }

    /// The occupied slots with this fragment, as bits; four fragments are compared at a time.
    @inline(__always) func candidates(_ fragment: UInt16) -> UInt32 {
        let pattern = UInt64(fragment) &* 0x0001_0001_0001_0001
        let last = UInt64(base.load(fromByteOffset: 16, as: UInt32.self))
        let matches =
            Self.zeroLanes(base.load(as: UInt64.self) ^ pattern)
            | Self.zeroLanes(base.load(fromByteOffset: 8, as: UInt64.self) ^ pattern) << 4
            | Self.zeroLanes(last ^ pattern) << 8
        return matches & UInt32(occupied)
    }

    /// Which of a word's four 16-bit lanes are zero, as four bits.
    @inline(__always) private static func zeroLanes(_ word: UInt64) -> UInt32 {
        let low: UInt64 = 0x7fff_7fff_7fff_7fff
        let zero = ~(((word & low) &+ low) | word | low) &>> 15
        // Bits 0, 16, 32, 48 are gathered at 48...51; the other products fall below or off the end.
        let gather: UInt64 = 1 &<< 48 | 1 &<< 33 | 1 &<< 18 | 1 &<< 3
        return UInt32(truncatingIfNeeded: (zero &* gather) &>> 48) & 15
    }
}

/// A growing table of up to 15 pages for the hashes under one prefix.
struct Subtable: BitwiseCopyable {
    var count: UInt16 = 0
    private(set) var pageCount: UInt8 = 0
    /// Leading hash bits that all of its entries share.
    var depth: UInt8
    private var pages:
        (
            UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32,
            UInt32, UInt32
        ) = (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)

    init(depth: UInt8) {
        self.depth = depth
    }

    var bucketCount: Int { Int(pageCount) &* HashIndex.bucketsPerPage }

    /// True when one more entry needs one more page.
    var isFull: Bool { Int(count) >= Int(pageCount) &* HashIndex.fullPage }

    @inline(__always) func homeBucket(of fragment: UInt16) -> Int {
        (Int(fragment) &* bucketCount) >> 16
    }

    @inline(__always) func page(_ number: Int) -> UInt32 {
        assert(number < Int(pageCount))
        return withUnsafeBytes(of: pages) { $0.load(fromByteOffset: number &* 4, as: UInt32.self) }
    }

    mutating func addPage(_ page: UInt32) {
        precondition(pageCount < HashIndex.maxPages, "a sub-table splits before it outgrows its pages")
        let number = Int(pageCount)
        withUnsafeMutableBytes(of: &pages) { $0.storeBytes(of: page, toByteOffset: number * 4, as: UInt32.self) }
        pageCount += 1
    }

    /// Takes the last page away.
    mutating func dropPage() -> UInt32 {
        let page = page(Int(pageCount) - 1)
        pageCount -= 1
        return page
    }
}
