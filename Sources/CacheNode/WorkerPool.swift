// Threads for requests that would hold up an event loop: large bodies, admin methods, the text of /metrics.
//
// Event loops without channels serve as threads with a queue; a DispatchQueue would bring libdispatch's workers and their
// setpriority(2) calls, which a hardened service must not make.

import NIOCore
import NIOPosix
import Synchronization

/// How long a job takes.
enum WorkerJob: Sendable {
    /// Milliseconds: calls to other nodes may be waited for on the same thread.
    case short
    /// As long as a journal is large; it has a thread of its own.
    case long
}

/// A few threads that run jobs with a ThreadState of their own.
///
/// The queue is bounded by what feeds it: a connection hands in one request at a time and reads no further until it is
/// answered.
final class WorkerPool: Sendable {
    private let group: MultiThreadedEventLoopGroup
    private let longGroup = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    // Each thread sees only its own state: the variable is safe to share although what it holds is not Sendable.
    nonisolated(unsafe) private let state = ThreadSpecificVariable<ThreadState>()
    private let node = Mutex<NodeCore?>(nil)

    init(threads: Int) {
        group = MultiThreadedEventLoopGroup(numberOfThreads: threads)
    }

    /// Completes the circle: jobs need the node, the node needs the pool.
    func attach(_ node: NodeCore) {
        self.node.withLock { $0 = node }
    }

    /// Runs `job` on one of the threads; with nil when there is no memory for the thread's state.
    func run(_ kind: WorkerJob, _ job: @escaping @Sendable (ThreadState?) -> Void) {
        (kind == .short ? group : longGroup).next().execute {
            if let state = self.state.currentValue {
                state.readClock()
                return job(state)
            }
            guard let node = self.node.withLock({ $0 }) else { return job(nil) }
            do {
                let state = try ThreadState(node: node)
                self.state.currentValue = state
                state.readClock()
                job(state)
            } catch {
                // zlib could not get 300 KiB; the next job tries again.
                node.log.emit(.nodeFailed, ["reason": .string("worker thread: \(error)")])
                job(nil)
            }
        }
    }
}
