// Restores what Deflater made (raw blocks of a known length) and what clients send (gzip members, see Inflater+Gzip).
// Every input is somebody else's: a wrong one is a typed error, never a trap and never more memory than was allowed.

import CZlib

/// A reusable decompressor; one an event loop or thread, never shared. It holds about 40 KiB once used.
package struct Inflater: ~Copyable {
    /// On the heap because zlib keeps a pointer back to it and refuses a stream that has moved.
    let stream: UnsafeMutablePointer<z_stream>

    /// Throws `outOfMemory`.
    package init() throws(CompressionError) {
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        guard spyder_inflateInit2(stream, -15) == Z_OK else {
            stream.deallocate()
            throw .outOfMemory
        }
    }

    deinit {
        inflateEnd(stream)
        stream.deallocate()
    }

    /// Restores raw deflate blocks to exactly fill `output`.
    ///
    /// Throws `corrupt`, leaving rubbish in `output`, unless the blocks give just that many bytes, end on a byte boundary
    /// with no block marked final, and the bytes have the CRC-32 `crc` where one is given. `outOfMemory` is possible on
    /// first use.
    package mutating func inflateBlocks(
        _ blocks: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer, crc: UInt32? = nil
    ) throws(CompressionError) {
        guard let inputLength = UInt32(exactly: blocks.count), let outputLength = UInt32(exactly: output.count) else {
            throw .corrupt
        }
        inflateReset2(stream, -15)
        // A place for zlib to point at when the output is empty and has no address; nothing is ever written there.
        var nowhere: UInt8 = 0
        let status = withUnsafeMutablePointer(to: &nowhere) { nowhere in
            stream.pointee.next_in = UnsafeMutablePointer(
                mutating: blocks.baseAddress?.assumingMemoryBound(to: UInt8.self))
            stream.pointee.avail_in = inputLength
            stream.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self) ?? nowhere
            stream.pointee.avail_out = outputLength
            return inflate(stream, Z_NO_FLUSH)
        }
        if status == Z_MEM_ERROR { throw .outOfMemory }
        // With the output full zlib reads on up to the next byte it would have to write, so whole blocks leave it between
        // two blocks. zlib.h, data_type: bits left of the last byte, + 64 in a final block, + 128 between two blocks.
        let betweenBlocks = stream.pointee.data_type == 128
        guard status == Z_OK, betweenBlocks, stream.pointee.avail_in == 0, stream.pointee.avail_out == 0 else {
            throw .corrupt
        }
        if let crc, crc != crc32(UnsafeRawBufferPointer(output)) { throw .corrupt }
    }
}
