// Defaults that depend on other settings, and rules that tie two settings together.

extension ConfigurationLoader {
    /// Fills in what was not given and has no constant default.
    mutating func deriveDefaults(stateDirectory: String?) {
        if origins["local.data_dir"] == nil {
            // systemd lists several directories with colons; the first one is the unit's own.
            let first = stateDirectory?.split(separator: ":").first
            configuration.local.dataDirectory =
                first.map(String.init) ?? "spydercache-data/" + fileSafeName(configuration.local.nodeID)
        }
        if origins["limits.max_value_size"] == nil {
            // A small memory_limit alone is no mistake; the default gives way.
            configuration.limits.maxValueBytes = min(
                configuration.limits.maxValueBytes, configuration.local.memoryLimitBytes)
        }
    }

    /// Checks what one value alone cannot show.
    mutating func checkTogether() {
        let network = configuration.network
        let security = configuration.security
        if configuration.limits.maxValueBytes > configuration.local.memoryLimitBytes {
            reportMisfit(
                "limits.max_value_size", with: "local.memory_limit",
                "max_value_size (\(ByteSize.text(configuration.limits.maxValueBytes))) must not be greater than "
                    + "memory_limit (\(ByteSize.text(configuration.local.memoryLimitBytes)))")
        }
        if network.minReplicas > network.replicas {
            reportMisfit(
                "network.min_replicas", with: "network.replicas",
                "min_replicas (\(network.minReplicas)) must not be greater than replicas (\(network.replicas))")
        }
        if network.failureMilliseconds <= network.heartbeatMilliseconds {
            reportMisfit(
                "network.failure_ms", with: "network.heartbeat_ms",
                "failure_ms (\(network.failureMilliseconds)) must be greater than "
                    + "heartbeat_ms (\(network.heartbeatMilliseconds))")
        }
        if network.topology == .etcd, network.etcdEndpoints.isEmpty {
            reportMisfit("network.topology", with: "network.etcd_endpoints", "topology = etcd needs etcd_endpoints")
        }
        if security.tlsCertificate != nil, security.tlsKey == nil {
            reportMisfit("security.tls_certificate", with: "security.tls_key", "tls_certificate needs tls_key")
        }
        if security.tlsKey != nil, security.tlsCertificate == nil {
            reportMisfit("security.tls_key", with: "security.tls_certificate", "tls_key needs tls_certificate")
        }
        if security.tlsVerifyClient, security.tlsCA == nil {
            reportMisfit("security.tls_verify_client", with: "security.tls_ca", "tls_verify_client needs tls_ca")
        }
    }
}

/// A file name for any text, different for different texts: letters, digits, `_`, `-` and inner dots stay, other bytes
/// become `%XX`. A name over 200 bytes is cut and ends in a 64-bit FNV-1a hash of the text instead (NAME_MAX is 255).
func fileSafeName(_ text: String) -> String {
    var name = ""
    for (index, byte) in text.utf8.enumerated() {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
            name.unicodeScalars.append(Unicode.Scalar(byte))
        case UInt8(ascii: ".") where index > 0:
            name += "."
        default:
            name += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
        }
    }
    guard name.utf8.count > 200 else { return name }
    // http://www.isthe.com/chongo/tech/comp/fnv/
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
    return name.prefix(180) + "~" + String(hash, radix: 16)
}
