"""Predictions of a trained run for a file of the user's, in the order of that file."""

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch

from seqmodels.building import build
from seqmodels.data import DataModule, Example, Form, Request, Window, collate
from seqmodels.decoding import BeamSearch
from seqmodels.errors import UserError
from seqmodels.evaluation import build_task, changed_data
from seqmodels.runs import Run, load_model
from seqmodels.tasks import LanguageModelling, Task, Transcription
from seqmodels.tasks.reporting import Row

FORMATS = (".csv", ".tsv", ".jsonl")


def predict(
    run: Run,
    path: str,
    data_overrides: dict[str, Any],
    batch_size: int,
    device: str,
    search: BeamSearch | None = None,
) -> Iterator[Row]:
    """Predicts something of every row of a file.

    Rows of about the same length share a batch, and come out in the order of the file.

    Args:
        run: The run.
        path: The user's file, in the format of the run's data.
        data_overrides: Keys under `data` that differ from the run's own, such as another `text_column`.
        batch_size: Rows in a batch.
        device: "cpu" or "cuda".
        search: How texts are searched for, where the run writes them; each step's likeliest token where left out.

    Yields:
        The line that a prediction is for, of a folder its file too, and the prediction; or these and the problem. A row
        of several steps gives a row for each, one for which several texts are found too.

    Raises:
        UserError: Where nothing of the file can be read, or texts are to be searched for where none are written.
    """
    if run.spec.get("form") == "stream":
        raise UserError(
            f"input={path}: this run learned one long text, which has no rows to predict; seqmodels generate writes "
            "with it, and seqmodels evaluate data.path= measures it on another text"
        )
    config = {**run.config, "data": changed_data(run.config["data"], data_overrides)}
    data = build(config["data"], "data", spec=run.spec)
    requests = data.read_requests(path)
    if not requests:
        raise UserError(f"input={path}: there is nothing in it to predict anything for")
    task = build_task(config, load_model(run), run.spec).to(device).eval()
    if search is not None:
        _set_search(task, search, run.spec)
    rows = _rows(task, requests, run.spec, batch_size)
    for number, request in enumerate(requests):
        if request.problem is not None:
            yield {**_place(request), "problem": request.problem}
        for place, row in enumerate(rows.get(number, [])):
            items = request.items or [{}]
            named = items[0] if len(items) == 1 else items[place]
            yield {**_place(request), **(named if isinstance(named, dict) else {"item": named}), **row}


def _set_search(task: Task, search: BeamSearch, spec: dict[str, Any]) -> None:
    """Has a task search for what it writes.

    Raises:
        UserError: Where it writes nothing, or its search knows nothing but the size of a beam.
    """
    if isinstance(task, Transcription):
        for field in fields(search):
            value = getattr(search, field.name)
            if field.name != "beam_size" and value != field.default:
                raise UserError(
                    f"{field.name}={value}: this run transcribes, which takes beam_size alone; leave it out"
                )
        task.beam_size = search.beam_size
    elif isinstance(task, LanguageModelling) and spec.get("context") is not None:
        task.search = search
    else:
        raise UserError(f"beam_size={search.beam_size}: this run writes no texts of its rows; leave it out")


def _place(request: Request) -> Row:
    """Returns where a request stands: its line, or its number and its file."""
    return {"line": request.line} if request.file is None else {"line": request.line, "file": request.file}


def _rows(task: Task, requests: Sequence[Request], spec: dict[str, Any], batch_size: int) -> dict[int, list[Row]]:
    """Returns the rows of each request that could be read."""
    found: dict[int, list[Row]] = {}
    examples = {number: request.example for number, request in enumerate(requests) if request.example is not None}
    by_length = sorted(examples, key=lambda number: _length(examples[number]))
    for start in range(0, len(by_length), batch_size):
        numbers = by_length[start : start + batch_size]
        batch = collate([examples[number] for number in numbers], form=Form.of(spec))
        with torch.no_grad():
            found |= zip(numbers, task.predict_rows(_on(batch, task.device), spec), strict=True)
    return found


