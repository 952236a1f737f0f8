// Every accept and reject decision of RFC 8259, after the manner of Nicolas Seriot's JSONTestSuite ("Parsing JSON is a
// Minefield"). What the RFC leaves open is settled here: lone surrogates and a byte order mark are refused.

import JSONRPC
import Testing

@Suite("JSON grammar")
struct GrammarTests {
    @Test(
        "Numbers of the grammar are accepted, whatever their size",
        arguments: [
            "0", "-0", "1", "-1", "10", "123456789", "0.0", "-0.0", "1.5", "0.1", "-123.456", "1e1", "1E1", "1e+1",
            "1E-1",
            "0e0", "0E+00", "1.0e10", "-0.5E-7", "1e400", "-1e-400", "1e999999999999", "1.000000000000000000000000001",
            "123123e100000", "9223372036854775808", "-9223372036854775809", String(repeating: "9", count: 5000),
        ])
    func numberAccepted(_ number: String) {
        expectEverywhere(number, accepted: true)
    }

    @Test(
        "Anything else that looks like a number is refused",
        arguments: [
            "-", "+1", "+", "--1", "-+1", "00", "01", "-01", "-00", "012", "1.", "-1.", ".5", "-.5", ".", "1..5",
            "1.5.5", "0.",
            "0.e1", "1.e5", "1e", "1E", "1e+", "1e-", "1e+-1", "1ee1", "1e1.5", "e1", "0e", "0x10", "0X1", "1_000",
            "1,5", "1 000",
            "- 1", "1a", "1-", "1+2", "NaN", "nan", "Infinity", "-Infinity", "inf", "１", "1\u{661}", "0b1", "1f", "1L",
            "2.e-3",
            "-foo", "0.3e", "0.3e+", "9.e+", "\\u0031", "1/2", "½",
        ])
    func numberRefused(_ number: String) {
        expectEverywhere(number, accepted: false)
    }

    @Test(
        "Literals are accepted in lower case only and in full",
        arguments: [
            ("true", true), ("false", true), ("null", true), ("True", false), ("TRUE", false), ("FALSE", false),
            ("Null", false),
            ("tru", false), ("truee", false), ("fals", false), ("falsey", false), ("nul", false), ("nulll", false),
            ("t", false),
            ("f", false), ("n", false), ("undefined", false), ("nil", false), ("None", false), ("a", false),
            ("tr ue", false),
            ("trux", false), ("falsx", false), ("nulx", false), ("truefalse", false),
        ])
    func literals(_ literal: String, accepted: Bool) {
        expectEverywhere(literal, accepted: accepted)
    }

    @Test(
        "Strings of the grammar are accepted",
        arguments: [
            #""""#, #""a""#, #"" ""#, #""\"""#, #""\\""#, #""\/""#, #""/""#, #""\b\f\n\r\t""#, #""\u0000""#,
            #""\u001f""#, #""\u0022""#,
            #""\u005C""#, #""\uABCD""#, #""\uabcd""#, #""\uAbCd""#, #""\uD800\uDC00""#, #""\uDBFF\uDFFF""#,
            #""\ud83d\ude39""#,
            #""\uD83D\uDE39\uD83D\uDE39""#, #""\uFFFF""#, #""\uFFFE""#, #""\uFDD0""#, #""\uD7FF""#, #""\uE000""#,
            #""\\u0000""#,
            #""\\\\\"""#, #""'""#, #""\u2028\u2029""#, "\"\u{7F}\"", "\"\u{2028}\u{2029}\"", "\"é\"", "\"語\"", "\"😀\"",
            "\"\u{80}\"",
            "\"\u{7FF}\"", "\"\u{800}\"", "\"\u{D7FF}\"", "\"\u{E000}\"", "\"\u{FFFF}\"", "\"\u{10000}\"",
            "\"\u{10FFFF}\"",
            "\"\u{FEFF}\"", "\"1234567\"", "\"12345678\"", "\"1234567é\"", #""1234567\n""#, #""12345678\n9""#,
            #""//\u002F*""#,
        ])
    func stringAccepted(_ string: String) {
        expectEverywhere(string, accepted: true)
    }

