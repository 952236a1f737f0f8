// A disk in memory for journal tests: fails calls on demand, and can lose its power. What survives then is what was
// synchronised and, as on a real disk, a random part of what was not.

import CacheNode
import Glibc
import Journal
import Synchronization

/// SplitMix64.
struct JournalRandom: RandomNumberGenerator, Sendable {
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

final class SimulatedDisk: FileOperations {
    enum Fault: Sendable {
        case error(Int32)
        /// A write takes this many bytes at most.
        case short(Int)
    }

    enum Operation: Sendable { case open, create, write, synchronise, rename, remove, synchroniseDirectory, other }

    private struct Node: Sendable {
        var content: [UInt8] = []
        var synchronised: [UInt8] = []
    }

    private struct NameChange: Sendable {
        var directory: String
        var sets: [(path: String, node: Int?)]
    }

    private struct State: Sendable {
        var nodes: [Node] = []
        var names: [String: Int] = [:]
        var durableNames: [String: Int] = [:]
        var nameChanges: [NameChange] = []
        var directories: Set<String> = []
        var descriptors: [Int32: Int] = [:]
        var nextDescriptor: Int32 = 100
        var calls = 0
        var powerFailsAt = Int.max
        var fault: (@Sendable (Operation, String, Int) -> Fault?)?

        mutating func change(_ directory: String, _ sets: [(path: String, node: Int?)]) {
            for (path, node) in sets { names[path] = node }
            nameChanges.append(NameChange(directory: directory, sets: sets))
        }
    }

    private let state = Mutex(State())
    /// A power loss keeps any of the sectors that were not synchronised.
    private let isUnordered: Bool

    init(isUnordered: Bool = false) {
        self.isUnordered = isUnordered
    }

    /// The calls so far.
    var calls: Int { state.withLock { $0.calls } }

    /// Every call from this one on fails, as if the machine had stopped.
    func cutPower(atCall call: Int) { state.withLock { $0.powerFailsAt = call } }

    func inject(_ fault: (@Sendable (Operation, String, _ call: Int) -> Fault?)?) {
        state.withLock { $0.fault = fault }
    }

    func content(_ path: String) -> [UInt8]? {
        state.withLock { state in state.names[path].map { state.nodes[$0].content } }
    }

    func overwrite(_ path: String, _ bytes: [UInt8]) {
        state.withLock { state in
            guard let node = state.names[path] else { return }
            state.nodes[node].content = bytes
            state.nodes[node].synchronised = bytes
        }
    }

    var paths: [String] { state.withLock { $0.names.keys.sorted() } }

    /// The disk as it is while its machine runs on: what another process sees after this one was killed.
    func copy() -> SimulatedDisk {
        let copied = SimulatedDisk(isUnordered: isUnordered)
        var image = state.withLock { $0 }
        image.fault = nil
        image.powerFailsAt = .max
        image.descriptors = [:]
        let frozen = image
        copied.state.withLock { $0 = frozen }
        return copied
    }

    /// The disk after a power loss. Of each directory a prefix of the changes that were not synchronised survives, of
    /// each file a prefix of the bytes; sometimes the file is longer than its bytes and ends in zeros. On an unordered disk
    /// each sector of a file survives or not, whatever became of those before it.
    func afterPowerLoss(seed: UInt64) -> SimulatedDisk {
        var random = JournalRandom(seed: seed)
        var image = state.withLock { $0 }
        image.fault = nil
        image.powerFailsAt = .max
        image.descriptors = [:]
        image.names = image.durableNames
        var kept: [String: Int] = [:]
        for change in image.nameChanges {
            let total = image.nameChanges.filter { $0.directory == change.directory }.count
            let limit = kept[change.directory] ?? Int.random(in: 0...total, using: &random)
            kept[change.directory] = limit - 1
            guard limit > 0 else { continue }
            for (path, node) in change.sets { image.names[path] = node }
        }
        image.nameChanges = []
        image.durableNames = image.names
        for index in image.nodes.indices {
            let node = image.nodes[index]
            var content = node.synchronised
            if isUnordered, node.content.count >= node.synchronised.count {
                content = Self.sectors(of: node, using: &random)
            } else if node.content.starts(with: node.synchronised) {
                let extra = node.content.count - node.synchronised.count
                content = Array(
                    node.content.prefix(node.synchronised.count + Int.random(in: 0...extra, using: &random)))
                let zeros = Int.random(in: 0...(node.content.count - content.count), using: &random)
                if Bool.random(using: &random) { content += [UInt8](repeating: 0, count: zeros) }
            } else if Bool.random(using: &random) {
                content = node.content
            }
            image.nodes[index] = Node(content: content, synchronised: content)
        }
        let survived = SimulatedDisk(isUnordered: isUnordered)
        let frozen = image
        survived.state.withLock { $0 = frozen }
        return survived
    }

