"""Uncertainty in several windows by worker processes: the bytes of one worker."""

import pytest

joblib = pytest.importorskip("joblib")


@pytest.mark.parametrize("step", ["uncertainty"])
def test_same_bytes_by_processes(lab, step, tmp_path):
    with joblib.parallel_config("loky", n_jobs=2):
        lab.run(step, tmp_path, workers=2)
    lab.check_same(step, tmp_path)
