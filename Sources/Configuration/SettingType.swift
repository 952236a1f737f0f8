// How the text of a setting becomes a value and back: one `SettingType` a kind of value.
//
// A value reaches a type as `RawValue`: its lines without comments and outer white space, so that a fault in a list
// over several lines can be told with the right line.

/// The text of one setting as given, line by line.
package struct RawValue: Equatable, Sendable {
    package struct Part: Equatable, Sendable {
        package var text: String
        /// Counted from 1; 0 when it does not come from a file.
        package var line: Int
    }

    package var parts: [Part]
    /// Whether it stood in double quotes: such a text is taken as it is, also when it is empty.
    package var isQuoted = false

    package init(parts: [Part], isQuoted: Bool = false) {
        self.parts = parts
        self.isQuoted = isQuoted
    }

    /// The one line of a value that is not a list; refuses an empty value and control characters.
    func single() throws(ValueProblem) -> String {
        guard parts.count == 1, let text = parts.first?.text else {
            throw ValueProblem("only a list goes on over several lines", part: 1)
        }
        guard !text.isEmpty else { throw ValueProblem("the value is empty; leave the line out for the default") }
        guard !text.unicodeScalars.contains(where: isControl) else {
            throw ValueProblem("the value contains a control character")
        }
        return text
    }
}

/// A value without its Swift type, for JSON renderings of a configuration.
package enum SettingValue: Equatable, Sendable {
    /// Not set, and there is no default.
    case unset
    case boolean(Bool)
    /// A count, bytes or milliseconds.
    case integer(Int)
    case text(String)
    case list([String])
}

/// What JSON Schema and the documentation say of a type.
package enum SettingShape: Equatable, Sendable {
    case boolean
    case integer(ClosedRange<Int>)
    case bytes(ClosedRange<Int>)
    case milliseconds(ClosedRange<Int>)
    case choice([String])
    /// `form` says what the text is: a path, host, host:port...
    case text(form: String)
    case list(of: String)
}

/// Parses, renders and describes the values of one kind.
package struct SettingType<Value: Equatable & Sendable>: Sendable {
    let shape: SettingShape
    var isOptional = false
    let parse: @Sendable (RawValue) throws(ValueProblem) -> Value
    /// As the INI file writes it (before quoting); nil when there is no value.
    let text: @Sendable (Value) -> String?
    let json: @Sendable (Value) -> SettingValue
}

extension SettingType {
    /// The same type for a setting that may be absent.
    static func optional<Wrapped>(_ type: SettingType<Wrapped>) -> SettingType where Value == Wrapped? {
        SettingType(
            shape: type.shape, isOptional: true,
            parse: { raw throws(ValueProblem) in try type.parse(raw) },
            text: { $0.flatMap(type.text) },
            json: { $0.map(type.json) ?? .unset })
    }

    /// One of the words of an enumeration; upper and lower case are the same.
    static func choice() -> SettingType
    where Value: RawRepresentable & CaseIterable, Value.RawValue == String {
        let words = Value.allCases.map(\.rawValue)
        return SettingType(
            shape: .choice(words),
            parse: { raw throws(ValueProblem) in
                let text = try raw.single()
                if let value = Value(rawValue: text.lowercased()) { return value }
                throw ValueProblem(
                    "\(quoted(text)) is not one of \(words.joined(separator: ", "))" + didYouMean(text, words))
            },
            text: { $0.rawValue },
            json: { .text($0.rawValue) })
    }
}

extension SettingType where Value == Bool {
    /// True/False, yes/no, on/off or 1/0; upper and lower case are the same.
    static let boolean = SettingType(
        shape: .boolean,
        parse: { raw throws(ValueProblem) in
            let text = try raw.single()
            switch text.lowercased() {
            case "true", "yes", "on", "1": return true
            case "false", "no", "off", "0": return false
            default: throw ValueProblem("\(quoted(text)) is neither True nor False")
            }
        },
        text: { $0 ? "True" : "False" },
        json: { .boolean($0) })
}

