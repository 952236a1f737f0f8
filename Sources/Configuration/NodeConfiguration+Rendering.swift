// A configuration as text: the INI file `config show` prints, and plain values for JSON.

/// One setting with its value, for `node.config`. Settings hold names of secret files, never secrets, so all may be
/// shown.
package struct RenderedSetting: Equatable, Sendable {
    package let section: String
    package let key: String
    /// Sizes in bytes, durations in milliseconds.
    package let value: SettingValue
}

extension NodeConfiguration {
    /// Every setting in the order of the table; sections are not interleaved.
    package var renderedSettings: [RenderedSetting] {
        Settings.all.map { RenderedSetting(section: $0.section.rawValue, key: $0.key, value: $0.value(self)) }
    }
}

extension LoadedConfiguration {
    /// The effective settings as a file that loads to the same configuration, each with its origin as a comment. A
    /// setting without a value is a comment. Ends with a line feed.
    package var iniText: String {
        var text = ""
        for section in Section.allCases {
            text += text.isEmpty ? "[\(section.rawValue)]\n" : "\n[\(section.rawValue)]\n"
            for setting in Settings.all where setting.section == section {
                if let value = setting.text(configuration) {
                    text += "\(setting.key) = \(INIText.quotedIfNeeded(value))    # \(origin(of: setting))\n"
                } else {
                    text += "# \(setting.key) is not set\n"
                }
            }
        }
        return text
    }
}

/// Writing values so that `INIParser` reads them back.
enum INIText {
    static func quotedIfNeeded(_ value: String) -> String {
        let isPlain =
            !value.isEmpty && value[...].trimmed == value[...] && !value.hasPrefix("\"") && !value.hasSuffix(",")
            && !value.contains("#") && !value.contains(";")
        guard !isPlain else { return value }
        var text = "\""
        for scalar in value.unicodeScalars {
            if scalar == "\"" || scalar == "\\" { text += "\\" }
            text.unicodeScalars.append(scalar)
        }
        return text + "\""
    }
}
