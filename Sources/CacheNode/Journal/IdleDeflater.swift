// Deflating in the time that the node's work leaves. Deflate is most of what upkeep costs (1.6 s of a core for 10^6 small
// writes); as an equal of the event loop on one core it took half of it, and requests waited for 10 to 50 ms.
//
//      upkeep thread  ── replay or walk a block ── copy ──┐            ┌── write it ──
//      idle thread                                        └─ deflate ──┘
//
// Why the upkeep thread itself is not the idle one: a thread that gets no core while it holds a lock makes everybody wait
// who wants that lock, an event loop too, for as long as the core is busy (priority inversion). The upkeep thread takes the
// shards' locks for the walk, the journal's for its counts, the allocator's, and in the kernel those of the file system. So
// the idle thread computes and does nothing else: from taking a block to handing it back it takes no lock that anybody but
// the upkeep thread wants, and allocates nothing after the first block.
//
// The other danger is a core that never idles: the thread then gets 0.3 % of it. Nobody may wait for that: the upkeep thread
// looks every few milliseconds whether it still may (no stop, no full journal, nobody behind it, at most a second a block),
// and else takes the block back and deflates it itself, with its equal share. The idle thread works on a copy, so that what
// it was given can be forgotten; it takes no other block before it is through with that one.

import Journal
import Synchronization

/// Deflates blocks on a thread that runs only where a core would idle. Used by one thread at a time.
final class IdleDeflater: Sendable {
    /// What became of a block.
    enum Outcome: Equatable {
        /// Deflated to so many bytes; nil when that would not save any.
        case deflated(Int?)
        /// The caller has to do it.
        case notTaken
    }

    /// Room for one block and what it becomes.
    ///
    /// `@unchecked Sendable`: the caller's while the phase is `free` or `done`, the idle thread's in between.
    private struct Room: @unchecked Sendable {
        let raw = UnsafeMutableRawBufferPointer.allocate(byteCount: JournalFormat.blockBytes, alignment: 16)
        let output = UnsafeMutableRawBufferPointer.allocate(byteCount: JournalFormat.blockBytes, alignment: 16)
    }

    private enum Phase {
        case free
        case given(rawBytes: Int, outputBytes: Int)
        /// Given, and nobody waits for it any more.
        case abandoned
        case done(Int?)
        case ended
    }

    private let room = Room()
    private let phase = Mutex(Phase.free)
    private let givenBell = Doorbell()
    private let doneBell = Doorbell()
    private let body: JournalDeflate
    /// Started with the first block.
    private let thread = Mutex<JournalThread?>(nil)

    /// The longest that one block is waited for, in milliseconds.
    private static let patienceMilliseconds: Int64 = 1000
    private static let lookMilliseconds: Int64 = 5

    /// `deflate` is what the thread does with a block; nobody else may use it. Call `close` in the end.
    init(_ deflate: @escaping JournalDeflate) {
        body = deflate
    }

    deinit {
        room.raw.deallocate()
        room.output.deallocate()
    }

    /// Deflates as a `JournalDeflate` does, waiting as long as `mayWait` holds, and a second at most.
    func deflate(
        _ raw: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer, while mayWait: () -> Bool
    ) -> Outcome {
        let outputBytes = min(output.count, room.output.count)
        guard raw.count <= room.raw.count, mayWait(), give(raw, outputBytes: outputBytes) else { return .notTaken }
        let deadline = JournalClock.monotonic() + Self.patienceMilliseconds
        while true {
            doneBell.wait(milliseconds: Self.lookMilliseconds)
            let isPatient = mayWait() && JournalClock.monotonic() < deadline
            let outcome = phase.withLock { phase -> Outcome? in
                switch phase {
                case .done(let bytes):
                    phase = .free
                    return .deflated(bytes)
                case .given where !isPatient:
                    phase = .abandoned
                    return .notTaken
                case .given: return nil
                case .free, .abandoned, .ended: preconditionFailure("a block that was given is done or waited for")
                }
            }
            if case .deflated(let bytes?) = outcome {
                output.copyMemory(from: UnsafeRawBufferPointer(rebasing: room.output[..<bytes]))
            }
            if let outcome { return outcome }
        }
    }

    /// Copies a block to where the idle thread finds it; false while it is still busy with one that was abandoned.
    private func give(_ raw: UnsafeRawBufferPointer, outputBytes: Int) -> Bool {
        guard phase.withLock({ if case .free = $0 { true } else { false } }) else { return false }
        room.raw.copyMemory(from: raw)
        phase.withLock { $0 = .given(rawBytes: raw.count, outputBytes: outputBytes) }
        thread.withLock { if $0 == nil { $0 = JournalThread(.idle) { self.run() } } }
        givenBell.ring()
        return true
    }

    /// Ends the thread, without waiting for a block that was abandoned; no other may be under way.
    func close() {
        let isBusy = phase.withLock { phase in
            defer { phase = .ended }
            if case .abandoned = phase { return true }
            return false
        }
        givenBell.ring()
        let running = thread.withLock { thread in
            defer { thread = nil }
            return thread
        }
        if isBusy { running?.detach() } else { running?.join() }
    }

    private func run() {
        while true {
            givenBell.wait(milliseconds: nil)
            let (given, isEnded) = phase.withLock { phase -> ((raw: Int, output: Int)?, Bool) in
                switch phase {
                case .given(let rawBytes, let outputBytes): ((rawBytes, outputBytes), false)
                case .ended: (nil, true)
                case .free, .abandoned, .done: (nil, false)
                }
            }
            if isEnded { return }
            guard let given else { continue }
            let bytes = body(
                UnsafeRawBufferPointer(rebasing: room.raw[..<given.raw]),
                UnsafeMutableRawBufferPointer(rebasing: room.output[..<given.output]))
            phase.withLock { phase in
                switch phase {
                case .given: phase = .done(bytes)
                case .abandoned: phase = .free
                case .free, .done, .ended: break
                }
            }
            doneBell.ring()
        }
    }
}
