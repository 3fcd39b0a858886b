import numpy as np
import pytest

from gwsa_qgis.science.detail_model import DetailModel
from gwsa_qgis.science.learners import make_learner
from gwsa_qgis.science.learning import batches
from gwsa_qgis.science.linear_detail import LinearDetail
from gwsa_qgis.science.table_rows import TableRows

RANDOM = np.random.default_rng(2)
TABLE = RANDOM.normal(size=(3000, 8)).astype(np.float32)
ROWS = np.sort(RANDOM.choice(3000, 1700, replace=False))


def test_rows_read_like_an_array():
    rows, copy = TableRows(TABLE, ROWS), TABLE[ROWS]
    assert rows.shape == copy.shape and rows.ndim == 2 and len(rows) == 1700 and rows.dtype == np.float32
    for key in (slice(5, 90), np.array([4, 2, 2]), (slice(0, 7), slice(2, 5)), (slice(None), 3)):
        np.testing.assert_array_equal(rows[key], copy[key])
    np.testing.assert_array_equal(np.asarray(rows), copy)
    assert np.ascontiguousarray(rows, np.float64).dtype == np.float64


def test_rows_of_rows_are_rows_of_the_table():
    chosen = np.arange(1700) % 3 == 0
    nested = TableRows(TableRows(TABLE, ROWS), chosen)
    np.testing.assert_array_equal(np.asarray(nested), TABLE[ROWS][chosen])
    assert nested._table is TABLE


def test_batches_of_rows_are_those_of_a_copy():
    y = np.arange(1700, dtype=np.float32)
    for mine, copied in zip(batches(TableRows(TABLE, ROWS), y, 600), batches(TABLE[ROWS], y, 600), strict=True):
        np.testing.assert_array_equal(mine[0], copied[0])
        np.testing.assert_array_equal(mine[1], copied[1])


@pytest.mark.parametrize("kind", ["xgboost", "random_forest", "linear", "dnn"])
def test_a_model_fitted_on_rows_is_that_of_a_copy(kind):
    y = (TABLE[ROWS] @ np.arange(8)).astype(np.float32)
    classes = RANDOM.integers(1, 3, 1700)
    fitted = []
    for x in (TableRows(TABLE, ROWS), TABLE[ROWS]):
        parameters = {"xgboost": {"n_estimators": 4}, "random_forest": {"n_estimators": 3}}.get(kind, {})
        parameters |= {"epochs": 2, "layers": 3, "units": 128} if kind == "dnn" else {}
        model = DetailModel(LinearDetail(3, [1, 2]), make_learner(kind, parameters, 1, 1, "cpu"))
        model.fit(x, y, classes)
        fitted.append((model.linear.to_arrays(), model.trees.save()))
    for name, values in fitted[0][0].items():
        np.testing.assert_array_equal(values, fitted[1][0][name])
    assert fitted[0][1].booster == fitted[1][1].booster
    for name, values in fitted[0][1].arrays.items():
        np.testing.assert_array_equal(values, fitted[1][1].arrays[name])
