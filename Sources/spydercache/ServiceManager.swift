// What systemd is told: readiness, status, and a watchdog fed only while the node really answers.

import CacheNode
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// Keeps the service manager informed; does nothing where there is none.
struct ServiceManager {
    private let notifier: SystemdNotifier?
    private let log: NodeLog

    init(_ log: NodeLog) {
        self.log = log
        let variables = Dictionary(ProcessEnvironment.variables) { first, _ in first }
        notifier = SystemdNotifier(environment: variables)
    }

    /// Recovery may take longer than the manager's default: asks for more time as it goes on.
    func starting() {
        tell(.status("recovering the journal"))
        guard let notifier else { return }
        RepeatingThread.start(everyMilliseconds: 5000) {
            if !Watchdog.isServing { try? notifier.notify(.extendTimeout(milliseconds: 30_000)) }
        }
    }

    /// The node serves; starts the watchdog the first time.
    func ready(_ node: Node, address: String) {
        Watchdog.servingStarted()
        tell(.ready, .status("serving on \(address)"))
        guard let notifier, let interval = notifier.watchdogIntervalMilliseconds else { return }
        Watchdog.startOnce(node, notifier, intervalMilliseconds: interval, log)
    }

    func reloading() { tell(.reloading) }

    func stopping(drainMilliseconds: Int) {
        tell(.stopping, .status("draining"), .extendTimeout(milliseconds: Int64(drainMilliseconds) + 10_000))
    }

    private func tell(_ messages: SystemdNotifier.Message...) {
        guard let notifier else { return }
        for message in messages { try? notifier.notify(message) }
    }
}

/// Feeds the manager's watchdog for as long as every event loop answers.
enum Watchdog {
    private static let isStarted = Atomic<Bool>(false)
    private static let serving = Atomic<Bool>(false)

    /// Whether start-up is over.
    static var isServing: Bool { serving.load(ordering: .relaxed) }

    static func servingStarted() { serving.store(true, ordering: .relaxed) }

    static func startOnce(_ node: Node, _ notifier: SystemdNotifier, intervalMilliseconds: Int64, _ log: NodeLog) {
        guard !isStarted.exchange(true, ordering: .relaxed) else { return }
        RepeatingThread.start(everyMilliseconds: intervalMilliseconds) {
            if node.isAlive(limitMilliseconds: Int(intervalMilliseconds)) {
                try? notifier.notify(.watchdog)
            } else {
                log.emit(
                    .watchdogStalled, ["part": "event loops", "stalledMs": .int(Int(intervalMilliseconds))])
            }
        }
    }
}
