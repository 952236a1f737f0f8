// Every event the node can log, by name, and the shape of a definition. What each means and carries is told once, in
// NodeEvent+Table.swift; the schema in schemas/log.schema.json is generated from there.

/// An event: its dotted constant name is the `event` member of the line.
package enum NodeEvent: String, Sendable, CaseIterable {
    case nodeStarting = "node.starting"
    case nodeListening = "node.listening"
    case nodeReady = "node.ready"
    case nodeReconstructed = "node.reconstructed"
    case nodeDraining = "node.draining"
    case nodeStopped = "node.stopped"
    case nodeFailed = "node.failed"
    case configWarning = "config.warning"
    case configReloaded = "config.reloaded"
    case clusterView = "cluster.view"
    case clusterServing = "cluster.serving"
    case clusterExpelled = "cluster.expelled"
    case clusterLeft = "cluster.left"
    case memberAlive = "member.alive"
    case memberSuspect = "member.suspect"
    case memberDead = "member.dead"
    case memberLeft = "member.left"
    case memberRefused = "member.refused"
    case handoffFinished = "handoff.finished"
    case topologyUnreachable = "topology.unreachable"
    case topologyDropped = "topology.dropped"
    case topologyReached = "topology.reached"
    case journalRecovered = "journal.recovered"
    case journalDamaged = "journal.damaged"
    case journalAside = "journal.aside"
    case journalSegmentSealed = "journal.segment.sealed"
    case journalSegmentCompressed = "journal.segment.compressed"
    case journalCompacted = "journal.compacted"
    case journalFailed = "journal.failed"
    case journalReopenFailed = "journal.reopen.failed"
    case journalJobFailed = "journal.job.failed"
    case journalReopened = "journal.reopened"
    case requestAccess = "request.access"
    case requestSlow = "request.slow"
    case requestFailed = "request.failed"
    case connectionRefused = "connection.refused"
    case connectionTimeout = "connection.timeout"
    case memoryPressure = "memory.pressure"
    case watchdogStalled = "watchdog.stalled"
    case logDropped = "log.dropped"
    case logReopenFailed = "log.reopen.failed"
    case libraryMessage = "library.message"

    /// Under which name an event travels in swift-log metadata.
    static let metadataKey = "event"

    /// What the table says about the event. O(1).
    package var definition: LogEventDefinition {
        guard let definition = Self.table[self] else { preconditionFailure("the table is made from all cases") }
        return definition
    }

    private static let table = Dictionary(uniqueKeysWithValues: allCases.map { ($0, $0.makeDefinition()) })
}

extension NodeEvent: CustomStringConvertible {
    package var description: String { rawValue }
}

/// What the lines of one event look like.
package struct LogEventDefinition: Sendable {
    /// Nil: the line has the level of the message that is passed on.
    package let level: LogLevel?
    /// The constant `msg`.
    package let message: String
    /// When the event happens, for those who read the schema.
    package let documentation: String
    /// The event's own fields in the order in which lines hold them.
    package let fields: [LogField]

    init(_ level: LogLevel?, _ message: String, _ documentation: String, _ fields: [LogField] = []) {
        self.level = level
        self.message = message
        self.documentation = documentation
        self.fields = fields
    }

    /// Why `given` is not what this event carries; nil when it is.
    func fault(in given: LogFields) -> String? {
        for field in fields {
            guard let value = given[field.name] else {
                if field.isRequired { return "the field \(field.name) is missing" }
                continue
            }
            if !field.kind.admits(value) { return "the field \(field.name) cannot hold \(value)" }
        }
        let names = Set(fields.map(\.name))
        return given.keys.first { !names.contains($0) }.map { "the table has no field \($0)" }
    }
}

/// One field of an event.
package struct LogField: Sendable {
    /// What a field can hold.
    package enum Kind: Sendable, Equatable {
        case text
        case choice([String])
        case int
        case double
        case bool
        case texts

        func admits(_ value: LogValue) -> Bool {
            switch (self, value) {
            case (.text, .string), (.int, .int), (.double, .double), (.bool, .bool), (.texts, .texts): true
            case (.choice(let words), .string(let text)): words.contains(text)
            case (.text, _), (.int, _), (.double, _), (.bool, _), (.texts, _), (.choice, _): false
            }
        }
    }

    /// With its unit, as in `durationMs`.
    package let name: String
    package let kind: Kind
    package let documentation: String
    /// Every line of the event has it.
    package private(set) var isRequired = true

    static func text(_ name: String, _ documentation: String) -> LogField {
        LogField(name: name, kind: .text, documentation: documentation)
    }

    static func int(_ name: String, _ documentation: String) -> LogField {
        LogField(name: name, kind: .int, documentation: documentation)
    }

    static func double(_ name: String, _ documentation: String) -> LogField {
        LogField(name: name, kind: .double, documentation: documentation)
    }

    static func choice(_ name: String, _ words: [String], _ documentation: String) -> LogField {
        LogField(name: name, kind: .choice(words), documentation: documentation)
    }

    static func texts(_ name: String, _ documentation: String) -> LogField {
        LogField(name: name, kind: .texts, documentation: documentation)
    }

    /// The same field for events that do not always have it.
    var optional: LogField {
        var field = self
        field.isRequired = false
        return field
    }
}
