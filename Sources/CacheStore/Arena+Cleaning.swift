// The cleaner's half of the arena: which segment to empty next, and the walk over its records. Moving a record needs the
// index and the lists, so that is done by the store (Store+Cleaning.swift).
//
// The victim is the closed segment with the most dead bytes (greedy). With an eighth of the segments' bytes dead on
// average the victim has at least that share, so emptying it frees more than it copies in the long run.

extension Arena {
    /// A segment being emptied.
    struct Cleaning {
        let segment: Int
        /// Next byte to look at.
        var offset = 0
        /// Bytes to walk over for each byte that becomes free, at the time of choosing; 1...32.
        let walkPerFreedByte: Int
    }

    /// The dead bytes from which the cleaner works although memory is not short.
    var tolerableDeadBytes: Int { max(mappedSegmentBytes / 8, 2 * segmentBytes) }

    /// Chooses the segment to empty unless one is being emptied; false when no closed segment has dead bytes.
    /// O(segments), once a segment cleaned.
    mutating func chooseVictim() -> Bool {
        guard cleaning == nil else { return true }
        var victim = Self.noSegment
        var mostDead = 0
        for number in 0..<segmentCount where number != freshSegment && number != survivorSegment {
            let segment = segments[number]
            let dead = Int(segment.usedBytes - segment.liveBytes)
            if dead > mostDead {
                mostDead = dead
                victim = number
            }
        }
        guard victim != Self.noSegment else { return false }
        let walk = (Int(segments[victim].usedBytes) + mostDead - 1) / mostDead
        cleaning = Cleaning(segment: victim, walkPerFreedByte: min(walk, 32))
        return true
    }

    /// The next living record of the segment being emptied, skipping dead ones; takes the bytes walked off `budget`.
    /// nil when the budget is spent or the segment is done (then `cleaning` is nil).
    mutating func nextSurvivor(budget: inout Int) -> EntryAddress? {
        while let current = cleaning, budget > 0 {
            let segment = segments[current.segment]
            assert(current.offset < Int(segment.usedBytes), "a segment with living records is not walked to its end")
            let granule = UInt32(truncatingIfNeeded: current.offset) >> granuleShift
            let address = EntryAddress(raw: UInt32(truncatingIfNeeded: current.segment) << segmentShift | granule)
            let record = record(at: address)
            let bytes = capacity(for: record.shape.bytes)
            if !record.isDead {
                budget -= bytes
                return address
            }
            // Passing a dead record costs one header, not a copy.
            budget -= RecordShape.fixedBytes
            cleaning?.offset += bytes
        }
        return nil
    }
}
