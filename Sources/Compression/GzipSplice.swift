// A gzip member (RFC 1952) put together from plain bytes and from values that are already deflated, without inflating or
// compressing anything:
//
//     header     1F 8B 08 00 │ mtime 00 00 00 00 │ 00 │ FF                             10 bytes
//     literal    00 │ length LE16 │ ~length LE16 │ bytes as they are                   5 bytes for each 65,535
//     spliced    raw deflate blocks as stored, ended by a sync flush                   as stored
//     …          literals and splices in any order
//     trailer    01 00 00 FF FF │ CRC-32 LE32 │ length mod 2^32 LE32                   13 bytes
//
// Every part begins and ends on a byte boundary and no spliced block refers back beyond its own value, so the parts may
// follow one another in any order (RFC 1951 section 3.2). The CRC of the whole is combined from those of the parts.

/// Where the encoded bytes go; the shell adapts it to its buffers.
package protocol SpliceOutput {
    /// Appends a copy of `bytes`, which are lent for the call only.
    mutating func append(_ bytes: UnsafeRawBufferPointer)
}

extension [UInt8]: SpliceOutput {
    @inlinable
    package mutating func append(_ bytes: UnsafeRawBufferPointer) {
        append(contentsOf: bytes)
    }
}

/// Encodes one gzip member: `begin`, any number of `literal` and `spliced`, `finish`, all to the same output.
package struct GzipSplice: Sendable {
    /// CRC-32 of the text so far.
    @usableFromInline var crc: UInt32 = 0
    /// Length of the text so far in bytes; the trailer holds its low 32 bits.
    @usableFromInline var textBytes = 0

    /// Bytes of header and trailer.
    package static let frameBytes = 23
    /// The longest run of plain bytes in one stored block (RFC 1951 section 3.2.4).
    package static let maxStoredBytes = 65_535

    /// A member of which nothing has been written yet.
    package init() {}

    /// How many bytes `literal` writes for `bytes` bytes; none for none.
    @inlinable
    package static func literalLength(_ bytes: Int) -> Int {
        bytes + 5 * ((bytes + maxStoredBytes - 1) / maxStoredBytes)
    }

    /// The length of a whole member: `literals` are the lengths of the literals, `splicedBytes` the sum of the stored
    /// lengths of the splices.
    @inlinable
    package static func encodedLength(literals: some Sequence<Int>, splicedBytes: Int) -> Int {
        literals.reduce(frameBytes + splicedBytes) { $0 + literalLength($1) }
    }

    /// Writes the header.
    @inlinable
    package func begin(into output: inout some SpliceOutput) {
        let header: InlineArray<10, UInt8> = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF]
        header.span.withUnsafeBytes { output.append($0) }
    }

    /// Writes `bytes` uncompressed, as one stored block for each 65,535 of them.
    @inlinable
    package mutating func literal(_ bytes: UnsafeRawBufferPointer, into output: inout some SpliceOutput) {
        crc = crc32(bytes, running: crc)
        textBytes += bytes.count
        var start = 0
        while start < bytes.count {
            let length = UInt16(min(bytes.count - start, Self.maxStoredBytes))
            let head: InlineArray<5, UInt8> = [
                0, UInt8(truncatingIfNeeded: length), UInt8(length >> 8),
                UInt8(truncatingIfNeeded: ~length), UInt8(~length >> 8),
            ]
            head.span.withUnsafeBytes { output.append($0) }
            output.append(UnsafeRawBufferPointer(rebasing: bytes[start..<start + Int(length)]))
            start += Int(length)
        }
    }

    /// Writes the blocks `Deflater` made of a text of `originalBytes` bytes and CRC-32 `crc`, as they are.
    @inlinable
    package mutating func spliced(
        _ blocks: UnsafeRawBufferPointer, originalBytes: Int, crc blocksCRC: UInt32,
        into output: inout some SpliceOutput
    ) {
        assert(
            blocks.isEmpty || blocks.suffix(4).elementsEqual([0, 0, 0xFF, 0xFF]),
            "spliced blocks end with a sync flush, else the next block would start within a byte")
        crc = crc32Combine(crc, blocksCRC, bLength: originalBytes)
        textBytes += originalBytes
        output.append(blocks)
    }

    /// Writes the trailer; the member is complete.
    @inlinable
    package func finish(into output: inout some SpliceOutput) {
        let last: InlineArray<5, UInt8> = [1, 0, 0, 0xFF, 0xFF]
        last.span.withUnsafeBytes { output.append($0) }
        withUnsafeBytes(of: crc.littleEndian) { output.append($0) }
        withUnsafeBytes(of: UInt32(truncatingIfNeeded: textBytes).littleEndian) { output.append($0) }
    }
}

extension Deflater {
    /// A whole text as one gzip member, stored plainly where compressing it does not pay. For answers that are made
    /// seldom; a reply with stored values is spliced instead. Fits an input of at most 4 GiB compressed.
    package mutating func gzip(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
        var splice = GzipSplice()
        var blocks: [UInt8] = []
        var output: [UInt8] = []
        splice.begin(into: &output)
        if deflateBlocks(bytes, into: &blocks, maxOutput: bytes.count) != nil {
            output.reserveCapacity(GzipSplice.frameBytes + blocks.count)
            blocks.withUnsafeBytes {
                splice.spliced($0, originalBytes: bytes.count, crc: crc32(bytes), into: &output)
            }
        } else {
            splice.literal(bytes, into: &output)
        }
        splice.finish(into: &output)
        return output
    }
}
