// Messages of the membership protocol as JSON: what is written is read back the same, and nothing else is a message.

import JSONRPC
import Membership
import TestSupport
import Testing

@testable import CacheNode

private func encoded(_ message: PeerMessage) -> [UInt8] {
    var text: [UInt8] = []
    MembershipCodec.write(message, into: &text)
    return text
}

/// The message in a text, as a node reads it: JSON first. nil for a text that is not JSON too.
private func decoded(_ text: [UInt8]) -> PeerMessage? {
    text.withUnsafeBytes { bytes in
        guard let value = try? validateJSON(bytes) else { return nil }
        return MembershipCodec.message(value, in: bytes)
    }
}

private func decoded(_ text: String) -> PeerMessage? { decoded(Array(text.utf8)) }

/// Random messages of each kind.
private struct MessageCorpus {
    var random: SeededRandom
    static let kinds = 13

    init(seed: UInt64) { random = SeededRandom(seed: seed) }

    mutating func next(kind: Int) -> PeerMessage {
        PeerMessage(
            cluster: text(), protocolVersion: Int.random(in: 0...9, using: &random), sender: identity(),
            sequence: number(), epoch: epoch(), content: content(kind))
    }

    private mutating func content(_ kind: Int) -> PeerMessageContent {
        switch kind {
        case 0:
            .heartbeat(
                Heartbeat(
                    sentAt: clock(), hearsMajority: flag(), doubted: number(), highestNumber: number(),
                    isUndecided: flag(), isSettled: flag()))
        case 1:
            .heartbeatReply(
                HeartbeatReply(
                    sentAt: clock(), granted: flag(), hearsMajority: flag(), doubted: number(), isSettled: flag()))
        case 2: .probeRequest(target: MemberID(text()))
        case 3: .probeAnswer(target: MemberID(text()), incarnation: number(), heardAgo: clock())
        case 4: .prepare(epoch: epoch(), base: view())
        case 5: .promise(epoch: epoch(), accepted: flag() ? view() : nil)
        case 6: .propose(view: view(), base: view())
        case 7: .accepted(epoch: epoch())
        case 8: .outdated(promised: epoch())
        case 9: .view(view(), inAnswer: flag())
        case 10: .leave
        case 11: .dismissal
        default:
            .refusal(
                [
                    .otherCluster(expected: text()), .otherProtocol(expected: Int.random(in: -9...9, using: &random)),
                    .duplicateID(holder: text()),
                ][Int.random(in: 0..<3, using: &random)])
        }
    }

    private mutating func flag() -> Bool { Bool.random(using: &random) }

    /// As far as numbers of the protocol go (PeerMessage+Limits.swift).
    private mutating func number() -> UInt64 {
        let bits = UInt64.random(in: 0...53, using: &random)
        return UInt64.random(in: 0..<(1 << bits), using: &random)
    }

    private mutating func clock() -> Int64 { Int64.random(in: .min ... .max, using: &random) }

    private mutating func text() -> String {
        let parts = ["", "node-1", "\"", "\\", "\u{0}", "\n", "grüße", "🕷", "e\u{301}", "127.0.0.1:8001", "}", "null"]
        return (0..<Int.random(in: 0...3, using: &random)).map { _ in
            parts[Int.random(in: 0..<parts.count, using: &random)]
        }.joined()
    }

    private mutating func identity(_ id: String? = nil) -> MemberIdentity {
        MemberIdentity(
            id: MemberID(id ?? text()), address: text(), incarnation: number(),
            mirrors: (0..<Int.random(in: 0...2, using: &random)).map { _ in text() })
    }

    private mutating func epoch() -> Epoch { Epoch(number: number(), proposer: MemberID(text())) }

    /// Members have distinct ids; those that serve are members, and no mirrors.
    private mutating func view() -> View {
        let members = (0..<Int.random(in: 0...5, using: &random)).map { identity("\($0)" + text()) }
        var serving: Set<MemberID> = []
        var mirrors: [MemberID: MemberID] = [:]
        for member in members where flag() {
            if flag() { serving.insert(member.id) } else { mirrors[member.id] = MemberID(text()) }
        }
        return View(epoch: epoch(), members: members, serving: flag() ? nil : serving, mirrors: mirrors)
    }
}

