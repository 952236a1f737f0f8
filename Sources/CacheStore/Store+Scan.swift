// Walking over all entries in short steps, with other calls in between: for snapshots.

/// How far a scan has come. It stands in the order of hashes, which no mutation changes.
package struct ScanCursor: Sendable {
    /// First prefix not yet done; beyond 32 bits when all are.
    fileprivate var prefix: UInt64 = 0
    /// Within `prefix...lastPrefix`: fragments below this one are done.
    fileprivate var fragment = 0
    fileprivate var lastPrefix: UInt32 = 0

    /// The beginning.
    package init() {}
}

extension Store {
    /// Calls `body` for about `limit` living entries (up to three times as many) and moves the cursor; returns false when the scan is over.
    ///
    /// An entry that exists unmutated throughout is seen exactly once; one put or removed meanwhile may or may not be
    /// seen. When the part of the index under the cursor splits between two calls, that part is finished in one step of
    /// up to 1,100 entries. O(1,050) a call beyond the entries visited.
    package borrowing func forEachEntry(
        from cursor: inout ScanCursor, limit: Int, now: Int64, _ body: (Entry) -> Void
    ) -> Bool {
        guard let prefix = UInt32(exactly: cursor.prefix) else { return false }
        let extent = index.extent(of: prefix)
        if cursor.fragment == 0 { cursor.lastPrefix = extent.lastPrefix }
        let hasSplit = extent.lastPrefix != cursor.lastPrefix
        let pieces = hasSplit ? 1 : max(1, (extent.count + limit - 1) / max(1, limit))
        let width = max(1, (1 << 16) / pieces)
        let last = hasSplit ? 0xffff : min(0xffff, cursor.fragment + width - 1)
        let fragments = UInt16(truncatingIfNeeded: cursor.fragment)...UInt16(truncatingIfNeeded: last)

        var subtable = prefix
        while true {
            index.forEach(under: subtable, fragments: fragments) { address in
                let record = arena.record(at: address)
                if !record.isExpired(at: now) { body(Entry(record, now: now)) }
            }
            let end = index.extent(of: subtable).lastPrefix
            guard end < cursor.lastPrefix else { break }
            subtable = end + 1
        }
        cursor.fragment = last == 0xffff ? 0 : last + 1
        if last == 0xffff { cursor.prefix = UInt64(cursor.lastPrefix) + 1 }
        return cursor.prefix <= UInt64(UInt32.max)
    }
}
