"""The linear part month by month at places that stay: what the table of all rows gives."""

import numpy as np
import pytest

from gwsa_qgis.science.linear_detail import LinearDetail
from gwsa_qgis.science.linear_places import LinearPlaces

PREDICTORS, MONTHS, PLACES = 5, 4, 20_000
MOVING = [1, 3]


@pytest.fixture(scope="module")
def case():
    """A fitted model, and deviations, levels, calendar and classes of places over some months."""
    random = np.random.default_rng(5)
    x = random.normal(size=(3000, 2 * PREDICTORS + 3)).astype(np.float32)
    classes = random.choice([13, 23], 3000)
    y = x[:, 0] * (1 + np.tanh(x[:, PREDICTORS])) + x[:, 1] * x[:, -1] + (classes == 13) * x[:, 3] + x[:, 4] * x[:, -3]
    model = LinearDetail(PREDICTORS, [13, 23]).fit(x, y, classes)
    deviations, levels = random.normal(scale=4, size=(2, PREDICTORS, MONTHS, PLACES)).astype(np.float32)
    for p in set(range(PREDICTORS)) - set(MOVING):
        deviations[p, 1:], levels[p, 1:] = deviations[p, 0], levels[p, 0]
    terms = random.normal(size=(MONTHS, 3)).astype(np.float32)
    return model, deviations, levels, terms, random.choice([13, 23, 34], PLACES)


def places_of(case, part=slice(None), moving=MOVING):
    model, deviations, levels, _, classes = case
    lasting = {p: (deviations[p, 0, part], levels[p, 0, part]) for p in range(PREDICTORS) if p not in moving}
    return LinearPlaces(model, classes[part], lasting)


def of_month(case, places, month, part=slice(None), moving=MOVING):
    _, deviations, levels, terms, _ = case
    found = ([values[p, month, part] for p in moving] for values in (deviations, levels))
    return places.predict(*found, terms[month])


@pytest.mark.parametrize("moving", [MOVING, [], list(range(PREDICTORS))])
def test_it_is_the_table_of_all_rows(case, moving):
    model, deviations, levels, terms, classes = case
    places = places_of(case, moving=moving)
    for month in range(MONTHS if moving == MOVING else 1):
        calendar = np.broadcast_to(terms[month], (PLACES, 3))
        table = np.concatenate([deviations[:, month].T, levels[:, month].T, calendar], axis=1)
        expected = model.predict(table, classes)
        assert (np.abs(table[:, :PREDICTORS]) > model.limit).any()  # some are cut
        np.testing.assert_allclose(
            of_month(case, places, month, moving=moving), expected, rtol=2e-6, atol=4e-6
        )  # float32


def test_a_place_does_not_depend_on_the_others(case):
    whole = of_month(case, places_of(case), 2)
    for part in (slice(0, 1), slice(8000, 8400), slice(1, None, 3)):
        np.testing.assert_array_equal(of_month(case, places_of(case, part), 2, part), whole[part])


def test_a_missing_value_is_its_own_places_alone(case):
    model, deviations, levels, terms, classes = case
    holes = deviations.copy()
    holes[3, 2, 7] = np.nan
    found = of_month((model, holes, levels, terms, classes), places_of(case), 2)
    assert np.flatnonzero(np.isnan(found)).tolist() == [7]
