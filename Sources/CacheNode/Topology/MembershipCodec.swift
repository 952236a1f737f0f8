// Messages of the membership protocol as JSON. What cannot be read is dropped: the protocol expects loss.
//
//     {"cluster":"default","protocol":1,"from":{"id":"2","address":"127.0.0.1:8002","incarnation":1790000000000},
//      "sequence":1790000000000123,"epoch":{"number":3,"proposer":"1"},"kind":"heartbeat","sentAt":81234,…}

import JSONRPC
import Membership

enum MembershipCodec {
    // MARK: Writing

    static func write(_ message: PeerMessage, into sink: inout some ByteSink) {
        sink.append("{\"cluster\":")
        sink.appendJSONString(message.cluster)
        sink.appendNextMember("protocol", decimal: Int64(message.protocolVersion))
        sink.appendNextName("from")
        write(message.sender, into: &sink)
        number("sequence", message.sequence, &sink)
        epoch("epoch", message.epoch, &sink)
        write(message.content, into: &sink)
        sink.append("}")
    }

    private static func write(_ content: PeerMessageContent, into sink: inout some ByteSink) {
        func kind(_ name: StaticString, _ sink: inout some ByteSink) { sink.appendNextMember("kind", constant: name) }
        switch content {
        case .heartbeat(let heartbeat):
            kind("heartbeat", &sink)
            sink.appendNextMember("sentAt", decimal: heartbeat.sentAt)
            flag("hearsMajority", heartbeat.hearsMajority, &sink)
            number("doubted", heartbeat.doubted, &sink)
            number("highest", heartbeat.highestNumber, &sink)
            flag("undecided", heartbeat.isUndecided, &sink)
            flag("settled", heartbeat.isSettled, &sink)
        case .heartbeatReply(let reply):
            kind("heartbeatReply", &sink)
            sink.appendNextMember("sentAt", decimal: reply.sentAt)
            flag("granted", reply.granted, &sink)
            flag("hearsMajority", reply.hearsMajority, &sink)
            number("doubted", reply.doubted, &sink)
            flag("settled", reply.isSettled, &sink)
        case .probeRequest(let target):
            kind("probeRequest", &sink)
            sink.appendNextMember("target", string: target.text)
        case .probeAnswer(let target, let incarnation, let heardAgo):
            kind("probeAnswer", &sink)
            sink.appendNextMember("target", string: target.text)
            number("incarnation", incarnation, &sink)
            sink.appendNextMember("heardAgo", decimal: heardAgo)
        case .prepare(let ballot, let base):
            kind("prepare", &sink)
            epoch("ballot", ballot, &sink)
            view("base", base, &sink)
        case .promise(let ballot, let accepted):
            kind("promise", &sink)
            epoch("ballot", ballot, &sink)
            if let accepted { view("accepted", accepted, &sink) }
        case .propose(let proposed, let base):
            kind("propose", &sink)
            view("view", proposed, &sink)
            view("base", base, &sink)
        case .accepted(let ballot):
            kind("accepted", &sink)
            epoch("ballot", ballot, &sink)
        case .outdated(let promised):
            kind("outdated", &sink)
            epoch("ballot", promised, &sink)
        case .view(let agreed, let inAnswer):
            kind("view", &sink)
            view("view", agreed, &sink)
            flag("inAnswer", inAnswer, &sink)
        case .leave: kind("leave", &sink)
        case .dismissal: kind("dismissal", &sink)
        case .refusal(let reason):
            kind("refusal", &sink)
            switch reason {
            case .otherCluster(let expected): sink.appendNextMember("otherCluster", string: expected)
            case .otherProtocol(let expected): sink.appendNextMember("otherProtocol", decimal: Int64(expected))
            case .duplicateID(let holder): sink.appendNextMember("duplicateID", string: holder)
            }
        }
    }

    private static func write(_ identity: MemberIdentity, into sink: inout some ByteSink) {
        sink.append("{\"id\":")
        sink.appendJSONString(identity.id.text)
        sink.appendNextMember("address", string: identity.address)
        number("incarnation", identity.incarnation, &sink)
        if !identity.mirrors.isEmpty {
            sink.append(",\"mirrors\":[")
            for (index, address) in identity.mirrors.enumerated() {
                if index > 0 { sink.append(",") }
                sink.appendJSONString(address)
            }
            sink.append("]")
        }
        sink.append("}")
    }

