"""A training within its memory budget: months read in runs, samples thinned, models of what memory holds."""

from dataclasses import fields

import numpy as np
import pytest

from gwsa_qgis.errors import InvalidParameter
from gwsa_qgis.progress import Reporter
from gwsa_qgis.science.learners import DEFAULTS
from gwsa_qgis.steps import training_memory
from gwsa_qgis.steps.model_file import read_model
from gwsa_qgis.steps.sample_choice import SampleChoice, class_totals, scale_totals
from gwsa_qgis.steps.sample_table import Samples
from gwsa_qgis.steps.support_map import read_support
from gwsa_qgis.steps.training_files import open_training
from gwsa_qgis.steps.training_memory import TrainingMemory
from gwsa_qgis.steps.training_samples import cell_samples, support_samples
from gwsa_qgis.steps.trainmodels import trainmodels

pytest.importorskip("xgboost")
GATHER = {"recommended": support_samples, "published": cell_samples}


@pytest.mark.parametrize(
    "sizes, most, wanted",
    [
        ([100, 90, 80], 270, [100, 90, 80]),  # all have room
        ([100, 90, 80], 185, [100, 45, 40]),  # the larger scales are halved
        ([100, 90, 80], 50, [45, 2, 2]),  # a tenth stays with the larger ones
        ([100, 4, 0], 80, [76, 4, 0]),  # less than a tenth there is
        ([100], 30, [30]),
    ],
)
def test_larger_scales_are_thinned_first(sizes, most, wanted):
    assert scale_totals(sizes, most) == wanted


@pytest.mark.parametrize(
    "sizes, most, wanted",
    [
        ([10, 500, 70], 580, [10, 500, 70]),
        ([10, 500, 70], 200, [10, 120, 70]),
        ([10, 500, 70], 90, [10, 40, 40]),
        ([300, 300], 101, [50, 51]),
        ([], 5, []),
    ],
)
def test_the_largest_classes_are_thinned_to_one_size(sizes, most, wanted):
    assert class_totals(sizes, most) == wanted


def test_the_usual_budget_holds_what_was_always_held():
    usual = TrainingMemory()
    assert usual.most_samples(88) * 88 >= 600_000_000  # 2.4 GB of inputs
    assert usual.runs(225, 18_000) == [slice(0, 225)]  # a country at 0.25 degrees: read whole
    assert usual.factors_mb(88) > 400
    assert TrainingMemory(51.2).most_samples(88) == usual.most_samples(88) // 100


def test_a_choice_keeps_its_promise():
    counts = np.random.default_rng(1).integers(0, 90, (3, 40))
    counts[1, 5] = 0
    totals = [700, 123, int(counts[2].sum())]
    choice, again, other = (SampleChoice(counts, totals, seed) for seed in (4, 4, 5))
    assert (choice.taken, choice.available, choice.size) == (totals, counts.sum(1).tolist(), sum(totals))
    same = []
    for group in range(3):
        stop = 0 if group == 0 else choice.rows(group - 1).stop
        for month in range(40):
            rows = choice.rows(group, slice(month, month + 1))
            assert rows.start == stop
            stop = rows.stop
            picked = np.arange(counts[group, month])[choice.pick(group, month)]
            assert picked.size == rows.stop - rows.start
            assert (np.diff(picked) > 0).all()
            np.testing.assert_array_equal(picked, np.arange(counts[group, month])[again.pick(group, month)])
            same.append(np.array_equal(picked, np.arange(counts[group, month])[other.pick(group, month)]))
            # the same share of each month
            assert abs(picked.size - counts[group, month] * totals[group] / counts[group].sum()) < 1
        found = [(row, at) for rows, month in choice.parts(group) for row, at in enumerate(month, rows.start)]
        assert [row for row, _ in found] == list(range(choice.rows(group).start, choice.rows(group).stop))
        taken = np.diff([choice.rows(group, slice(0, month)).stop for month in range(41)])
        np.testing.assert_array_equal(np.bincount([at for _, at in found], minlength=40), taken)
    assert not all(same)


def gather(region, preset, mascons, memory, seed=0, said=None):
    tell = Reporter(lambda fraction, message: said.append(message)) if said is not None else Reporter()
    files = open_training(region.target, region.coarse, region.classes_coarse, Reporter())
    support = read_support(region.mascons if mascons else None, files.grid)
    return GATHER[preset](files, support, tell, 0.0, memory, seed)


