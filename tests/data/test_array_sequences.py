"""Series and images with a class or numbers each: splits, scaling, missing values, what is said of bad files."""

import json
import re
import struct

import numpy as np
import pytest

from seqmodels.data import ArrayNames, ArraySequences, Digits, Steps
from seqmodels.data.splits import split_parts
from seqmodels.errors import UserError


def write_ts(path, count=12, channels=2, seed=0, steps=6, missing=()):
    """Two classes, told by the mean of channel 1; the lines in `missing` lack their second value."""
    draw = np.random.default_rng(seed)
    lines = ["@dimensions 2" if channels == 2 else f"@dimensions {channels}", "@classLabel true low high", "@data"]
    for number in range(count):
        high = number % 2
        length = steps + number % 3
        values = draw.normal(5.0 * high, 1.0, (channels, length)) * np.array([[1.0], [100.0], [1.0]])[:channels]
        fields = [[f"{value:.4f}" for value in channel] for channel in values]
        if number in missing:
            fields[0][1] = "?"
        lines.append(":".join([*(",".join(channel) for channel in fields), "high" if high else "low"]))
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def write_idx(path, array):
    array = np.asarray(array, np.uint8)
    path.write_bytes(bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes())
    return str(path)


def set_up(data):
    data.setup("fit")
    return data


def examples(data, split):
    return [data.evaluation_dataloader(split).dataset.examples[i] for i in range(count_of(data, split))]


def count_of(data, split):
    return len(data.evaluation_dataloader(split).dataset.examples)


@pytest.fixture
def ts(tmp_path):
    return write_ts(tmp_path / "a.ts")


