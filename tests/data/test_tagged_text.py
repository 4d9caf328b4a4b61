import json
from pathlib import Path

import numpy as np
import pytest

from seqmodels.data import IGNORE_INDEX, TaggedText
from seqmodels.data.tagged.words import WordEncoder
from seqmodels.errors import UserError


def write(path: Path, content: str | bytes) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def sentences(count: int = 20) -> str:
    return "".join(
        f"Word{number} NN B-X\nin IN I-X\nit PRP O\n\n" if number % 2 else f"Word{number} NN O\n\n"
        for number in range(count)
    )


def conllu(*words: str, tag: str = "NOUN") -> str:
    rows = [f"{number}\t{word}\t_\t{tag}\tNN\t_\t0\troot\t_\t_" for number, word in enumerate(words, start=1)]
    return "\n".join([*rows, "", ""])


def ready(path: str, **keywords) -> TaggedText:
    module = TaggedText(path, **keywords)
    module.setup()
    return module


def test_parts_are_drawn_by_sentence(tmp_path: Path) -> None:
    path = write(tmp_path / "a.conll", sentences())
    module = ready(path, val_fraction=0.2, test_fraction=0.3)
    lengths = {
        part: [n for window in module.evaluation_dataloader(part) for n in window.lengths.tolist()]
        for part in module.splits
    }
    assert {part: len(found) for part, found in lengths.items()} == {"train": 10, "val": 4, "test": 6}
    assert sorted(n for found in lengths.values() for n in found) == [1] * 10 + [3] * 10
    other = ready(path, val_fraction=0.2, test_fraction=0.3, seed=1)
    assert other.spec["words"]["words"] != module.spec["words"]["words"]


def test_spec_and_batches(tmp_path: Path) -> None:
    path = write(tmp_path / "a.conll", "Go VB O\nto IN O\nRome NNP B-LOC\n\nGO NN O\n\n")
    module = ready(path, val_fraction=0, test_fraction=0, max_characters=3)
    spec = module.spec
    assert (spec["kind"], spec["shape"]) == ("sequences", "many_to_many")
    assert spec["inputs"] == {"kind": "words", "num_words": 4, "num_characters": 2 + len(set("GotoRomeGO"))}
    assert spec["targets"] == {"kind": "classes", "classes": ["B-LOC", "O"], "counts": [1, 3]}
    (window,) = module.evaluation_dataloader("train")
    assert window.inputs.shape == (2, 3, 4)
    assert window.targets.tolist() == [[1, IGNORE_INDEX, IGNORE_INDEX], [1, 1, 0]]
    assert window.lengths.tolist() == [1, 3]
    encoder = WordEncoder.from_spec(json.loads(json.dumps(spec["words"])))
    assert window.inputs[1].tolist() == encoder.encode(["Go", "to", "Rome"]).tolist()
    # The same word, written otherwise.
    assert window.inputs[0, 0, 0] == window.inputs[1, 0, 0] != 0
    assert window.inputs[0, 0, 1:].tolist() != window.inputs[1, 0, 1:].tolist()
    assert ready(path, tag_column=1, val_fraction=0, test_fraction=0).spec["targets"]["classes"] == [
        "IN",
        "NN",
        "NNP",
        "VB",
    ]


def test_words_are_numbered_by_their_beginning_and_end() -> None:
    encoder = WordEncoder.fitted([["abcdefg"]], min_count=2, max_characters=5)
    assert encoder.sizes == {"num_words": 1, "num_characters": 9}
    assert encoder.encode(["abcdefg", "az"]).tolist() == [[0, 2, 3, 4, 7, 8], [0, 2, 1, 0, 0, 0]]
    assert encoder.encode([]).shape == (0, 6)


def test_files_of_a_folder_are_found_by_their_names(tmp_path: Path) -> None:
    folder = tmp_path / "ud"
    write(folder / "en-ud-train.conllu", conllu("A", tag="X") + conllu("B"))
    write(folder / "en-ud-dev.conllu", conllu("C"))
    write(folder / "en-ud-test.conllu", conllu("D", "E", tag="SYM"))
    write(folder / "README.md", "not this")
    module = ready(str(folder))
    counts = {part: sum(int(w.lengths.sum()) for w in module.evaluation_dataloader(part)) for part in module.splits}
    assert counts == {"train": 2, "val": 1, "test": 2}
    # A tag of the test part that training lacks is known, and has no words there.
    assert module.spec["targets"] == {"kind": "classes", "classes": ["NOUN", "SYM", "X"], "counts": [1, 0, 1]}
    assert module.spec["words"]["words"] == ["a", "b"]
    parts = {"val_path": str(folder / "en-ud-dev.conllu"), "test_path": str(folder / "en-ud-test.conllu")}
    assert ready(str(folder / "en-ud-train.conllu"), **parts).spec == module.spec
    write(folder / "de-ud-train.conllu", conllu("A"))
    with pytest.raises(UserError, match=r"de-ud-train\.conllu and en-ud-train\.conllu are both for train"):
        ready(str(folder))


