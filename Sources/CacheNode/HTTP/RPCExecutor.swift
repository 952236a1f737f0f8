// Answers one JSON-RPC message: scanned once, each call run in order, the reply encoded once. Knows neither sockets nor
// HTTP; the only place where failures become JSON-RPC error objects.

import JSONRPC

/// What became of a message, for the HTTP status and the log.
struct MessageOutcome {
    enum Kind {
        /// At least one answer is in the reply.
        case answered
        /// Only notifications came: there is nothing to say.
        case silent
        /// The body is not JSON; the reply holds the -32700 object.
        case notJSON
    }

    var kind: Kind
    /// How many calls the message held.
    var calls = 1
    var failures = 0
    var firstErrorCode: Int32?
    /// The method of the last call that named one of ours.
    var method: Int?
    /// The reply may be sent when the journal's watermark has reached this; zero for at once.
    var sequence: UInt64 = 0

    mutating func failed(_ code: RPCErrorCode, calls: Int = 1) {
        failures += calls
        firstErrorCode = firstErrorCode ?? code.rawValue
    }
}

/// Runs messages against the method table.
struct RPCExecutor {
    let methods: MethodTable

    /// Whether `message` calls a method that may keep an event loop waiting, and for how long.
    ///
    /// What is not kept of a very long batch is searched for the methods' names instead of being taken apart twice; a
    /// name inside a value costs only time.
    func needsWorker(_ message: borrowing Message, in body: UnsafeRawBufferPointer) -> WorkerJob? {
        switch message {
        case .single(.call(let call)):
            guard let index = methods.index(of: call.method, in: body), methods[index].runsOffLoop else { return nil }
            return methods[index].isLong ? .long : .short
        case .batch(let batch):
            let isSlow = batch.hasKeptCall { method in
                methods.index(of: method, in: body).map { methods[$0].runsOffLoop } ?? false
            }
            if let isSlow { return isSlow ? .long : nil }
            // A name may also be spelt with escapes, which nobody does by accident.
            return methods.slowMethodNames.contains { body.contains($0) } || body.contains("\\u00") ? .long : nil
        case .single, .notJSON:
            return nil
        }
    }

    /// Answers `message` into `context.reply`.
    func run(_ message: consuming Message, _ context: inout CallContext) -> MessageOutcome {
        switch message {
        case .notJSON(let offset, let reason):
            context.reply.appendErrorResponse(
                id: nil, in: context.body, .parseError, node: context.node.nodeID
            ) { reply in
                reply.appendNextMember("reason", constant: reason)
                reply.appendNextMember("offset", decimal: Int64(offset))
            }
            var outcome = MessageOutcome(kind: .notJSON)
            outcome.failed(.parseError)
            return outcome
        case .single(let element):
            var outcome = MessageOutcome(kind: .answered)
            if !answer(element, &context, &outcome) { outcome.kind = .silent }
            outcome.sequence = context.sequence
            return outcome
        case .batch(var batch):
            return run(&batch, &context)
        }
    }

    /// Answers the one call that is all of `body`: another node's, or this node's own on its behalf.
    func run(callIn body: UnsafeRawBufferPointer, _ context: inout CallContext) -> MessageOutcome {
        let outcome = run(parseMessage(body), &context)
        context.startReplication()
        return outcome
    }

    /// Answers a call of another node's exchange.
    func run(_ element: borrowing Element, _ context: inout CallContext, _ outcome: inout MessageOutcome) {
        let slots = context.pending?.slots.count ?? 0
        // One that is answered later has its place already.
        if !answer(element, &context, &outcome), context.pending?.slots.count ?? 0 == slots {
            context.reply.append("null")
        }
    }

    private func run(_ batch: inout Batch, _ context: inout CallContext) -> MessageOutcome {
        var outcome = MessageOutcome(kind: .silent, calls: batch.count)
        context.isBatch = true
        guard batch.count <= context.limits.maxBatch else {
            outcome.kind = .answered
            outcome.failed(.batchTooLarge, calls: batch.count)
            let path = ParameterPath("batch")
            writeError(
                MethodFailure(
                    .batchTooLarge, .limit(path, limit: context.limits.maxBatch, actual: batch.count)),
                id: nil, &context)
            return outcome
        }
        while let element = batch.next() {
            let mark = context.reply.mark
            context.reply.append(byte: UInt8(ascii: outcome.kind == .silent ? "[" : ","))
            if answer(element, &context, &outcome) {
                outcome.kind = .answered
            } else {
                context.reply.rollBack(to: mark)
            }
        }
        if case .answered = outcome.kind { context.reply.append("]") }
        outcome.sequence = context.sequence
        return outcome
    }

