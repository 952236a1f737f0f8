// Which keys a cluster has in etcd. Below `<prefix><cluster>/`:
//
//     members/<id>    a node's claim on its id, under its lease: {"id","address","incarnation","mirrors","floor"}
//     view            the agreed view: {"base","origin","proposer","members":[{"id","address","incarnation",
//                     "mirrors"}],"serving":["id"],"mirrors":[{"id","origin"}]}
//     settled/<id>    the number of the epoch whose view the node's keys agree with, under its lease
//     departed/<id>   {"incarnation","cause":"left"|"removed"}: that run went on purpose; lasts until the id comes back
//
// Cluster and ids are percent-encoded, so that a slash in one cannot reach into another's keys. Numbers are strings of
// digits, as everywhere in etcd's JSON.

import Membership

/// A key below the cluster's prefix.
enum StoreKey: Equatable, Sendable {
    case claim(MemberID)
    case view
    case settled(MemberID)
    case departed(MemberID)
}

/// The keys of one cluster.
struct KeyLayout: Sendable {
    /// What all keys of the cluster begin with; ends in a slash.
    let root: String

    init(prefix: String, cluster: String) {
        root = prefix + Self.encoded(cluster) + "/"
    }

    /// The key in the store.
    func key(_ key: StoreKey) -> String {
        switch key {
        case .claim(let id): root + "members/" + Self.encoded(id.text)
        case .view: root + "view"
        case .settled(let id): root + "settled/" + Self.encoded(id.text)
        case .departed(let id): root + "departed/" + Self.encoded(id.text)
        }
    }

    /// What a key of the store means, nil for a stranger's.
    func meaning(of key: String) -> StoreKey? {
        guard key.hasPrefix(root) else { return nil }
        let parts = key.dropFirst(root.count).split(separator: "/", omittingEmptySubsequences: false)
        if parts == ["view"] { return .view }
        guard parts.count == 2, let text = Self.decoded(parts[1]), !text.isEmpty else { return nil }
        return switch parts[0] {
        case "members": .claim(MemberID(text))
        case "settled": .settled(MemberID(text))
        case "departed": .departed(MemberID(text))
        default: nil
        }
    }

    /// Percent-encodes everything but the unreserved characters of RFC 3986, section 2.3.
    static func encoded(_ text: String) -> String {
        var encoded = ""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                encoded.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                encoded += digits.utf8.count == 1 ? "%0" + digits : "%" + digits
            }
        }
        return encoded
    }

    /// The text that `encoded` made, nil for any other.
    static func decoded(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) else {
                return nil
            }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        guard let decoded = String(validating: bytes, as: UTF8.self), encoded(decoded) == text else { return nil }
        return decoded
    }
}
