// What the node's code calls to log: an event of the table and its fields.

import Logging

/// A cheap handle to the log; copy it freely.
package struct NodeLog: Sendable {
    private let logger: Logger
    private let threshold: LogThreshold

    /// `logger` gets each event as a message with its fields as metadata; any swift-log handler can take them.
    package init(logger: Logger, threshold: LogThreshold) {
        self.logger = logger
        self.threshold = threshold
    }

    /// A log that goes nowhere.
    package static let discarding = NodeLog(
        logger: Logger(label: "discarding", factory: { _ in SwiftLogNoOpLogHandler() }), threshold: LogThreshold(.error)
    )

    /// Whether `emit` of that event would write a line now; for fields that cost something to gather.
    package func isEnabled(_ event: NodeEvent) -> Bool {
        (event.definition.level ?? .info) >= threshold.level
    }

    /// Writes a line of `event`, unless its level is below the threshold; `fields` is evaluated only then.
    ///
    /// The fields must be those the table gives the event: asserted in debug builds; in release builds a field that is not
    /// in the table is left out.
    package func emit(_ event: NodeEvent, _ fields: @autoclosure () -> LogFields = [:]) {
        guard isEnabled(event) else { return }
        let fields = fields()
        let definition = event.definition
        assert(definition.fault(in: fields) == nil, "\(event.rawValue): \(definition.fault(in: fields) ?? "")")
        var metadata = Logger.Metadata(minimumCapacity: fields.count + 1)
        metadata[NodeEvent.metadataKey] = .stringConvertible(event)
        for (name, value) in fields { metadata[name] = .stringConvertible(value) }
        logger.log(
            level: (definition.level ?? .info).loggerLevel, "\(definition.message)", metadata: metadata,
            source: "CacheNode")
    }
}
