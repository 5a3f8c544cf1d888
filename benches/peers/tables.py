"""The tables, in Markdown."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from scenarios import SCENARIOS, TRANSPORTS, Scenario
from subjects import AIO, ALL, BASELINE, OURS
from summary import Results

#: What the docs have between these lines is replaced.
BEGIN, END = "<!-- figures: begin (make bench writes them) -->", "<!-- figures: end -->"
NOTHING = "\N{EN DASH}"
#: Less than this is no loss but noise.
NOISE = 0.02
#: Of all CPUs together: where others used more, the run is to be repeated.
DISTURBED = 0.1


def number(value: float | None) -> str:
    """Three figures at the least."""
    if value is None:
        return NOTHING
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return nothing if there are no rows."""
    if not rows:
        return ""
    lines = [header, ["---"] + ["--:"] * (len(header) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def known(results: Results, scenarios: Iterable[Scenario] = tuple(SCENARIOS.values())) -> list[Scenario]:
    measured = {scenario for scenario, _ in results.rows}
    return [scenario for scenario in scenarios if scenario.name in measured]


def by_subject(
    results: Results,
    scenarios: Iterable[Scenario],
    cell: Callable[[Scenario, str], str],
    extra: Callable[[Scenario], str] | None = None,
    extra_name: str = "",
) -> str:
    """One line a scenario, one column a subject that has a figure."""
    measured = known(results, scenarios)
    subjects = [
        subject
        for subject in results.subjects
        if any(cell(scenario, subject) != NOTHING for scenario in measured)
    ]
    header = ["", *([extra_name] if extra else []), *subjects]
    rows = []
    for scenario in measured:
        cells = [ours(subject, cell(scenario, subject)) for subject in subjects]
        rows.append([scenario.title, *([extra(scenario)] if extra else []), *cells])
    return table(header, rows)


def ours(subject: str, text: str) -> str:
    return f"**{text}**" if subject == OURS else text


def by_transport(results: Results, section: Callable[[Results, list[Scenario]], str]) -> str:
    """A table for each transport, under its name."""
    parts = []
    for transport, title in TRANSPORTS.items():
        if text := section(results, [one for one in SCENARIOS.values() if one.transport == transport]):
            parts.append(f"**{title}**\n\n{text}")
    return "\n".join(parts)


def rates(results: Results) -> str:
    return by_transport(results, rates_of)


def rates_of(results: Results, scenarios: list[Scenario]) -> str:
    def cell(scenario: Scenario, subject: str) -> str:
        return number(results.ratio(scenario.name, subject, BASELINE))

    def absolute(scenario: Scenario) -> str:
        return f"{number(results.median(scenario.name, BASELINE, 'rate'))} {scenario.unit}"

    loads = [scenario for scenario in scenarios if scenario.is_closed_loop]
    return by_subject(results, loads, cell, absolute, f"{BASELINE} does")


def costs(results: Results) -> str:
    return by_transport(results, costs_of)


def costs_of(results: Results, scenarios: list[Scenario]) -> str:
    def cell(scenario: Scenario, subject: str) -> str:
        return number(results.median(scenario.name, subject, "cpu_us"))

    return by_subject(results, [scenario for scenario in scenarios if not scenario.is_idle], cell)


def latencies(results: Results) -> str:
    def cell(scenario: Scenario, subject: str) -> str:
        found = results.latency(scenario.name, subject)
        return " · ".join(f"{found[quantile]:,.0f}" for quantile in (0.5, 0.99, 0.999)) if found else NOTHING

    asked = [SCENARIOS[name] for name in ("1x64-one", "1x64-two", "100x1k", "open", "quiet")]
    return by_subject(results, asked, cell)


def idle(results: Results) -> str:
    def cell(scenario: Scenario, subject: str) -> str:
        each = results.median(scenario.name, subject, "kib_each")
        cpu = results.median(scenario.name, subject, "cpu")
        return NOTHING if each is None or cpu is None else f"{number(each)} · {cpu * 100:.2f}"

    return by_subject(results, [scenario for scenario in SCENARIOS.values() if scenario.is_idle], cell)


def spreads(results: Results) -> str:
    """Smallest and largest rate, and what else used the machine."""

    def between(spread: list[float] | None) -> str:
        return f"{number(spread[0])} to {number(spread[2])}" if spread else NOTHING

    rows = []
    for scenario in known(results):
        if not scenario.is_closed_loop:
            continue
        of = [results.rows[key] for key in results.rows if key[0] == scenario.name]
        most = max((row["load_cpu"][1] for row in of if "load_cpu" in row), default=0)
        others = max((row["others_cpu"][1] for row in of if "others_cpu" in row), default=0)
        rows.append(
            [
                scenario.named,
                between(results.spread(scenario.name, OURS, "rate")),
                between(results.spread(scenario.name, BASELINE, "rate")),
                f"{most * 100:.0f}",
                f"{others * 100:.0f}",
            ]
        )
    return table(["", OURS, BASELINE, "load's CPU %, at most", "others' CPU %, at most"], rows)


def losses(results: Results) -> str:
    return losses_of(OURS, results)


def losses_of(subject: str, results: Results) -> str:
    """Each row in which a Python peer does more, or needs less CPU or memory."""
    lines = []
    rivals = [name for name in results.subjects if name in ALL and not ALL[name].is_limit]
    rivals = [name for name in rivals if not name.startswith(OURS)]
    for scenario in known(results):
        said = []
        for rival in rivals:
            rate = results.ratio(scenario.name, subject, rival)
            if rate is not None and scenario.is_closed_loop and rate < 1 - NOISE:
                said.append(f"{rate:.2f} of {rival}'s rate")
            cost = results.ratio(scenario.name, subject, rival, "cpu_us")
            if cost is not None and cost > 1 + NOISE:
                said.append(f"{cost:.2f} of {rival}'s CPU")
            memory = results.ratio(scenario.name, subject, rival, "kib_each")
            if memory is not None and memory > 1 + NOISE:
                said.append(f"{memory:.2f} of {rival}'s memory")
        if said:
            lines.append(f"- {scenario.named}: {', '.join(said)}.\n")
    return "".join(lines) or "In no row.\n"


def failures(results: Results) -> str:
    lines = [
        f"- {SCENARIOS[scenario].named}, {subject}: {'; '.join(row['errors'])}\n"
        for (scenario, subject), row in results.rows.items()
        if "errors" in row
    ]
    return "".join(lines)


def circumstances(results: Results) -> str:
    machine, options = results.saved["machine"], results.saved["options"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    others = [row["others_cpu"][1] for row in results.rows.values() if "others_cpu" in row]
    disturbance = sorted(others)[len(others) // 2] if others else 0
    text = (
        f"{machine['when']}: {machine['cpus']} CPUs ({machine['cpu']}), Linux {machine['kernel']}, CPython "
        f"{machine['python']}; {versions}.\n"
        f"{options['rounds']} rounds, {options['seconds']:g} s each; medians. "
        f"Other processes used {disturbance * 100:.0f} % of a CPU (median over the runs)"
    )
    if disturbance > DISTURBED * machine["cpus"]:
        return text + ".\n\n**The machine was busy with other work: these figures are to be taken again.**\n"
    return text + ".\n"


def overview(results: Results) -> str:
    """What the docs show."""
    sections = {
        "Requests a second, against uvloop's": rates,
        "CPU time, µs for each request (bulk: for each MB)": costs,
        "Latency, µs: p50 · p99 · p99.9": latencies,
        "Idle connections: KiB each · CPU % while idle": idle,
        "Spread, and what else used the machine": spreads,
        "Losses": losses,
        f"Losses of {AIO}": partial(losses_of, AIO),
        "Runs that failed": failures,
    }
    parts = [circumstances(results)]
    for title, section in sections.items():
        if text := section(results):
            parts += [f"### {title}\n", text]
    return "\n".join(parts)


def replace_block(text: str, block: str) -> str:
    """Put ``block`` between the two lines of the docs."""
    head, rest = text.split(BEGIN)
    _, tail = rest.split(END)
    return f"{head}{BEGIN}\n\n{block}\n{END}{tail}"
