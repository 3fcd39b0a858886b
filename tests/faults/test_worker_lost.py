"""A worker process of a Dask cluster dies: the run ends whole all the same, or the rerun does."""

from __future__ import annotations

import os
import signal

import pytest

distributed = pytest.importorskip("distributed")
joblib = pytest.importorskip("joblib")


@pytest.mark.parametrize("step", ["droughtindex", pytest.param("trend", marks=pytest.mark.long)])
def test_a_lost_worker(lab, step, tmp_path):
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, memory_limit=0
    )
    with cluster, distributed.Client(cluster) as client:
        killed = []

        def progress(fraction, message):
            if fraction > 0.2 and not killed:
                killed.append(next(iter(client.run(os.getpid).values())))
                os.kill(killed[0], signal.SIGKILL)

        with joblib.parallel_config(backend="dask"):
            try:
                lab.run(step, tmp_path, workers=2, progress=progress)
            except distributed.KilledWorker:
                lab.check_none(tmp_path)
                lab.run(step, tmp_path, workers=2)
        assert killed
    lab.check_same(step, tmp_path)
