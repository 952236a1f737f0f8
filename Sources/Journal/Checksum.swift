// CRC-32 over raw bytes (zlib's), plain and seeded with a journal's epoch.

import CZlib

/// The starting value of header CRCs of one journal.
package struct EpochSeed: Sendable, Equatable {
    package let epoch: UInt64
    let checksum: UInt32

    package init(epoch: UInt64) {
        self.epoch = epoch
        checksum = withUnsafeBytes(of: epoch.littleEndian) { Checksum.crc32($0) }
    }
}

package enum Checksum {
    /// CRC-32 of `bytes`, continued from `start`.
    package static func crc32(_ bytes: UnsafeRawBufferPointer, from start: UInt32 = 0) -> UInt32 {
        if bytes.count < 1024 { return CRCTable.shared.crc32(bytes, from: start) }
        guard let base = bytes.baseAddress else { return start }
        return UInt32(truncatingIfNeeded: crc32_z(UInt(start), base.assumingMemoryBound(to: UInt8.self), bytes.count))
    }

    /// 16 bits in which every single-bit change of type, form or a length shows.
    static func lengths(typeAndForm: UInt16, keyBytes: UInt32, valueBytes: UInt32, seed: EpochSeed) -> UInt16 {
        let key = UInt16(truncatingIfNeeded: keyBytes ^ (keyBytes >> 16))
        let value = UInt16(truncatingIfNeeded: valueBytes ^ (valueBytes >> 16))
        let turned = (value << 5) | (value >> 11)
        return key ^ turned ^ typeAndForm ^ UInt16(truncatingIfNeeded: seed.checksum)
    }
}
