"""Texts with what they are conditioned on, as the data modules of one-to-many tasks give them."""

import numpy as np
import pytest
from PIL import Image

from seqmodels.data import (
    IGNORE_INDEX,
    ByteTokenizer,
    CharTokenizer,
    ClassLines,
    DigitCaptions,
    ImageCaptions,
    Tunes,
    tokenizer_from_spec,
)
from seqmodels.errors import UserError

TUNE = "X:{n}\nT:Tune {n}\n{r}M:{m}\nL:1/8\nK:{k}\n{n}abc d2e|fed c3:|\n"


def write_abc(path, rhythms, metres):
    tunes = [
        TUNE.format(n=n + 1, r=f"R:{rhythm}\n" if rhythm else "", m=metre, k="DGA"[n % 3])
        for n, (rhythm, metre) in enumerate(zip(rhythms, metres, strict=True))
    ]
    path.write_text("\n".join(tunes), "utf-8")
    return str(path)


def ready(module):
    module.setup("fit")
    return module


def batches(loader):
    return [(window.inputs, window.targets, window.lengths, window.context) for window in loader]


def texts_of(module, split):
    """Returns what each example of a part reads and is to write, decoded, with its context."""
    tokenizer = tokenizer_from_spec(module.spec["tokenizer"])
    found = []
    for inputs, targets, lengths, contexts in batches(module.evaluation_dataloader(split)):
        for row, wanted, length, context in zip(inputs, targets, lengths, contexts, strict=True):
            assert row[0] == module.spec["bos"]
            assert wanted[length - 1] == module.spec["eos"]
            assert row[1:length].tolist() == wanted[: length - 1].tolist()
            assert (wanted[length:] == IGNORE_INDEX).all()
            found.append((tokenizer.decode(row[:length].tolist()), context))
    return found


