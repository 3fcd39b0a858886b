"""Scale bars are as long as geodesics say, and stand only where one length holds."""

from __future__ import annotations

import numpy as np
import pytest

from gwsa_qgis.rasters.grid import Grid, geographic_crs
from gwsa_qgis.report.map_frame import NO_DATA_GROUND, degrees, km_per_unit, scale_bar_km
from gwsa_qgis.report.maps import map_panels_figure


@pytest.mark.parametrize(
    ("south", "north", "expected"),
    [(20, 28, 200), (-2, 2, 200), (44, 48, 200), (-60, 80, 0), (50, 62, 0), (-20, 25, 200)],
)
def test_bars_are_round_and_left_out_where_the_scale_varies(south, north, expected):
    grid = Grid(70.0, north, 0.25, 0.25, 40, (north - south) * 4, geographic_crs())
    assert scale_bar_km(grid) == expected


def test_a_degree_is_as_long_as_the_ellipsoid_says():
    pytest.importorskip("qgis.core")
    from qgis.core import QgsDistanceArea, QgsPointXY

    measure = QgsDistanceArea()
    measure.setEllipsoid("WGS84")
    grid = Grid(70.0, 32.0, 0.25, 0.25, 16, 16, geographic_crs())
    expected = measure.measureLine(QgsPointXY(72, 30), QgsPointXY(73, 30)) / 1000
    assert km_per_unit(grid) == pytest.approx(expected, rel=0.004)


def test_projected_maps_measure_in_their_unit():
    from osgeo import osr

    reference = osr.SpatialReference()
    reference.ImportFromEPSG(2263)  # New York Long Island, US survey feet
    assert km_per_unit(Grid(0.0, 0.0, 1.0, 1.0, 10, 10, reference.ExportToWkt())) == pytest.approx(0.0003048006)


def test_the_drawn_bar_has_its_length_and_no_data_is_not_white():
    pytest.importorskip("matplotlib")
    grid = Grid(70.0, 30.0, 0.5, 0.5, 20, 16, geographic_crs())
    values = np.full(grid.shape, np.nan)
    values[:, 10:] = 1.0
    _, (axes,) = map_panels_figure(grid, [("", values)], "cm", diverging=True, columns=1)
    (bar,) = axes.lines
    share = np.ptp(bar.get_xdata())
    assert share * 10 * np.radians(1) * 6371.0088 * np.cos(np.radians(26)) == pytest.approx(
        scale_bar_km(grid), rel=1e-6
    )
    from matplotlib.colors import to_hex

    assert to_hex(axes.get_facecolor()) == NO_DATA_GROUND != "#ffffff"


def test_degrees_are_written_with_their_side():
    assert [degrees(v, "E", "W") for v in (12.5, -70, 0)] == ["12.5°E", "70°W", "0°"]
