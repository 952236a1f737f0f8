"""How rows are measured and compared: interleaved rounds, medians, ratios. Knows no server and no row."""

import json
import statistics
import subprocess
from dataclasses import dataclass, field

from servers import BenchError, run_on


@dataclass
class Contestant:
    """A running server and the load it gets: arguments of `spydercache bench`."""

    name: str
    server: object
    arguments: list
    fill: list = None  # arguments of one run before, that writes the keys; None where there is nothing to fill


@dataclass
class Figure:
    """One contestant's medians, a line of the second table."""

    row: str
    name: str
    text: str


@dataclass
class Comparison:
    """A line of the table: what the ratio must be, and what it is."""

    row: str
    work: str
    against: str
    ratio: float
    target: float = None  # None: a figure beside ours, not a target
    at_most: bool = True
    unit: str = "×"

    @property
    def is_met(self):
        return self.target is None or (self.ratio <= self.target if self.at_most else self.ratio >= self.target)


@dataclass
class Results:
    comparisons: list = field(default_factory=list)
    figures: list = field(default_factory=list)
    raw: dict = field(default_factory=dict)


class Load:
    """The load generator, pinned to its own cores."""

    def __init__(self, command, cores, seconds, rounds, is_favoured=False):
        self.command, self.cores, self.seconds, self.rounds = command, cores, seconds, rounds
        self.is_favoured = is_favoured

    def run(self, server, arguments, fill=False, counted=True):
        command = self.command + ["--node", f"127.0.0.1:{server.port}", "--json", "--quiet"]
        command += [] if fill else ["--no-fill"]
        for pid in server.pids if counted else []:
            command += ["--server-pid", str(pid)]
        command += [str(argument) for argument in arguments]
        run = subprocess.run(command, capture_output=True, text=True, preexec_fn=run_on(self.cores, self.is_favoured))
        if run.returncode != 0:
            raise BenchError(f"{' '.join(command)}: exit {run.returncode}: {run.stderr.strip()} {run.stdout.strip()}")
        sample = json.loads(run.stdout)
        if sample["failures"] or sample["misses"] or sample["reconnects"]:
            raise BenchError(f"{' '.join(command)}: not every request was answered as it must: {run.stdout}")
        return sample

    def fill(self, server, arguments):
        """Writes every key that `arguments` (with --keys, --value-size, …) name."""
        self.run(server, list(arguments) + ["--requests", 1, "--connections", 8], fill=True, counted=False)

    def interleaved(self, contestants):
        """{name: [sample of each round]}: every round loads all contestants once, so that whatever else the machine does
        meets all of them."""
        for contestant in contestants:
            if contestant.fill is not None:
                self.fill(contestant.server, contestant.fill)
        samples = {contestant.name: [] for contestant in contestants}
        for _ in range(self.rounds):
            for contestant in contestants:
                timed = ["--duration", self.seconds, "--warm-up", min(0.2, self.seconds / 3)]
                samples[contestant.name].append(self.run(contestant.server, contestant.arguments + timed))
        return samples


def cost(sample):
    return sample["serverCpuUsPerRequest"]


def speed(sample):
    return sample["requestsPerSecond"]


def median_of(samples, value):
    return statistics.median(value(sample) for sample in samples)


def ratio(ours, theirs, value=cost):
    """The median of the rounds' ratios: neighbours in time are compared with each other."""
    return statistics.median(value(a) / value(b) for a, b in zip(ours, theirs))


def describe(samples):
    """CPU, throughput and latency of a contestant as a Markdown cell row."""
    return (f"{median_of(samples, cost):.2f} | {median_of(samples, speed):,.0f} | "
            f"{median_of(samples, lambda s: s['latencyUs']['p50']):.0f} | "
            f"{median_of(samples, lambda s: s['latencyUs']['p99']):.0f} | "
            f"{median_of(samples, lambda s: s['generatorCpuPercent']):.0f} %")


def markdown(results):
    lines = ["| work | against | ratio | target | met |", "|---|---|---:|---:|---|"]
    for line in results.comparisons:
        sign = "≤" if line.at_most else "≥"
        number = f"{line.ratio:.2f}" if line.unit == "×" else f"{line.ratio:,.1f}"
        verdict = "– | –" if line.target is None else (
            f"{sign} {line.target:g} {line.unit} | {'yes' if line.is_met else '**no**'}")
        lines.append(f"| {line.work} | {line.against} | {number} {line.unit} | {verdict} |")
    lines += ["", "| row | server | CPU µs a request | requests/s | p50 µs | p99 µs | generator |",
              "|---|---|---:|---:|---:|---:|---:|"]
    lines += [f"| {figure.row} | {figure.name} | {figure.text} |" for figure in results.figures if "|" in figure.text]
    others = [figure for figure in results.figures if "|" not in figure.text]
    if others:
        lines += ["", "| row | server | measured |", "|---|---|---|"]
        lines += [f"| {figure.row} | {figure.name} | {figure.text} |" for figure in others]
    return "\n".join(lines)
