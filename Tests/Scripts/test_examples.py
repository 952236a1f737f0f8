"""The example INIs that are installed beside the units are files that the program accepts."""

import glob
import os
import subprocess
import unittest

import nodes


@unittest.skipUnless(nodes.BINARY, "SPYDERCACHE_BINARY does not name the program")
class Examples(unittest.TestCase):
    def test_every_example_passes_config_check(self):
        examples = sorted(glob.glob(os.path.join(nodes.PROJECT, "systemd", "*.ini")))
        self.assertEqual([os.path.basename(path) for path in examples], ["node1.ini", "node2.ini", "node3.ini"])
        for path in examples:
            done = subprocess.run([nodes.BINARY, "config", "check", path], capture_output=True, timeout=60)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
