import json
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from seqmodels.data import ByteTokenizer, CharTokenizer, LabelledText, WordTokenizer
from seqmodels.errors import UserError


def write(path: Path, content: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return str(path)


def table(path: Path, count: int = 40) -> str:
    rows = [f'"text {number}, of {kind}",{kind}' for number in range(count // 2) for kind in ("good", "bad")]
    return write(path, "text,label\n" + "\n".join(rows) + "\n")


def ready(path: str, **keywords) -> LabelledText:
    module = LabelledText(path, **keywords)
    module.setup()
    return module


def targets(module: LabelledText, part: str) -> list:
    return [target for window in module.evaluation_dataloader(part) for target in window.targets.tolist()]


def texts(module: LabelledText, part: str) -> list[str]:
    from seqmodels.data import tokenizer_from_spec

    tokenizer = tokenizer_from_spec(module.spec["tokenizer"])
    windows = module.evaluation_dataloader(part)
    rows = [(row, length) for window in windows for row, length in zip(window.inputs, window.lengths, strict=True)]
    return [tokenizer.decode(row[:length].tolist()) for row, length in rows]


def test_parts_are_disjoint_and_have_every_class_alike(tmp_path: Path) -> None:
    module = ready(table(tmp_path / "a.csv"), val_fraction=0.2, test_fraction=0.3, tokenizer=ByteTokenizer())
    counts = {part: Counter(targets(module, part)) for part in module.splits}
    assert counts == {"train": {0: 10, 1: 10}, "val": {0: 4, 1: 4}, "test": {0: 6, 1: 6}}
    assert module.spec["targets"] == {"kind": "classes", "classes": ["bad", "good"], "counts": [10, 10]}
    assert module.spec["shape"] == "many_to_one"
    everything = texts(module, "train") + texts(module, "val") + texts(module, "test")
    assert sorted(everything) == sorted(f"text {number}, of {kind}" for number in range(20) for kind in ("good", "bad"))
    # Each text says its class: text and target have stayed together.
    for part in module.splits:
        assert all(
            ("good" in text) == bool(target)
            for text, target in zip(texts(module, part), targets(module, part), strict=True)
        )


def test_split_is_a_function_of_the_seed(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv")
    first, again, other = (texts(ready(path, seed=seed, tokenizer=CharTokenizer()), "test") for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_vocabulary_is_that_of_the_training_part_alone(tmp_path: Path) -> None:
    train = write(tmp_path / "train.csv", "text,label\nfine film,good\npoor film,bad\n")
    val = write(tmp_path / "val.csv", "text,label\nsuperb film,good\n")
    module = ready(train, val_path=val, test_fraction=0)
    assert module.splits == ("train", "val")
    assert module.spec["inputs"] == {"kind": "tokens", "vocab_size": 4}
    (window,) = module.evaluation_dataloader("val")
    assert window.inputs.tolist() == [[0, WordTokenizer.from_spec(module.spec["tokenizer"]).encode("film")[0]]]


def test_all_forms_of_a_file_give_the_same(tmp_path: Path) -> None:
    rows = [("one text", "x"), ("two texts", "y"), ("three texts", "x"), ("four", "y")]
    forms = [
        write(tmp_path / "a.csv", "id;label;text\n" + "".join(f"7;{label};{text}\n" for text, label in rows)),
        write(tmp_path / "a.tsv", "text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in rows)),
        write(tmp_path / "a.jsonl", "".join(json.dumps({"text": t, "label": k}) + "\n" for t, k in rows)),
    ]
    for label in "xy":
        write(tmp_path / "files" / f"{label}.txt", "\n".join(text for text, name in rows if name == label))
        for text in (text for text, name in rows if name == label):
            write(tmp_path / "folders" / label / f"{text}.txt", text)
    forms += [str(tmp_path / "files"), str(tmp_path / "folders")]
    found = []
    for path in forms:
        module = ready(path, val_fraction=0, test_fraction=0)
        found.append(sorted(zip(texts(module, "train"), targets(module, "train"), strict=True)))
    assert all(one == found[0] for one in found)
    assert found[0] == [("four", 1), ("one text", 0), ("three texts", 0), ("two texts", 1)]


def test_several_labels_at_once(tmp_path: Path) -> None:
    rows = [{"text": "a", "label": ["jazz", "blues"]}, {"text": "b", "label": []}, {"text": "c", "label": ["jazz"]}]
    lists = write(tmp_path / "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    written = write(tmp_path / "a.csv", "text,label\na,jazz| blues\nb,\nc,jazz\n")
    for path in (lists, written):
        module = ready(path, label_kind="labels", label_separator="|", val_fraction=0, test_fraction=0)
        assert module.spec["targets"] == {"kind": "labels", "labels": ["blues", "jazz"], "counts": [1, 2]}
        assert sorted(targets(module, "train")) == [[0.0, 0.0], [0.0, 1.0], [1.0, 1.0]]


def test_rare_label_is_known_whichever_part_it_is_drawn_for(tmp_path: Path) -> None:
    rows = "".join(f"text {number},{'rare' if number == 7 else 'common'}\n" for number in range(10))
    path = write(tmp_path / "a.csv", "text,label\n" + rows)
    counts = set()
    for seed in range(12):
        module = ready(path, label_kind="labels", val_fraction=0.3, test_fraction=0.3, seed=seed)
        assert module.spec["targets"]["labels"] == ["common", "rare"]
        counts.add(module.spec["targets"]["counts"][1])
    assert counts == {0, 1}
    # A file of its own is held against the training file.
    with pytest.raises(UserError, match="label 'odd' is not known"):
        ready(path, label_kind="labels", val_path=write(tmp_path / "v.csv", "text,label\na,odd\n"))


def test_folders_are_predicted_as_they_are_trained_on(tmp_path: Path) -> None:
    for label in ("x", "y"):
        write(tmp_path / "files" / f"{label}.txt", "one text\ntwo texts\nthree\n")
        for number in range(3):
            write(tmp_path / "folders" / label / f"{number}.txt", f"one text\nof {number}")
    new = tmp_path / "new"
    write(new / "b" / "1.txt", "two\ntexts\n")
    write(new / "b" / "deeper" / "2.txt", "")
    write(new / "b" / "2.md", "not this")
    write(new / ".cache" / "x.txt", "nor this")
    write(new / "a.txt", "one\n")
    requests = {}
    for name in ("files", "folders"):
        spec = ready(str(tmp_path / name)).spec
        module = LabelledText("gone", spec=json.loads(json.dumps(spec)))
        requests[name] = module.read_requests(str(new))
    lengths = {
        name: [(one.line, None if one.example is None else len(one.example.inputs)) for one in found]
        for name, found in requests.items()
    }
    assert lengths == {"folders": [(1, 1), (2, 3), (3, None)], "files": [(1, 1), (2, 1), (3, 1)]}
    expected = {"folders": ["a.txt", "b/1.txt", "b/deeper/2.txt"], "files": ["a.txt", "b/1.txt", "b/1.txt"]}
    assert {name: [one.file for one in found] for name, found in requests.items()} == expected
    assert requests["folders"][2].problem == f"{new / 'b' / 'deeper' / '2.txt'}: there is no text in this file"
    with pytest.raises(UserError, match=r"^input=.*\.cache: no file in this folder matches \*\.md"):
        LabelledText("gone", glob="*.md", spec=spec).read_requests(str(new / ".cache"))


def test_numbers(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text,stars\na,1\nb,2.5\nc,-4e1\n")
    module = ready(path, label_column="stars", label_kind="numbers", val_fraction=0, test_fraction=0)
    assert module.spec["targets"] == {
        "kind": "numbers",
        "names": ["stars"],
        "means": [pytest.approx(-36.5 / 3)],
        "deviations": [pytest.approx(float(np.std([1, 2.5, -40])))],
    }
    assert sorted(targets(module, "train")) == [[-40.0], [1.0], [2.5]]


def test_classes_that_are_numbers_are_in_their_order(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", "".join(f'{{"text": "a", "label": {n}}}\n' for n in (10, 9, 2, 10, 9, 2)))
    assert ready(path, val_fraction=0, test_fraction=0).spec["targets"]["classes"] == ["2", "9", "10"]


MISTAKES = {
    "text,stars\na,1\nb,2\n": r"^data\.label_column=label: .*a\.csv has no such column; there are: 'text', 'stars'",
    "text,label\na,x\nb,y,z\n": r"a\.csv line 3: 3 fields; expected 2",
    "text,label\na,x\n  ,y\n": r"a\.csv line 3: column text: there is no text",
    "text,label\na,x\nb,\n": r"a\.csv line 3: column label: '' is no label",
    "text,label\na,x\na,x\nb,x\n": r"^data\.label_column=label: the training part has only the label 'x'",
    "text,label\na,x\na,x\na,x\nb,rare\n": r"a\.csv line 5: class 'rare' has 1 example; expected at least 3, one for each",
    "text,label\n": r"^data\.path=.*a\.csv: the table has no rows",
    "": r"^data\.path=.*a\.csv: the file is empty",
}


@pytest.mark.parametrize("content", MISTAKES)
def test_mistakes_in_a_file_name_the_line(tmp_path: Path, content: str) -> None:
    with pytest.raises(UserError, match=MISTAKES[content]):
        ready(write(tmp_path / "a.csv", content))


def test_mistakes_in_labels(tmp_path: Path) -> None:
    numbers = write(tmp_path / "a.csv", "text,label\na,1\nb,two\n")
    for value, shown in (("two", "'two'"), ("nan", "'nan'")):
        write(tmp_path / "a.csv", f"text,label\na,1\nb,{value}\n")
        with pytest.raises(UserError, match=rf"a\.csv line 3: column label: {shown} is no number"):
            ready(numbers, label_kind="numbers")
    with pytest.raises(UserError, match=r"line 1: column text: expected text, got 7"):
        ready(write(tmp_path / "a.jsonl", '{"text": 7, "label": "x"}\n'))
    with pytest.raises(UserError, match=r"line 1: column label: \['x'\] is no label"):
        ready(write(tmp_path / "a.jsonl", '{"text": "a", "label": ["x"]}\n'))
    with pytest.raises(UserError, match=r"^data\.path=.*none: there is no such file or folder"):
        ready(str(tmp_path / "none"))
    with pytest.raises(UserError, match=r"^data\.val_path=.*none\.csv: there is no such file"):
        ready(table(tmp_path / "b.csv"), val_path=str(tmp_path / "none.csv"))
    with pytest.raises(UserError, match=r"^data\.label_separator=''"):
        LabelledText("a.csv", label_separator="")
    with pytest.raises(UserError, match=r"^data\.test_fraction=1"):
        LabelledText("a.csv", test_fraction=1.0)


def test_label_that_training_never_had_is_told(tmp_path: Path) -> None:
    train, val = table(tmp_path / "a.csv"), write(tmp_path / "v.csv", "text,label\na,good\nb,odd\n")
    with pytest.raises(UserError, match=r"v\.csv line 3: label 'odd' is not known; expected one of bad, good"):
        ready(train, val_path=val)
    spec = ready(train).spec
    other = write(tmp_path / "o.csv", "text,label\n" + "a,good\nb,odd\n" * 5)
    with pytest.raises(UserError, match=r"o\.csv line 3: label 'odd' is not known"):
        LabelledText(other, spec=spec).setup("validate")


def test_earlier_run_keeps_its_vocabulary_and_classes(tmp_path: Path) -> None:
    spec = ready(table(tmp_path / "a.csv")).spec
    other = write(tmp_path / "o.csv", "text,label\n" + "wholly new,good\n" * 5)
    module = LabelledText(other, spec=json.loads(json.dumps(spec)), val_fraction=0.2, test_fraction=0.2)
    module.setup("validate")
    assert module.spec == spec
    assert targets(module, "test") == [1]
    with pytest.raises(UserError, match=r"^data\.label_kind=numbers: the run was trained on classes"):
        LabelledText(other, label_kind="numbers", spec=spec).setup()
    with pytest.raises(UserError, match="the run was trained on something else"):
        LabelledText(other, spec={"kind": "text", "form": "lines"}).setup()


def test_requests_need_no_labels_and_go_on_after_a_broken_row(tmp_path: Path) -> None:
    spec = ready(table(tmp_path / "a.csv"), tokenizer=CharTokenizer()).spec
    module = LabelledText("a.csv", text_column="body", spec=spec)
    with_labels = write(tmp_path / "with.csv", 'body,label\n"text,\n1",unheard of\nbroken\n,good\ntext,\n')
    requests = module.read_requests(with_labels)
    assert [request.line for request in requests] == [2, 4, 5, 6]
    assert [request.problem and request.problem.partition(" line ")[2] for request in requests] == [
        None,
        "4: 1 field; expected 2: 'body', 'label'",
        "5: column body: there is no text",
        None,
    ]
    tokenizer = CharTokenizer.from_spec(spec["tokenizer"])
    assert requests[0].example is not None
    assert requests[0].example.inputs.tolist() == tokenizer.encode("text,\n1").tolist()
    assert requests[0].example.targets.shape == ()
    without = module.read_requests(write(tmp_path / "without.jsonl", '{"body": "text"}\n{"text": "no body"}\n'))
    assert without[0].example is not None
    assert "line 2 has no such column" in str(without[1].problem)
    (tmp_path / "lines.txt").write_bytes(b"text 1\n\nte\xffxt\nof\n")
    lines = module.read_requests(str(tmp_path / "lines.txt"))
    assert [(request.line, request.example is None) for request in lines] == [
        (1, False),
        (2, True),
        (3, True),
        (4, False),
    ]
    assert str(lines[2].problem).endswith("line 3: byte 0xff is not valid UTF-8")
    with pytest.raises(UserError, match=r"^data\.text_column=body: .* has no such column; there are: 'text', 'label'"):
        module.read_requests(str(tmp_path / "a.csv"))


def test_requests_have_targets_of_the_kind(tmp_path: Path) -> None:
    lines = write(tmp_path / "lines.txt", "a b\n")
    path = write(tmp_path / "a.csv", "text,label\na,1\nb,2\na,3\nb,4\n")
    for kind, shape in (("labels", (4,)), ("numbers", (1,))):
        spec = ready(path, label_kind=kind, val_fraction=0, test_fraction=0).spec
        (request,) = LabelledText(path, label_kind=kind, spec=spec).read_requests(lines)
        assert request.example is not None
        assert request.example.targets.shape == shape
        assert request.example.targets.dtype == np.float32


class Split:
    """As much of a data set's split as is used."""

    def __init__(self, texts: list[str], labels: list, names: list[str] | None):
        self.columns = {"text": texts, "label": labels}
        self.column_names = list(self.columns)
        self.features: dict = {"text": None, "label": type("ClassLabel", (), {"names": names})()}

    def __getitem__(self, column: str) -> list:
        return self.columns[column]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    asked: list[tuple] = []

    def load_dataset(name: str, configuration: str | None) -> dict[str, Split]:
        asked.append((name, configuration))
        if name == "none":
            raise ConnectionError("no such data set\non the hub")
        names = ["neg", "pos"]
        if name in ("part", "unlabelled"):
            return {"train": Split(["a", "b"], [0 if name == "part" else -1, -1], names)}
        if name == "lists":
            split = Split(["a", "b", "c"], [[0, 1], [], [0]], None)
            split.features["label"] = type(
                "List", (), {"feature": type("ClassLabel", (), {"names": ["joy", "fear"]})}
            )()
            return {"train": split, "validation": split}
        parts = {"train": Split(["a", "b", "c", "d"], [0, 1, 0, 1], names), "unsupervised": Split(["e"], [-1], names)}
        return parts | {
            "validation": Split(["e"], [1], names),
            "test": Split(["f"], [-1 if configuration else 0], names),
        }

    module = ModuleType("datasets")
    module.load_dataset = load_dataset  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datasets", module)
    return asked


def test_hub_has_parts_and_names_of_its_own(hub: list[tuple]) -> None:
    module = ready("hub:owner/name")
    assert module.spec["targets"] == {"kind": "classes", "classes": ["neg", "pos"], "counts": [2, 2]}
    assert {part: targets(module, part) for part in module.splits} == {"train": [0, 1, 0, 1], "val": [1], "test": [0]}
    assert hub == [("owner/name", None)]


def test_labels_of_the_hub_that_are_kept_back_are_none(hub: list[tuple]) -> None:
    module = ready("hub:glue:sst2", test_fraction=0)
    assert module.splits == ("train", "val")
    assert hub == [("glue", "sst2")]


def test_lists_of_classes_of_the_hub_have_names(hub: list[tuple]) -> None:
    module = ready("hub:lists", label_kind="labels", test_fraction=0)
    assert module.spec["targets"] == {"kind": "labels", "labels": ["joy", "fear"][::-1], "counts": [1, 2]}
    assert sorted(targets(module, "train")) == [[0, 0], [0, 1], [1, 1]]


def test_mistakes_with_the_hub(hub: list[tuple], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"^hub:part train row 2: column label: None is no label"):
        ready("hub:part")
    with pytest.raises(UserError, match=r"^data\.label_column=label: hub:unlabelled train has no labels"):
        ready("hub:unlabelled")
    with pytest.raises(UserError, match=r"^data\.path=hub:none: .* cannot load it: no such data set on the hub$"):
        ready("hub:none")
    with pytest.raises(UserError, match=r"^data\.text_column=body: hub:x train has no such column; .*'text', 'label'"):
        ready("hub:x", text_column="body")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(
        UserError, match=r"^data\.path=hub:x: needs the library `datasets`: pip install 'seqmodels\[hub]'"
    ):
        ready("hub:x")
