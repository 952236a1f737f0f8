// The frame of an HTTP/1.1 response as far as a load generator must know it: status, where the body lies, whether it is
// gzip. Not a general HTTP client: what it does not know is malformed.

/// One response at the beginning of the received bytes.
enum HTTPReply {
    case incomplete(bytes: Int)
    case malformed
    /// `body` is empty for a chunked response, whose bytes do not lie in one piece.
    case complete(bytes: Int, status: Int, body: ByteScanner, isGzip: Bool)

    static func read(_ bytes: ByteScanner) -> HTTPReply {
        var rest = bytes
        guard rest.skip(past: "\r\n\r\n") else { return .incomplete(bytes: 0) }
        let headBytes = bytes.count - rest.count
        guard headBytes > 16, bytes.starts(with: "HTTP/1.") else { return .malformed }
        var status = 0
        for index in 9..<12 {
            let digit = bytes[index] &- UInt8(ascii: "0")
            guard digit < 10 else { return .malformed }
            status = status * 10 + Int(digit)
        }
        var fields = Fields()
        guard fields.read(bytes.prefix(headBytes - 2)) else { return .malformed }
        if status == 204 || status == 304 { fields.contentLength = 0 }
        if fields.isChunked {
            return self.readChunks(bytes, headBytes: headBytes, status: status, isGzip: fields.isGzip)
        }
        guard let length = fields.contentLength else { return .malformed }
        guard rest.count >= length else { return .incomplete(bytes: headBytes + length) }
        return .complete(bytes: headBytes + length, status: status, body: rest.prefix(length), isGzip: fields.isGzip)
    }

    /// RFC 9112 section 7.1, without extensions and trailers.
    private static func readChunks(_ bytes: ByteScanner, headBytes: Int, status: Int, isGzip: Bool) -> HTTPReply {
        var rest = bytes
        rest.drop(headBytes)
        let body = rest.prefix(0)
        while true {
            var line = rest
            guard line.skip(past: "\r\n") else { return .incomplete(bytes: 0) }
            var length = 0
            for index in 0..<(rest.count - line.count - 2) {
                guard let digit = rest[index].hexDigit, length < 1 << 40 else { return .malformed }
                length = length << 4 | digit
            }
            guard line.count >= length + 2 else {
                return .incomplete(bytes: bytes.count - line.count + length + 2)
            }
            line.drop(length + 2)
            rest = line
            if length == 0 {
                return .complete(bytes: bytes.count - rest.count, status: status, body: body, isGzip: isGzip)
            }
        }
    }

    /// The fields that decide about the body.
    private struct Fields {
        var contentLength: Int?
        var isChunked = false
        var isGzip = false

        /// Reads the lines of a head without its empty last one; false for a length that is no number.
        mutating func read(_ head: ByteScanner) -> Bool {
            var rest = head
            while rest.skip(past: "\r\n"), let first = rest.first {
                // Only names that begin with C or T matter; most lines are left at their first letter.
                switch first | 0x20 {
                case UInt8(ascii: "c"):
                    if rest.dropName("content-length:") {
                        guard let length = rest.takeNumberBeforeLineEnd() else { return false }
                        self.contentLength = length
                    } else if rest.dropName("content-encoding:") {
                        self.isGzip = rest.starts(with: "gzip")
                    }
                case UInt8(ascii: "t"):
                    if rest.dropName("transfer-encoding:") { self.isChunked = rest.starts(with: "chunked") }
                default:
                    break
                }
            }
            return true
        }
    }
}

extension ByteScanner {
    /// Drops a field name, given in lower case with its colon, and the spaces behind it; false where another one stands.
    fileprivate mutating func dropName(_ name: StaticString) -> Bool {
        let length = name.utf8CodeUnitCount
        guard self.count >= length else { return false }
        for index in 0..<length {
            let byte = self[index]
            let lower = byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte | 0x20 : byte
            guard lower == name.utf8Start[index] else { return false }
        }
        self.drop(length)
        while self.first == UInt8(ascii: " ") { self.drop(1) }
        return true
    }

    /// A decimal number that ends at the line end, which stays.
    fileprivate func takeNumberBeforeLineEnd() -> Int? {
        var copy = self
        guard let number = copy.takeNumber(), number >= 0 else { return nil }
        return number
    }
}

extension UInt8 {
    fileprivate var hexDigit: Int? {
        switch self {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): Int(self - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): Int(self - UInt8(ascii: "a")) + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): Int(self - UInt8(ascii: "A")) + 10
        default: nil
        }
    }
}
