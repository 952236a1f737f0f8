// What a request body turned out to be: a call, several, something invalid, or no JSON at all (JSON-RPC 2.0, sections 4
// to 6). The envelope is judged here; methods and their parameters are judged by the layer above.

/// One answerable thing in a message.
package enum Element: Sendable {
    case call(Call)
    /// Not a request object. It is answered with the code and `id`, or `null` when no usable id was found.
    case invalid(id: JSONSlice?, RPCErrorCode, reason: StaticString)
}

/// A whole request body.
package enum Message {
    /// One call, or one error for the whole message (an empty batch, nesting beyond the cap, a body of 2 GiB).
    case single(Element)
    /// At least one element.
    case batch(Batch)
    /// -32700. `offset` is where the text stopped being JSON, in bytes.
    case notJSON(offset: Int, reason: StaticString)
}

/// The elements of a batch, one at a time.
///
/// The whole text was validated before, so an error in the last element is known before the first is acted on. The
/// first `keptElements` were taken apart meanwhile; later ones are read again, so that a batch of very many takes no
/// memory for each. Borrows the body: not to be kept beyond it.
package struct Batch {
    /// Elements in the batch.
    package let count: Int
    private let kept: ContiguousArray<Kept>
    private var position = 0
    /// Stands on the first element that is not kept.
    private var scanner: JSONScanner

    /// An element taken apart; filled in place, as it is large.
    fileprivate struct Kept {
        var call = Call()
        /// What is wrong with it as a request object, if anything.
        var problem: StaticString?

        var element: Element {
            problem.map { .invalid(id: call.id, .invalidRequest, reason: $0) } ?? .call(call)
        }
    }

    /// Elements whose parts are remembered: 70 KiB, below what the allocator maps and unmaps each time (128 KiB).
    static let keptElements = 256

    fileprivate init(count: Int, kept: ContiguousArray<Kept>, scanner: JSONScanner) {
        self.count = count
        self.kept = kept
        self.scanner = scanner
    }

    /// The next element, nil after the last one. O(1) for those that are kept, else linear in the element's length.
    package mutating func next() -> Element? {
        guard position < count else { return nil }
        defer { position &+= 1 }
        return position < kept.count ? kept[position].element : scanNext()
    }

    /// Whether `predicate` holds for the method of a call that is kept; nil when it holds for none and there are
    /// elements that are not kept. O(elements kept).
    package func hasKeptCall(_ predicate: (JSONValue) -> Bool) -> Bool? {
        for position in kept.indices where kept[position].problem == nil {
            if predicate(kept[position].call.method) { return true }
        }
        return count > kept.count ? nil : false
    }

    private mutating func scanNext() -> Element {
        do throws(JSONFault) {
            scanner.skipWhitespace()
            var call = Call()
            let problem = try scanner.scanElement(into: &call)
            scanner.skipWhitespace()
            if position &+ 1 < count { try scanner.expect(ASCII.comma) }
            if let problem { return .invalid(id: call.id, .invalidRequest, reason: problem) }
            return .call(call)
        } catch {
            // Only when the caller changed the body under us.
            position = count
            return .invalid(id: nil, .parseError, reason: error.reason)
        }
    }
}

/// Reads a request body.
///
/// One pass, and no allocation for a single call; of a very long batch (`Batch.keptElements`) the rest is read a second
/// time as it is iterated. Never traps, whatever the bytes. Slices in the result are offsets into `body`.
package func parseMessage(_ body: UnsafeRawBufferPointer) -> Message {
    guard body.count <= Int32.max else {
        return .single(.invalid(id: nil, .requestTooLarge, reason: "the body is larger than 2 GiB"))
    }
    var scanner = JSONScanner(body)
    do throws(JSONFault) {
        scanner.skipWhitespace()
        if scanner.current == ASCII.openBracket { return try scanner.scanBatch() }
        var call = Call()
        let problem = try scanner.scanElement(into: &call)
        try scanner.expectEnd()
        if let problem { return .single(.invalid(id: call.id, .invalidRequest, reason: problem)) }
        return .single(.call(call))
    } catch .tooDeep {
        return .single(.invalid(id: nil, .invalidRequest, reason: JSONFault.tooDeep.reason))
    } catch {
        return .notJSON(offset: scanner.position, reason: error.reason)
    }
}

extension JSONScanner {
    /// Validates an array to the end of the text, counts its elements and takes the first ones apart.
    fileprivate mutating func scanBatch() throws(JSONFault) -> Message {
        try open()
        skipWhitespace()
        var rest = self
        var kept: ContiguousArray<Batch.Kept> = []
        var count = 0
        if current == ASCII.closeBracket {
            position &+= 1
        } else {
            while true {
                if count < Batch.keptElements {
                    kept.append(Batch.Kept())
                    kept[count].problem = try scanElement(into: &kept[count].call)
                } else {
                    if count == Batch.keptElements { rest = self }
                    _ = try scanValue()
                }
                count &+= 1
                skipWhitespace()
                guard current == ASCII.comma else { break }
                position &+= 1
                skipWhitespace()
            }
            try expect(ASCII.closeBracket)
        }
        try expectEnd()
        guard count > 0 else {
            return .single(.invalid(id: nil, .invalidRequest, reason: "an empty batch"))
        }
        return .batch(Batch(count: count, kept: kept, scanner: rest))
    }
}
