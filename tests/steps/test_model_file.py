"""Model files: what is written comes back, and nothing else is taken for one."""

import io
import json
import zipfile

import numpy as np
import pytest

from gwsa_qgis.errors import InvalidModelFile, UnreadableInput
from gwsa_qgis.science.learning import Parts
from gwsa_qgis.steps.model_file import ModelFile, read_model, write_archive

MANIFEST = {
    "preset": "published",
    "predictors": ["rain"],
    "inputs": ["rain", "month_sin", "month_cos"],
    "models": {"all": {"learner": {"kind": "xgboost"}}},
    "unit": "cm",
    "seed": 1,
}


def write_model(path, written):
    write_archive(path, written)
    return path


def model(**changes):
    return ModelFile(
        MANIFEST | changes, {"all": b"booster" * 10}, {"labels": np.arange(6, dtype=np.int32).reshape(2, 3)}
    )


def archive(path, members):
    with zipfile.ZipFile(path, "w") as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


def whole_manifest(**changes):
    return json.dumps({"format": "gwsa-model", "format_version": 1} | MANIFEST | changes).encode()


def test_round_trip(tmp_path):
    written = model(score=np.float32(0.5), missing=np.nan)
    back = read_model(write_model(tmp_path / "m.gwsa", written))
    assert back.manifest["predictors"] == ["rain"]
    assert back.manifest["score"] == 0.5
    assert back.manifest["missing"] is None
    assert back.boosters == written.boosters
    np.testing.assert_array_equal(back.arrays["labels"], written.arrays["labels"])
    assert back.arrays["labels"].dtype == np.int32


def test_parts_of_learners_come_back_apart(tmp_path):
    written = model(models={name: {"learner": {"kind": "dnn"}} for name in ("all", "class_1", "class_11")})
    arrays = {
        name: {"weights_0": np.full((2, 3), number, np.float32)} for number, name in enumerate(("class_1", "class_11"))
    }
    for name, own in arrays.items():
        written.store(name, Parts(None, own))
    back = read_model(write_model(tmp_path / "m.gwsa", written))
    assert back.parts("all").booster == b"booster" * 10
    assert back.parts("all").arrays == {}
    for name, own in arrays.items():
        assert back.parts(name).booster is None
        assert list(back.parts(name).arrays) == ["weights_0"]
        np.testing.assert_array_equal(back.parts(name).arrays["weights_0"], own["weights_0"])


def test_arrays_keep_their_order_and_type(tmp_path):
    written = model()
    written.arrays = {
        "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "empty": np.empty((0, 4), np.float32),
        "one": np.array(3, np.int16),
        "swapped": np.arange(3, dtype=">f8"),
        "flags": np.array([True, False]),
    }
    back = read_model(write_model(tmp_path / "m.gwsa", written)).arrays
    for name, array in written.arrays.items():
        np.testing.assert_array_equal(back[name], array.reshape(back[name].shape))
        assert back[name].dtype == array.dtype


def npy(header, data=b""):
    return b"\x93NUMPY\x01\x00v\x00" + header.ljust(117).encode() + b"\n" + data


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }"), "0 bytes for the shape"),
        (npy("{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }", bytes(17)), "17 bytes for the shape"),
        (npy("{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }", bytes(15)), "15 bytes for the shape"),
        (npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-1, -2), }", bytes(16)), "for the shape"),
        (npy("{'descr': '<U4', 'fortran_order': False, 'shape': (1,), }", bytes(16)), "values of the type"),
        (npy("{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }", bytes(8)), "values of the type"),
        (npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", bytes(8)), "values of the type"),
        (npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }", bytes(8)), "values of the type"),
        (npy("__import__('os')"), "."),
        (npy("{'descr': '<f8'}"), "."),
        (b"\x93NUMPY\x02\x00" + bytes(100), "format"),
        (npy("(" * 9000), "."),
        (b"no array", "."),
        (b"", "."),
    ],
)
def test_arrays_that_lie(tmp_path, data, reason):
    members = {"manifest.json": whole_manifest(), "boosters/all.ubj": b"x", "arrays/all__weights_0.npy": data}
    with pytest.raises(InvalidModelFile, match=f"not an array of numbers .*{reason}"):
        read_model(archive(tmp_path / "m.gwsa", members))


