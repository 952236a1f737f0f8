// The INI dialect of the node, as bytes to entries with their lines. It knows no setting: what a value means is not its
// business.
//
//     file         lines end in LF or CR LF; UTF-8, a byte order mark at the start is skipped
//     white space  spaces and tabs; around names, `=` and values it does not count, so indentation means nothing
//     comment      from `#` or `;` to the end of the line, where the sign is the first one of the line or stands after
//                  white space: `a#b` is a value, `a #b` is the value `a`
//     section      `[name]`, once a file
//     key          `key = value`; the first `=` divides
//     quotes       a value that starts with `"` goes to the next `"`; in between, comment signs and outer white space
//                  belong to it, and `\"` and `\\` stand for `"` and `\`
//     continuation a value whose line ends in a comma (before its comment) goes on with the next line that is not
//                  empty, unless that line is itself a section or has a `=`: indented keys remain keys
//
// A faulty line is reported and skipped; the rest is still read, so that all faults are found at once.

/// What a file says, line by line, and what could not be read.
struct INIDocument: Equatable {
    struct Header: Equatable {
        var name: String
        var line: Int
    }

    struct Entry: Equatable {
        /// nil: before the first section.
        var section: String?
        var key: String
        var line: Int
        var value: RawValue
    }

    struct Fault: Equatable {
        var line: Int
        var section: String?
        var key: String?
        var reason: String
    }

    var headers: [Header] = []
    var entries: [Entry] = []
    var faults: [Fault] = []
}

/// Reads one file. Total: any bytes give a document. O(bytes).
struct INIParser {
    private enum Place {
        case beforeAnySection
        case section(String)
        /// After a header that could not be read: the fault is told once, its keys are passed over.
        case unreadableSection
    }

    private var document = INIDocument()
    private var place = Place.beforeAnySection
    /// Whether the last entry's value ended in a comma.
    private var goesOn = false
    private var line = 0

    static func parse(_ bytes: [UInt8]) -> INIDocument {
        var parser = INIParser()
        var rest = bytes[...]
        if rest.starts(with: [0xEF, 0xBB, 0xBF]) { rest = rest.dropFirst(3) }
        for part in rest.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            parser.line += 1
            parser.read(part.last == UInt8(ascii: "\r") ? part.dropLast() : part)
        }
        return parser.document
    }

    private mutating func read(_ bytes: ArraySlice<UInt8>) {
        // Also inside comments: a file in another encoding should not pass until a value happens to need it.
        guard let whole = String(validating: bytes, as: UTF8.self) else {
            return fault("the line is not valid UTF-8")
        }
        let content = Self.withoutComment(whole).trimmed
        guard !content.isEmpty else { return }
        if let scalar = content.unicodeScalars.first(where: { isControl($0) && $0 != "\t" }) {
            return fault("control character U+\(Self.hexadecimal(scalar.value))")
        }
        if goesOn, !Self.isHeader(content), !content.utf8.contains(UInt8(ascii: "=")) {
            document.entries[document.entries.count - 1].value.parts.append(.init(text: String(content), line: line))
            goesOn = content.hasSuffix(",")
        } else if content.hasPrefix("[") {
            goesOn = false
            readHeader(content)
        } else {
            goesOn = false
            readEntry(content, whole: whole)
        }
    }

    private mutating func readHeader(_ content: Substring) {
        place = .unreadableSection
        guard let end = content.firstIndex(of: "]") else { return fault("a section's name ends with ]") }
        guard content.index(after: end) == content.endIndex else {
            return fault("text after ] (a comment needs # or ; in front)")
        }
        let name = String(content[..<end].dropFirst().trimmed)
        guard !name.isEmpty else { return fault("the section has no name") }
        place = .section(name)
        document.headers.append(.init(name: name, line: line))
    }

    private mutating func readEntry(_ content: Substring, whole: String) {
        guard let divider = content.firstIndex(of: "=") else {
            return fault("expected key = value, found \(quoted(content))")
        }
        let key = String(content[..<divider].trimmed)
        guard !key.isEmpty else { return fault("no key before =") }
        var value = RawValue(parts: [.init(text: String(content[content.index(after: divider)...].trimmed), line: line)]
        )
        if value.parts[0].text.hasPrefix("\"") {
            // Comment signs count inside quotes, so this starts again from the whole line. `content` is a slice of
            // `whole`.
            switch Self.unquoted(whole[content.index(after: divider)...].trimmed) {
            case .success(let text): value = RawValue(parts: [.init(text: text, line: line)], isQuoted: true)
            case .failure(let problem): return fault(problem.reason, key: key)
            }
        }
        let section: String?
        switch place {
        case .beforeAnySection: section = nil
        case .section(let name): section = name
        case .unreadableSection: return
        }
        document.entries.append(.init(section: section, key: key, line: line, value: value))
        goesOn = !value.isQuoted && value.parts[0].text.hasSuffix(",")
    }

    private mutating func fault(_ reason: String, key: String? = nil) {
        var section: String?
        if case .section(let name) = place { section = name }
        document.faults.append(.init(line: line, section: section, key: key, reason: reason))
    }

    private static func withoutComment(_ text: String) -> Substring {
        var previousIsSpace = true
        for index in text.utf8.indices {
            let byte = text.utf8[index]
            if previousIsSpace, byte == UInt8(ascii: "#") || byte == UInt8(ascii: ";") { return text[..<index] }
            previousIsSpace = byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t")
        }
        return text[...]
    }

    /// `[word]` with nothing after it; `[::1]:8001` in a list is none.
    private static func isHeader(_ content: Substring) -> Bool {
        content.hasPrefix("[") && content.hasSuffix("]")
            && content.dropFirst().dropLast().unicodeScalars.allSatisfy { $0 == "_" || $0.properties.isAlphabetic }
    }

    /// The text between the quotes at the start of `text`; after them only a comment may follow.
    private static func unquoted(_ text: Substring) -> Result<String, ValueProblem> {
        var result = ""
        var isEscaped = false
        var rest = text.dropFirst()
        while let character = rest.unicodeScalars.popFirst() {
            if isEscaped {
                guard character == "\"" || character == "\\" else {
                    return .failure(ValueProblem("only \\\" and \\\\ are escapes in a quoted value"))
                }
                result.unicodeScalars.append(character)
                isEscaped = false
            } else if character == "\\" {
                isEscaped = true
            } else if character == "\"" {
                guard withoutComment(String(rest)).trimmed.isEmpty else {
                    return .failure(ValueProblem("text after the closing quote"))
                }
                return .success(result)
            } else if isControl(character) {
                return .failure(ValueProblem("control character U+\(hexadecimal(character.value))"))
            } else {
                result.unicodeScalars.append(character)
            }
        }
        return .failure(ValueProblem("the quote is not closed"))
    }

    private static func hexadecimal(_ value: UInt32) -> String {
        let digits = String(value, radix: 16, uppercase: true)
        return String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    }
}
