"""What a notebook shows of a result: a title, a picture, a few rows; text is escaped."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_ROW = "<tr><th style='text-align:left'>{}</th><td style='text-align:left'>{}</td></tr>"


@dataclass(frozen=True)
class Card:
    """What is shown: plain text, and a picture as a ``data:`` address."""

    title: str
    rows: Sequence[tuple[str, object]] = ()
    picture: str = ""


def page(card: Card) -> str:
    """Return a card as HTML.

    Examples
    --------
    >>> page(Card("a < b"))
    "<div style='max-width:720px'><p><b>a &lt; b</b></p></div>"
    """
    parts = [f"<p><b>{escape(card.title)}</b></p>"]
    if card.picture:
        alt, source = escape(card.title, quote=True), escape(card.picture, quote=True)
        parts.append(f'<img src="{source}" alt="{alt}" style="width:100%">')
    if card.rows:
        rows = (_ROW.format(escape(name), escape(str(value))) for name, value in card.rows)
        parts.append(f"<table>{''.join(rows)}</table>")
    return f"<div style='max-width:720px'>{''.join(parts)}</div>"
