// Writes that another node asked for, by the number it gave them: when the answer is lost with its sender, the repetition
// that goes to the new owner is recognised and answered as the first was. Counters and conditional writes need it; the
// others gain that a delete says what it did.
//
// The number travels with the change to the replicas, so that the new owner knows it too. Bounded: the oldest are
// forgotten; a repetition comes within one forward timeout.

import Synchronization

/// What a write did.
enum OperationOutcome: Sendable {
    case put(version: UInt64)
    case counted(Int64, version: UInt64, wasCreated: Bool)
    case removed
    case touched
}

final class RecentOperations: Sendable {
    private static let capacity = 16_384

    private struct State {
        var outcomes: [UInt64: OperationOutcome] = [:]
        var order: [UInt64] = []
        var next = 0
    }

    /// Guards all of it.
    private let state = Mutex(State())

    func record(_ operation: UInt64, _ outcome: OperationOutcome) {
        guard operation != 0 else { return }
        state.withLock { state in
            guard state.outcomes.updateValue(outcome, forKey: operation) == nil else { return }
            if state.order.count < Self.capacity {
                state.order.append(operation)
            } else {
                state.outcomes.removeValue(forKey: state.order[state.next])
                state.order[state.next] = operation
                state.next = (state.next + 1) % Self.capacity
            }
        }
    }

    func outcome(of operation: UInt64) -> OperationOutcome? {
        operation == 0 ? nil : state.withLock { $0.outcomes[operation] }
    }
}
