// Writing a file of blocks (snapshot or compressed segment) under a temporary name and publishing it.

import Journal

/// A block file under way. Used by one thread; unless it is published its temporary file is removed.
final class BlockFile {
    let header: JournalFileHeader
    private let directory: JournalDirectory
    private let file: JournalFile
    private let temporaryPath: String
    private var descriptor: Int32?
    private var isPublished = false
    private var writer: BlockWriter
    private var out = RawBuffer(capacity: JournalFormat.blockBytes)
    private(set) var storedBytes = 0

    init(_ directory: JournalDirectory, header: JournalFileHeader, deflate: JournalDeflate?) throws(JournalError) {
        self.directory = directory
        self.header = header
        file = JournalFile(number: header.number, kind: header.kind, bytes: 0)
        temporaryPath = directory.journalPath + "/" + file.name + ".tmp"
        writer = BlockWriter(seed: EpochSeed(epoch: header.epoch), deflate: deflate)
        descriptor = try directory.files.create(temporaryPath, exclusive: false)
        header.append(to: &out)
    }

    deinit {
        if let descriptor { directory.files.close(descriptor) }
        if !isPublished { try? directory.files.remove(temporaryPath) }
    }

    var records: UInt64 { writer.records }
    var rawBytes: Int { writer.rawBytes }

    /// Collects a record under its sequence, or the next ordinal when nil. No I/O.
    func append(_ record: JournalRecord, sequence: UInt64? = nil) {
        writer.append(record, sequence: sequence ?? writer.records + 1)
    }

    /// Deflates and writes the blocks that are full.
    func drain() throws(JournalError) {
        writer.drain(into: &out)
        try writeOut()
    }

    /// Writes the rest and makes it durable under the temporary name.
    func finish() throws(JournalError) {
        writer.finish(into: &out)
        try writeOut()
        guard let descriptor else { return }
        try directory.files.synchronise(descriptor, path: temporaryPath)
        directory.files.close(descriptor)
        self.descriptor = nil
    }

    /// Gives the finished file its name, durably.
    func publish() throws(JournalError) -> JournalFile {
        try directory.files.rename(temporaryPath, to: directory.journalPath + "/" + file.name)
        isPublished = true
        try directory.files.synchroniseDirectory(directory.journalPath)
        return JournalFile(number: file.number, kind: file.kind, bytes: storedBytes)
    }

    private func writeOut() throws(JournalError) {
        guard let descriptor, out.count > 0 else { return }
        try directory.files.writeAll(descriptor, out.bytes, path: temporaryPath)
        storedBytes += out.count
        out.removeAll(keepingCapacityUpTo: 1024 * 1024)
    }
}
