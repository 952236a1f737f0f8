// Lines, fields and handlers: what is written for what was said.

import Foundation
import Logging
import Testing

@testable import CacheNode

extension LogSystem {
    /// A logger as a library would get it.
    func library(_ label: String) -> Logger { Logger(label: label, factory: { self.handler(label: $0) }) }
}

@Suite struct LoggingLineTests {
    private func line(_ fields: [(String, LogValue)], wall: Int64 = fixedWallMilliseconds, node: String = "1") -> String
    {
        var line = LogLine(wallMilliseconds: wall, level: .info, node: node, event: .nodeListening)
        for (name, value) in fields { line.append(name, value) }
        return String(decoding: line.finished(), as: UTF8.self)
    }

    /// What `body` logs to a system with that level, line by line.
    private func lines(level: LogLevel = .debug, _ body: (LogSystem) -> Void) throws -> [[String: Any]] {
        let directory = try LogDirectory()
        let system = try LogSystem(
            node: "1", destination: .file(path: directory.file("log")), level: level, clock: { fixedWallMilliseconds })
        body(system)
        #expect(system.flush(deadlineMilliseconds: 10_000) == .flushed)
        return try logLines(inFile: directory.file("log"))
    }

    @Test func aLineIsOneObjectWithItsFieldsTyped() {
        let text = line([
            ("port", 8_001), ("host", "::1"), ("secure", false), ("share", .double(0.5)), ("bad", .double(.nan)),
        ])
        #expect(
            text == #"{"ts":"2026-01-02T03:04:05.678Z","level":"info","node":"1","event":"node.listening","#
                + #""msg":"Listening","port":8001,"host":"::1","secure":false,"share":0.5,"bad":null}"# + "\n")
    }

    @Test(
        arguments: [
            (0, "1970-01-01T00:00:00.000Z"), (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_868_799_000, "2000-02-29T23:59:59.000Z"), (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"), (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
            (-1, "1970-01-01T00:00:00.000Z"),
        ] as [(Int64, String)])
    func timestampsAreRFC3339(wall: Int64, expected: String) {
        #expect(line([], wall: wall).contains(#"{"ts":"\#(expected)","#))
    }

    @Test func timestampsAgreeWithFoundationOnRandomTimes() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = LogRandom(seed: seed)
        let formatter = ISO8601DateFormatter()
        for _ in 0..<2_000 {
            let seconds = Int64.random(in: 0..<7_258_118_400, using: &random)
            let expected = formatter.string(from: Date(timeIntervalSince1970: Double(seconds))).dropLast()
            #expect(line([], wall: seconds * 1_000 + 7).contains("\(expected).007Z"), "seed \(seed)")
        }
    }

