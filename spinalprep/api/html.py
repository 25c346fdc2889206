"""What a notebook shows of a result: a title, a picture, a few rows; text is escaped."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_ROW = "<tr><th style='text-align:left'>{}</th><td style='text-align:left'>{}</td></tr>"


@dataclass(frozen=True)
class Card:
    """What is shown: plain text, and pictures as HTML."""

    title: str
    rows: Sequence[tuple[str, object]] = ()
    pictures: str = ""


def page(card: Card) -> str:
    """Return a card as HTML.

    Examples
    --------
    >>> page(Card("a < b"))
    "<div style='max-width:720px'><p><b>a &lt; b</b></p></div>"
    """
    parts = [f"<p><b>{escape(card.title)}</b></p>"]
    if card.pictures:
        parts.append(f"<div>{card.pictures}</div>")
    if card.rows:
        rows = (_ROW.format(escape(name), escape(str(value))) for name, value in card.rows)
        parts.append(f"<table>{''.join(rows)}</table>")
    return f"<div style='max-width:720px'>{''.join(parts)}</div>"
