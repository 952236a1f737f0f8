// CRC-32 as in RFC 1952 section 8 (the polynomial of gzip, PNG and Ethernet), computed by zlib. It detects damage; it is
// no defence against somebody who wants a collision.

import CZlib

/// The CRC-32 of `bytes`, or of everything that gave `running` followed by `bytes`. O(bytes).
package func crc32(_ bytes: UnsafeRawBufferPointer, running: UInt32 = 0) -> UInt32 {
    guard let base = bytes.baseAddress, !bytes.isEmpty else { return running }
    return UInt32(
        truncatingIfNeeded: crc32_z(UInt(running), base.assumingMemoryBound(to: UInt8.self), z_size_t(bytes.count)))
}

/// The CRC-32 of a text A followed by a text B, from the CRCs of both and the length of B in bytes. O(log bLength).
package func crc32Combine(_ a: UInt32, _ b: UInt32, bLength: Int) -> UInt32 {
    precondition(bLength >= 0, "a length is never negative")
    return UInt32(truncatingIfNeeded: crc32_combine(UInt(a), UInt(b), bLength))
}
