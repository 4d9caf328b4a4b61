"""Which model is kept as the best: by the metric, and by the loss where the metric cannot tell."""

from types import SimpleNamespace

import pytest

from seqmodels.callbacks import Checkpoints


@pytest.fixture
def kept(tmp_path):
    """The numbers of the validations after which `best.ckpt` was written, by what they measured."""

    def numbers(checkpoints, validations):
        saved = []
        for number, metrics in enumerate(validations):
            trainer = SimpleNamespace(
                state=SimpleNamespace(fn="fit"),
                is_global_zero=True,
                default_root_dir=tmp_path,
                callback_metrics=metrics,
                should_stop=False,
                is_last_batch=True,
                global_step=number,
                lightning_module=None,
                save_checkpoint=lambda path, number=number: saved.append((path.name, number)),
            )
            checkpoints.setup(trainer, None, "fit")
            checkpoints.on_validation_end(trainer, None)
        assert {name for name, _ in saved} <= {"best.ckpt"}
        return [number for _, number in saved]

    return numbers


def bleu(*figures):
    return [{"val/bleu": value, "val/loss": loss} for value, loss in figures]


def test_the_lower_loss_is_best_where_the_metric_cannot_tell(kept):
    figures = bleu((0.0, 5.0), (0.0, 4.0), (0.0, 4.5), (2.0, 6.0), (0.0, 1.0), (2.0, 6.0), (2.0, 5.5))
    assert kept(Checkpoints(monitor="val/bleu", mode="max"), figures) == [0, 1, 3, 6]
    assert kept(Checkpoints(monitor="val/bleu"), figures) == [0, 1, 4]  # the lowest


def test_a_loss_that_is_missing_or_no_number_is_never_better(kept):
    nan = float("nan")
    figures = [*bleu((1.0, nan)), {"val/bleu": 1.0}, *bleu((1.0, nan), (1.0, 3.0), (1.0, nan), (nan, 0.0))]
    assert kept(Checkpoints(monitor="val/bleu", mode="max"), [*figures, {}, {"val/bleu": 1.0}]) == [0, 3]


def test_what_was_best_is_known_again(kept):
    checkpoints = Checkpoints(monitor="val/bleu", mode="max")
    kept(checkpoints, bleu((2.0, 5.0)))
    again = Checkpoints(monitor="val/bleu", mode="max")
    again.load_state_dict(checkpoints.state_dict())
    assert kept(again, bleu((1.0, 1.0), (2.0, 5.0), (2.0, 4.0))) == [2]


def test_a_state_without_a_loss_is_read(kept):
    checkpoints = Checkpoints(monitor="val/bleu", mode="max")
    checkpoints.load_state_dict({"best": -2.0})
    assert kept(checkpoints, bleu((1.0, 1.0), (2.0, 5.0), (2.0, 6.0))) == [1]
