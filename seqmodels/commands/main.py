"""The `seqmodels` command: picks the command, turns every failure into an exit code.

Exit codes: 0 done; 1 a user's mistake, one line on stderr; 2 a fault of the program, with traceback; 130 and 143 after
SIGINT and SIGTERM.
"""

import importlib
import os
import sys
import traceback

COMMANDS = {
    "train": "train a model; -m sweeps over comma-separated values; resume=RUN continues a run",
    "evaluate": "measure a trained run on a part of its data, or on other data",
    "generate": "write text with a trained run",
    "list": "list what configuration can choose from",
}

USAGE = """usage: seqmodels COMMAND [key=value ...]

commands:
{commands}

examples:
  seqmodels train data=text_file data.path=my.txt cell=gru
  seqmodels evaluate run=latest split=test
  seqmodels generate prompt="def " length=400
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
    name, rest = arguments[0], arguments[1:]
    if name not in COMMANDS:
        print(f"seqmodels: {name}: no such command; valid: {', '.join(COMMANDS)}", file=sys.stderr)
        return 1
    debug = "debug=true" in rest
    rest = [argument for argument in rest if argument not in ("debug=true", "debug=false")]
    return _run(name, rest, debug)


def _run(name: str, arguments: list[str], debug: bool) -> int:
    try:
        importlib.import_module(f"seqmodels.commands.{name}").main(arguments)
        sys.stdout.flush()
        return 0
    except (KeyboardInterrupt, SystemExit) as error:
        return 130 if isinstance(error, KeyboardInterrupt) else int(error.code or 0)
    except BrokenPipeError:
        # The reader of our output has gone (`| head`); nothing is left to say, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except BaseException as error:
        return _fail(error, debug)


def _fail(error: BaseException, debug: bool) -> int:
    from seqmodels.commands.failures import explain, signal_of

    signum = signal_of(error)
    if signum is not None:
        print(f"stopped by {error}; continue with: seqmodels train resume=latest", file=sys.stderr)
        return 128 + signum
    line = explain(error)
    if debug or line is None:
        traceback.print_exception(error)
    if line is None:
        print("seqmodels: this is a fault of the program, not of yours", file=sys.stderr)
        return 2
    print(f"seqmodels: {line}", file=sys.stderr)
    return 1
