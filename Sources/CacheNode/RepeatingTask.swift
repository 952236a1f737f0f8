// A thread of its own for a small job at a fixed pace, or a faster one while the job asks for it.

import NIOCore
import NIOPosix

/// Runs a job again and again on its own thread, never twice at once.
final class RepeatingTask: Sendable {
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    /// The job runs `interval` after its last run has ended, or `soon` after it when it returned true.
    init(every interval: TimeAmount, soon: TimeAmount, _ job: @escaping @Sendable () -> Bool) {
        Self.schedule(after: interval, on: group.next(), interval, soon, job)
    }

    private static func schedule(
        after delay: TimeAmount, on loop: any EventLoop, _ interval: TimeAmount, _ soon: TimeAmount,
        _ job: @escaping @Sendable () -> Bool
    ) {
        loop.scheduleTask(in: delay) {
            schedule(after: job() ? soon : interval, on: loop, interval, soon, job)
        }
    }

    /// Ends it; a run under way is finished. The thread goes with the process.
    func cancel() {
        group.shutdownGracefully { _ in }
    }
}
