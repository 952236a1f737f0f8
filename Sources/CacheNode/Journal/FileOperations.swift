// The file calls that the journal makes, behind a protocol so that tests can fail the n-th one or cut the power. No
// rules here.

import Glibc
import Journal

/// File operations with the semantics of the system calls of the same name; errors carry path and errno.
package protocol FileOperations: Sendable {
    /// Opens for reading.
    func openForReading(_ path: String) throws(JournalError) -> Int32
    /// Creates a file for writing; with `exclusive` it must not exist, otherwise it is emptied.
    func create(_ path: String, exclusive: Bool) throws(JournalError) -> Int32
    /// Opens an existing file for writing.
    func openForWriting(_ path: String) throws(JournalError) -> Int32
    /// Writes at the file's position; may write fewer bytes than given.
    func write(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer, path: String) throws(JournalError) -> Int
    /// Writes at `offset`, which is not beyond the file's end; may write fewer bytes than given.
    func write(
        _ descriptor: Int32, at offset: Int, _ bytes: UnsafeRawBufferPointer, path: String
    ) throws(JournalError) -> Int
    func read(
        _ descriptor: Int32, at offset: Int, into bytes: UnsafeMutableRawBufferPointer, path: String
    ) throws(JournalError) -> Int
    func size(_ descriptor: Int32, path: String) throws(JournalError) -> Int
    /// fdatasync.
    func synchronise(_ descriptor: Int32, path: String) throws(JournalError)
    func truncate(_ descriptor: Int32, to bytes: Int, path: String) throws(JournalError)
    func close(_ descriptor: Int32)
    func rename(_ from: String, to: String) throws(JournalError)
    func remove(_ path: String) throws(JournalError)
    func link(_ from: String, to: String) throws(JournalError)
    /// Creates a directory and its parents; no error when it exists.
    func makeDirectory(_ path: String) throws(JournalError)
    func synchroniseDirectory(_ path: String) throws(JournalError)
    /// Names in a directory, without `.` and `..`; nil when there is no such directory.
    func list(_ path: String) throws(JournalError) -> [String]?
    /// Takes the exclusive lock that `close` gives up.
    func lock(_ path: String) throws(JournalError) -> Int32
}

extension FileOperations {
    /// Writes all of `bytes`, however many calls it takes: from `offset` on, or at the file's position.
    func writeAll(
        _ descriptor: Int32, at offset: Int? = nil, _ bytes: UnsafeRawBufferPointer, path: String
    ) throws(JournalError) {
        var rest = bytes
        while !rest.isEmpty {
            let count: Int
            if let offset {
                count = try write(descriptor, at: offset + bytes.count - rest.count, rest, path: path)
            } else {
                count = try write(descriptor, rest, path: path)
            }
            guard count > 0 else {
                throw JournalError.file(operation: "write", path: path, code: ENOSPC, text: "nothing was written")
            }
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
    }
}

/// The operating system's files.
package struct SystemFiles: FileOperations {
    package init() {}

    private func failure(_ operation: String, _ path: String, _ code: Int32 = errno) -> JournalError {
        .file(operation: operation, path: path, code: code, text: String(cString: strerror(code)))
    }

    /// Repeats a call that a signal interrupted.
    private func call<Result: SignedInteger>(
        _ operation: String, _ path: String, _ body: () -> Result
    ) throws(JournalError) -> Result {
        while true {
            let result = body()
            if result >= 0 { return result }
            let code = errno
            guard code == EINTR else { throw failure(operation, path, code) }
        }
    }

    package func openForReading(_ path: String) throws(JournalError) -> Int32 {
        try call("open", path) { open(path, O_RDONLY | O_CLOEXEC) }
    }

    package func create(_ path: String, exclusive: Bool) throws(JournalError) -> Int32 {
        try call("create", path) { open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (exclusive ? O_EXCL : O_TRUNC), 0o640) }
    }

    package func openForWriting(_ path: String) throws(JournalError) -> Int32 {
        try call("open", path) { open(path, O_WRONLY | O_CLOEXEC) }
    }

