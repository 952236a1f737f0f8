// `journal verify` and `journal dump` on journals written byte by byte.

import ArgumentParser
import Compression
import Foundation
import Journal
import TestSupport
import Testing

@testable import CacheNode
@testable import spydercache

struct JournalCommandTests {
    private let directory: TemporaryDirectory
    private let file = "0000000001.seg"

    init() throws {
        self.directory = try TemporaryDirectory()
    }

    /// Writes a segment of the journal directory with one record for each element of `records`.
    private func write(_ records: [(RecordWriter) throws -> Void]) throws {
        let writer = RecordWriter()
        for record in records { try record(writer) }
        try FileManager.default.createDirectory(
            atPath: self.directory.path("journal"), withIntermediateDirectories: true)
        try self.directory.write("", to: "journal/\(self.file)")
        try self.directory.overwrite("journal/\(self.file)", with: writer.bytes)
    }

    private final class RecordWriter {
        private var buffer = RawBuffer()
        private let seed = EpochSeed(epoch: 42)
        private var sequence: UInt64 = 0

        var bytes: [UInt8] { Array(self.buffer.bytes) }

        init() {
            JournalFileHeader(kind: .segment, number: 1, firstSequence: 1, epoch: 42, created: 0).append(
                to: &self.buffer)
        }

        func put(_ key: String, _ value: String, expiresAt: Int64 = .max, compressed: Bool = false) throws {
            let text = Array(value.utf8)
            var stored = text
            var form = JournalValueForm.plain
            if compressed {
                var deflater = try Deflater(level: 6)
                stored = []
                text.withUnsafeBytes { text in
                    _ = deflater.deflateBlocks(text, into: &stored, maxOutput: text.count)
                    form = .deflated(originalBytes: UInt32(text.count), crc32: Checksum.crc32(text))
                }
            }
            Array(key.utf8).withUnsafeBytes { key in
                stored.withUnsafeBytes { stored in
                    self.append(.put(key: key, value: stored, form: form, wallExpiry: expiresAt, version: 7))
                }
            }
        }

        func remove(_ key: String) {
            Array(key.utf8).withUnsafeBytes { self.append(.remove(key: $0, version: 8)) }
        }

        func touch(_ key: String, expiresAt: Int64) {
            Array(key.utf8).withUnsafeBytes { self.append(.touch(key: $0, wallExpiry: expiresAt, version: .max)) }
        }

        func flush() {
            self.append(.flush(version: 9))
        }

        private func append(_ record: JournalRecord) {
            self.sequence += 1
            RecordEncoder.append(record, sequence: self.sequence, seed: self.seed, to: &self.buffer)
        }
    }

    private func dump(includingValues: Bool = true) throws -> (text: String, report: RecoveryReport) {
        var bytes: [UInt8] = []
        let report = try JournalCommand.inspect(self.directory.path) { (journal) throws(JournalError) in
            try journal.dump(includingValues: includingValues) { bytes.append($0, includingValues: includingValues) }
        }
        return (String(decoding: bytes, as: UTF8.self), report)
    }

    /// Python's jsonschema judges every line.
    private func checkSchema(_ lines: String) throws {
        let script = """
            import json, sys
            from jsonschema import Draft202012Validator
            validator = Draft202012Validator(json.load(open(sys.argv[1])))
            for line in sys.stdin.buffer.read().decode().split("\\n")[:-1]:
                validator.validate(json.loads(line))
            """
        let schema = Repository.path("schemas/journal-dump.schema.json")
        try Python.run(script, arguments: [schema], input: Array(lines.utf8))
    }

