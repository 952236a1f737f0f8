// When upkeep runs and on what kind of thread, so that it neither delays the start nor the event loops.

import Dispatch
import Foundation
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
        for (yields, scheduling) in [(true, SchedulingClass.idle), (false, .batch)] {
            // What the system grants a thread that asks for this class: where it refuses, all are usual ones.
            let granted = Mutex<Int32>(-1)
            JournalThread(scheduling) { granted.withLock { $0 = sched_getscheduler(0) } }.join()
            let policy = granted.withLock { $0 }
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
            let outcome = raw.withUnsafeBytes { raw in
                output.withUnsafeMutableBytes { deflater.deflate(raw, into: $0, while: { true }) }
            }
            #expect(outcome == .deflated(length < 50 ? length : nil))
            if length < 50 { #expect(Array(output[0..<length]) == raw) }
        }
        #expect(Self.deflate(JournalFormat.blockBytes + 1, with: deflater) == .notTaken, "no room for so much")
        #expect(Self.deflate(1, with: deflater, mayWait: false) == .notTaken)
        deflater.close()
        #expect(Self.deflate(1, with: deflater) == .notTaken, "closed")
    }

    private static func deflate(_ count: Int, with deflater: IdleDeflater, mayWait: Bool = true) -> IdleDeflater.Outcome
    {
        var output = [UInt8](repeating: 0, count: count)
        return [UInt8](repeating: 7, count: count).withUnsafeBytes { raw in
            output.withUnsafeMutableBytes { deflater.deflate(raw, into: $0, while: { mayWait }) }
        }
    }

    /// An idle thread that gets no core until it is let on.
    private final class Starved: Sendable {
        let begun = DispatchSemaphore(value: 0)
        let letOn = DispatchSemaphore(value: 0)

        func deflate(_ raw: UnsafeRawBufferPointer, _ output: UnsafeMutableRawBufferPointer) -> Int? {
            begun.signal()
            letOn.wait()
            return nil
        }
    }

    @Test(
        "A block that the idle thread does not get done is taken back, and the thread is asked again when it is through"
    )
    func takenBack() {
        let starved = Starved()
        let deflater = IdleDeflater { starved.deflate($0, $1) }
        let isUrgent = Atomic<Bool>(false)
        let waiting = Thread {
            starved.begun.wait()
            isUrgent.store(true, ordering: .relaxed)
        }
        waiting.start()
        var output = [UInt8](repeating: 0, count: 10)
        let outcome = [UInt8](repeating: 7, count: 10).withUnsafeBytes { raw in
            output.withUnsafeMutableBytes {
                deflater.deflate(raw, into: $0, while: { !isUrgent.load(ordering: .relaxed) })
            }
        }
        #expect(outcome == .notTaken)
        #expect(Self.deflate(5, with: deflater) == .notTaken, "still busy with what was abandoned")
        starved.letOn.signal()
        starved.letOn.signal()
        while Self.deflate(5, with: deflater) == .notTaken { sched_yield() }
        deflater.close()
    }

    @Test("A journal closes and is read again while the idle thread gets no core")
    func starvedIdleThread() throws {
        let starved = Starved()
        let codec = JournalCodec(
            inflate: HarnessCodec.codec.inflate, deflate: HarnessCodec.codec.deflate,
            idleDeflate: { starved.deflate($0, $1) })
        let settings = JournalSettings(segmentBytes: 2_000, deflatesWhenIdle: true)
        let harness = try JournalHarness(SimulatedDisk(), settings: settings, codec: codec)
        write(700, to: harness)
        harness.service.requestCommit()
        starved.begun.wait()
        var model = HarnessModel()
        _ = try harness.service.reread(includingAside: false, into: &model)
        #expect(model.entries == harness.entries)
        harness.service.close()
        starved.letOn.signal()
    }
}