def test_a_ts_file_is_split_by_class_and_scaled_by_its_training_part(ts):
    data = set_up(ArraySequences(ts, val_fraction=0.2, test_fraction=0.3, batch_size=4, seed=3))

    parts = {split: examples(data, split) for split in ("train", "val", "test")}
    assert {split: len(part) for split, part in parts.items()} == {"train": 6, "val": 2, "test": 4}
    for part in parts.values():
        assert sum(int(example.targets) for example in part) == len(part) / 2
    values = np.concatenate([example.inputs for example in parts["train"]])
    np.testing.assert_allclose(values.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(values.std(0), 1, atol=1e-5)
    spec = data.spec
    assert spec["inputs"] == {"kind": "vectors", "num_features": 2}
    assert spec["targets"] == {"kind": "classes", "classes": ["low", "high"], "counts": [3, 3]}
    assert json.loads(json.dumps(spec)) == spec


def test_what_is_held_out_changes_nothing_of_the_scaling(tmp_path, ts):
    first = set_up(ArraySequences(ts, seed=3))
    # Make every held-out series enormous.
    lines = (tmp_path / "a.ts").read_text().splitlines()
    labels = [line.rpartition(":")[2] for line in lines[3:]]
    parts = split_parts(12, 0.1, 0.1, 3, labels)
    for number in parts["val"] + parts["test"]:
        *channels, label = lines[3 + number].split(":")
        lines[3 + number] = ":".join([*(",".join(["9e9"] * len(one.split(","))) for one in channels), label])
    (tmp_path / "b.ts").write_text("\n".join(lines))

    second = set_up(ArraySequences(str(tmp_path / "b.ts"), seed=3))

    assert second.spec == first.spec
    for one, other in zip(examples(first, "train"), examples(second, "train"), strict=True):
        np.testing.assert_array_equal(one.inputs, other.inputs)


def test_the_given_test_file_is_found_beside_the_training_file(tmp_path):
    train = write_ts(tmp_path / "Motions_TRAIN.ts")
    write_ts(tmp_path / "Motions_TEST.ts", count=10, seed=1)
    elsewhere = write_ts(tmp_path / "other.ts", count=8, seed=2)

    assert count_of(set_up(ArraySequences(train, val_fraction=0.0)), "train") == 12
    assert count_of(set_up(ArraySequences(train, val_fraction=0.0)), "test") == 10
    assert count_of(set_up(ArraySequences(train, test_path=elsewhere)), "test") == 8
    with pytest.raises(UserError, match="no val part"):
        set_up(ArraySequences(train, val_fraction=0.0)).evaluation_dataloader("val")


def test_a_spec_is_used_instead_of_fitting(tmp_path, ts):
    spec = set_up(ArraySequences(ts)).spec
    other = write_ts(tmp_path / "other.ts", seed=9)

    again = set_up(ArraySequences(other, spec=spec))

    assert again.spec == spec
    center, scale = np.array(spec["preparation"]["center"]), np.array(spec["preparation"]["scale"])
    first = (tmp_path / "other.ts").read_text().splitlines()[3].split(":")[:2]
    raw = np.array([[float(value) for value in channel.split(",")] for channel in first]).T
    number = split_parts(12, 0.1, 0.1, 0, ["low", "high"] * 6)["train"].index(0)
    np.testing.assert_allclose(examples(again, "train")[number].inputs, (raw - center) / scale, rtol=1e-4)


def test_missing_values_are_refused_put_on_a_line_or_marked(tmp_path):
    path = write_ts(tmp_path / "a.ts", missing=[4])
    fractions = {"val_fraction": 0.0, "test_fraction": 0.0}
    with pytest.raises(UserError, match=r"a\.ts line 8: channel 1 has no finite value at step 2; data\.missing="):
        set_up(ArraySequences(path, **fractions))

    interpolated = examples(set_up(ArraySequences(path, missing="interpolate", **fractions)), "train")[4].inputs
    np.testing.assert_allclose(interpolated[1, 0], interpolated[[0, 2], 0].mean(), rtol=1e-4)

    masked = set_up(ArraySequences(path, missing="mask", **fractions))
    assert masked.spec["inputs"]["num_features"] == 4
    inputs = examples(masked, "train")[4].inputs
    assert inputs[1].tolist()[0::2] == [0.0, 1.0]
    assert inputs[:, 2:].sum() == 1
    np.testing.assert_allclose(np.delete(inputs[:, :2], 1, 0), np.delete(interpolated, 1, 0), rtol=1e-4)
    for example in examples(masked, "train"):
        assert np.isfinite(example.inputs).all()


def test_gaps_at_the_ends_and_channels_without_any_value(tmp_path):
    (tmp_path / "a.ts").write_text(
        "@dimensions 2\n@classLabel true a b\n@data\n?,2,?,4,?:?,?,?,?,?:a\n1,1,1,1,1:5,6,7,8,9:b\n"
    )
    data = ArraySequences(
        str(tmp_path / "a.ts"), missing="interpolate", scaling=None, val_fraction=0.0, test_fraction=0.0
    )
    inputs = examples(set_up(data), "train")[0].inputs
    assert inputs[:, 0].tolist() == [2, 2, 3, 4, 4]
    assert inputs[:, 1].tolist() == [0, 0, 0, 0, 0]


def test_npz_series_with_lengths_and_several_numbers(tmp_path):
    draw = np.random.default_rng(0)
    x, y, lengths = draw.normal(size=(20, 9, 3)), draw.normal(50, 7, (20, 2)), draw.integers(2, 10, 20)
    np.savez(tmp_path / "a.npz", series=x, goals=y, lengths=lengths)
    names = ArrayNames(inputs="series", targets="goals")

    data = set_up(
        ArraySequences(str(tmp_path / "a.npz"), arrays=names, scaling=None, test_fraction=0.0, val_fraction=0.0)
    )

    for example, values, target, length in zip(examples(data, "train"), x, y, lengths, strict=True):
        np.testing.assert_allclose(example.inputs, values[:length], rtol=1e-6)
        np.testing.assert_allclose(example.targets, target, rtol=1e-6)
    targets = data.spec["targets"]
    assert targets["names"] == ["target 1", "target 2"]
    np.testing.assert_allclose(targets["means"], y.mean(0), rtol=1e-6)
    np.testing.assert_allclose(targets["deviations"], y.std(0), rtol=1e-6)


def test_npz_classes_are_integers_or_text_and_sorted_as_numbers(tmp_path):
    for name, y, classes in [
        ("a", np.array([10, 9, 2] * 4), ["2", "9", "10"]),
        ("b", np.array(["b", "a", "10"] * 4), ["10", "a", "b"]),
    ]:
        np.savez(tmp_path / f"{name}.npz", x=np.random.default_rng(0).normal(size=(12, 5)), y=y)
        data = set_up(ArraySequences(str(tmp_path / f"{name}.npz"), val_fraction=0.3, test_fraction=0.3))
        assert data.spec["targets"]["classes"] == classes
        assert data.spec["inputs"]["num_features"] == 1
    floats = {"x": np.zeros((12, 5)) + np.arange(5), "y": np.array([0.0, 1.0] * 6)}
    np.savez(tmp_path / "c.npz", **floats)
    assert set_up(ArraySequences(str(tmp_path / "c.npz"))).spec["targets"]["kind"] == "numbers"
    as_classes = set_up(ArraySequences(str(tmp_path / "c.npz"), target_kind="classes"))
    assert as_classes.spec["targets"]["classes"] == ["0", "1"]


@pytest.fixture
def images(tmp_path):
    draw = np.random.default_rng(0)
    for part, count in (("train", 30), ("t10k", 10)):
        write_idx(tmp_path / f"{part}-images-idx3-ubyte", draw.integers(256, size=(count, 4, 3)))
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte", np.arange(count) % 3)
    return tmp_path


def test_idx_images_by_rows_and_pixels_permuted_or_not(images):
    path = str(images / "train-images-idx3-ubyte")

    def first(**steps):
        data = set_up(ArraySequences(path, steps=Steps(**steps), scaling=None, val_fraction=0.0, seed=5))
        assert (count_of(data, "train"), count_of(data, "test")) == (30, 10)
        return examples(data, "train")[0].inputs, examples(data, "test")[0].inputs

    rows, _ = first(by="rows")
    pixels, test_pixels = first(by="pixels")
    permuted, test_permuted = first(by="pixels", permuted=True)
    assert (rows.shape, pixels.shape) == ((4, 3), (12, 1))
    np.testing.assert_array_equal(rows.reshape(-1, 1), pixels)
    assert permuted.tolist() != pixels.tolist()
    order = np.random.default_rng(5).permutation(12)
    np.testing.assert_array_equal(permuted, pixels[order])
    np.testing.assert_array_equal(test_permuted, test_pixels[order])


def test_images_are_scaled_by_the_same_numbers_throughout(images):
    spec = set_up(ArraySequences(str(images / "train-images-idx3-ubyte"))).spec
    assert len(set(spec["preparation"]["center"])) == len(set(spec["preparation"]["scale"])) == 1


def test_requests_are_prepared_as_in_training_and_bad_rows_are_passed_over(tmp_path, ts):
    spec = set_up(ArraySequences(ts)).spec
    new = tmp_path / "new.ts"
    new.write_text("@classLabel false\n@data\n1,2,3:400,500,600\n1,x:3,4\n1,2:3,4\n?,1:2,3\n")

    requests = ArraySequences("not there", spec=spec).read_requests(str(new))

    assert [(request.line, request.example is None) for request in requests] == [
        (3, False),
        (4, True),
        (5, False),
        (6, True),
    ]
    center, scale = np.array(spec["preparation"]["center"]), np.array(spec["preparation"]["scale"])
    raw = np.array([[1, 400], [2, 500], [3, 600]])
    np.testing.assert_allclose(requests[0].example.inputs, (raw - center) / scale, rtol=1e-5)
    assert "line 4: channel 1, value 2: 'x'" in requests[1].problem
    assert "line 6: channel 1 has no finite value at step 1" in requests[3].problem


def test_series_of_other_channels_are_told_in_training_and_in_requests(tmp_path, ts):
    spec = set_up(ArraySequences(ts)).spec
    three = write_ts(tmp_path / "three.ts", channels=3)
    with pytest.raises(UserError, match=r"three\.ts line 4: 3 channels; expected 2"):
        set_up(ArraySequences(three, spec=spec))
    assert "line 4: 3 channels; expected 2" in ArraySequences(ts, spec=spec).read_requests(three)[0].problem


def test_digits_by_rows_and_pixels(tmp_path):
    rows = set_up(Digits(seed=1))
    pixels = set_up(Digits(steps=Steps("pixels", permuted=True), seed=1))

    assert [count_of(rows, split) for split in ("train", "val", "test")] == [1259, 179, 359]
    assert rows.spec["inputs"]["num_features"] == 8
    assert pixels.spec["inputs"]["num_features"] == 1
    one, other = examples(rows, "train")[7], examples(pixels, "train")[7]
    order = pixels.spec["preparation"]["order"]
    np.testing.assert_allclose(one.inputs.reshape(64, 1)[order], other.inputs, rtol=1e-6)
    assert sorted(order) == list(range(64))
    np.savez(tmp_path / "a.npz", x=np.random.default_rng(0).integers(17, size=(3, 8, 8)))
    assert [
        request.example.inputs.shape for request in Digits(spec=rows.spec).read_requests(str(tmp_path / "a.npz"))
    ] == [(8, 8)] * 3


def bad_files(folder):
    """Yields what is wrong, the path, further arguments, and what is said."""
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(9, 5, 2)), np.arange(9) % 3

    def npz(name, **arrays):
        np.savez(folder / f"{name}.npz", **arrays)
        return str(folder / f"{name}.npz")

    write_ts(folder / "lone.ts", count=3)
    (folder / "none.ts").write_text("@dimensions 1\n@data\n1,2\n")
    (folder / "NAN.ts").write_text("@targetLabel true\n@data\n1,2:nan\n3,4:2\n")
    write_ts(folder / "x_TRAIN.ts")
    (folder / "x_TEST.ts").write_text("@dimensions 2\n@classLabel true low other\n@data\n1,2:3,4:other\n")
    write_ts(folder / "y_TRAIN.ts")
    (folder / "y_TEST.ts").write_text("@dimensions 2\n@targetLabel true\n@data\n1,2:3,4:7\n")
    (folder / "text.csv").write_text("a,b\n")
    write_idx(folder / "some-images-idx3-ubyte", np.zeros((3, 4, 4)))
    write_idx(folder / "two-labels-idx1-ubyte", np.zeros(2))
    (folder / "ragged.ts").write_text("@classLabel true a b\n@data\n1,2:a\n1,2:3,4:b\n")
    return [
        (str(folder / "lone.ts"), {}, "lone.ts line 5: class 'high' has 1 example; expected at least 3"),
        (str(folder / "none.ts"), {}, "neither @classLabel nor @targetLabel"),
        (str(folder / "NAN.ts"), {}, "NAN.ts line 3: its target is no finite number"),
        (str(folder / "x_TRAIN.ts"), {}, "x_TEST.ts line 4: class 'other' is not known; expected one of low, high"),
        (str(folder / "y_TRAIN.ts"), {}, "y_TEST.ts: its targets are numbers; expected classes"),
        (str(folder / "x_TRAIN.ts"), {"target_kind": "numbers"}, "line 4: target 'low'; expected a number"),
        (str(folder / "text.csv"), {}, "expected a .ts file, a .npz file or an IDX file"),
        (str(folder), {}, "expected a file: a .ts file"),
        (str(folder / "nowhere.ts"), {}, "there is no such file"),
        (str(folder / "ragged.ts"), {}, "ragged.ts line 4: 2 channels; expected 1"),
        (str(folder / "some-images-idx3-ubyte"), {}, "data.labels_path=null: no labels beside"),
        (
            str(folder / "some-images-idx3-ubyte"),
            {"labels_path": str(folder / "two-labels-idx1-ubyte")},
            "expected one for each of the 3 images",
        ),
        (npz("a", x=x), {}, "data.arrays.targets=y: "),
        (npz("b", data=x, y=y), {}, "data.arrays.inputs=x: "),
        (npz("c", x=x, y=y[:4]), {}, "9 series in 'x' and 4 targets"),
        (npz("d", x=np.array([["a"]]), y=y[:1]), {}, "expected numbers, an array of each series"),
        (npz("e", x=x, y=np.zeros((9, 2), int)), {}, "expected a class for each series"),
        (npz("f", x=x, y=y, lengths=np.full(9, 6)), {}, "item 1: length 6; expected 1 to 5"),
        (npz("g", x=x, y=y, lengths=np.ones(2, int)), {}, "expected 9 integers"),
        (npz("h", x=np.full_like(x, np.nan), y=y, lengths=np.full(9, 5)), {}, "item 1: channel 1 has no finite value"),
        (npz("i", x=x, y=np.full(9, np.inf)), {}, "item 1: its target is no finite number"),
        (npz("j", x=x[:0], y=y[:0]), {}, "array 'y' is empty"),
        (
            npz("k", x=x, y=y, lengths=np.arange(1, 10) % 5 + 1),
            {"steps": Steps(permuted=True)},
            "expected series of the same length",
        ),
    ]


