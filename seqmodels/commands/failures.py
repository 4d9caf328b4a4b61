"""What a failure says to the user: one line that names the key, the value and what would be valid."""

import re
import signal
import sys
from collections.abc import Iterator

from hydra.errors import HydraException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from seqmodels import resources
from seqmodels.building import unknown_key
from seqmodels.commands.composing import options, takers, valid_keys
from seqmodels.errors import UserError, one_line
from seqmodels.processes import is_loss_of_others


def explain(error: BaseException) -> str | None:
    """Returns the one line for a user's mistake; `None` for a fault of the program."""
    reason = _reason(error)
    return None if reason is None else one_line(reason)


def go_on(signum: int, run: str) -> str:
    """Says what ended a run, and how to go on with it."""
    return one_line(f"stopped by {signal.Signals(signum).name}; go on with: seqmodels train resume={run}")


def _reason(error: BaseException) -> str | None:
    found = list(causes(error))
    for cause in found:  # a dead worker may be told of again, by torch, while this is on its way
        if isinstance(cause, UserError):
            return str(cause)
    for cause in found:
        if isinstance(cause, Exception) and (refused := resources.explain(cause)):
            return refused
    if isinstance(error, OverrideParseException):
        return _grammar(error)
    if isinstance(error, HydraException | OmegaConfBaseException):
        return _configuration(error)
    if is_loss_of_others(error):
        return "another process of this run is gone; the last checkpoint is kept, resume=RUN goes on from there"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, OSError) and error.errno is not None:
        return f"{error.strerror} (errno {error.errno})"
    return None


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yields an error, and those that it came of."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _configuration(error: BaseException) -> str:
    """Rewords what Hydra says of a command line in the words of this program."""
    text = "\n".join(str(cause) for cause in causes(error))
    if match := re.search(r"Could not find '([^'/]+)/([^']+)'", text):
        group, name = match.groups()
        if group == "hydra":
            return _plugin(name)
        return f"{group}={name}: unknown; choose one of {', '.join(options(group))}"
    if match := re.search(r"Could not override '([^']+)'", text):
        full = match.group(1)
        value = re.search(re.escape(full) + r"=(\S+)", text)
        if chosen := takers(full):
            verb = "does" if len(chosen) == 1 else "do"
            shown = value.group(1) if value else "..."
            return f"{full}={shown}: nothing here takes {full}=; {' and '.join(chosen)} {verb}"
        parent, _, key = full.rpartition(".")
        valid = valid_keys(parent, sys.argv[1:])
        return unknown_key(parent, key, value.group(1) if value else "...", valid)
    if match := re.search(r"Could not append to config\. An item is already at '([^']+)'", text):
        return f"+{match.group(1)}: is set already; leave out the +"
    return str(error)


def _plugin(name: str) -> str:
    """Says how to come by a launcher or sweeper that Hydra does not have."""
    kind, _, choice = name.partition("/")
    hint = "; pip install 'seqmodels[sweeps]'" if choice == "joblib" else ""
    return f"hydra/{kind}={choice}: not installed{hint}"


def _grammar(error: OverrideParseException) -> str:
    if "=" not in error.override:
        return f"{error.override}: expected key=value"
    key, _, value = error.override.partition("=")
    return f"{error.override}: cannot be read; a value with special characters stands in quotes: '{key}=\"{value}\"'"
