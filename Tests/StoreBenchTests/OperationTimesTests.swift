// The times of a repeated sequence: the least counts, and what an operation did beside is kept with it.

import Testing

@testable import storebench

private enum Kind: String, CaseIterable { case put, get }

struct OperationTimesTests {
    @Test func `Of each operation the least time of all rounds counts`() throws {
        var times = OperationTimes<Kind>(operations: 3)
        for round in [[30, 5, 900], [10, 50, 700], [20, 7, 800]] {
            times.beginRound()
            for nanoseconds in round { times.note(.put, nanoseconds: UInt64(nanoseconds), SideWork()) }
        }
        let summary = try #require(times.summary(.put))
        #expect(summary.count == 3)
        #expect(summary.p50 == 10)
        #expect(summary.max == 700)
        #expect(times.longest(2).map(\.operation) == [2, 0])
    }

    @Test func `Kinds, ranges and operations that mapped memory are told apart`() throws {
        var times = OperationTimes<Kind>(operations: 5)
        times.note(.put, nanoseconds: 100, SideWork())
        times.note(.get, nanoseconds: 20, SideWork())
        times.note(.put, nanoseconds: 5_000_000, SideWork(mappedBytes: 4096))
        times.note(.put, nanoseconds: 200_000, SideWork(removed: 3, cleanedBytes: 70))
        #expect(times.summary(.get)?.max == 20)
        #expect(times.summary(.put, in: 0..<2)?.max == 100)
        #expect(times.summary(.get, in: 2..<4) == nil)
        let puts = try #require(times.summary(.put))
        #expect((puts.count, puts.above100Microseconds, puts.aboveMillisecond) == (3, 2, 1))
        #expect(times.summary(mapping: true)?.count == 1)
        #expect(times.summary(mapping: false)?.max == 200_000)
        #expect(times.mostWork == SideWork(removed: 3, cleanedBytes: 70, mappedBytes: 4096))
        let longest = try #require(times.longest(1).first)
        #expect((longest.kind, longest.operation, longest.mappedBytes) == ("put", 2, 4096))
    }
}
