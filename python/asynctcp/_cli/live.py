"""A line that tells how things are."""

import shutil
from typing import TextIO

import asynctcp


class Live:
    """A line of text: rewritten in place on a terminal, elsewhere a new line each time that it is another."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.in_place = stream.isatty()
        self.last = ""
        self.is_read = True

    def show(self, text: str) -> None:
        """Show ``text``. Within a loop's callback: a reader that has gone ends the loop."""
        if text == self.last:
            return
        self.last = text
        try:
            if self.in_place:
                # The last column is left free: some terminals would begin a new line.
                text = text[: shutil.get_terminal_size().columns - 1]
                print(f"\r{text}\x1b[K", end="", file=self.stream, flush=True)
            else:
                print(text, file=self.stream, flush=True)
        except BrokenPipeError:
            self.is_read = False
            asynctcp.exit_event_loop()

    def close(self) -> None:
        """End the line."""
        if self.in_place and self.is_read and self.last:
            print(file=self.stream, flush=True)
