// One log line as bytes: a JSON object and a newline, valid whatever the texts in it hold.
//
//     {"ts":"2026-01-02T03:04:05.678Z","level":"info","node":"1","event":"node.listening","msg":"Listening","port":8001}
//
// The names written here are constants or come from the event table; only values need escaping (and library metadata).

/// Builds the bytes of one line.
struct LogLine {
    /// The longest text a field holds, in bytes; longer ones are cut and end with "…", so that no line outgrows the queue.
    static let maxTextBytes = 8 * 1024

    private(set) var bytes: [UInt8] = []

    /// Begins a line with what every line has. `wallMilliseconds` counts from 1970 in UTC.
    init(wallMilliseconds: Int64, level: LogLevel, node: String, event: NodeEvent) {
        bytes.reserveCapacity(256)
        raw(#"{"ts":""#)
        appendTimestamp(wallMilliseconds)
        raw(#"","level":""#)
        raw(level.name)
        raw(#"","node":"#)
        appendString(node)
        raw(#","event":""#)
        raw(event.rawValue)
        raw(#"","msg":"#)
        appendString(event.definition.message)
    }

    /// Adds a field.
    mutating func append(_ name: String, _ value: LogValue) {
        raw(",")
        appendString(name)
        raw(":")
        switch value {
        case .string(let text): appendString(text)
        case .int(let number): raw(String(number))
        // JSON knows neither NaN nor infinity.
        case .double(let number): raw(number.isFinite ? String(number) : "null")
        case .bool(let truth): raw(truth ? "true" : "false")
        case .texts(let texts): appendObject(texts)
        }
    }

    /// The finished line with its newline.
    consuming func finished() -> [UInt8] {
        raw("}\n")
        return bytes
    }

    private mutating func raw(_ text: String) { bytes.append(contentsOf: text.utf8) }

    private mutating func appendObject(_ texts: [String: String]) {
        raw("{")
        for (index, entry) in texts.sorted(by: { $0.key < $1.key }).enumerated() {
            if index > 0 { raw(",") }
            appendString(entry.key)
            raw(":")
            appendString(entry.value)
        }
        raw("}")
    }

    private mutating func appendString(_ text: String) {
        raw("\"")
        let whole = text.utf8.count <= Self.maxTextBytes
        for byte in whole ? text.utf8 : text.cut(toBytes: Self.maxTextBytes).utf8 {
            switch byte {
            case UInt8(ascii: "\""): raw(#"\""#)
            case UInt8(ascii: "\\"): raw(#"\\"#)
            case UInt8(ascii: "\n"): raw(#"\n"#)
            case UInt8(ascii: "\r"): raw(#"\r"#)
            case UInt8(ascii: "\t"): raw(#"\t"#)
            // DEL is legal in JSON but would act on a terminal, as the controls would.
            case 0..<0x20, 0x7F:
                raw(#"\u00"#)
                bytes.append(Self.hexDigit(byte >> 4))
                bytes.append(Self.hexDigit(byte & 15))
            default: bytes.append(byte)
            }
        }
        raw(whole ? "\"" : "…\"")
    }

    private static func hexDigit(_ value: UInt8) -> UInt8 { value + (value < 10 ? 0x30 : 0x57) }

    /// RFC 3339 in UTC with milliseconds. Civil date from the day count as in H. Hinnant, "chrono-Compatible Low-Level
    /// Date Algorithms", civil_from_days, for days from 1970 on.
    private mutating func appendTimestamp(_ wallMilliseconds: Int64) {
        let wall = max(0, wallMilliseconds)
        let (days, ofDay) = wall.quotientAndRemainder(dividingBy: 86_400_000)
        let shifted = days + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        appendDigits(year, 4)
        raw("-")
        appendDigits(month, 2)
        raw("-")
        appendDigits(day, 2)
        raw("T")
        appendDigits(ofDay / 3_600_000, 2)
        raw(":")
        appendDigits(ofDay / 60_000 % 60, 2)
        raw(":")
        appendDigits(ofDay / 1_000 % 60, 2)
        raw(".")
        appendDigits(ofDay % 1_000, 3)
        raw("Z")
    }

    private mutating func appendDigits(_ number: Int64, _ width: Int) {
        var divisor: Int64 = 1
        for _ in 1..<width { divisor *= 10 }
        while divisor > 0 {
            bytes.append(0x30 + UInt8(number / divisor % 10))
            divisor /= 10
        }
    }
}
