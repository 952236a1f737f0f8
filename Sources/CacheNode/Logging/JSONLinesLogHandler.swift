// swift-log's way into the log. Events of the node arrive with their typed fields; whatever a library says becomes the
// event `library.message`, with its text and metadata as fields.

import Logging

/// Writes swift-log messages as JSON lines.
package struct JSONLinesLogHandler: LogHandler {
    private let label: String
    private let system: LogSystem
    private var ownLevel: Logger.Level?

    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?

    init(label: String, system: LogSystem) {
        self.label = label
        self.system = system
    }

    /// The node's threshold, as it is now, until somebody sets a level for this logger alone.
    package var logLevel: Logger.Level {
        get { ownLevel ?? system.threshold.level.loggerLevel }
        set { ownLevel = newValue }
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: Logging.LogEvent) {
        if case .stringConvertible(let marker) = event.metadata?[NodeEvent.metadataKey], let own = marker as? NodeEvent
        {
            system.write(own, level: LogLevel(event.level), fields: typedFields(event.metadata ?? [:]))
        } else {
            system.write(.libraryMessage, level: LogLevel(event.level), fields: libraryFields(event))
        }
    }

    private func typedFields(_ metadata: Logger.Metadata) -> LogFields {
        var fields = LogFields(minimumCapacity: metadata.count)
        for (name, value) in metadata {
            guard case .stringConvertible(let convertible) = value, let value = convertible as? LogValue else {
                continue
            }
            fields[name] = value
        }
        return fields
    }

    private func libraryFields(_ event: Logging.LogEvent) -> LogFields {
        var all = metadata
        if let provided = metadataProvider?.get() { all.merge(provided) { _, new in new } }
        if let given = event.metadata { all.merge(given) { _, new in new } }
        var fields: LogFields = [
            "library": .string(label), "source": .string(event.source), "text": .string(event.message.description),
        ]
        if let error = event.error { fields["error"] = .string(String(describing: error)) }
        if !all.isEmpty { fields["metadata"] = .texts(all.mapValues { $0.description }) }
        return fields
    }
}
