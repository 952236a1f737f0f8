// A slow walk over a store's memory that compares every sum it keeps with what it sums up.

import Testing

@testable import CacheStore

extension Store {
    /// Records an issue for each invariant that does not hold; O(everything).
    mutating func checkInvariants(_ location: SourceLocation = #_sourceLocation) {
        var cursor = ScanCursor()
        var entries = 0
        var payload = 0
        var more = true
        while more {
            // A time before every deadline: expired entries are walked too.
            more = forEachEntry(from: &cursor, limit: 100, now: -1) { entry in
                entries += 1
                payload += entry.key.count + entry.value.count
            }
        }
        #expect(entries == count, "the index holds as many entries as it counts", sourceLocation: location)
        #expect(payload == payloadBytes, "payload bytes", sourceLocation: location)
        var live = 0
        var dead = 0
        for number in 0..<arena.segmentCount {
            let segment = arena.segments[number]
            guard segment.base != nil else { continue }
            var offset = 0
            var alive = 0
            while offset < Int(segment.usedBytes) {
                let raw = UInt32(number) << arena.segmentShift | UInt32(offset) >> arena.granuleShift
                let record = arena.record(at: EntryAddress(raw: raw))
                let bytes = arena.capacity(for: record.shape.bytes)
                if !record.isDead { alive += bytes }
                offset += bytes
            }
            #expect(offset == Int(segment.usedBytes), "records fill a segment's used part", sourceLocation: location)
            #expect(alive == Int(segment.liveBytes), "a segment's living bytes", sourceLocation: location)
            live += alive
            if number != arena.freshSegment && number != arena.survivorSegment { dead += offset - alive }
        }
        #expect(live == arena.liveSegmentBytes, "living bytes of all segments", sourceLocation: location)
        #expect(dead == arena.closedDeadBytes, "dead bytes of closed segments", sourceLocation: location)
        #expect(memory.footprintBytes <= limitBytes, "footprint within the limit", sourceLocation: location)
    }
}
