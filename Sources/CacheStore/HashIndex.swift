// From a key's hash to its entry's address: extendible hashing (Fagin et al., 1979) over sub-tables that grow by 512-byte
// pages, in buckets of one cache line.
//
//   directory   u32 a leading prefix of the hash -> sub-table     doubles when a sub-table of full depth splits
//   sub-table   count u16, pageCount u8, depth u8, 15 x page u32  64 bytes
//   page        8 buckets of 64 bytes
//   bucket      10 x fragment u16 | occupied u16 | passedBy u16 | 10 x address u32
//
// A fragment (16 hash bits) names its home bucket by range: fragment * buckets >> 16. A full bucket passes newcomers on
// to the next one and counts them in `passedBy`; a look-up follows only where something was passed on, and removal takes
// the counts back, so there are no tombstones (the overflow counts of Facebook's F14).
// Growth adds one page and refiles that sub-table alone, by the fragments it holds itself, without touching an entry;
// only a split (15 pages -> 2 x 8) reads keys, about 1,050 of them. That bounds the longest pause whatever the size of
// the store. Pages are of one size and filled to 7/8 at most, 3/4 at least once there are many: about 7.7 bytes an entry.
// Pages are never given back before `removeAll`: an index as large as it once was costs 5 % of the entries it was for.
//
// Invariants: occupied bits equal the sub-table's count; an entry lies in its home bucket or behind full-at-the-time
// buckets that each counted it once; page memory not in use is all zero.

import CPrefetch

/// The table of all entries of a store.
struct HashIndex: ~Copyable {
    static let pageBytes = 512
    static let bucketsPerPage = 8
    /// Entries a page may hold on average before its sub-table grows.
    static let fullPage = 70
    static let maxPages = 15
    static let chunkBytes = Pages.hugeByteCount
    static let pagesPerChunk = chunkBytes / pageBytes
    static let maxDepth = 32

    var directory = FlatTable<UInt32>()
    var depth = 0
    var subtables = FlatTable<Subtable>()
    var subtableCount = 0
    var chunks = FlatTable<UnsafeMutableRawPointer?>()
    var chunkCount = 0
    var pageCount = 0
    var scratch = FlatTable<Filed>()
    /// Pages that a sub-table is expected to need in the end; up to them it grows in larger steps.
    var reservedPages = 0
    /// Entries held.
    var count = 0

    /// An empty index with its first page, or nil when the system gives no memory.
    init?() {
        guard scratch.reserve(Self.maxPages * Self.bucketsPerPage * Bucket.slots), directory.reserve(1),
            subtables.reserve(1)
        else { return nil }
        guard let page = takePage() else { return nil }
        subtables[0] = Subtable(depth: 0)
        subtables.pointer(to: 0).pointee.addPage(page)
        subtableCount = 1
        directory[0] = 0
    }

    /// Bytes in use that count against the limit: the first chunk by the page, later ones whole, being huge pages.
    var footprintBytes: Int {
        let chunkedBytes =
            chunkCount > 1 ? chunkCount * Self.chunkBytes : Pages.rounded(pageCount * Self.pageBytes)
        return chunkedBytes + subtables.footprintBytes + directory.footprintBytes + chunks.footprintBytes
            + scratch.footprintBytes
    }

    /// The most `footprintBytes` can grow by inserting one entry.
    var worstGrowthBytes: Int {
        let splitPages = Self.maxPages + 1
        let needsChunk = pageCount + splitPages > chunkCount * Self.pagesPerChunk
        // Tables that double hold old and new at the same time.
        return (needsChunk ? 2 * Self.chunkBytes : splitPages * Self.pageBytes) + 2 * subtables.footprintBytes
            + 2 * directory.footprintBytes + 2 * Pages.byteCount
    }

    /// The entry with this key.
    @inline(__always) func find(
        _ hash: KeyHash, key: UnsafeRawBufferPointer, in arena: borrowing Arena
    ) -> EntryAddress? {
        let table = subtables.pointer(to: subtableNumber(of: hash))
        let buckets = table.pointee.bucketCount
        var position = table.pointee.homeBucket(of: hash.fragment)
        for _ in 0..<buckets {
            let bucket = bucket(position, of: table)
            var candidates = bucket.candidates(hash.fragment)
            while candidates != 0 {
                let address = bucket.address(candidates.trailingZeroBitCount)
                if arena.record(at: address).hasKey(key) { return address }
                candidates &= candidates &- 1
            }
            if bucket.passedBy == 0 { return nil }
            position = position &+ 1 == buckets ? 0 : position &+ 1
        }
        return nil
    }

