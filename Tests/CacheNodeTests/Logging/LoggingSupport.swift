// Files, pipes and the outside validator for the tests of the log.

import CacheNode
import Foundation
import Synchronization
import Testing

/// 2026-01-02T03:04:05.678Z, the clock of tests that look at whole lines.
let fixedWallMilliseconds: Int64 = 1_767_323_045_678

/// A directory of its own, gone with the object.
final class LogDirectory: Sendable {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "log-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String) -> String { path + "/" + name }
}

/// The lines of a file as the objects they hold; a line that is not an object fails the test.
func logLines(_ text: String) throws -> [[String: Any]] {
    try text.split(separator: "\n").map { line in
        try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any], "\(line)")
    }
}

func logLines(inFile path: String) throws -> [[String: Any]] {
    try logLines(String(contentsOfFile: path, encoding: .utf8))
}

/// A pipe whose reader is in the hand of the test.
final class ControlledPipe: Sendable {
    let readEnd: CInt
    let writeEnd: CInt
    private let readerIsOpen = Mutex(true)

    init() throws {
        var ends: [CInt] = [0, 0]
        try #require(pipe(&ends) == 0)
        (readEnd, writeEnd) = (ends[0], ends[1])
    }

    deinit {
        closeReader()
        close(writeEnd)
    }

    func closeReader() {
        readerIsOpen.withLock { isOpen in
            if isOpen { close(readEnd) }
            isOpen = false
        }
    }

    /// Reads until `isEnough` accepts all that has been read.
    func read(until isEnough: (String) -> Bool) throws -> String {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = Foundation.read(readEnd, &chunk, chunk.count)
            try #require(count > 0, "the pipe ended early")
            bytes += chunk[..<count]
            if bytes.last == UInt8(ascii: "\n"), isEnough(String(decoding: bytes, as: UTF8.self)) {
                return String(decoding: bytes, as: UTF8.self)
            }
        }
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014).
struct LogRandom: RandomNumberGenerator {
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

/// Values for every field of an event; only for those each line must have when `isMinimal`.
func sampleFields(_ event: NodeEvent, isMinimal: Bool) -> LogFields {
    var fields: LogFields = [:]
    for field in event.definition.fields where field.isRequired || !isMinimal {
        fields[field.name] =
            switch field.kind {
            case .text: .string("a \"quoted\"\n\u{0}text with é and 🕷")
            case .choice(let words): .string(words.last ?? "")
            case .int: .int(8_001)
            case .double: .double(0.25)
            case .bool: .bool(true)
            case .texts: .texts(["a": "b", "level": "shadowed"])
            }
    }
    return fields
}

/// What python's jsonschema says about the lines of a file; empty when all conform.
func schemaViolations(linesFile: String, schemaFile: String) throws -> String {
    let script = """
        import json, sys
        try:
            from jsonschema import Draft202012Validator
        except ImportError:
            sys.exit('python3 has no jsonschema module: pip install jsonschema')
        schema = json.load(open(sys.argv[1], encoding='utf-8'))
        Draft202012Validator.check_schema(schema)
        validator = Draft202012Validator(schema)
        count = 0
        for number, line in enumerate(open(sys.argv[2], encoding='utf-8', newline='\\n'), 1):
            count += 1
            for error in validator.iter_errors(json.loads(line)):
                print(f'line {number}: {error.message} in {line}')
        if count == 0: print('no lines')
        """
    let process = Process()
    let (output, errors) = (Pipe(), Pipe())
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["python3", "-c", script, schemaFile, linesFile]
    process.standardOutput = output
    process.standardError = errors
    try process.run()
    let violations = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    let complaint = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    try #require(process.terminationStatus == 0, "the validator did not run: \(complaint)")
    return violations
}
