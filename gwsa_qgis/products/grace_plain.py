"""Plain CF files of terrestrial water storage, as regridded, downscaled and reconstructed products come."""

from __future__ import annotations

import re

from gwsa_qgis.errors import UnreadableInput
from gwsa_qgis.products.cube import NetcdfFile, attributes_of
from gwsa_qgis.products.grace_product import GraceProduct

STORAGE_NAMES = (
    *("lwe_thickness", "twsa", "tws", "lwe", "ewh", "tewh", "JPL_EWH_downscaled", "tws_anomaly", "twsa_downscaled"),
    *("graceTWS", "grace_tws", "tws_reconstruction", "rec_ensemble_mean"),
)
UNCERTAINTY_NAMES = (
    *("uncertainty", "lwe_thickness_uncertainty", "twsa_uncertainty", "tws_uncertainty", "lwe_uncertainty"),
    *("twsa_error", "twsa_std", "twsa_sigma", "ewh_std", "measurement_error", "error"),
)
STORAGE = re.compile(
    r"water[ _]storage|equivalent[ _]water|water[ _]equivalent|(?:^|[_ ])(?:lwe|twsa?|ewha?)(?:$|[_ ])", re.IGNORECASE
)
# What is stored or flows elsewhere, and also bears such names: snow water equivalent, soil water storage, ...
OTHER = re.compile(
    r"precip|rain|evap|snow|swe|soil|canopy|groundwater|gwsa?(?:$|[_ ])|runoff|temperature|uncertainty|error|std|sigma",
    re.IGNORECASE,
)


def find_storage(file: NetcdfFile) -> str:
    """Name of the storage variable of a file.

    Raises
    ------
    UnreadableInput
        If no variable, or more than one, calls itself water storage.
    """
    name = file.find(*STORAGE_NAMES)
    gridded = file.variables()
    if name in gridded:
        return name
    timed = [name for name in gridded if file.array(name).GetDimensionCount() > 2]
    told = [name for name in timed if STORAGE.search(_words(file, name)) and not OTHER.search(_words(file, name))]
    if len(told) != 1:
        raise UnreadableInput(
            f"{file.path} has {len(told) or 'no'} variables of terrestrial water storage"
            f" ({', '.join(told) or 'it has ' + (', '.join(gridded) or 'no gridded variable')})",
            "give a GRACE file, or name the variable as VARIABLE",
        )
    return told[0]


def is_other(file: NetcdfFile, variable: str) -> bool:
    """Whether a variable calls itself something else than water storage."""
    return bool(OTHER.search(_words(file, variable)))


def _words(file: NetcdfFile, variable: str) -> str:
    tags = attributes_of(file.array(variable))
    return " ".join([variable, *(str(tags.get(key, "")) for key in ("standard_name", "long_name"))])


PLAIN = GraceProduct(
    "plain TWSA file",
    lambda file: True,
    storage=STORAGE_NAMES,
    uncertainty=UNCERTAINTY_NAMES,
    uncertainty_level="as the file gives it",
)
