// Deflating in the time that the node's work leaves. Deflate is most of what upkeep costs (1.6 s of a core for 10^6 small
// writes); as an equal of the event loop on one core it took half of it, and requests waited for 10 to 50 ms.
//
//      upkeep thread  ── replay or walk a block ──┐            ┌── write it ──
//      idle thread                                └─ deflate ──┘
//
// Why the upkeep thread itself is not the idle one: a thread that gets no core while it holds a lock makes everybody wait
// who wants that lock, an event loop too, for as long as the core is busy (priority inversion). The upkeep thread takes the
// shards' locks for the walk, the journal's for its counts, the allocator's, and in the kernel those of the file system. So
// the idle thread computes and does nothing else: from taking a block to handing it back it takes no lock that anybody but
// the upkeep thread wants, allocates nothing after the first block, and makes no system call but that of its bell. Whoever
// waits for it is the upkeep thread, and whoever waits for that one waits for upkeep (re-reading, closing).
//
// The other danger is a core that never idles: upkeep would not get on, and the journal would grow without end. What is
// urgent (JournalState.isUpkeepUrgent) is therefore deflated by the upkeep thread, with its equal share.

import Journal
import Synchronization

/// Deflates blocks on a thread that runs only where a core would idle. Used by one thread at a time.
final class IdleDeflater: Sendable {
    /// `@unchecked Sendable`: the memory is the waiting caller's, who does not touch it until the block is done.
    private struct Block: @unchecked Sendable {
        let raw: UnsafeRawBufferPointer
        let output: UnsafeMutableRawBufferPointer
    }

    private enum Phase {
        case waiting
        case given(Block)
        case done(Int?)
        case ended
    }

    private let phase = Mutex(Phase.waiting)
    private let givenBell = Doorbell()
    private let doneBell = Doorbell()
    private let body: JournalDeflate
    /// Started with the first block.
    private let thread = Mutex<JournalThread?>(nil)

    /// `deflate` is what the thread does with a block; call `close` in the end.
    init(_ deflate: @escaping JournalDeflate) {
        body = deflate
    }

    /// Deflates as a `JournalDeflate` does; blocks the caller until it is done.
    func deflate(_ raw: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) -> Int? {
        let block = Block(raw: raw, output: output)
        let isGiven = phase.withLock { phase in
            switch phase {
            case .waiting:
                phase = .given(block)
                return true
            case .given, .done: preconditionFailure("one block is deflated at a time")
            case .ended: return false
            }
        }
        // Stored as it is.
        guard isGiven else { return nil }
        thread.withLock { if $0 == nil { $0 = JournalThread(.idle) { self.run() } } }
        givenBell.ring()
        while true {
            doneBell.wait(milliseconds: nil)
            let result = phase.withLock { phase -> Int?? in
                guard case .done(let bytes) = phase else { return .none }
                phase = .waiting
                return .some(bytes)
            }
            if let result { return result }
        }
    }

    /// Ends the thread; no block may be under way.
    func close() {
        phase.withLock { $0 = .ended }
        givenBell.ring()
        let running = thread.withLock { thread in
            defer { thread = nil }
            return thread
        }
        running?.join()
    }

    private func run() {
        while true {
            givenBell.wait(milliseconds: nil)
            let (block, isEnded) = phase.withLock { phase -> (Block?, Bool) in
                switch phase {
                case .given(let block): (block, false)
                case .ended: (nil, true)
                case .waiting, .done: (nil, false)
                }
            }
            if isEnded { return }
            guard let block else { continue }
            let bytes = body(block.raw, block.output)
            phase.withLock { $0 = .done(bytes) }
            doneBell.ring()
        }
    }
}
