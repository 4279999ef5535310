"""Tables that people read in a terminal and programs read as Markdown or CSV; progress bars."""

import contextlib
import csv
import io
import itertools
import sys
import textwrap
from dataclasses import dataclass
from typing import Any, Callable, Optional


def _plain(value):
    return str(value)


@dataclass(frozen=True)
class Column:
    """One column of a table: `key` finds the value in a row, `show` makes it text; None is shown as "-"."""

    key: str
    title: str
    show: Callable[[Any], str] = _plain
    left: bool = False  # text stands left, numbers right
    # Where lines are too long, a column may become as narrow as this:
    shrink: Optional[int] = None  # by leaving out the middle of its texts,
    wrap: Optional[int] = None  # or by continuing them on the next line

    def text(self, row):
        value = row.get(self.key)
        return "-" if value is None else self.show(value)


def number(digits):
    """Shows a number with so many digits after the point."""
    return lambda value: f"{value:.{digits}f}"


def percent(value):
    return f"{100 * value:.1f}%"


def shorten(text, width):
    """`text` in at most `width` characters, its middle left out."""
    if len(text) <= width:
        return text
    head = (width - 2) // 2
    return f"{text[:head]}..{text[len(text) - (width - 2 - head):]}"


class Table:
    """Rows are dicts; `notes` are lines of text below them."""

    def __init__(self, columns, rows, notes=()):
        self.columns, self.rows, self.notes = list(columns), list(rows), list(notes)

    def _cells(self):
        return [[column.text(row) for column in self.columns] for row in self.rows]

    def _widths(self, cells, width):
        """Widths of the columns, made smaller where they may be, from the last one on, until the lines fit `width`."""
        widths = [max(map(len, [c.title, *(row[i] for row in cells)])) for i, c in enumerate(self.columns)]
        excess = sum(widths) + 2 * (len(widths) - 1) - width if width else 0
        for i, column in reversed(list(enumerate(self.columns))):
            smallest = max(column.shrink or column.wrap or widths[i], len(column.title))
            less = max(0, min(excess, widths[i] - smallest))
            widths[i] -= less
            excess -= less
        return widths

    def lines(self, width=None):
        """(text, row) of every line; the head has None for a row. A cell that wraps takes several lines."""
        cells = self._cells()
        widths = self._widths(cells, width)

        def line(texts):
            pairs = zip(texts, widths, self.columns)
            return "  ".join(t.ljust(w) if c.left else t.rjust(w) for t, w, c in pairs).rstrip()

        yield line([c.title for c in self.columns]), None
        yield "  ".join("-" * w for w in widths), None
        for row, texts in zip(self.rows, cells):
            parts = [
                textwrap.wrap(t, w) if c.wrap and len(t) > w else [shorten(t, w)]
                for t, w, c in zip(texts, widths, self.columns)
            ]
            for several in itertools.zip_longest(*parts, fillvalue=""):
                yield line(several), row

    def plain(self, width=None):
        """Text. Where `width` is given, lines longer than that are shortened as far as the columns allow."""
        return "\n".join([*(text for text, _ in self.lines(width)), *self.notes])

    def markdown(self):
        def line(texts):
            return "| " + " | ".join(t.replace("|", "\\|") for t in texts) + " |"

        rule = "|" + "|".join("---" if c.left else "---:" for c in self.columns) + "|"
        text = [line([c.title for c in self.columns]), rule, *map(line, self._cells())]
        return "\n".join([*text, *(f"\n{note}" for note in self.notes)])

    def csv(self):
        """The values as they are, not rounded for reading; without notes."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow([c.key for c in self.columns])
        writer.writerows([["" if row.get(c.key) is None else row[c.key] for c in self.columns] for row in self.rows])
        return out.getvalue().rstrip("\n")


def show(table, out=None):
    """Prints a table, on a terminal in colours if rich is installed. A row's "style" is one of rich's."""
    out = out or sys.stdout
    if out.isatty():
        try:
            from rich.console import Console
            from rich.text import Text
        except ImportError:
            pass
        else:
            console = Console(file=out, highlight=False)
            for text, row in table.lines(max(console.width, 100)):
                style = "bold" if row is None else row.get("style") or ""
                console.print(Text(text, style), soft_wrap=True)
            for note in table.notes:
                console.print(Text(note), soft_wrap=True)
            return
    print(table.plain(140), file=out)


@contextlib.contextmanager
def progress_bar(out=None):
    """A function of (what is done, how much of it, of how much), which shows bars on a terminal if rich is installed;
    they are gone when the context ends. None elsewhere."""
    out = out or sys.stderr
    try:
        from rich.console import Console
        from rich.progress import Progress
    except ImportError:
        Progress = None
    if Progress is None or not out.isatty():
        yield None
        return
    with Progress(console=Console(file=out), transient=True) as bars:
        tasks = {}

        def update(what, done, total):
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done)

        yield update
