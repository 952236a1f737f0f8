// Integers out of JSON text. Anything with a fraction or exponent is left alone: the cache never re-rounds a number.

/// The value of a plain JSON integer.
///
/// Nil for another kind, for a number with fraction or exponent (also `1.0`), and outside 64 bits. `-0` is 0.
package func integer(of value: JSONValue, in bytes: UnsafeRawBufferPointer) -> Int64? {
    guard value.kind == .number else { return nil }
    return integer(in: value.slice.bytes(in: bytes))
}

/// The value of `text` as a plain JSON integer (`-?` digits, no leading zeros), nil for any other text or overflow.
///
/// For texts from outside a message as well: stored values that may or may not be integers.
package func integer(in text: UnsafeRawBufferPointer) -> Int64? {
    let isNegative = text.first == ASCII.minus
    let digits = UnsafeRawBufferPointer(rebasing: text[(isNegative ? 1 : 0)...])
    guard let magnitude = unsignedInteger(in: digits) else { return nil }
    guard isNegative else { return Int64(exactly: magnitude) }
    return magnitude <= Int64.min.magnitude ? Int64(truncatingIfNeeded: 0 &- magnitude) : nil
}

/// The value of `text` as decimal digits without sign or leading zeros, nil for any other text or overflow.
///
/// Versions (`cas`) and sequence numbers travel as such strings.
package func unsignedInteger(in text: UnsafeRawBufferPointer) -> UInt64? {
    guard let first = text.first, first != ASCII.zero || text.count == 1, text.count <= 20 else { return nil }
    var result: UInt64 = 0
    for byte in text {
        let digit = byte &- ASCII.zero
        guard digit <= 9 else { return nil }
        let (product, productOverflow) = result.multipliedReportingOverflow(by: 10)
        let (sum, sumOverflow) = product.addingReportingOverflow(UInt64(digit))
        guard !productOverflow && !sumOverflow else { return nil }
        result = sum
    }
    return result
}
