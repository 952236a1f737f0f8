// How the index grows: a page at a time, then by splitting one sub-table; and how it is walked for snapshots.

extension HashIndex {
    /// Makes the place for one more entry under `hash`; false when the system gives no memory, or when more than a
    /// thousand keys share 32 hash bits, which a secret seed rules out. O(1) amortised; at worst one split.
    mutating func prepare(_ hash: KeyHash, in arena: borrowing Arena, hasher: KeyHasher) -> Bool {
        while true {
            let number = subtableNumber(of: hash)
            guard subtables[number].isFull else { return true }
            let grown = Int(subtables[number].pageCount) < Self.maxPages ? addPages(to: number) : false
            if grown { return true }
            guard Int(subtables[number].pageCount) == Self.maxPages else { return false }
            guard split(number, prefix: hash.prefix, in: arena, hasher: hasher) else { return false }
        }
    }

    /// Adds a page, or more at once where more are expected; false when the system gives no memory for the first.
    private mutating func addPages(to number: Int) -> Bool {
        guard let page = takePage() else { return false }
        let table = subtables.pointer(to: number)
        let held = drain(table)
        table.pointee.addPage(page)
        let wanted = min(Int(table.pointee.pageCount) + Self.reservedStep - 1, reservedPages)
        while Int(table.pointee.pageCount) < wanted, let page = takePage() { table.pointee.addPage(page) }
        for position in 0..<held { place(scratch[position], in: table) }
        return true
    }

    /// Moves the sub-table's entries to `scratch` and zeroes its pages; returns how many.
    private mutating func drain(_ table: UnsafeMutablePointer<Subtable>) -> Int {
        var held = 0
        for position in 0..<table.pointee.bucketCount {
            let bucket = bucket(position, of: table)
            for slot in 0..<Bucket.slots where bucket.occupied & 1 << UInt16(truncatingIfNeeded: slot) != 0 {
                scratch[held] = Filed(fragment: bucket.fragment(slot), address: bucket.address(slot))
                held += 1
            }
            bucket.occupied = 0
            bucket.passedBy = 0
        }
        assert(held == Int(table.pointee.count), "a sub-table's count is the number of its occupied slots")
        return held
    }

    /// Divides a sub-table by its next hash bit; half of its pages go to the new one.
    private mutating func split(
        _ number: Int, prefix: UInt32, in arena: borrowing Arena, hasher: KeyHasher
    ) -> Bool {
        if Int(subtables[number].depth) == depth {
            // Keys that agree in many bits must not blow up the directory: 1 entry for 16 keys is plenty for random ones.
            guard depth < Self.maxDepth, 1 << depth <= max(64, count / 16), doubleDirectory() else { return false }
        }
        // Both halves get enough pages for all entries to fall into one of them, so refiling cannot fail half way.
        guard subtables.reserve(subtableCount + 1) else { return false }
        var upper = Subtable(depth: subtables[number].depth + 1)
        let lower = subtables.pointer(to: number)
        let held = drain(lower)
        let bit = UInt32(1) << UInt32(31 - lower.pointee.depth)
        var upperCount = 0
        for position in 0..<held {
            let entry = scratch[position]
            guard hasher.hash(arena.record(at: entry.address).key).prefix & bit != 0 else { continue }
            // Upper entries gather at the front, the lower ones take their places.
            scratch[position] = scratch[upperCount]
            scratch[upperCount] = entry
            upperCount += 1
        }
        let needed = max(1, (upperCount + Self.fullPage - 1) / Self.fullPage)
        let lowerNeeded = max(1, (held - upperCount + Self.fullPage - 1) / Self.fullPage)
        while Int(upper.pageCount) < needed {
            if Int(lower.pointee.pageCount) > lowerNeeded {
                upper.addPage(lower.pointee.dropPage())
            } else if let page = takePage() {
                upper.addPage(page)
            } else {
                break
            }
        }
        guard Int(upper.pageCount) == needed else {
            // No memory for the last page: put everything back as it was.
            while upper.pageCount > 0 { lower.pointee.addPage(upper.dropPage()) }
            for position in 0..<held { place(scratch[position], in: lower) }
            return false
        }
        let upperNumber = subtableCount
        subtableCount += 1
        lower.pointee.depth += 1
        lower.pointee.count = UInt16(held - upperCount)
        upper.count = UInt16(upperCount)
        subtables[upperNumber] = upper
        for position in 0..<upperCount { place(scratch[position], in: subtables.pointer(to: upperNumber)) }
        for position in upperCount..<held { place(scratch[position], in: lower) }
        redirect(prefix: prefix, depth: Int(upper.depth), to: UInt32(upperNumber))
        return true
    }

    /// Points the upper half of the directory range that led to the split sub-table at the new one.
    private func redirect(prefix: UInt32, depth newDepth: Int, to number: UInt32) {
        let upperPrefix = (prefix >> UInt32(Self.maxDepth - newDepth)) | 1
        let first = Int(upperPrefix) << (depth - newDepth)
        for position in first..<first + 1 << (depth - newDepth) { directory[position] = number }
    }

    private mutating func doubleDirectory() -> Bool {
        let size = 1 << depth
        guard directory.reserve(size * 2) else { return false }
        for position in stride(from: size - 1, through: 0, by: -1) {
            let number = directory[position]
            directory[2 * position] = number
            directory[2 * position + 1] = number
        }
        depth += 1
        return true
    }

    /// A zeroed page.
    mutating func takePage() -> UInt32? {
        guard reservePages(1) else { return nil }
        pageCount += 1
        return UInt32(pageCount - 1)
    }

    /// Makes sure that the next `wanted` pages can be taken; false when the system gives no memory.
    mutating func reservePages(_ wanted: Int) -> Bool {
        while pageCount + wanted > chunkCount * Self.pagesPerChunk {
            // The first chunk is filled by the small page, so that a small store stays small.
            guard chunks.reserve(chunkCount + 1),
                let base = chunkCount == 0 ? Pages.map(bytes: Self.chunkBytes) : Pages.mapHuge(bytes: Self.chunkBytes)
            else { return false }
            chunks[chunkCount] = base
            chunkCount += 1
        }
        return true
    }

    /// Calls `visit` for the addresses filed under `prefix`'s sub-table with a fragment in `fragments`.
    /// O(entries of one sub-table), 1,050 at most.
    func forEach(
        under prefix: UInt32, fragments: ClosedRange<UInt16>, _ visit: (EntryAddress) -> Void
    ) {
        let table = subtables.pointer(to: subtable(under: prefix))
        for position in 0..<table.pointee.bucketCount {
            let bucket = bucket(position, of: table)
            for slot in 0..<Bucket.slots
            where bucket.occupied & 1 << UInt16(truncatingIfNeeded: slot) != 0
                && fragments.contains(bucket.fragment(slot))
            {
                visit(bucket.address(slot))
            }
        }
    }

    /// The last prefix that leads to the same sub-table as `prefix`, and that sub-table's number of entries.
    func extent(of prefix: UInt32) -> (lastPrefix: UInt32, count: Int) {
        let table = subtables[subtable(under: prefix)]
        let shared = UInt32(truncatingIfNeeded: table.depth)
        return (shared == 0 ? .max : prefix | UInt32.max >> shared, Int(table.count))
    }

    private func subtable(under prefix: UInt32) -> Int {
        Int(directory[Int(prefix >> UInt32(Self.maxDepth - depth))])
    }
}
