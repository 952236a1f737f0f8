// When upkeep runs and on what kind of thread, so that it neither delays the start nor the event loops.

import Glibc
import Journal
import Synchronization
import Testing

@testable import CacheNode

@Suite("Upkeep keeps out of the way")
struct UpkeepTests {
    /// Scheduling policies (sched(7)) of the threads that deflated.
    private final class Policies: Sendable {
        let seen = Mutex<[Int32]>([])

        var codec: JournalCodec {
            JournalCodec(
                inflate: HarnessCodec.codec.inflate,
                deflate: { raw, output in
                    self.seen.withLock { $0.append(sched_getscheduler(0)) }
                    return HarnessCodec.codec.deflate?(raw, output)
                })
        }
    }

    private func write(_ count: Int, to harness: JournalHarness) {
        for index in 0..<count { harness.put(JournalHarness.key(index % 20), Array("a value \(index % 7)".utf8)) }
    }

    @Test("Nothing is compressed or compacted before the node lets upkeep begin")
    func waitsForReady() throws {
        let disk = SimulatedDisk()
        let settings = JournalSettings(segmentBytes: 2_000)
        for beginsUpkeep in [false, true] {
            let harness = try JournalHarness(disk, settings: settings, beginsUpkeep: beginsUpkeep)
            write(500, to: harness)
            harness.service.requestCompaction()
            if beginsUpkeep {
                // Busily but not for a time.
                while harness.service.status.compactions == 0 { sched_yield() }
            }
            harness.service.close()
            #expect((harness.service.status.compactions == 0) == !beginsUpkeep)
            #expect(beginsUpkeep || harness.service.status.compressedSegments == 0)
        }
    }

    @Test(
        "A journal asked to yield deflates on a thread of the idle class, else on the upkeep thread, which never interrupts"
    )
    func schedulingClasses() throws {
        // SCHED_IDLE is 5, SCHED_BATCH 3.
        for (yields, policy) in [(true, 5), (false, 3)] as [(Bool, Int32)] {
            let policies = Policies()
            let settings = JournalSettings(segmentBytes: 4_000, deflatesWhenIdle: yields)
            let harness = try JournalHarness(SimulatedDisk(), settings: settings, codec: policies.codec)
            write(500, to: harness)
            harness.service.requestCommit()
            while policies.seen.withLock({ $0.isEmpty }) { sched_yield() }
            #expect(policies.seen.withLock { $0[0] } == policy)
            harness.service.close()
        }
    }

    @Test("Journals written by the idle thread read as those written at once")
    func sameContent() throws {
        let disk = SimulatedDisk()
        let settings = JournalSettings(segmentBytes: 2_000, deflatesWhenIdle: true)
        let harness = try JournalHarness(disk, settings: settings)
        write(700, to: harness)
        try harness.service.compactNow()
        write(300, to: harness)
        harness.service.close()
        let again = try JournalHarness(disk, settings: settings)
        #expect(again.entries == harness.entries && again.report.isClean)
        again.service.close()
    }

    @Test("The idle deflater gives what its function gives, block after block, and nothing once closed")
    func idleDeflater() throws {
        let deflater = IdleDeflater { raw, output in
            guard raw.count < output.count else { return nil }
            output.copyMemory(from: raw)
            return raw.count
        }
        var output = [UInt8](repeating: 0, count: 50)
        for length in [0, 1, 49, 50, 30] {
            let raw = (0..<length).map { UInt8($0 + 1) }
            let bytes = raw.withUnsafeBytes { raw in output.withUnsafeMutableBytes { deflater.deflate(raw, into: $0) } }
            #expect(bytes == (length < 50 ? length : nil))
            if let bytes { #expect(Array(output[0..<bytes]) == raw) }
        }
        deflater.close()
        let bytes = output.withUnsafeMutableBytes { output in
            deflater.deflate(UnsafeRawBufferPointer(rebasing: output[0..<1]), into: output)
        }
        #expect(bytes == nil)
    }
}
