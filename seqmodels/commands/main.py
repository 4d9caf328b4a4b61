"""The `seqmodels` command: picks the command, turns every failure into an exit code.

Exit codes: 0 done; 1 a user's mistake, one line on stderr; 2 a fault of the program, with traceback; 130 and 143 after
SIGINT and SIGTERM.
"""

import importlib
import os
import signal
import sys
import traceback

DEBUG = "SEQMODELS_DEBUG"

COMMANDS = {
    "train": "train a model; -m sweeps over comma-separated values; resume=RUN continues a run",
    "tune": "search for the best settings, with many processes and machines; killed studies go on",
    "evaluate": "measure a trained run on a part of its data, or on other data",
    "generate": "write text with a trained run",
    "predict": "predict something of every row of a file",
    "inspect": "look inside a trained run: neurons, gates, saliency, gradients, stability, on one page",
    "export": "write a run's model as files for others: safetensors and JSON",
    "benchmark": "measure speed and memory beside torch.nn, as a table and as JSON",
    "list": "list what configuration can choose from",
}

USAGE = """usage: seqmodels COMMAND [key=value ...]

commands:
{commands}

examples:
  seqmodels train data=text_file data.path=my.txt cell=gru
  seqmodels tune experiment=sentiment hparams_search=optimizer workers=2
  seqmodels evaluate run=latest split=test
  seqmodels generate prompt="def " length=400
  seqmodels predict run=latest input=new.csv output=predicted.csv
  seqmodels inspect run=latest
  seqmodels list cells

`seqmodels COMMAND --help` shows a command's keys. RUN is a run directory, a checkpoint file in one, or `latest`.
`debug=true` shows the traceback of a mistake."""


def main(arguments: list[str] | None = None) -> int:
    """Runs a command.

    Args:
        arguments: The command line behind `seqmodels`.

    Returns:
        The exit code.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        listed = "\n".join(f"  {name:<10} {text}" for name, text in COMMANDS.items())
        print(USAGE.format(commands=listed))
        return 0
    if arguments[0] == "--version":
        from seqmodels import __version__

        print(f"seqmodels {__version__}")
        return 0
    if {"WORLD_SIZE", "SLURM_STEP_ID"} & os.environ.keys():
        # Set before torch is imported: every process would print its advice on how to divide the work.
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    name, rest = arguments[0], arguments[1:]
    if name not in COMMANDS:
        print(f"seqmodels: {name}: no such command; valid: {', '.join(COMMANDS)}", file=sys.stderr)
        return 1
    debug = "debug=true" in rest or DEBUG in os.environ
    rest = [argument for argument in rest if argument not in ("debug=true", "debug=false")]
    return _run(name, rest, debug)


class Terminated(BaseException):
    """SIGTERM outside of training, where there is nothing to save."""


def _terminate(signum: int, frame: object) -> None:
    raise Terminated


def _run(name: str, arguments: list[str], debug: bool) -> int:
    before = signal.signal(signal.SIGTERM, _terminate)
    if debug:
        os.environ[DEBUG] = "true"  # for the processes that this one starts
    try:
        return _guarded(name, arguments, debug)
    except Terminated:
        return 143
    finally:
        signal.signal(signal.SIGTERM, before)
        os.environ.pop(DEBUG, None)


def _guarded(name: str, arguments: list[str], debug: bool) -> int:
    try:
        importlib.import_module(f"seqmodels.commands.{name}").main(arguments)
        sys.stdout.flush()
        return 0
    except Terminated:
        raise
    except KeyboardInterrupt:
        return 130
    except SystemExit as error:
        # Lightning leaves by SystemExit where it was interrupted outside of training.
        return 130 if isinstance(error.__context__, KeyboardInterrupt) else int(error.code or 0)
    except BrokenPipeError:
        # The reader of our output has gone (`| head`); nothing is left to say, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except BaseException as error:
        return _fail(error, debug)


def _fail(error: BaseException, debug: bool) -> int:
    from seqmodels.callbacks import Interrupted
    from seqmodels.commands.failures import explain, go_on
    from seqmodels.commands.launching import LAUNCHED
    from seqmodels.processes import find_place, first_to_tell, is_loss_of_others

    if isinstance(error, Interrupted):
        place = find_place()
        if place is None or place.rank == 0:
            print(go_on(error.signum, error.run), file=sys.stderr)
        return 128 + error.signum
    line = explain(error)
    if is_loss_of_others(error) and LAUNCHED in os.environ:
        return 1  # the launcher knows more of it
    if not first_to_tell():
        return 2 if line is None else 1
    if debug or line is None:
        traceback.print_exception(error)
    if line is None:
        print("seqmodels: this is a fault of the program, not of yours", file=sys.stderr)
        return 2
    print(f"seqmodels: {line}", file=sys.stderr)
    return 1
