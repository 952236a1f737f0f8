// What is printed of a configuration: the INI text, the plain values, the schema.

import Foundation
import TestSupport
import Testing

@testable import Configuration

@Suite("Renderings of a configuration")
struct RenderingTests {
    /// Every setting with a value other than its default.
    private static let everything = #"""
        [local]
        node_id = " # \"é\\;,"
        bind = ::1
        node_port = 0
        advertise = [2001:db8::1]:9000
        data_dir = /var/lib/a b,
        reconstruct = yes
        cache_size = 1000
        memory_limit = 1536 KiB
        threads = 3
        [network]
        peers = 127.0.0.1:8002,
          [::1]:8003,
          cache.example:8004,
        mirrors = m:1
        replicas = 2
        min_replicas = 1
        replica_ack = none
        virtual_nodes = 10
        heartbeat_ms = 100
        failure_ms = 400
        forward_timeout_ms = 300
        near_cache_size = 50
        topology = ETCD
        etcd_endpoints = http://127.0.0.1:2379
        etcd_prefix = /x/
        cluster = "a#b"
        [compression]
        threshold = 0
        level = 1
        [journal]
        enabled = off
        fsync = always
        fsync_interval_ms = 5
        segment_size = 4097
        compress = no
        [log]
        level = trace
        destination = ./log;x
        access = slow
        slow_ms = 0
        [security]
        token_file = /t
        peer_token_file = /p
        tls_certificate = c.pem
        tls_key = k.pem
        tls_ca = a.pem
        tls_verify_client = True
        allowed_hosts = example.org, [::1]
        [limits]
        max_key_size = 250
        max_value_size = 1MiB
        max_batch = 10
        max_connections = 20
        header_timeout_ms = 1
        body_timeout_ms = 2
        idle_timeout_ms = 3
        drain_ms = 0
        """#

    @Test("what config show prints loads to the same configuration, for defaults and for every setting changed")
    func roundTrip() throws {
        for text in ["", seedFile, Self.everything] {
            let loaded = try load(text, cores: 4)
            let again = try load(loaded.iniText, cores: 1)
            #expect(again.configuration == loaded.configuration)
        }
        let changed = try load(Self.everything, cores: 4).configuration
        for setting in Settings.all where setting.name != "local.eviction" {
            #expect(setting.value(changed) != setting.value(.defaults(cores: 4)), "\(setting.name) is not in the text")
        }
    }

    @Test("config show names the origin of each value and what is not set")
    func origins() throws {
        let lines = try load(
            "[local]\nnode_id = a\n", environment: [("SPYDERCACHE_LOG_LEVEL", "debug")],
            overrides: ["local.memory_limit=64MiB"]
        ).iniText.split(separator: "\n").map(String.init)
        for expected in [
            "node_id = a    # node.ini:2", "node_port = 8001    # default",
            "memory_limit = 64MiB    # --set local.memory_limit",
            "level = debug    # SPYDERCACHE_LOG_LEVEL", "# peer is not set",
        ] {
            #expect(lines.contains(expected), "\(expected)")
        }
        #expect(lines.count == Settings.all.count + Section.allCases.count)
    }

    @Test("plain values carry bytes, milliseconds and lists")
    func plainValues() throws {
        let values = try load(Self.everything).configuration.renderedSettings
        func value(_ section: String, _ key: String) -> SettingValue? {
            values.first { $0.section == section && $0.key == key }?.value
        }
        #expect(values.count == Settings.all.count)
        #expect(value("local", "memory_limit") == .integer(1536 * 1024))
        #expect(value("network", "heartbeat_ms") == .integer(100))
        #expect(value("network", "peer") == .list(["127.0.0.1:8002", "[::1]:8003", "cache.example:8004"]))
        #expect(value("journal", "enabled") == .boolean(false))
        #expect(value("network", "topology") == .text("etcd"))
        #expect(NodeConfiguration().renderedSettings.contains { $0.value == .unset })
    }

    @Test("the table names each setting once and groups it by section; the defaults obey their own rules")
    func table() throws {
        #expect(
            Set(Settings.all.flatMap { s in ([s.key] + s.aliases).map { "\(s.section).\($0)" } }).count == Settings.all
                .count + 1)
        #expect(
            Settings.all.map(\.section.rawValue).reduce(into: [String]()) { if $0.last != $1 { $0.append($1) } }
                == Section.allCases.map(\.rawValue))
        #expect(Settings.all.allSatisfy { $0.summary.hasSuffix(".") && !$0.summary.contains("|") })
        for section in Section.allCases {
            for row in ConfigurationSchema.markdownRows(of: section) {
                #expect(row.hasPrefix("| `") && row.hasSuffix(". |"))
            }
        }
    }

    @Test("schemas/config.schema.json is what the table says; UPDATE_SCHEMAS=1 rewrites it")
    func schema() throws {
        let file = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "schemas/config.schema.json")
        if ProcessInfo.processInfo.environment["UPDATE_SCHEMAS"] == "1" {
            try Data(ConfigurationSchema.json.utf8).write(to: file)
        }
        let written = try String(decoding: Data(contentsOf: file), as: UTF8.self)
        #expect(written == ConfigurationSchema.json)
        let parsed = try JSONSerialization.jsonObject(with: Data(written.utf8)) as? [String: Any]
        let sections = parsed?["properties"] as? [String: [String: Any]]
        #expect(sections.map { Set($0.keys) } == Set(Section.allCases.map(\.rawValue)))
    }
}
