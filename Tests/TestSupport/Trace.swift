// Sequences of key numbers for replays: a recorded one from a file, or a generated one with a skew like a cache's.

import Foundation

/// A sequence of requests for numbered keys.
package struct Trace: Sendable {
    package let name: String
    package let keys: [UInt32]

    /// The first `limit` requests of a file of little-endian 32-bit numbers, gzipped.
    package init(gzippedFile path: String, limit: Int) throws {
        let script = """
            import gzip, sys
            sys.stdout.buffer.write(gzip.open(sys.argv[1]).read(4 * int(sys.argv[2])))
            """
        let bytes = try Python.run(script, arguments: [path, String(limit)])
        name = URL(fileURLWithPath: path).lastPathComponent
        keys = bytes.withUnsafeBytes { buffer in
            (0..<buffer.count / 4).map {
                UInt32(littleEndian: buffer.loadUnaligned(fromByteOffset: $0 * 4, as: UInt32.self))
            }
        }
    }

    /// `requests` draws from `keyCount` keys where the i-th key has a weight of about 1/i, with a scan of new keys mixed in.
    package init(zipfLikeSeed seed: UInt64, keyCount: Int, requests: Int) {
        var random = SeededRandom(seed: seed)
        var scanned = UInt32(keyCount)
        name = "zipf-like, seed \(seed)"
        keys = (0..<requests).map { _ in
            if UInt64.random(in: 0..<10, using: &random) == 0 {
                scanned += 1
                return scanned
            }
            // The inverse of the cumulated weight of 1/x: keyCount raised to a uniform number.
            let uniform = Double.random(in: 0..<1, using: &random)
            return UInt32(pow(Double(keyCount), uniform)) - 1
        }
    }
}
