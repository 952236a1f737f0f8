// The INI dialect, seen through what it loads to.

import Testing

@testable import Configuration

@Suite("INI text")
struct INIParserTests {
    private func value(_ line: String) -> RawValue? {
        INIParser.parse(Array("[s]\n\(line)".utf8)).entries.first?.value
    }

    @Test(
        "a comment starts at # or ; after white space and nowhere else",
        arguments: [
            ("k = a # b", "a"), ("k = a ; b", "a"), ("k = a\t#b", "a"), ("k = a#b", "a#b"), ("k = a;b ;c", "a;b"),
            ("k = #b", ""), ("k =#b", "#b"), ("k=a", "a"), ("  k\t= \ta b \t", "a b"), ("k = a = b", "a = b"),
            ("k = é", "é"),
        ])
    func comments(line: String, expected: String) {
        #expect(value(line) == RawValue(parts: [.init(text: expected, line: 2)]))
    }

    @Test(
        "quotes keep comment signs and outer white space",
        arguments: [
            (#"k = "a # b" # c"#, "a # b"), (#"k = " a ""#, " a "), (#"k = "" ; x"#, ""),
            (#"k = "\"\\" "#, #""\"#), (#"k = "a,""#, "a,"), (#"k="x = y""#, "x = y"),
        ])
    func quotes(line: String, expected: String) {
        #expect(value(line) == RawValue(parts: [.init(text: expected, line: 2)], isQuoted: true))
    }

    @Test("a list goes on over comments, empty lines and bracketed addresses, until a key or a section")
    func continuation() {
        let document = INIParser.parse(
            Array(
                """
                [network]
                peer = a:1,   # first
                # between

                \t[::1]:2,
                  b:3,
                  mirrors = c:4,
                [local]
                node_id = x,
                node_port = 1
                """.utf8))
        #expect(document.faults.isEmpty)
        #expect(document.headers == [.init(name: "network", line: 1), .init(name: "local", line: 8)])
        #expect(document.entries.map(\.key) == ["peer", "mirrors", "node_id", "node_port"])
        #expect(
            document.entries.first?.value.parts == [
                .init(text: "a:1,", line: 2), .init(text: "[::1]:2,", line: 5), .init(text: "b:3,", line: 6),
            ])
        #expect(document.entries.map(\.section) == ["network", "network", "local", "local"])
    }

    @Test("a section's header may carry a comment and inner white space")
    func header() {
        let document = INIParser.parse(Array("[ local ]  # c\n[log]".utf8))
        #expect(document.headers == [.init(name: "local", line: 1), .init(name: "log", line: 2)])
        #expect(document.faults.isEmpty)
    }

    @Test("an empty file, a file of comments and no file are the defaults")
    func empty() throws {
        for text in ["", "\n", "# only\n\t; comments", "\u{FEFF}"] {
            #expect(try load(text).configuration == NodeConfiguration())
        }
        #expect(try NodeConfiguration.load().configuration == NodeConfiguration())
    }
}