def _length(example: Example) -> tuple[int, int]:
    """Returns the steps of an example, and those of what it is conditioned on; 0 where that has none, as a class."""
    context = example.context
    return len(example.inputs), len(context) if context is not None and context.ndim else 0


def _on(window: Window, device: torch.device) -> Window:
    moved = {name: value.to(device) for name, value in window._asdict().items() if isinstance(value, torch.Tensor)}
    return Window(**(window._asdict() | moved))


def read_source(run: Run, source: str) -> torch.Tensor:
    """Reads one source that something is to be written for, as the data of a run do.

    Args:
        run: The run.
        source: A text, or the file of a recording.

    Returns:
        The source `(steps, ...)`.

    Raises:
        UserError: Where it cannot be read, or the run makes nothing of sources.
    """
    if not source.strip():
        raise UserError(f"source={source}: there is no text; expected one, or the file of a recording")
    data: DataModule = build(run.config["data"], "data", spec=run.spec)
    return torch.from_numpy(data.read_source(source).context)


def transcribe(run: Run, source: str) -> str:
    """Returns what a run of transcription reads in one source, see `read_source`."""
    data: DataModule = build(run.config["data"], "data", spec=run.spec)
    task = build_task(run.config, load_model(run), run.spec).eval()
    with torch.no_grad():
        ((row,),) = task.predict_rows(collate([data.read_source(source)], form=Form.of(run.spec)), run.spec)
    return str(row["prediction"])


def write_rows(rows: Iterable[Row], path: str) -> tuple[int, list[Row]]:
    """Writes rows as CSV, tab-separated values or JSON Lines, by the file's suffix; the file appears when it is whole.

    Args:
        rows: Names and values; in CSV a mapping becomes a column for each of its keys, a list one text.
        path: The file.

    Returns:
        How many predictions were written, and the rows that told of a problem instead.

    Raises:
        UserError: For another suffix, or where it cannot be written.
    """
    target = Path(path).expanduser()
    check_output(path)
    kept = list(rows)
    beside = target.with_name(f".{target.name}.part")
    try:
        with beside.open("w", newline="", encoding="utf-8") as file:
            _write(kept, file, target.suffix)
        beside.replace(target)
    except OSError as error:
        raise UserError(f"output={path}: cannot be written: {error.strerror}") from error
    problems = [row for row in kept if "problem" in row]
    return len(kept) - len(problems), problems


def check_output(path: str) -> None:
    """Refuses a file that could not be written, before anything is computed.

    Raises:
        UserError: For another suffix, or a folder that is not there.
    """
    target = Path(path).expanduser()
    if target.suffix not in FORMATS:
        raise UserError(f"output={path}: expected a file that ends in {', '.join(FORMATS)}")
    if not target.parent.is_dir():
        raise UserError(f"output={path}: there is no folder {target.parent}")


def _write(rows: Sequence[Row], file: IO[str], suffix: str) -> None:
    if suffix == ".jsonl":
        file.writelines(json.dumps(row, ensure_ascii=False, default=_plain) + "\n" for row in rows)
        return
    flat = [_flat(row) for row in rows]
    columns = list(dict.fromkeys(name for row in flat for name in row if name != "problem"))
    if any("problem" in row for row in flat):
        columns.append("problem")
    writer = csv.DictWriter(file, columns, delimiter="\t" if suffix == ".tsv" else ",", restval="")
    writer.writeheader()
    writer.writerows(flat)


def _flat(row: Row) -> Row:
    flat: Row = {}
    for name, value in row.items():
        if isinstance(value, dict):
            flat |= {f"{name}_{key}": inner for key, inner in value.items()}
        else:
            flat[name] = ";".join(map(str, value)) if isinstance(value, list) else value
    return flat


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)
