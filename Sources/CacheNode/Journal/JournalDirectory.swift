// Where the journal lives, who may open it, and what is put aside. Layout under the data directory:
//
//      lock                        held with flock while a node runs; names its process
//      journal/0000000001.seg      segments, compressed segments (.segz), snapshots (.snap), unfinished files (.tmp)
//      aside/<UTC time>/           the journals that a start without reconstruction moved away
//      damaged/<epoch>-<name>      damaged files as they were found, and cut-off tails

import Journal
import Synchronization

/// The journal's directory, locked for this process until it is released.
package final class JournalDirectory: Sendable {
    package let path: String
    package let files: any FileOperations
    /// nil once released.
    private let lock: Mutex<Int32?>

    /// Creates the directories where missing and takes the lock.
    ///
    /// Throws `JournalError.locked` when another process holds it.
    package init(_ path: String, files: any FileOperations = SystemFiles()) throws(JournalError) {
        self.path = path
        self.files = files
        try files.makeDirectory(path)
        let descriptor = try files.lock(path + "/lock")
        lock = Mutex(descriptor)
        do {
            try files.makeDirectory(path + "/journal")
            try files.synchroniseDirectory(path)
        } catch {
            release()
            throw error
        }
    }

    deinit { release() }

    /// Lets another process have the directory; the journal must not be written any more.
    package func release() {
        let descriptor = lock.withLock { held in
            defer { held = nil }
            return held
        }
        if let descriptor { files.close(descriptor) }
    }

    package var journalPath: String { path + "/journal" }
    var damagedPath: String { path + "/damaged" }
    var asidePath: String { path + "/aside" }

    /// The journal's files as their names tell.
    package func plan() throws(JournalError) -> LoadPlan {
        try JournalReading(files: files, directory: journalPath).plan()
    }

    /// Moves the journal to `aside/<name>`, so that the node starts empty; nothing is deleted.
    ///
    /// Returns where it went; nil when there was no journal. `name`: UTC time, so that names sort by age.
    package func setAside(as name: String) throws(JournalError) -> String? {
        // Segments without a record are nothing to keep; they would hide the journal put aside before.
        let plan = try plan()
        guard plan.segments.contains(where: { $0.bytes > JournalFormat.contentStart }) || plan.snapshot != nil else {
            return nil
        }
        try files.makeDirectory(asidePath)
        let taken = Set(try files.list(asidePath) ?? [])
        var target = name
        var attempt = 1
        while taken.contains(target) {
            attempt += 1
            target = "\(name)-\(attempt)"
        }
        try files.rename(journalPath, to: asidePath + "/" + target)
        try files.makeDirectory(journalPath)
        try files.synchroniseDirectory(asidePath)
        try files.synchroniseDirectory(path)
        return asidePath + "/" + target
    }

    /// The journal put aside last; nil when there is none.
    package func newestAside() throws(JournalError) -> String? {
        try files.list(asidePath)?.max().map { asidePath + "/" + $0 }
    }

    /// Keeps a damaged file under `damaged/`; a second call for the same file does nothing.
    func keepDamaged(_ name: String, epoch: UInt64?) throws(JournalError) {
        try files.makeDirectory(damagedPath)
        try files.link(journalPath + "/" + name, to: damagedPath + "/" + Self.damagedName(name, epoch: epoch))
        try files.synchroniseDirectory(damagedPath)
    }

    static func damagedName(_ name: String, epoch: UInt64?) -> String {
        let digits = String(epoch ?? 0, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits + "-" + name
    }
}