@pytest.mark.parametrize("mascons", [True, False])
@pytest.mark.parametrize("preset", GATHER)
def test_layers_read_in_runs_of_months_give_the_bytes_of_whole_ones(downscaling_region, preset, mascons, monkeypatch):
    whole = gather(downscaling_region, preset, mascons, TrainingMemory())
    assert whole.thinned is None
    monkeypatch.setattr(training_memory, "BYTES_OF_CELL", 1e9)
    for months in (1, 3):
        monkeypatch.setattr(training_memory, "FEWEST_MONTHS", months)
        memory = TrainingMemory()
        assert len(memory.runs(17, 500)) == -(-17 // months)
        parts = gather(downscaling_region, preset, mascons, memory)
        for column in fields(Samples):
            mine, theirs = (getattr(table.samples, column.name) for table in (parts, whole))
            assert (mine.dtype, mine.tobytes()) == (theirs.dtype, theirs.tobytes())
        assert (parts.scales, parts.spacings, parts.names) == (whole.scales, whole.spacings, whole.names)


def keyed(table):
    """Rows of the table by scale, place and month."""
    scale = np.repeat(np.arange(len(table.scales)), table.scales)
    data = table.samples
    keys = zip(scale, data.places, data.months, strict=True)
    rows = np.column_stack([data.x, data.y, data.around, data.classes, data.blocks])
    return dict(zip(((int(a), int(b), int(c)) for a, b, c in keys), rows, strict=True))


@pytest.mark.parametrize("preset", GATHER)
def test_a_small_budget_thins_samples_and_says_to_how_many(downscaling_region, preset):
    region, said = downscaling_region, []
    whole = gather(region, preset, True, TrainingMemory())
    memory = TrainingMemory(0.25)
    most = memory.most_samples(whole.samples.x.shape[1])
    assert most < whole.first  # not even the smallest scale has room
    table = gather(region, preset, True, memory, 7, said)
    assert table.thinned == (table.samples.size, whole.samples.size)
    assert most - 3 <= table.samples.size <= most
    warning = [message for message in said if "memory budget of 0.25 MB" in message]
    assert len(warning) == 1 and f"holds {table.samples.size} of {whole.samples.size} samples" in warning[0]
    if preset == "recommended":
        assert [size > 0 for size in table.scales] == [size > 0 for size in whole.scales]
        assert table.first == pytest.approx(0.9 * most, abs=2)
    else:
        sizes = [int((table.samples.classes == name).sum()) for name in (13, 23)]
        assert abs(sizes[0] - sizes[1]) <= 1
        assert (np.diff(table.samples.classes) >= 0).all()
    everything, some = keyed(whole), keyed(table)
    assert len(some) == table.samples.size
    for key, row in some.items():
        np.testing.assert_array_equal(row, everything[key])
    again, other = (keyed(gather(region, preset, True, memory, seed)) for seed in (7, 8))
    assert list(again) == list(some) and set(other) != set(some)


@pytest.mark.parametrize("preset", GATHER)
def test_models_of_thinned_samples(downscaling_region, preset, tmp_path, monkeypatch):
    monkeypatch.setitem(DEFAULTS["xgboost"], "n_estimators", 5)
    region, bytes_of = downscaling_region, {}
    options = {"preset": preset, "mascons": region.mascons, "aquifers": region.classes_coarse, "search_iterations": 0}
    for name, more in {
        "usual": {"threads": 1},
        "large enough": {"threads": 1, "memory_mb": 60},
        "small": {"threads": 1, "memory_mb": 0.3, "report": tmp_path / "small.html"},
        "small, two threads": {"threads": 2, "memory_mb": 0.3},
    }.items():
        result = trainmodels(region.target, region.coarse, tmp_path / f"{name}.gwsa", **options, **more)
        bytes_of[name] = result.model.read_bytes()
    assert bytes_of["usual"] == bytes_of["large enough"] != bytes_of["small"] == bytes_of["small, two threads"]
    assert "thinned" not in read_model(tmp_path / "usual.gwsa").manifest
    thinned = read_model(tmp_path / "small.gwsa").manifest["thinned"]
    assert thinned["samples"] < thinned["of"]
    page = (tmp_path / "small.html").read_text(encoding="utf-8")
    assert f"fitted on {thinned['samples']} random samples of {thinned['of']}" in page


@pytest.mark.parametrize("memory_mb", [0, -5, float("nan")])
def test_a_budget_of_nothing_is_refused(downscaling_region, tmp_path, memory_mb):
    with pytest.raises(InvalidParameter, match="MEMORY"):
        trainmodels(downscaling_region.target, downscaling_region.coarse, tmp_path / "m.gwsa", memory_mb=memory_mb)
