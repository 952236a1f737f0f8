// Where a JSON value lies in the body it came with. Values stay text: nothing here copies, converts or owns bytes.

/// A range of bytes in the body that was parsed.
///
/// Offsets are bytes from the body's first one; `end` is exclusive. Only meaningful together with that body.
@usableFromInline
package struct JSONSlice: Equatable, Sendable {
    @usableFromInline package var start: Int32
    @usableFromInline package var end: Int32

    @inlinable
    package init(start: Int32, end: Int32) {
        self.start = start
        self.end = end
    }

    @inlinable
    init(_ start: Int, _ end: Int) {
        self.init(start: Int32(truncatingIfNeeded: start), end: Int32(truncatingIfNeeded: end))
    }

    /// Length in bytes.
    @inlinable package var count: Int { Int(end) &- Int(start) }

    /// The range as indices of the body.
    @inlinable package var range: Range<Int> { Int(start)..<Int(end) }

    /// The bytes of the slice, valid as long as `body` is.
    @inlinable
    package func bytes(in body: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: body[range])
    }
}

/// The seven forms of a JSON value (RFC 8259, section 3; `true` and `false` told apart).
@usableFromInline
package enum JSONKind: UInt8, Sendable {
    case object, array, string, number, `true`, `false`, null
}

/// One JSON value: its form and its text.
@usableFromInline
package struct JSONValue: Equatable, Sendable {
    /// The text exactly as sent, without the whitespace around it; a string's slice includes its quotes.
    @usableFromInline package var slice: JSONSlice
    @usableFromInline package var kind: JSONKind
    /// Whether a string contains a backslash, so that its text differs from its meaning; false for other kinds.
    @usableFromInline package var hasEscapes: Bool

    @inlinable
    package init(kind: JSONKind, slice: JSONSlice, hasEscapes: Bool = false) {
        self.kind = kind
        self.slice = slice
        self.hasEscapes = hasEscapes
    }

    /// A string's text without its quotes. Calling it for another kind is a mistake of the caller.
    @inlinable package var content: JSONSlice {
        assert(kind == .string, "only a string has content")
        return JSONSlice(start: slice.start &+ 1, end: slice.end &- 1)
    }
}

/// One member of an object, or one element of an array (`name` is then empty).
@usableFromInline
package struct Member: Equatable, Sendable {
    /// The name's text without its quotes.
    @usableFromInline package var name: JSONSlice
    @usableFromInline package var nameHasEscapes: Bool
    @usableFromInline package var value: JSONValue

    @inlinable
    package init(name: JSONSlice, nameHasEscapes: Bool, value: JSONValue) {
        self.name = name
        self.nameHasEscapes = nameHasEscapes
        self.value = value
    }
}
