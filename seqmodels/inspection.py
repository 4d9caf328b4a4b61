"""A look inside a trained run: pictures and one page of it, from its directory alone."""

import errno
import os
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.tensorboard import SummaryWriter

from seqmodels.analysis import default_features, watchable
from seqmodels.building import build
from seqmodels.data import IGNORE_INDEX, DataModule, Example, Request, tokenizer_from_spec
from seqmodels.decoding import Sampling
from seqmodels.errors import UserError, one_line
from seqmodels.evaluation import build_task, changed_data
from seqmodels.runs import Run, build_model, from_files, load_model, shown, text_writer
from seqmodels.tasks import SequenceTask
from seqmodels.tasks.language_modelling import longest_target
from seqmodels.trust import find_target
from seqmodels.verified.entries import check_entries
from seqmodels.views import (
    VIEWS,
    Neurons,
    Subject,
    View,
    examples_of,
    show_in_tensorboard,
    stream_example,
    write_report,
)
from seqmodels.views import look as look_with

FOLDER = "inspection"


@dataclass(frozen=True)
class Look:
    """What of a run is looked at.

    Args:
        input: A file in the format of the run's data; where left out, a part of the run's own.
        split: Which; where left out the test part, or what there is.
        examples: How many sequences at most.
        steps: How many steps they have together, about; of a stream of text, how many tokens.
        data: Keys under `data` that differ from the run's own.

    Raises:
        UserError: Where a number is out of range.
    """

    input: str | None
    split: str | None
    examples: int
    steps: int
    data: dict[str, Any]

    def __post_init__(self) -> None:
        for name in ("examples", "steps"):
            if getattr(self, name) < 1:
                raise UserError(f"{name}={getattr(self, name)}: expected at least 1")
        if self.input is not None and self.split is not None:
            raise UserError(f"split={self.split}: goes without input={self.input}, which is a whole file")


def inspect(run: Run, look: Look, views: Sequence[View], asked: bool, folder: Path, device: str) -> Path:
    """Shows a run.

    Args:
        run: The run.
        look: What of it.
        views: How.
        asked: Whether the user named these views; otherwise those that do not fit are left out.
        folder: Where the page, pictures and numbers go.
        device: "cpu" or "cuda".

    Returns:
        The page.

    Raises:
        UserError: Where the input cannot be read, or a view that was named does not fit.
        Exception: Of a view that failed, when the page with all others is written.
    """
    check_entries(run.path)
    _make_folder(folder)
    subject = make_subject(run, look, device)
    for view in views if asked else ():
        reason = view.misfit(subject)
        if reason is not None:
            raise UserError(f"views={view.name}: {reason}")
    looked = look_with(subject, views)
    step = int(run.checkpoint["global_step"])
    facts = {
        "run": shown(run.path),
        "checkpoint": f"{run.checkpoint_path.name}, after {step} updates",
        "model": f"{type(subject.model).__name__}, {sum(p.numel() for p in subject.model.parameters()):,} parameters",
        "looked at with": subject.origin,
    }
    page = write_report(folder, f"Inside {run.config['name']}", facts, looked)
    board_folder = run.path / "tensorboard"
    if os.access(board_folder if board_folder.exists() else run.path, os.W_OK):
        with closing(SummaryWriter(str(board_folder))) as board:
            show_in_tensorboard(board, looked, step)
    else:
        print(one_line(f"warning: {board_folder}: cannot be written, TensorBoard gets no pictures"), file=sys.stderr)
    if looked.failures:
        raise looked.failures[0]
    return page


def _make_folder(folder: Path) -> None:
    """Makes the folder of the page, before anything is computed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise UserError(f"output={folder}: cannot be written: {error.strerror}; expected another folder") from error


def make_subject(run: Run, look: Look, device: str) -> Subject:
    """Makes of a run what views look at.

    Raises:
        UserError: Where the input cannot be read.
    """
    config = {**run.config, "data": changed_data(run.config["data"], look.data)}
    with from_files(run.path):
        model = watchable(load_model(run)).to(device)
        diverged = [name for name, values in model.state_dict().items() if not bool(values.isfinite().all())]
        if diverged:
            raise UserError(f"{run.checkpoint_path}: {diverged[0]} holds NaN or infinity; expected another checkpoint")
        task = build_task(config, model, run.spec).to(device).eval()
        assert isinstance(task, SequenceTask)
        data: DataModule = build(config["data"], "data", spec=run.spec)
        if look.input is None:
            examples, origin = _own_examples(data, run, look)
        else:
            examples, origin = _read_examples(data, run, look, model)
    return Subject(task, run.spec, examples, origin, untrained_model(run).to(device), run.path)


def untrained_model(run: Run) -> nn.Module:
    """Makes a run's model as it was before training: with the weights that its seed draws."""
    with torch.random.fork_rng():
        torch.manual_seed(run.config["seed"])
        return watchable(build_model(run.config, run.spec))


