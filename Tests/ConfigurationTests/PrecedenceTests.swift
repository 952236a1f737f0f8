// Which source wins, what is remembered of it, and the defaults that depend on the surroundings.

import Testing

@testable import Configuration

@Suite("Sources of settings")
struct PrecedenceTests {
    @Test("--set wins over the environment, it over the file, it over the default; origins tell which")
    func precedence() throws {
        let text = "[local]\nnode_port = 1\ncache_size = 1\nnode_id = f\n"
        let environment = [("SPYDERCACHE_LOCAL_NODE_PORT", "2"), ("SPYDERCACHE_LOCAL_CACHE_SIZE", " 2 ")]
        let loaded = try load(text, environment: environment, overrides: ["local.node_port=3"])
        #expect(loaded.configuration.local.nodeID == "f")
        #expect(loaded.configuration.local.maxKeys == 2)
        #expect(loaded.configuration.local.port == 3)
        #expect(loaded.configuration.compression.level == 6)
        #expect(
            loaded.origins == [
                "local.node_id": .file(name: "node.ini", line: 4),
                "local.cache_size": .environment(variable: "SPYDERCACHE_LOCAL_CACHE_SIZE"),
                "local.node_port": .override(setting: "local.node_port"),
            ])
    }

    @Test("every setting can be given by environment variable and by --set")
    func everySetting() {
        for setting in Settings.all {
            let fromEnvironment = messages("", environment: [(setting.environmentVariable, "\u{1}")])
            let fromOverride = messages("", overrides: ["\(setting.name)=\u{1}"])
            #expect(fromEnvironment.first?.hasPrefix("\(setting.environmentVariable): [\(setting.section)] ") == true)
            #expect(fromOverride.first?.hasPrefix("--set \(setting.name): [\(setting.section)] ") == true)
        }
    }

    @Test("the last --set for a key wins, a value may contain =, white space around its parts does not count")
    func overrides() throws {
        let loaded = try load("", overrides: ["local.node_id=a", " local.node_id = b=c # d "])
        #expect(loaded.configuration.local.nodeID == "b=c # d")
    }

    @Test("a value that a stronger source replaces is checked all the same")
    func replacedIsChecked() {
        #expect(
            messages("[local]\nnode_port = x", overrides: ["local.node_port=1"]) == [
                "node.ini:2: [local] node_port: \"x\" is not a whole number"
            ])
    }

    @Test("variables of a known section must name a key; others are not ours")
    func environmentNames() {
        #expect(
            messages("", environment: [("SPYDERCACHE_LOCAL_NODE_PROT", "1")]) == [
                "SPYDERCACHE_LOCAL_NODE_PROT: [local] node_prot: unknown key (did you mean node_port?)"
            ])
        let foreign = [
            ("SPYDERCACHE_HOME", "/x"), ("SPYDERCACHE_PORT_8001_TCP", "tcp://10.0.0.1:8001"), ("SPYDERCACHE_", ""),
            ("SPYDERCACHE_LOG", "x"), ("OTHER_LOCAL_NODE_ID", "x"), ("", ""),
        ]
        #expect(messages("", environment: foreign).isEmpty)
    }

    @Test("the data directory is systemd's first one, else a directory named after the node")
    func dataDirectory() throws {
        func directory(_ id: String, _ state: String?) throws -> String {
            try load("", environment: state.map { [("STATE_DIRECTORY", $0)] } ?? [], overrides: ["local.node_id=\(id)"])
                .configuration.local.dataDirectory
        }
        #expect(try directory("1", "/var/lib/spydercache/n1") == "/var/lib/spydercache/n1")
        #expect(try directory("1", "/a:/b") == "/a")
        #expect(try directory("1", "") == "spydercache-data/1")
        #expect(try directory("node-7.b", nil) == "spydercache-data/node-7.b")
        #expect(try directory("../x/é", nil) == "spydercache-data/%2E.%2Fx%2F%C3%A9")
        let long = try directory(String(repeating: "/", count: 255), nil)
        #expect(long.utf8.count < 240)
        #expect(try directory(String(repeating: "/", count: 254), nil) != long)
        #expect(
            try load("[local]\ndata_dir = /d", environment: [("STATE_DIRECTORY", "/s")]).configuration.local
                .dataDirectory == "/d")
    }

    @Test("threads default to the cores, and a small memory limit lowers the default of max_value_size")
    func dependentDefaults() throws {
        #expect(try load("", cores: 8).configuration.local.threads == 8)
        #expect(try load("[local]\nthreads = 2", cores: 8).configuration.local.threads == 2)
        #expect(try load("[local]\nmemory_limit = 4MiB").configuration.limits.maxValueBytes == 4 << 20)
    }

    @Test("a setting without effect yet is named once, unless it has its default value")
    func notYetInForce() throws {
        let loaded = try load(
            "[security]\ntls_ca = /ca\ntls_verify_client = False\n", overrides: ["security.token_file=/t"])
        #expect(
            loaded.notYetInForce.map(\.description) == [
                "--set security.token_file: security.token_file is not yet in force and has no effect",
                "node.ini:2: security.tls_ca is not yet in force and has no effect",
            ])
        #expect(try load("").notYetInForce.isEmpty)
    }
}