@pytest.mark.parametrize("case", range(23))
def test_what_does_not_fit_is_told_in_a_line(tmp_path, case):
    path, arguments, said = bad_files(tmp_path)[case]

    with pytest.raises(UserError) as caught:
        set_up(ArraySequences(path, **arguments))

    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert re.match(r"data\.|/", str(caught.value))


@pytest.mark.parametrize(
    "arguments, said",
    [
        ({"val_fraction": -0.1}, "data.val_fraction=-0.1: expected a share"),
        ({"val_fraction": 0.5, "test_fraction": 0.5}, "leave nothing to train on"),
        ({"num_workers": -1}, "data.num_workers=-1"),
        ({"spec": {"kind": "text"}}, "trained on data of another kind"),
    ],
)
def test_settings_out_of_range_are_told(arguments, said):
    with pytest.raises(UserError, match=re.escape(said)):
        ArraySequences("a.ts", **arguments)


def test_parts_share_no_example_and_have_every_class():
    classes = [*"a" * 50, *"b" * 3, *"c" * 10]
    parts = split_parts(63, 0.1, 0.2, seed=4, classes=classes)

    assert sorted(number for part in parts.values() for number in part) == list(range(63))
    for part in parts.values():
        assert {classes[number] for number in part} == {"a", "b", "c"}
    assert len(parts["test"]) == 10 + 1 + 2
    assert parts == split_parts(63, 0.1, 0.2, seed=4, classes=classes)
    assert parts != split_parts(63, 0.1, 0.2, seed=5, classes=classes)


def test_series_of_one_class_are_refused_whatever_the_header_says(tmp_path):
    path = tmp_path / "one.ts"
    path.write_text("@univariate true\n@classLabel true a b c\n@data\n" + "1,2,3:b\n" * 9)
    with pytest.raises(UserError, match=r"one\.ts: all its series are of class 'b'; expected two classes at least"):
        set_up(ArraySequences(str(path)))


def test_files_to_predict_from_are_told_by_the_key_that_named_them(tmp_path, ts):
    known = ArraySequences(ts, spec=set_up(ArraySequences(ts)).spec)
    (tmp_path / "empty.ts").touch()
    for name in ("none.ts", "empty.ts", ""):
        with pytest.raises(UserError, match=f"^input={re.escape(str(tmp_path / name))}: "):
            known.read_requests(str(tmp_path / name))