def _own_examples(data: DataModule, run: Run, look: Look) -> tuple[list[Example], str]:
    data.setup("validate")
    split = look.split or next(part for part in ("test", "val", "train") if part in data.splits)
    return examples_of(data.evaluation_dataloader(split), run.spec, look.examples, look.steps), f"{split} part"


def _read_examples(data: DataModule, run: Run, look: Look, model: nn.Module) -> tuple[list[Example], str]:
    """Returns what a file has, and what it is; each has the target that the model writes, where it writes one."""
    assert look.input is not None
    if run.spec.get("form") == "stream":
        return [_read_stream(look.input, run, look.steps)], look.input
    requests = data.read_requests(look.input)
    good = [request for request in requests if request.example is not None]
    if not good:
        told = requests[0].problem if requests else "there is nothing in it"
        raise UserError(f"input={look.input}: {told}")
    examples = []
    for request in good[: look.examples]:
        assert request.example is not None
        completed = _completed(request, run, model) if run.spec.get("context") else request.example
        examples.append(_without_targets(completed) if "targets" in run.spec else completed)
    written = "; targets are what the model writes" if "context" in run.spec and "targets" not in run.spec else ""
    return examples, f"{look.input}{_rows_told(requests, len(examples))}{written}"


def _rows_told(requests: Sequence[Request], read: int) -> str:
    """Tells how many rows of a file are looked at, where not all are, and why the first of the others could not be."""
    if read == len(requests):
        return ""
    problem = next((f"; {request.problem}" for request in requests if request.problem is not None), "")
    return f", {read} of {len(requests)} rows{problem}"


def _without_targets(example: Example) -> Example:
    """Returns an example whose targets are not known: those of a file to predict for are of no account."""
    unknown = np.nan if example.targets.dtype.kind == "f" else IGNORE_INDEX
    return example._replace(targets=np.full_like(example.targets, unknown))


def _read_stream(path: str, run: Run, steps: int) -> Example:
    """Reads the beginning of a text."""
    try:
        with Path(path).expanduser().open(encoding="utf-8") as file:
            text = file.read(8 * steps + 8)  # no token is longer on average
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
        raise UserError(f"input={path}: {reason}") from error
    tokenizer = tokenizer_from_spec(run.spec["tokenizer"])
    unknown = tokenizer.unknown(text)
    if unknown:
        raise UserError(
            f"input={path}: has what the run's vocabulary lacks: {', '.join(map(repr, unknown[:5]))}"
            f"{f' and {len(unknown) - 5} more' if len(unknown) > 5 else ''}"
        )
    ids = np.asarray(tokenizer.encode(text))[: steps + 1]
    if len(ids) < 2:
        raise UserError(f"input={path}: expected a text of at least two tokens, got {len(ids)}")
    return stream_example(ids)


def _completed(request: Request, run: Run, model: nn.Module) -> Example:
    """Returns an example with what the model writes of its source as the target."""
    example = request.example
    assert example is not None
    assert example.context is not None
    if run.spec.get("kind") != "text" or "bos" not in run.spec or len(example.inputs) > 1:
        return example
    context = torch.from_numpy(np.asarray(example.context))[None].to(next(model.parameters()).device)
    lengths = torch.tensor([context.shape[1]], device=context.device) if context.ndim > 1 else None
    writer = text_writer(model, run.spec).knowing([example.words or ()])
    (text,) = writer.write(None, longest_target(run.spec), Sampling(0), 1, None, context, lengths)
    ids = [run.spec["bos"], *writer.tokenizer.encode(text).tolist(), run.spec["eos"]]
    return example._replace(inputs=np.array(ids[:-1], np.int64), targets=np.array(ids[1:], np.int64))


def choose_views(names: str | None, features: str = "") -> list[View]:
    """Makes views by what a user types.

    Args:
        names: Their names, with commas between them; `None` for all.
        features: Functions of the user's own that units are held against beside the usual ones, as
            `my_module.my_feature`, with commas between them; their modules are trusted, see `seqmodels.trust.trusting`.

    Raises:
        UserError: For an unknown name, and for functions that are not there or where no view takes them.
    """
    chosen = list(VIEWS) if names is None else _split(names)
    unknown = [name for name in chosen if name not in VIEWS]
    if unknown or not chosen:
        raise UserError(f"views={','.join(unknown) or names}: no such view; valid: {', '.join(VIEWS)}")
    made = [VIEWS[name]() for name in dict.fromkeys(chosen) if name != Neurons.name or not features]
    if not features:
        return made
    if Neurons.name not in chosen:
        raise UserError(f"features={features}: only views={Neurons.name} takes them")
    own = [find_target(*name.rpartition(".")[::2], "features") for name in _split(features)]
    return [Neurons([*default_features(), *own]), *made]


def _split(names: str) -> list[str]:
    return [name.strip() for name in names.removeprefix("[").removesuffix("]").split(",") if name.strip()]
