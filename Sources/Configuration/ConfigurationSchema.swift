// The settings as documents for others: a JSON Schema of the effective configuration and rows of a Markdown table.

/// Texts generated from the settings table.
package enum ConfigurationSchema {
    /// JSON Schema (2020-12) of a node's effective configuration as JSON: an object a section, sizes in bytes,
    /// durations in milliseconds, null for what is not set. Ends with a line feed.
    package static var json: String {
        var lines = [
            "{",
            "  \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",",
            "  \"title\": \"SpyderCache node configuration\",",
            "  \"description\": \"The effective settings of a node. Sizes are bytes, durations milliseconds.\",",
            "  \"type\": \"object\",",
            "  \"additionalProperties\": false,",
            "  \"properties\": {",
        ]
        for section in Section.allCases {
            let settings = Settings.all.filter { $0.section == section }
            lines.append("    \(literal(section.rawValue)): {")
            lines.append("      \"type\": \"object\",")
            lines.append("      \"additionalProperties\": false,")
            lines.append("      \"properties\": {")
            for (index, setting) in settings.enumerated() {
                let comma = index == settings.count - 1 ? "" : ","
                lines.append(
                    "        \(literal(setting.key)): { \(members(of: setting).joined(separator: ", ")) }\(comma)")
            }
            lines.append("      }")
            lines.append(section == Section.allCases.last ? "    }" : "    },")
        }
        lines += ["  }", "}"]
        return lines.joined(separator: "\n") + "\n"
    }

    /// `| key | type | default | summary |` for each setting of `section`, for the documentation.
    package static func markdownRows(of section: Section) -> [String] {
        Settings.all.filter { $0.section == section }.map { setting in
            let names = ([setting.key] + setting.aliases).map { "`\($0)`" }.joined(separator: ", ")
            let type = typeText(setting.shape).replacing("|", with: "\\|")
            let later = setting.stage == .later ? " Not yet in force." : ""
            return "| \(names) | \(type) | \(defaultText(of: setting)) | \(setting.summary)\(later) |"
        }
    }

    private static func members(of setting: Setting) -> [String] {
        var members: [String] = []
        let type: String
        switch setting.shape {
        case .boolean: type = "boolean"
        case .integer, .bytes, .milliseconds: type = "integer"
        case .choice, .text: type = "string"
        case .list: type = "array"
        }
        members.append(setting.isOptional ? "\"type\": [\(literal(type)), \"null\"]" : "\"type\": \(literal(type))")
        switch setting.shape {
        case .boolean, .text: break
        case .integer(let range), .bytes(let range), .milliseconds(let range):
            members.append("\"minimum\": \(range.lowerBound), \"maximum\": \(range.upperBound)")
        case .choice(let words): members.append("\"enum\": [\(words.map(literal).joined(separator: ", "))]")
        case .list: members.append("\"items\": { \"type\": \"string\" }")
        }
        if let value = defaultLiteral(of: setting) { members.append("\"default\": \(value)") }
        members.append("\"description\": \(literal(setting.summary))")
        return members
    }

    /// Settings whose default the machine or another setting decides; their summary says how.
    private static let derived: Set<String> = ["local.threads", "local.data_dir"]

    private static func defaultLiteral(of setting: Setting) -> String? {
        guard !derived.contains(setting.name) else { return nil }
        switch setting.value(NodeConfiguration()) {
        case .unset: return "null"
        case .boolean(let value): return value ? "true" : "false"
        case .integer(let value): return "\(value)"
        case .text(let value): return literal(value)
        case .list(let values): return "[\(values.map(literal).joined(separator: ", "))]"
        }
    }

    private static func defaultText(of setting: Setting) -> String {
        guard !derived.contains(setting.name), let text = setting.text(NodeConfiguration()) else { return "" }
        return "`\(text)`"
    }

    private static func typeText(_ shape: SettingShape) -> String {
        switch shape {
        case .boolean: "True or False"
        case .integer(let range): "\(range.lowerBound) to \(range.upperBound)"
        case .bytes(let range): "size, \(ByteSize.text(range.lowerBound)) to \(ByteSize.text(range.upperBound))"
        case .milliseconds(let range): "\(range.lowerBound) to \(range.upperBound) ms"
        case .choice(let words): words.joined(separator: ", ")
        case .text(let form): form
        case .list(let form): "list of \(form)"
        }
    }

    /// A JSON string; only texts of the table come here, which hold no control characters.
    private static func literal(_ text: String) -> String {
        "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
    }
}
