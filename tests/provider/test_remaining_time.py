"""The estimate of the time that work still takes."""

from __future__ import annotations

from gwsa_qgis.processing_provider.base import RemainingTime


def test_it_waits_a_minute_and_goes_by_the_share_that_is_done():
    now = 0.0
    remaining = RemainingTime(lambda: now)
    assert remaining.tell(0.5) == ""
    now = 59.0
    assert remaining.tell(0.1) == ""
    now = 120.0
    assert remaining.tell(0.001) == ""
    assert remaining.tell(0.1) == "About 18 min left."
    assert remaining.tell(0.1) == ""
    now = 180.0
    assert remaining.tell(0.01 + 0.01) == "About 2.5 h left."
    now = 240.0
    assert remaining.tell(0.9) == "Less than a minute left."
    now = 300.0
    assert remaining.tell(1.0) == ""
