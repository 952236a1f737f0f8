import CacheNode
import Foundation
import Glibc
import Journal
import Synchronization
import Testing

@Suite("Journal service on real files")
struct JournalServiceTests {
    /// A directory that is gone after the test.
    private final class Scratch {
        let path = NSTemporaryDirectory() + "journal-" + UUID().uuidString
        deinit { try? FileManager.default.removeItem(atPath: path) }
        func names(_ directory: String) -> [String] {
            ((try? FileManager.default.contentsOfDirectory(atPath: path + "/" + directory)) ?? []).sorted()
        }
        func alter(_ name: String, _ body: (inout Data) -> Void) throws {
            let url = URL(fileURLWithPath: path + "/journal/" + name)
            var data = try Data(contentsOf: url)
            body(&data)
            try data.write(to: url)
        }
    }

    @Test("Values, expiries and versions are back after a restart, over segments, compression and compaction")
    func restarts() throws {
        let scratch = Scratch()
        var random = JournalRandom(seed: 77)
        var expected: [[UInt8]: HarnessEntry] = [:]
        for round in 0..<6 {
            let settings = JournalSettings(segmentBytes: 4000, compress: round % 2 == 0)
            let harness = try JournalHarness(SystemFiles(), path: scratch.path, settings: settings)
            #expect(harness.entries == expected && harness.report.isClean, "round \(round)")
            for _ in 0..<300 { harness.randomChange(using: &random) }
            if round % 3 == 1 { try harness.service.compactNow() }
            expected = harness.entries
            harness.service.close()
            #expect(try JournalInspection(scratch.path, codec: HarnessCodec.codec).verify().isClean)
        }
    }

    @Test("8 threads: sequences are dense, each thread's records keep their order, and syncs are shared")
    func groupCommit() throws {
        let scratch = Scratch()
        let harness = try JournalHarness(
            SystemFiles(), path: scratch.path, settings: JournalSettings(synchronisation: .always))
        let perThread = 500
        DispatchQueue.concurrentPerform(iterations: 8) { thread in
            for index in 0..<perThread {
                let sequence = harness.put(JournalHarness.key(thread), Array("\(thread):\(index)".utf8))
                harness.service.requestCommit()
                if index % 25 == 24, let sequence { _ = harness.waitForAcknowledgement(of: sequence) }
            }
        }
        harness.service.close()
        #expect(harness.service.watermark == UInt64(8 * perThread))
        #expect(harness.advances == harness.advances.sorted())
        #expect(harness.service.status.fsyncs < 8 * perThread / 2)
        var next = [Int](repeating: 0, count: 8)
        var sequence: UInt64 = 0
        _ = try JournalInspection(scratch.path, codec: HarnessCodec.codec).dump(includingValues: true) { line in
            guard case .change(let record) = line, let value = record.value else { return }
            sequence += 1
            #expect(record.sequence == sequence)
            let parts = String(decoding: value, as: UTF8.self).split(separator: ":").compactMap { Int($0) }
            guard parts.count == 2 else { return }
            #expect(parts[1] == next[parts[0]])
            next[parts[0]] += 1
        }
        #expect(next == [Int](repeating: perThread, count: 8))
    }

    @Test("A second process is told who holds the data directory")
    func lock() throws {
        let scratch = Scratch()
        let directory = try JournalDirectory(scratch.path)
        let error = #expect(throws: JournalError.self) { _ = try JournalDirectory(scratch.path) }
        #expect(error == .locked(path: scratch.path + "/lock", holder: "pid \(getpid())"))
        _ = directory
    }

    @Test("A torn tail is cut off once, kept, and the next start is clean")
    func tornTail() throws {
        let scratch = Scratch()
        let first = try JournalHarness(SystemFiles(), path: scratch.path)
        first.put(JournalHarness.key(1), Array("one".utf8))
        first.put(JournalHarness.key(1), Array("two".utf8))
        first.service.close()
        try scratch.alter("0000000001.seg") { $0.removeLast(2) }
        let inspection = try JournalInspection(scratch.path, codec: HarnessCodec.codec)
        #expect(try inspection.verify().tornBytes > 0)
        let second = try JournalHarness(SystemFiles(), path: scratch.path)
        #expect(second.entries[JournalHarness.key(1)]?.value == Array("one".utf8))
        #expect(second.recovered.kept.count == 1 && second.report.damageCount == 0)
        second.put(JournalHarness.key(2), Array("three".utf8))
        second.service.close()
        #expect(try inspection.verify().isClean)
        let third = try JournalHarness(SystemFiles(), path: scratch.path)
        #expect(third.entries == second.entries && third.report.isClean)
        third.service.close()
    }

