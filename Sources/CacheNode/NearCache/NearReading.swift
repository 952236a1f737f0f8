// cache.get of another node's key where copies are kept: answered by the copy, else the entry is fetched and kept. Confined to
// the event loop of the message.

import CacheStore
import HashRing
import JSONRPC
import Membership
import NIOCore

extension CallContext {
    /// Answers a cache.get by a copy, or fetches one; false when the call has to be forwarded as it is.
    mutating func readNear(
        _ call: borrowing Call, _ arguments: borrowing BoundParameters, _ position: UInt64
    ) throws(MethodFailure) -> Bool {
        guard case .client = origin, case .node(let target) = thread.routing.owner(at: position),
            let keyValue = arguments[0]
        else { return false }
        let request = try CacheGet.request(arguments, &self)
        // How often and how lately the owner's entry was used, only the owner knows.
        guard request.fields.isDisjoint(with: [.hits, .idle]) else { return false }
        let key = try key(keyValue, ParameterPath("key"))
        let mark = reply.mark
        reply.appendResponsePrefix(id: call.id, in: body)
        if try CacheGet.answer(key, request, from: .copies(of: target.id), &self) {
            reply.appendResponseSuffix()
            return true
        }
        reply.rollBack(to: mark)
        fetch(key, request, call, target, position)
        return true
    }

    private mutating func fetch(
        _ key: CacheKey, _ request: CacheGet.Request, _ call: borrowing Call, _ owner: PeerTarget, _ position: UInt64
    ) {
        let bytes = Array(key.bytes)
        var text = ReplyBuffer(bytes: ByteBuffer(), acceptsGzip: true)
        text.append("{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"peer.fetch\",\"params\":{\"key\":")
        text.appendJSONString(key.bytes)
        text.append(",\"holder\":")
        text.appendJSONString(node.nodeID)
        text.append("}}")
        let pending = pendingMessage()
        let slot = pending.addSlot(from: reply.mark, to: reply.mark, id: call.id)
        let near = node.near
        let epoch = near.fetching(bytes)
        let sentAt = NodeClock.monotonicMilliseconds()
        thread.counters.forwardedCalls.add()
        Forwarding(text, operation: 0, position: position, isGroup: false, over: .reads, for: pending) { result in
            switch result {
            case .success(let answer):
                let fetched = FetchedEntry(answer)
                if let fetched, fetched.owner == owner.id.text {
                    fetched.keep(
                        bytes, in: near, epoch: epoch, sentAt: sentAt, wallOffset: pending.node.storage.wallOffset)
                } else {
                    near.fetchFailed(bytes)
                }
                pending.settle(slot, fetched.map { .result($0.result(for: request)) } ?? answer.failedState)
            case .failure(let failure):
                near.fetchFailed(bytes)
                pending.settle(slot, .failed(failure))
            }
        }.attempt()
    }
}

/// What peer.fetch answered.
private struct FetchedEntry {
    let answer: PeerReply
    let owner: String
    let ticket: CopyTicket
    /// nil: there is no such key.
    let found: (value: JSONValue, version: UInt64, wallExpiry: Int64, bytes: Int64, storedBytes: Int64)?

    init?(_ answer: PeerReply) {
        self.answer = answer
        let read = answer.text.text.withUnsafeReadableBytes { bytes -> (String, CopyTicket, FoundEntry?)? in
            guard let result = JSONMembers(answer.value, in: bytes)["result"] else { return nil }
            let members = JSONMembers(result, in: bytes)
            func number(_ name: StaticString) -> UInt64? {
                members[name].flatMap {
                    $0.kind == .string ? unsignedInteger(in: $0.content.bytes(in: bytes)) : nil
                }
            }
            guard let owner = members.string("owner"), let stream = number("stream"), let sequence = number("sequence")
            else { return nil }
            let ticket = CopyTicket(stream: stream, sequence: sequence)
            guard members.boolean("found") == true else { return (owner, ticket, nil) }
            guard let value = members["value"], let version = number("cas") else { return nil }
            let entry = FoundEntry(
                value, version, members.integer("expiry") ?? .max, members.integer("bytes") ?? 0,
                members.integer("storedBytes") ?? 0)
            return (owner, ticket, entry)
        }
        guard let read else { return nil }
        (owner, ticket, found) = read
    }

    typealias FoundEntry = (value: JSONValue, version: UInt64, wallExpiry: Int64, bytes: Int64, storedBytes: Int64)

    /// Keeps the entry as a copy.
    func keep(_ key: [UInt8], in near: NearCache, epoch: UInt64, sentAt: Int64, wallOffset: Int64) {
        guard let found else { return near.fetchFailed(key) }
        let now = NodeClock.monotonicMilliseconds()
        let deadline = found.wallExpiry == .max ? Int64.max : found.wallExpiry &- wallOffset
        func keep(_ value: UnsafeRawBufferPointer, _ form: StoredForm) {
            near.fetched(
                key, value, form, version: found.version, deadline: deadline, from: MemberID(owner), ticket,
                epoch: epoch, sentAt: sentAt, now: now)
        }
        if let hole = answer.text.hole(at: found.value.slice), found.value.kind == .null {
            answer.text.withBlocks(of: hole) {
                keep($0, .deflated(originalBytes: hole.originalBytes, crc32: hole.crc32))
            }
        } else {
            answer.text.text.withUnsafeReadableBytes { keep(found.value.slice.bytes(in: $0), .plain) }
        }
    }

    /// The result of the cache.get that led here.
    func result(for request: CacheGet.Request) -> ReplyBuffer {
        var result = ReplyBuffer(bytes: ByteBuffer(), acceptsGzip: true)
        guard let found else {
            result.append("{\"found\":false}")
            return result
        }
        result.append("{\"found\":true")
        if found.version == request.known {
            result.append(",\"notModified\":true")
        } else if request.fields.contains(.value) {
            result.append(",\"value\":")
            if let hole = answer.text.hole(at: found.value.slice), found.value.kind == .null {
                answer.text.withBlocks(of: hole) {
                    result.append(blocks: $0, originalBytes: hole.originalBytes, crc32: hole.crc32)
                }
            } else {
                answer.text.text.withUnsafeReadableBytes { result.append(bytes: found.value.slice.bytes(in: $0)) }
            }
        }
        if request.fields.contains(.cas) || found.version == request.known {
            result.append(",\"cas\":\"")
            result.append(decimal: found.version)
            result.append("\"")
        }
        guard found.version != request.known else {
            result.append("}")
            return result
        }
        if request.fields.contains(.timeToLive) {
            result.append(",\"ttlMs\":")
            if found.wallExpiry == .max {
                result.append("null")
            } else {
                result.append(decimal: max(found.wallExpiry &- NodeClock.wallMilliseconds(), 0))
            }
        }
        if request.fields.contains(.bytes) { result.appendNextMember("bytes", decimal: found.bytes) }
        if request.fields.contains(.storedBytes) { result.appendNextMember("storedBytes", decimal: found.storedBytes) }
        if request.fields.contains(.owner) { result.appendNextMember("owner", string: owner) }
        result.append("}")
        return result
    }
}

extension PeerReply {
    /// An error the owner answered, for the client as it stands.
    fileprivate var failedState: PendingMessage.Slot.State { .failed(MethodFailure(errorIn: self)) }
}
