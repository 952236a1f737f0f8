#!/usr/bin/env python3
"""reconstruct.py HOST PORT: has the node read its journal again, and prints what it found as one JSON line.

Exit status: 0 done, 2 error with one line on stderr. Large journals take time: see --timeout.
"""

import spyderrpc


def main():
    parser = spyderrpc.parser("Has a node read its journal again. Exit status 0 done, 2 error.")
    parser.set_defaults(timeout=600.0)
    options = parser.parse_args()
    spyderrpc.print_text(spyderrpc.call(options, "node.reconstruct", {}))
    return 0


if __name__ == "__main__":
    spyderrpc.run(main)
