// The result of `bench`, for people and as one JSON object, and the progress bar meanwhile.

import JSONRPC
import LoadGenerator

#if canImport(Glibc)
    import Glibc
#endif

/// Words and members for a report.
struct BenchOutput {
    private let plan: LoadPlan
    private let report: LoadReport

    init(_ plan: LoadPlan, _ report: LoadReport) {
        self.plan = plan
        self.report = report
    }

    private static let percentiles: [(name: StaticString, percent: Double)] = [
        ("p50", 50), ("p90", 90), ("p99", 99), ("p999", 99.9), ("max", 100),
    ]

    var text: String {
        let report = self.report
        var lines = [
            "\(report.requests) requests in \(Self.decimal(Double(report.nanoseconds) / 1e9, 2)) s: "
                + "\(Self.decimal(report.requestsPerSecond, 0)) requests/s "
                + "(\(self.plan.connections) connections, \(self.plan.pipeline) in flight on each)"
        ]
        let latencies = Self.percentiles.map { name, percent in
            "\(name) \(Self.decimal(Double(report.latencies.percentile(percent)) / 1000, 1))"
        }
        lines.append("latency µs: " + latencies.joined(separator: "  "))
        var operations = "\(report.reads) reads (\(report.hits) hits, \(report.misses) misses), \(report.writes) writes"
        operations += ", \(report.failures) failures"
        if report.reconnects > 0 { operations += ", \(report.reconnects) reconnects" }
        lines.append(operations)
        if let cost = report.serverMicrosecondsPerRequest {
            lines.append("server: \(Self.decimal(cost, 2)) µs of processor time a request")
        }
        lines.append("generator: \(Self.decimal(report.generatorPercent, 0)) % of a core")
        return lines.joined(separator: "\n")
    }

    var json: String {
        let report = self.report
        var text: [UInt8] = []
        text.append("{\"requests\":")
        text.append(decimal: Int64(report.requests))
        text.appendNextMember("seconds", number: Double(report.nanoseconds) / 1e9, digits: 3)
        text.appendNextMember("requestsPerSecond", number: report.requestsPerSecond, digits: 1)
        text.appendNextName("latencyUs")
        text.append("{")
        for (index, (name, percent)) in Self.percentiles.enumerated() {
            if index > 0 { text.append(",") }
            text.append("\"")
            text.append(name)
            text.append("\":")
            text.append(contentsOf: Self.decimal(Double(report.latencies.percentile(percent)) / 1000, 1).utf8)
        }
        text.append("}")
        text.appendNextMember("reads", decimal: Int64(report.reads))
        text.appendNextMember("hits", decimal: Int64(report.hits))
        text.appendNextMember("misses", decimal: Int64(report.misses))
        text.appendNextMember("writes", decimal: Int64(report.writes))
        text.appendNextMember("failures", decimal: Int64(report.failures))
        text.appendNextMember("reconnects", decimal: Int64(report.reconnects))
        text.appendNextName("serverCpuUsPerRequest")
        if let cost = report.serverMicrosecondsPerRequest {
            text.append(contentsOf: Self.decimal(cost, 3).utf8)
        } else {
            text.append("null")
        }
        text.appendNextMember("generatorCpuPercent", number: report.generatorPercent, digits: 1)
        text.append("}")
        return String(decoding: text, as: UTF8.self)
    }

    /// A number with so many digits behind the point; without Foundation, whose formatting is the only other way.
    static func decimal(_ number: Double, _ digits: Int) -> String {
        var scale = 1
        for _ in 0..<digits { scale *= 10 }
        guard number.isFinite, abs(number) < 1e15 else { return "0" }
        let scaled = Int((abs(number) * Double(scale)).rounded())
        let sign = number < 0 && scaled > 0 ? "-" : ""
        guard digits > 0 else { return sign + String(scaled) }
        let fraction = String(scaled % scale)
        return sign + "\(scaled / scale)." + String(repeating: "0", count: digits - fraction.utf8.count) + fraction
    }
}

extension ByteSink {
    fileprivate mutating func appendNextMember(_ name: StaticString, number: Double, digits: Int) {
        self.appendNextName(name)
        for byte in BenchOutput.decimal(number, digits).utf8 { self.append(byte: byte) }
    }
}

/// One line on the error stream that is drawn over and over; nothing where that is no terminal.
struct ProgressBar {
    private let isShown: Bool
    private static let width = 30

    init(isShown: Bool) {
        self.isShown = isShown && isatty(STDERR_FILENO) == 1
    }

    func show(_ progress: LoadProgress) {
        guard self.isShown else { return }
        self.write("\r\u{1B}[K" + Self.line(progress))
    }

    func clear() {
        guard self.isShown else { return }
        self.write("\r\u{1B}[K")
    }

    static func line(_ progress: LoadProgress) -> String {
        let name =
            switch progress.stage {
            case .filling: "filling  "
            case .warmingUp: "warming  "
            case .measuring: "measuring"
            }
        let filled = Int(progress.share * Double(self.width))
        let bar = String(repeating: "█", count: filled) + String(repeating: "·", count: self.width - filled)
        let percent = String(Int(progress.share * 100))
        return "\(name) \(bar) \(String(repeating: " ", count: 3 - percent.utf8.count))\(percent) %  "
            + "\(BenchOutput.decimal(progress.requestsPerSecond, 0)) requests/s"
    }

    private func write(_ text: String) {
        _ = text.withCString { Glibc.write(STDERR_FILENO, $0, strlen($0)) }
    }
}