    private static func sectors(of node: Node, using random: inout JournalRandom) -> [UInt8] {
        let old = node.synchronised
        var content = Array(
            node.content.prefix(Int.random(in: old.count...node.content.count, using: &random)))
        let share = Int.random(in: 0...4, using: &random)
        for start in stride(from: 0, to: content.count, by: 512) where Int.random(in: 0..<4, using: &random) < share {
            for index in start..<min(start + 512, content.count) { content[index] = index < old.count ? old[index] : 0 }
        }
        return content
    }

    // MARK: FileOperations

    private func perform<Result: Sendable>(
        _ operation: Operation, _ path: String, _ body: (inout State, Fault?) throws(JournalError) -> Result
    ) throws(JournalError) -> Result {
        var failure: JournalError?
        let result: Result? = state.withLock { state -> Result? in
            state.calls += 1
            var fault = state.fault?(operation, path, state.calls)
            if state.calls >= state.powerFailsAt { fault = .error(EIO) }
            if case .error(let code) = fault {
                failure = .file(operation: "\(operation)", path: path, code: code, text: "injected")
                return nil
            }
            do throws(JournalError) { return try body(&state, fault) } catch { failure = error }
            return nil
        }
        guard let result else { throw failure ?? .closed }
        return result
    }

    private static func parent(_ path: String) -> String {
        path.lastIndex(of: "/").map { String(path[..<$0]) } ?? ""
    }

    private static func missing(_ path: String) -> JournalError {
        .file(operation: "open", path: path, code: ENOENT, text: "missing")
    }

    private func open(_ path: String) throws(JournalError) -> Int32 {
        try perform(.open, path) { (state, _) throws(JournalError) in
            guard let node = state.names[path] else { throw Self.missing(path) }
            state.nextDescriptor += 1
            state.descriptors[state.nextDescriptor] = node
            return state.nextDescriptor
        }
    }

    func openForReading(_ path: String) throws(JournalError) -> Int32 { try open(path) }
    func openForWriting(_ path: String) throws(JournalError) -> Int32 { try open(path) }

    func create(_ path: String, exclusive: Bool) throws(JournalError) -> Int32 {
        try perform(.create, path) { (state, _) throws(JournalError) in
            if exclusive, state.names[path] != nil {
                throw .file(operation: "create", path: path, code: EEXIST, text: "exists")
            }
            state.nodes.append(Node())
            state.change(Self.parent(path), [(path, state.nodes.count - 1)])
            state.nextDescriptor += 1
            state.descriptors[state.nextDescriptor] = state.nodes.count - 1
            return state.nextDescriptor
        }
    }

    func write(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer, path: String) throws(JournalError) -> Int {
        let given = Array(bytes)
        return try perform(.write, path) { (state, fault) throws(JournalError) in
            guard let node = state.descriptors[descriptor] else { throw Self.missing(path) }
            var count = given.count
            if case .short(let limit) = fault { count = min(count, limit) }
            state.nodes[node].content += given.prefix(count)
            return count
        }
    }

