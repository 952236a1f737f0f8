// Threads that read from shards as event loops do: a key's shard is locked, the entry found, its bytes copied out, and then
// the thread works for the rest of a request. Counts how often a thread found the lock held. With more threads than cores a
// thread that holds a lock can be put aside, so the counts mean something only up to the number of cores.

import CacheStore
import Glibc
import LoadGenerator
import Synchronization
import TestSupport

struct LockContention {
    private final class Shard: Sendable {
        let store: Mutex<Store>

        init(limitBytes: Int) {
            store = Mutex(
                Store(settings: StoreSettings(maxKeys: 0, limitBytes: limitBytes, hasher: BenchStore.hasher)))
        }
    }

    struct Report: Encodable {
        var threads: Int
        var shards: Int
        var isOneHot: Bool
        var betweenNanoseconds: Int
        var reads: Int
        /// Reads that found the lock of their shard held.
        var collisions: Int
        /// Making and hashing a key, which is done outside the lock.
        var keyNanoseconds: Double
        /// Wall time of a read and what follows it, for one thread.
        var cycleNanoseconds: Double
        /// Processor time of the same.
        var processorNanoseconds: Double
    }

    let threads: Int
    let shards: Int
    let entries: Int
    let betweenNanoseconds: Int
    let isOneHot: Bool
    let reads: Int

    func measure() -> Report {
        let filled = filledShards()
        let turns = turns(of: betweenNanoseconds)
        let arrived = Atomic<Int>(0)
        let processorBefore = Atomic<UInt64>(0)
        let plan = self
        // Threads that start one after another would have the first alone for a while: all wait for the last.
        let results = withExtendedLifetime(filled) {
            concurrently(threads) { index -> (collisions: Int, nanoseconds: UInt64) in
                arrived.add(1, ordering: .relaxed)
                while arrived.load(ordering: .relaxed) < plan.threads {}
                if index == 0 { processorBefore.store(processNanoseconds(), ordering: .relaxed) }
                let start = monotonicNanoseconds()
                let collisions = plan.read(filled, turns: turns, seed: UInt64(index))
                return (collisions, monotonicNanoseconds() - start)
            }
        }
        let processor = processNanoseconds() - processorBefore.load(ordering: .relaxed)
        let finished = results.compactMap { try? $0.get() }
        let total = Double(reads * threads)
        return Report(
            threads: threads, shards: shards, isOneHot: isOneHot, betweenNanoseconds: betweenNanoseconds,
            reads: reads * threads, collisions: finished.reduce(0) { $0 + $1.collisions },
            keyNanoseconds: keyNanoseconds(),
            cycleNanoseconds: finished.reduce(0) { $0 + Double($1.nanoseconds) } / total,
            processorNanoseconds: Double(processor) / total)
    }

    /// One thread's part; returns its collisions.
    private func read(_ shards: [Shard], turns: Int, seed: UInt64) -> Int {
        var numbers = KeySequence(keys: entries, choice: isOneHot ? .oneHot : .uniform, seed: seed &+ 1)
        let key = UnsafeMutableRawBufferPointer.allocate(byteCount: 16, alignment: 8)
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: 128, alignment: 8)
        defer {
            key.deallocate()
            copy.deallocate()
        }
        var collisions = 0
        var state = seed
        var random = SeededRandom(seed: seed)
        for _ in 0..<reads {
            BenchStore.write(numbers.next(), to: key)
            let bytes = UnsafeRawBufferPointer(key)
            let hash = BenchStore.hasher.hash(bytes)
            let shard = shards[shards.count == 1 ? 0 : hash.shard(of: shards.count)]
            let atOnce: Void? = shard.store.withLockIfAvailable { Self.copy(bytes, hash, &$0, copy) }
            if atOnce == nil {
                collisions += 1
                shard.store.withLock { Self.copy(bytes, hash, &$0, copy) }
            }
            // Exponential, as a model assumes. With constant times two threads that met once stay out of step and meet no
            // more: 0.3 % of reads found the lock held where 6 % do now.
            let share = -log(Double.random(in: 0x1p-53..<1, using: &random))
            state = Self.work(Int(Double(turns) * share), state)
        }
        // What nobody looks at might not be computed.
        return state == 0 ? 0 : collisions
    }

    /// Time to make and hash one key here.
    private func keyNanoseconds() -> Double {
        var numbers = KeySequence(keys: entries, choice: isOneHot ? .oneHot : .uniform, seed: 1)
        let key = UnsafeMutableRawBufferPointer.allocate(byteCount: 16, alignment: 8)
        defer { key.deallocate() }
        var odd = 0
        let start = monotonicNanoseconds()
        for _ in 0..<reads {
            BenchStore.write(numbers.next(), to: key)
            odd += BenchStore.hasher.hash(UnsafeRawBufferPointer(key)).shard(of: 2)
        }
        let took = monotonicNanoseconds() - start
        precondition(odd <= reads, "what nobody looks at might not be computed")
        return Double(took) / Double(reads)
    }

    /// What a `cache.get` does under the lock.
    private static func copy(
        _ key: UnsafeRawBufferPointer, _ hash: KeyHash, _ store: inout Store, _ copy: UnsafeMutableRawBufferPointer
    ) {
        guard let entry = store.get(key, hash: hash, now: 0) else { return }
        copy.copyMemory(from: entry.value)
    }

    private func filledShards() -> [Shard] {
        let filled = (0..<shards).map { _ in Shard(limitBytes: max(64 << 20, entries * 400 / shards)) }
        let key = UnsafeMutableRawBufferPointer.allocate(byteCount: 16, alignment: 8)
        let value = UnsafeMutableRawBufferPointer.allocate(byteCount: 100, alignment: 8)
        defer {
            key.deallocate()
            value.deallocate()
        }
        value.initializeMemory(as: UInt8.self, repeating: UInt8(ascii: "1"))
        for number in 0..<entries {
            BenchStore.write(number, to: key)
            let bytes = UnsafeRawBufferPointer(key)
            let hash = BenchStore.hasher.hash(bytes)
            let value = UnsafeRawBufferPointer(value)
            filled[hash.shard(of: shards)].store.withLock { store in
                _ = store.put(
                    bytes, hash: hash, value: value, form: .plain, expiry: .never, version: 1, condition: .always,
                    now: 0)
            }
        }
        return filled
    }

    // MARK: Work between reads

    /// Turns of `work` that take so long here; the best of several tries.
    private func turns(of nanoseconds: Int) -> Int {
        guard nanoseconds > 0 else { return 0 }
        let sample = 1_000_000
        var state: UInt64 = 1
        let took =
            (0..<5).map { _ -> UInt64 in
                let start = monotonicNanoseconds()
                state = Self.work(sample, state)
                return monotonicNanoseconds() - start
            }.min() ?? 1
        precondition(state != 0, "the work is not left out")
        return nanoseconds * sample / Int(max(1, took))
    }

    /// A chain of multiplications: no memory, nothing that two of them could do at once.
    @inline(never) private static func work(_ turns: Int, _ state: UInt64) -> UInt64 {
        var state = state
        for _ in 0..<turns { state = (state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407) | 1 }
        return state
    }
}
