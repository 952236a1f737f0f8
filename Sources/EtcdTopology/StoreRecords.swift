// The values under the cluster's keys (KeyLayout draws them), to and from JSON.

import JSONRPC
import Membership

/// Bases and floors stay below this, so that with a revision they always add up to what JSON holds exactly (2^53). A
/// revision a microsecond would take 142 years to get there.
let maxEpochNumber: UInt64 = 1 << 52

/// A node's claim on its id.
struct ClaimRecord: Equatable, Sendable {
    var identity: MemberIdentity
    /// The node has been under this epoch number, or met it: no view below it is the latest.
    var floor: UInt64

    init(identity: MemberIdentity, floor: UInt64) {
        self.identity = identity
        self.floor = floor
    }

    /// - Throws: `malformed`.
    init(_ value: [UInt8]) throws(EtcdError) {
        self = try GatewayJSON.read(value) { json throws(EtcdError) in
            guard let floor = json["floor"]?.unsigned, floor <= maxEpochNumber else {
                throw .malformed("a claim without floor")
            }
            return ClaimRecord(identity: try MemberIdentity(json), floor: floor)
        }
    }

    var value: [UInt8] {
        var value: [UInt8] = []
        value.append("{")
        value.append(identity)
        value.append(",\"floor\":\"")
        value.append(decimal: floor)
        value.append("\"}")
        return value
    }
}

/// The agreed view, without its number: that is `base` plus the revision at which the key was written, so that no two
/// writers can give out the same one.
struct ViewRecord: Equatable, Sendable {
    /// Above every number from before the store was wiped or replaced; 0 in a cluster's first store.
    var base: UInt64
    /// Tells stores apart: the lease of whoever wrote the first view of this one, copied from view to view. etcd makes
    /// a lease's id from its own and the time, while a wiped store counts its revisions from one again.
    var origin: LeaseID
    var proposer: MemberID
    var members: [MemberIdentity]
    var serving: Set<MemberID>
    var mirrors: [MemberID: MemberID]

    init(
        base: UInt64, origin: LeaseID, proposer: MemberID, members: [MemberIdentity], serving: Set<MemberID>,
        mirrors: [MemberID: MemberID] = [:]
    ) {
        self.base = base
        self.origin = origin
        self.proposer = proposer
        self.members = members
        self.serving = serving
        self.mirrors = mirrors
    }

    /// - Throws: `malformed`, also for members that are double or unknown.
    init(_ value: [UInt8]) throws(EtcdError) {
        self = try GatewayJSON.read(value) { json throws(EtcdError) in
            guard let base = json["base"]?.unsigned, base <= maxEpochNumber, let origin = json["origin"]?.integer,
                let proposer = json["proposer"]?.string
            else { throw .malformed("a view without base, origin or proposer") }
            var members: [MemberIdentity] = []
            for element in json["members"]?.elements ?? [] { members.append(try MemberIdentity(element)) }
            let ids = Set(members.map(\.id))
            let serving = Set((json["serving"]?.elements ?? []).compactMap { $0.string.map { MemberID($0) } })
            var mirrors: [MemberID: MemberID] = [:]
            for pair in json["mirrors"]?.elements ?? [] {
                guard let id = pair["id"]?.string, let origin = pair["origin"]?.string else {
                    throw .malformed("a mirror without id or origin")
                }
                mirrors[MemberID(id)] = MemberID(origin)
            }
            // With mirrors alone left, nobody serves.
            guard !members.isEmpty, ids.count == members.count, serving.isSubset(of: ids.subtracting(mirrors.keys)),
                ids.isSuperset(of: mirrors.keys), !serving.isEmpty || mirrors.count == ids.count
            else { throw .malformed("a view with no, double or unknown members") }
            return ViewRecord(
                base: base, origin: LeaseID(rawValue: origin), proposer: MemberID(proposer), members: members,
                serving: serving, mirrors: mirrors)
        }
    }

