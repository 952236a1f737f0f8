// A request object that was found well-formed (JSON-RPC 2.0, section 4). Which methods exist is not decided here.

/// One call: what to do, with what, and whom to answer.
package struct Call: Sendable {
    /// The id's text, to be echoed byte for byte; nil marks a notification, which gets no answer (`null` is an id).
    package var id: JSONSlice?
    /// The method's name, always a string.
    package var method: JSONValue
    package var params: Params

    /// A notification of nothing, to be filled in while an envelope is read.
    @inline(__always)
    init() {
        id = nil
        params = Params()
        method = JSONValue(kind: .null, slice: params.slice)
    }

    /// Whether the caller wants no answer, not even an error.
    package var isNotification: Bool { id == nil }
}

/// The parameters of a call, their top level taken apart.
///
/// The first eight members or elements are kept inline, more than any method takes, so that a call never allocates.
@usableFromInline
package struct Params: Sendable {
    package enum Kind: Sendable {
        case none, byName, byPosition
    }

    /// How many members or elements are kept.
    package static let capacity = 8

    package internal(set) var kind: Kind
    /// Members or elements kept, at most `capacity`.
    @usableFromInline package internal(set) var count: Int
    /// There were more than `capacity`; the rest was validated and left out.
    package internal(set) var overflow: Bool
    /// The first name that occurs twice among those kept, without quotes; names are compared decoded.
    package internal(set) var duplicate: JSONSlice?
    /// The text of the whole array or object; empty for `.none`.
    package internal(set) var slice: JSONSlice
    @usableFromInline var members: InlineArray<8, Member>

    /// No parameters.
    @inline(__always)
    package init() {
        kind = .none
        count = 0
        overflow = false
        duplicate = nil
        slice = JSONSlice(start: 0, end: 0)
        let absent = JSONValue(kind: .null, slice: slice)
        members = InlineArray(repeating: Member(name: slice, nameHasEscapes: false, value: absent))
    }

    /// The member or element at `index`, in the order sent; `index` is below `count`.
    @inlinable
    package subscript(index: Int) -> Member {
        precondition(index >= 0 && index < count, "a parameter index lies below the count")
        return members[index]
    }

    /// The parameter called `name`, or the one at `position` when they came by position; nil when absent.
    package func value(_ name: StaticString, at position: Int, in body: UnsafeRawBufferPointer) -> JSONValue? {
        switch kind {
        case .none:
            return nil
        case .byPosition:
            return position < count ? members[position].value : nil
        case .byName:
            for index in 0..<count {
                let member = members[index]
                if stringEquals(member.name, hasEscapes: member.nameHasEscapes, name, in: body) { return member.value }
            }
            return nil
        }
    }

    @inline(__always)
    mutating func record(_ member: Member, in body: UnsafeRawBufferPointer) {
        guard count < Params.capacity else {
            overflow = true
            return
        }
        if kind == .byName && duplicate == nil {
            for index in 0..<count where sameName(members[index], member, in: body) { duplicate = member.name }
        }
        members[count] = member
        count &+= 1
    }

    @inline(__always)
    private func sameName(_ one: Member, _ other: Member, in body: UnsafeRawBufferPointer) -> Bool {
        // Plain names of different lengths differ: true of nearly every pair, and decided without reading the body.
        if !one.nameHasEscapes && !other.nameHasEscapes && one.name.count != other.name.count { return false }
        return stringEquals(
            one.name, hasEscapes: one.nameHasEscapes, other.name, hasEscapes: other.nameHasEscapes, in: body)
    }
}
