"""The tables, in Markdown."""

from collections.abc import Callable, Iterable, Sequence

from scenarios import SCENARIOS, Scenario
from subjects import ALL, BASELINE, OURS
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
    """One line a scenario, one column a subject."""
    header = ["", *([extra_name] if extra else []), *results.subjects]
    rows = []
    for scenario in known(results, scenarios):
        cells = [cell(scenario, subject) for subject in results.subjects]
        rows.append([scenario.title, *([extra(scenario)] if extra else []), *cells])
    return table(header, rows)


def rates(results: Results) -> str:
    def cell(scenario: Scenario, subject: str) -> str:
        text = number(results.ratio(scenario.name, subject, BASELINE))
        return f"**{text}**" if subject == OURS else text

    def absolute(scenario: Scenario) -> str:
        return f"{number(results.median(scenario.name, BASELINE, 'rate'))} {scenario.unit}"

    loads = [scenario for scenario in SCENARIOS.values() if not scenario.is_idle and not scenario.is_paced]
    return by_subject(results, loads, cell, absolute, f"{BASELINE} does")


def costs(results: Results) -> str:
    def cell(scenario: Scenario, subject: str) -> str:
        text = number(results.median(scenario.name, subject, "cpu_us"))
        return f"**{text}**" if subject == OURS else text

    return by_subject(results, [scenario for scenario in SCENARIOS.values() if not scenario.is_idle], cell)


def latencies(results: Results) -> str:
    def cell(scenario: Scenario, subject: str) -> str:
        found = results.latency(scenario.name, subject)
        return " · ".join(f"{found[quantile]:,.0f}" for quantile in (0.5, 0.99, 0.999)) if found else NOTHING

    asked = [SCENARIOS[name] for name in ("1x64-one", "1x64-two", "100x1k", "open", "quiet")]
    return by_subject(results, asked, cell)


def idle(results: Results) -> str:
    header = ["", "KiB for each of 10,000 connections", "CPU % while idle"]
    rows = []
    for subject in results.subjects:
        each = results.median("idle", subject, "kib_each")
        cpu = results.median("idle", subject, "cpu")
        if each is not None and cpu is not None:
            rows.append([subject, number(each), f"{cpu * 100:.2f}"])
    return table(header, rows)


def spreads(results: Results) -> str:
    """Smallest and largest rate, and what else used the machine."""

    def between(spread: list[float] | None) -> str:
        return f"{number(spread[0])} to {number(spread[2])}" if spread else NOTHING

    rows = []
    for scenario in known(results):
        if scenario.is_idle or scenario.is_paced:
            continue
        of = [results.rows[key] for key in results.rows if key[0] == scenario.name]
        most = max((row["load_cpu"][1] for row in of if "load_cpu" in row), default=0)
        others = max((row["others_cpu"][1] for row in of if "others_cpu" in row), default=0)
        rows.append(
            [
                scenario.title,
                between(results.spread(scenario.name, OURS, "rate")),
                between(results.spread(scenario.name, BASELINE, "rate")),
                f"{most * 100:.0f}",
                f"{others * 100:.0f}",
            ]
        )
    return table(["", OURS, BASELINE, "load's CPU %, at most", "others' CPU %, at most"], rows)


def losses(results: Results) -> str:
    """Each row in which a Python peer does more, or needs less CPU, than ours does."""
    lines = []
    rivals = [name for name in results.subjects if name in ALL and not ALL[name].is_limit and name != OURS]
    rivals = [name for name in rivals if not name.startswith(OURS)]
    for scenario in known(results):
        said = []
        for rival in rivals:
            rate = results.ratio(scenario.name, OURS, rival)
            if rate is not None and not scenario.is_paced and rate < 1 - NOISE:
                said.append(f"{rate:.2f} of {rival}'s rate")
            cost = results.ratio(scenario.name, OURS, rival, "cpu_us")
            if cost is not None and cost > 1 + NOISE:
                said.append(f"{cost:.2f} of {rival}'s CPU")
            memory = results.ratio(scenario.name, OURS, rival, "kib_each")
            if memory is not None and memory > 1 + NOISE:
                said.append(f"{memory:.2f} of {rival}'s memory")
        if said:
            lines.append(f"- {scenario.title}: {', '.join(said)}.\n")
    return "".join(lines) or "In no row.\n"


def failures(results: Results) -> str:
    lines = [
        f"- {SCENARIOS[scenario].title}, {subject}: {'; '.join(row['errors'])}\n"
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
        "Idle connections": idle,
        "Spread, and what else used the machine": spreads,
        "Losses": losses,
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