    private static func number(_ name: StaticString, _ value: UInt64, _ sink: inout some ByteSink) {
        sink.appendNextName(name)
        sink.append(decimal: value)
    }

    private static func flag(_ name: StaticString, _ value: Bool, _ sink: inout some ByteSink) {
        sink.appendNextName(name)
        sink.append(value ? "true" : "false")
    }

    private static func epoch(_ name: StaticString, _ epoch: Epoch, _ sink: inout some ByteSink) {
        sink.appendNextName(name)
        sink.append("{\"number\":")
        sink.append(decimal: epoch.number)
        sink.appendNextMember("proposer", string: epoch.proposer.text)
        sink.append("}")
    }

    private static func view(_ name: StaticString, _ view: View, _ sink: inout some ByteSink) {
        sink.appendNextName(name)
        sink.append("{\"number\":")
        sink.append(decimal: view.epoch.number)
        sink.appendNextMember("proposer", string: view.epoch.proposer.text)
        sink.append(",\"members\":[")
        for (index, member) in view.members.enumerated() {
            if index > 0 { sink.append(",") }
            write(member, into: &sink)
        }
        sink.append("],\"joining\":[")
        let joining = view.members.filter { !view.serving.contains($0.id) && view.mirrors[$0.id] == nil }
        for (index, member) in joining.enumerated() {
            if index > 0 { sink.append(",") }
            sink.appendJSONString(member.id.text)
        }
        sink.append("],\"mirrors\":[")
        for (index, (mirror, origin)) in view.mirrors.sorted(by: { $0.key < $1.key }).enumerated() {
            if index > 0 { sink.append(",") }
            sink.append("[")
            sink.appendJSONString(mirror.text)
            sink.append(",")
            sink.appendJSONString(origin.text)
            sink.append("]")
        }
        sink.append("]}")
    }

    // MARK: Reading

    /// The message in a JSON object; nil when it is none.
    static func message(_ value: JSONValue, in bytes: UnsafeRawBufferPointer) -> PeerMessage? {
        let members = JSONMembers(value, in: bytes)
        guard let cluster = members.string("cluster"),
            let version = members.integer("protocol").flatMap({ Int(exactly: $0) }),
            let sender = members["from"].flatMap({ identity($0, in: bytes) }),
            let sequence = members.unsigned("sequence"), let epoch = members["epoch"].flatMap({ epoch($0, in: bytes) }),
            let content = content(members, in: bytes)
        else { return nil }
        return PeerMessage(
            cluster: cluster, protocolVersion: version, sender: sender, sequence: sequence, epoch: epoch,
            content: content)
    }

