"""Self-contained HTML pages: text, tables and embedded figures, readable without network, in light and dark, on paper."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

from gwsa_qgis.rasters.writing import write_text

ROUNDING = 1e-14
STYLE = """
:root { color-scheme: light dark; --ink: #1d2429; --paper: #fff; --rule: #c9d1d6; --soft: #f2f5f7; --warn: #8a4b00; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e9ec; --paper: #14191c; --rule: #3a444b; --soft: #1f262b; --warn: #ffb454; }
}
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: .2rem; } h2 { font-size: 1.2rem; margin-top: 2rem; }
table { border-collapse: collapse; margin: .8rem 0; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding-bottom: .3rem; }
th, td { border-bottom: 1px solid var(--rule); padding: .25rem .6rem; text-align: right; vertical-align: top; }
th { background: var(--soft); vertical-align: bottom; } td { white-space: nowrap; }
.t { text-align: left; } td.t { white-space: normal; }
table { font-size: .92rem; }
.wide { overflow-x: auto; }
figure { margin: 1rem 0; break-inside: avoid; }
figure img { max-width: 100%; height: auto; background: #fff; border-radius: 4px; }
figcaption, footer { font-size: .9rem; opacity: .85; }
.note { border-left: 4px solid var(--warn); padding: .3rem .8rem; background: var(--soft); }
@media print {
  :root { --ink: #000; --paper: #fff; --soft: #f2f2f2; --rule: #999; }
  body { max-width: none; margin: 0; font-size: 10pt; } h2 { break-after: avoid; } table { break-inside: avoid; }
}
""".strip()


class Link(str):
    """Text of a table's cell that leads to another page beside this one."""

    def __new__(cls, text: str, address: str) -> Link:
        """Take the text, and the address as a URL."""
        link = super().__new__(cls, text)
        link.address = address
        return link


class Page:
    """A report under construction; every text given to it is escaped.

    Parameters
    ----------
    title : str
        Heading of the page.
    subtitle : str
        One line below it.
    """

    def __init__(self, title: str, subtitle: str = "") -> None:
        self.title, self.subtitle = title, subtitle
        self._parts: list[str] = []

    def section(self, heading: str) -> Page:
        """Begin a section."""
        return self._add(f"<h2>{escape(heading)}</h2>")

    def paragraph(self, text: str) -> Page:
        """Add a paragraph."""
        return self._add(f"<p>{escape(text)}</p>")

    def note(self, text: str) -> Page:
        """Add a paragraph that must not be overlooked."""
        return self._add(f'<p class="note">{escape(text)}</p>')

    def items(self, texts: Iterable[str]) -> Page:
        """Add a bulleted list."""
        return self._add("<ul>" + "".join(f"<li>{escape(text)}</li>" for text in texts) + "</ul>")

    def table(self, header: Sequence[str], rows: Iterable[Sequence[object]], caption: str = "") -> Page:
        """Add a table; numbers are rounded to four significant digits and stand right, columns of text left."""
        rows = [tuple(row) for row in rows]
        # A column is text when its first known cell is: headers follow their cells.
        first = [
            next((row[k] for row in rows if k < len(row) and row[k] not in (None, "")), 0.0) for k in range(len(header))
        ]
        texts = [isinstance(cell, str) for cell in first]
        kinds = [' class="t"' if text else "" for text in texts]
        head = "".join(
            f'<th scope="col"{kind}>{escape(str(name))}</th>' for name, kind in zip(header, kinds, strict=True)
        )
        head = f"<thead><tr>{head}</tr></thead>\n" if any(header) else ""
        body = "\n".join("<tr>" + "".join(map(_cell, row)) + "</tr>" for row in rows)
        title = f"<caption>{escape(caption)}</caption>" if caption else ""
        return self._add(f'<div class="wide"><table>{title}{head}<tbody>\n{body}\n</tbody></table></div>')

    def facts(self, pairs: Mapping[str, object], caption: str = "") -> Page:
        """Add a table of names and values."""
        return self.table(("", ""), [(name, format_cell(value)) for name, value in pairs.items()], caption)

    def figure(self, png: bytes | None, caption: str, description: str = "") -> Page:
        """Embed a PNG image; without one (no plotting package) a sentence says so.

        Parameters
        ----------
        description : str
            What the image shows, for readers who cannot see it; the caption where not given.
        """
        if png is None:
            return self.note(f"Not drawn: {caption} (matplotlib is not installed; run: pip install matplotlib)")
        data = base64.b64encode(png).decode("ascii")
        return self._add(
            f'<figure><img alt="{escape(description or caption, quote=True)}" src="data:image/png;base64,{data}">'
            f"<figcaption>{escape(caption)}</figcaption></figure>"
        )

    def render(self) -> str:
        """The page as HTML."""
        from gwsa_qgis import __version__

        parts = "\n".join(self._parts)
        subtitle = f"<p>{escape(self.subtitle)}</p>\n" if self.subtitle else ""
        return (
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{escape(self.title)}</title>\n<style>\n{STYLE}\n</style>\n</head>\n<body>\n"
            f"<h1>{escape(self.title)}</h1>\n{subtitle}{parts}\n"
            f"<footer>Written by gwsa-qgis {escape(__version__)}.</footer>\n</body>\n</html>\n"
        )

    def save(self, path: str | Path) -> Path:
        """Write the page whole.

        Raises
        ------
        OutputNotWritable
            If the place cannot be written.
        """
        return write_text(path, self.render())

    def _add(self, html: str) -> Page:
        self._parts.append(html)
        return self


def _cell(value: object) -> str:
    kind = ' class="t"' if isinstance(value, str) else ""
    text = escape(format_cell(value))
    if isinstance(value, Link):
        text = f'<a href="{escape(value.address, quote=True)}">{text}</a>'
    return f"<td{kind}>{text}</td>"


def format_cell(value: object) -> str:
    """A table cell as text: numbers rounded to four significant digits, a dash for what is not known.

    What is within rounding of zero, as the bias of anomalies, is zero.
    """
    if value is None:
        return "\N{EN DASH}"
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        return str(value)
    number = float(value)
    if not math.isfinite(number):
        return "\N{EN DASH}"
    if number == int(number) and abs(number) < 1e15 and not isinstance(value, float):
        return str(int(number))
    if abs(number) < ROUNDING:
        return "0"
    if number and (abs(number) < 1e-3 or abs(number) >= 1e6):
        return f"{number:.3g}"
    return f"{number:.4g}" if abs(number) < 1e4 else f"{number:.0f}"
