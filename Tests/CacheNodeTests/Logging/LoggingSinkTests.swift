// The sink with real descriptors: stalled and broken readers, a full disk, many threads, rotation.

import Foundation
import Testing

@testable import CacheNode

@Suite struct LoggingSinkTests {
    /// One line for each number, found again by `port`.
    private func emit(_ number: Int, to log: NodeLog) {
        log.emit(.nodeListening, ["port": .int(number), "host": "h", "address": "h:1"])
    }

    private func ports(_ lines: [[String: Any]]) -> [Int] { lines.compactMap { $0["port"] as? Int } }

    private func dropped(_ lines: [[String: Any]]) -> Int {
        lines.compactMap { $0["droppedLines"] as? Int }.reduce(0, +)
    }

    @Test func aStalledReaderCostsLinesThatAreCountedAndNeverHoldsACallerUp() throws {
        let pipe = try ControlledPipe()
        let system = try LogSystem(
            node: "1", destination: .descriptor(pipe.writeEnd), level: .debug, queueBytes: 100_000, queueLines: 500)
        let log = system.log
        var emitted = 0
        // Nobody reads: pipe and queue fill up, and from then on every line is dropped.
        while system.droppedLines < 1_000 {
            emit(emitted, to: log)
            emitted += 1
        }
        #expect(system.flush(deadlineMilliseconds: 20) == .timedOut)
        // The reader wakes up. Every line arrives in order or is counted.
        let text = try pipe.read { text in (try? dropped(logLines(text))) == system.droppedLines }
        let lines = try logLines(text)
        #expect(ports(lines).count + dropped(lines) == emitted)
        #expect(
            ports(lines) == Array(0..<ports(lines).count), "what was kept before the first drop is a whole beginning")
        #expect(lines.last?["event"] as? String == "log.dropped" && lines.last?["level"] as? String == "warning")
        emit(emitted, to: log)
        #expect(try ports(logLines(pipe.read { _ in true })) == [emitted])
    }

    @Test func aReaderThatGoesAwayNeitherKillsNorHangsTheProcess() throws {
        let pipe = try ControlledPipe()
        let system = try LogSystem(node: "1", destination: .descriptor(pipe.writeEnd), level: .debug)
        emit(0, to: system.log)
        _ = try pipe.read { _ in true }
        pipe.closeReader()
        for number in 1...100 { emit(number, to: system.log) }
        #expect(system.flush(deadlineMilliseconds: 10_000) == .flushed)
        #expect(system.droppedLines == 100)
    }

    @Test func aFullDiskIsCountedAndSurvived() throws {
        let system = try LogSystem(node: "1", destination: .file(path: "/dev/full"), level: .debug)
        for number in 0..<10 { emit(number, to: system.log) }
        #expect(system.flush(deadlineMilliseconds: 10_000) == .flushed)
        #expect(system.droppedLines == 10)
    }

    @Test func aNonBlockingDescriptorIsWaitedFor() throws {
        let pipe = try ControlledPipe()
        #expect(fcntl(pipe.writeEnd, F_SETFL, O_NONBLOCK) == 0)
        let system = try LogSystem(
            node: "1", destination: .descriptor(pipe.writeEnd), level: .debug, queueBytes: 1 << 24, queueLines: 10_000)
        // 10,000 lines of more than 100 bytes are many times what a pipe holds.
        for number in 0..<10_000 { emit(number, to: system.log) }
        let text = try pipe.read { $0.utf8.count { $0 == 0x0A } == 10_000 }
        #expect(try ports(logLines(text)) == Array(0..<10_000))
    }

    @Test func linesOfManyThreadsNeverMixAndKeepTheirOrder() throws {
        let directory = try LogDirectory()
        let path = directory.file("log")
        let system = try LogSystem(
            node: "1", destination: .file(path: path), level: .debug, queueBytes: 1 << 24, queueLines: 100_000)
        DispatchQueue.concurrentPerform(iterations: 8) { thread in
            for number in 0..<2_000 { emit(thread * 10_000 + number, to: system.log) }
        }
        #expect(system.flush(deadlineMilliseconds: 30_000) == .flushed)
        let all = ports(try logLines(inFile: path))
        #expect(all.count == 16_000 && system.droppedLines == 0)
        for thread in 0..<8 {
            #expect(all.filter { $0 / 10_000 == thread } == (0..<2_000).map { thread * 10_000 + $0 })
        }
    }

    @Test func aLineBiggerThanTheQueueIsDroppedAndCounted() throws {
        let directory = try LogDirectory()
        let path = directory.file("log")
        let system = try LogSystem(
            node: "1", destination: .file(path: path), level: .debug, queueBytes: 1_000, queueLines: 10)
        system.log.emit(.nodeFailed, ["reason": .string(String(repeating: "x", count: 10_000)), "exitCode": 70])
        emit(1, to: system.log)
        #expect(system.flush(deadlineMilliseconds: 10_000) == .flushed)
        let lines = try logLines(inFile: path)
        #expect(dropped(lines) == 1 && ports(lines) == [1])
    }

    @Test func afterARotationLinesGoToTheNewFile() throws {
        let directory = try LogDirectory()
        let path = directory.file("log")
        let system = try LogSystem(node: "1", destination: .file(path: path), level: .debug)
        emit(1, to: system.log)
        #expect(system.flush(deadlineMilliseconds: 10_000) == .flushed)
        try FileManager.default.moveItem(atPath: path, toPath: directory.file("log.1"))
        emit(2, to: system.log)
        #expect(system.flush(deadlineMilliseconds: 10_000) == .flushed)
        system.reopen()
        #expect(system.flush(deadlineMilliseconds: 10_000) == .flushed)
        emit(3, to: system.log)
        #expect(system.flush(deadlineMilliseconds: 10_000) == .flushed)
        #expect(ports(try logLines(inFile: directory.file("log.1"))) == [1, 2])
        #expect(ports(try logLines(inFile: path)) == [3])
    }

    @Test func aFailedReopenIsReportedAndTheOldFileStaysInUse() throws {
        let directory = try LogDirectory()
        try FileManager.default.createDirectory(atPath: directory.file("d"), withIntermediateDirectories: true)
        let system = try LogSystem(node: "1", destination: .file(path: directory.file("d/log")), level: .debug)
        try FileManager.default.moveItem(atPath: directory.file("d"), toPath: directory.file("e"))
        system.reopen()
        #expect(system.flush(deadlineMilliseconds: 10_000) == .flushed)
        emit(1, to: system.log)
        #expect(system.flush(deadlineMilliseconds: 10_000) == .flushed)
        let lines = try logLines(inFile: directory.file("e/log"))
        #expect(lines.first?["event"] as? String == "log.reopen.failed" && ports(lines) == [1])
    }

    @Test func aFileThatCannotBeOpenedIsATypedError() throws {
        let directory = try LogDirectory()
        let path = directory.file("missing/log")
        #expect(throws: LogError(path: path, code: ENOENT)) {
            _ = try LogSystem(node: "1", destination: .file(path: path), level: .info)
        }
    }
}
