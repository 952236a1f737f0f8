// What the scanner and the message reader found, as short texts: tables of expectations stay readable that way.

import JSONRPC

func withBytes<Result>(_ text: String, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    Array(text.utf8).withUnsafeBytes(body)
}

/// Copies exactly the slice's bytes, so that a wrong offset shows.
func text(_ slice: JSONSlice, _ body: UnsafeRawBufferPointer) -> String {
    String(decoding: slice.bytes(in: body), as: UTF8.self)
}

func isAccepted(_ bytes: [UInt8]) -> Bool {
    bytes.withUnsafeBytes { (try? validateJSON($0)) != nil }
}

func isAccepted(_ text: String) -> Bool { isAccepted(Array(text.utf8)) }

/// `call 1 subtract [42, 23]`, `notification update {}`, `invalid -32600 null`, `batch (…) (…)` or `notJSON`.
func outcome(_ bytes: [UInt8]) -> String {
    bytes.withUnsafeBytes { body in
        switch parseMessage(body) {
        case .single(let element):
            return describe(element, body)
        case .batch(var batch):
            var parts: [String] = []
            while let element = batch.next() { parts.append("(\(describe(element, body)))") }
            return parts.count == batch.count ? "batch \(parts.joined(separator: " "))" : "batch miscounted"
        case .notJSON(let offset, _):
            return offset >= 0 && offset <= body.count ? "notJSON" : "notJSON at \(offset), outside the text"
        }
    }
}

func outcome(_ text: String) -> String { outcome(Array(text.utf8)) }

private func describe(_ element: Element, _ body: UnsafeRawBufferPointer) -> String {
    switch element {
    case .call(let call):
        var method: [UInt8] = []
        decodeString(call.method, in: body, into: &method)
        let head = call.id.map { "call \(text($0, body))" } ?? "notification"
        let params = call.params.kind == .none ? "" : " \(text(call.params.slice, body))"
        return "\(head) \(String(decoding: method, as: UTF8.self))\(params)"
    case .invalid(let id, let code, _):
        return "invalid \(code.rawValue) \(id.map { text($0, body) } ?? "null")"
    }
}
