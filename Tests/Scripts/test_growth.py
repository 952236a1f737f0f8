"""What utils/bench/growth draws and reckons with: the SVG writer and the model of locks."""

import os
import sys
import unittest
import xml.etree.ElementTree as tree

import nodes

sys.path.insert(0, os.path.join(nodes.UTILS, "bench"))
import lockmodel  # noqa: E402
import svgplot  # noqa: E402
from svgplot import Axis, Curve  # noqa: E402


def contrast(colour, background):
    """Of two colours, by the formula of WCAG 2."""
    def luminance(text):
        parts = [int(text[start:start + 2], 16) / 255 for start in (1, 3, 5)]
        red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((luminance(colour), luminance(background)))
    return (high + 0.05) / (low + 0.05)


class Plots(unittest.TestCase):
    def test_colours_can_be_read_on_white_and_on_near_black(self):
        for colour in svgplot.COLOURS + [svgplot.INK]:
            for background in ("#ffffff", "#0d1117"):
                self.assertGreaterEqual(contrast(colour, background), 4, f"{colour} on {background}")

    def test_numbers_and_powers(self):
        self.assertEqual([svgplot.plain(value) for value in (0.25, 100, 1500.0)], ["0.25", "100", "1,500"])
        self.assertEqual([svgplot.power(value) for value in (1000, 1e7, 0.1)], ["10³", "10⁷", "10⁻¹"])

    def test_axes_end_at_round_numbers(self):
        axis = Axis("µs", is_log=True).fitted([3, 40_000])
        self.assertEqual((axis.low, axis.high), (1, 100_000))
        self.assertEqual([round(tick) for tick in axis.ticks], [1, 10, 100, 1000, 10_000, 100_000])
        self.assertAlmostEqual(axis.place(1000), 0.6)
        axis = Axis("µs", is_log=True).fitted([1000, 1000])
        self.assertEqual((axis.low, axis.high), (1000, 10_000))
        axis = Axis("µs").fitted([7.5, 9.1])
        self.assertEqual((axis.low, axis.high, axis.ticks), (0, 10, [0, 2, 4, 6, 8, 10]))

    def test_names_keep_apart_and_stay_inside(self):
        for places in ([50, 52, 54], [99, 100, 100], [0, 1, 99]):
            moved = svgplot.spread(places, 10, 0, 100)
            self.assertEqual(sorted(moved), moved)
            for before, after in zip(moved, moved[1:]):
                self.assertGreaterEqual(after - before, 10)
            self.assertTrue(all(0 <= place <= 100 for place in moved), moved)
        self.assertEqual(svgplot.spread([10, 40], 10, 0, 100), [10, 40])

    def test_a_chart_is_a_document_with_every_point_inside_the_frame(self):
        text = svgplot.draw("A < B & more", "below", Axis("n", is_log=True), Axis("ms"),
                            [Curve("a & b", [(10, 1), (100, 3), (1000, 2)]), Curve("dashed", [(10, 2), (1000, 2)],
                                                                                   is_dashed=True, has_dots=False)])
        root = tree.fromstring(text)
        space = "{http://www.w3.org/2000/svg}"
        self.assertEqual(root.find(f"{space}title").text, "A < B & more")
        dots = root.findall(f"{space}circle")
        self.assertEqual(len(dots), 3)
        across = [float(dot.get("cx")) for dot in dots]
        self.assertEqual(across, sorted(across))
        for dot in dots:
            self.assertTrue(svgplot.LEFT <= float(dot.get("cx")) <= svgplot.WIDTH - svgplot.RIGHT)
            self.assertTrue(svgplot.TOP <= float(dot.get("cy")) <= svgplot.HEIGHT - svgplot.BOTTOM)
        # Higher is further up.
        self.assertLess(float(dots[1].get("cy")), float(dots[0].get("cy")))
        names = [name.text for name in root.findall(f"{space}text")]
        self.assertIn("a & b", names)
        self.assertIn("dashed", names)


class LockModel(unittest.TestCase):
    def test_one_thread_never_waits(self):
        busy, rate = lockmodel.contention(1, 8, 200, 800)
        self.assertEqual(busy, 0)
        self.assertAlmostEqual(rate, 1e6)

    def test_two_threads_meet_as_long_as_one_of_them_holds_it(self):
        # The second one finds the lock held for the share of time that the first one alone holds it.
        self.assertAlmostEqual(lockmodel.contention(2, 1, 200, 800)[0], 0.2)
        self.assertAlmostEqual(lockmodel.contention(2, 4, 200, 800)[0], 0.05)

    def test_a_single_lock_lets_no_more_through_than_it_can(self):
        busy, rate = lockmodel.contention(1000, 1, 200, 800)
        self.assertAlmostEqual(rate, 1e9 / 200, delta=10)
        self.assertAlmostEqual(busy, 1, places=3)

    def test_more_shards_are_held_less_and_more_threads_find_more_held(self):
        shares = [lockmodel.contention(16, shards, 200, 7000)[0] for shards in (1, 4, 16, 64)]
        self.assertEqual(shares, sorted(shares, reverse=True))
        shares = [lockmodel.contention(threads, 4, 200, 7000)[0] for threads in (1, 2, 8, 64)]
        self.assertEqual(shares, sorted(shares))

    def test_shards_follow_the_rule_of_the_node(self):
        sizes = [1 << 26, 256 << 20, 1 << 30, 4 << 30, 16 << 30, 64 << 30]
        self.assertEqual([lockmodel.shard_count(64, size) for size in sizes], [1, 4, 16, 64, 256, 256])
        self.assertEqual([lockmodel.shard_count(threads, 16 << 30) for threads in (1, 2, 3, 64)], [1, 8, 16, 256])


if __name__ == "__main__":
    unittest.main()
