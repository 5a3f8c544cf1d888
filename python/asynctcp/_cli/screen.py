"""A progress bar and a table: by ``rich`` where it is installed, in plain text elsewhere."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.progress import Progress

WIDTH = 30  # characters of the plain bar

Row = tuple[str, str]


class Screen(Protocol):
    """Where progress and results are shown: the one on standard error, the others on standard output."""

    def progress(self, share: float, text: str) -> None:
        """Show how much (0 to 1) is done."""

    def end_progress(self) -> None:
        """Show no more of it."""

    def table(self, title: str, rows: Sequence[Row]) -> None:
        """Show results."""


class PlainScreen:
    """In plain text. Progress is for a terminal: elsewhere it is not shown."""

    def progress(self, share: float, text: str) -> None:
        """Rewrite the line."""
        if sys.stderr.isatty():
            bar = "#" * round(share * WIDTH)
            print(f"\r[{bar:.<{WIDTH}}] {share:4.0%} {text}\x1b[K", end="", file=sys.stderr, flush=True)

    def end_progress(self) -> None:
        """Clear the line."""
        if sys.stderr.isatty():
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def table(self, title: str, rows: Sequence[Row]) -> None:
        """Print names and values in two columns."""
        width = max(len(name) for name, _ in rows)
        print(title)
        for name, value in rows:
            print(f"  {name:<{width}}  {value}")


class RichScreen:
    """By ``rich``. Progress is for a terminal here too: elsewhere rich writes an empty line at its end."""

    def __init__(self) -> None:
        from rich.console import Console

        self._errors = Console(stderr=True)
        self._bar: Progress | None = None

    def progress(self, share: float, text: str) -> None:
        """Move the bar."""
        if not self._errors.is_terminal:
            return
        if self._bar is None:
            self._bar = self._make_bar()
        self._bar.update(self._bar.task_ids[0], completed=share, text=text)
        self._bar.refresh()

    def _make_bar(self) -> "Progress":
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

        columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[text]}"))
        # No thread of its own: the loop's timer moves it.
        bar = Progress(*columns, console=self._errors, transient=True, auto_refresh=False)
        bar.add_task("", total=1.0, text="")
        bar.start()
        return bar

    def end_progress(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def table(self, title: str, rows: Sequence[Row]) -> None:
        """Print a table of two columns."""
        from rich.console import Console
        from rich.table import Table

        table = Table(title=title, show_header=False)
        table.add_column(no_wrap=True)
        table.add_column()
        for row in rows:
            table.add_row(*row)
        Console().print(table)


def make_screen(*, plain: bool) -> Screen:
    """Return the screen to use; ``plain``: whether or not ``rich`` is there."""
    if not plain:
        try:
            return RichScreen()
        except ImportError:
            pass
    return PlainScreen()
