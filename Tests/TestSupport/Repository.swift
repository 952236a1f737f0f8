// Where the files of the repository and the binary under test are.

import Foundation

/// Paths that tests need.
package enum Repository {
    /// The top of the repository.
    package static let root: String = {
        var url = URL(fileURLWithPath: #filePath)
        for _ in 0..<3 { url.deleteLastPathComponent() }
        return url.path
    }()

    /// A path inside the repository.
    package static func path(_ name: String) -> String { root + "/" + name }

    /// The `spydercache` executable: SPYDERCACHE_BINARY, else the one beside the running test bundle.
    package static let binary: String = {
        if let path = ProcessInfo.processInfo.environment["SPYDERCACHE_BINARY"] { return path }
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        let count = readlink("/proc/self/exe", &buffer, buffer.count - 1)
        let running = String(decoding: buffer[..<max(count, 0)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return URL(fileURLWithPath: running).deletingLastPathComponent().appendingPathComponent("spydercache").path
    }()
}
