// From a file's bytes, the environment and `--set` to one checked configuration. Pure: the caller reads the file.

/// A configuration with the place each of its values came from.
package struct LoadedConfiguration: Equatable, Sendable {
    package var configuration: NodeConfiguration
    /// By `section.key`; a setting that is not listed has its default.
    package var origins: [String: Origin]
    /// Settings that were given another value than the default but have no effect in this version.
    package var notYetInForce: [IneffectiveSetting]

    /// Where the value of `setting` came from.
    package func origin(of setting: Setting) -> Origin { origins[setting.name] ?? .builtIn }
}

/// A setting that was given although the program does not act on it yet.
package struct IneffectiveSetting: Hashable, Sendable, CustomStringConvertible {
    /// `section.key`.
    package let name: String
    package let origin: Origin

    /// One line for the operator.
    package var description: String { "\(origin): \(name) is not yet in force and has no effect" }
}

extension NodeConfiguration {
    /// Puts together `--set` over environment over file over defaults and checks the whole.
    ///
    /// Every given value is checked, also one that a stronger source replaces. Environment variables count when they
    /// are named `SPYDERCACHE_SECTION_KEY` with a section that exists; all others, `SPYDERCACHE_HOME` for one, belong
    /// to somebody else.
    /// - Parameters:
    ///   - fileName: the name used in messages.
    ///   - fileBytes: nil when there is no file.
    ///   - environment: all variables; `STATE_DIRECTORY` gives the default of `data_dir`.
    ///   - overrides: `section.key=value` each; the last one for a key wins.
    ///   - cores: the default of `threads`.
    /// - Throws: every problem found.
    package static func load(
        fileName: String? = nil, fileBytes: [UInt8]? = nil, environment: [(String, String)] = [],
        overrides: [String] = [], cores: Int = 1
    ) throws(ConfigurationErrors) -> LoadedConfiguration {
        var loader = ConfigurationLoader(cores: cores)
        if let fileBytes { loader.readFile(named: fileName ?? "configuration", bytes: fileBytes) }
        loader.readEnvironment(environment)
        loader.readOverrides(overrides)
        loader.deriveDefaults(stateDirectory: environment.last { $0.0 == "STATE_DIRECTORY" }?.1)
        loader.checkTogether()
        return try loader.finish()
    }

    /// The defaults on a machine with `cores` cores: what a node without file, environment and `--set` runs with.
    package static func defaults(cores: Int) -> NodeConfiguration {
        var configuration = NodeConfiguration()
        configuration.local.threads = min(max(cores, 1), 1024)
        return configuration
    }
}

/// Gathers values and problems source by source, the weakest first.
struct ConfigurationLoader {
    var configuration: NodeConfiguration
    private let defaults: NodeConfiguration
    private(set) var origins: [String: Origin] = [:]
    private var problems: [ConfigurationError] = []
    /// Settings with a refused value: what depends on them is not checked.
    private var refused: Set<String> = []

    init(cores: Int) {
        defaults = .defaults(cores: cores)
        configuration = defaults
    }

    mutating func readFile(named name: String, bytes: [UInt8]) {
        let document = INIParser.parse(bytes)
        for fault in document.faults {
            report(.file(name: name, line: fault.line), fault.section, fault.key, fault.reason)
        }
        var sectionLines: [String: Int] = [:]
        for header in document.headers {
            let origin = Origin.file(name: name, line: header.line)
            if let first = sectionLines[header.name] {
                report(origin, header.name, nil, "the section already starts in line \(first)")
            } else {
                sectionLines[header.name] = header.line
                if Section(rawValue: header.name) == nil {
                    let names = Section.allCases.map(\.rawValue)
                    report(origin, header.name, nil, "unknown section" + didYouMean(header.name, names))
                }
            }
        }
        var firstLines: [String: (key: String, line: Int)] = [:]
        for entry in document.entries {
            let origin = Origin.file(name: name, line: entry.line)
            guard let sectionName = entry.section else {
                report(origin, nil, entry.key, "the key stands before the first [section]")
                continue
            }
            // The header has been reported; its keys cannot be judged.
            guard let section = Section(rawValue: sectionName) else { continue }
            guard let setting = Settings.named(entry.key, in: section) else {
                report(origin, sectionName, entry.key, Self.unknownKey(entry.key, in: section))
                continue
            }
            if let first = firstLines[setting.name] {
                let other = first.key == entry.key ? "already set" : "means the same as \(first.key), which is set"
                report(origin, sectionName, entry.key, "\(other) in line \(first.line)")
                continue
            }
            firstLines[setting.name] = (entry.key, entry.line)
            store(entry.value, in: setting, origin: origin, spelling: entry.key)
        }
    }