    @Test("A damaged segment is kept aside and replaced by a snapshot of what could be read")
    func damagedSegment() throws {
        let scratch = Scratch()
        let first = try JournalHarness(SystemFiles(), path: scratch.path)
        for index in 0..<20 { first.put(JournalHarness.key(index), [UInt8](repeating: 65, count: 50)) }
        first.service.close()
        // In the middle of the sixth record's header.
        try scratch.alter("0000000001.seg") { $0[128 + 5 * 112 + 28] ^= 1 }
        let second = try JournalHarness(SystemFiles(), path: scratch.path)
        #expect(second.report.damageCount == 1 && second.report.droppedRecords == 1 && second.report.droppedKeys == 5)
        #expect(Set(second.entries.keys) == Set((6..<20).map { JournalHarness.key($0) }))
        #expect(scratch.names("damaged").count == 1)
        try second.service.compactNow()
        second.service.close()
        let third = try JournalHarness(SystemFiles(), path: scratch.path)
        #expect(third.report.isClean && third.entries == second.entries)
        third.service.close()
    }

    @Test("Starting empty moves the old journal aside, and re-reading brings it back below what is newer")
    func asideAndReread() throws {
        let scratch = Scratch()
        let first = try JournalHarness(SystemFiles(), path: scratch.path)
        first.put(JournalHarness.key(1), Array("old".utf8))
        first.put(JournalHarness.key(2), Array("old".utf8))
        first.service.close()
        do {
            let directory = try JournalDirectory(scratch.path)
            #expect(try directory.setAside(as: "20260101T000000Z") == scratch.path + "/aside/20260101T000000Z")
        }
        let second = try JournalHarness(SystemFiles(), path: scratch.path)
        #expect(second.entries.isEmpty && scratch.names("aside") == ["20260101T000000Z"])
        for _ in 0..<5 { second.put(JournalHarness.key(2), Array("new".utf8)) }
        var reread = HarnessModel()
        let (report, upTo) = try second.service.reread(includingAside: true, into: &reread)
        #expect(reread.entries.count == 2 && reread.entries[JournalHarness.key(2)]?.value == Array("new".utf8))
        #expect(report.records == 5 && upTo == 5)
        second.put(JournalHarness.key(3), Array("later".utf8))
        var rest = HarnessModel()
        #expect(try second.service.reread(includingAside: true, after: upTo, into: &rest).upTo == 6)
        #expect(Array(rest.entries.keys) == [JournalHarness.key(3)])
        second.service.close()
    }

    @Test("Sealed segments are compressed, counted and read again")
    func compression() throws {
        let scratch = Scratch()
        let harness = try JournalHarness(
            SystemFiles(), path: scratch.path, settings: JournalSettings(segmentBytes: 20_000))
        for index in 0..<400 {
            harness.put(JournalHarness.key(index % 20), [UInt8](repeating: 65, count: 500))
            if index % 10 == 0 { _ = harness.waitForAcknowledgement(of: UInt64(index + 1)) }
        }
        while harness.service.status.compressedSegments < 5 { harness.service.requestCommit() }
        harness.service.close()
        let status = harness.service.status
        #expect(status.compressedStoredBytes * 4 < status.compressedRawBytes)
        #expect(scratch.names("journal").contains { $0.hasSuffix(".segz") })
        #expect(!scratch.names("journal").contains { $0.hasSuffix(".tmp") })
        let again = try JournalHarness(SystemFiles(), path: scratch.path)
        #expect(again.entries == harness.entries && again.report.isClean && again.report.records == 400)
        again.service.close()
    }

    @Test("An unreadable or missing directory is an error with its path")
    func missing() throws {
        #expect(throws: JournalError.self) {
            _ = try JournalInspection("/nonexistent-journal", codec: HarnessCodec.codec)
        }
        let error = #expect(throws: JournalError.self) { _ = try JournalDirectory("/proc/nothing") }
        #expect(error?.description.contains("/proc/nothing") == true)
    }

    @Test("Verifying a running node's journal starts over when a file has been replaced since it was listed")
    func replacedWhileVerified() throws {
        let disk = SimulatedDisk()
        let harness = try JournalHarness(disk, settings: JournalSettings(compress: false))
        let sequence = try #require(harness.put(JournalHarness.key(1), [49]))
        #expect(harness.waitForAcknowledgement(of: sequence))
        let inspection = try JournalInspection("/data", files: disk, codec: HarnessCodec.codec)
        // Gone for a moment, then for good.
        for (missing, isFound) in [(3, true), (Int.max, false)] {
            let left = Atomic<Int>(missing)
            disk.inject { operation, path, _ in
                guard operation == .open, path.hasSuffix(".seg") else { return nil }
                return left.wrappingSubtract(1, ordering: .relaxed).oldValue > 0 ? .error(ENOENT) : nil
            }
            if isFound {
                #expect(try inspection.verify().records == 1)
            } else {
                #expect(throws: JournalError.self) { try inspection.verify() }
            }
        }
        disk.inject(nil)
        harness.service.close()
    }
}
