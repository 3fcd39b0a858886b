"""Moved to `gwsa_qgis.months`."""

from gwsa_qgis.months import *  # noqa: F403
