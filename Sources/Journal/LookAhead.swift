// Telling the sink of a replay the keys of records a little before the records: a look-up misses the processor's caches, and
// misses of several keys at the same time cost hardly more than that of one (140 ns of a record's 500).
//
//      replayed │ record │ announced │ announced │ ... │ not yet
//               position                         next
//
// Only hints: lengths are followed within the bytes at hand without proof that they are right. A wrong one costs the hints
// up to the place it leads to.

/// How far the records of one file or block have been announced.
struct LookAhead {
    /// Bytes that announcements are ahead: a dozen small records, about 2 µs of replay.
    private static let reachBytes = 2048

    /// The first record that has not been announced.
    private var next = 0

    /// Announces what lies within reach of the record at `position`, where `bytes` start. O(1) a record, amortised.
    mutating func announce(
        _ bytes: UnsafeRawBufferPointer, at position: Int, to sink: inout some RecoverySink
    ) {
        next = max(next, position)
        while next - position < Self.reachBytes {
            let start = next - position
            let keyStart = start + JournalFormat.recordHeaderBytes
            guard keyStart <= bytes.count, bytes.number(at: start, as: UInt32.self) == JournalFormat.recordMagic else {
                return
            }
            let keyBytes = bytes.number(at: start + 12, as: UInt32.self)
            let valueBytes = bytes.number(at: start + 16, as: UInt32.self)
            guard keyStart + Int(keyBytes) <= bytes.count else { return }
            sink.comesSoon(bytes.slice(keyStart..<keyStart + Int(keyBytes)))
            next += JournalFormat.recordOverhead + Int(keyBytes) + Int(valueBytes)
        }
    }
}