    @Test(
        "Strings with an unknown escape, a lone surrogate or a control character are refused",
        arguments: [
            #"""#, #""a"#, #"a""#, #"'a'"#, #""\a""#, #""\'""#, #""\v""#, #""\0""#, #""\x41""#, #""\e""#, #""\U0041""#,
            #""\ ""#, #""\"#,
            #""\""#, #""\u""#, #""\u1""#, #""\u12""#, #""\u123""#, #""\u123g""#, #""\u 123""#, #""\u+123""#,
            #""\u-123""#, #""\uD800""#,
            #""\uDBFF""#, #""\uDC00""#, #""\uDFFF""#, #""\uD800x""#, #""\uD800\n""#, #""\uD800\u""#, #""\uD800\u0041""#,
            #""\uD800\uD800""#, #""\uD800\uD800\uDC00""#, #""\uDC00\uD800""#, #""\uD800\uDBFF""#, #""\uD800\uE000""#,
            #""\uD800\uDC0""#,
            #""\uD800 \uDC00""#, #""\uD800\\uDC00""#, #""\uD800\UDC00""#, #""\uqqqq""#, #""a"b""#, #"\"a\""#, #""\é""#,
            #""\u00é""#,
            "\"\n\"", "\"\t\"", "\"\r\"", "\"\0\"", "\"a\u{1F}b\"", "\"\u{1}\"", "\"12345678\u{1F}\"",
            "\"1234567\u{B}\"",
        ])
    func stringRefused(_ string: String) {
        expectEverywhere(string, accepted: false)
    }

    @Test("Every control character is refused in a string, at every place within a word")
    func controlCharacters() {
        for control in UInt8(0)..<0x20 {
            for place in 0..<20 {
                var bytes = Array("\"abcdefghijklmnopqrst\"".utf8)
                bytes[1 + place] = control
                #expect(!isAccepted(bytes), "control \(control) at \(place)")
            }
        }
    }

    @Test("Quotes, backslashes and bytes from 0x80 are seen at every place within a word")
    func specialBytes() {
        for place in 0..<20 {
            for byte in UInt8(0x20)...0xFF {
                var bytes = Array("\"abcdefghijklmnopqrst\"".utf8)
                bytes[1 + place] = byte
                // A backslash before the letter b, f, n, r or t makes an escape; the reference knows.
                #expect(isAccepted(bytes) == ReferenceValidator.accepts(bytes), "byte \(byte) at \(place)")
            }
        }
    }

    @Test("Structure that is accepted", arguments: structureAccepted)
    func acceptsStructure(_ text: String) {
        #expect(isAccepted(text))
        #expect(ReferenceValidator.accepts(Array(text.utf8)))
    }

    @Test("Structure that is refused", arguments: structureRefused)
    func refusesStructure(_ text: String) {
        #expect(!isAccepted(text))
        #expect(!ReferenceValidator.accepts(Array(text.utf8)))
        #expect(outcome(text) == "notJSON")
    }

    @Test("Only space, tab, line feed and carriage return are whitespace")
    func whitespace() {
        for byte in UInt8.min...UInt8.max {
            let isWhitespace = [0x20, 0x09, 0x0A, 0x0D].contains(byte)
            for place in [0, 1, 2, 3] {
                var bytes = Array("[1]".utf8)
                bytes.insert(byte, at: place)
                if isWhitespace {
                    #expect(isAccepted(bytes), "byte \(byte) at \(place)")
                } else {
                    #expect(isAccepted(bytes) == ReferenceValidator.accepts(bytes), "byte \(byte) at \(place)")
                }
            }
        }
        #expect(isAccepted(" \t\n\r{ \t\n\r\"a\" \t\n\r: \t\n\r[ \t\n\r1 \t\n\r, \t\n\r2 \t\n\r] \t\n\r} \t\n\r"))
    }

