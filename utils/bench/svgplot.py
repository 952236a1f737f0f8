"""Draws curves as small SVG files: two axes, a title that is the message, each curve named at its end. Knows nothing of what
is measured.

By hand because matplotlib brings sixty Debian packages with it (NumPy, SciPy, Tk, a BLAS) for what stands below. No
background and colours with a contrast of four or more to white and to near black, as nobody knows what page a picture will
stand on.
"""

import math
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 720, 380
LEFT, RIGHT, TOP, BOTTOM = 76, 150, 62, 52
INK = "#7a7f87"
COLOURS = ["#2f81d6", "#d1592b", "#278a5b", "#a060c8", "#a8741a"]
# Names at the ends of curves keep this distance from each other.
LINE_HEIGHT = 16


def plain(value):
    """A number as people write it: 0.2, 15, 1,000."""
    return f"{value:,.10f}".rstrip("0").rstrip(".")


def power(value):
    """A power of ten as such: 10³."""
    exponent = round(math.log10(value))
    return "10" + str(exponent).translate(str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻"))


@dataclass
class Axis:
    label: str
    is_log: bool = False
    low: float = None  # None: from the data
    high: float = None
    ticks: list = None  # None: powers of ten, or round steps
    text: object = plain

    def fitted(self, values):
        """The axis with its ends and ticks settled for these values."""
        low, high = min(values), max(values)
        if self.is_log:
            low = self.low or 10 ** math.floor(math.log10(low) + 1e-9)
            high = self.high or 10 ** math.ceil(math.log10(high) - 1e-9)
            high = max(high, low * 10)
            steps = range(math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9) + 1)
            ticks = self.ticks or [10.0 ** step for step in steps]
        else:
            low = min(0, low) if self.low is None else self.low
            step = _round_step((high if self.high is None else self.high) - low)
            high = step * math.ceil(high / step - 1e-9) if self.high is None else self.high
            ticks = self.ticks or [low + step * index for index in range(int((high - low) / step + 1e-9) + 1)]
        return Axis(self.label, self.is_log, low, high, ticks, self.text)

    def place(self, value):
        """0 at the low end, 1 at the high one."""
        if self.is_log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def _round_step(span):
    """A fifth of the span or so, as 1, 2 or 5 times a power of ten."""
    rough = max(span, 1e-12) / 5
    scale = 10 ** math.floor(math.log10(rough))
    return next(factor * scale for factor in (1, 2, 5, 10) if factor * scale >= rough * 0.999)


@dataclass
class Curve:
    name: str
    points: list  # (x, y), x ascending; on a log axis all above 0
    is_dashed: bool = False
    has_dots: bool = True
    is_joined: bool = True
    colour: str = field(default=None)


def draw(title, subtitle, x, y, curves):
    """The SVG text of a chart."""
    x = x.fitted([px for curve in curves for px, _ in curve.points])
    y = y.fitted([py for curve in curves for _, py in curve.points])
    width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def at(px, py):
        return LEFT + width * x.place(px), TOP + height * (1 - y.place(py))

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'font-family="system-ui, -apple-system, \'Segoe UI\', \'DejaVu Sans\', sans-serif" font-size="13" fill="{INK}">',
        f"<title>{escape(title)}</title>",
        f'<text x="8" y="22" font-size="16" font-weight="600">{escape(title)}</text>',
        f'<text x="8" y="42">{escape(subtitle)}</text>',
        f'<g stroke="{INK}" stroke-opacity="0.25">',
    ]
    for tick in y.ticks:
        across = _number(at(x.low, tick)[1])
        parts.append(f'<path d="M{LEFT} {across}H{LEFT + width}"/>')
    for tick in x.ticks:
        down = _number(at(tick, y.low)[0])
        parts.append(f'<path d="M{down} {TOP}V{TOP + height}"/>')
    parts.append("</g>")
    for tick in y.ticks:
        parts.append(f'<text x="{LEFT - 7}" y="{_number(at(x.low, tick)[1] + 4.5)}" text-anchor="end">'
                     f"{escape(y.text(tick))}</text>")
    for tick in x.ticks:
        parts.append(f'<text x="{_number(at(tick, y.low)[0])}" y="{TOP + height + 18}" text-anchor="middle">'
                     f"{escape(x.text(tick))}</text>")
    parts.append(f'<text x="{_number(LEFT + width / 2)}" y="{HEIGHT - 10}" text-anchor="middle">{escape(x.label)}</text>')
    middle = _number(TOP + height / 2)
    parts.append(f'<text x="14" y="{middle}" text-anchor="middle" transform="rotate(-90 14 {middle})">'
                 f"{escape(y.label)}</text>")
    names = []
    for index, curve in enumerate(curves):
        colour = curve.colour or COLOURS[index % len(COLOURS)]
        places = [at(px, py) for px, py in curve.points]
        if curve.is_joined:
            path = "L".join(f"{_number(px)} {_number(py)}" for px, py in places)
            dashes = ' stroke-dasharray="5 4"' if curve.is_dashed else ""
            parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2" stroke-linejoin="round"{dashes}/>')
        if curve.has_dots:
            parts += [f'<circle cx="{_number(px)}" cy="{_number(py)}" r="3.5" fill="{colour}"/>' for px, py in places]
        names.append((places[-1][0], places[-1][1], curve.name, colour))
    for place, (end, _, name, colour) in zip(spread([name[1] for name in names], LINE_HEIGHT, TOP, TOP + height), names):
        parts.append(f'<text x="{_number(end + 8)}" y="{_number(place + 4.5)}" fill="{colour}">'
                     f"{escape(name)}</text>")
    return "\n".join(parts + ["</svg>", ""])


def spread(places, distance, low, high):
    """The places moved as little as it takes to keep a distance from each other and to stay between two ends."""
    order = sorted(range(len(places)), key=lambda index: places[index])
    moved = list(places)
    for before, index in zip([None] + order, order):
        if before is not None:
            moved[index] = max(moved[index], moved[before] + distance)
    overhang = max(0, moved[order[-1]] - high) if order else 0
    limit = high
    for index in reversed(order):
        if overhang:
            moved[index] = min(moved[index], limit)
            limit = moved[index] - distance
        moved[index] = max(moved[index], low)
    return moved


def _number(value):
    return f"{value:.1f}".rstrip("0").rstrip(".")
