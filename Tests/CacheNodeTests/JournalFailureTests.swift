import CacheNode
import Glibc
import Journal
import Testing

@Suite("Journal failures")
struct JournalFailureTests {
    @Test(
        "A failed sync or write refuses writes until a fresh snapshot and segment are durable",
        arguments: [true, false])
    func readOnlyAndBack(isSync: Bool) throws {
        let disk = SimulatedDisk()
        let harness = try JournalHarness(disk, settings: JournalSettings(synchronisation: .always))
        let first = try #require(harness.put(JournalHarness.key(1), [49]))
        #expect(harness.waitForAcknowledgement(of: first))
        disk.inject { operation, _, _ in
            operation == (isSync ? .synchronise : .write) ? .error(isSync ? EIO : ENOSPC) : nil
        }
        let lost = try #require(harness.put(JournalHarness.key(2), [50]))
        #expect(!harness.waitForAcknowledgement(of: lost))
        #expect(harness.service.append(.flush(version: 1)) == nil)
        #expect(harness.service.watermark == first && !harness.service.status.isOpen)
        #expect(harness.service.status.fsyncFailures == (isSync ? 1 : 0))
        // Still broken: an attempt must not open it.
        #expect(throws: JournalError.self) { try harness.service.reopenNow() }
        #expect(!harness.service.isOpen)
        disk.inject(nil)
        try harness.service.reopenNow()
        #expect(harness.service.isOpen && harness.failures.count == 1)
        let after = try #require(harness.put(JournalHarness.key(3), [51]))
        #expect(after > lost && harness.waitForAcknowledgement(of: after))
        let again = try JournalHarness(disk.afterPowerLoss(seed: 5))
        #expect(again.entries == harness.entries && again.report.isClean)
        #expect(again.entries.count == 3)
        harness.service.close()
        again.service.close()
    }

    @Test("A disk that fails every few calls never costs an acknowledged write", arguments: 1...30)
    func flaky(seed: UInt64) throws {
        var random = JournalRandom(seed: seed)
        let disk = SimulatedDisk()
        let settings = JournalSettings(synchronisation: .always, segmentBytes: 1200)
        let harness = try JournalHarness(disk, settings: settings, keepsHistory: true)
        let period = Int.random(in: 9...40, using: &random)
        disk.inject { operation, _, call in operation != .other && call % period == 0 ? .error(EIO) : nil }
        var acknowledged = HarnessModel().entries
        for step in 0..<150 {
            if !harness.service.isOpen { try? harness.service.reopenNow() }
            guard let sequence = harness.randomChange(using: &random) else { continue }
            if harness.waitForAcknowledgement(of: sequence) { acknowledged = harness.entries }
            if step % 40 == 20 { try? harness.service.compactNow() }
        }
        let isSettled = acknowledged == harness.entries
        harness.service.close()
        let again = try JournalHarness(disk.afterPowerLoss(seed: seed))
        #expect(again.report.damageCount == 0, "seed \(seed): \(again.report.damaged)")
        // What was refused may or may not be there; without anything refused last the states must agree.
        if isSettled { #expect(again.entries == acknowledged, "seed \(seed)") }
        again.service.close()
    }

    @Test("Short writes lose and repeat nothing")
    func shortWrites() throws {
        let disk = SimulatedDisk()
        let harness = try JournalHarness(disk)
        disk.inject { operation, _, call in operation == .write ? .short(1 + call % 7) : nil }
        var random = JournalRandom(seed: 9)
        var last: UInt64 = 0
        for _ in 0..<50 { last = harness.randomChange(using: &random) ?? last }
        #expect(harness.waitForAcknowledgement(of: last))
        harness.service.close()
        let again = try JournalHarness(disk.copy())
        #expect(again.entries == harness.entries && again.report.isClean && again.report.records == 50)
        again.service.close()
    }

    @Test("A failed compaction or compression leaves the journal open and complete")
    func failedJobs() throws {
        let disk = SimulatedDisk()
        let harness = try JournalHarness(disk, settings: JournalSettings(segmentBytes: 1000))
        disk.inject { operation, path, _ in
            operation != .other && (path.hasSuffix(".tmp")) ? .error(ENOSPC) : nil
        }
        var random = JournalRandom(seed: 10)
        var last: UInt64 = 0
        for _ in 0..<100 { last = harness.randomChange(using: &random) ?? last }
        #expect(harness.waitForAcknowledgement(of: last))
        #expect(throws: JournalError.self) { try harness.service.compactNow() }
        #expect(harness.service.isOpen)
        harness.service.close()
        let again = try JournalHarness(disk.copy())
        #expect(again.entries == harness.entries && again.report.isClean)
        again.service.close()
    }
}
