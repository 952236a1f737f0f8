// Judges replies: where one ends, and whether it is the answer to its request. A load test that counts bytes measures
// how fast a server says "error"; here every value must begin with the digits of the key that was asked for.

#if canImport(Glibc)
    import Glibc
#endif

/// What a complete reply says about its request's operations.
package struct ReplyVerdict: Equatable, Sendable {
    package var hits = 0
    package var misses = 0
    /// Operations that were refused or answered wrongly.
    package var failures = 0

    package init(hits: Int = 0, misses: Int = 0, failures: Int = 0) {
        self.hits = hits
        self.misses = misses
        self.failures = failures
    }
}

/// What the bytes received so far are.
package enum ReplyProgress: Equatable, Sendable {
    /// More is needed: at least `bytes` in all, as far as is known.
    case incomplete(bytes: Int)
    case complete(bytes: Int, ReplyVerdict)
    /// The stream cannot be read on.
    case malformed
}

/// A request that waits for its reply.
package struct ExpectedReply {
    package var isRead: Bool
    package var keys: UnsafeBufferPointer<Int>

    package init(isRead: Bool, keys: UnsafeBufferPointer<Int>) {
        self.isRead = isRead
        self.keys = keys
    }

    var allFailed: ReplyVerdict { ReplyVerdict(failures: self.keys.count) }
}

