// A store of a few keys beside a journal, for journal tests: mutates and appends under one lock, as the node does
// under a shard's.

import CZlib
import CacheNode
import Journal
import Synchronization

struct HarnessEntry: Equatable, Sendable {
    var value: [UInt8]
    var wallExpiry: Int64
    var version: UInt64
}

/// The changes by sequence and what they leave.
struct HarnessModel: RecoverySink, Sendable {
    var entries: [[UInt8]: HarnessEntry] = [:]
    var losses = 0

    mutating func put(_ record: JournalRecord) {
        let key = Array(record.key)
        if let old = entries[key], old.version >= record.version { return }
        entries[key] = HarnessEntry(
            value: Array(record.value), wallExpiry: record.wallExpiry, version: record.version)
    }

    mutating func remove(_ record: JournalRecord) {
        let key = Array(record.key)
        if let old = entries[key], old.version <= record.version { entries[key] = nil }
    }

    mutating func touch(_ record: JournalRecord) {
        let key = Array(record.key)
        if let old = entries[key], old.version <= record.version { entries[key]?.wallExpiry = record.wallExpiry }
    }

    mutating func flush(_ record: JournalRecord) {
        let version = record.version
        entries = entries.filter { $0.value.version > version }
    }

    mutating func dropKey(_ record: JournalRecord) {
        let key = Array(record.key)
        if let old = entries[key], old.version < record.version { entries[key] = nil }
    }

    mutating func removeAll() -> Int {
        losses += 1
        defer { entries = [:] }
        return entries.count
    }
}

enum HarnessCodec {
    /// zlib at its fastest: the tests compress thousands of tiny segments.
    static let codec = JournalCodec(
        inflate: { stored, output in
            var length = UInt(output.count)
            let result = uncompress(
                output.baseAddress?.assumingMemoryBound(to: UInt8.self), &length,
                stored.baseAddress?.assumingMemoryBound(to: UInt8.self), UInt(stored.count))
            return result == Z_OK && Int(length) == output.count
        },
        deflate: { raw, output in
            var length = UInt(output.count)
            let result = compress2(
                output.baseAddress?.assumingMemoryBound(to: UInt8.self), &length,
                raw.baseAddress?.assumingMemoryBound(to: UInt8.self), UInt(raw.count), 1)
            return result == Z_OK ? Int(length) : nil
        })
}

final class JournalHarness: Sendable {
    struct State: Sendable {
        var model: HarnessModel
        /// The model after each sequence, when histories are kept.
        var history: [UInt64: [[UInt8]: HarnessEntry]] = [:]
        var version: UInt64
        var failures: [String] = []
        var events: [JournalEvent] = []
        var advances: [UInt64] = []
    }

    let service: JournalService
    let report: RecoveryReport
    let recovered: RecoveredJournal
    let state: Mutex<State>
    private let keepsHistory: Bool

    static let keys = 24
    static func key(_ index: Int) -> [UInt8] { Array("key-\(index)".utf8) }

    /// Carries the harness to the journal's hooks, which exist before it does.
    private final class Link: Sendable {
        let state: Mutex<State>
        init(_ model: HarnessModel, version: UInt64) { state = Mutex(State(model: model, version: version)) }
    }

    private let link: Link

