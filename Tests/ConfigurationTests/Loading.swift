// Short ways to load a text and to ask for the messages.

import Configuration

/// The file `node.ini` with `text`, loaded.
func load(
    _ text: String, environment: [(String, String)] = [], overrides: [String] = [], cores: Int = 1
) throws(ConfigurationErrors) -> LoadedConfiguration {
    try NodeConfiguration.load(
        fileName: "node.ini", fileBytes: Array(text.utf8), environment: environment, overrides: overrides, cores: cores)
}

/// Every message, one an element; empty when the configuration is fine.
func messages(
    _ text: String, environment: [(String, String)] = [], overrides: [String] = []
) -> [String] {
    messages(bytes: Array(text.utf8), environment: environment, overrides: overrides)
}

/// The same for a file of any bytes.
func messages(
    bytes: [UInt8], environment: [(String, String)] = [], overrides: [String] = []
) -> [String] {
    do throws(ConfigurationErrors) {
        _ = try NodeConfiguration.load(
            fileName: "node.ini", fileBytes: bytes, environment: environment, overrides: overrides)
        return []
    } catch {
        return error.problems.map(\.description)
    }
}