    func write(
        _ descriptor: Int32, at offset: Int, _ bytes: UnsafeRawBufferPointer, path: String
    ) throws(JournalError) -> Int {
        let given = Array(bytes)
        return try perform(.write, path) { (state, fault) throws(JournalError) in
            guard let node = state.descriptors[descriptor] else { throw Self.missing(path) }
            var count = given.count
            if case .short(let limit) = fault { count = min(count, limit) }
            let missing = max(0, offset - state.nodes[node].content.count)
            state.nodes[node].content += [UInt8](repeating: 0, count: missing)
            let end = min(offset + count, state.nodes[node].content.count)
            state.nodes[node].content.replaceSubrange(offset..<end, with: given.prefix(count))
            return count
        }
    }

    func read(
        _ descriptor: Int32, at offset: Int, into bytes: UnsafeMutableRawBufferPointer, path: String
    ) throws(JournalError) -> Int {
        let wanted = bytes.count
        let part = try perform(.other, path) { (state, _) throws(JournalError) -> [UInt8] in
            guard let node = state.descriptors[descriptor] else { throw Self.missing(path) }
            let content = state.nodes[node].content
            return offset < content.count ? Array(content[offset..<min(content.count, offset + wanted)]) : []
        }
        bytes.copyBytes(from: part)
        return part.count
    }

    func size(_ descriptor: Int32, path: String) throws(JournalError) -> Int {
        try perform(.other, path) { (state, _) throws(JournalError) in
            guard let node = state.descriptors[descriptor] else { throw Self.missing(path) }
            return state.nodes[node].content.count
        }
    }

    func synchronise(_ descriptor: Int32, path: String) throws(JournalError) {
        try perform(.synchronise, path) { (state, _) throws(JournalError) in
            guard let node = state.descriptors[descriptor] else { throw Self.missing(path) }
            state.nodes[node].synchronised = state.nodes[node].content
        }
    }

    func truncate(_ descriptor: Int32, to bytes: Int, path: String) throws(JournalError) {
        try perform(.other, path) { (state, _) throws(JournalError) in
            guard let node = state.descriptors[descriptor] else { throw Self.missing(path) }
            state.nodes[node].content = Array(state.nodes[node].content.prefix(bytes))
        }
    }

    func close(_ descriptor: Int32) { _ = state.withLock { $0.descriptors.removeValue(forKey: descriptor) } }

    func rename(_ from: String, to: String) throws(JournalError) {
        try perform(.rename, from) { (state, _) throws(JournalError) in
            guard let node = state.names[from] else { throw Self.missing(from) }
            state.change(Self.parent(to), [(from, nil), (to, node)])
        }
    }

    func remove(_ path: String) throws(JournalError) {
        try perform(.remove, path) { (state, _) throws(JournalError) in
            guard state.names[path] != nil else { throw Self.missing(path) }
            state.change(Self.parent(path), [(path, nil)])
        }
    }

    func link(_ from: String, to: String) throws(JournalError) {
        try perform(.other, from) { (state, _) throws(JournalError) in
            guard let node = state.names[from] else { throw Self.missing(from) }
            if state.names[to] == nil { state.change(Self.parent(to), [(to, node)]) }
        }
    }

    func makeDirectory(_ path: String) throws(JournalError) {
        try perform(.other, path) { (state, _) throws(JournalError) in _ = state.directories.insert(path) }
    }

    func synchroniseDirectory(_ path: String) throws(JournalError) {
        try perform(.synchroniseDirectory, path) { (state, _) throws(JournalError) in
            for change in state.nameChanges where change.directory == path {
                for (name, node) in change.sets { state.durableNames[name] = node }
            }
            state.nameChanges.removeAll { $0.directory == path }
        }
    }

    func list(_ path: String) throws(JournalError) -> [String]? {
        try perform(.other, path) { (state, _) throws(JournalError) -> [String]? in
            guard state.directories.contains(path) else { return nil }
            return state.names.keys.filter { Self.parent($0) == path }.map { String($0.dropFirst(path.count + 1)) }
        }
    }

    func lock(_ path: String) throws(JournalError) -> Int32 {
        try perform(.other, path) { (state, _) throws(JournalError) in
            state.nextDescriptor += 1
            return state.nextDescriptor
        }
    }
}
