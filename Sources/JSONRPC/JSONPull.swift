// Reads one JSON text step by step, validating as it goes: for frames whose parts are judged on their own. What a frame
// adds around a call does not count towards the call's own nesting.

/// A reader that its caller leads through objects and arrays. After a thrown error nothing more can be read.
package struct JSONPull {
    private var scanner: JSONScanner
    /// Containers entered and not left, and whether an item of the innermost one has been read.
    private var hasItem: [Bool] = []

    /// At the first value of `bytes`, of at most 2 GiB. `maxDepth` holds for each value that is read.
    package init(_ bytes: UnsafeRawBufferPointer, maxDepth: Int = maxNestingLevels) {
        precondition(bytes.count <= Int32.max, "slices hold 31-bit offsets")
        scanner = JSONScanner(bytes, maxDepth: maxDepth)
        scanner.skipWhitespace()
    }

    /// Enters the object that comes next.
    package mutating func enterObject() throws(JSONError) { try enter(ASCII.openBrace) }

    /// Enters the array that comes next.
    package mutating func enterArray() throws(JSONError) { try enter(ASCII.openBracket) }

    /// Steps to the next element of the array that was entered; false, and the array is left, when there are no more.
    package mutating func nextElement() throws(JSONError) -> Bool {
        try step(ASCII.closeBracket)
    }

    /// Steps to the next member of the object that was entered and reads its name, without quotes; nil, and the object is
    /// left, when there are no more.
    package mutating func nextName() throws(JSONError) -> (name: JSONSlice, hasEscapes: Bool)? {
        guard try step(ASCII.closeBrace) else { return nil }
        return try run { scanner throws(JSONFault) in
            let start = scanner.position &+ 1
            let hasEscapes = try scanner.scanString()
            let name = JSONSlice(start, scanner.position &- 1)
            scanner.skipWhitespace()
            try scanner.expect(ASCII.colon)
            scanner.skipWhitespace()
            return (name, hasEscapes)
        }
    }

    /// Reads a whole value.
    package mutating func value() throws(JSONError) -> JSONValue {
        try run { scanner throws(JSONFault) in try scanner.scanValue() }
    }

    /// Reads a value as a request object, as `parseMessage` does with a whole body.
    package mutating func call() throws(JSONError) -> Element {
        try run { scanner throws(JSONFault) in
            var call = Call()
            let problem = try scanner.scanElement(into: &call)
            if let problem { return .invalid(id: call.id, .invalidRequest, reason: problem) }
            return .call(call)
        }
    }

    /// Nothing but white space may follow.
    package mutating func end() throws(JSONError) {
        try run { scanner throws(JSONFault) in try scanner.expectEnd() }
    }

    private mutating func enter(_ bracket: UInt8) throws(JSONError) {
        try run { scanner throws(JSONFault) in
            try scanner.expect(bracket)
            scanner.skipWhitespace()
        }
        hasItem.append(false)
    }

    private mutating func step(_ close: UInt8) throws(JSONError) -> Bool {
        guard let hasRead = hasItem.last else { return false }
        let hasNext = try run { scanner throws(JSONFault) in
            scanner.skipWhitespace()
            if scanner.current == close {
                scanner.position &+= 1
                return false
            }
            if hasRead {
                try scanner.expect(ASCII.comma)
                scanner.skipWhitespace()
            }
            return true
        }
        if hasNext { hasItem[hasItem.count - 1] = true } else { hasItem.removeLast() }
        return hasNext
    }

    private mutating func run<Result>(
        _ body: (inout JSONScanner) throws(JSONFault) -> Result
    ) throws(JSONError) -> Result {
        do throws(JSONFault) {
            return try body(&scanner)
        } catch {
            throw JSONError(error, at: scanner.position)
        }
    }
}
