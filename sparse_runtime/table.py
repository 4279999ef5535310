"""Tables that people read in a terminal and programs read as Markdown, CSV or JSON."""

import csv
import io
import json
import sys
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
    shrink: Optional[int] = None  # may be shortened in the middle to this many characters where the line is too long

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

    def plain(self, width=None):
        """Text. Where `width` is given, lines longer than that are shortened as far as the columns allow."""
        cells = self._cells()
        widths = [max(map(len, [c.title, *(row[i] for row in cells)])) for i, c in enumerate(self.columns)]
        for i, column in enumerate(self.columns):
            if width and column.shrink and widths[i] > column.shrink:
                widths[i] = max(
                    column.shrink, len(column.title), widths[i] - max(0, sum(widths) + 2 * len(widths) - 2 - width)
                )

        def line(texts):
            texts = [shorten(t, w) for t, w in zip(texts, widths)]
            return "  ".join(
                t.ljust(w) if c.left else t.rjust(w) for t, w, c in zip(texts, widths, self.columns)
            ).rstrip()

        lines = [line([c.title for c in self.columns]), "  ".join("-" * w for w in widths), *map(line, cells)]
        return "\n".join([*lines, *self.notes])

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

    def json(self):
        return json.dumps([{c.key: row.get(c.key) for c in self.columns} for row in self.rows], indent=1)

    def rich(self):
        """The table as rich prints it; raises ImportError without rich."""
        from rich.table import Table as RichTable
        from rich.text import Text

        table = RichTable(box=None, header_style="bold", pad_edge=False)
        for column in self.columns:
            table.add_column(
                column.title,
                justify="left" if column.left else "right",
                no_wrap=column.shrink is None,
                overflow="ellipsis" if column.shrink else "fold",
            )
        for row, cells in zip(self.rows, self._cells()):
            table.add_row(*map(Text, cells), style=row.get("style"))
        return table


def show(table, out=None):
    """Prints a table: with colours where `out` is a terminal and rich is installed, else as plain text."""
    out = out or sys.stdout
    if out.isatty():
        try:
            from rich.console import Console
        except ImportError:
            pass
        else:
            console = Console(file=out)
            console.print(table.rich())
            for note in table.notes:
                console.print(note, markup=False, highlight=False)
            return
    print(table.plain(140), file=out)
