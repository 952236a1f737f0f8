// The answering half of a connection: a request that is whole is run here or on a worker, and its response put behind
// those that wait to be sent; refusals, and the start of closing.

import JSONRPC
import NIOCore

extension HTTPConnectionHandler {
    func execute(_ facts: RequestFacts, _ body: ByteBuffer, reservedBytes: Int) {
        phase = .idle(since: thread.lastMilliseconds)
        let request = CompleteRequest(facts: facts, body: body, remote: remote)
        switch processor.respond(
            to: request, thread: thread, onEventLoop: true)
        {
        case .answered(let response):
            if reservedBytes > 0 { node.budget.release(bytes: reservedBytes) }
            return accept(response, for: request)
        case .pending(let start):
            phase = .executing
            // Should the answer be there already, the request is over as if it had been answered at once.
            return start { self.completed(request, $0, reservedBytes: reservedBytes) }
        case .needsWorker(let job): execute(request, as: job, reservedBytes: reservedBytes)
        }
    }

    func execute(_ request: CompleteRequest, as job: WorkerJob, reservedBytes: Int) {
        guard let context else { return }
        phase = .executing
        let handler = NIOLoopBound(self, eventLoop: context.eventLoop)
        let eventLoop = context.eventLoop
        let processor = processor
        node.workers.run(job) { thread in
            @Sendable func complete(_ response: ProcessedResponse?) {
                eventLoop.execute { handler.value.completed(request, response, reservedBytes: reservedBytes) }
            }
            guard let thread else { return complete(nil) }
            switch processor.respond(to: request, thread: thread, onEventLoop: false) {
            case .answered(let response): complete(response)
            case .pending(let start): start { complete($0) }
            case .needsWorker: preconditionFailure("a worker runs whatever it is given")
            }
        }
    }

    /// A worker has answered.
    func completed(_ request: CompleteRequest, _ response: ProcessedResponse?, reservedBytes: Int) {
        if reservedBytes > 0 { node.budget.release(bytes: reservedBytes) }
        guard case .executing = phase else { return }
        phase = .idle(since: thread.readClock())
        if let response {
            accept(response, for: request)
        } else {
            refuse(.unavailable, .busy, "no memory for a worker thread")
        }
        proceed()
    }

    /// Puts a response behind those that wait to be sent.
    func accept(_ response: ProcessedResponse, for request: CompleteRequest?) {
        output.append(response, for: request)
        if !response.keepsAlive { startClosing() }
    }

    /// Answers a request that is not run, and closes after it: its body may still be on the way.
    func refuse(
        _ status: ResponseStatus, _ code: RPCErrorCode, _ reason: StaticString, limit: Int? = nil
    ) {
        ended()
        let response = processor.refusal(status, code, reason, nil, thread, limit: limit, closes: true)
        node.accessLog.refused(response, remote: remote)
        accept(response, for: nil)
    }

    func startClosing() {
        isClosing = true
        closingSince = thread.lastMilliseconds
        ended()
        phase = .lingering(since: nil)
        inbound = ByteBuffer()
        chunks = ByteBuffer()
    }

    /// Answers 408 to whoever takes too long with a request.
    func timedOut() {
        refuse(.requestTimeout, .timeout, "the request took too long to arrive")
        flushOutput()
    }

    /// The client's address, for the access log alone.
    private var remote: String? {
        node.accessLog.isOn ? context?.remoteAddress?.description : nil
    }
}
