// Seeded HTTP requests for the parser's tests: valid ones put together from parts, then bytes changed at random.
// Not a fuzzer: no feedback, so a seed is all that is needed to see a failure again.

import TestSupport

struct HTTPRequestCorpus {
    private var random: SeededRandom

    init(seed: UInt64) {
        random = SeededRandom(seed: seed)
    }

    /// One to three requests one behind the other, about every second time with a few bytes changed.
    mutating func next() -> [UInt8] {
        var bytes: [UInt8] = []
        for _ in 0..<(chance(4) ? Int.random(in: 2...3, using: &random) : 1) { bytes += request() }
        if chance(2) {
            for _ in 0..<Int.random(in: 1...3, using: &random) { mutate(&bytes) }
        }
        return bytes
    }

    /// `bytes` in up to five pieces.
    mutating func pieces(of bytes: [UInt8]) -> [ArraySlice<UInt8>] {
        var cuts = (0..<Int.random(in: 0...4, using: &random)).map { _ in
            Int.random(in: 0...bytes.count, using: &random)
        }
        cuts = [0] + cuts.sorted() + [bytes.count]
        return zip(cuts, cuts.dropFirst()).map { bytes[$0..<$1] }
    }

    /// Any bytes, mostly those that mean something to a parser.
    mutating func noise() -> [UInt8] {
        var bytes: [UInt8] = []
        for _ in 0..<Int.random(in: 0...40, using: &random) {
            bytes += chance(2) ? Array(pick(Self.fragments).utf8) : [UInt8.random(in: 0...255, using: &random)]
        }
        return bytes
    }

    // MARK: Requests

    private static let fields = [
        "Connection: close", "Connection: keep-alive", "connection:  Keep-Alive ", "Connection: upgrade, close",
        "Connection: closed", "Connection: ,close", "Connection:", "Accept-Encoding: gzip, deflate", "Accept: */*",
        "Accept-Encoding: gzip;q=0", "Content-Type: application/json", "Content-Encoding: identity", "X:", "X-Y: \t z",
        "User-Agent: curl/8.5.0", "Expect: 100-continue", "Upgrade: h2c", "Keep-Alive: timeout=5", "TE: trailers",
        "Trailer: X", "Cookie: a=b; c=d", "X-Forwarded-For: 1.2.3.4", "Via: 1.1 \u{E9}", "Date: x",
    ]

    private static let fragments = [
        "\r\n", "\n", "\r", " ", "\t", ":", ",", ";", "\0", "\u{7F}", "\u{E9}", "0", "5", "a", "GET ",
        "POST / HTTP/1.1\r\n",
        "HTTP/1.0", "HTTP/1.1\r\n", "Host: a\r\n", "Content-Length: ", "Content-Length: 5\r\n", "chunked",
        "Transfer-Encoding: chunked\r\n", "Connection: ", "\r\n\r\n", "0\r\n\r\n", "5\r\nhello\r\n", "/rpc", "?", "-",
        "+", "x",
        "Accept-Encoding: gzip;q=", "=", "*", "http://", "q=0.",
    ]

    private mutating func request() -> [UInt8] {
        let target = pick([
            "/", "/rpc", "/rpc", "/rpc", "/healthz", "/readyz?x=1", "/metrics", "/openrpc.json", "/nothing",
            "http://h:1/rpc", "http://h", "http://h/?q=/rpc",
        ])
        let isOld = chance(6)
        var lines = [isOld && chance(2) ? "X-First: 1" : "Host: h"]
        for _ in 0..<Int.random(in: 0...4, using: &random) { lines.append(pick(Self.fields)) }
        var body = ""
        let content = String(
            decoding: (0..<Int.random(in: 0...40, using: &random)).map { _ in pick(Array("{}[]:,\r\n \"0az".utf8)) },
            as: UTF8.self)
        switch Int.random(in: 0..<4, using: &random) {
        case 0, 1:
            lines.append((chance(2) ? "Content-Length: " : "content-length:") + "\(content.utf8.count)")
            body = content
        case 2 where !isOld:
            lines.append(pick(["Transfer-Encoding: chunked", "transfer-encoding:Chunked "]))
            body = chunked(content)
        default:
            break
        }
        lines.shuffle(using: &random)
        let method = pick(["GET", "POST", "POST", "HEAD", "PUT", "DELETE", "OPTIONS"])
        let start = "\(chance(12) ? "\r\n" : "")\(method) \(target) HTTP/1.\(isOld ? 0 : 1)\r\n"
        return Array((start + lines.joined(separator: "\r\n") + "\r\n\r\n" + body).utf8)
    }

    private mutating func chunked(_ content: String) -> String {
        var rest = Array(content.utf8)[...]
        var text = ""
        while !rest.isEmpty {
            let part = rest.prefix(Int.random(in: 1...20, using: &random))
            rest = rest.dropFirst(part.count)
            let size = String(part.count, radix: 16, uppercase: chance(2))
            text += (chance(6) ? "00" : "") + size + (chance(8) ? pick([";a", ";a=b", ";a=\"b\""]) : "") + "\r\n"
            text += String(decoding: part, as: UTF8.self) + "\r\n"
        }
        return text + "0\r\n" + (chance(8) ? "X-Sum: 1\r\n" : "") + "\r\n"
    }

    // MARK: Changes

    private mutating func mutate(_ bytes: inout [UInt8]) {
        let at = Int.random(in: 0..<max(bytes.count, 1), using: &random)
        let fragment = Array(pick(Self.fragments).utf8)
        guard at < bytes.count else { return bytes += fragment }
        switch Int.random(in: 0..<7, using: &random) {
        case 0: bytes[at] = UInt8.random(in: 0...255, using: &random)
        case 1: bytes[at] ^= 1 << UInt8.random(in: 0...7, using: &random)
        case 2: bytes.remove(at: at)
        case 3: bytes.insert(contentsOf: fragment, at: at)
        case 4: bytes.replaceSubrange(at..<min(at + fragment.count, bytes.count), with: fragment)
        case 5: bytes.insert(contentsOf: bytes[at..<min(at + 30, bytes.count)], at: at)
        default: bytes.removeSubrange(at..<min(at + Int.random(in: 1...30, using: &random), bytes.count))
        }
    }

    private mutating func chance(_ count: Int) -> Bool { Int.random(in: 0..<count, using: &random) == 0 }

    private mutating func pick<Element>(_ elements: [Element]) -> Element {
        elements[Int.random(in: 0..<elements.count, using: &random)]
    }
}
