// Puts the log of a node together: threshold, clock, sink and the swift-log handlers in front of it.

import Logging

#if canImport(Glibc)
    import Glibc
#endif

/// The log of one node, for the life of the process.
package final class LogSystem: Sendable {
    /// Shared by all loggers; assign its `level` to change it while running.
    package let threshold: LogThreshold
    private let node: String
    private let clock: @Sendable () -> Int64
    private let sink: LogSink

    /// Opens `destination` and starts the writer thread. Throws when the file cannot be opened.
    ///
    /// At most `queueBytes` and `queueLines` wait to be written; what comes beyond is dropped and counted. `clock` gives
    /// milliseconds since 1970 in UTC.
    package init(
        node: String, destination: LogDestination, level: LogLevel, queueBytes: Int = 1 << 20, queueLines: Int = 8_192,
        clock: @escaping @Sendable () -> Int64 = LogSystem.wallMilliseconds
    ) throws(LogError) {
        threshold = LogThreshold(level)
        self.node = node
        self.clock = clock
        sink = try LogSink(destination, limits: .init(bytes: queueBytes, lines: queueLines)) { notice in
            switch notice {
            case .dropped(let lines):
                LogSystem.line(.logDropped, fields: ["droppedLines": .int(lines)], node: node, clock: clock)
            case .reopenFailed(let error):
                LogSystem.line(
                    .logReopenFailed,
                    fields: ["path": .string(error.path), "reason": .string(LogError.reason(error.code))],
                    node: node, clock: clock)
            }
        }
    }

    deinit { sink.stop() }

    /// What the node's own code logs to.
    package var log: NodeLog {
        NodeLog(logger: Logger(label: "spydercache", factory: { self.handler(label: $0) }), threshold: threshold)
    }

    /// A swift-log handler that writes to this log.
    package func handler(label: String) -> JSONLinesLogHandler { JSONLinesLogHandler(label: label, system: self) }

    /// Sends what libraries log by swift-log here too. Once a process, before the first library logs.
    package func captureLibraries() {
        LoggingSystem.bootstrap { self.handler(label: $0) }
    }

    /// Opens the log file anew, after a rotation; done by the writer thread, in order with the lines. A failure is
    /// reported as `log.reopen.failed` and the old file stays in use. Nothing happens for other destinations.
    package func reopen() { sink.reopen() }

    /// Waits until everything logged so far is written or known to be lost, at most that long. For the end of the process:
    /// a log that nobody reads must not hold it up.
    @discardableResult
    package func flush(deadlineMilliseconds: Int) -> LogFlushOutcome {
        sink.flush(deadlineMilliseconds: deadlineMilliseconds)
    }

    /// Lines dropped since the start because the queue was full or the destination failed.
    package var droppedLines: Int { sink.droppedInAll }

    /// Writes a line of `event`; `level` only matters for an event that has no level of its own.
    func write(_ event: NodeEvent, level: LogLevel, fields: LogFields) {
        sink.offer(Self.line(event, level: level, fields: fields, node: node, clock: clock))
    }

    private static func line(
        _ event: NodeEvent, level: LogLevel = .info, fields: LogFields, node: String, clock: () -> Int64
    ) -> [UInt8] {
        let definition = event.definition
        var line = LogLine(
            wallMilliseconds: clock(), level: definition.level ?? level, node: node, event: event)
        for field in definition.fields {
            if let value = fields[field.name] { line.append(field.name, value) }
        }
        return line.finished()
    }

    /// The system's wall clock.
    package static func wallMilliseconds() -> Int64 {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return Int64(now.tv_sec) * 1_000 + Int64(now.tv_nsec) / 1_000_000
    }
}
