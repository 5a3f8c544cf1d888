"""The plots, each as SVG and PNG."""

from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl

mpl.use("agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from scenarios import BY_CONNECTIONS, BY_SIZE, BY_WORK, MAIN
from subjects import ALL, BASELINE, OURS
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


def style(subject: str) -> dict:
    """Ours stands out, the limits are dashed."""
    known = ALL[subject]
    return {
        "color": known.colour,
        "linestyle": "--" if known.is_limit else "-",
        "linewidth": 2.6 if subject == OURS else 1.3,
        "marker": "o",
        "markersize": 5 if subject == OURS else 3,
        "zorder": 3 if subject == OURS else 2,
        "label": subject,
    }


def save(figure: Figure, directory: Path, name: str) -> None:
    figure.savefig(directory / f"{name}.svg", bbox_inches="tight", metadata={"Date": None})
    figure.savefig(directory / f"{name}.png", bbox_inches="tight", dpi=85)
    plt.close(figure)


#: Ratios beyond are drawn at the edge: the few that are far off would press the others into a line.
IN_SIGHT = (0.35, 2.8)


def overview(results: Results, directory: Path) -> None:
    """Draw each scenario as a line, each server as a dot, uvloop at 1: rates left, CPU right."""
    scenarios = [
        scenario
        for scenario in MAIN
        if not scenario.is_idle and not scenario.is_paced and results.median(scenario.name, BASELINE, "rate")
    ]
    if not scenarios:
        return
    figure, panels = plt.subplots(1, 2, figsize=(11, 0.38 * len(scenarios) + 1.6), sharey=True)
    titles = {"rate": "requests a second; right is better", "cpu_us": "CPU for each request; left is better"}
    for axes, (which, title) in zip(panels, titles.items(), strict=True):
        against_baseline(axes, results, [scenario.name for scenario in scenarios], which)
        axes.set_title(title, loc="left")
        axes.set_xlabel(f"against {BASELINE}'s (1)")
    panels[0].set_yticks(range(len(scenarios)), [scenario.title for scenario in reversed(scenarios)])
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=len(labels), frameon=False
    )
    figure.tight_layout()
    save(figure, directory, "overview")


def against_baseline(axes: Axes, results: Results, scenarios: list[str], figure: str) -> None:
    low, high = IN_SIGHT
    for subject in results.subjects:
        points = [
            (ratio, line)
            for line, scenario in enumerate(reversed(scenarios))
            if (ratio := results.ratio(scenario, subject, BASELINE, figure)) is not None
        ]
        if points:
            axes.scatter(
                [min(max(ratio, low), high) for ratio, _ in points],
                [line for _, line in points],
                clip_on=False,
                **dot(subject),
            )
        for ratio, line in points:
            if subject == OURS and not low <= ratio <= high:
                name_far(axes, ratio, line)
    axes.axvline(1, color=ALL[BASELINE].colour, linewidth=1)
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    plain_x(axes, (0.35, 0.5, 0.7, 1, 1.5, 2, 2.8))


def name_far(axes: Axes, ratio: float, line: int) -> None:
    """Say how far off a dot is that stands at the edge in the place of where it belongs."""
    left = ratio < 1
    axes.annotate(
        f"{ratio:.2g}",
        (IN_SIGHT[0] if left else IN_SIGHT[1], line),
        xytext=(9 if left else -9, 0),
        textcoords="offset points",
        ha="left" if left else "right",
        va="center",
    )


def dot(subject: str) -> dict:
    known = ALL[subject]
    return {
        "color": known.colour,
        "marker": "|" if known.is_limit else "o",
        "s": 110 if known.is_limit or subject == OURS else 28,
        "zorder": 4 if subject == OURS else 3,
        "label": f"{subject} (no Python)" if known.is_limit else subject,
    }


def plain_x(axes: Axes, ticks: tuple[float, ...]) -> None:
    """Label a logarithmic axis with plain numbers, those that are in sight."""
    low, high = axes.get_xlim()
    axes.xaxis.set_major_locator(FixedLocator([tick for tick in ticks if low <= tick <= high]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())


def kib(size: float, _position: int = 0) -> str:
    return f"{size:g} B" if size < 1024 else f"{size / 1024:g} KiB"


def sweep(
    results: Results,
    directory: Path,
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
                axes.plot(*zip(*drawn, strict=True), **style(subject))
        axes.set_xscale(scale)
        axes.xaxis.set_major_locator(FixedLocator(list(measured)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(tick))
        axes.set_xlabel(label)
        axes.set_title(title, loc="left")
        if which == "cpu_us" and scale == "log":
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        else:
            axes.set_ylim(bottom=0)
    panels[1].legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    save(figure, directory, name)


def latency(results: Results, directory: Path) -> None:
    """Percentiles at the same rate for all."""
    figure, axes = plt.subplots(figsize=(7, 3.6))
    for subject in results.subjects:
        found = results.latency("open", subject)
        if found:
            # Nines: 0.9 → 1, 0.99 → 2.
            axes.plot([1 / (1 - quantile) for quantile in found], list(found.values()), **style(subject))
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
    save(figure, directory, "latency")


def memory(results: Results, directory: Path) -> None:
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
        ranked, [found[subject] for subject in ranked], color=[ALL[name].colour for name in ranked]
    )
    axes.bar_label(bars, fmt="%.2f", padding=3)
    axes.grid(visible=False)
    axes.set_xlabel("KiB of user memory for each idle connection, of 10,000")
    save(figure, directory, "memory")


def draw(results: Results, directory: Path) -> None:
    """All of them; a plot that has no figures is left out."""
    directory.mkdir(parents=True, exist_ok=True)
    overview(results, directory)
    sweep(results, directory, "connections", BY_CONNECTIONS, "connections, 1 KiB messages")
    sweep(results, directory, "sizes", BY_SIZE, "message size, 10 connections", tick=kib)
    sweep(
        results,
        directory,
        "python_time",
        BY_WORK,
        "µs of Python for each request, 100 connections, 1 KiB",
        scale="linear",
    )
    latency(results, directory)
    memory(results, directory)
