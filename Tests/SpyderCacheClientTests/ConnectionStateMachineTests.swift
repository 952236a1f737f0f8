// The rules of one connection, against a slow model that keeps a plain list.

import TestSupport
import Testing

@testable import SpyderCacheClient

struct ConnectionStateMachineTests {
    private func id(_ number: UInt64) -> RequestID { RequestID(rawValue: number) }

    @Test func `replies go to calls in the order sent`() {
        var machine = ConnectionStateMachine(maxInFlight: 2)
        #expect(machine.callSubmitted(self.id(1)) == .write)
        #expect(machine.callSubmitted(self.id(2)) == .write)
        #expect(machine.hasRoom == false)
        #expect(machine.callSubmitted(self.id(3)) == .refuse)
        #expect(machine.replyCompleted(keepsAlive: true) == .deliver(self.id(1), thenClose: false))
        #expect(machine.hasRoom == true)
        #expect(machine.replyCompleted(keepsAlive: true) == .deliver(self.id(2), thenClose: false))
        #expect(machine.replyCompleted(keepsAlive: true) == .unsolicited)
        #expect(machine.hasRoom == false)
    }

    @Test func `a late reply retires the connection and spares the calls behind it`() {
        var machine = ConnectionStateMachine(maxInFlight: 4)
        for number: UInt64 in 1...3 { #expect(machine.callSubmitted(self.id(number)) == .write) }
        #expect(machine.callOverdue(self.id(1)) == .none)
        #expect(machine.callSubmitted(self.id(4)) == .refuse)
        #expect(machine.replyCompleted(keepsAlive: true) == .drop(thenClose: false))
        #expect(machine.replyCompleted(keepsAlive: true) == .deliver(self.id(2), thenClose: false))
        #expect(machine.replyCompleted(keepsAlive: true) == .deliver(self.id(3), thenClose: true))
    }

    @Test func `a retired connection closes when nobody waits for it`() {
        var machine = ConnectionStateMachine(maxInFlight: 4)
        for number: UInt64 in 1...2 { #expect(machine.callSubmitted(self.id(number)) == .write) }
        #expect(machine.callAbandoned(self.id(2)) == .none)
        #expect(machine.callOverdue(self.id(1)) == .close)
        #expect(machine.connectionLost().map(\.isAbandoned) == [true, true])
        #expect(machine.connectionLost().isEmpty)
        #expect(machine.callAbandoned(self.id(1)) == .none)
        #expect(machine.callOverdue(self.id(1)) == .none)
        #expect(machine.callSubmitted(self.id(9)) == .refuse)
        #expect(machine.replyCompleted(keepsAlive: true) == .drop(thenClose: false))
    }

    @Test func `the announced close lets nothing new in and loses what is behind`() {
        var machine = ConnectionStateMachine(maxInFlight: 4)
        for number: UInt64 in 1...2 { #expect(machine.callSubmitted(self.id(number)) == .write) }
        #expect(machine.replyCompleted(keepsAlive: false) == .deliver(self.id(1), thenClose: true))
        #expect(machine.callSubmitted(self.id(3)) == .refuse)
        #expect(machine.connectionLost().map(\.id) == [self.id(2)])
    }

    /// What the machine should know, kept the obvious way.
    private struct Model {
        var slots: [(id: UInt64, isAbandoned: Bool)] = []
        var isRetiring = false

        var isIdle: Bool { self.slots.allSatisfy { $0.isAbandoned } }
    }

    @Test(arguments: 0..<20)
    func `agrees with a plain list under random events`(seed: Int) {
        var random = SeededRandom(seed: UInt64(seed))
        var machine = ConnectionStateMachine(maxInFlight: 5)
        var model = Model()
        var next: UInt64 = 0
        for step in 0..<2_000 {
            let target = model.slots.randomElement(using: &random)?.id ?? 0
            let place: Comment = "seed \(seed), step \(step)"
            switch Int.random(in: 0..<20, using: &random) {
            case 0..<9:
                next += 1
                let fits = !model.isRetiring && model.slots.count < 5
                #expect(machine.callSubmitted(self.id(next)) == (fits ? .write : .refuse), place)
                if fits { model.slots.append((next, false)) }
            case 9..<16 where !model.slots.isEmpty:
                let keepsAlive = Int.random(in: 0..<40, using: &random) > 0
                let slot = model.slots.removeFirst()
                let thenClose = !keepsAlive || (model.isRetiring && model.isIdle)
                model.isRetiring = model.isRetiring || !keepsAlive
                let action = machine.replyCompleted(keepsAlive: keepsAlive)
                let expected: ConnectionStateMachine.ReplyAction =
                    slot.isAbandoned ? .drop(thenClose: thenClose) : .deliver(self.id(slot.id), thenClose: thenClose)
                #expect(action == expected, place)
            case 16..<18:
                if let index = model.slots.firstIndex(where: { $0.id == target }) {
                    model.slots[index].isAbandoned = true
                }
                #expect(
                    machine.callAbandoned(self.id(target)) == (model.isRetiring && model.isIdle ? .close : .none), place
                )
            case 18 where !model.slots.isEmpty:
                if let index = model.slots.firstIndex(where: { $0.id == target }) {
                    model.slots[index].isAbandoned = true
                }
                model.isRetiring = true
                #expect(machine.callOverdue(self.id(target)) == (model.isIdle ? .close : .none), place)
            default:
                guard model.isRetiring else { continue }
                #expect(machine.connectionLost().map(\.id.rawValue) == model.slots.map(\.id), place)
                #expect(machine.hasRoom == false, place)
                machine = ConnectionStateMachine(maxInFlight: 5)
                model = Model()
            }
        }
    }
}
