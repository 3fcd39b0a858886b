"""Gap filling of monthly series by singular spectrum analysis (SSA) in two stages.

Stage a fills short gaps, stage b the long gap between GRACE and GRACE-FO, with window and number of modes chosen by
cross-validation. The method is that of Yi & Sneeuw (2021, doi:10.1029/2020JB021227), equations 1 to 14 of the data
set's paper. Series are neither centred nor scaled (the level takes part): give them as published.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, fields

import numpy as np

from gwsa_qgis.errors import InvalidParameter, NoUsableData
from gwsa_qgis.science.months import calendar_year
from gwsa_qgis.science.ssa_core import FillRun, fill, passes_low_frequency_test, reconstruct
from gwsa_qgis.science.ssa_record import Record, check_contiguous, check_long_enough

OBSERVED, SHORT_GAP, LONG_GAP = 0, 1, 2

BATCH = 256
"""Series that are decomposed together: enough that numpy's overhead is small, few enough to stay in cache."""
