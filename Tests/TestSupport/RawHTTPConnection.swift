// A blocking TCP connection that speaks HTTP/1.1 as raw bytes, so that a test decides about every byte and every write.
// Not a client for anything but tests: it trusts nothing of the node's and reports every oddity as a failure.

import Foundation

/// One response as it came over the wire.
package struct HTTPResponse: Sendable {
    package let version: String
    package let status: Int
    package let headers: [(name: String, value: String)]
    package let body: [UInt8]

    /// The value of the first header of that name, whatever its case.
    package func header(_ name: String) -> String? {
        headers.first { $0.name.lowercased() == name.lowercased() }?.value
    }

    package var text: String { String(decoding: body, as: UTF8.self) }

    /// The body as JSON, names and number texts untouched.
    package func json() throws -> RawJSON { try RawJSON(body) }
}

/// Why a response did not arrive.
package enum ReceiveFailure: Error, Equatable {
    /// The node closed the connection before the first byte of a response.
    case closed
    /// The node closed the connection within a response.
    case closedWithin(bytes: Int)
    case timedOut
    case malformed(String)
}

/// A connection to 127.0.0.1; closed on `deinit`. Not to be shared between threads.
package final class RawHTTPConnection {
    /// Kept alive with the connection: a node would be killed with the last reference to it.
    package var node: NodeProcess?
    private let descriptor: Int32
    private var received: [UInt8] = []
    private var position = 0

    /// - Throws: `TestFailure` when nobody listens on `port`.
    package init(port: Int, timeout: Duration = .seconds(20)) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw TestFailure("socket: \(String(cString: strerror(errno)))") }
        var one: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
        receiveTimeout = timeout
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(UInt16(port).bigEndian)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let outcome = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard outcome == 0 else {
            let reason = String(cString: strerror(errno))
            close(descriptor)
            throw TestFailure("connect to port \(port): \(reason)")
        }
        applyTimeout()
    }

    deinit {
        close(descriptor)
    }

    /// How long one wait for bytes may last.
    package var receiveTimeout: Duration {
        didSet { applyTimeout() }
    }

    private func applyTimeout() {
        let milliseconds = receiveTimeout.milliseconds
        var limit = timeval(tv_sec: milliseconds / 1000, tv_usec: (milliseconds % 1000) * 1000)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    /// Sends all bytes.
    ///
    /// - Throws: `TestFailure` when the peer has gone or does not read for the time-out.
    package func send(_ bytes: some Collection<UInt8>) throws {
        let contiguous = Array(bytes)
        var sent = 0
        try contiguous.withUnsafeBytes { buffer in
            while sent < buffer.count {
                let count = Glibc.send(
                    descriptor, buffer.baseAddress?.advanced(by: sent), buffer.count - sent, Int32(MSG_NOSIGNAL))
                if count < 0 && errno == EINTR { continue }
                guard count > 0 else { throw TestFailure("send: \(String(cString: strerror(errno)))") }
                sent += count
            }
        }
    }

    package func send(_ text: String) throws {
        try send(Array(text.utf8))
    }

    /// Sends each byte with a write of its own (and, without Nagle, mostly in a segment of its own).
    package func sendByteAtATime(_ bytes: some Collection<UInt8>) throws {
        for byte in bytes { try send(CollectionOfOne(byte)) }
    }

    /// Tells the peer that nothing more will be sent.
    package func finishSending() {
        shutdown(descriptor, Int32(SHUT_WR))
    }

    /// The next response; `toHead` says that the request was HEAD, whose response has a length but no body.
    package func receive(toHead: Bool = false) throws -> HTTPResponse {
        let start = position
        let statusLine = try receiveLine(responseStart: start)
        let words = statusLine.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
        guard words.count >= 2, words[0].hasPrefix("HTTP/1."), let status = Int(words[1]) else {
            throw ReceiveFailure.malformed("status line \(statusLine)")
        }
        var headers: [(name: String, value: String)] = []
        while true {
            let line = try receiveLine(responseStart: start)
            if line.isEmpty { break }
            guard let colon = line.firstIndex(of: ":") else { throw ReceiveFailure.malformed("header \(line)") }
            let value = line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
            headers.append((String(line[..<colon]), value))
        }
        func response(_ body: [UInt8]) -> HTTPResponse {
            HTTPResponse(version: String(words[0]), status: status, headers: headers, body: body)
        }
        if toHead || status == 204 || status == 304 || status / 100 == 1 { return response([]) }
        let lengths = headers.filter { $0.name.lowercased() == "content-length" }
        if headers.contains(where: { $0.name.lowercased() == "transfer-encoding" && $0.value == "chunked" }) {
            return response(try receiveChunks(responseStart: start))
        }
        guard let length = lengths.first, lengths.count == 1, let count = Int(length.value) else {
            throw ReceiveFailure.malformed("\(lengths.count) Content-Length headers in \(headers)")
        }
        return response(try receive(count: count, responseStart: start))
    }

    /// Whether the peer closes the connection, without sending anything more, before `deadline`.
    package func isClosedByPeer(within deadline: Duration = .seconds(5)) -> Bool {
        receiveTimeout = deadline
        do {
            _ = try receive()
            return false
        } catch ReceiveFailure.closed {
            return true
        } catch {
            return false
        }
    }

    /// All bytes until the peer closes; for what is not HTTP any more.
    package func receiveUntilClosed() throws -> [UInt8] {
        while try fill() {}
        defer { position = received.count }
        return Array(received[position...])
    }

    private func receiveChunks(responseStart: Int) throws -> [UInt8] {
        var body: [UInt8] = []
        while true {
            guard let size = Int(try receiveLine(responseStart: responseStart), radix: 16) else {
                throw ReceiveFailure.malformed("chunk size")
            }
            body += try receive(count: size, responseStart: responseStart)
            guard try receiveLine(responseStart: responseStart).isEmpty else {
                throw ReceiveFailure.malformed("chunk end")
            }
            if size == 0 { return body }
        }
    }

    private func receiveLine(responseStart: Int) throws -> String {
        var searched = position
        while true {
            if let end = received[searched...].firstIndex(of: UInt8(ascii: "\n")) {
                defer { position = end + 1 }
                let line = received[position..<end]
                guard line.last == UInt8(ascii: "\r") else { throw ReceiveFailure.malformed("line end without CR") }
                return String(decoding: line.dropLast(), as: UTF8.self)
            }
            searched = received.count
            try fillOrThrow(responseStart: responseStart)
        }
    }

    private func receive(count: Int, responseStart: Int) throws -> [UInt8] {
        while received.count - position < count { try fillOrThrow(responseStart: responseStart) }
        defer { discard(upTo: position + count) }
        return Array(received[position..<position + count])
    }

    private func fillOrThrow(responseStart: Int) throws {
        guard try fill() else {
            let missing = received.count - min(responseStart, received.count)
            throw missing == 0 ? ReceiveFailure.closed : ReceiveFailure.closedWithin(bytes: missing)
        }
    }

    private func discard(upTo end: Int) {
        position = end
        guard position == received.count || position > 1 << 20 else { return }
        received.removeFirst(position)
        position = 0
    }

    /// Reads once; false when the peer has closed.
    private func fill() throws -> Bool {
        var chunk = [UInt8](repeating: 0, count: 1 << 17)
        while true {
            let count = recv(descriptor, &chunk, chunk.count, 0)
            if count < 0 && errno == EINTR { continue }
            if count < 0 && errno == ECONNRESET { return false }
            guard count >= 0 else { throw ReceiveFailure.timedOut }
            received.append(contentsOf: chunk[..<count])
            return count > 0
        }
    }
}

