// Whole numbers and sizes in bytes.

/// Decimal whole numbers: ASCII digits with an optional minus sign, nothing else.
enum Decimal {
    enum Reading {
        case value(Int)
        /// Digits, but more than 64 bits hold.
        case overflow
        case notANumber

        var value: Int? {
            if case .value(let number) = self { return number }
            return nil
        }
    }

    static func parse(_ text: some StringProtocol) -> Reading {
        var digits = text.utf8[...]
        let isNegative = digits.first == UInt8(ascii: "-")
        if isNegative { digits.removeFirst() }
        guard !digits.isEmpty else { return .notANumber }
        guard digits.allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }) else { return .notANumber }
        var total = 0
        for digit in digits {
            let (product, tooGreat) = total.multipliedReportingOverflow(by: 10)
            let (sum, overflow) = product.addingReportingOverflow(Int(digit - UInt8(ascii: "0")))
            guard !tooGreat, !overflow else { return .overflow }
            total = sum
        }
        return .value(isNegative ? -total : total)
    }

    /// The number in `text`; throws when it is none or not in `range`, whose ends are `shown` in the message.
    static func value(
        of text: String, in range: ClosedRange<Int>, shown: (Int) -> String
    ) throws(ValueProblem) -> Int {
        switch parse(text) {
        case .notANumber: throw ValueProblem("\(quoted(text)) is not a whole number" + commentHint(text))
        case .value(let number) where range.contains(number): return number
        case .value, .overflow:
            throw ValueProblem(
                "\(cut(text)) is out of range: \(shown(range.lowerBound)) to \(shown(range.upperBound))")
        }
    }

    private static func cut(_ text: String) -> String {
        text.utf8.count <= 40 ? text : "\(text.prefix(40))…"
    }
}

/// Sizes in bytes with binary units.
enum ByteSize {
    private static let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)]

    /// Reads `N`, `N B`, `N KiB`, `N MiB` or `N GiB`; throws a hint for KB, MB, GB, K, M and G, which mean 1000 to some
    /// and 1024 to others.
    static func parse(_ text: String, in range: ClosedRange<Int>) throws(ValueProblem) -> Int {
        let split = text.firstIndex { !($0.isASCII && $0.isNumber) && $0 != "-" } ?? text.endIndex
        let number = text[..<split]
        let unit = text[split...].trimmed
        guard !number.isEmpty, !unit.hasPrefix("."), !unit.hasPrefix(",") else {
            throw ValueProblem("\(quoted(text)) is not a whole number of bytes, KiB, MiB or GiB" + commentHint(text))
        }
        var factor = 1
        if !unit.isEmpty {
            guard let known = units.first(where: { $0.0.lowercased() == unit.lowercased() }) else {
                throw ValueProblem(
                    "\(quoted(unit)) is not a unit: B, KiB, MiB or GiB" + unitHint(unit) + commentHint(text))
            }
            factor = known.1
        }
        let reading = Decimal.parse(number)
        if case .notANumber = reading {
            throw ValueProblem("\(quoted(text)) is not a whole number of bytes, KiB, MiB or GiB")
        }
        if let count = reading.value {
            let (bytes, overflow) = count.multipliedReportingOverflow(by: factor)
            if !overflow, range.contains(bytes) { return bytes }
        }
        let shown = text.utf8.count <= 40 ? text : "\(text.prefix(40))…"
        throw ValueProblem(
            "\(shown) is out of range: \(self.text(range.lowerBound)) to \(self.text(range.upperBound))")
    }

    /// The shortest exact form: `256MiB`, `1536KiB`, `1000` (a plain number is bytes).
    static func text(_ bytes: Int) -> String {
        for (name, factor) in units where factor > 1 && bytes > 0 && bytes.isMultiple(of: factor) {
            return "\(bytes / factor)\(name)"
        }
        return "\(bytes)"
    }

    private static func unitHint(_ unit: Substring) -> String {
        switch unit.lowercased() {
        case "k", "kb": " (did you mean KiB?)"
        case "m", "mb": " (did you mean MiB?)"
        case "g", "gb": " (did you mean GiB?)"
        default: ""
        }
    }
}