    @Test func `a dump has a line for each record, values as they were sent`() throws {
        let long = "[" + String(repeating: "1.10, ", count: 500) + "1e400]"
        try self.write([
            { try $0.put("k\"\u{e9}", "{\"a\":\n 0.1000}") },
            { try $0.put("z", long, expiresAt: 1_700_000_000_123, compressed: true) },
            { $0.remove("k\"\u{e9}") },
            { $0.touch("z", expiresAt: .max - 1) },
            { $0.flush() },
        ])
        let (text, report) = try self.dump()
        try self.checkSchema(text)
        #expect(report.isClean)
        let lines = text.split(separator: "\n").map(String.init)
        let place = "\"file\":\"0000000001.seg\",\"sequence\":"
        #expect(
            lines[0] == "{\"type\":\"put\",\(place)\"1\",\"version\":\"7\",\"key\":\"k\\\"\u{e9}\",\"expiresAt\":null,"
                + "\"bytes\":14,\"value\":{\"a\":  0.1000}}")
        #expect(
            lines[1].hasPrefix(
                "{\"type\":\"put\",\(place)\"2\",\"version\":\"7\",\"key\":\"z\",\"expiresAtMs\":1700000000123,"
                    + "\"expiresAt\":\"2023-11-14T22:13:20.123Z\",\"bytes\":\(long.utf8.count),\"compressed\":true,"))
        #expect(lines[1].hasSuffix("\"value\":\(long)}"))
        #expect(lines[2] == "{\"type\":\"remove\",\(place)\"3\",\"version\":\"8\",\"key\":\"k\\\"\u{e9}\"}")
        #expect(
            lines[3] == "{\"type\":\"touch\",\(place)\"4\",\"version\":\"18446744073709551615\",\"key\":\"z\","
                + "\"expiresAtMs\":9223372036854775806}")
        #expect(lines[4] == "{\"type\":\"flush\",\(place)\"5\",\"version\":\"9\"}")
        #expect(lines.count == 5)
        let withoutValues = try self.dump(includingValues: false).text
        try self.checkSchema(withoutValues)
        #expect(!withoutValues.contains("\"value\""))
    }

    @Test func `a value that is no JSON does not break its line`() throws {
        try self.write([{ try $0.put("k", "}\n{") }, { try $0.put("l", "1") }])
        let (text, _) = try self.dump()
        try self.checkSchema(text)
        #expect(text.contains("\"bytes\":3,\"unreadable\":true}\n"))
        #expect(text.hasSuffix("\"value\":1}\n"))
    }

    @Test func `a journal cut anywhere in its last record is torn and gives the rest`() throws {
        try self.write([{ try $0.put("first", "1") }, { try $0.put("second", "2") }])
        let whole = try self.directory.read("journal/\(self.file)")
        let last = JournalFormat.recordOverhead + "second".utf8.count + 1
        for cut in 1..<last {
            try self.directory.overwrite("journal/\(self.file)", with: Array(whole.dropLast(cut)))
            let (text, report) = try self.dump(includingValues: false)
            #expect(text.contains("first") && !text.contains("second"), "cut \(cut)")
            #expect(report.damageCount == 0 && report.tornBytes == last - cut, "cut \(cut)")
            #expect(JournalReportText(report).summary.hasPrefix("torn: \(last - cut) bytes"), "cut \(cut)")
            if cut == 1 { #expect(throws: ExitCode.negative) { try self.verify() } }
        }
        try self.directory.overwrite("journal/\(self.file)", with: whole)
        try self.verify()
    }

    private func verify() throws {
        let command = try JournalCommand.Verify.parse([self.directory.path, "--json"])
        try command.run()
    }

    @Test func `a damaged value names the key that was dropped`() throws {
        try self.write([{ try $0.put("hit", "\"precious\"") }, { try $0.put("other", "2") }])
        var bytes = try self.directory.read("journal/\(self.file)")
        let place = try #require(Data(bytes).range(of: Data("precious".utf8))).lowerBound
        bytes[place] ^= 1
        try self.directory.overwrite("journal/\(self.file)", with: bytes)
        let (text, report) = try self.dump()
        try self.checkSchema(text)
        #expect(text.hasPrefix("{\"type\":\"droppedKey\""))
        #expect(text.contains("\"key\":\"hit\"") && text.contains("\"value\":2"))
        let words = JournalReportText(report)
        #expect(words.summary.hasPrefix("damaged: 1 places"))
        let json = try RawJSON(words.json.dropLast())
        #expect(json["clean"]?.text == "false" && json["damageCount"]?.integer == 1)
        #expect(json["files"]?.elements?.first?["outcome"]?.string == "damaged")
        #expect(String(decoding: words.lines, as: UTF8.self).contains("value checksum mismatch"))
    }

    @Test func `where no journal is the command ends with 74`() throws {
        for path in [self.directory.path, self.directory.path("absent")] {
            let verify = try JournalCommand.Verify.parse([path])
            #expect(throws: ExitStatus.ioError.exitCode) { try verify.run() }
            let dump = try JournalCommand.Dump.parse([path])
            #expect(throws: ExitStatus.ioError.exitCode) { try dump.run() }
        }
    }

    @Test func `a loss of everything before it is a line of its own`() throws {
        var bytes: [UInt8] = []
        bytes.append(.droppedAll(file: self.file, keys: 3), includingValues: true)
        let text = String(decoding: bytes, as: UTF8.self)
        #expect(text == "{\"type\":\"droppedAll\",\"file\":\"0000000001.seg\",\"keys\":3}\n")
        try self.checkSchema(text)
    }
}
