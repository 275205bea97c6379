"""Tables in Markdown."""

import dataclasses
from collections.abc import Callable


@dataclasses.dataclass(frozen=True)
class Column:
    heading: str
    cell: Callable[[object], str]
    """What a row shows here."""
    right: bool = False
    """Whether it stands to the right, as numbers do."""


def head(columns: list[Column]) -> list[str]:
    rule = "|".join("--:" if column.right else "---" for column in columns)
    return [written(column.heading for column in columns), f"|{rule}|"]


def line(columns: list[Column], row) -> str:
    return written(column.cell(row).replace("|", "\\|") for column in columns)


def written(cells) -> str:
    return "| " + " | ".join(cells) + " |"


def show(value, form: str = "", unit: str = "") -> str:
    """A number, or nothing where there is none."""
    return "" if value is None else format(value, form) + unit
