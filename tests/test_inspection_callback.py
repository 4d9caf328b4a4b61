import pytest
import torch

from seqmodels.callbacks import Inspection
from seqmodels.runs import load_checkpoint
from seqmodels.views import StateSpace

LIGHT = "{embeddings: {_target_: seqmodels.views.EmbeddingsView}, state_space: {_target_: seqmodels.views.StateSpace}}"
LOOKING = [
    "+callbacks.inspection._target_=seqmodels.callbacks.Inspection",
    f"+callbacks.inspection.views={LIGHT}",
    "+callbacks.inspection.every_n_epochs=2",
    "+callbacks.inspection.steps=100",
]


def test_looking_changes_nothing_of_training(train_small, corpus, tmp_path):
    keys = ["trainer.max_epochs=4", "model.output_dropout=0.2"]
    plain = train_small(corpus, tmp_path / "plain", *keys)
    looked = train_small(corpus, tmp_path / "looked", *keys, *LOOKING)
    assert sorted(path.name for path in (looked / "inspection").iterdir()) == ["epoch_0002", "epoch_0004"]
    assert (looked / "inspection" / "epoch_0002" / "state_space_layer_1.png").is_file()
    one, other = (load_checkpoint(run / "checkpoints" / "last.ckpt")["state_dict"] for run in (plain, looked))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_view_that_fails_stops_no_training(train_small, corpus, tmp_path, monkeypatch):
    def fail(self, subject):
        raise RuntimeError("no luck")

    monkeypatch.setattr(StateSpace, "show", fail)
    run = train_small(corpus, tmp_path, "trainer.max_epochs=2", *LOOKING)
    page = (run / "inspection" / "epoch_0002" / "index.html").read_text()
    assert "it failed: RuntimeError: no luck" in page
    assert "Nearest neighbours" in page


@pytest.mark.parametrize("name", ["every_n_epochs", "examples", "steps"])
def test_numbers_are_checked(name):
    with pytest.raises(ValueError, match=f"{name}=0"):
        Inspection({}, {}, **{name: 0})