@Suite("Membership messages as JSON")
struct MembershipCodecTests {
    @Test("Messages of every kind are read as they were written", arguments: 0..<MessageCorpus.kinds)
    func roundTrip(kind: Int) {
        let seed = UInt64(100 + kind)
        print("membership messages, seed \(seed)")
        var corpus = MessageCorpus(seed: seed)
        for _ in 0..<200 {
            let message = corpus.next(kind: kind)
            let text = encoded(message)
            #expect(decoded(text) == message, "\(String(decoding: text, as: UTF8.self))")
        }
    }

    @Test("A message that is cut at any byte is none", arguments: 0..<MessageCorpus.kinds)
    func truncated(kind: Int) {
        var corpus = MessageCorpus(seed: UInt64(200 + kind))
        print("membership messages cut, seed \(200 + kind)")
        for _ in 0..<5 {
            let text = encoded(corpus.next(kind: kind))
            for count in 0..<text.count { #expect(decoded(Array(text.prefix(count))) == nil) }
        }
    }

    /// One message of each kind, as text; the promise is one of nothing, as an accepted view has a test of its own.
    private static let samples: [[UInt8]] = (0..<MessageCorpus.kinds).map { kind in
        var corpus = MessageCorpus(seed: UInt64(300 + kind))
        var message = corpus.next(kind: kind)
        if case .promise(let epoch, _) = message.content { message.content = .promise(epoch: epoch, accepted: nil) }
        return encoded(message)
    }

    /// The text without one of its members, or with another value in it, at the top or in an object within.
    private static func changed(_ text: [UInt8], _ replacement: String?, _ use: ([UInt8], String) -> Void) {
        text.withUnsafeBytes { bytes in
            func visit(_ slice: JSONSlice, isArray: Bool, path: String) {
                var places: [(value: JSONValue, from: Int, name: String)] = []
                if isArray {
                    var cursor = JSONArrayCursor(bytes, slice)
                    while let element = cursor.next() {
                        places.append((element, Int(element.slice.start), "\(places.count)"))
                    }
                } else {
                    var cursor = JSONObjectCursor(bytes, slice)
                    while let member = cursor.next() {
                        let name = String(decoding: member.name.bytes(in: bytes), as: UTF8.self)
                        places.append((member.value, Int(member.name.start) - 1, name))
                    }
                }
                for (value, from, name) in places {
                    let end = Int(value.slice.end)
                    let here = "\(path)/\(name)"
                    if let replacement {
                        use(
                            Array(bytes[..<Int(value.slice.start)]) + Array(replacement.utf8) + Array(bytes[end...]),
                            here)
                    } else if !isArray {
                        // With the name goes one of the commas around it.
                        let isLast = bytes[end] != UInt8(ascii: ",")
                        let start = isLast && bytes[from - 1] == UInt8(ascii: ",") ? from - 1 : from
                        use(Array(bytes[..<start]) + Array(bytes[(isLast ? end : end + 1)...]), here)
                    }
                    switch value.kind {
                    case .object: visit(value.slice, isArray: false, path: here)
                    case .array: visit(value.slice, isArray: true, path: here)
                    case .string, .number, .true, .false, .null: break
                    }
                }
            }
            guard let whole = try? validateJSON(bytes) else { return }
            visit(whole.slice, isArray: false, path: "")
        }
    }

    /// Lists of who joins and of mirrors have a test of their own.
    private static func isList(_ path: String) -> Bool { path.contains("/joining") || path.contains("/mirrors") }

    @Test("A message that lacks a part is none", arguments: 0..<MessageCorpus.kinds)
    func missingParts(kind: Int) {
        Self.changed(Self.samples[kind], nil) { text, path in
            if !Self.isList(path) { #expect(decoded(text) == nil, "\(path) missing") }
        }
    }

    @Test("A message with a value of another kind in it is none", arguments: 0..<MessageCorpus.kinds)
    func wrongKinds(kind: Int) {
        for replacement in ["null", "1.5", "\"\"", "[]", "{}", "true", "-1", "9223372036854775808", "[null]"] {
            Self.changed(Self.samples[kind], replacement) { text, path in
                guard !Self.isList(path), let message = decoded(text) else { return }
                // Some replacements are as good as what was there; then the message says just that.
                #expect(decoded(encoded(message)) == message)
                let canFit = ["\"\"", "[]", "true", "-1"].contains(replacement)
                #expect(canFit, "\(path) as \(replacement)")
            }
        }
    }

    @Test("A promise whose accepted view can't be read is no promise of nothing")
    func unreadableAcceptedView() {
        var corpus = MessageCorpus(seed: 7)
        var message = corpus.next(kind: 5)
        let accepted = View(epoch: Epoch(number: 8, proposer: MemberID("1")), members: [member("1")])
        message.content = .promise(epoch: message.epoch, accepted: accepted)
        #expect(decoded(encoded(message)) == message)
        var places = 0
        var believed: [String] = []
        for replacement in ["1.5", "[null]", "{}"] {
            Self.changed(encoded(message), replacement) { text, path in
                guard path.hasPrefix("/accepted"), !Self.isList(path) else { return }
                places += 1
                if decoded(text) != nil { believed.append("\(path) as \(replacement)") }
            }
        }
        #expect(places > 20)
        // To take it for a promise without a view would let a proposer go over one that may have been agreed.
        #expect(believed == [])
    }

    @Test("A message whose lists of joining members or mirrors can't be read is none")
    func unreadableLists() {
        var corpus = MessageCorpus(seed: 8)
        var message = corpus.next(kind: 9)
        let members = [
            MemberIdentity(id: MemberID("1"), address: "a:1", incarnation: 1, mirrors: ["a:3"]), member("2"),
            member("3"),
        ]
        message.content = .view(
            View(
                epoch: message.epoch, members: members, serving: [MemberID("1")],
                mirrors: [MemberID("3"): MemberID("1")]), inAnswer: false)
        let text = String(decoding: encoded(message), as: UTF8.self)
        #expect(decoded(text) == message)
        func believed(_ member: String, _ replacements: [String]) -> [String] {
            #expect(text.contains(member))
            let name = member.prefix { $0 != ":" }
            return replacements.filter { decoded(text.replacing(member, with: "\(name):\($0)")) != nil }
        }
        let pairs = ["[[]]", "[[\"3\"]]", "[\"3\",\"1\"]", "[[3,\"1\"]]", "[[\"3\",1]]", "[null]"]
        #expect(believed("\"mirrors\":[[\"3\",\"1\"]]", pairs) == [])
        #expect(believed("\"mirrors\":[\"a:3\"]", ["[1]", "[null]", "[[]]"]) == [])
        let others = ["null", "7", "\"2\"", "{}"]
        #expect(believed("\"joining\":[\"2\"]", others + ["[2]"]) == [])
        #expect(believed("\"mirrors\":[[\"3\",\"1\"]]", others) == [])
        #expect(believed("\"mirrors\":[\"a:3\"]", others) == [])
    }

    @Test(
        "A text that is no message is none",
        arguments: ["null", "7", "\"heartbeat\"", "[]", "{}", "{\"kind\":\"heartbeat\"}", "{\"kind\":\"leave\"}"])
    func otherTexts(_ text: String) {
        #expect(decoded(text) == nil)
    }

    @Test("A kind that is not known is no message")
    func unknownKind() {
        let text = String(decoding: Self.samples[10], as: UTF8.self)
        #expect(text.contains("\"kind\":\"leave\"") && decoded(text) != nil)
        for kind in ["\"Leave\"", "\"leave \"", "\"\"", "\"heartbeatreply\"", "10"] {
            #expect(decoded(text.replacing("\"kind\":\"leave\"", with: "\"kind\":\(kind)")) == nil)
        }
    }

    @Test("10,000 changed messages never trap, and what is read is written the same")
    func mutated() {
        let seed: UInt64 = 0x5EED_0021
        print("seed \(seed)")
        var random = SeededRandom(seed: seed)
        var corpus = MessageCorpus(seed: seed)
        let telling = Array("\"\\{}[]:,0123456789-.eEtrufalsn".utf8)
        var read = 0
        for round in 0..<10_000 {
            var text = encoded(corpus.next(kind: round % MessageCorpus.kinds))
            for _ in 0...Int.random(in: 0..<2, using: &random) {
                let place = Int.random(in: 0..<text.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: text[place] = telling[Int.random(in: 0..<telling.count, using: &random)]
                case 1: text.remove(at: place)
                default: text.insert(telling[Int.random(in: 0..<telling.count, using: &random)], at: place)
                }
            }
            guard let message = decoded(text) else { continue }
            read += 1
            if decoded(encoded(message)) != message {
                Issue.record("round \(round): \(String(decoding: text, as: UTF8.self))")
                return
            }
        }
        #expect(read > 1000, "the changes must leave enough messages to be worth it, got \(read)")
    }
}
