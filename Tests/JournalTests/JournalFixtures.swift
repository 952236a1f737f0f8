// A journal in memory for the tests of the pure core: seeded changes, the bytes of their files, and the slow obvious
// model of what must be left.

import CZlib
import Journal

/// SplitMix64: the same numbers from the same seed on every machine.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

enum TestCodec {
    static let inflate: JournalInflate = { stored, target in
        var stream = z_stream()
        guard spyder_inflateInit2(&stream, -15) == Z_OK else { return false }
        defer { inflateEnd(&stream) }
        var input = Array(stored)
        var output = [UInt8](repeating: 0, count: target.count + 1)
        let produced = input.withUnsafeMutableBufferPointer { input in
            output.withUnsafeMutableBufferPointer { output in
                stream.next_in = input.baseAddress
                stream.avail_in = UInt32(input.count)
                stream.next_out = output.baseAddress
                stream.avail_out = UInt32(output.count)
                _ = CZlib.inflate(&stream, Z_SYNC_FLUSH)
                return Int(stream.total_out)
            }
        }
        target.copyBytes(from: output.dropLast())
        return produced == target.count
    }

    static let deflate: JournalDeflate = { raw, target in
        var stream = z_stream()
        guard spyder_deflateInit2(&stream, 6, -15, 8) == Z_OK else { return nil }
        defer { deflateEnd(&stream) }
        var input = Array(raw)
        var output = [UInt8](repeating: 0, count: raw.count + 1024)
        let produced = input.withUnsafeMutableBufferPointer { input in
            output.withUnsafeMutableBufferPointer { output in
                stream.next_in = input.baseAddress
                stream.avail_in = UInt32(input.count)
                stream.next_out = output.baseAddress
                stream.avail_out = UInt32(output.count)
                _ = CZlib.deflate(&stream, Z_SYNC_FLUSH)
                return Int(stream.total_out)
            }
        }
        guard produced <= target.count else { return nil }
        target.copyBytes(from: output.prefix(produced))
        return produced
    }
}

struct ModelEntry: Equatable {
    var value: [UInt8]
    var form = JournalValueForm.plain
    var wallExpiry = Int64.max
    var version: UInt64
}

/// The reference implementation of a sink's duties.
struct ModelSink: RecoverySink {
    var entries: [[UInt8]: ModelEntry] = [:]

    mutating func put(_ record: JournalRecord) {
        let key = Array(record.key)
        if let old = entries[key], old.version >= record.version { return }
        entries[key] = ModelEntry(
            value: Array(record.value), form: record.form, wallExpiry: record.wallExpiry, version: record.version)
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
        defer { entries = [:] }
        return entries.count
    }
}

/// A change that owns its bytes.
struct Change {
    var kind: JournalRecord.Kind
    var key: [UInt8] = []
    var value: [UInt8] = []
    var form = JournalValueForm.plain
    var wallExpiry = Int64.max
    var version: UInt64

    func withRecord<Result>(_ body: (JournalRecord) throws -> Result) rethrows -> Result {
        try key.withUnsafeBytes { key in
            try value.withUnsafeBytes { value in
                switch kind {
                case .put:
                    try body(
                        .put(key: key, value: value, form: form, wallExpiry: wallExpiry, version: version))
                case .remove: try body(.remove(key: key, version: version))
                case .touch: try body(.touch(key: key, wallExpiry: wallExpiry, version: version))
                case .flush, .seal: try body(.flush(version: version))
                }
            }
        }
    }

    func apply(to sink: inout ModelSink) {
        withRecord { record in
            switch kind {
            case .put: sink.put(record)
            case .remove: sink.remove(record)
            case .touch: sink.touch(record)
            case .flush, .seal: sink.flush(record)
            }
        }
    }

    /// `count` changes over few keys: mostly puts, some removes and touches, seldom a flush.
    static func random(_ count: Int, keys: Int, maxValue: Int, flushes: Bool = true, using random: inout SplitMix)
        -> [Change]
    {
        (0..<count).map { index in
            let version = UInt64(index) * 3 + 10
            let key = Array("key-\(Int.random(in: 0..<keys, using: &random))".utf8)
            switch Int.random(in: 0..<100, using: &random) {
            case 0 where flushes: return Change(kind: .flush, version: version)
            case 1..<12: return Change(kind: .remove, key: key, version: version)
            case 12..<20:
                let expiry = Int64.random(in: 0...(1 << 45), using: &random)
                return Change(kind: .touch, key: key, wallExpiry: expiry, version: version)
            default:
                let size = Int.random(in: 0...maxValue, using: &random)
                // Half text that deflates, half noise full of bytes that look like the start of a header.
                let value: [UInt8] =
                    Bool.random(using: &random)
                    ? Array("\"\(index) \(String(repeating: "spider ", count: size / 7))\"".utf8)
                    : (0..<size).map { _ in [0xF5, 0x53, 0x52, 0xFA, 0, 65].randomElement(using: &random) ?? 0 }
                let form: JournalValueForm =
                    Int.random(in: 0..<4, using: &random) == 0
                    ? .deflated(originalBytes: UInt32(size), crc32: 77) : .plain
                let expiry = Bool.random(using: &random) ? Int64.max : Int64.random(in: 0...(1 << 45), using: &random)
                return Change(kind: .put, key: key, value: value, form: form, wallExpiry: expiry, version: version)
            }
        }
    }

