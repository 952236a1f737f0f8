// HOST:PORT as people type it.

import ArgumentParser

/// Where a node listens.
struct NodeAddress: Equatable, ExpressibleByArgument {
    /// A name or an address; IPv6 without its brackets.
    let host: String
    let port: Int

    /// Where a node without a configuration listens.
    static let standard = NodeAddress(host: "127.0.0.1", port: 8001)

    init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Reads `host:port`, `[IPv6]:port`, or a host alone for the standard port; nil for anything else, such as an IPv6
    /// address without brackets, whose port nobody could tell.
    init?(argument: String) {
        let host: Substring
        let rest: Substring
        if argument.hasPrefix("[") {
            guard let closing = argument.firstIndex(of: "]") else { return nil }
            host = argument[..<closing].dropFirst()
            rest = argument[closing...].dropFirst()
            guard host.contains(":") else { return nil }
        } else {
            host = argument.prefix { $0 != ":" }
            rest = argument[host.endIndex...]
        }
        guard !host.isEmpty, host.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { return nil }
        if rest.isEmpty {
            self.init(host: String(host), port: Self.standard.port)
        } else {
            let digits = rest.dropFirst()
            guard rest.hasPrefix(":"), digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
                let port = UInt16(digits), port > 0
            else { return nil }
            self.init(host: String(host), port: Int(port))
        }
    }

    var defaultValueDescription: String {
        self.host.contains(":") ? "[\(self.host)]:\(self.port)" : "\(self.host):\(self.port)"
    }
}