    mutating func readEnvironment(_ environment: [(String, String)]) {
        let prefix = "SPYDERCACHE_"
        for (variable, value) in environment where variable.hasPrefix(prefix) {
            let name = variable.dropFirst(prefix.count)
            guard let divider = name.firstIndex(of: "_") else { continue }
            let sectionName = name[..<divider]
            guard let section = Section.allCases.first(where: { $0.rawValue.uppercased() == sectionName }) else {
                continue
            }
            let key = name[name.index(after: divider)...].lowercased()
            let origin = Origin.environment(variable: variable)
            guard let setting = Settings.named(key, in: section) else {
                report(origin, section.rawValue, key, Self.unknownKey(key, in: section))
                continue
            }
            store(
                RawValue(parts: [.init(text: String(value[...].trimmed), line: 0)]), in: setting, origin: origin,
                spelling: key)
        }
    }

    mutating func readOverrides(_ overrides: [String]) {
        for override in overrides {
            guard let equals = override.firstIndex(of: "="),
                let dot = override[..<equals].firstIndex(of: ".")
            else {
                report(.override(setting: override), nil, nil, "expected section.key=value")
                continue
            }
            let sectionName = String(override[..<dot].trimmed)
            let key = String(override[override.index(after: dot)..<equals].trimmed)
            let origin = Origin.override(setting: "\(sectionName).\(key)")
            guard let section = Section(rawValue: sectionName) else {
                let names = Section.allCases.map(\.rawValue)
                report(origin, sectionName, nil, "unknown section" + didYouMean(sectionName, names))
                continue
            }
            guard let setting = Settings.named(key, in: section) else {
                report(origin, sectionName, key, Self.unknownKey(key, in: section))
                continue
            }
            let text = String(override[override.index(after: equals)...].trimmed)
            store(RawValue(parts: [.init(text: text, line: 0)]), in: setting, origin: origin, spelling: key)
        }
    }

    /// Reports that `setting`, or if that one is at its default `other`, does not fit; silent when either was refused.
    mutating func reportMisfit(_ setting: String, with other: String, _ reason: String) {
        guard !refused.contains(setting), !refused.contains(other) else { return }
        let subject = origins[setting] == nil ? other : setting
        let names = subject.split(separator: ".").map(String.init)
        report(origins[subject] ?? .builtIn, names.first, names.last, reason)
    }

    func finish() throws(ConfigurationErrors) -> LoadedConfiguration {
        guard problems.isEmpty else {
            // By place; equal places keep the order in which they were found (sort is stable).
            throw ConfigurationErrors(problems: problems.sorted { $0.origin.order < $1.origin.order })
        }
        let ineffective = Settings.all.compactMap { setting -> IneffectiveSetting? in
            guard setting.stage == .later, let origin = origins[setting.name],
                setting.value(configuration) != setting.value(defaults)
            else { return nil }
            return IneffectiveSetting(name: setting.name, origin: origin)
        }
        return LoadedConfiguration(configuration: configuration, origins: origins, notYetInForce: ineffective)
    }

    private mutating func store(_ raw: RawValue, in setting: Setting, origin: Origin, spelling: String) {
        do throws(ValueProblem) {
            try setting.store(raw, &configuration)
            origins[setting.name] = origin
        } catch {
            refused.insert(setting.name)
            var place = origin
            if case .file(let name, _) = origin, raw.parts.indices.contains(error.part) {
                place = .file(name: name, line: raw.parts[error.part].line)
            }
            report(place, setting.section.rawValue, spelling, error.reason)
        }
    }

    private mutating func report(_ origin: Origin, _ section: String?, _ key: String?, _ reason: String) {
        problems.append(ConfigurationError(origin: origin, section: section, key: key, reason: reason))
    }

    private static func unknownKey(_ key: String, in section: Section) -> String {
        if let other = Settings.all.first(where: { $0.key == key || $0.aliases.contains(key) }) {
            return "unknown key; it belongs to [\(other.section.rawValue)]"
        }
        let names = Settings.all.filter { $0.section == section }.flatMap { [$0.key] + $0.aliases }
        return "unknown key" + didYouMean(key, names)
    }
}
