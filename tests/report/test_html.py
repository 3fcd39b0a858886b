import sys
from html.parser import HTMLParser

import numpy as np
import pytest

from gwsa_qgis.report import figures
from gwsa_qgis.report.html import Page, format_cell

PNG = b"\x89PNG\r\n\x1a\n"


class Outline(HTMLParser):
    """Collects tags and fails on ones that are not closed."""

    void = {"meta", "img", "br"}

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.links = [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [value for name, value in attributes if name in ("src", "href")]
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_a_page_is_whole_and_needs_no_network(tmp_path):
    page = Page("Trend", "a & b").section("One").paragraph("p < 0.05").items(["x", "y"]).note("mind")
    page.table(("name", "value"), [("<b>", 1.23456), ("n", 7)], "caption").figure(PNG, "a figure")
    path = page.save(tmp_path / "page.html")
    outline = Outline(path.read_text(encoding="utf-8"))
    assert {"h1", "h2", "table", "caption", "figure", "li", "footer"} <= set(outline.tags)
    assert all(link.startswith("data:image/png;base64,") for link in outline.links)


def test_everything_given_is_escaped():
    evil = '<script>alert("x")</script>'
    page = Page(evil, evil).section(evil).paragraph(evil).note(evil).items([evil]).table((evil,), [(evil,)], evil)
    page.figure(PNG, evil, '" onload="x').figure(None, evil).facts({evil: evil})
    text = page.render()
    assert "<script>" not in text
    assert '" onload=' not in text
    Outline(text)


def test_text_stands_left_and_numbers_right():
    text = Page("t").table(("name", "n", "note"), [("a", 1, None), ("b", 2.5, "long")]).facts({"a": 1}).render()
    assert '<th scope="col" class="t">name</th><th scope="col">n</th><th scope="col" class="t">note</th>' in text
    assert '<td class="t">b</td><td>2.5</td><td class="t">long</td>' in text
    assert text.count("<thead>") == 1  # names and values need no heads


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.23456, "1.235"),
        (np.float32(0.5), "0.5"),
        (7, "7"),
        (np.int64(12345678), "12345678"),
        (123456.7, "123457"),
        (1.2e-7, "1.2e-07"),
        (3.4e-17, "0"),
        (0.0, "0"),
        (np.nan, "\N{EN DASH}"),
        (None, "\N{EN DASH}"),
        ("text", "text"),
        (True, "True"),
    ],
)
def test_cells(value, text):
    assert format_cell(value) == text


def draw_all():
    random = np.random.default_rng(0)
    x, y = random.normal(size=(2, 5000))
    band = np.linspace(-1, 1, 10)
    return [
        figures.scatter_panels(
            [("many", x, y, "n"), ("few", x[:50], y[:50], "n"), ("none", x[:0], y[:0], "")], "x", "y"
        ),
        figures.binned_wells(x[:15], y[:15], np.ones(15), (band, band, band - 1, band + 1), "text"),
        figures.well_map(x[:30], y[:30], np.r_[x[:29], np.nan], "cm"),
        figures.well_map(x[:3], y[:3], np.full(3, np.nan), "cm"),
    ]


def test_figures_are_png_and_the_same_each_time():
    first, second = draw_all(), draw_all()
    assert all(data.startswith(PNG) for data in first)
    assert first == second


def test_without_matplotlib_reports_keep_their_tables(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert draw_all() == [None] * 4
    text = Page("Trend").figure(None, "shares").table(("a",), [(1,)]).render()
    assert "pip install matplotlib" in text
    assert "<table>" in text
