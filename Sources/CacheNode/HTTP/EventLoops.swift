// The event loops with their ThreadStates, timers, and the bridge from the journal's thread to parked replies.

import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Synchronization

/// All event loops of the node.
final class EventLoops: Sendable {
    /// Set while a loop has parked replies, so that the journal wakes only loops that wait for it.
    private final class Waiting: Sendable {
        let flag = Atomic<Bool>(false)
    }

    let group: MultiThreadedEventLoopGroup
    private let loops: [any EventLoop]
    private let waiting: [Waiting]
    // Each thread sees only its own state: the variable is safe to share although what it holds is not Sendable.
    nonisolated(unsafe) private let state = ThreadSpecificVariable<ThreadState>()

    init(threads: Int) {
        group = MultiThreadedEventLoopGroup(numberOfThreads: threads)
        loops = group.makeIterator().map { $0 }
        waiting = loops.map { _ in Waiting() }
    }

    /// The state of the calling event loop; nil on any other thread.
    var current: ThreadState? { state.currentValue }

    /// Gives each loop its state and timers. Blocks until done; called once, before connections are accepted.
    func prepare(for node: NodeCore, _ timeouts: ConnectionTimeouts) throws {
        for (loop, waiting) in zip(loops, waiting) {
            try loop.submit {
                let state = try ThreadState(node: node)
                self.state.currentValue = state
                let bound = NIOLoopBound(state, eventLoop: loop)
                let endOfTick = { @Sendable in self.endOfTick(bound.value, waiting, node) }
                state.connections.onWork = { loop.execute(endOfTick) }
                let interval = TimeAmount.milliseconds(timeouts.sweepMilliseconds)
                loop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in
                    bound.value.connections.sweep(now: NodeClock.monotonicMilliseconds(), timeouts) { cutOff in
                        node.metrics.connectionTimeouts.add(1, ordering: .relaxed)
                        node.log.emit(
                            .connectionTimeout,
                            ["phase": .string(cutOff.phase), "limitMs": .int(Int(cutOff.limitMilliseconds))])
                    }
                }
            }.wait()
        }
    }

    /// Once a loop tick in which replies were made: sends them; when some were parked, wakes the journal and then looks
    /// whether it was faster.
    private func endOfTick(_ state: ThreadState, _ waiting: Waiting, _ node: NodeCore) {
        guard state.connections.endOfTick() else { return }
        node.storage.journal?.requestCommit()
        release(state, waiting, node)
    }

    /// The flag is raised before the watermark is read, and the journal moves the watermark before it reads the flag: one
    /// of the two sees the other.
    private func release(_ state: ThreadState, _ waiting: Waiting, _ node: NodeCore) {
        _ = waiting.flag.exchange(true, ordering: .sequentiallyConsistent)
        state.connections.release(upTo: node.storage.watermark)
        if node.storage.journal?.isOpen == false {
            state.connections.journalFailed(watermark: node.storage.watermark)
        }
        if !state.connections.hasParked { waiting.flag.store(false, ordering: .relaxed) }
    }

    /// Called on the journal's thread whenever the watermark has moved or the journal has failed.
    func journalAdvanced(_ node: NodeCore) {
        for (loop, waiting) in zip(loops, waiting)
        where waiting.flag.exchange(false, ordering: .sequentiallyConsistent) {
            loop.execute {
                guard let state = self.state.currentValue else { return }
                self.release(state, waiting, node)
            }
        }
    }

    /// Runs `body` on every loop with its connections, and waits for all of them.
    func onEveryLoop(_ body: @escaping @Sendable (ConnectionRegistry) -> Void) {
        for loop in loops {
            try? loop.submit {
                if let state = self.state.currentValue { body(state.connections) }
            }.wait()
        }
    }

    /// Asks every loop for a sign of life; false when one of them does not answer within the limit.
    ///
    /// Blocks the calling thread, never an event loop.
    func areAlive(limitMilliseconds: Int) -> Bool {
        let answers = LoopAnswers(expected: loops.count)
        for loop in loops { loop.execute { answers.answered() } }
        return answers.wait(milliseconds: limitMilliseconds)
    }
}

/// Counts answers until all have come.
private final class LoopAnswers: Sendable {
    private let missing: Synchronization.Atomic<Int>
    private let all = ConditionLock(value: false)

    init(expected: Int) {
        missing = Synchronization.Atomic(expected)
    }

    func answered() {
        guard missing.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 else { return }
        all.lock()
        all.unlock(withValue: true)
    }

    func wait(milliseconds: Int) -> Bool {
        guard all.lock(whenValue: true, timeoutSeconds: Double(milliseconds) / 1000) else { return false }
        all.unlock()
        return true
    }
}