    /// Answers one element; false for a notification, which is run but leaves nothing in the reply.
    private func answer(
        _ element: borrowing Element, _ context: inout CallContext, _ outcome: inout MessageOutcome
    ) -> Bool {
        switch element {
        case .invalid(let id, let code, let reason):
            outcome.failed(code)
            context.reply.appendErrorResponse(id: id, in: context.body, code, node: context.node.nodeID) { reply in
                reply.appendNextMember("reason", constant: reason)
            }
            return true
        case .call(let call):
            let mark = context.reply.mark
            do throws(MethodFailure) {
                guard let index = methods.index(of: call.method, in: context.body) else {
                    throw MethodFailure(.methodNotFound, .method(call.method.content))
                }
                context.thread.counters.called(method: index)
                outcome.method = index
                let method = methods[index]
                guard !(method.isWrite && context.thread.refusesWrites) else {
                    throw MethodFailure(.journalFailed, .reason("the journal failed before the write was safe"))
                }
                let arguments = try BoundParameters(call.params, to: method.parameters, in: context.body)
                if !context.thread.servesAlone, try context.place(method, call, arguments) {
                    return !call.isNotification
                }
                if method.answersLater {
                    context.callID = call.id
                    try method.body(&context, arguments)
                    return !call.isNotification
                }
                if context.operation != 0, let known = context.node.operations.outcome(of: context.operation) {
                    context.reply.append(known, id: call.id, in: context.body)
                    try context.repeatChange(arguments)
                    try context.guardAnswer(method, arguments, since: mark, call)
                    return true
                }
                context.reply.appendResponsePrefix(id: call.id, in: context.body)
                try method.body(&context, arguments)
                context.reply.appendResponseSuffix()
                if !context.thread.servesAlone { try context.guardAnswer(method, arguments, since: mark, call) }
            } catch {
                context.sendChangesAnyway(after: error)
                if error.code == .journalFailed, !context.thread.servesAlone {
                    context.node.cluster.missedReplica()
                }
                outcome.failed(error.code)
                context.thread.counters.failed()
                context.reply.rollBack(to: mark)
                if error.code == .internalError {
                    let method = String(decoding: call.method.content.bytes(in: context.body), as: UTF8.self)
                    context.node.log.emit(
                        .requestFailed,
                        [
                            "code": .int(Int(error.code.rawValue)), "method": .string(method),
                            "reason": .string("\(error.detail)"),
                        ])
                }
                writeError(error, id: call.id, &context)
            }
            if call.isNotification {
                context.reply.rollBack(to: mark)
                return false
            }
            return true
        }
    }

    private func writeError(_ failure: MethodFailure, id: JSONSlice?, _ context: inout CallContext) {
        Self.write(
            failure, id: id, in: context.body, context.node, isForPeer: context.isForPeer, to: &context.reply)
    }

    /// Translates a method's failure into an error response; `data` says which parameter, limit or state is meant.
    ///
    /// Another node gets the bare code of a failure that it can mend by asking elsewhere or again.
    static func write(
        _ failure: MethodFailure, id: JSONSlice?, in body: UnsafeRawBufferPointer, _ node: NodeCore, isForPeer: Bool,
        to reply: inout ReplyBuffer
    ) {
        switch failure.code {
        case .wrongOwner where isForPeer, .notReady where isForPeer, .staleEpoch where isForPeer:
            return reply.append(decimal: Int64(failure.code.rawValue))
        default: break
        }
        reply.appendErrorResponse(id: id, in: body, failure.code, node: node.nodeID) { reply in
            switch failure.detail {
            case .none:
                break
            case .parameter(let path, let reason):
                reply.appendPath(path)
                reply.appendNextMember("reason", constant: reason)
            case .name(let name, let reason):
                reply.append(",\"path\":\"")
                reply.append(bytes: name.bytes(in: body))
                reply.append("\"")
                reply.appendNextMember("reason", constant: reason)
            case .method(let name):
                reply.append(",\"method\":\"")
                reply.append(bytes: name.bytes(in: body))
                reply.append("\"")
            case .limit(let path, let limit, let actual):
                reply.appendPath(path)
                reply.appendNextMember("limit", decimal: Int64(limit))
                reply.appendNextMember("actual", decimal: Int64(actual))
            case .reason(let reason):
                reply.appendNextMember("reason", constant: reason)
            case .state(let reason):
                reply.appendNextMember("reason", string: reason)
            }
        }
    }
}

extension UnsafeRawBufferPointer {
    /// Whether `text` stands somewhere in these bytes. O(bytes).
    fileprivate func contains(_ text: StaticString) -> Bool {
        let length = text.utf8CodeUnitCount
        guard count >= length else { return false }
        let first = text.utf8Start[0]
        for start in 0...(count - length) where self[start] == first {
            var matched = 1
            while matched < length && self[start + matched] == text.utf8Start[matched] { matched += 1 }
            if matched == length { return true }
        }
        return false
    }
}

extension ReplyBuffer {
    /// Answers a write that was carried out before, as it was answered then.
    fileprivate mutating func append(_ known: OperationOutcome, id: JSONSlice?, in body: UnsafeRawBufferPointer) {
        appendResponsePrefix(id: id, in: body)
        switch known {
        case .put(let version):
            append("{\"stored\":true,\"cas\":\"")
            append(decimal: version)
            append("\"}")
        case .counted(let value, let version, let wasCreated):
            append("{\"found\":true,\"value\":")
            append(decimal: value)
            append(",\"cas\":\"")
            append(decimal: version)
            append(wasCreated ? "\",\"created\":true}" : "\"}")
        case .removed: append("{\"deleted\":true}")
        case .touched: append("{\"found\":true}")
        }
        appendResponseSuffix()
    }

    /// Appends `,"path":"items[3].value"`.
    fileprivate mutating func appendPath(_ path: ParameterPath) {
        append(",\"path\":\"")
        append(path.name)
        if let index = path.index {
            append("[")
            append(decimal: Int64(index))
            append("]")
        }
        if let member = path.member {
            append(".")
            append(member)
        }
        append("\"")
    }
}
