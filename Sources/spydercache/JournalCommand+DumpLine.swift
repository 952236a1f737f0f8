// The lines of `journal dump`, as schemas/journal-dump.schema.json describes them.
//
// A value stands in its line as the JSON it is, numbers digit for digit. Only line feeds between its tokens become spaces:
// a record is a line.

import CacheNode
import Glibc
import JSONRPC
import Journal

extension [UInt8] {
    /// Appends one line of a dump with its line feed.
    mutating func append(_ line: JournalDumpLine, includingValues: Bool) {
        switch line {
        case .change(let record):
            self.appendHead(record, type: Self.name(of: record.kind))
            self.appendBody(record, includingValues: includingValues)
        case .droppedKey(let record):
            self.appendHead(record, type: "droppedKey")
        case .droppedAll(let file, let keys):
            self.append("{\"type\":\"droppedAll\"")
            self.appendNextMember("file", string: file)
            self.appendNextMember("keys", decimal: Int64(keys))
        }
        self.append("}\n")
    }

    private mutating func appendHead(_ record: JournalDumpRecord, type: StaticString) {
        self.append("{\"type\":\"")
        self.append(type)
        self.append("\"")
        self.appendNextMember("file", string: record.file)
        self.appendNextMember("sequence", string: String(record.sequence))
        self.appendNextMember("version", string: String(record.version))
        if record.kind != .flush {
            // Repaired where it is not UTF-8, which no node writes: a line must be JSON whatever is in the file.
            self.appendNextMember("key", string: String(decoding: record.key, as: UTF8.self))
        }
    }

    private mutating func appendBody(_ record: JournalDumpRecord, includingValues: Bool) {
        switch record.kind {
        case .put:
            self.appendExpiry(record.wallExpiry)
            self.appendSizes(record)
            if includingValues { self.appendValue(record.value) }
        case .touch: self.appendExpiry(record.wallExpiry)
        case .remove, .flush, .seal: return
        }
    }

    private mutating func appendExpiry(_ wallMilliseconds: Int64?) {
        guard let wallMilliseconds else {
            self.append(",\"expiresAt\":null")
            return
        }
        self.appendNextMember("expiresAtMs", decimal: wallMilliseconds)
        if let text = Self.timestamp(wallMilliseconds) { self.appendNextMember("expiresAt", string: text) }
    }

    private mutating func appendSizes(_ record: JournalDumpRecord) {
        switch record.form {
        case .plain:
            self.appendNextMember("bytes", decimal: Int64(record.storedBytes))
        case .deflated(let originalBytes, _):
            self.appendNextMember("bytes", decimal: Int64(originalBytes))
            self.append(",\"compressed\":true")
            self.appendNextMember("storedBytes", decimal: Int64(record.storedBytes))
        }
    }

    private mutating func appendValue(_ value: [UInt8]?) {
        guard let value, value.withUnsafeBytes({ try? validateJSON($0) }) != nil else {
            self.append(",\"unreadable\":true")
            return
        }
        self.appendNextName("value")
        // Inside strings JSON has no raw line feeds, so these stand between tokens.
        self.append(contentsOf: value.lazy.map { $0 == 0x0A || $0 == 0x0D ? 0x20 : $0 })
    }

    private static func name(of kind: JournalRecord.Kind) -> StaticString {
        switch kind {
        case .put: "put"
        case .remove: "remove"
        case .touch: "touch"
        case .flush: "flush"
        case .seal: "seal"
        }
    }

    /// RFC 3339 in UTC with milliseconds; nil before 1970 and after the year 9999, which the notation cannot tell.
    private static func timestamp(_ wallMilliseconds: Int64) -> String? {
        var seconds = time_t(wallMilliseconds / 1000)
        var parts = tm()
        guard wallMilliseconds >= 0, gmtime_r(&seconds, &parts) != nil, parts.tm_year < 8100 else { return nil }
        func digits(_ number: Int, _ width: Int) -> String {
            let text = String(number)
            return String(repeating: "0", count: width - text.utf8.count) + text
        }
        let date = [
            digits(Int(parts.tm_year) + 1900, 4), digits(Int(parts.tm_mon) + 1, 2), digits(Int(parts.tm_mday), 2),
        ]
        let time = [digits(Int(parts.tm_hour), 2), digits(Int(parts.tm_min), 2), digits(Int(parts.tm_sec), 2)]
        return date.joined(separator: "-") + "T" + time.joined(separator: ":")
            + ".\(digits(Int(wallMilliseconds % 1000), 3))Z"
    }
}
