// `spydercache config check FILE` and `spydercache config show [FILE]`: a configuration looked at without starting a
// node.

import ArgumentParser
import Configuration

/// The group of commands around the configuration file.
struct ConfigCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config",
        abstract: "Check a configuration file or show what a node would run with.",
        subcommands: [Check.self, Show.self])

    /// The file alone, as written: neither the environment nor `--set` can hide a mistake in it.
    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print every problem of a file as FILE:LINE: [section] key: reason.",
            discussion: "Exits with 0 when there is none and with 78 otherwise.")

        @Argument(help: "The INI file.", completion: .file(extensions: ["ini"]))
        var file: String

        func run() throws {
            let bytes = try readConfiguration(file)
            do throws(ConfigurationErrors) {
                let loaded = try NodeConfiguration.load(
                    fileName: file, fileBytes: bytes, cores: ProcessEnvironment.cores)
                for setting in loaded.notYetInForce { printError("warning: \(setting)") }
            } catch {
                // The problems are this command's result, so they go to standard output.
                print(error)
                throw ExitStatus.configuration.exitCode
            }
        }
    }

    /// What `serve` would run with, given the same file, environment and `--set`.
    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print the effective settings as an INI file, each with where it comes from.")

        @Argument(help: "The INI file; without one the defaults are shown.", completion: .file(extensions: ["ini"]))
        var file: String?

        @Option(
            name: .customLong("set"), help: .init("Replace a setting; may be repeated.", valueName: "section.key=value")
        )
        var overrides: [String] = []

        func run() throws {
            let loaded = try loadConfiguration(file: file, overrides: overrides)
            print(loaded.iniText, terminator: "")
        }
    }
}

/// Loads as every command does that runs with a configuration: `overrides` over the environment over `file` over
/// defaults.
///
/// Prints all problems to standard error and throws `ExitStatus.configuration` when there are any.
func loadConfiguration(file: String?, overrides: [String]) throws -> LoadedConfiguration {
    let bytes = try file.map(readConfiguration)
    do throws(ConfigurationErrors) {
        return try NodeConfiguration.load(
            fileName: file, fileBytes: bytes, environment: ProcessEnvironment.variables,
            overrides: overrides, cores: ProcessEnvironment.cores)
    } catch {
        printError(error.description)
        throw ExitStatus.configuration.exitCode
    }
}

/// The file's bytes; one that cannot be read ends the program as a wrong one does.
private func readConfiguration(_ file: String) throws -> [UInt8] {
    do throws(FileReadError) {
        return try FileBytes.read(path: file)
    } catch {
        printError(error.description)
        throw ExitStatus.configuration.exitCode
    }
}