extension SettingType where Value == Int {
    /// A whole number.
    static func count(_ range: ClosedRange<Int>) -> SettingType {
        SettingType(
            shape: .integer(range),
            parse: { raw throws(ValueProblem) in try Decimal.value(of: try raw.single(), in: range, shown: { "\($0)" })
            },
            text: { "\($0)" }, json: { .integer($0) })
    }

    /// A whole number of milliseconds: the unit is in the key's name, never in the value.
    static func milliseconds(_ range: ClosedRange<Int>) -> SettingType {
        SettingType(
            shape: .milliseconds(range),
            parse: { raw throws(ValueProblem) in
                let text = try raw.single()
                guard let last = text.utf8.last, UInt8(ascii: "0")...UInt8(ascii: "9") ~= last else {
                    throw ValueProblem("\(quoted(text)) is not a whole number of milliseconds (no unit in the value)")
                }
                return try Decimal.value(of: text, in: range, shown: { "\($0)" })
            },
            text: { "\($0)" }, json: { .integer($0) })
    }

    /// A number of bytes: `4096`, `64 KiB`, `256MiB`, `1GiB`.
    static func size(_ range: ClosedRange<Int>) -> SettingType {
        SettingType(
            shape: .bytes(range),
            parse: { raw throws(ValueProblem) in try ByteSize.parse(try raw.single(), in: range) },
            text: { ByteSize.text($0) }, json: { .integer($0) })
    }
}

extension SettingType where Value == String {
    /// Any text up to 255 bytes without control characters.
    static let name = SettingType(
        shape: .text(form: "1 to 255 bytes without control characters"),
        parse: { raw throws(ValueProblem) in
            let text = try raw.single()
            guard text.utf8.count <= 255 else {
                throw ValueProblem("the value has \(text.utf8.count) bytes, at most 255 are allowed")
            }
            return text
        },
        text: { $0 }, json: { .text($0) })

    /// A path of a file or directory.
    static let path = SettingType(
        shape: .text(form: "path"),
        parse: { raw throws(ValueProblem) in
            let text = try raw.single()
            guard text.utf8.count <= 4095 else {
                throw ValueProblem("the path has \(text.utf8.count) bytes, at most 4095 are allowed")
            }
            return text
        },
        text: { $0 }, json: { .text($0) })

    /// A prefix of keys in etcd.
    static let keyPrefix = SettingType(
        shape: .text(form: "starts and ends with /"),
        parse: { raw throws(ValueProblem) in
            let text = try name.parse(raw)
            guard text.hasPrefix("/"), text.hasSuffix("/") else {
                throw ValueProblem("\(quoted(text)) must start and end with /")
            }
            return text
        },
        text: { $0 }, json: { .text($0) })
}

extension SettingType where Value == LogDestination {
    /// `stdout`, `stderr` or a path, which contains a `/` so that a misspelt word does not become a file.
    static let logDestination = SettingType(
        shape: .text(form: "stdout, stderr or a path with a / in it"),
        parse: { raw throws(ValueProblem) in
            let text = try raw.single()
            switch text.lowercased() {
            case "stdout": return .standardOutput
            case "stderr": return .standardError
            default:
                guard text.contains("/") else {
                    throw ValueProblem(
                        "\(quoted(text)) is neither stdout, stderr nor a path "
                            + "(write ./\(printable(text)) for a file here)"
                            + didYouMean(text, ["stdout", "stderr"]))
                }
                return .file(path: try SettingType<String>.path.parse(raw))
            }
        },
        text: { Self.word($0) }, json: { .text(Self.word($0)) })

    private static func word(_ destination: LogDestination) -> String {
        switch destination {
        case .standardOutput: "stdout"
        case .standardError: "stderr"
        case .file(let path): path
        }
    }
}
