// Hosts, host:port pairs and lists of them.

extension SettingType where Value == Host {
    /// An IP address or a host name.
    static let host = SettingType(
        shape: .text(form: "IPv4 address, IPv6 address or host name"),
        parse: { raw throws(ValueProblem) in try Host(parsing: try raw.single()) },
        text: { $0.description }, json: { .text($0.description) })
}

extension SettingType where Value == Endpoint {
    /// One `host:port`.
    static let endpoint = SettingType(
        shape: .text(form: "host:port"),
        parse: { raw throws(ValueProblem) in try Endpoint(parsing: try raw.single()) },
        text: { $0.description }, json: { .text($0.description) })
}

extension SettingType where Value == [Endpoint] {
    /// A comma-separated list of `host:port`, over as many lines as it needs.
    static let endpoints = SettingType(
        shape: .list(of: "host:port"),
        parse: { raw throws(ValueProblem) in
            try raw.list { source throws(ValueProblem) in try Endpoint(parsing: source) }
        },
        text: { Self.joined($0) }, json: { .list($0.map(\.description)) })

    /// The same for HTTP services; `http://` before a pair and `/` after it are accepted and dropped.
    static let httpEndpoints = SettingType(
        shape: .list(of: "host:port or http://host:port"),
        parse: { raw throws(ValueProblem) in
            try raw.list { source throws(ValueProblem) in
                let lowered = source.lowercased()
                guard !lowered.hasPrefix("https://") else {
                    throw ValueProblem("\(quoted(source)): https is not supported here")
                }
                guard lowered.hasPrefix("http://") else { return try Endpoint(parsing: source) }
                let pair = lowered.dropFirst("http://".count)
                return try Endpoint(parsing: pair.hasSuffix("/") ? pair.dropLast() : pair)
            }
        },
        text: { Self.joined($0) }, json: { .list($0.map(\.description)) })
}

extension SettingType where Value == [Host] {
    /// A comma-separated list of hosts without ports.
    static let hosts = SettingType(
        shape: .list(of: "host"),
        parse: { raw throws(ValueProblem) in
            try raw.list { source throws(ValueProblem) in try Host(parsing: source) }
        },
        text: { Self.joined($0) }, json: { .list($0.map(\.description)) })
}

extension Array where Element: CustomStringConvertible {
    /// The list on one line; nil for an empty one, which the INI file expresses by leaving the key out.
    fileprivate static func joined(_ list: Self) -> String? {
        list.isEmpty ? nil : list.map(\.description).joined(separator: ", ")
    }
}

extension SettingType {
    fileprivate static func joined<Element: CustomStringConvertible>(_ list: Value) -> String?
    where Value == [Element] {
        Value.joined(list)
    }
}

extension RawValue {
    /// Splits at commas and reads each element; an element that is listed twice or missing between two commas is
    /// refused. One comma at the very end is allowed, and a value without any text is the empty list.
    fileprivate func list<Element: Hashable>(
        _ read: (Substring) throws(ValueProblem) -> Element
    ) throws(ValueProblem) -> [Element] {
        var elements: [Element] = []
        var seen: Set<Element> = []
        for (number, part) in parts.enumerated() {
            let pieces = part.text.split(separator: ",", omittingEmptySubsequences: false)
            for (index, piece) in pieces.enumerated() {
                let source = piece.trimmed
                if source.isEmpty {
                    // The piece after a line's last comma, or a value with nothing in it.
                    if index == pieces.count - 1, index > 0 || parts.count == 1 { continue }
                    throw ValueProblem("nothing stands before a comma", part: number)
                }
                let element: Element
                do throws(ValueProblem) {
                    element = try read(source)
                } catch {
                    throw ValueProblem(error.reason + commentHint(source), part: number)
                }
                guard seen.insert(element).inserted else {
                    throw ValueProblem("\(quoted(source)) is listed twice", part: number)
                }
                elements.append(element)
            }
        }
        return elements
    }
}

extension Substring {
    /// Without spaces and tabs around it.
    var trimmed: Substring {
        var rest = self
        while let first = rest.first, first == " " || first == "\t" { rest.removeFirst() }
        while let last = rest.last, last == " " || last == "\t" { rest.removeLast() }
        return rest
    }
}

/// Explains a `#` or `;` that was taken as part of a value.
func commentHint(_ text: some StringProtocol) -> String {
    text.contains("#") || text.contains(";") ? " (a comment needs white space before its sign)" : ""
}
