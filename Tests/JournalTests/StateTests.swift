import Journal
import Testing

@Suite("Journal state")
struct StateTests {
    private func file(_ number: UInt32, _ kind: JournalFileKind, _ bytes: Int = 1) -> JournalFile {
        JournalFile(number: number, kind: kind, bytes: bytes)
    }

    @Test("The newest snapshot and the segments from its number on are loaded; the rest is obsolete")
    func plan() {
        let plan = LoadPlan([
            file(4, .segment), file(2, .segment), file(3, .snapshot), file(1, .snapshot), file(3, .segment),
            file(3, .compressedSegment), file(1, .compressedSegment),
        ])
        #expect(plan.snapshot == file(3, .snapshot))
        #expect(plan.segments == [file(3, .segment), file(4, .segment)])
        #expect(Set(plan.obsolete.map(\.name)).count == 4 && plan.nextNumber == 5)
    }

    @Test("Compaction is due above twice the last snapshot and never below 64 MiB")
    func compaction() {
        var state = JournalState(loaded: LoadPlan([file(1, .segment, 50 << 20)]))
        state.segmentOpened(number: 2)
        state.activeBytes = 14 << 20
        #expect(!state.isCompactionDue)
        state.activeBytes += 1
        #expect(state.isCompactionDue)
        state.segmentClosed()
        state.segmentOpened(number: 3)
        #expect(state.snapshotPublished(file(3, .snapshot, 40 << 20)).map(\.number) == [1, 2])
        state.activeBytes = 80 << 20
        #expect(!state.isCompactionDue)
        state.activeBytes += 1
        #expect(state.isCompactionDue)
        #expect(state.snapshotPublished(file(3, .snapshot, 41 << 20)).isEmpty)
    }

    @Test("Upkeep is urgent when the journal takes no writes or has grown to eight times what makes compaction due")
    func urgency() {
        var state = JournalState(loaded: LoadPlan([file(1, .segment, 500 << 20)]))
        state.segmentOpened(number: 2)
        state.activeBytes = 12 << 20
        #expect(!state.isUpkeepUrgent)
        state.activeBytes += 1
        #expect(state.isUpkeepUrgent)
        state.segmentClosed()
        #expect(!state.snapshotPublished(file(3, .snapshot, 40 << 20)).isEmpty)
        state.segmentOpened(number: 3)
        state.activeBytes = 640 << 20
        #expect(!state.isUpkeepUrgent)
        state.activeBytes += 1
        #expect(state.isUpkeepUrgent)
        state.activeBytes = 0
        state.failed(reason: "disk", now: 0)
        #expect(state.isUpkeepUrgent)
        state.reopened()
        #expect(!state.isUpkeepUrgent)
        while state.fileCount < 2 * JournalState.maxFiles {
            state.segmentOpened(number: state.activeNumber + 1)
            state.segmentClosed()
            #expect(!state.isUpkeepUrgent)
        }
        state.segmentOpened(number: state.activeNumber + 1)
        state.segmentClosed()
        #expect(state.isUpkeepUrgent)
    }

    @Test("After a failure attempts to reopen come after 1, 2, 4 … 30 seconds, and the first reason is kept")
    func retries() {
        var state = JournalState(loaded: LoadPlan([]))
        var delays: [Int64] = []
        for attempt in 0..<7 {
            state.failed(reason: "reason \(attempt)", now: 100)
            guard case .readOnly(let reason, let retryAt, _) = state.phase else { continue }
            #expect(reason == "reason 0")
            delays.append(retryAt - 100)
        }
        #expect(delays == [1000, 2000, 4000, 8000, 16000, 30000, 30000])
        state.reopened()
        #expect(state.phase == .open)
    }
}