    /// `serving` in the members' order, so that equal views have equal bytes.
    var value: [UInt8] {
        var value: [UInt8] = []
        value.append("{\"base\":\"")
        value.append(decimal: base)
        value.append("\",\"origin\":\"")
        value.append(decimal: origin.rawValue)
        value.append("\"")
        value.appendNextMember("proposer", string: proposer.text)
        value.append(",\"members\":[")
        for (index, member) in members.enumerated() {
            value.append(index > 0 ? ",{" : "{")
            value.append(member)
            value.append("}")
        }
        value.append("],\"serving\":[")
        for (index, member) in members.lazy.filter({ serving.contains($0.id) }).enumerated() {
            if index > 0 { value.append(",") }
            value.appendJSONString(member.id.text)
        }
        value.append("],\"mirrors\":[")
        for (index, member) in members.lazy.filter({ mirrors[$0.id] != nil }).enumerated() {
            value.append(index > 0 ? ",{\"id\":" : "{\"id\":")
            value.appendJSONString(member.id.text)
            value.appendNextMember("origin", string: mirrors[member.id]?.text ?? "")
            value.append("}")
        }
        value.append("]}")
        return value
    }
}

/// A run of a node that went on purpose.
struct DepartureRecord: Equatable, Sendable {
    /// Why it is gone.
    enum Cause: String, Sendable {
        case left
        case removed
    }

    var incarnation: UInt64
    var cause: Cause

    init(incarnation: UInt64, cause: Cause) {
        self.incarnation = incarnation
        self.cause = cause
    }

    /// - Throws: `malformed`.
    init(_ value: [UInt8]) throws(EtcdError) {
        self = try GatewayJSON.read(value) { json throws(EtcdError) in
            guard let incarnation = json["incarnation"]?.unsigned,
                let cause = json["cause"]?.string.flatMap(Cause.init(rawValue:))
            else { throw .malformed("a departure without incarnation or cause") }
            return DepartureRecord(incarnation: incarnation, cause: cause)
        }
    }

    var value: [UInt8] {
        var value: [UInt8] = []
        value.append("{\"incarnation\":\"")
        value.append(decimal: incarnation)
        value.append("\"")
        value.appendNextMember("cause", string: cause.rawValue)
        value.append("}")
        return value
    }
}

/// What is under `settled/<id>`.
enum SettledRecord {
    static func value(_ number: UInt64) -> [UInt8] {
        var value: [UInt8] = []
        value.append(decimal: number)
        return value
    }

    /// - Throws: `malformed` when it is no number.
    static func number(_ value: [UInt8]) throws(EtcdError) -> UInt64 {
        guard let number = value.withUnsafeBytes({ unsignedInteger(in: $0) }) else {
            throw .malformed("an epoch that is no number")
        }
        return number
    }
}

extension MemberIdentity {
    fileprivate init(_ json: GatewayJSON) throws(EtcdError) {
        guard let id = json["id"]?.string, !id.isEmpty, let address = json["address"]?.string,
            let incarnation = json["incarnation"]?.unsigned
        else { throw .malformed("a member without id, address or incarnation") }
        let mirrors = (json["mirrors"]?.elements ?? []).compactMap(\.string)
        self.init(id: MemberID(id), address: address, incarnation: incarnation, mirrors: mirrors)
    }
}

extension [UInt8] {
    /// The members of a MemberIdentity's object, without braces.
    fileprivate mutating func append(_ identity: MemberIdentity) {
        append("\"id\":")
        appendJSONString(identity.id.text)
        appendNextMember("address", string: identity.address)
        append(",\"incarnation\":\"")
        append(decimal: identity.incarnation)
        append("\"")
        guard !identity.mirrors.isEmpty else { return }
        append(",\"mirrors\":[")
        for (index, address) in identity.mirrors.enumerated() {
            if index > 0 { append(",") }
            appendJSONString(address)
        }
        append("]")
    }
}
