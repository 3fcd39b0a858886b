"""Chart of a basin: band, dashes, annual means and the Sen line."""

import numpy as np
import pytest

from gwsa_qgis.months import month_range
from gwsa_qgis.report import basin_chart
from gwsa_qgis.report.basin_chart import BasinChart

MONTHS = month_range("2003-01", "2004-06")
PNG = b"\x89PNG\r\n\x1a\n"


def axes_of(monkeypatch, **changes):
    pytest.importorskip("matplotlib")
    made = []
    monkeypatch.setattr(basin_chart, "to_png", lambda figure: made.append(figure) or PNG)
    count = MONTHS.size
    given = dict(
        title="Oder",
        text="falling",
        months=MONTHS,
        mean=np.arange(count, dtype=float),
        half_width=np.full(count, 2.0),
        filled=np.arange(count) == 5,
        years=np.array([2003, 2004]),
        annual=np.array([5.5, 14.5]),
        complete=np.array([True, False]),
        intercept=1.0,
        slope=12.0,
        significant=True,
        level=0.9,
    )
    assert basin_chart.basin_chart(BasinChart(**given | changes)) == PNG
    return made[0].get_axes()[0]


def test_what_is_drawn(monkeypatch):
    axes = axes_of(monkeypatch)
    band = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert band.min() == -2 and band.max() == 19
    lines = {line.get_label(): line for line in axes.get_lines()}
    sen = lines["Sen line"]
    np.testing.assert_allclose(sen.get_ydata(), [1, 18])
    assert sen.get_linestyle() == "-"
    assert lines["annual mean"].get_ydata().tolist() == [5.5]
    assert lines["mean of an incomplete year"].get_ydata().tolist() == [14.5]
    assert str(lines["annual mean"].get_xdata()[0])[:7] == "2003-07"
    assert [line.is_dashed() for line in axes.get_lines()[:2]] == [False, True]
    assert "90 % uncertainty" in axes.get_legend_handles_labels()[1]
    assert axes.get_title(loc="left").strip() == "Oder" and "falling" in [text.get_text() for text in axes.texts]


def test_without_uncertainty_or_trend(monkeypatch):
    axes = axes_of(monkeypatch, half_width=np.full(MONTHS.size, np.nan), slope=np.nan)
    assert not axes.collections and not any("Sen" in line.get_label() for line in axes.get_lines())


def test_a_trend_that_is_not_significant_is_dotted(monkeypatch):
    axes = axes_of(monkeypatch, significant=False)
    (line,) = [line for line in axes.get_lines() if "Sen" in line.get_label()]
    assert line.get_linestyle() == ":" and "not significant" in line.get_label()
