// The file that the writer appends to.
//
// Where every commit is synchronised a segment is laid out ahead, once it has grown to `growsTo`:
//
//     | content                      | 0 0 0 0 0 0 0 0 | end of the file
//                                    end               room
//
// A commit over zeros changes neither the file's length nor where its blocks are: fdatasync then writes the data and
// nothing of the file system's (utils/bench/compare --rows fsync on ext4: 1.02 times the writes of Redis instead of 0.92).
// fallocate would not do: blocks that it reserves are marked as written one commit after the other, which is such a change
// again. At most a sixteenth of the content is ahead, so that small journals stay as long as their content. What the zeros mean
// to a reader is drawn in JournalFormat.swift. Room is a matter of speed alone: where it cannot be had (a full disk) the file
// grows as it would without.

import Journal
import Synchronization

/// How a segment is laid out ahead; bytes.
package struct SegmentLayout: Sendable {
    /// The content from which on it is.
    package var growsTo: Int
    /// What is laid out at once: about 25 commits of 64 small records, so that one in as many waits for it.
    package var roomBytes: Int

    package init(growsTo: Int = 4 << 20, roomBytes: Int = 256 << 10) {
        self.growsTo = growsTo
        self.roomBytes = roomBytes
    }
}

/// An open segment. Closed when the last holder lets go, so that a sync under way keeps its descriptor.
final class SegmentFile: Sendable {
    /// Where the content and the file end.
    private struct Extent {
        var end: Int
        var room: Int
    }

    let number: UInt32
    let firstSequence: UInt64
    let path: String
    private let files: any FileOperations
    private let descriptor: Int32
    /// nil: it grows with its content.
    private let layout: SegmentLayout?
    private let extent = Mutex(Extent(end: 0, room: 0))

    private init(
        number: UInt32, firstSequence: UInt64, path: String, files: any FileOperations, descriptor: Int32,
        layout: SegmentLayout?
    ) {
        self.number = number
        self.firstSequence = firstSequence
        self.path = path
        self.files = files
        self.descriptor = descriptor
        self.layout = layout
    }

    deinit { files.close(descriptor) }

    /// Creates the file with its header and makes its name durable. With a `layout` every write must be synchronised
    /// before the next one.
    static func create(
        _ directory: JournalDirectory, number: UInt32, firstSequence: UInt64, seed: EpochSeed, layout: SegmentLayout?
    ) throws(JournalError) -> SegmentFile {
        let files = directory.files
        let path = directory.journalPath + "/" + JournalFile(number: number, kind: .segment, bytes: 0).name
        let descriptor = try files.create(path, exclusive: true)
        let segment = SegmentFile(
            number: number, firstSequence: firstSequence, path: path, files: files, descriptor: descriptor,
            layout: layout)
        var header = RawBuffer(capacity: JournalFormat.contentStart)
        JournalFileHeader(
            kind: .segment, number: number, firstSequence: firstSequence, epoch: seed.epoch,
            created: JournalClock.wall(), isLaidOut: layout != nil
        ).append(to: &header)
        try segment.write(header.bytes)
        try segment.synchronise()
        try files.synchroniseDirectory(directory.journalPath)
        return segment
    }

    var isLaidOut: Bool { layout != nil }

    /// Writes after the content, by one thread at a time.
    func write(_ bytes: UnsafeRawBufferPointer) throws(JournalError) {
        let before = extent.withLock { $0 }
        try files.writeAll(descriptor, at: before.end, bytes, path: path)
        let end = before.end + bytes.count
        var room = max(before.room, end)
        if let layout, end >= layout.growsTo, end > before.room {
            // A failure to lay out is none of the write's.
            let zeros = [UInt8](repeating: 0, count: layout.roomBytes)
            room +=
                (try? zeros.span.withUnsafeBytes { (zeros) throws(JournalError) in
                    try files.write(descriptor, at: room, zeros, path: path)
                }) ?? 0
        }
        extent.withLock { $0 = Extent(end: end, room: room) }
    }

    func synchronise() throws(JournalError) { try files.synchronise(descriptor, path: path) }

    /// Cuts off what was laid out and not used. Until that is durable a reader may find zeros after the content.
    func trim() throws(JournalError) {
        let (end, room) = extent.withLock { ($0.end, $0.room) }
        guard room > end else { return }
        try files.truncate(descriptor, to: end, path: path)
        extent.withLock { $0.room = end }
    }
}
