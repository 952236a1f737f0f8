// Log-structured memory for records. Records are appended to an open segment; a record that dies leaves a hole that is
// never filled in place. Segments with holes are reclaimed by moving what still lives in them (Arena+Cleaning.swift),
// segments without a living record at once.
//
//   address   0 | segment (high bits) | granule in segment        records up to an eighth of a segment
//             1 | region number                                   larger ones: pages of their own
//
//   segment   [record|record|dead|record| ... unused tail ]       usedBytes: what has been appended
//
// Two segments are open: one takes new records, one takes survivors of cleaning, so that entries that live long are
// not copied again and again beside young ones.
// Invariants: liveBytes of a segment is the sum of its records that are not dead; a segment that is neither open nor
// being cleaned has liveBytes > 0; closedDeadBytes is the sum of usedBytes - liveBytes over segments that are not open.
// The arena knows no limit: the caller asks what an allocation would map before it allocates.

/// Segments and regions; hands out addresses of records and resolves them.
struct Arena: ~Copyable {
    /// The open segment a record goes to.
    enum Head { case fresh, survivors }

    struct Segment: BitwiseCopyable {
        var base: UnsafeMutableRawPointer?
        var usedBytes: Int32 = 0
        var liveBytes: Int32 = 0
    }

    struct Region: BitwiseCopyable {
        var base: UnsafeMutableRawPointer?
        var mappedBytes: Int
    }

    static let noSegment = -1
    /// Emptied segments kept mapped for the next append; the rest goes back to the system.
    static let keptFreeSegments = 2

    let granuleShift: UInt32
    /// Granules of a segment, as a shift: where the segment number starts in an address.
    let segmentShift: UInt32
    let segmentBytes: Int
    /// Records above this many bytes get a region of their own.
    let largeThreshold: Int

    var segments = FlatTable<Segment>()
    var segmentCount = 0
    var unmappedSegments: [Int] = []
    var freeSegments: [Int] = []
    var freshSegment = noSegment
    var survivorSegment = noSegment
    var cleaning: Cleaning?
    private var regions = FlatTable<Region>()
    private var regionCount = 0
    private var freeRegions: [Int] = []

    /// Bytes of living records in segments, padding included.
    private(set) var liveSegmentBytes = 0
    /// Dead bytes in segments that are not open.
    var closedDeadBytes = 0
    private(set) var mappedSegments = 0
    /// Bytes mapped for large records.
    private(set) var largeBytes = 0

    /// Sizes segments for a limit: 1/64 of it between 16 KiB and 2 MiB, which is a huge page; granules grow once 31 bits of 4 bytes do not
    /// reach (limits above 8 GiB), and segments with them.
    init(limitBytes: Int) {
        var granuleShift: UInt32 = 2
        while limitBytes >> Int(granuleShift) > 1 << 31, granuleShift < 12 { granuleShift += 1 }
        var segmentShift: UInt32 = 12
        while segmentShift < 19, 64 << Int(segmentShift + 1 + granuleShift) <= limitBytes { segmentShift += 1 }
        self.granuleShift = granuleShift
        self.segmentShift = segmentShift
        segmentBytes = 1 << Int(segmentShift + granuleShift)
        largeThreshold = max(segmentBytes / 8, min(segmentBytes / 2, 32 << 10))
    }

    /// Bytes of mapped segments, whatever is in them.
    var mappedSegmentBytes: Int { mappedSegments * segmentBytes }
    var tableBytes: Int { segments.footprintBytes + regions.footprintBytes }
    private var granuleBytes: Int { 1 << Int(granuleShift) }

    /// What a record of `bytes` occupies: whole granules, or whole pages for a large one.
    func capacity(for bytes: Int) -> Int {
        bytes > largeThreshold ? Pages.rounded(bytes) : (bytes + granuleBytes - 1) & ~(granuleBytes - 1)
    }

    /// What the record at `address` occupies.
    func capacity(of address: EntryAddress) -> Int {
        address.isLarge ? regions[regionNumber(address)].mappedBytes : capacity(for: record(at: address).shape.bytes)
    }

    /// The record at `address`, valid until the next allocation, kill or move.
    @inline(__always) func record(at address: EntryAddress) -> EntryRecord {
        let base: UnsafeMutableRawPointer?
        let offset: Int
        if address.isLarge {
            base = regions[regionNumber(address)].base
            offset = 0
        } else {
            base = segments[Int(address.raw >> segmentShift)].base
            offset = Int(address.raw & (1 << segmentShift &- 1)) << Int(granuleShift)
            assert(offset < Int(segments[Int(address.raw >> segmentShift)].usedBytes), "an address lies in used bytes")
        }
        assert(base != nil, "an address outlived its record")
        return EntryRecord(base: base.unsafelyUnwrapped + offset)
    }

    private func regionNumber(_ address: EntryAddress) -> Int {
        Int(address.raw & ~EntryAddress.largeBit)
    }

    /// True when an open segment takes `bytes` (a capacity) without another one being opened.
    func hasRoom(for bytes: Int, in head: Head) -> Bool {
        let segment = head == .fresh ? freshSegment : survivorSegment
        return segment != Self.noSegment && Int(segments[segment].usedBytes) + bytes <= segmentBytes
    }

    /// True when the address space has a number for one more segment.
    var canMapSegment: Bool {
        !unmappedSegments.isEmpty || segmentCount < 1 << Int(31 - segmentShift)
    }

