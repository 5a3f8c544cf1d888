"""The plots, each as SVG for light and for dark pages, and as PNG."""

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib as mpl

mpl.use("agg")

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from scenarios import BY_CONNECTIONS, BY_SIZE, BY_WORK, MAIN, TLS, UNIX, Scenario
from subjects import AIO, ALL, BASELINE, OURS
from summary import Results

mpl.rcParams.update(
    {
        "svg.fonttype": "none",
        # The same figures give the same file.
        "svg.hashsalt": "asynctcp",
        "font.size": 9,
        "axes.grid": True,
        "grid.alpha": 0.3,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
)


INK, PAPER = "#d0d0d0", "none"
DARK = {
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": INK,
    "grid.alpha": 0.2,
    "axes.facecolor": PAPER,
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
}


@dataclass(frozen=True)
class Album:
    """Where the plots of one theme go to."""

    directory: Path
    suffix: str = ""
    theme: dict = field(default_factory=dict)
    #: What cannot be seen on its paper.
    instead: dict[str, str] = field(default_factory=dict)

    def colour(self, subject: str) -> str:
        colour = ALL[subject].colour
        return self.instead.get(colour, colour)

    def save(self, figure: Figure, name: str) -> None:
        figure.savefig(
            self.directory / f"{name}{self.suffix}.svg", bbox_inches="tight", metadata={"Date": None}
        )
        if not self.suffix:
            figure.savefig(self.directory / f"{name}.png", bbox_inches="tight", dpi=85)
        plt.close(figure)


def style(album: Album, subject: str) -> dict:
    """Ours stands out, the limits are dashed."""
    known = ALL[subject]
    return {
        "color": album.colour(subject),
        "linestyle": "--" if known.is_limit else "-",
        "linewidth": 2.6 if subject == OURS else 1.3,
        "marker": "o",
        "markersize": 5 if subject == OURS else 3,
        "zorder": 3 if subject == OURS else 2,
        "label": subject,
    }


#: The raw limit that is drawn beside ours.
LIMIT = "epoll"


def bars(
    results: Results,
    album: Album,
    subject: str,
    scenarios: Iterable[Scenario],
    *,
    name: str,
    what: str = "A request",
) -> None:
    """Draw for each load what a request costs the subject, as a bar, where it costs 1 on uvloop."""
    ratios = {
        scenario: ratio
        for scenario in scenarios
        if scenario.is_closed_loop
        and (ratio := results.ratio(scenario.name, subject, BASELINE, "cpu_us")) is not None
    }
    if not ratios:
        return
    height = 0.34 * len(ratios) + 1.4
    figure, axes = plt.subplots(figsize=(7, height))
    drawn = list(reversed(ratios))
    values = [ratios[scenario] for scenario in drawn]
    axes.barh([scenario.named for scenario in drawn], values, color=album.colour(OURS), height=0.6)
    end = 1.2 * max(1, *values)
    for line, value in enumerate(values):
        axes.text(end, line, f"{value:.2f}", ha="right", va="center")
    for line, scenario in enumerate(drawn):
        limit = results.ratio(scenario.name, LIMIT, BASELINE, "cpu_us")
        if limit is not None:
            # Only one has a label: the legend names it once.
            label = None if axes.get_legend_handles_labels()[1] else f"{LIMIT}: no Python"
            axes.plot(
                [limit] * 2, [line - 0.42, line + 0.42], color=album.colour(LIMIT), linewidth=2, label=label
            )
    axes.axvline(1, color=album.colour(BASELINE), linewidth=1.5, label=BASELINE)
    axes.set_xlim(0, end)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(f"CPU time of a request, {BASELINE}'s being 1: less is better")
    axes.set_title(said(values, what), loc="left", x=0, fontweight="bold")
    axes.legend(loc="upper center", bbox_to_anchor=(0.4, -0.6 / height), ncols=2, frameon=False)
    album.save(figure, name)


def said(ratios: list[float], what: str) -> str:
    """What the bars say."""
    middle = statistics.median(ratios)
    less = sum(ratio < 1 for ratio in ratios)
    return f"{what} takes {middle:.0%} of {BASELINE}'s CPU; less under {less} of {len(ratios)} loads"


def kib(size: float, _position: int = 0) -> str:
    return f"{size:g} B" if size < 1024 else f"{size / 1024:g} KiB"


def sweep(
    results: Results,
    album: Album,
    name: str,
    points: dict[int, str],
    label: str,
    *,
    scale: str = "log",
    tick: Callable[..., str] = lambda value, _: f"{value:,.0f}",
) -> None:
    """Two panels over the same x: throughput, and CPU for each request."""
    measured = {x: scenario for x, scenario in points.items() if results.median(scenario, OURS, "rate")}
    if len(measured) < 2:
        return
    figure, panels = plt.subplots(1, 2, figsize=(10, 3.6))
    for axes, (which, factor, title) in zip(
        panels,
        (("rate", 1e-3, "thousand requests a second"), ("cpu_us", 1, "CPU µs for each request")),
        strict=True,
    ):
        for subject in results.subjects:
            drawn = [
                (x, value * factor)
                for x, scenario in measured.items()
                if (value := results.median(scenario, subject, which)) is not None
            ]
            # A lone point is no line: the limits do no Python work.
            if len(drawn) > 1:
                axes.plot(*zip(*drawn, strict=True), **style(album, subject))
        axes.set_xscale(scale)
        axes.xaxis.set_major_locator(FixedLocator(list(measured)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(tick))
        axes.set_xlabel(label)
        axes.set_title(title, loc="left")
        if which == "cpu_us" and scale == "log":
            axes.set_yscale("log")
            for of in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
                of(FuncFormatter(lambda value, _: f"{value:g}"))
        else:
            axes.set_ylim(bottom=0)
    panels[1].legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    album.save(figure, name)


def latency(results: Results, album: Album) -> None:
    """Percentiles at the same rate for all."""
    figure, axes = plt.subplots(figsize=(7, 3.6))
    for subject in results.subjects:
        found = results.latency("open", subject)
        if found:
            # Nines: 0.9 → 1, 0.99 → 2.
            axes.plot(
                [1 / (1 - quantile) for quantile in found], list(found.values()), **style(album, subject)
            )
    if not axes.lines:
        plt.close(figure)
        return
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.xaxis.set_major_locator(FixedLocator([2, 10, 100, 1000, 10000]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 - 100 / value:g} %"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_xlabel("of all requests are answered within")
    axes.set_title("Latency in µs, 100 connections, 1 KiB, at 70 % of uvloop's highest rate", loc="left")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    album.save(figure, "latency")


def memory(results: Results, album: Album) -> None:
    found = {
        subject: each
        for subject in results.subjects
        if (each := results.median("idle", subject, "kib_each")) is not None
    }
    if not found:
        return
    figure, axes = plt.subplots(figsize=(7, 0.32 * len(found) + 0.9))
    ranked = sorted(found, key=lambda subject: found[subject], reverse=True)
    bars = axes.barh(
        ranked, [found[subject] for subject in ranked], color=[album.colour(name) for name in ranked]
    )
    axes.bar_label(bars, fmt="%.2f", padding=3)
    axes.grid(visible=False)
    axes.set_xlabel("KiB of user memory for each idle connection, of 10,000")
    album.save(figure, "memory")


def draw(results: Results, directory: Path) -> None:
    """All of them, for each theme; a plot that has no figures is left out."""
    directory.mkdir(parents=True, exist_ok=True)
    albums = [Album(directory), Album(directory, "-dark", DARK, {"#000000": INK, "#1f77b4": "#5fa8e0"})]
    for album in albums:
        with mpl.rc_context(album.theme):
            draw_all(results, album)


def draw_all(results: Results, album: Album) -> None:
    bars(results, album, OURS, MAIN, name="overview")
    bars(results, album, OURS, TLS, name="tls", what="A request over TLS")
    bars(results, album, OURS, UNIX, name="unix", what="A request over a Unix socket")
    bars(results, album, AIO, (*MAIN, *TLS), name="asyncio", what="A Protocol's request")
    sweep(results, album, "connections", BY_CONNECTIONS, "connections, 1 KiB messages")
    sweep(results, album, "sizes", BY_SIZE, "message size, 10 connections", tick=kib)
    sweep(
        results,
        album,
        "python_time",
        BY_WORK,
        "µs of Python for each request, 100 connections, 1 KiB",
        scale="linear",
    )
    latency(results, album)
    memory(results, album)
