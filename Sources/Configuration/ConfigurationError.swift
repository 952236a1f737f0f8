// What can be wrong with a configuration, and how it is told to the operator: one line a problem, all of them at once.

/// One problem: `node1.ini:4: [local] node_port: 80010 is out of range: 0 to 65535`.
package struct ConfigurationError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Where the operator finds it.
    package let origin: Origin
    /// nil where the place belongs to no section.
    package let section: String?
    /// nil where the place belongs to no key.
    package let key: String?
    package let reason: String

    /// `FILE:LINE: [section] key: reason`; one line whatever the input was.
    package var description: String {
        var setting = ""
        if let section { setting += "[\(printable(section))]" }
        if let key { setting += (setting.isEmpty ? "" : " ") + printable(key) }
        return "\(origin): " + (setting.isEmpty ? "" : "\(setting): ") + reason
    }
}

/// Every problem of one configuration: those of the file in the order of its lines, then the environment's, then
/// `--set`'s.
package struct ConfigurationErrors: Error, Hashable, Sendable, CustomStringConvertible {
    /// Never empty.
    package let problems: [ConfigurationError]

    /// One line a problem, without a final line feed.
    package var description: String { problems.map(\.description).joined(separator: "\n") }
}

/// Where a setting's value came from; a greater one wins over a smaller one.
package enum Origin: Hashable, Sendable, CustomStringConvertible {
    case builtIn
    case file(name: String, line: Int)
    case environment(variable: String)
    case override(setting: String)

    /// As shown to the operator: `default`, `node1.ini:4`, `SPYDERCACHE_LOCAL_NODE_PORT` or `--set local.node_port`.
    package var description: String {
        switch self {
        case .builtIn: "default"
        case .file(let name, let line): "\(printable(name)):\(line)"
        case .environment(let variable): printable(variable)
        case .override(let setting): "--set \(printable(setting))"
        }
    }

    /// Sort key: precedence first, then the line.
    var order: (Int, Int) {
        switch self {
        case .builtIn: (0, 0)
        case .file(_, let line): (1, line)
        case .environment: (2, 0)
        case .override: (3, 0)
        }
    }
}

/// Why a value is refused, before its place is known.
package struct ValueProblem: Error, Equatable, Sendable {
    package let reason: String
    /// Which of the value's lines is at fault, counted from 0.
    package let part: Int

    package init(_ reason: String, part: Int = 0) {
        self.reason = reason
        self.part = part
    }
}

/// `text` in double quotes for a message: cut after 64 characters, control characters as `?`.
func quoted(_ text: some StringProtocol) -> String {
    let cut = text.prefix(64)
    return "\"\(printable(String(cut)))\(cut.endIndex < text.endIndex ? "…" : "")\""
}

/// `text` fit for one line of output: control characters become `?`.
func printable(_ text: String) -> String {
    guard text.unicodeScalars.contains(where: isControl) else { return text }
    var result = ""
    for scalar in text.unicodeScalars { result.unicodeScalars.append(isControl(scalar) ? "?" : scalar) }
    return result
}

/// C0, DEL, C1 and the two Unicode line separators.
func isControl(_ scalar: Unicode.Scalar) -> Bool {
    scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value) || scalar.value == 0x2028 || scalar.value == 0x2029
}