    @Test func anyTextIsValidAndComesBackAsItWas() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = LogRandom(seed: seed)
        var texts = [
            "", "\"\\/\u{8}\u{c}\n\r\t", "🕷\u{200D}👩‍👩‍👧‍👦 e\u{301}", "\u{2028}\u{2029}\u{FEFF}\u{FFFF}\u{7F}", "</script>",
        ]
        texts.append(String(String.UnicodeScalarView((0..<0x100).compactMap { Unicode.Scalar($0) })))
        for _ in 0..<500 {
            let scalars = (0..<Int.random(in: 0..<50, using: &random)).compactMap { _ in
                Unicode.Scalar(
                    UInt32.random(in: 0...0x10FFFF, using: &random) >> UInt32.random(in: 0...14, using: &random))
            }
            texts.append(String(String.UnicodeScalarView(scalars)))
        }
        for text in texts {
            let written = line([("host", .string(text))], node: text)
            #expect(written.utf8.filter { $0 < 0x20 } == [0x0A], "only the newline at the end")
            let parsed = try logLines(written)
            #expect((parsed[0]["host"] as? String).map { Array($0.utf8) } == Array(text.utf8), "seed \(seed)")
            #expect((parsed[0]["node"] as? String).map { Array($0.utf8) } == Array(text.utf8), "seed \(seed)")
        }
    }

    @Test func aLongTextIsCutOnAScalarBoundary() throws {
        for prefix in ["", "x", "xy", "xyz"] {
            let text = prefix + String(repeating: "🕷", count: 2_500)
            let host = try #require(try logLines(line([("host", .string(text))]))[0]["host"] as? String)
            #expect(host.utf8.count <= LogLine.maxTextBytes + 3)
            #expect(host.hasSuffix("🕷…") && text.hasPrefix(host.dropLast()))
        }
    }

    @Test func keysAreCutTo256BytesOfWholeScalars() {
        for (unit, width) in [("a", 1), ("é", 2), ("蛛", 3), ("🕷", 4)] {
            for offset in 0..<4 {
                let head = String(repeating: "x", count: offset)
                for count in [0, 1, (256 - offset) / width, (256 - offset) / width + 1, 1_000] {
                    let key = head + String(repeating: unit, count: count)
                    let whole = min(count, (256 - offset) / width)
                    let expected = head + String(repeating: unit, count: whole)
                    #expect(LogKey.cut(key) == expected)
                    #expect(Array(key.utf8).withUnsafeBytes { LogKey.cut($0) } == expected)
                }
            }
        }
        let invalid = [UInt8](repeating: 0xFF, count: 300)
        #expect(invalid.withUnsafeBytes { LogKey.cut($0) }.utf8.count <= 256)
    }

    @Test func anEventsFieldsAreCheckedAgainstTheTable() {
        let definition = NodeEvent.nodeListening.definition
        #expect(definition.fault(in: ["port": 1, "host": "h", "address": "h:1"]) == nil)
        #expect(definition.fault(in: ["port": 1, "host": "h"]) != nil)
        #expect(definition.fault(in: ["port": "1", "host": "h", "address": "h:1"]) != nil)
        #expect(definition.fault(in: ["port": 1, "host": "h", "address": "h:1", "extra": 1]) != nil)
        #expect(NodeEvent.connectionTimeout.definition.fault(in: ["phase": "lunch", "limitMs": 1]) != nil)
    }

    @Test func linesBelowTheThresholdAreNotMadeAndAChangeActsAtOnce() throws {
        let lines = try lines(level: .warning) { system in
            let log = system.log
            let library = system.library("nio")
            func fields() -> LogFields {
                Issue.record("fields of a line that is not written must not be gathered")
                return [:]
            }
            log.emit(.configReloaded, fields())
            #expect(!log.isEnabled(.configReloaded) && log.isEnabled(.logDropped))
            library.info("not yet")
            system.threshold.level = .debug
            log.emit(.configReloaded, ["logLevel": "debug"])
            library.debug("now")
        }
        #expect(lines.compactMap { $0["event"] as? String } == ["config.reloaded", "library.message"])
    }

    @Test func aLibrarysMessageKeepsItsLevelTextErrorAndMetadata() throws {
        struct Broken: Error {}
        let lines = try lines { system in
            var logger = system.library("swift-nio")
            logger[metadataKey: "event"] = "not ours"
            logger[metadataKey: "port"] = .stringConvertible(1)
            logger.critical("lost \"it\"", error: Broken(), metadata: ["port": .stringConvertible(2)])
            logger.notice("calm")
        }
        #expect(lines[0]["event"] as? String == "library.message")
        #expect(lines[0]["level"] as? String == "error" && lines[1]["level"] as? String == "info")
        #expect(lines[0]["library"] as? String == "swift-nio" && lines[0]["text"] as? String == "lost \"it\"")
        #expect((lines[0]["error"] as? String)?.contains("Broken") == true)
        #expect(lines[0]["metadata"] as? [String: String] == ["event": "not ours", "port": "2"])
    }

    @Test func aHandlersOwnLevelDoesNotChangeOthers() throws {
        let lines = try lines(level: .info) { system in
            let first = system.library("a")
            var second = first
            second.logLevel = .error
            first.info("kept")
            second.info("not kept")
        }
        #expect(lines.compactMap { $0["text"] as? String } == ["kept"])
    }

    @Test func aLogThatGoesNowhereTakesEverything() {
        NodeLog.discarding.emit(.nodeFailed, ["reason": "none", "exitCode": 70])
    }
}