    /// Starts bringing the home bucket of `hash` into the processor's caches, without waiting for it.
    func prefetch(_ hash: KeyHash) {
        let table = subtables.pointer(to: subtableNumber(of: hash))
        spyder_prefetch(bucket(table.pointee.homeBucket(of: hash.fragment), of: table).base)
    }

    /// Points the entry filed at `old` to `new`; it must be there.
    func replace(_ hash: KeyHash, _ old: EntryAddress, with new: EntryAddress) {
        let table = subtables.pointer(to: subtableNumber(of: hash))
        let place = locate(hash.fragment, old, in: table)
        place.bucket.setAddress(place.slot, new)
    }

    /// Takes out the entry filed at `address`; it must be there.
    mutating func remove(_ hash: KeyHash, _ address: EntryAddress) {
        let table = subtables.pointer(to: subtableNumber(of: hash))
        let place = locate(hash.fragment, address, in: table)
        place.bucket.occupied &= ~(1 << UInt16(truncatingIfNeeded: place.slot))
        var position = table.pointee.homeBucket(of: hash.fragment)
        while position != place.position {
            bucket(position, of: table).passedBy -= 1
            position = position + 1 == table.pointee.bucketCount ? 0 : position + 1
        }
        table.pointee.count -= 1
        count -= 1
    }

    /// Files an entry; `prepare` has made the place for it.
    mutating func insert(_ hash: KeyHash, _ address: EntryAddress) {
        let table = subtables.pointer(to: subtableNumber(of: hash))
        place(Filed(fragment: hash.fragment, address: address), in: table)
        table.pointee.count += 1
        count += 1
    }

    /// Writes an entry into its home bucket or the next one with a hole; the counts are the caller's.
    func place(_ entry: Filed, in table: UnsafeMutablePointer<Subtable>) {
        let buckets = table.pointee.bucketCount
        var position = table.pointee.homeBucket(of: entry.fragment)
        for _ in 0..<buckets {
            let bucket = bucket(position, of: table)
            if let slot = bucket.emptySlot {
                bucket.set(slot, entry)
                return
            }
            bucket.passedBy += 1
            position = position &+ 1 == buckets ? 0 : position &+ 1
        }
        preconditionFailure("a sub-table is grown before it is full")
    }

    private func locate(
        _ fragment: UInt16, _ address: EntryAddress, in table: UnsafeMutablePointer<Subtable>
    ) -> (bucket: Bucket, position: Int, slot: Int) {
        let buckets = table.pointee.bucketCount
        var position = table.pointee.homeBucket(of: fragment)
        for _ in 0..<buckets {
            let bucket = bucket(position, of: table)
            var candidates = bucket.candidates(fragment)
            while candidates != 0 {
                let slot = candidates.trailingZeroBitCount
                if bucket.address(slot) == address { return (bucket, position, slot) }
                candidates &= candidates &- 1
            }
            position = position &+ 1 == buckets ? 0 : position &+ 1
        }
        preconditionFailure("an entry of the store is in its index")
    }

    @inline(__always) func subtableNumber(of hash: KeyHash) -> Int {
        // A shift by 32 yields 0 (Swift's smart shift), which is the one entry of a directory of depth 0.
        Int(directory[Int(hash.prefix >> UInt32(truncatingIfNeeded: Self.maxDepth &- depth))])
    }

    @inline(__always) func bucket(_ position: Int, of table: UnsafeMutablePointer<Subtable>) -> Bucket {
        let page = table.pointee.page(position / Self.bucketsPerPage)
        return Bucket(base: pageBase(page) + position % Self.bucketsPerPage * Bucket.bytes)
    }

    @inline(__always) func pageBase(_ page: UInt32) -> UnsafeMutableRawPointer {
        assert(page < pageCount)
        return chunks[Int(page) / Self.pagesPerChunk].unsafelyUnwrapped + Int(page) % Self.pagesPerChunk
            * Self.pageBytes
    }

    deinit {
        for number in 0..<chunkCount {
            if let base = chunks[number] { Pages.unmap(base, bytes: Self.chunkBytes) }
        }
    }
}

// Sole owner of its chunks; the shard's lock in the shell guards all access.
extension HashIndex: @unchecked Sendable {}
