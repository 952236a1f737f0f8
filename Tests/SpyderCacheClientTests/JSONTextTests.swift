// JSON values that are kept as text.

import SpyderCacheClient
import Testing

struct JSONTextTests {
    @Test(arguments: ["", " ", "tru", "{\"a\":1", "01", "\"\u{1}\"", "1 2", "\u{feff}1", "nan"])
    func `a text that is not JSON is refused`(text: String) {
        #expect(throws: CacheClientError.self) { try JSONText(text) }
    }

    @Test func `the refusal names the place`() {
        #expect(throws: CacheClientError.invalidArgument("not JSON at byte 3: unexpected character")) {
            try JSONText("[1,}")
        }
    }

    @Test func `a text is kept without the whitespace around it`() throws {
        #expect(try JSONText(" \n[1.0,  2]\t").description == "[1.0,  2]")
    }

    @Test(arguments: ["", "plain", "\"\\/\u{8}\u{c}\n\r\t\u{0}\u{1f}\u{7f}", "\u{e9}\u{1f577}\u{2028}"])
    func `a string comes back from its JSON`(content: String) throws {
        let text = JSONText.string(content)
        #expect(try JSONText(text.bytes) == text)
        #expect(text.stringValue == content)
        #expect(text.integerValue == nil)
    }

    @Test func `escapes stand for what they stand for`() throws {
        #expect(try JSONText(#""\u00e9\ud83d\udd77\/""#).stringValue == "\u{e9}\u{1f577}/")
    }

    @Test(arguments: [Int64.min, -1, 0, .max])
    func `an integer comes back from its JSON`(value: Int64) {
        #expect(JSONText.integer(value).integerValue == value)
        #expect(JSONText.integer(value).stringValue == nil)
    }

    @Test(arguments: ["1.0", "1e2", "9223372036854775808", "\"1\"", "null"])
    func `what is not a 64-bit integer is none`(text: String) throws {
        #expect(try JSONText(text).integerValue == nil)
    }
}
