"""What goes in by put.py comes out by get.py, against the imitation and, with SPYDERCACHE_BINARY, the real node."""

import unittest

import nodes


class RoundTrips:
    make = None

    @classmethod
    def setUpClass(cls):
        cls.node = cls.make()

    @classmethod
    def tearDownClass(cls):
        cls.node.stop()

    def run_script(self, name, *arguments, stdin=b"", **environment):
        return nodes.script(name, *arguments, self.node.host, self.node.port, stdin=stdin, **environment)

    def test_the_call_everybody_tries_first(self):
        self.assertEqual(self.run_script("put.py", "key", "value"), (0, b"stored\n", b""))
        self.assertEqual(self.run_script("get.py", "key"), (0, b"value\n", b""))
        self.assertEqual(self.run_script("delete.py", "key"), (0, b"deleted\n", b""))
        self.assertEqual(self.run_script("delete.py", "key"), (1, b"not found\n", b""))
        self.assertEqual(self.run_script("get.py", "key"), (1, b"", b""))

    def test_keys_and_values_of_any_text(self):
        texts = ["a b", "it's \"quoted\"", "back\\slash\\u0041", "emoji 😀", "é", "tab\tand\nline", "$HOME `id` %s {}",
                 "\u0001\u007f\u2028", " ", "null", "1e400", "-1", "{\"a\":1}"]
        for text in texts:
            with self.subTest(text=text):
                data = text.encode()
                self.assertEqual(self.run_script("put.py", "--", data, data), (0, b"stored\n", b""))
                self.assertEqual(self.run_script("get.py", "--", data), (0, data + b"\n", b""))

    def test_an_empty_value_and_a_leading_dash(self):
        self.assertEqual(self.run_script("put.py", "empty", "")[0], 0)
        self.assertEqual(self.run_script("get.py", "empty"), (0, b"\n", b""))
        self.assertEqual(self.run_script("put.py", "--ttl-ms", "60000", "--", "-k", "--json")[0], 0)
        self.assertEqual(self.run_script("get.py", "--", "-k"), (0, b"--json\n", b""))
        self.assertEqual(self.run_script("delete.py", "--", "-k")[0], 0)

    def test_json_values_are_printed_exactly_as_stored(self):
        texts = ["1e400", "0.1000", "-0", "123456789012345678901234567890", "1" * 5000, "true", "null", "[]", "{}",
                 "[1.0, 2e-0,\t\"\\u00e9\\/\"]", "{\"a\" : {\"b\":[null,1E5]}, \"a\\n\":\"\"}", "\"\"",
                 "[" * 100 + "]" * 100]
        for text in texts:
            with self.subTest(text=text[:40]):
                expected = b"\n" if text == '""' else text.encode() + b"\n"
                self.assertEqual(self.run_script("put.py", "j", text, "--json"), (0, b"stored\n", b""))
                self.assertEqual(self.run_script("get.py", "j"), (0, expected, b""))

    def test_a_json_string_is_printed_raw(self):
        self.assertEqual(self.run_script("put.py", "s", '"\\u00e9\\n\\ud83d\\ude00"', "--json")[0], 0)
        self.assertEqual(self.run_script("get.py", "s"), (0, "é\n😀\n".encode(), b""))

    def test_stdin_is_stored_to_the_last_byte(self):
        data = "".join(chr(c) for c in range(0xD800) if c < 0x800 or c % 97 == 0).encode() * 40
        self.assertEqual(self.run_script("put.py", "stdin", "-", stdin=data), (0, b"stored\n", b""))
        self.assertEqual(self.run_script("get.py", "stdin"), (0, data + b"\n", b""))
        self.assertEqual(self.run_script("put.py", "stdin", "-", "--json", stdin=b" [1, 2]\n")[0], 0)
        self.assertEqual(self.run_script("get.py", "stdin"), (0, b"[1, 2]\n", b""))

    def test_the_locale_does_not_matter(self):
        for locale in ("C", "POSIX", "C.UTF-8"):
            environment = {"LC_ALL": locale, "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
            with self.subTest(locale=locale):
                value = "naïve 😀".encode()
                self.assertEqual(self.run_script("put.py", "l", value, **environment), (0, b"stored\n", b""))
                self.assertEqual(self.run_script("get.py", "l", **environment), (0, value + b"\n", b""))

    def test_reconstruct_prints_the_result(self):
        status, out, err = self.run_script("reconstruct.py")
        self.assertEqual((status, err), (0, b""))
        result = nodes.spyderrpc.members(out.decode())
        self.assertEqual(result["droppedBytes"], "0")
        self.assertTrue(result["records"].isdigit() and result["keys"].isdigit(), result)


class AgainstTheImitation(RoundTrips, unittest.TestCase):
    make = nodes.FakeNode


class AgainstTheImitationOverIPv6(RoundTrips, unittest.TestCase):
    @staticmethod
    def make():
        return nodes.FakeNode("::1")


@unittest.skipUnless(nodes.BINARY, "SPYDERCACHE_BINARY does not name the program")
class AgainstTheNode(RoundTrips, unittest.TestCase):
    make = nodes.RealNode

    def test_values_are_there_after_a_kill(self):
        self.assertEqual(self.run_script("put.py", "kept", "through kill -9")[0], 0)
        self.node.kill()
        status, out, err = self.run_script("get.py", "kept")
        self.assertEqual((status, out, err.count(b"\n")), (2, b"", 1))
        self.node.start()
        self.assertEqual(self.run_script("get.py", "kept"), (0, b"through kill -9\n", b""))

    def test_the_nodes_errors_are_told_in_one_line(self):
        status, out, err = self.run_script("put.py", "big", "-", stdin=b"x" * (17 << 20))
        self.assertEqual((status, out, err.count(b"\n")), (2, b"", 1), err)
        status, out, err = self.run_script("get.py", "")
        self.assertEqual((status, out, err.count(b"\n")), (2, b"", 1), err)
        self.assertIn(b"1004", err)


@unittest.skipUnless(nodes.BINARY, "SPYDERCACHE_BINARY does not name the program")
class AgainstTheNodeOverIPv6(RoundTrips, unittest.TestCase):
    @staticmethod
    def make():
        return nodes.RealNode("::1")


if __name__ == "__main__":
    unittest.main()
