// Texts for the compression tests: seeded, and of the kinds a cache really holds.

import Foundation
import Testing

/// SplitMix64 (Steele, Lea, Flood 2014): small, and the same on every machine.
struct SampleGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// JSON of about `bytes` bytes: repeating member names, varied numbers.
func jsonText(bytes: Int, seed: UInt64 = 1) -> [UInt8] {
    var random = SampleGenerator(seed: seed)
    var text = Array("[".utf8)
    while text.count + 60 < bytes {
        text += Array(#"{"id":\#(random.next() % 100_000),"name":"user-\#(random.next() % 500)","active":true},"#.utf8)
    }
    text += Array("0]".utf8)
    return text
}

/// Bytes without any pattern: deflate can only make them longer.
func noise(bytes: Int, seed: UInt64 = 2) -> [UInt8] {
    var random = SampleGenerator(seed: seed)
    return (0..<bytes).map { _ in UInt8(truncatingIfNeeded: random.next()) }
}

/// What `python3 -c script` prints when it is fed `input`; its zlib and gzip modules are the second opinion here.
func python(_ script: String, input: [UInt8]) throws -> [UInt8] {
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent("compression-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    let source = directory.appendingPathComponent("in")
    let result = directory.appendingPathComponent("out")
    try Data(input).write(to: source)
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [
        "python3", "-c",
        "import sys, zlib, gzip\ndata = open(sys.argv[1], 'rb').read()\n\(script)\nopen(sys.argv[2], 'wb').write(result)",
        source.path, result.path,
    ]
    try process.run()
    process.waitUntilExit()
    try #require(process.terminationStatus == 0, "python3 refused the input or is missing")
    return [UInt8](try Data(contentsOf: result))
}
