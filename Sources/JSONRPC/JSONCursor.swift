// Walks arrays and objects inside text that has been validated already, so it only looks for ends: strings by their
// quotes, containers by counting brackets. Given anything else it may find nonsense, but never reads outside its slice.

/// The elements of an array, one after the other.
package struct JSONArrayCursor {
    private var walker: JSONWalker

    /// `slice` is the text of an array in `bytes`, brackets included.
    package init(_ bytes: UnsafeRawBufferPointer, _ slice: JSONSlice) {
        walker = JSONWalker(bytes, slice)
    }

    /// The next element, nil after the last one. Linear in its length.
    package mutating func next() -> JSONValue? {
        walker.stepToItem() ? walker.takeValue() : nil
    }
}

/// The members of an object, one after the other, duplicates included.
package struct JSONObjectCursor {
    private var walker: JSONWalker

    /// `slice` is the text of an object in `bytes`, braces included.
    package init(_ bytes: UnsafeRawBufferPointer, _ slice: JSONSlice) {
        walker = JSONWalker(bytes, slice)
    }

    /// The next member, nil after the last one. Linear in its length.
    package mutating func next() -> Member? {
        guard walker.stepToItem() else { return nil }
        let nameStart = walker.position &+ 1
        let hasEscapes = walker.skipString()
        let name = JSONSlice(nameStart, max(nameStart, walker.position &- 1))
        walker.stepToValue()
        return Member(name: name, nameHasEscapes: hasEscapes, value: walker.takeValue())
    }
}

/// The steps both cursors share.
private struct JSONWalker {
    let bytes: UnsafeRawBufferPointer
    /// Offset of the closing bracket.
    let end: Int
    var position: Int

    init(_ bytes: UnsafeRawBufferPointer, _ slice: JSONSlice) {
        precondition(
            slice.start >= 0 && slice.end >= slice.start && Int(slice.end) <= bytes.count, "a slice lies in its body")
        self.bytes = bytes
        end = Int(slice.end) &- 1
        position = Int(slice.start) &+ 1
    }

    /// Steps over whitespace and the comma to the next item, or says that there is none.
    mutating func stepToItem() -> Bool {
        while position < end {
            switch bytes[position] {
            case 0x20, 0x09, 0x0A, 0x0D, ASCII.comma: position &+= 1
            default: return true
            }
        }
        return false
    }

    /// From behind a name to its value.
    mutating func stepToValue() {
        while position < end {
            switch bytes[position] {
            case 0x20, 0x09, 0x0A, 0x0D, ASCII.colon: position &+= 1
            default: return
            }
        }
    }

    mutating func takeValue() -> JSONValue {
        let start = position
        guard position < end else { return JSONValue(kind: .null, slice: JSONSlice(start, start)) }
        switch bytes[position] {
        case ASCII.quote:
            let hasEscapes = skipString()
            return JSONValue(kind: .string, slice: JSONSlice(start, position), hasEscapes: hasEscapes)
        case ASCII.openBrace:
            skipContainer()
            return JSONValue(kind: .object, slice: JSONSlice(start, position))
        case ASCII.openBracket:
            skipContainer()
            return JSONValue(kind: .array, slice: JSONSlice(start, position))
        case UInt8(ascii: "t"):
            skipPrimitive()
            return JSONValue(kind: .true, slice: JSONSlice(start, position))
        case UInt8(ascii: "f"):
            skipPrimitive()
            return JSONValue(kind: .false, slice: JSONSlice(start, position))
        case UInt8(ascii: "n"):
            skipPrimitive()
            return JSONValue(kind: .null, slice: JSONSlice(start, position))
        default:
            skipPrimitive()
            return JSONValue(kind: .number, slice: JSONSlice(start, position))
        }
    }

    /// Steps behind the closing quote and says whether there was a backslash.
    mutating func skipString() -> Bool {
        var hasEscapes = false
        var at = position &+ 1
        while at < end {
            if at &+ 8 <= end {
                let stops = ByteWord.quotesAndBackslashes(ByteWord.load(bytes, at: at))
                guard stops != 0 else {
                    at &+= 8
                    continue
                }
                at &+= ByteWord.firstLane(stops)
            }
            switch bytes[at] {
            case ASCII.quote:
                position = at &+ 1
                return hasEscapes
            case ASCII.backslash:
                hasEscapes = true
                at &+= 2
            default:
                at &+= 1
            }
        }
        position = end
        return hasEscapes
    }

    private mutating func skipContainer() {
        var open = 0
        while position < end {
            switch bytes[position] {
            case ASCII.quote:
                _ = skipString()
                continue
            case ASCII.openBrace, ASCII.openBracket:
                open &+= 1
            case ASCII.closeBrace, ASCII.closeBracket:
                open &-= 1
                if open == 0 {
                    position &+= 1
                    return
                }
            default:
                break
            }
            position &+= 1
        }
    }

    private mutating func skipPrimitive() {
        while position < end {
            switch bytes[position] {
            case 0x20, 0x09, 0x0A, 0x0D, ASCII.comma: return
            default: position &+= 1
            }
        }
    }
}