def test_same_model_same_bytes(tmp_path):
    files = [write_model(tmp_path / f"{k}.gwsa", model()) for k in range(2)]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_absent_file(tmp_path):
    with pytest.raises(UnreadableInput, match="is not there"):
        read_model(tmp_path / "none.gwsa")


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 broken", b"II*\x00" + bytes(100)])
def test_other_files(tmp_path, content):
    (tmp_path / "m.gwsa").write_bytes(content)
    with pytest.raises(InvalidModelFile, match="not a model file"):
        read_model(tmp_path / "m.gwsa")


def test_truncated_and_flipped_bytes(tmp_path):
    data = write_model(tmp_path / "m.gwsa", model()).read_bytes()
    (tmp_path / "short.gwsa").write_bytes(data[: len(data) // 2])
    flipped = bytearray(data)
    flipped[60] ^= 0xFF
    (tmp_path / "flipped.gwsa").write_bytes(flipped)
    for name in ("short", "flipped"):
        with pytest.raises(InvalidModelFile):
            read_model(tmp_path / f"{name}.gwsa")


@pytest.mark.parametrize(
    "name", ["../evil.ubj", "/etc/passwd", "boosters/../../x.ubj", "boosters/a.pkl", "code.py", "arrays/a b.npy"]
)
def test_strange_members(tmp_path, name):
    path = archive(tmp_path / "m.gwsa", {"manifest.json": whole_manifest(), name: b"x"})
    with pytest.raises(InvalidModelFile, match="which no model file has"):
        read_model(path)


@pytest.mark.parametrize(
    ("manifest", "match"),
    [
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[1]", "not that of a groundwater model"),
        (b'{"format": "other"}', "not that of a groundwater model"),
        (whole_manifest(format_version=99), "model format 99"),
        (whole_manifest(preset=None), "lacks preset"),
        (whole_manifest(predictors=[1]), "no text"),
        (whole_manifest(models={"b": {"learner": {}}}), "no booster"),
    ],
)
def test_wrong_manifests(tmp_path, manifest, match):
    path = archive(tmp_path / "m.gwsa", {"manifest.json": manifest, "boosters/all.ubj": b"x"})
    with pytest.raises(InvalidModelFile, match=match):
        read_model(path)


def test_zip_without_manifest(tmp_path):
    with pytest.raises(InvalidModelFile, match="without a model's manifest"):
        read_model(archive(tmp_path / "m.gwsa", {"boosters/all.ubj": b"x"}))


def test_objects_in_arrays_are_never_loaded(tmp_path):
    class Evil:
        def __reduce__(self):
            return (pytest.fail, ("code of a model file was run",))

    stream = io.BytesIO()
    np.save(stream, np.array([Evil()], dtype=object), allow_pickle=True)
    members = {"manifest.json": whole_manifest(), "boosters/all.ubj": b"x", "arrays/labels.npy": stream.getvalue()}
    with pytest.raises(InvalidModelFile, match="not an array of numbers"):
        read_model(archive(tmp_path / "m.gwsa", members))


def test_members_that_say_they_are_huge(tmp_path):
    path = archive(tmp_path / "m.gwsa", {"manifest.json": whole_manifest(), "boosters/all.ubj": b"x"})
    data = bytearray(path.read_bytes())
    entry = data.rindex(b"PK\x01\x02")  # the last member's entry in the directory; its size stands 24 bytes on
    data[entry + 24 : entry + 28] = (0xF0000000).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(InvalidModelFile, match="bytes large"):
        read_model(path)
