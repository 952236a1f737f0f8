// The four levels a line can have, and the minimum that may change while the node runs.

import Logging
import Synchronization

/// How much a line matters: `debug` tells the flow, `info` the life of the node, `warning` that something is degraded,
/// `error` that data was lost or the node cannot go on.
package enum LogLevel: UInt8, Sendable, CaseIterable, Comparable {
    case debug, info, warning, error

    /// The name in the log and in the configuration.
    package var name: String {
        switch self {
        case .debug: "debug"
        case .info: "info"
        case .warning: "warning"
        case .error: "error"
        }
    }

    /// The level of that name, in lower case; nil for any other text.
    package init?(name: some StringProtocol) {
        guard let level = Self.allCases.first(where: { $0.name == name }) else { return nil }
        self = level
    }

    /// Where a library's level belongs in ours.
    init(_ level: Logger.Level) {
        switch level {
        case .trace, .debug: self = .debug
        case .info, .notice: self = .info
        case .warning: self = .warning
        case .error, .critical: self = .error
        }
    }

    /// The level to hand to swift-log.
    var loggerLevel: Logger.Level {
        switch self {
        case .debug: .debug
        case .info: .info
        case .warning: .warning
        case .error: .error
        }
    }

    package static func < (a: LogLevel, b: LogLevel) -> Bool { a.rawValue < b.rawValue }
}

/// The minimum level all loggers of a node share; a reload changes it under running requests.
package final class LogThreshold: Sendable {
    private let value: Atomic<UInt8>

    /// Lines below `level` are not made.
    package init(_ level: LogLevel) { value = Atomic(level.rawValue) }

    /// The least level that is written now. Relaxed: a line more or less around a change does not matter.
    package var level: LogLevel {
        get { LogLevel(rawValue: value.load(ordering: .relaxed)) ?? .info }
        set { value.store(newValue.rawValue, ordering: .relaxed) }
    }
}
