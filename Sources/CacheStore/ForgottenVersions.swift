// What the store no longer knows: the newest version of the entries that left it by eviction or expiry.
//
// A copy of a key that comes from a node which was away may be older than what was forgotten here meanwhile; served again
// it would be a stale answer. One number for all keys would turn away too much, one for each is what was to be forgotten:
// keys share 256 numbers by their hash.

/// Upper bounds of versions forgotten, by a part of the key's hash.
struct ForgottenVersions: Sendable {
    private var versions = [UInt64](repeating: 0, count: 256)

    /// Notes that an entry of this version is gone.
    mutating func note(_ version: UInt64, _ hash: KeyHash) {
        let slot = Self.slot(hash)
        if version > versions[slot] { versions[slot] = version }
    }

    /// Everything up to this version is gone.
    mutating func noteAll(upTo version: UInt64) {
        for slot in versions.indices { versions[slot] = max(versions[slot], version) }
    }

    /// At least the newest version of `hash`'s key that was forgotten; 0 when nothing like it was.
    subscript(_ hash: KeyHash) -> UInt64 { versions[Self.slot(hash)] }

    private static func slot(_ hash: KeyHash) -> Int { Int(hash.fragment >> 8) }
}
