// Python's standard library (and two packages from PyPI) as independent judges: gzip, Prometheus text, JSON Schema.

import Foundation

/// Runs scripts with the interpreter in SPYDERCACHE_TEST_PYTHON, else `python3`.
package enum Python {
    package static var interpreter: String {
        ProcessInfo.processInfo.environment["SPYDERCACHE_TEST_PYTHON"] ?? "python3"
    }

    /// Runs `script` with `input` on its standard input and returns what it wrote.
    ///
    /// - Throws: `TestFailure` with the script's error text when it fails, also when a package is missing.
    @discardableResult
    package static func run(_ script: String, arguments: [String] = [], input: [UInt8] = []) throws -> [UInt8] {
        let result = try runCommand(interpreter, ["-c", script] + arguments, input: input)
        guard result.status == .exited(0) else {
            throw TestFailure("python: \(result.status): \(result.errorText.suffix(2000))")
        }
        return result.output
    }

    /// What `gzip.decompress` makes of `bytes`; it checks lengths and CRCs and refuses bytes after the end.
    package static func gunzip(_ bytes: [UInt8]) throws -> [UInt8] {
        try run(
            "import gzip, sys; sys.stdout.buffer.write(gzip.decompress(sys.stdin.buffer.read()))", input: bytes)
    }

    /// A gzip stream of `bytes`.
    package static func gzip(_ bytes: [UInt8]) throws -> [UInt8] {
        try run(
            "import gzip, sys; sys.stdout.buffer.write(gzip.compress(sys.stdin.buffer.read(), mtime=0))", input: bytes)
    }
}
