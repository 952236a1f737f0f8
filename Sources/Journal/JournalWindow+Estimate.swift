// How many records a file holds, about, without reading it: so that what receives them can make room beforehand. A guess
// in every case; nothing but speed may depend on it.

extension JournalWindow {
    /// Records whose sizes stand for all of a segment.
    private static let sampledRecords = 64

    /// The records of the file: what the trailer says, or by the mean size of a segment's first ones; 0 when damaged there.
    package func estimatedRecords(limits: JournalLimits) throws(JournalError) -> Int {
        guard let header = JournalFileHeader.read(try view(at: 0, atLeast: JournalFormat.contentStart))?.header else {
            return 0
        }
        let seed = EpochSeed(epoch: header.epoch)
        switch header.kind {
        case .segment:
            return try estimatedRecordsOfSegment(limits: limits, seed: seed)
        case .compressedSegment, .snapshot:
            let start = max(0, size - JournalFormat.blockHeaderBytes)
            let bytes = try view(at: start, atLeast: JournalFormat.blockHeaderBytes)
            guard let trailer = BlockHeader.read(bytes, limits: limits, seed: seed), trailer.isTrailer else { return 0 }
            // No more than so many bytes can inflate to, whatever the trailer says.
            let most = size.multipliedReportingOverflow(by: 1032 / JournalFormat.recordHeaderBytes + 1)
            return min(Int(clamping: trailer.records), most.overflow ? .max : most.partialValue)
        }
    }

    private func estimatedRecordsOfSegment(limits: JournalLimits, seed: EpochSeed) throws(JournalError) -> Int {
        let start = JournalFormat.contentStart
        var offset = start
        var records = 0
        var needed = JournalFormat.recordHeaderBytes
        sample: while records < Self.sampledRecords, offset + needed <= size {
            switch RecordDecoder.header(try view(at: offset, atLeast: needed), limits: limits, seed: seed) {
            case .needs(let bytes) where bytes > needed:
                needed = bytes
            case .needs, .damaged:
                break sample
            case .intact(let header):
                records += 1
                offset += header.recordBytes
                needed = JournalFormat.recordHeaderBytes
            }
        }
        return records == 0 ? 0 : max(records, (size - start) / ((offset - start) / records))
    }
}