    package func write(
        _ descriptor: Int32, _ bytes: UnsafeRawBufferPointer, path: String
    ) throws(JournalError) -> Int {
        try call("write", path) { Glibc.write(descriptor, bytes.baseAddress, bytes.count) }
    }

    package func write(
        _ descriptor: Int32, at offset: Int, _ bytes: UnsafeRawBufferPointer, path: String
    ) throws(JournalError) -> Int {
        try call("write", path) { pwrite(descriptor, bytes.baseAddress, bytes.count, offset) }
    }

    package func read(
        _ descriptor: Int32, at offset: Int, into bytes: UnsafeMutableRawBufferPointer, path: String
    ) throws(JournalError) -> Int {
        let count = pread(descriptor, bytes.baseAddress, bytes.count, offset)
        if count >= 0 { return count }
        let code = errno
        if code == EINTR { return try read(descriptor, at: offset, into: bytes, path: path) }
        // An unreadable sector is damage to the bytes in it, not to the node: give bytes that pass no check.
        guard code == EIO, bytes.count > 0 else { throw failure("read", path, code) }
        let page = min(bytes.count, 4096 - offset % 4096)
        let part = pread(descriptor, bytes.baseAddress, page, offset)
        if part >= 0 { return part }
        UnsafeMutableRawBufferPointer(rebasing: bytes[0..<page]).initializeMemory(as: UInt8.self, repeating: 0xEE)
        return page
    }

    package func size(_ descriptor: Int32, path: String) throws(JournalError) -> Int {
        var info = stat()
        _ = try call("stat", path) { fstat(descriptor, &info) }
        return info.st_size
    }

    package func synchronise(_ descriptor: Int32, path: String) throws(JournalError) {
        // Not repeated on EINTR or anything else: after a failed sync the kernel may have dropped the pages.
        guard fdatasync(descriptor) == 0 else { throw failure("fdatasync", path) }
    }

    package func truncate(_ descriptor: Int32, to bytes: Int, path: String) throws(JournalError) {
        _ = try call("truncate", path) { ftruncate(descriptor, bytes) }
    }

    package func close(_ descriptor: Int32) { _ = Glibc.close(descriptor) }

    package func rename(_ from: String, to: String) throws(JournalError) {
        _ = try call("rename", from) { Glibc.rename(from, to) }
    }

    package func remove(_ path: String) throws(JournalError) {
        _ = try call("unlink", path) { unlink(path) }
    }

    package func link(_ from: String, to: String) throws(JournalError) {
        guard Glibc.link(from, to) != 0, errno != EEXIST else { return }
        throw failure("link", from)
    }

    package func makeDirectory(_ path: String) throws(JournalError) {
        if mkdir(path, 0o750) == 0 || errno == EEXIST { return }
        let code = errno
        guard code == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex else {
            throw failure("mkdir", path, code)
        }
        try makeDirectory(String(path[..<slash]))
        guard mkdir(path, 0o750) == 0 || errno == EEXIST else { throw failure("mkdir", path) }
    }

    package func synchroniseDirectory(_ path: String) throws(JournalError) {
        let descriptor = try call("open", path) { open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw failure("fsync", path) }
    }

    package func list(_ path: String) throws(JournalError) -> [String]? {
        guard let directory = opendir(path) else {
            if errno == ENOENT { return nil }
            throw failure("opendir", path)
        }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    package func lock(_ path: String) throws(JournalError) -> Int32 {
        let descriptor = try call("open", path) { open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o640) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let code = errno
            var holder = [UInt8](repeating: 0, count: 32)
            let count = holder.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, 0) }
            close(descriptor)
            guard code == EWOULDBLOCK else { throw failure("lock", path, code) }
            let text = String(decoding: holder.prefix(max(0, count)).prefix { $0 != 10 }, as: UTF8.self)
            throw .locked(path: path, holder: text)
        }
        let text = Array("pid \(getpid())\n".utf8)
        _ = ftruncate(descriptor, 0)
        _ = text.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, 0) }
        return descriptor
    }
}
