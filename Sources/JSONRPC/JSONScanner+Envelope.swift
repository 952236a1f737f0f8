// The request object, judged while it is validated. A fault of the text is thrown; a fault of the envelope is noted
// (the first one counts) and reading goes on, because the id may still follow and the rest must still be JSON.

/// The member of an envelope that a name stands for.
private enum EnvelopeMember: UInt8 {
    case jsonrpc, id, method, params, unknown

    /// A bit of its own for each member.
    var bit: UInt8 { 1 &<< rawValue }

    /// Resolves a name, escaped or not.
    init(_ name: JSONSlice, hasEscapes: Bool, in body: UnsafeRawBufferPointer) {
        func spells(_ member: StaticString) -> Bool {
            stringEquals(name, hasEscapes: hasEscapes, member, in: body)
        }
        switch decodedByteCount(name, hasEscapes: hasEscapes, in: body) {
        case 2: self = spells("id") ? .id : .unknown
        case 6: self = spells("method") ? .method : spells("params") ? .params : .unknown
        case 7: self = spells("jsonrpc") ? .jsonrpc : .unknown
        default: self = .unknown
        }
    }
}

/// Members that JSON-RPC does not know are ignored, but none may come twice. Eight are remembered; an envelope with
/// more is refused, which keeps the check free of allocation and bounded.
private struct UnknownNames {
    private var names = InlineArray<8, JSONSlice>(repeating: JSONSlice(start: 0, end: 0))
    private var escaped: UInt8 = 0
    private var count = 0

    /// Remembers a name; the answer is a fault of the envelope, or nil.
    mutating func insert(_ name: JSONSlice, hasEscapes: Bool, in body: UnsafeRawBufferPointer) -> StaticString? {
        for index in 0..<count
        where stringEquals(names[index], hasEscapes: escaped & 1 &<< index != 0, name, hasEscapes: hasEscapes, in: body)
        {
            return "a member occurs twice"
        }
        guard count < 8 else { return "too many unknown members" }
        names[count] = name
        if hasEscapes { escaped |= 1 &<< count }
        count &+= 1
        return nil
    }
}

extension JSONScanner {
    /// Reads one value of any kind and judges it as a request object.
    ///
    /// The answer is what is wrong with it, or nil when `call` was filled in; `call.id` then holds whatever id is to
    /// be echoed. In place, because a call is 256 bytes and wrapping it twice on the way out took 24 % of a parse (now
    /// 15 %).
    mutating func scanElement(into call: inout Call) throws(JSONFault) -> StaticString? {
        guard current == ASCII.openBrace else {
            _ = try scanValue()
            return "a request is an object"
        }
        try open()
        var seen: UInt8 = 0  // Known members met so far, by bit.
        var unknown = UnknownNames()
        var problem: StaticString?

        skipWhitespace()
        var more = current != ASCII.closeBrace
        while more {
            if seen & EnvelopeMember.jsonrpc.bit == 0, takes("\"jsonrpc\":\"2.0\",") {
                seen |= EnvelopeMember.jsonrpc.bit
                skipWhitespace()
                continue
            }
            var name = JSONSlice(position, position)
            var nameHasEscapes = false
            let member: EnvelopeMember
            if let usual = takeUsualName() {
                member = usual
            } else {
                nameHasEscapes = try scanString()
                name = JSONSlice(Int(name.start) &+ 1, position &- 1)
                member = EnvelopeMember(name, hasEscapes: nameHasEscapes, in: bytes)
                skipWhitespace()
                try expect(ASCII.colon)
            }
            skipWhitespace()

            if member != .unknown && seen & member.bit != 0 {
                problem = problem ?? "a member occurs twice"
                if member == .id { call.id = nil }  // Which of them to answer is anybody's guess.
                _ = try scanValue()
            } else {
                seen |= member.bit
                switch member {
                case .jsonrpc:
                    let value = try scanValue()
                    if value.kind != .string || !stringEquals(value, "2.0", in: bytes) {
                        problem = problem ?? "jsonrpc must be 2.0, a string"
                    }
                case .id:
                    let value = try scanValue()
                    switch value.kind {
                    case .string, .number, .null: call.id = value.slice
                    case .object, .array, .true, .false: problem = problem ?? "id is not a string, number or null"
                    }
                case .method:
                    let value = try scanValue()
                    call.method = value
                    if value.kind != .string { problem = problem ?? "method is not a string" }
                case .params:
                    if current == ASCII.openBrace || current == ASCII.openBracket {
                        try scanParams(into: &call.params)
                    } else {
                        _ = try scanValue()
                        problem = problem ?? "params is not an array or object"
                    }
                case .unknown:
                    let fault = unknown.insert(name, hasEscapes: nameHasEscapes, in: bytes)
                    problem = problem ?? fault
                    _ = try scanValue()
                }
            }

            skipWhitespace()
            more = current == ASCII.comma
            if more {
                position &+= 1
                skipWhitespace()
            }
        }
        try expect(ASCII.closeBrace)
        depth &-= 1

        if let problem { return problem }
        if seen & EnvelopeMember.jsonrpc.bit == 0 { return "jsonrpc is missing" }
        if seen & EnvelopeMember.method.bit == 0 { return "method is missing" }
        return nil
    }

    /// Steps over `text` if that is what comes next.
    @inline(__always)
    private mutating func takes(_ text: StaticString) -> Bool {
        let count = text.utf8CodeUnitCount
        guard bytes.count &- position >= count, let base = bytes.baseAddress,
            ByteWord.equal(base + position, text.utf8Start, count: count)
        else { return false }
        position &+= count
        return true
    }

    /// Steps over a member's name and colon where they are spelt as nearly everybody does: no escapes, no space between.
    @inline(__always)
    private mutating func takeUsualName() -> EnvelopeMember? {
        if takes("\"id\":") { return .id }
        if takes("\"method\":") { return .method }
        if takes("\"params\":") { return .params }
        return nil
    }

    /// Reads the params array or object, recording its top level.
    private mutating func scanParams(into params: inout Params) throws(JSONFault) {
        let start = position
        let isObject = current == ASCII.openBrace
        let close = isObject ? ASCII.closeBrace : ASCII.closeBracket
        params.kind = isObject ? .byName : .byPosition
        try open()
        skipWhitespace()
        var more = current != close
        while more {
            var name = JSONSlice(position, position)
            var nameHasEscapes = false
            if isObject {
                nameHasEscapes = try scanString()
                name = JSONSlice(Int(name.start) &+ 1, position &- 1)
                skipWhitespace()
                try expect(ASCII.colon)
                skipWhitespace()
            }
            let value = try scanValue()
            params.record(Member(name: name, nameHasEscapes: nameHasEscapes, value: value), in: bytes)
            skipWhitespace()
            more = current == ASCII.comma
            if more {
                position &+= 1
                skipWhitespace()
            }
        }
        try expect(close)
        depth &-= 1
        params.slice = JSONSlice(start, position)
    }
}
