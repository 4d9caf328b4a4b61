"""Every task, with batches that do not divide: two processes lose and learn what one does."""

import random

import numpy as np
import pytest
from ddp_runs import assert_close, final_state, reported, results
from scipy.io import wavfile

from seqmodels.commands.composing import compose
from seqmodels.training import train

SHORT = ["trainer=cpu", "trainer.max_steps=8", "callbacks.monitor.every_n_steps=1", "callbacks.samples=null"]
SHORT += ["callbacks.pictures=null", "trainer.limit_val_batches=2"]
UNEVEN = ["data.train_size=41", "data.val_size=8", "data.test_size=8", "data.batch_size=7"]
PAIRS = ["experiment=reversal", "data.num_pairs=60", "data.val_fraction=0.1", "data.batch_size=7"]
PAIRS += ["data.problem.longest=6", "task.measures.hypotheses.length=6"]
PENALTIES = ["task.activation_penalty=1", "task.temporal_activation_penalty=1"]
LEARNED = "model.initial_state=learned"
TASKS = {
    "stream": ["data=text_file", "data.batch_size=5", "tbptt.k1=8", "tbptt.k2=12", LEARNED],
    "gaps and penalties": ["data=text_file", "data.batch_size=5", "tbptt.k1=12", "tbptt.k2=8", *PENALTIES],
    "accumulated": [
        "data=text_file",
        "data.batch_size=5",
        "tbptt.k1=8",
        "tbptt.k2=8",
        "trainer.accumulate_grad_batches=3",
    ],
    "lines in windows": ["data=text_lines", "data.batch_size=7", "tbptt.k1=5", "tbptt.k2=8"],
    "a row for one process alone": [
        "data=text_lines",
        "data.batch_size=1",
        "tbptt.k1=5",
        "tbptt.k2=8",
        LEARNED,
        *PENALTIES,
    ],
    "classes of texts": ["experiment=sentiment", *UNEVEN],
    "workers": ["experiment=sentiment", *UNEVEN, "data.num_workers=1"],
    "classes of series": ["experiment=digits_rows", "data.batch_size=7"],
    "numbers": ["experiment=adding", "data.problem.length=12", "tbptt.k2=5", *UNEVEN],
    "a target at each step, in windows": ["experiment=memory/copy", "tbptt.k1=14", "tbptt.k2=16", *UNEVEN],
    "tags": ["experiment=tagging", "data.train_size=41", "data.batch_size=7"],
    "frames": ["experiment=moving_digits", "data.train_size=21", "data.batch_size=5"],
    "forecasts at once": ["experiment=sunspots"],
    "forecasts step by step": ["experiment=sunspots", "model.direct=false", "loss=gaussian"],
    "images to words": ["experiment=digit_captions", "data.batch_size=7"],
    "by rhythm": ["experiment=tunes"],
    "pairs": [*PAIRS, "task.coverage_penalty=1", "task.label_smoothing=0.1", *PENALTIES],
    "speech by paths": ["experiment=spoken_digits_ctc", "data.batch_size=7", "data.test_speaker=bob"],
}
OWN_FILES = {"stream", "gaps and penalties", "accumulated", "lines in windows", "a row for one process alone"}


@pytest.fixture
def recordings(tmp_path):
    """Tones that differ by digit: what is said in them is of no account here."""
    folder, draw = tmp_path / "recordings", random.Random(0)
    folder.mkdir()
    for digit in range(3):
        for speaker in ("ann", "bob"):
            for take in range(6):
                samples = np.sin(np.arange(4000 + draw.randrange(2000)) * (digit + 1) * 0.3) * 8000
                wavfile.write(folder / f"{digit}_{speaker}_{take}.wav", 8000, samples.astype(np.int16))
    return folder


def without_dropout(config):
    """What is drawn at random differs between one process and two; nothing else may."""
    parts = [config["model"], config["model"].get("encoder") or {}]
    for part in parts:
        part.update({key: 0.0 for key in part if key.endswith("dropout") and isinstance(part[key], float)})
    return config


@pytest.mark.faults
def test_two_processes_lose_and_learn_what_one_does(corpus, recordings, tmp_path, train_by_several):
    configs = {}
    for number, (name, settings) in enumerate(TASKS.items()):
        path = {"speech by paths": [f"data.path={recordings}"]}.get(name, [])
        path = [f"data.path={corpus}"] if name in OWN_FILES else path
        config = without_dropout(compose([*settings, *SHORT, *path]))
        one, two = tmp_path / f"{number}_one", tmp_path / f"{number}_two"
        train({**config, "name": "run", "output_dir": str(one)})
        configs[name] = one, two, {**config, "name": "run", "output_dir": str(two)}
    train_by_several([config for _, _, config in configs.values()])
    for name, (one, two, _) in configs.items():
        assert len(reported(two)) >= 3, name
        try:
            assert_close(reported(two), reported(one))
            assert_close(final_state(two)["state_dict"], final_state(one)["state_dict"])
            assert_close(results(two), results(one), tolerance=1e-4)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from error


@pytest.mark.faults
def test_what_draws_at_random_is_trained_and_resumed_to_the_bit_too(tmp_path, train_by_several):
    professor = "{_target_: seqmodels.tasks.ProfessorForcing, _partial_: true, cell: ${cell}, hidden_size: 4}"
    kinds = {
        "professor": [*PAIRS, f"task.professor={professor}"],
        "sampling": [*PAIRS, "teacher_forcing=linear", "task.feed=sample", "model.output_dropout=0.3"],
        "windows": ["experiment=memory/copy", "tbptt.k1=14", "tbptt.k2=16", *UNEVEN, "model.output_dropout=0.3"],
    }
    jobs = []
    for name, settings in kinds.items():
        config = compose(
            [*settings, *SHORT, "scheduler=constant", "teacher_forcing.unit=step"][: None if name == "sampling" else -1]
        )
        config["name"] = "run"
        short = {
            **config,
            "output_dir": str(tmp_path / f"{name}_parts"),
            "trainer": {**config["trainer"], "max_steps": 5},
        }
        jobs += [
            {**config, "output_dir": str(tmp_path / f"{name}_whole")},
            short,
            ({**short, "trainer": config["trainer"]}, tmp_path / f"{name}_parts" / "latest"),
        ]
    train_by_several(jobs)
    for name in kinds:
        whole, parts = final_state(tmp_path / f"{name}_whole"), final_state(tmp_path / f"{name}_parts")
        for key in ("state_dict", "optimizer_states", "carried_state"):
            assert_close(parts[key], whole[key], tolerance=0)


@pytest.mark.faults
def test_limits_of_time_and_decisions_by_figures_are_the_same_in_all(corpus, tmp_path, train_by_several):
    text = ["data=text_file", f"data.path={corpus}", "data.batch_size=5", *SHORT, "trainer.max_epochs=null"]
    kinds = {
        "seconds": ["trainer.max_steps=null", "trainer.max_seconds=1", "callbacks.checkpoints.every_seconds=0.1"],
        "figures": [
            *("scheduler=plateau", "scheduler.patience=0", "optimizer.lr=0.3", "callbacks=early_stopping"),
            *("callbacks.early_stopping.patience=2", "trainer.val_check_interval=3", "trainer.max_steps=60"),
        ],
    }
    train_by_several([{**compose([*text, *kinds[name]]), "output_dir": str(tmp_path / name)} for name in kinds])
    assert results(tmp_path / "seconds")["train/steps"] > 1
    assert results(tmp_path / "figures")["train/steps"] < 60
