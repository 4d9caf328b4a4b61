"""A run directory: what is written into it, and what rebuilds everything from it alone."""

from seqmodels.runs.log import logged_to
from seqmodels.runs.models import build_loss, build_model, check_model, load_model, load_weights, text_writer
from seqmodels.runs.reading import (
    Run,
    check_unchanged,
    damaged,
    find_run,
    from_files,
    load_run,
    read_config,
    writes_text,
)
from seqmodels.runs.writing import CONFIG, METRICS, RESULTS, create, point, shown, write_config, write_json, write_text
from seqmodels.verified.checkpoints import load_checkpoint

__all__ = [
    "CONFIG",
    "METRICS",
    "RESULTS",
    "Run",
    "build_loss",
    "build_model",
    "check_model",
    "check_unchanged",
    "create",
    "damaged",
    "find_run",
    "from_files",
    "load_checkpoint",
    "load_model",
    "load_run",
    "load_weights",
    "logged_to",
    "point",
    "read_config",
    "shown",
    "text_writer",
    "write_config",
    "write_json",
    "write_text",
    "writes_text",
]
