// The schema in schemas/ says what the table says, and real lines conform to it in the eyes of a validator not ours.

import CacheNode
import Foundation
import Testing

@Suite struct LoggingSchemaTests {
    /// The package's directory is the nearest one above this file that holds Package.swift.
    private static func schemaFile() throws -> String {
        var directory = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        while directory.path != "/" {
            if FileManager.default.fileExists(atPath: directory.appendingPathComponent("Package.swift").path) {
                return directory.appendingPathComponent("schemas/log.schema.json").path
            }
            directory.deleteLastPathComponent()
        }
        throw CocoaError(.fileNoSuchFile)
    }

    @Test func theSchemaFileSaysWhatTheTableSays() throws {
        let path = try Self.schemaFile()
        if ProcessInfo.processInfo.environment["UPDATE_SCHEMAS"] == "1" {
            try Data(logSchemaText().utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
        }
        let stored = try String(contentsOfFile: path, encoding: .utf8)
        #expect(stored == logSchemaText(), "run the tests once with UPDATE_SCHEMAS=1 and commit the schema")
    }

    @Test func everyEventAsLoggedConformsToTheSchema() throws {
        let directory = try LogDirectory()
        let system = try LogSystem(node: "1", destination: .file(path: directory.file("log")), level: .debug)
        for event in NodeEvent.allCases where event != .libraryMessage {
            system.log.emit(event, sampleFields(event, isMinimal: true))
            system.log.emit(event, sampleFields(event, isMinimal: false))
        }
        var library = system.library("swift-nio")
        library.error("odd \u{7}", metadata: ["level": "x", "nested": ["a": ["b", "c"]]])
        library.logLevel = .trace
        library.trace("quiet")
        #expect(system.flush(deadlineMilliseconds: 10_000) == .flushed)
        let lines = try logLines(inFile: directory.file("log"))
        #expect(lines.count == NodeEvent.allCases.count * 2)
        #expect(Set(lines.compactMap { $0["event"] as? String }) == Set(NodeEvent.allCases.map(\.rawValue)))
        #expect(try schemaViolations(linesFile: directory.file("log"), schemaFile: Self.schemaFile()) == "")
    }

    @Test(arguments: [
        #"{"ts":"2026-01-02T03:04:05.678Z","level":"info","node":"1","event":"node.listening","msg":"Listening"}"#,
        #"{"ts":"2026-01-02T03:04:05Z","level":"info","node":"1","event":"config.reloaded","msg":"Settings reloaded"}"#,
        #"{"ts":"2026-01-02T03:04:05.678Z","level":"debug","node":"1","event":"config.reloaded","msg":"Settings reloaded"}"#,
        #"{"ts":"2026-01-02T03:04:05.678Z","level":"info","node":"1","event":"config.reloaded","msg":"Other"}"#,
        #"{"ts":"2026-01-02T03:04:05.678Z","level":"info","node":"1","event":"no.such","msg":"Other"}"#,
        #"{"ts":"2026-01-02T03:04:05.678Z","level":"info","node":"1","event":"config.reloaded","msg":"Settings reloaded","x":1}"#,
        #"{"ts":"2026-01-02T03:04:05.678Z","level":"error","node":"1","event":"node.failed","msg":"Cannot run","reason":"r","exitCode":"78"}"#,
    ])
    func theSchemaRefusesALineTheTableDoesNotAllow(line: String) throws {
        let directory = try LogDirectory()
        try Data((line + "\n").utf8).write(to: URL(fileURLWithPath: directory.file("log")))
        #expect(try schemaViolations(linesFile: directory.file("log"), schemaFile: Self.schemaFile()) != "")
    }

    @Test func noEventShadowsWhatEveryLineHas() {
        for event in NodeEvent.allCases {
            let names = event.definition.fields.map(\.name)
            #expect(Set(names).count == names.count)
            #expect(Set(names).isDisjoint(with: ["ts", "level", "node", "event", "msg"]))
            #expect(event.rawValue.allSatisfy { $0.isLowercase || $0 == "." })
        }
    }
}