    private static func content(_ members: JSONMembers, in bytes: UnsafeRawBufferPointer) -> PeerMessageContent? {
        func epoch(_ name: StaticString) -> Epoch? { members[name].flatMap { self.epoch($0, in: bytes) } }
        func view(_ name: StaticString) -> View? { members[name].flatMap { self.view($0, in: bytes) } }
        switch members.string("kind") {
        case "heartbeat":
            guard let sentAt = members.integer("sentAt"), let hears = members.boolean("hearsMajority"),
                let doubted = members.unsigned("doubted"), let highest = members.unsigned("highest"),
                let undecided = members.boolean("undecided"), let settled = members.boolean("settled")
            else { return nil }
            return .heartbeat(
                Heartbeat(
                    sentAt: sentAt, hearsMajority: hears, doubted: doubted, highestNumber: highest,
                    isUndecided: undecided, isSettled: settled))
        case "heartbeatReply":
            guard let sentAt = members.integer("sentAt"), let granted = members.boolean("granted"),
                let hears = members.boolean("hearsMajority"), let doubted = members.unsigned("doubted"),
                let settled = members.boolean("settled")
            else { return nil }
            return .heartbeatReply(
                HeartbeatReply(
                    sentAt: sentAt, granted: granted, hearsMajority: hears, doubted: doubted, isSettled: settled))
        case "probeRequest": return members.string("target").map { .probeRequest(target: MemberID($0)) }
        case "probeAnswer":
            guard let target = members.string("target"), let incarnation = members.unsigned("incarnation"),
                let heardAgo = members.integer("heardAgo")
            else { return nil }
            return .probeAnswer(target: MemberID(target), incarnation: incarnation, heardAgo: heardAgo)
        case "prepare":
            guard let ballot = epoch("ballot"), let base = view("base") else { return nil }
            return .prepare(epoch: ballot, base: base)
        case "promise":
            guard let ballot = epoch("ballot") else { return nil }
            guard members["accepted"] != nil else { return .promise(epoch: ballot, accepted: nil) }
            return view("accepted").map { .promise(epoch: ballot, accepted: $0) }
        case "propose":
            guard let proposed = view("view"), let base = view("base") else { return nil }
            return .propose(view: proposed, base: base)
        case "accepted": return epoch("ballot").map { .accepted(epoch: $0) }
        case "outdated": return epoch("ballot").map { .outdated(promised: $0) }
        case "view":
            guard let agreed = view("view"), let inAnswer = members.boolean("inAnswer") else { return nil }
            return .view(agreed, inAnswer: inAnswer)
        case "leave": return .leave
        case "dismissal": return .dismissal
        case "refusal":
            if let expected = members.string("otherCluster") { return .refusal(.otherCluster(expected: expected)) }
            if let expected = members.integer("otherProtocol").flatMap({ Int(exactly: $0) }) {
                return .refusal(.otherProtocol(expected: expected))
            }
            return members.string("duplicateID").map { .refusal(.duplicateID(holder: $0)) }
        default: return nil
        }
    }

    private static func identity(_ value: JSONValue, in bytes: UnsafeRawBufferPointer) -> MemberIdentity? {
        let members = JSONMembers(value, in: bytes)
        guard let id = members.string("id"), let address = members.string("address"),
            let incarnation = members.unsigned("incarnation")
        else { return nil }
        var mirrors: [String] = []
        if let list = members["mirrors"] {
            guard list.kind == .array else { return nil }
            var cursor = JSONArrayCursor(bytes, list.slice)
            while let element = cursor.next() {
                guard let address = string(of: element, in: bytes) else { return nil }
                mirrors.append(address)
            }
        }
        return MemberIdentity(id: MemberID(id), address: address, incarnation: incarnation, mirrors: mirrors)
    }

    private static func epoch(_ value: JSONValue, in bytes: UnsafeRawBufferPointer) -> Epoch? {
        let members = JSONMembers(value, in: bytes)
        guard let number = members.unsigned("number"), let proposer = members.string("proposer") else { return nil }
        return Epoch(number: number, proposer: MemberID(proposer))
    }

    private static func view(_ value: JSONValue, in bytes: UnsafeRawBufferPointer) -> View? {
        let object = JSONMembers(value, in: bytes)
        guard let epoch = epoch(value, in: bytes), let list = object["members"], list.kind == .array else { return nil }
        var members: [MemberIdentity] = []
        var cursor = JSONArrayCursor(bytes, list.slice)
        while let element = cursor.next() {
            guard let member = identity(element, in: bytes) else { return nil }
            members.append(member)
        }
        var mirrors: [MemberID: MemberID] = [:]
        if let pairs = object["mirrors"] {
            guard pairs.kind == .array else { return nil }
            var cursor = JSONArrayCursor(bytes, pairs.slice)
            while let pair = cursor.next() {
                guard pair.kind == .array else { return nil }
                var both = JSONArrayCursor(bytes, pair.slice)
                guard let mirror = both.next().flatMap({ string(of: $0, in: bytes) }),
                    let origin = both.next().flatMap({ string(of: $0, in: bytes) })
                else { return nil }
                mirrors[MemberID(mirror)] = MemberID(origin)
            }
        }
        var serving = Set(members.map(\.id).filter { mirrors[$0] == nil })
        guard let joining = object["joining"], joining.kind == .array else { return nil }
        var names = JSONArrayCursor(bytes, joining.slice)
        while let element = names.next() {
            guard let id = string(of: element, in: bytes) else { return nil }
            serving.remove(MemberID(id))
        }
        return View(epoch: epoch, members: members, serving: serving, mirrors: mirrors)
    }
}
