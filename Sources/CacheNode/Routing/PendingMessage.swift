// A message that other nodes have to do with: calls forwarded to their owners, writes that wait for replicas. Confined to the
// event loop it runs on.
//
//     reply so far   {"jsonrpc":…},·········,{"jsonrpc":…,"result":{"stored":true…}}      written while the message is run
//     slots                        ╰ forwarded: empty here, filled in by the owner's answer
//                                             ╰ guarded: stands unless replicas fail, its own or those of a change it
//                                               shows (ChangesInDoubt); else an error takes its place
//
// The executor adds slots and starts what they wait for, then hands the reply over (`seal`); when the last one is settled the
// whole reply is put together in one go and given to `onFinish`, once. It always ends: everything a slot waits for has a
// deadline.

import JSONRPC
import NIOCore

final class PendingMessage {
    /// One call's place in the reply.
    struct Slot {
        enum State {
            /// Nothing has been heard yet.
            case waiting
            /// What stands between the marks is the answer; said as often as `claims` tells.
            case asWritten
            /// The owner's answer, a whole response object.
            case answered(PeerReply)
            /// A result that was put together from several nodes' answers.
            case result(ReplyBuffer)
            case failed(MethodFailure)
        }

        var start: ReplyBuffer.Mark
        var end: ReplyBuffer.Mark
        /// nil for a notification, which gets no answer.
        var id: JSONSlice?
        var state = State.waiting
        /// How many have to say that the answer stands as it is written.
        var claims = 1
    }

    let node: NodeCore
    let thread: ThreadState
    /// The request's text, which ids and parameters are slices of.
    let body: ByteBuffer
    /// Whether calls that failed in ways that another node may mend are answered by their bare code.
    let isForPeer: Bool
    private(set) var slots: [Slot] = []
    private var missing = 0
    private var reply: ReplyBuffer?
    private(set) var outcome = MessageOutcome(kind: .answered)
    /// Gets the complete reply.
    var onFinish: ((PendingMessage, ReplyBuffer) -> Void)?

    init(node: NodeCore, thread: ThreadState, body: ByteBuffer, isForPeer: Bool) {
        self.node = node
        self.thread = thread
        self.body = body
        self.isForPeer = isForPeer
    }

    /// Adds a slot and returns its number.
    func addSlot(from start: ReplyBuffer.Mark, to end: ReplyBuffer.Mark, id: JSONSlice?) -> Int {
        slots.append(Slot(start: start, end: end, id: id))
        missing += 1
        return slots.count - 1
    }

    /// One more has to say that what is written in a slot stands.
    func claim(_ slot: Int) { slots[slot].claims += 1 }

    /// The reply depends on a journal record of this node.
    func wrote(sequence: UInt64) { outcome.sequence = max(outcome.sequence, sequence) }

    /// A slot's fate is known; only the first word counts, or the last one of several that it stands as written.
    func settle(_ slot: Int, _ state: Slot.State) {
        guard case .waiting = slots[slot].state else { return }
        if case .asWritten = state {
            slots[slot].claims -= 1
            guard slots[slot].claims == 0 else { return }
        }
        slots[slot].state = state
        missing -= 1
        if case .failed(let failure) = state { outcome.failed(failure.code) }
        finishIfComplete()
    }

    /// The message has been run; what it wrote is in `reply`.
    func seal(_ reply: consuming ReplyBuffer, _ outcome: MessageOutcome) {
        self.reply = reply
        let early = self.outcome
        self.outcome = outcome
        self.outcome.failures += early.failures
        self.outcome.firstErrorCode = outcome.firstErrorCode ?? early.firstErrorCode
        self.outcome.sequence = max(outcome.sequence, early.sequence)
        finishIfComplete()
    }

    private func finishIfComplete() {
        guard missing == 0, let written = reply, let onFinish else { return }
        reply = nil
        self.onFinish = nil
        onFinish(self, assemble(written))
    }

    private func assemble(_ written: ReplyBuffer) -> ReplyBuffer {
        var result = ReplyBuffer(bytes: ByteBuffer(), acceptsGzip: written.acceptsGzip)
        var position = written.start
        for slot in slots {
            // What was written for a notification has been taken back, and its place with it.
            if slot.id == nil && !isForPeer { continue }
            _ = result.append(written, from: position, to: slot.start, with: &thread.inflater)
            position = slot.end
            append(slot, written, to: &result)
        }
        _ = result.append(written, from: position, to: written.mark, with: &thread.inflater)
        return result
    }

    private func append(_ slot: Slot, _ written: ReplyBuffer, to result: inout ReplyBuffer) {
        let before = result.mark
        let isWhole: Bool
        switch slot.state {
        case .waiting: preconditionFailure("a reply is put together when all slots are settled")
        case .asWritten: isWhole = result.append(written, from: slot.start, to: slot.end, with: &thread.inflater)
        case .answered(let answer):
            isWhole = result.append(answer.value.slice, of: answer.text, with: &thread.inflater)
        case .result(let part):
            body.withUnsafeReadableBytes { result.appendResponsePrefix(id: slot.id, in: $0) }
            isWhole = result.append(part, from: part.start, to: part.mark, with: &thread.inflater)
            result.appendResponseSuffix()
        case .failed(let failure): return append(failure, slot, to: &result)
        }
        if !isWhole {
            result.rollBack(to: before)
            append(MethodFailure(.internalError, .reason("the stored value is damaged")), slot, to: &result)
        }
    }

    private func append(_ failure: MethodFailure, _ slot: Slot, to result: inout ReplyBuffer) {
        body.withUnsafeReadableBytes {
            RPCExecutor.write(failure, id: slot.id, in: $0, node, isForPeer: isForPeer, to: &result)
        }
    }
}

@available(*, unavailable)
extension PendingMessage: Sendable {}
