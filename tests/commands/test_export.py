"""`seqmodels export`: a run as safetensors and JSON, which other commands take as a run."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file

from seqmodels import runs
from seqmodels.commands.main import main


@pytest.fixture(scope="module")
def run(train_small, corpus, tmp_path_factory):
    return train_small(corpus, tmp_path_factory.mktemp("exporting"), "model.tie_weights=true", "model.hidden_size=6")


@pytest.fixture
def exported(run, tmp_path, capsys):
    folder = tmp_path / "shared" / "mine"
    assert main(["export", f"run={run}", f"output={folder}"]) == 0
    assert str(folder) in capsys.readouterr().out
    return folder


def fails(capsys, *words):
    assert main([*words]) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


def test_it_loads_back_equal(run, exported):
    assert sorted(path.name for path in exported.iterdir()) == ["run.json", "weights.safetensors"]
    original, copy = runs.load_run(str(run)), runs.load_run(str(exported))
    assert (copy.config, copy.spec) == (original.config, original.spec)
    assert copy.checkpoint["global_step"] == original.checkpoint["global_step"]
    ours, theirs = runs.load_model(original).state_dict(), runs.load_model(copy).state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    about = json.loads((exported / "run.json").read_text())
    assert (about["format"], about["version"]) == ("safetensors", 1)
    assert set(load_file(exported / "weights.safetensors")) == set(ours)  # the names of the model's own parts


def test_commands_take_it_as_a_run(run, exported, corpus, tmp_path, capsys):
    said = []
    for place in (run, exported):
        for words in (["evaluate"], ["generate", "length=30", "seed=1"], ["evaluate", f"data.path={corpus}"]):
            assert main([*words, f"run={place}"]) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]
    assert main(["inspect", f"run={exported}", "views=embeddings"]) == 0
    assert (exported / "inspection" / "index.html").is_file()


def test_predictions_are_the_same(tmp_path, corpus):
    from seqmodels.commands.composing import compose
    from seqmodels.training import train

    rows = "".join(f"{'good' if number % 2 else 'bad'} day,{'up' if number % 2 else 'down'}\n" for number in range(30))
    (tmp_path / "rows.csv").write_text("text,label\n" + rows)
    choices = ["data=labelled_text", f"data.path={tmp_path / 'rows.csv'}", "model=many_to_one", "task=many_to_one"]
    choices += ["trainer=cpu", "trainer.max_steps=2", "model.hidden_size=4", f"output_dir={tmp_path / 'outputs'}"]
    run = train(compose(choices)).run
    assert main(["export", f"run={run}", f"output={tmp_path / 'mine'}"]) == 0
    found = []
    for number, place in enumerate((run, tmp_path / "mine")):
        output = tmp_path / f"{number}.csv"
        assert main(["predict", f"run={place}", f"input={tmp_path / 'rows.csv'}", f"output={output}"]) == 0
        found.append(output.read_text())
    assert found[0] == found[1]


def test_mistakes_are_told_in_one_line(run, exported, tmp_path, capsys):
    other = f"output={tmp_path / 'other'}"
    assert "format=onnx: no such format; valid: safetensors" in fails(
        capsys, "export", f"run={run}", other, "format=onnx"
    )
    assert "output: required" in fails(capsys, "export", f"run={run}")
    assert "has run.json and weights.safetensors already" in fails(capsys, "export", f"run={run}", f"output={exported}")
    assert "was exported for use" in fails(capsys, "train", f"resume={exported}")
    (tmp_path / "file").write_text("")
    assert "cannot be written" in fails(capsys, "export", f"run={run}", f"output={tmp_path / 'file' / 'x'}")
    assert not (tmp_path / "other").exists()


def test_a_damaged_export_is_refused(exported, tmp_path, capsys):
    def told(spoil):
        copy = shutil.copytree(exported, tmp_path / "copy", dirs_exist_ok=True)
        spoil(copy)
        return fails(capsys, "evaluate", f"run={copy}")

    weights, about = (exported / "weights.safetensors").read_bytes(), (exported / "run.json").read_text()
    for content in (weights[:-1], weights[:20], b"", b"\xff" * 8 + weights[8:], weights + b"x"):
        assert "damaged or cut short" in told(lambda copy, one=content: (copy / "weights.safetensors").write_bytes(one))
    assert "no such file" in told(lambda copy: (copy / "weights.safetensors").unlink())
    for old, new in (('"version": 1', '"version": 2'), ('"safetensors"', '"pickle"')):
        changed = about.replace(old, new, 1)
        assert "expected format='safetensors' version=1" in told(
            lambda copy, one=changed: (copy / "run.json").write_text(one)
        )
    changed = about.replace('"hidden_size": 6', '"hidden_size": 1000000000')
    assert "do not go together" in told(lambda copy: (copy / "run.json").write_text(changed))
    changed = about.replace('"torch.nn.LSTM"', '"os.system"')
    assert "not a target" in told(lambda copy: (copy / "run.json").write_text(changed))
    assert "run.json: cannot be read" in told(lambda copy: (copy / "run.json").write_text(about[:100]))
