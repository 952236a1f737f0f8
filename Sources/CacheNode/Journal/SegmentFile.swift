// The file that the writer appends to.

import Journal

/// An open segment. Closed when the last holder lets go, so that a sync under way keeps its descriptor.
final class SegmentFile: Sendable {
    let number: UInt32
    let firstSequence: UInt64
    let path: String
    private let files: any FileOperations
    private let descriptor: Int32

    private init(number: UInt32, firstSequence: UInt64, path: String, files: any FileOperations, descriptor: Int32) {
        self.number = number
        self.firstSequence = firstSequence
        self.path = path
        self.files = files
        self.descriptor = descriptor
    }

    deinit { files.close(descriptor) }

    /// Creates the file with its header and makes its name durable.
    static func create(
        _ directory: JournalDirectory, number: UInt32, firstSequence: UInt64, seed: EpochSeed
    ) throws(JournalError) -> SegmentFile {
        let files = directory.files
        let path = directory.journalPath + "/" + JournalFile(number: number, kind: .segment, bytes: 0).name
        let descriptor = try files.create(path, exclusive: true)
        let segment = SegmentFile(
            number: number, firstSequence: firstSequence, path: path, files: files, descriptor: descriptor)
        var header = RawBuffer(capacity: JournalFormat.contentStart)
        JournalFileHeader(
            kind: .segment, number: number, firstSequence: firstSequence, epoch: seed.epoch,
            created: JournalClock.wall()
        ).append(to: &header)
        try segment.write(header.bytes)
        try segment.synchronise()
        try files.synchroniseDirectory(directory.journalPath)
        return segment
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws(JournalError) {
        try files.writeAll(descriptor, bytes, path: path)
    }

    func synchronise() throws(JournalError) { try files.synchronise(descriptor, path: path) }
}