    /// Checks a value at top level, in an array and as a member, with the reference as witness.
    private func expectEverywhere(_ value: String, accepted: Bool) {
        for text in [value, "[\(value)]", "[0, \(value) ]", "{\"k\":\(value)}", " \(value)\n"] {
            // Two of the refused numbers are fine as two elements; everything else means the same everywhere.
            if value == "1,5" && text.hasPrefix("[") { continue }
            #expect(isAccepted(text) == accepted, "\(text)")
            #expect(ReferenceValidator.accepts(Array(text.utf8)) == accepted, "the reference on \(text)")
        }
    }
}

private let structureAccepted = [
    "[]", "{}", "[ ]", "{ }", "[[]]", "[{}]", "[[],[]]", "[{},{}]", "{\"a\":{}}", "{\"a\":[]}", "[1]", "[1,2]",
    "[1 , 2 ]",
    "[null,1,\"1\",{}]", "{\"\":0}", "{\"a\":1}", "{\"a\":1,\"b\":2}", "{\"a\":1,\"a\":2}",
    "{\"a\":{\"b\":[{\"c\":null}]}}",
    "[[[[[[]]]]]]", "[[],{}]", "[{\"a\":[]},[]]", "{\"\\u0000\":1}", "\n[]\n", "[\"a\",\"b\"]",
    "[1.5e3,true,false,null]",
    "{\"title\":\"\\u041f\\u043e\"}", "[\n]", "{\"x\":[{\"id\":\"" + String(repeating: "x", count: 40) + "\"}]}",
    "[\"\"]",
]

private let structureRefused = [
    "", " ", "\n\t\r ", "\u{FEFF}{}", "\u{FEFF}", "[", "]", "{", "}", "[[", "[]]", "[[]", "{}}", "{{}}", "[}", "{]",
    "[1}", "{\"a\":1]",
    "[1", "[1,", "[1,]", "[,1]", "[,]", "[1,,2]", "[1 2]", "[1:2]", "[\"a\":1]", "[;]", "[1;2]", "[[1,2]", "[1]]",
    "[1],", "[1]x", "[1][2]",
    "1 2", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{,\"a\":1}", "{\"a\":1,,\"b\":2}", "{\"a\" 1}", "{\"a\",1}",
    "{\"a\"::1}", "{\"a\":1 \"b\":2}",
    "{\"a\":1:2}", "{a:1}", "{'a':1}", "{1:1}", "{null:1}", "{true:1}", "{[]:1}", "{\"a\":1", "{\"a\":1,", "{\"a\":",
    "{\"a\"", "{\"a",
    "{\"a\":1}{}", "{\"a\":1}x", "{\"a\":1}]", "{:1}", "{:}", "{\"a\":a}", "{\"a\":'a'}", "{\"a\":1,b:2}",
    "{\"a\":1,\"b\"}", "[\"a\" \"b\"]",
    "[\"a\",\n4\n,1,", "[1]//", "/*x*/[1]", "[1/**/]", "[1]#", "<null>", "[<null>]", "*", "[*]", "@", "\\", "\\[]",
    "[\\n]", "\u{A0}[]",
    "[\u{A0}]", "\u{2060}[]", "[1]\u{0}", "\u{0}[1]", "[\u{0}1]", "[1\u{C}]", "[\u{B}1]", "{\"a\":\"b\"}#{}",
    "{\"a\":/*c*/1}", "[\"x\"", "[\"x",
    "[\"", "[\"x, truth]", "{ \"foo\" : \"bar\", \"a\" }", "[a", "[tru]", "{\"a\":tru}", "é", "[é]", "[1,\u{FF0C}2]",
    ":", ",", "#", "-]", "[-",
]
