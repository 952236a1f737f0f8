// Threads for tests whose clients block: the cooperative pool has as many threads as cores, eight blocking writers on it
// would run two at a time.

import Foundation
import Synchronization

/// Runs `body` on `count` threads at once and returns what each gave, in order, when all have ended.
package func concurrently<Value: Sendable>(
    _ count: Int, _ body: @escaping @Sendable (_ index: Int) throws -> Value
) -> [Result<Value, any Error>] {
    let running = start(count, body)
    return running.wait()
}

/// Threads that have been started and can be waited for.
package final class RunningThreads<Value: Sendable>: Sendable {
    fileprivate let results: Mutex<[Int: Result<Value, any Error>]> = Mutex([:])
    private let done = DispatchSemaphore(value: 0)
    private let count: Int

    fileprivate init(count: Int) {
        self.count = count
    }

    fileprivate func finish(_ index: Int, _ result: Result<Value, any Error>) {
        results.withLock { $0[index] = result }
        done.signal()
    }

    /// Waits for all threads; their results in order. To be called once.
    package func wait() -> [Result<Value, any Error>] {
        for _ in 0..<count { done.wait() }
        return results.withLock { results in (0..<count).compactMap { results[$0] } }
    }
}

/// Starts `body` on `count` threads and returns at once.
package func start<Value: Sendable>(
    _ count: Int, _ body: @escaping @Sendable (_ index: Int) throws -> Value
) -> RunningThreads<Value> {
    let running = RunningThreads<Value>(count: count)
    for index in 0..<count {
        let thread = Thread { running.finish(index, Result { try body(index) }) }
        thread.stackSize = 1 << 20
        thread.start()
    }
    return running
}