    init(
        _ files: any FileOperations, path: String = "/data", settings: JournalSettings = JournalSettings(),
        keepsHistory: Bool = false, beginsUpkeep: Bool = true, codec: JournalCodec = HarnessCodec.codec,
        snapshotFilter: (@Sendable () -> Void)? = nil
    ) throws {
        let directory = try JournalDirectory(path, files: files)
        var model = HarnessModel()
        recovered = try directory.recover(limits: settings.limits, codec: codec, into: &model)
        report = recovered.report
        let link = Link(model, version: report.maxVersion)
        self.link = link
        self.keepsHistory = keepsHistory
        service = try JournalService(
            directory: directory, recovered: recovered, newEpoch: 0xABCD_EF01, settings: settings,
            codec: codec,
            hooks: JournalHooks(
                onAdvance: { sequence in link.state.withLock { $0.advances.append(sequence) } },
                onFailure: { reason, _ in link.state.withLock { $0.failures.append(reason) } },
                onEvent: { event in link.state.withLock { $0.events.append(event) } },
                snapshotSource: { cursor, emit in
                    snapshotFilter?()
                    return link.state.withLock { state in
                        // Three keys a chunk: writes get in between.
                        for index in cursor.position..<min(cursor.position + 3, JournalHarness.keys) {
                            let key = JournalHarness.key(index)
                            guard let entry = state.model.entries[key] else { continue }
                            key.withUnsafeBytes { key in
                                entry.value.withUnsafeBytes { value in
                                    emit(
                                        .put(
                                            key: key, value: value, form: .plain, wallExpiry: entry.wallExpiry,
                                            version: entry.version))
                                }
                            }
                        }
                        cursor.position += 3
                        return cursor.position < JournalHarness.keys
                    }
                }))
        state = Mutex(State(model: HarnessModel(), version: 0))
        if beginsUpkeep { service.beginUpkeep() }
    }

    var entries: [[UInt8]: HarnessEntry] { link.state.withLock { $0.model.entries } }
    var failures: [String] { link.state.withLock { $0.failures } }
    var events: [JournalEvent] { link.state.withLock { $0.events } }
    var advances: [UInt64] { link.state.withLock { $0.advances } }
    func history(at sequence: UInt64) -> [[UInt8]: HarnessEntry]? { link.state.withLock { $0.history[sequence] } }

    /// Stores and appends as a node does; nil when the journal refuses.
    @discardableResult
    func put(_ key: [UInt8], _ value: [UInt8], wallExpiry: Int64 = .max) -> UInt64? {
        change(key, value) { .put(key: $0, value: $1, form: .plain, wallExpiry: wallExpiry, version: $2) }
    }

    @discardableResult
    func remove(_ key: [UInt8]) -> UInt64? {
        change(key, []) { key, _, version in .remove(key: key, version: version) }
    }

    @discardableResult
    func touch(_ key: [UInt8], wallExpiry: Int64) -> UInt64? {
        change(key, []) { key, _, version in .touch(key: key, wallExpiry: wallExpiry, version: version) }
    }

    @discardableResult
    func flush() -> UInt64? { change([], []) { _, _, version in .flush(version: version) } }

    private func change(
        _ key: [UInt8], _ value: [UInt8],
        _ record: (UnsafeRawBufferPointer, UnsafeRawBufferPointer, UInt64) -> JournalRecord
    ) -> UInt64? {
        key.withUnsafeBytes { key in
            value.withUnsafeBytes { value in
                link.state.withLock { state in
                    guard service.isOpen else { return nil }
                    state.version += 1
                    let record = record(key, value, state.version)
                    switch record.kind {
                    case .put: state.model.put(record)
                    case .remove: state.model.remove(record)
                    case .touch: state.model.touch(record)
                    case .flush, .seal: state.model.flush(record)
                    }
                    let sequence = service.append(record)
                    if let sequence, keepsHistory { state.history[sequence] = state.model.entries }
                    return sequence
                }
            }
        }
    }

    /// One random change; about as many puts as a cache sees.
    @discardableResult
    func randomChange(using random: inout JournalRandom) -> UInt64? {
        let key = Self.key(Int.random(in: 0..<Self.keys, using: &random))
        switch Int.random(in: 0..<60, using: &random) {
        case 0: return flush()
        case 1..<8: return remove(key)
        case 8..<12: return touch(key, wallExpiry: Int64.random(in: 1...(1 << 40), using: &random))
        default:
            let size = Int.random(in: 0...120, using: &random)
            return put(key, (0..<size).map { _ in UInt8.random(in: 32...126, using: &random) })
        }
    }

    /// Waits, busily but not for a time, until `sequence` is acknowledged or the journal refuses.
    func waitForAcknowledgement(of sequence: UInt64) -> Bool {
        while service.watermark < sequence {
            guard service.isOpen else { return false }
            service.requestCommit()
        }
        return true
    }
}