/// The reader of one protocol's replies.
package struct ReplyChecker: Sendable {
    private let `protocol`: LoadProtocol
    /// Bytes in front of the key's digits in a value.
    private let valueHead: [UInt8]
    private let valueBytes: Int

    package init(_ plan: LoadPlan) {
        let value = SampleValue(plan)
        self.protocol = plan.protocol
        self.valueHead = value.head
        self.valueBytes = value.count
    }

    /// Looks at the beginning of `bytes` for the reply to `expected`. O(length of the reply).
    package func check(_ bytes: ByteScanner, _ expected: ExpectedReply) -> ReplyProgress {
        switch self.protocol {
        case .jsonrpc, .httpGet, .webdis:
            switch HTTPReply.read(bytes) {
            case .incomplete(let needed): return .incomplete(bytes: needed)
            case .malformed: return .malformed
            case .complete(let length, let status, let body, let isGzip):
                guard status == 200 else { return .complete(bytes: length, expected.allFailed) }
                return .complete(bytes: length, self.judge(body, isGzip: isGzip, expected))
            }
        case .redis: return self.checkRedis(bytes, expected)
        case .memcached: return self.checkMemcached(bytes, expected)
        }
    }

    // MARK: HTTP bodies

    private func judge(_ body: ByteScanner, isGzip: Bool, _ expected: ExpectedReply) -> ReplyVerdict {
        if self.protocol == .httpGet { return ReplyVerdict(hits: expected.keys.count) }
        if isGzip { return self.judgeGzip(body, expected) }
        if self.protocol == .webdis { return self.judgeWebdis(body, expected) }
        return expected.isRead ? self.judgeReads(body, expected) : self.judgeWrites(body, expected)
    }

    /// JSON-RPC results in order: `"found":false`, or `"found":true` and `"value":` with the right value.
    private func judgeReads(_ body: ByteScanner, _ expected: ExpectedReply) -> ReplyVerdict {
        var verdict = ReplyVerdict()
        var rest = body
        for key in expected.keys {
            guard rest.skip(past: "\"found\":") else {
                verdict.failures += 1
                continue
            }
            if rest.starts(with: "false") {
                verdict.misses += 1
            } else if rest.starts(with: "true"), rest.skip(past: "\"value\":"), self.isValue(rest, of: key) {
                verdict.hits += 1
                rest.drop(self.valueBytes)
            } else {
                verdict.failures += 1
            }
        }
        return verdict
    }

    private func judgeWrites(_ body: ByteScanner, _ expected: ExpectedReply) -> ReplyVerdict {
        var verdict = ReplyVerdict()
        var rest = body
        for _ in expected.keys {
            if rest.skip(past: "\"stored\":"), rest.starts(with: "true") {
                verdict.hits += 1
            } else {
                verdict.failures += 1
            }
        }
        return verdict
    }

    /// A compressed body is not inflated, which would cost more than the server: its frame must be gzip and the length
    /// in its trailer (RFC 1952) that of the values with an envelope around them.
    private func judgeGzip(_ body: ByteScanner, _ expected: ExpectedReply) -> ReplyVerdict {
        let values = self.valueBytes * expected.keys.count
        guard expected.isRead, body.starts(with: [0x1F, 0x8B, 8]), let length = body.lastWord,
            Int(length) > values, Int(length) < values + 200 * (1 + expected.keys.count)
        else { return expected.allFailed }
        return ReplyVerdict(hits: expected.keys.count)
    }

    /// `{"GET":"…"}`, `{"GET":null}`, `{"MGET":["…",null]}`, `{"SET":[true,"OK"]}`; quotes of the value come escaped.
    private func judgeWebdis(_ body: ByteScanner, _ expected: ExpectedReply) -> ReplyVerdict {
        guard expected.isRead else {
            return body.starts(with: "{\"SET\":[true") ? ReplyVerdict(hits: expected.keys.count) : expected.allFailed
        }
        var verdict = ReplyVerdict()
        var rest = body
        guard rest.skip(past: ":") else { return expected.allFailed }
        if rest.starts(with: "[") { rest.drop(1) }
        for key in expected.keys {
            if rest.starts(with: "null") {
                verdict.misses += 1
            } else if rest.starts(with: "\"\\\""), rest.hasDigits(of: key, at: 3) {
                verdict.hits += 1
            } else {
                verdict.failures += 1
            }
            guard rest.skip(past: ",") else { break }
        }
        verdict.failures += expected.keys.count - verdict.hits - verdict.misses - verdict.failures
        return verdict
    }

    private func isValue(_ bytes: ByteScanner, of key: Int) -> Bool {
        bytes.count >= self.valueBytes && bytes.starts(with: self.valueHead)
            && bytes.hasDigits(of: key, at: self.valueHead.count)
    }

    // MARK: Redis, RESP 2

    private func checkRedis(_ bytes: ByteScanner, _ expected: ExpectedReply) -> ReplyProgress {
        var rest = bytes
        guard let kind = rest.first else { return .incomplete(bytes: 1) }
        switch kind {
        case UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: ":"):
            guard rest.skip(past: "\r\n") else { return .incomplete(bytes: 0) }
            let accepted = kind == UInt8(ascii: "+") && !expected.isRead
            let verdict = accepted ? ReplyVerdict(hits: expected.keys.count) : expected.allFailed
            return .complete(bytes: bytes.count - rest.count, verdict)
        case UInt8(ascii: "*"):
            rest.drop(1)
            guard let items = rest.takeNumber() else { return .incomplete(bytes: 0) }
            guard items == expected.keys.count else { return .malformed }
        case UInt8(ascii: "$"):
            guard expected.keys.count == 1 else { return .malformed }
        default:
            return .malformed
        }
        var verdict = ReplyVerdict()
        for key in expected.keys {
            guard let kind = rest.first else { return .incomplete(bytes: 0) }
            guard kind == UInt8(ascii: "$") else { return .malformed }
            rest.drop(1)
            guard let length = rest.takeNumber() else { return .incomplete(bytes: 0) }
            if length < 0 {
                verdict.misses += 1
                continue
            }
            guard rest.count >= length + 2 else { return .incomplete(bytes: bytes.count - rest.count + length + 2) }
            if length == self.valueBytes, self.isValue(rest, of: key) {
                verdict.hits += 1
            } else {
                verdict.failures += 1
            }
            rest.drop(length + 2)
        }
        return .complete(bytes: bytes.count - rest.count, verdict)
    }

    // MARK: memcached, text protocol

    private func checkMemcached(_ bytes: ByteScanner, _ expected: ExpectedReply) -> ReplyProgress {
        var rest = bytes
        guard expected.isRead else {
            guard rest.skip(past: "\r\n") else { return .incomplete(bytes: 0) }
            let verdict = bytes.starts(with: "STORED") ? ReplyVerdict(hits: expected.keys.count) : expected.allFailed
            return .complete(bytes: bytes.count - rest.count, verdict)
        }
        // Only keys that are there are answered, in the order asked.
        var verdict = ReplyVerdict()
        var next = expected.keys.startIndex
        while true {
            var line = rest
            guard line.skip(past: "\r\n") else { return .incomplete(bytes: 0) }
            if rest.starts(with: "END\r\n") {
                verdict.misses += expected.keys.endIndex - next
                return .complete(bytes: bytes.count - line.count, verdict)
            }
            // VALUE key:000000000012 0 100
            guard rest.starts(with: "VALUE key:"), rest.skip(past: "key:") else {
                return .complete(bytes: bytes.count - line.count, expected.allFailed)
            }
            while next < expected.keys.endIndex, !rest.hasDigits(of: expected.keys[next], at: 0) {
                verdict.misses += 1
                next += 1
            }
            guard next < expected.keys.endIndex else { return .malformed }
            rest.drop(LoadPlan.keyDigits)
            guard rest.skip(past: " 0 "), let length = rest.takeNumber() else { return .malformed }
            guard rest.count >= length + 2 else { return .incomplete(bytes: bytes.count - rest.count + length + 2) }
            if length == self.valueBytes, self.isValue(rest, of: expected.keys[next]) {
                verdict.hits += 1
            } else {
                verdict.failures += 1
            }
            next += 1
            rest.drop(length + 2)
        }
    }
}
