// Base64 against the vectors of RFC 4648 and against Foundation.

import Foundation
import TestSupport
import Testing

@testable import EtcdTopology

struct Base64Tests {
    private func encoded(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        Base64.append(bytes, to: &text)
        return String(decoding: text, as: UTF8.self)
    }

    /// RFC 4648, section 10.
    @Test(arguments: [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ])
    func `The vectors of RFC 4648 hold both ways`(text: String, base64: String) {
        #expect(encoded(Array(text.utf8)) == base64)
        #expect(Base64.decode(Array(base64.utf8)) == Array(text.utf8))
    }

    @Test func `Random bytes agree with Foundation`() {
        let seed: UInt64 = 4648
        var random = SeededRandom(seed: seed)
        for length in 0..<200 {
            let bytes = (0..<length).map { _ in UInt8.random(in: .min ... .max, using: &random) }
            let text = Data(bytes).base64EncodedString()
            #expect(encoded(bytes) == text, "seed \(seed)")
            #expect(Base64.decode(Array(text.utf8)) == bytes, "seed \(seed)")
        }
    }

    /// Wrong length, wrong padding, wrong alphabet, bits left over (RFC 4648, sections 3.2, 3.3 and 3.5).
    @Test(arguments: [
        "Z", "Zg", "Zg=", "Zm9v=", "=", "====", "Zg==Zg==", "Z===", "Zm-_", "Zm 9v", "Zm9\n", "Zh==", "Zm9=",
    ])
    func `What is not Base64 is refused`(text: String) {
        #expect(Base64.decode(Array(text.utf8)) == nil)
    }
}