    /// Closes the open segment of `head` and opens an empty one; false when the system gives no memory.
    mutating func openSegment(for head: Head) -> Bool {
        guard let opened = freeSegments.popLast() ?? mapSegment() else { return false }
        let closed = head == .fresh ? freshSegment : survivorSegment
        switch head {
        case .fresh: freshSegment = opened
        case .survivors: survivorSegment = opened
        }
        if closed != Self.noSegment {
            closedDeadBytes += Int(segments[closed].usedBytes - segments[closed].liveBytes)
            if segments[closed].liveBytes == 0 { release(closed) }
        }
        return true
    }

    private func mapSegmentPages() -> UnsafeMutableRawPointer? {
        segmentBytes % Pages.hugeByteCount == 0 ? Pages.mapHuge(bytes: segmentBytes) : Pages.map(bytes: segmentBytes)
    }

    private mutating func mapSegment() -> Int? {
        guard canMapSegment, segments.reserve(segmentCount + 1), let base = mapSegmentPages() else { return nil }
        let number: Int
        if let reused = unmappedSegments.popLast() {
            number = reused
        } else {
            number = segmentCount
            segmentCount += 1
        }
        segments[number] = Segment(base: base)
        mappedSegments += 1
        return number
    }

    /// Appends room for a record of `bytes` (a capacity) to an open segment that has it.
    mutating func append(_ bytes: Int, to head: Head) -> EntryAddress {
        assert(hasRoom(for: bytes, in: head) && bytes <= largeThreshold && bytes % granuleBytes == 0)
        let number = head == .fresh ? freshSegment : survivorSegment
        let segment = segments.pointer(to: number)
        let granule = UInt32(truncatingIfNeeded: segment.pointee.usedBytes) >> granuleShift
        segment.pointee.usedBytes += Int32(truncatingIfNeeded: bytes)
        segment.pointee.liveBytes += Int32(truncatingIfNeeded: bytes)
        liveSegmentBytes += bytes
        return EntryAddress(raw: UInt32(truncatingIfNeeded: number) << segmentShift | granule)
    }

    /// Maps a region for a record of `bytes` (whole pages); nil when the system gives no memory.
    mutating func mapRegion(_ bytes: Int) -> EntryAddress? {
        guard regions.reserve(regionCount + 1), regionCount < Int(EntryAddress.wheelBit) - 1,
            let base = Pages.map(bytes: bytes)
        else { return nil }
        let number: Int
        if let reused = freeRegions.popLast() {
            number = reused
        } else {
            number = regionCount
            regionCount += 1
        }
        regions[number] = Region(base: base, mappedBytes: bytes)
        largeBytes += bytes
        return EntryAddress(raw: EntryAddress.largeBit | UInt32(truncatingIfNeeded: number))
    }

    /// Ends a record that nothing points at any more; returns the bytes it occupied.
    @discardableResult mutating func kill(_ address: EntryAddress) -> Int {
        guard !address.isLarge else { return unmapRegion(regionNumber(address)) }
        let record = record(at: address)
        let bytes = capacity(for: record.shape.bytes)
        record.markDead()
        let number = Int(address.raw >> segmentShift)
        let segment = segments.pointer(to: number)
        segment.pointee.liveBytes -= Int32(truncatingIfNeeded: bytes)
        assert(segment.pointee.liveBytes >= 0, "a segment cannot lose more than it holds")
        liveSegmentBytes -= bytes
        let isOpen = number == freshSegment || number == survivorSegment
        if !isOpen { closedDeadBytes += bytes }
        if segment.pointee.liveBytes == 0 {
            if isOpen {
                segment.pointee.usedBytes = 0
            } else {
                release(number)
            }
        }
        return bytes
    }

    private mutating func unmapRegion(_ number: Int) -> Int {
        let region = regions[number]
        assert(region.base != nil, "a region is unmapped once")
        if let base = region.base { Pages.unmap(base, bytes: region.mappedBytes) }
        regions[number] = Region(base: nil, mappedBytes: 0)
        freeRegions.append(number)
        largeBytes -= region.mappedBytes
        return region.mappedBytes
    }

    /// Takes a closed segment without living records out of use.
    private mutating func release(_ number: Int) {
        let segment = segments[number]
        assert(segment.liveBytes == 0 && number != freshSegment && number != survivorSegment)
        closedDeadBytes -= Int(segment.usedBytes)
        if cleaning?.segment == number { cleaning = nil }
        if freeSegments.count < Self.keptFreeSegments {
            segments[number].usedBytes = 0
            freeSegments.append(number)
        } else {
            unmapSegment(number)
        }
    }

    /// Gives a kept empty segment back to the system; false when there is none.
    mutating func unmapFreeSegment() -> Bool {
        guard let number = freeSegments.popLast() else { return false }
        unmapSegment(number)
        return true
    }

    private mutating func unmapSegment(_ number: Int) {
        if let base = segments[number].base { Pages.unmap(base, bytes: segmentBytes) }
        segments[number] = Segment(base: nil)
        unmappedSegments.append(number)
        mappedSegments -= 1
    }

    deinit {
        for number in 0..<segmentCount {
            if let base = segments[number].base { Pages.unmap(base, bytes: segmentBytes) }
        }
        for number in 0..<regionCount {
            if let base = regions[number].base { Pages.unmap(base, bytes: regions[number].mappedBytes) }
        }
    }
}

// Sole owner of its pages, like the tables it is made of; the shard's lock in the shell guards all access.
extension Arena: @unchecked Sendable {}
