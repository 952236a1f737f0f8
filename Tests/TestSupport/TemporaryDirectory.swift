// A directory of a test that is removed with the value that stands for it.

import Foundation

/// A fresh directory, removed with everything in it on `deinit`.
package final class TemporaryDirectory: Sendable {
    package let path: String

    /// - Throws: when the system's directory for temporary files refuses a new one.
    package init() throws {
        var template = Array((NSTemporaryDirectory() + "/spydercache-test-XXXXXX").utf8CString)
        guard let made = mkdtemp(&template) else {
            throw TestFailure("mkdtemp: \(String(cString: strerror(errno)))")
        }
        path = String(cString: made)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }

    /// The path of `name` inside the directory.
    package func path(_ name: String) -> String { path + "/" + name }

    /// Writes a file into the directory and returns its path.
    @discardableResult
    package func write(_ text: String, to name: String) throws -> String {
        try Data(text.utf8).write(to: URL(fileURLWithPath: path(name)))
        return path(name)
    }

    /// A fresh directory with a copy of everything in this one.
    package func copy() throws -> TemporaryDirectory {
        let copy = try TemporaryDirectory()
        for name in try FileManager.default.contentsOfDirectory(atPath: path) {
            try FileManager.default.copyItem(atPath: path(name), toPath: copy.path(name))
        }
        return copy
    }

    /// Paths of all regular files below the directory, relative to it and sorted, with their sizes in bytes.
    package func files() throws -> [(name: String, sizeBytes: Int)] {
        try FileManager.default.subpathsOfDirectory(atPath: path).sorted().compactMap { name in
            let attributes = try FileManager.default.attributesOfItem(atPath: path(name))
            guard attributes[.type] as? FileAttributeType == .typeRegular else { return nil }
            return (name, attributes[.size] as? Int ?? 0)
        }
    }

    /// The bytes of a file in the directory.
    package func read(_ name: String) throws -> [UInt8] {
        Array(try Data(contentsOf: URL(fileURLWithPath: path(name))))
    }

    /// Replaces the bytes of a file in the directory, keeping its place and mode.
    package func overwrite(_ name: String, with bytes: [UInt8]) throws {
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: path(name)))
        defer { try? handle.close() }
        try handle.truncate(atOffset: 0)
        try handle.write(contentsOf: Data(bytes))
    }
}
