// Hosts and host:port pairs, checked by form alone: nothing is resolved here.

/// A host as written in a setting: an IPv4 address, an IPv6 address or a DNS name.
package struct Host: Hashable, Sendable, CustomStringConvertible {
    package enum Form: Hashable, Sendable {
        case ipv4, ipv6, name
    }

    package let form: Form
    /// As sockets and resolvers take it: lower case, no brackets around IPv6.
    package let text: String

    /// 127.0.0.1.
    package static let loopback = Host(form: .ipv4, text: "127.0.0.1")

    /// As URLs and the INI file write it: brackets around IPv6.
    package var description: String { form == .ipv6 ? "[\(text)]" : text }

    private init(form: Form, text: String) {
        self.form = form
        self.text = text
    }

    /// Reads a host; IPv6 with or without brackets. Throws the reason when it is neither an address nor a name.
    package init(parsing source: some StringProtocol) throws(ValueProblem) {
        let lowered = source.lowercased()
        if lowered.hasPrefix("[") {
            guard lowered.hasSuffix("]"), AddressSyntax.isIPv6(lowered.dropFirst().dropLast()) else {
                throw ValueProblem("\(quoted(source)) is not an IPv6 address in brackets")
            }
            self.init(form: .ipv6, text: String(lowered.dropFirst().dropLast()))
        } else if lowered.contains(":") {
            guard AddressSyntax.isIPv6(lowered[...]) else {
                throw ValueProblem("\(quoted(source)) is not a host without port")
            }
            self.init(form: .ipv6, text: lowered)
        } else if AddressSyntax.looksLikeIPv4(lowered) {
            if let reason = AddressSyntax.ipv4Fault(lowered[...]) { throw ValueProblem("\(quoted(source)): \(reason)") }
            self.init(form: .ipv4, text: lowered)
        } else {
            guard AddressSyntax.isName(lowered) else {
                throw ValueProblem("\(quoted(source)) is neither an IP address nor a host name")
            }
            self.init(form: .name, text: lowered)
        }
    }
}

/// A host and a port: `127.0.0.1:8001`, `[::1]:8001` or `cache-1.example:8001`.
package struct Endpoint: Hashable, Sendable, CustomStringConvertible {
    package let host: Host
    /// 1 to 65535.
    package let port: Int

    /// A pair of parts known to be valid; `port` must be 1 to 65535.
    package init(host: Host, port: Int) {
        precondition((1...65535).contains(port), "A port is between 1 and 65535.")
        self.host = host
        self.port = port
    }

    package var description: String { "\(host):\(port)" }

    /// Reads `host:port`; IPv6 needs its brackets. Throws the reason when either part is missing or wrong.
    package init(parsing source: some StringProtocol) throws(ValueProblem) {
        let text = String(source)
        guard let colon = text.lastIndex(of: ":"), !text.hasSuffix("]") else {
            throw ValueProblem("\(quoted(text)) has no port: expected host:port")
        }
        let host = text[..<colon]
        guard !host.isEmpty else { throw ValueProblem("\(quoted(text)) has no host: expected host:port") }
        guard host.hasPrefix("[") || !host.contains(":") else {
            throw ValueProblem("\(quoted(text)): expected host:port, with brackets around an IPv6 address: [::1]:8001")
        }
        let digits = text[text.index(after: colon)...]
        guard let port = Decimal.parse(digits).value, (1...65535).contains(port) else {
            throw ValueProblem("\(quoted(text)): the port must be a number from 1 to 65535")
        }
        self.init(host: try Host(parsing: host), port: port)
    }
}

/// The written forms of addresses and names: RFC 4291 section 2.2, RFC 1123 section 2.1.
enum AddressSyntax {
    /// Four parts of digits, or a last label that is a number (no top-level domain is): meant as IPv4.
    static func looksLikeIPv4(_ text: String) -> Bool {
        guard let last = text.split(separator: ".", omittingEmptySubsequences: false).last else { return false }
        return !last.isEmpty && last.utf8.allSatisfy(isDigit)
    }

    /// Why `text` is no dotted quad; nil when it is one.
    static func ipv4Fault(_ text: Substring) -> String? {
        let octets = text.split(separator: ".", omittingEmptySubsequences: false)
        guard octets.count == 4 else { return "an IPv4 address has four numbers" }
        for octet in octets {
            guard !octet.isEmpty, octet.utf8.allSatisfy(isDigit) else { return "an IPv4 address has four numbers" }
            guard octet.utf8.count <= 3, let value = Decimal.parse(octet).value, value <= 255 else {
                return "a number of an IPv4 address is at most 255"
            }
            // 010 is 8 to some resolvers and 10 to others.
            guard octet.utf8.count == 1 || octet.utf8.first != UInt8(ascii: "0") else {
                return "a number of an IPv4 address has no leading zero"
            }
        }
        return nil
    }

    /// Whether `text` (lower case, no brackets) is an IPv6 address, also with a zone (`fe80::1%eth0`) or an IPv4 tail.
    static func isIPv6(_ text: Substring) -> Bool {
        var address = text
        if let percent = text.firstIndex(of: "%") {
            let zone = text[text.index(after: percent)...]
            guard !zone.isEmpty, zone.utf8.allSatisfy({ isLetterOrDigit($0) || $0 == UInt8(ascii: "-") }) else {
                return false
            }
            address = text[..<percent]
        }
        var groups = 0
        var gap = false
        // Cut at "::" first; each side is then a plain list of groups.
        if let double = address.firstDoubleColon {
            gap = true
            let head = address[..<double]
            let tail = address[address.index(double, offsetBy: 2)...]
            guard tail.firstDoubleColon == nil, !tail.hasPrefix(":") else { return false }
            guard let before = groupCount(head, mayEndInIPv4: false), let after = groupCount(tail, mayEndInIPv4: true)
            else { return false }
            groups = before + after
        } else {
            guard !address.isEmpty, let all = groupCount(address, mayEndInIPv4: true) else { return false }
            groups = all
        }
        return gap ? groups <= 7 : groups == 8
    }

    private static func groupCount(_ text: Substring, mayEndInIPv4: Bool) -> Int? {
        guard !text.isEmpty else { return 0 }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        var count = 0
        for (index, part) in parts.enumerated() {
            if mayEndInIPv4, index == parts.count - 1, part.contains(".") {
                guard ipv4Fault(part) == nil else { return nil }
                count += 2
            } else {
                guard (1...4).contains(part.utf8.count), part.utf8.allSatisfy(isHexDigit) else { return nil }
                count += 1
            }
        }
        return count
    }

    /// Labels of letters, digits, `-` and `_` (container networks use it), 63 bytes each, 253 in all.
    static func isName(_ text: String) -> Bool {
        guard (1...253).contains(text.utf8.count) else { return false }
        return text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
            (1...63).contains(label.utf8.count) && label.first != "-" && label.last != "-"
                && label.utf8.allSatisfy { isLetterOrDigit($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") }
        }
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    private static func isHexDigit(_ byte: UInt8) -> Bool {
        isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
    }

    private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
    }
}

extension Substring {
    /// Where the first `::` starts.
    fileprivate var firstDoubleColon: Index? {
        var previous: Index?
        for index in indices {
            if self[index] == ":", let previous, self[previous] == ":" { return previous }
            previous = index
        }
        return nil
    }
}
