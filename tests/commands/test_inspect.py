import json
import shutil
import sys

import numpy as np
import pytest
import torch

from seqmodels.commands.composing import compose
from seqmodels.commands.main import main
from seqmodels.inspection import untrained_model
from seqmodels.runs import load_checkpoint, load_run
from seqmodels.training import train


@pytest.fixture(scope="module")
def run(train_small, corpus, tmp_path_factory):
    return train_small(corpus, tmp_path_factory.mktemp("inspect"), "trainer.max_steps=4")


@pytest.fixture(scope="module")
def reversal(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reversal")
    keys = ["experiment=reversal", "trainer=cpu", "trainer.max_epochs=1", f"output_dir={folder}", "model.hidden_size=8"]
    sizes = ["model.encoder.hidden_size=8", "data.num_pairs=200", "task.measures.hypotheses.length=5"]
    return train(compose([*keys, *sizes])).run


def inspect(capsys, *arguments):
    """Returns the exit code and what was said on stderr."""
    code = main(["inspect", *arguments])
    return code, capsys.readouterr().err.strip()


def test_pictures_numbers_and_the_page_are_written(run, tmp_path, capsys):
    assert (
        main(["inspect", f"run={run}", "views=state_space,embeddings", "steps=100", f"output={tmp_path / 'page'}"]) == 0
    )
    assert capsys.readouterr().out.strip().endswith("index.html")
    names = {path.name for path in (tmp_path / "page").iterdir()}
    assert {
        "index.html",
        "state_space.json",
        "embeddings.json",
        "embeddings_tokens.png",
        "state_space_layer_1.png",
    } == names
    numbers = json.loads((tmp_path / "page" / "state_space.json").read_text())
    assert 0 < numbers["layer 1"]["shares"][0] <= 1
    page = (tmp_path / "page" / "index.html").read_text()
    assert "http://" not in page
    assert "https://" not in page


def test_a_file_of_the_user_s_is_looked_at(run, tmp_path, capsys):
    text = tmp_path / "mine.txt"
    text.write_text("the cat sees rain.\na dog hears music.\n")
    assert main(["inspect", f"run={run}", f"input={text}", "views=neurons", f"output={tmp_path}"]) == 0
    assert "mine.txt" in (tmp_path / "index.html").read_text()


@pytest.mark.parametrize(
    "content,told",
    [
        ("", "input=FILE: expected a text of at least two tokens, got 0"),
        ("the cat \u20ac \u00e9", "input=FILE: has what the run's vocabulary lacks: '\u20ac', '\u00e9'"),
        (b"\xff\xfe\xff", "input=FILE: is not UTF-8 text"),
        (None, "input=FILE: No such file or directory"),
    ],
)
def test_texts_that_cannot_be_looked_at(run, tmp_path, capsys, content, told):
    path = tmp_path / "bad.txt"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert inspect(capsys, f"run={run}", f"input={path}", "views=embeddings") == (
        1,
        f"seqmodels: {told.replace('FILE', str(path))}",
    )


@pytest.mark.parametrize(
    "key,told",
    [
        ("views=attention", "views=attention: the model has no attention"),
        ("views=nerves", "views=nerves: no such view; valid: neurons, gates"),
        ("views=", "views=: no such view; valid: neurons"),
        ("steps=0", "steps=0: expected at least 1"),
        ("examples=0", "examples=0: expected at least 1"),
        ("features=my.feature", "features: my is not trusted"),
        ("split=tset", "split=tset: expected"),
        ("step=3", "step=3: unknown key"),
    ],
)
def test_mistakes_are_told_in_one_line(run, capsys, key, told):
    code, said = inspect(capsys, f"run={run}", *(["views=embeddings"] if "views" not in key else []), key)
    assert code == 1
    assert "\n" not in said
    assert told.split(":")[0] in said


def test_a_feature_of_the_user_s_own_is_searched_for(run, tmp_path, capsys, monkeypatch):
    (tmp_path / "own_features.py").write_text(
        "def after_the(text):\n    return [text[:k].endswith('the ') for k in range(len(text))]\n"
    )
    monkeypatch.chdir(tmp_path)
    try:
        keys = [
            "views=neurons",
            "features=own_features.after_the",
            "trusted=own_features",
            f"output={tmp_path / 'page'}",
        ]
        assert main(["inspect", f"run={run}", *keys]) == 0
    finally:
        sys.modules.pop("own_features", None)
    assert "after the" in (tmp_path / "page" / "neurons.json").read_text()


def test_sources_are_given_the_target_that_the_model_writes(reversal, tmp_path, capsys):
    sources = tmp_path / "sources.txt"
    sources.write_text("abcdef\nxyz\n")
    assert main(["inspect", f"run={reversal}", f"input={sources}", "views=attention", f"output={tmp_path}"]) == 0
    (first, second) = json.loads((tmp_path / "attention.json").read_text())["examples"]
    assert first["source"] == [*"abcdef", "<eos>"]
    assert second["source"] == [*"xyz", "<eos>"]
    assert first["target"][-1] == "<eos>"


def test_a_file_of_another_task_is_refused(reversal, run, tmp_path, capsys):
    np.savez(tmp_path / "arrays.npz", x=np.zeros((3, 4, 2)))
    code, said = inspect(capsys, f"run={reversal}", f"input={tmp_path / 'arrays.npz'}", "views=attention")
    assert (code, said.count("\n")) == (1, 0)
    assert "arrays.npz" in said


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    """A run that tells classes with names that look like markup and formulas."""
    folder = tmp_path_factory.mktemp("names")
    for name, texts in {"$x_^$": "abc", "_under": "xyz", "<img src=x onerror=alert(2)>": "mno"}.items():
        (folder / "data").mkdir(exist_ok=True)
        (folder / "data" / f"{name}.txt").write_text("\n".join(texts[k % 3] * (k % 5 + 2) for k in range(30)))
    keys = ["experiment=names", f"data.path={folder / 'data'}", "trainer=cpu", "trainer.max_epochs=1"]
    return train(compose([*keys, "model.hidden_size=8", f"output_dir={folder / 'runs'}"])).run


def test_class_names_stay_text(names, tmp_path):
    assert main(["inspect", f"run={names}", f"output={tmp_path}", "views=state_space,saliency,neurons,gates"]) == 0
    page = (tmp_path / "index.html").read_text()
    assert "<img src=x" not in page
    assert "&lt;img src=x" in page


def test_what_a_file_does_not_tell_is_not_taken_for_the_truth(names, tmp_path, capsys):
    (tmp_path / "new.txt").write_text("abcab\nxx\n")
    assert main(["inspect", f"run={names}", f"input={tmp_path / 'new.txt'}", f"output={tmp_path}"]) == 0
    page = (tmp_path / "index.html").read_text()
    assert "true: not known" in page
    assert "tells no targets" in page  # of gradient flow


def test_rows_that_cannot_be_read_are_told(reversal, tmp_path, capsys):
    (tmp_path / "some.txt").write_text("abc\n\nxyz\n")
    given = [f"input={tmp_path / 'some.txt'}", f"output={tmp_path}", "views=attention"]
    assert main(["inspect", f"run={reversal}", *given]) == 0
    assert "some.txt, 2 of 3 rows; " in (tmp_path / "index.html").read_text()


def test_weights_that_are_no_numbers_are_refused(run, tmp_path, capsys):
    broken = tmp_path / "run"
    shutil.copytree(run, broken)
    path = broken / "checkpoints" / "best.ckpt"
    checkpoint = load_checkpoint(path)
    checkpoint["state_dict"]["model.head.weight"][0, 0] = float("nan")
    torch.save(checkpoint, path)
    code, said = inspect(capsys, f"run={broken}")
    assert code == 1
    assert said == f"seqmodels: {path}: head.weight holds NaN or infinity; expected another checkpoint"


def test_a_folder_that_cannot_be_written_is_told_first(run, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    code, said = inspect(capsys, f"run={run}", f"output={tmp_path / 'file'}")
    assert code == 1
    assert said.startswith(f"seqmodels: output={tmp_path / 'file'}: cannot be written: File exists")


def test_a_second_look_has_nothing_to_complain_of(run, tmp_path, capsys):
    for _ in range(2):
        assert main(["inspect", f"run={run}", "views=embeddings", f"output={tmp_path}"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "warning" not in captured.out


def test_the_weights_before_training_are_those_that_training_began_with(train_small, corpus, tmp_path):
    still = ["cell=gru", "trainer.max_steps=1", "optimizer.lr=1e-30", "optimizer.weight_decay=0"]
    run = train_small(corpus, tmp_path, *still)
    weights = load_checkpoint(run / "checkpoints" / "last.ckpt")["state_dict"]
    for name, value in untrained_model(load_run(str(run))).state_dict().items():
        torch.testing.assert_close(value, weights[f"model.{name}"], rtol=0, atol=1e-30)