extension Duration {
    /// Whole milliseconds, rounded down.
    package var milliseconds: Int {
        Int(components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000)
    }
}

/// Builds the bytes of requests.
package enum HTTPRequest {
    /// A `POST` of a JSON body with the headers every client sends, `headers` after them.
    package static func post(
        _ body: some Collection<UInt8>, path: String = "/rpc", version: String = "HTTP/1.1", headers: [String] = [],
        contentType: String? = "application/json"
    ) -> [UInt8] {
        var lines = ["POST \(path) \(version)", "Host: 127.0.0.1", "Content-Length: \(body.count)"]
        if let contentType { lines.append("Content-Type: \(contentType)") }
        return Array((lines + headers).joined(separator: "\r\n").utf8) + Array("\r\n\r\n".utf8) + body
    }

    package static func post(
        _ body: String, path: String = "/rpc", version: String = "HTTP/1.1", headers: [String] = [],
        contentType: String? = "application/json"
    ) -> [UInt8] {
        post(Array(body.utf8), path: path, version: version, headers: headers, contentType: contentType)
    }

    /// A request without a body.
    package static func bare(_ method: String, _ path: String, headers: [String] = []) -> String {
        (["\(method) \(path) HTTP/1.1", "Host: 127.0.0.1"] + headers).joined(separator: "\r\n") + "\r\n\r\n"
    }
}