    static func model(of changes: some Sequence<Change>) -> [[UInt8]: ModelEntry] {
        var sink = ModelSink()
        for change in changes { change.apply(to: &sink) }
        return sink.entries
    }
}

/// One file of a journal in memory.
struct MemoryFile {
    var kind: JournalFileKind
    var number: UInt32
    var bytes: [UInt8]
    /// Where each record (segment) starts; the end of the last one is the end of the file when it is not sealed.
    var starts: [Int] = []

    static let epoch: UInt64 = 0x5EED_0F_5EED
    static let seed = EpochSeed(epoch: epoch)

    static func segment(
        _ changes: some Collection<Change>, number: UInt32 = 1, first: UInt64 = 1, isSealed: Bool = false
    ) -> MemoryFile {
        var out = RawBuffer()
        JournalFileHeader(kind: .segment, number: number, firstSequence: first, epoch: epoch, created: 1).append(
            to: &out)
        var starts: [Int] = []
        var sequence = first
        for change in changes {
            starts.append(out.count)
            change.withRecord { RecordEncoder.append($0, sequence: sequence, seed: seed, to: &out) }
            sequence += 1
        }
        if isSealed {
            RecordEncoder.appendSeal(
                lastSequence: sequence - 1, records: UInt64(changes.count), seed: seed, to: &out)
        }
        return MemoryFile(kind: .segment, number: number, bytes: Array(out.bytes), starts: starts)
    }

    /// A segment of version 2: commits of these numbers of records, and zeros after the content.
    static func laidOut(_ changes: [Change], commits: [Int], zeros: Int, isSealed: Bool = false) -> MemoryFile {
        var out = RawBuffer()
        JournalFileHeader(
            kind: .segment, number: 1, firstSequence: 1, epoch: epoch, created: 1, isLaidOut: true
        ).append(to: &out)
        var file = MemoryFile(kind: .segment, number: 1, bytes: [])
        var rest = changes[...]
        var sequence: UInt64 = 1
        for count in commits {
            for (index, change) in rest.prefix(count).enumerated() {
                file.starts.append(out.count)
                change.withRecord {
                    RecordEncoder.append($0, sequence: sequence, beginsCommit: index == 0, seed: seed, to: &out)
                }
                sequence += 1
            }
            rest = rest.dropFirst(count)
        }
        if isSealed {
            RecordEncoder.appendSeal(lastSequence: sequence - 1, records: sequence - 1, seed: seed, to: &out)
        }
        file.bytes = Array(out.bytes) + [UInt8](repeating: 0, count: zeros)
        return file
    }

    static func blocks(
        _ kind: JournalFileKind, _ changes: some Collection<Change>, number: UInt32 = 1, first: UInt64 = 1,
        deflate: JournalDeflate? = TestCodec.deflate
    ) -> MemoryFile {
        var out = RawBuffer()
        JournalFileHeader(kind: kind, number: number, firstSequence: first, epoch: epoch, created: 1).append(to: &out)
        var writer = BlockWriter(seed: seed, deflate: deflate)
        var sequence = kind == .snapshot ? 1 : first
        for change in changes {
            change.withRecord { writer.append($0, sequence: sequence) }
            sequence += 1
        }
        writer.finish(into: &out)
        return MemoryFile(kind: kind, number: number, bytes: Array(out.bytes))
    }

    static func replay(
        _ files: [MemoryFile], chunkBytes: Int = 4096, limits: JournalLimits = JournalLimits(), startsAt: UInt64? = 1
    ) throws -> (sink: ModelSink, report: RecoveryReport) {
        var sink = ModelSink()
        var replay = Replay(limits: limits, epoch: epoch, startsAt: startsAt, inflate: TestCodec.inflate)
        let newest = files.last { $0.kind != .snapshot }?.number
        for file in files {
            let window = JournalWindow(size: file.bytes.count, chunkBytes: chunkBytes) { (offset, into) in
                let count = max(0, min(into.count, file.bytes.count - offset))
                if count > 0 { into.copyBytes(from: file.bytes[offset..<offset + count]) }
                return count
            }
            try replay.replay(
                window, name: JournalFile(number: file.number, kind: file.kind, bytes: 0).name, kind: file.kind,
                number: file.number, isLast: file.number == newest, into: &sink)
        }
        replay.finish(into: &sink)
        return (sink, replay.report)
    }
}
