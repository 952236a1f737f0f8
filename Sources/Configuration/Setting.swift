// One row of the settings table: a name, a type, a field of `NodeConfiguration`, a sentence.

/// The sections of the INI file.
package enum Section: String, CaseIterable, Sendable {
    case local, network, compression, journal, log, security, limits
}

/// A setting: how it is named, described, read, written and where it is kept.
package struct Setting: Sendable {
    /// Whether the program acts on the setting yet.
    package enum Stage: Sendable {
        case inForce
        /// Parsed and checked, but without effect in this version.
        case later
    }

    package let section: Section
    package let key: String
    /// Other spellings of the key.
    package let aliases: [String]
    package let stage: Stage
    /// One line for documentation and schema.
    package let summary: String
    package let shape: SettingShape
    /// Whether it may be absent without a default of its own.
    package let isOptional: Bool

    let store: @Sendable (RawValue, inout NodeConfiguration) throws(ValueProblem) -> Void
    /// As the INI file writes it, before quoting; nil when it is not set.
    let text: @Sendable (NodeConfiguration) -> String?
    package let value: @Sendable (NodeConfiguration) -> SettingValue

    /// `section.key`, as `--set` takes it.
    package var name: String { "\(section.rawValue).\(key)" }
    /// `SPYDERCACHE_SECTION_KEY`.
    package var environmentVariable: String { "SPYDERCACHE_\(section.rawValue.uppercased())_\(key.uppercased())" }

    init<Value>(
        _ section: Section, _ key: String, aliases: [String] = [],
        _ field: any WritableKeyPath<NodeConfiguration, Value> & Sendable, _ type: SettingType<Value>,
        _ summary: String, _ stage: Stage = .inForce
    ) {
        self.section = section
        self.key = key
        self.aliases = aliases
        self.stage = stage
        self.summary = summary
        shape = type.shape
        isOptional = type.isOptional
        store = { raw, configuration throws(ValueProblem) in configuration[keyPath: field] = try type.parse(raw) }
        text = { type.text($0[keyPath: field]) }
        value = { type.json($0[keyPath: field]) }
    }
}
