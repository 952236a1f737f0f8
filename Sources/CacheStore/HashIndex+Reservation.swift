// Laying the index out beforehand for a number of entries that is roughly known, as a recovery knows it from the journal:
// no sub-table is split on the way there, and so no key is read again.
//
// Growing to 10^6 entries reads every key about once in splits, each a cache miss: with the refiling it was two fifths of
// a recovery's time. Here the directory has its final depth at once and every sub-table its first page; the other pages
// come as entries do. A number that is far too high therefore costs a page and a line for a thousand entries that never
// came (0.6 bytes each), one that is too low costs the splits of what came beyond it.

extension HashIndex {
    /// Entries on average in a sub-table laid out beforehand: so far below the 1,050 at which it splits that the scatter
    /// of random hashes (31 entries) makes one in a hundred split.
    static let reservedFill = fullPage * (maxPages - 1)

    /// Pages added at once to a sub-table that is expected to fill: halves the refiling, for a page at most of which less
    /// than expected is used.
    static let reservedStep = 2

    /// Lays an empty index out for about `entries`; does nothing to one that holds entries or has grown, and only a part
    /// when the system gives no memory. O(entries / 1,000).
    mutating func reserve(_ entries: Int) {
        guard count == 0, subtableCount == 1, pageCount == 1, entries > Self.reservedFill else { return }
        var depth = 0
        while depth < Self.maxReservedDepth, entries >> depth > Self.reservedFill { depth += 1 }
        let tables = 1 << depth
        // All memory first: what follows cannot stop half way.
        guard directory.reserve(tables), subtables.reserve(tables), reservePages(tables) else { return }
        subtables.pointer(to: 0).pointee.depth = UInt8(depth)
        for number in 1..<tables {
            guard let page = takePage() else { preconditionFailure("a reserved page is there to be taken") }
            subtables[number] = Subtable(depth: UInt8(depth))
            subtables.pointer(to: number).pointee.addPage(page)
            directory[number] = UInt32(number)
        }
        subtableCount = tables
        self.depth = depth
        reservedPages = min(Self.maxPages, ((entries >> depth) + Self.fullPage - 1) / Self.fullPage)
    }

    /// Beyond 2^26 entries an index grows as it always does.
    private static let maxReservedDepth = 16
}
