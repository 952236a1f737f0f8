// Writes known by their numbers: the newest are, the oldest are forgotten.

import TestSupport
import Testing

@testable import CacheNode

@Suite("Recent operations")
struct RecentOperationsTests {
    private static let capacity = 16_384

    private func version(_ outcome: OperationOutcome?) -> UInt64? {
        switch outcome {
        case .put(let version): version
        case .counted(_, let version, _): version
        case .removed, .touched: 0
        case nil: nil
        }
    }

    @Test("Exactly the newest 16,384 operations are known, each with what it did")
    func bounds() {
        let operations = RecentOperations()
        let count = UInt64(Self.capacity * 2 + 100)
        for number in 1...count {
            operations.record(number, .put(version: number * 10))
            if number == 500 || number == UInt64(Self.capacity) {
                #expect(version(operations.outcome(of: 1)) == 10)
            }
        }
        var wrong: [UInt64] = []
        for number in 1...count {
            let isKept = number > count - UInt64(Self.capacity)
            if version(operations.outcome(of: number)) != (isKept ? number * 10 : nil) { wrong.append(number) }
        }
        #expect(wrong.first == nil)
    }

    @Test("An operation recorded again takes no other's place, and its last outcome counts")
    func repeated() {
        let operations = RecentOperations()
        for number in 1...UInt64(Self.capacity) { operations.record(number, .removed) }
        for _ in 0..<5 { operations.record(7, .counted(4, version: 9, wasCreated: true)) }
        #expect(version(operations.outcome(of: 1)) == 0)
        guard case .counted(4, version: 9, wasCreated: true) = operations.outcome(of: 7) else {
            Issue.record("not the last outcome")
            return
        }
        operations.record(.max, .touched)
        #expect(operations.outcome(of: 1) == nil)
        #expect(version(operations.outcome(of: 2)) == 0 && version(operations.outcome(of: .max)) == 0)
    }

    @Test("A write without a number is never known")
    func withoutNumber() {
        let operations = RecentOperations()
        operations.record(0, .removed)
        #expect(operations.outcome(of: 0) == nil && operations.outcome(of: 1) == nil)
    }

    @Test("Threads that record at once all find what they recorded")
    func concurrent() throws {
        let operations = RecentOperations()
        let results = concurrently(4) { thread in
            (1...2000).allSatisfy { number in
                let operation = UInt64(thread * 10_000 + number)
                operations.record(operation, .put(version: operation))
                guard case .put(operation) = operations.outcome(of: operation) else { return false }
                return true
            }
        }
        for result in results { #expect(try result.get()) }
    }
}