def error_of(call):
    with pytest.raises(UserError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Tunes


def test_a_tune_is_its_music_and_its_rhythm_what_it_is_conditioned_on(tmp_path):
    rhythms, metres = [" Reel", "jig", "reel", ""] * 5, ["4/4", "6/8", "C", "3/4"] * 5
    module = ready(Tunes(write_abc(tmp_path / "mine.abc", rhythms, metres), batch_size=3))
    context = module.spec["context"]
    assert context == {"kind": "classes", "classes": ["jig", "other", "reel"], "num_classes": 3, "field": "R"}
    found = [pair for split in ("train", "val", "test") for pair in texts_of(module, split)]
    assert len(found) == 20
    assert len(texts_of(module, "val")) == len(texts_of(module, "test")) == 2
    by_metre = {"4/4": "reel", "6/8": "jig", "C": "reel", "3/4": "other"}
    for text, name in found:
        fields = dict(line.split(":", 1) for line in text.split("\n")[:4])
        assert list(fields) == ["X", "M", "L", "K"]
        assert fields["X"] == "1"
        assert context["classes"][name] == by_metre[fields["M"]]
    assert {text.split("\n")[4][: -len("abc d2e|fed c3:|")] for text, _ in found} == {str(n + 1) for n in range(20)}


def test_without_rhythms_the_metre_is_the_class(tmp_path):
    path = write_abc(tmp_path / "mine.abc", [""] * 12, ["C|", "6/8"] * 6)
    module = ready(Tunes(path))
    assert module.spec["context"]["classes"] == ["6/8", "C|"]
    assert module.spec["context"]["field"] == "M"
    assert ready(Tunes(path, class_field="K")).spec["context"]["classes"] == ["A", "D", "G"]
    assert "data.class_field=Z: no tune" in error_of(lambda: ready(Tunes(path, class_field="Z")))


def test_a_trained_run_knows_its_classes_and_characters(tmp_path):
    spec = ready(Tunes(write_abc(tmp_path / "a.abc", ["jig", "reel"] * 6, ["6/8", "C"] * 6))).spec
    other = write_abc(tmp_path / "b.abc", ["reel"] * 6, ["2/4"] * 6)
    again = ready(Tunes(other, spec=spec)).spec
    assert (again["context"], again["tokenizer"]) == (spec["context"], spec["tokenizer"])
    new = write_abc(tmp_path / "c.abc", ["reel", "polka"] * 3, ["2/4"] * 6)
    assert f"{new}: line 9: R:polka is no class of this run; there are jig, reel" in error_of(
        lambda: ready(Tunes(new, spec=spec))
    )
    assert "trained on something else" in error_of(lambda: ready(Tunes(other, spec={"kind": "text", "tokenizer": {}})))


def test_mistakes_in_abc_files_are_told(tmp_path):
    path = tmp_path / "mine.abc"
    path.write_text("no tune\n")
    assert f"{path}: there is no tune" in error_of(lambda: ready(Tunes(str(path))))
    path.write_text("X:1\nK:D\nabc\n\nX:2\nM:C\nabc\n")
    assert f"{path}: line 5: this tune has no field K:" in error_of(lambda: ready(Tunes(str(path))))
    assert "data.num_tunes=0" in error_of(lambda: Tunes(num_tunes=0))
    assert "data.class_field=RM" in error_of(lambda: Tunes(class_field="RM"))
    path.write_text("X:1\nK:D\nabc\n")
    assert "expected at least 3" in error_of(lambda: ready(Tunes(str(path), class_field="K")))


def test_generated_tunes_are_a_function_of_seed_and_index():
    module, again, other = (ready(Tunes(num_tunes=40, batch_size=8, seed=seed)) for seed in (3, 3, 4))
    assert module.spec["context"]["classes"] == ["hornpipe", "jig", "reel", "waltz"]
    assert (len(texts_of(module, "val")), len(texts_of(module, "test"))) == (4, 4)
    loader, repeated = module.train_dataloader(), again.train_dataloader()
    epochs = [[row.tolist() for window in loader for row in window.inputs] for _ in range(2)]
    assert epochs[0] == [row.tolist() for window in repeated for row in window.inputs]
    assert len(epochs[0]) == 32
    assert not any(row in epochs[0] for row in epochs[1])  # each epoch draws others
    assert epochs[0] != [row.tolist() for window in other.train_dataloader() for row in window.inputs]


def test_bits_per_character_do_not_depend_on_the_tokenizer(tmp_path):
    path = write_abc(tmp_path / "mine.abc", ["jig"] * 20, ["6/8"] * 20)
    assert ready(Tunes(path, tokenizer=CharTokenizer())).spec["characters_per_token"]["val"] == 1
    lines = tmp_path / "lines"
    lines.mkdir()
    for name in ("a", "b"):
        (lines / f"{name}.txt").write_text("né\n" * 10, "utf-8")
    shares = ready(ClassLines(str(lines), tokenizer=ByteTokenizer())).spec["characters_per_token"]
    assert shares["test"] == 3 / 4  # two characters of three bytes, and the end


# Lines by class


def test_lines_are_conditioned_on_the_file_they_stand_in(tmp_path):
    for name, words in {"Greek": "alpha beta gamma", "Latin": "unus duo tres"}.items():
        (tmp_path / f"{name}.txt").write_text("\n".join(words.split() * 2), "utf-8")
    module = ready(ClassLines(str(tmp_path), batch_size=5))
    assert module.spec["context"]["classes"] == ["Greek", "Latin"]
    found = [pair for split in module.splits for pair in texts_of(module, split)]
    assert sorted((text, int(name)) for text, name in found) == sorted(
        [(word, 0) for word in ["alpha", "beta", "gamma"] * 2] + [(word, 1) for word in ["unus", "duo", "tres"] * 2]
    )
    assert {text.text for text in module.training_texts} <= {text for text, _ in found}
    (tmp_path / "Welsh.txt").write_text("un\n")
    message = error_of(lambda: ready(ClassLines(str(tmp_path), spec=module.spec)))
    assert "Welsh.txt line 1: 'Welsh' is no class of this run; there are Greek, Latin" in message
    requests = tmp_path / "wanted"
    requests.write_text("Latin\n\nDutch\nGreek\n")
    read = ClassLines(str(tmp_path), spec=module.spec).read_requests(str(requests))
    assert [request.line for request in read] == [1, 3, 4]
    assert [None if request.example is None else int(request.example.context) for request in read] == [1, None, 0]
    assert read[1].problem == "line 3: 'Dutch' is no class of this run; there are Greek, Latin"
    assert read[0].example.inputs.tolist() == [module.spec["bos"]]


# Images


def write_images(folder, sizes):
    folder.mkdir()
    for number, (height, width) in enumerate(sizes):
        pixels = np.random.default_rng(number).integers(256, size=(height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    lines = [f"{number}.png\ta picture of {['one', 'two', 'three'][number % 3]}" for number in range(len(sizes))]
    (folder / "captions.tsv").write_text("\n".join(lines), "utf-8")
    return str(folder)


def test_images_come_with_their_captions(tmp_path):
    path = write_images(tmp_path / "images", [(4, 6)] * 12)
    module = ready(ImageCaptions(path, colour=True, batch_size=4))
    assert module.spec["context"] == {"kind": "images", "image_channels": 3, "image_size": [4, 6]}
    found = [pair for split in module.splits for pair in texts_of(module, split)]
    images = [np.asarray(Image.open(tmp_path / "images" / f"{n}.png"), np.float32) / 255 for n in range(12)]
    for text, image in found:
        (number,) = [n for n in range(12) if np.allclose(images[n].transpose(2, 0, 1), image)]
        assert text == f"a picture of {['one', 'two', 'three'][number % 3]}"


def test_images_are_brought_to_the_size_of_those_that_a_run_was_trained_on(tmp_path):
    spec = ready(ImageCaptions(write_images(tmp_path / "images", [(4, 6)] * 12))).spec
    others = write_images(tmp_path / "others", [(5, 6)] * 12)
    message = error_of(lambda: ready(ImageCaptions(others, spec=spec)))
    assert "images of 5 x 6 pixels, grey, and the run was trained on images of 4 x 6 pixels, grey" in message
    assert ready(ImageCaptions(others, image_size=[4, 6], spec=spec)).spec["context"] == spec["context"]
    (tmp_path / "others" / "3.png").write_text("no image")
    read = ImageCaptions(others, spec=spec).read_requests(others)
    assert [request.line for request in read] == list(range(1, 13))  # captions.tsv is passed over
    assert [request.file for request in read if request.problem] == ["3.png"]
    assert [request.line for request in read if request.problem] == [6]  # by name: 0, 1, 10, 11, 2, 3
    assert read[0].example.context.shape == (1, 4, 6)
    listed = tmp_path / "others" / "list.txt"
    listed.write_text("2.png\n\nmissing.png\twords\n")
    read = ImageCaptions(others, spec=spec).read_requests(str(listed))
    assert [(request.line, request.problem is None) for request in read] == [(1, True), (3, False)]
    assert "data.image_size=[0, 3]" in error_of(lambda: ImageCaptions(others, image_size=[0, 3]))


def test_generated_captions_are_words(tmp_path):
    module = ready(DigitCaptions(num_images=60, batch_size=16))
    assert [len(texts_of(module, split)) for split in ("train", "val", "test")] == [51, 3, 6]
    assert module.spec["context"] == {"kind": "images", "image_channels": 1, "image_size": [12, 44]}
    assert module.spec["vocab_size"] == 1 + 10 + 2
    assert {window.context.shape[1:] for window in module.train_dataloader()} == {(1, 12, 44)}


# Which part a text is in


def test_each_part_has_its_share_of_every_class_of_lines(tmp_path):
    for name, count in (("a", 30), ("b", 3)):
        (tmp_path / f"{name}.txt").write_text("\n".join(f"{name}{number}" for number in range(count)))
    module = ready(ClassLines(str(tmp_path), val_fraction=0.1, test_fraction=0.1))
    for split, expected in (("train", 25), ("val", 4), ("test", 4)):
        written = [text for text, _ in texts_of(module, split)]
        assert len(written) == expected
        assert sum("b" in text for text in written) == 1


def test_a_class_of_one_line_is_told_with_its_line(tmp_path):
    (tmp_path / "a.txt").write_text("one\ntwo\nthree\nfour\n" * 5)
    (tmp_path / "b.txt").write_text("\nalone\n")
    for seed in range(4):
        said = error_of(lambda seed=seed: ready(ClassLines(str(tmp_path), seed=seed)))
        assert said.startswith(f"{tmp_path / 'b.txt'} line 2: class 'b' has 1 example; expected at least 3")


def test_a_rhythm_of_one_tune_is_trained_on_and_never_measured(tmp_path):
    path = write_abc(tmp_path / "mine.abc", ["reel"] * 12 + ["polka", "march"], ["C"] * 14)
    for seed in range(8):
        module = ready(Tunes(path, val_fraction=0.3, test_fraction=0.3, seed=seed))
        classes = module.spec["context"]["classes"]
        shown = {classes[int(context)] for _, context in texts_of(module, "train")}
        assert shown == {"march", "polka", "reel"}
        for split in ("val", "test"):
            assert {classes[int(context)] for _, context in texts_of(module, split)} == {"reel"}


def test_a_part_of_rare_classes_alone_is_told(tmp_path):
    path = write_abc(tmp_path / "mine.abc", ["reel", "jig", "polka", "march"], ["C"] * 4)
    assert "data.val_fraction: leaves only examples of classes that training has none of" in error_of(
        lambda: ready(Tunes(path, val_fraction=0.3, test_fraction=0.0))
    )


def test_a_folder_without_tunes_is_told_without_advice_that_does_not_help(tmp_path):
    said = error_of(lambda: ready(Tunes(str(tmp_path))))
    assert said == (
        f"data.path={tmp_path}: no file matches **/*.abc in this folder; expected a file, or a folder with such"
    )