def test_words_without_annotation_are_not_scored(tmp_path: Path) -> None:
    rows = [f"{number}\t{word}\t_\t{tag}\t_\t_\t0\t_\t_\t_" for number, word, tag in [(1, "A", "_"), (2, "b", "X")]]
    content = "\n".join(rows) + "\n\n" + conllu("C", tag="Y")
    whole = {"val_fraction": 0, "test_fraction": 0}
    module = ready(write(tmp_path / "a.conllu", content), **whole)
    assert module.spec["targets"] == {"kind": "classes", "classes": ["X", "Y"], "counts": [1, 1]}
    (window,) = module.evaluation_dataloader("train")
    assert sorted(window.targets.tolist()) == [[IGNORE_INDEX, 0], [1, IGNORE_INDEX]]
    with pytest.raises(UserError, match=r"^data\.tag_column=upos: no word has a tag"):
        ready(write(tmp_path / "b.conllu", conllu("A", "b", tag="_")), tag_column="upos", **whole)


def test_mistakes_name_key_and_line(tmp_path: Path) -> None:
    path = write(tmp_path / "a.conll", "a X\n\nb\n")
    with pytest.raises(UserError, match=r"a\.conll line 3: 1 column; expected 2"):
        ready(path)
    with pytest.raises(UserError, match=r"^data\.path=.*none: there is no such file"):
        ready(str(tmp_path / "none"))
    with pytest.raises(UserError, match=r"^data\.test_path=.*none: there is no such file"):
        ready(write(tmp_path / "b.conll", sentences()), test_path=str(tmp_path / "none"))
    with pytest.raises(UserError, match=r"all words have the tag 'X'"):
        ready(write(tmp_path / "c.conll", "a X\n\nb X\n\nc X\n"))
    (tmp_path / "folder").mkdir()
    write(tmp_path / "folder" / "words.conll", "a X\n")
    with pytest.raises(UserError, match=r"no file in this folder has a name that ends in train"):
        ready(str(tmp_path / "folder"))
    for keywords, message in [
        ({"min_count": 0}, r"^data\.min_count=0"),
        ({"max_characters": 0}, r"^data\.max_characters=0"),
        ({"val_fraction": 1.0}, r"^data\.val_fraction=1"),
    ]:
        with pytest.raises(UserError, match=message):
            TaggedText("a.conll", **keywords)


def test_earlier_run_keeps_its_words_and_tags(tmp_path: Path) -> None:
    spec = ready(write(tmp_path / "a.conll", sentences())).spec
    fractions = {"val_fraction": 0.0, "test_fraction": 0.0}
    other = TaggedText(write(tmp_path / "b.conll", "New NN B-X\n\n"), spec=json.loads(json.dumps(spec)), **fractions)
    other.setup("validate")
    (window,) = other.evaluation_dataloader("train")
    assert other.spec == spec
    assert window.inputs[0, 0, 0] == 0
    assert window.targets.tolist() == [[spec["targets"]["classes"].index("B-X")]]
    with pytest.raises(UserError, match=r"c\.conll line 3: tag 'B-Y' is not known; expected one of B-X, I-X, O"):
        TaggedText(write(tmp_path / "c.conll", "a NN O\n\nb NN B-Y\n"), spec=spec, **fractions).setup("validate")
    with pytest.raises(UserError, match="the run was trained on something else"):
        TaggedText(write(tmp_path / "b.conll", "a X\n"), spec={"inputs": {"kind": "tokens"}}).setup()


def test_requests_need_no_tags_and_go_on_after_a_broken_sentence(tmp_path: Path) -> None:
    spec = ready(write(tmp_path / "a.conll", sentences())).spec
    module = TaggedText("a.conll", spec=spec)
    content = b"Word1\nin\n\nbro\xffken\n\nWord2 \n\n"
    first, broken, last = module.read_requests(write(tmp_path / "words.conll", content))
    assert (first.line, first.items, broken.line, last.line, last.items) == (1, ["Word1", "in"], 4, 6, ["Word2"])
    assert str(broken.problem).endswith("words.conll line 4: byte 0xff is not valid UTF-8")
    assert broken.example is None
    assert first.example is not None
    np.testing.assert_array_equal(first.example.inputs, WordEncoder.from_spec(spec["words"]).encode(["Word1", "in"]))
    assert first.example.targets.shape == (2,)
    (tagged,) = module.read_requests(write(tmp_path / "w.conllu", conllu("Word1", "in", tag="never seen")))
    assert tagged.items == ["Word1", "in"]
