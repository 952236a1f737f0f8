// The exit statuses of the program. Scripts and systemd rely on them: sysexits.h.

import ArgumentParser

/// Why the program ended, in the numbers of sysexits.h.
enum ExitStatus: Int32 {
    case clean = 0
    /// EX_USAGE: the command line is wrong (swift-argument-parser's own errors end with it too).
    case usage = 64
    /// EX_UNAVAILABLE: something the node needs is taken or refuses it, such as its port or its cluster.
    case unavailable = 69
    /// EX_IOERR: a disk or file failed.
    case ioError = 74
    /// EX_CONFIG: a setting is wrong or the configuration cannot be read.
    case configuration = 78

    /// To throw from a command: ends the program with this status and prints nothing.
    var exitCode: ExitCode { ExitCode(rawValue) }
}
