// A thread of its own for a small job at a fixed pace.

import NIOCore
import NIOPosix

/// Runs a job again and again on its own thread, never twice at once.
final class RepeatingTask: Sendable {
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    init(every interval: TimeAmount, _ job: @escaping @Sendable () -> Void) {
        group.next().scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in job() }
    }

    /// Ends it; a run under way is finished. The thread goes with the process.
    func cancel() {
        group.shutdownGracefully { _ in }
    }
}
