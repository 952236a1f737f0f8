// Integers and the meaning of strings.

import JSONRPC
import Testing

@Suite("Numbers and strings")
struct NumberAndStringTests {
    @Test(
        "A plain integer has a value exactly when it fits in 64 bits",
        arguments: [
            ("0", 0), ("-0", 0), ("1", 1), ("-1", -1), ("42", 42), ("9223372036854775807", Int64.max),
            ("-9223372036854775808", Int64.min),
            ("9223372036854775806", Int64.max - 1), ("-9223372036854775807", Int64.min + 1),
            ("9223372036854775808", nil),
            ("-9223372036854775809", nil), ("18446744073709551615", nil), ("18446744073709551616", nil),
            ("-18446744073709551616", nil),
            ("99999999999999999999", nil), ("100000000000000000000000", nil), ("1.0", nil), ("1e3", nil), ("0.5", nil),
            ("-1E1", nil),
            ("\"1\"", nil), ("true", nil), ("null", nil), ("[]", nil),
        ] as [(String, Int64?)])
    func integers(_ source: String, expected: Int64?) throws {
        try Array(source.utf8).withUnsafeBytes { bytes in
            let value = try validateJSON(bytes)
            #expect(integer(of: value, in: bytes) == expected)
        }
    }

    @Test(
        "A text that is no JSON integer has no value",
        arguments: ["", "-", "01", "-01", "00", "+1", " 1", "1 ", "1a", "a", "--1", "1-"])
    func integerTexts(_ source: String) {
        #expect(withBytes(source) { integer(in: $0) } == nil)
    }

    @Test(
        "Unsigned integers reach to the end of 64 bits and no further",
        arguments: [
            ("0", 0), ("7", 7), ("18446744073709551615", UInt64.max), ("18446744073709551616", nil),
            ("18446744073709551625", nil),
            ("99999999999999999999", nil), ("184467440737095516150", nil), ("", nil), ("-1", nil), ("00", nil),
            ("01", nil), ("1.0", nil),
        ] as [(String, UInt64?)])
    func unsigned(_ source: String, expected: UInt64?) {
        #expect(withBytes(source) { unsignedInteger(in: $0) } == expected)
    }

    @Test(
        "A string stands for its characters with the escapes resolved",
        arguments: [
            (#""""#, ""), (#""plain""#, "plain"), (#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{C}\n\r\t"),
            (#""\u0041\u00e9\u8a9e""#, "Aé語"),
            (#""\ud83d\ude39!""#, "😹!"), (#""\u0000""#, "\0"),
            (#""\u007f\u0080\u07ff\u0800\uffff""#, "\u{7F}\u{80}\u{7FF}\u{800}\u{FFFF}"),
            (#""\ud800\udc00\udbff\udfff""#, "\u{10000}\u{10FFFF}"), (#""grüße\u0020aus\n語 😀""#, "grüße aus\n語 😀"),
            (#""\\u0041""#, #"\u0041"#),
        ])
    func decoding(_ source: String, expected: String) throws {
        try Array(source.utf8).withUnsafeBytes { bytes in
            let value = try validateJSON(bytes)
            var decoded: [UInt8] = []
            decodeString(value, in: bytes, into: &decoded)
            #expect(decoded == Array(expected.utf8))
            #expect(decodedByteCount(value.content, hasEscapes: value.hasEscapes, in: bytes) == expected.utf8.count)
            #expect(value.hasEscapes == source.contains("\\"))
        }
    }

    @Test("A name equals a constant by what it stands for")
    func equality() throws {
        for (source, expected) in [
            (#""cache.get""#, true), (#""cache\u002eget""#, true), (#""\u0063\u0061che.ge\u0074""#, true),
            (#""cache.ge""#, false),
            (#""cache.gett""#, false), (#""cache.geT""#, false), (#""cache\u002egett""#, false),
            (#""cache\u002ege""#, false), (#""""#, false),
            ("1", false), ("[\"cache.get\"]", false),
        ] {
            try Array(source.utf8).withUnsafeBytes { bytes in
                let value = try validateJSON(bytes)
                #expect(stringEquals(value, "cache.get", in: bytes) == expected, "\(source)")
            }
        }
    }
}
