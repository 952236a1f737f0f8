// The report of `journal verify`, for people and as JSON.

import JSONRPC
import Journal

/// Words for what a check found.
struct JournalReportText {
    private let report: RecoveryReport

    init(_ report: RecoveryReport) {
        self.report = report
    }

    /// One line a file, one a damaged place, and the summary.
    var lines: [UInt8] {
        var lines = self.report.files.map { file in
            "\(file.name): \(Self.outcome(of: file)), \(file.records) records, \(file.bytes) bytes"
        }
        lines += self.report.damaged.map { "\($0.file): byte \($0.offset): \($0.reason.rawValue)" }
        let unlisted = self.report.damageCount - self.report.damaged.count
        if unlisted > 0 { lines.append("\(unlisted) more damaged places") }
        lines.append(self.summary)
        return Array((lines.joined(separator: "\n") + "\n").utf8)
    }

    /// One line.
    var summary: String {
        let report = self.report
        let content =
            "\(report.records) records in \(report.segments) segments and \(report.snapshots) snapshots, "
            + "last sequence \(report.lastSequence)"
        if report.isClean { return "clean: \(content)" }
        if report.damageCount == 0 { return "torn: \(report.tornBytes) bytes of an unfinished record; \(content)" }
        return
            "damaged: \(report.damageCount) places, \(report.droppedBytes) bytes and \(report.droppedRecords) records "
            + "dropped, \(report.droppedKeys) older keys forgotten; \(content)"
    }

    /// One object with a line feed.
    var json: [UInt8] {
        let report = self.report
        var text: [UInt8] = []
        text.append(report.isClean ? "{\"clean\":true" : "{\"clean\":false")
        text.appendNextMember("records", decimal: Int64(report.records))
        text.appendNextMember("segments", decimal: Int64(report.segments))
        text.appendNextMember("snapshots", decimal: Int64(report.snapshots))
        text.appendNextMember("lastSequence", string: String(report.lastSequence))
        text.appendNextMember("maxVersion", string: String(report.maxVersion))
        text.appendNextMember("tornBytes", decimal: Int64(report.tornBytes))
        text.appendNextMember("droppedBytes", decimal: Int64(report.droppedBytes))
        text.appendNextMember("droppedRecords", decimal: Int64(report.droppedRecords))
        text.appendNextMember("droppedKeys", decimal: Int64(report.droppedKeys))
        text.appendNextMember("damageCount", decimal: Int64(report.damageCount))
        text.appendNextName("damaged")
        text.appendArray(report.damaged) { text, place in
            text.append("{\"file\":")
            text.appendJSONString(place.file)
            text.appendNextMember("offset", decimal: Int64(place.offset))
            text.appendNextMember("reason", string: place.reason.rawValue)
            text.append("}")
        }
        text.appendNextName("files")
        text.appendArray(report.files) { text, file in
            text.append("{\"name\":")
            text.appendJSONString(file.name)
            text.appendNextMember("outcome", constant: Self.outcomeName(of: file))
            text.appendNextMember("records", decimal: Int64(file.records))
            text.appendNextMember("bytes", decimal: Int64(file.bytes))
            text.append("}")
        }
        text.append("}\n")
        return text
    }

    private static func outcome(of file: FileReport) -> String {
        switch file.outcome {
        case .clean: "clean"
        case .tornTail(let offset): "torn at byte \(offset)"
        case .corrupt(let droppedBytes, let reason): "damaged (\(reason.rawValue), \(droppedBytes) bytes dropped)"
        }
    }

    private static func outcomeName(of file: FileReport) -> StaticString {
        switch file.outcome {
        case .clean: "clean"
        case .tornTail: "torn"
        case .corrupt: "damaged"
        }
    }
}

extension [UInt8] {
    fileprivate mutating func appendArray<Item>(_ items: [Item], _ append: (inout [UInt8], Item) -> Void) {
        self.append("[")
        for (position, item) in items.enumerated() {
            if position > 0 { self.append(",") }
            append(&self, item)
        }
        self.append("]")
    }
}
