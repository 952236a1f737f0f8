// The suite that all tests of the real binary belong to. They run one after another: each starts processes, and several
// at once on a machine of two cores would measure each other.

import TestSupport
import Testing

/// Black-box tests: a real process, its port, its files, its log, its exit status.
@Suite(.serialized)
struct IntegrationTests {}
