"""`seqmodels list [models|data|cells|experiments]`: what configuration can choose from, a line each."""

from seqmodels.commands.composing import CONFIG_DIR, description, options
from seqmodels.errors import UserError

PLURALS = {
    "experiments": "experiment",
    "data": "data",
    "models": "model",
    "tasks": "task",
    "cells": "cell",
    "frontends": "frontend",
    "readouts": "readout",
    "attentions": "attention",
    "losses": "loss",
    "tokenizers": "tokenizer",
    "teacher_forcing": "teacher_forcing",
    "optimizers": "optimizer",
    "schedulers": "scheduler",
    "trainers": "trainer",
    "hparams_search": "hparams_search",
}


def main(arguments: list[str]) -> None:
    """Prints one kind, or all."""
    if {"-h", "--help"} & set(arguments):
        print(f"usage: seqmodels list [{'|'.join(PLURALS)}]")
        return
    plurals = {group: plural for plural, group in PLURALS.items()}
    chosen = [plurals.get(argument, argument) for argument in arguments]
    unknown = [argument for argument in chosen if argument not in PLURALS]
    if unknown:
        raise UserError(f"{unknown[0]}: nothing to list by that name; valid: {', '.join(PLURALS)}")
    for plural in chosen or PLURALS:
        group = PLURALS[plural]
        if not (CONFIG_DIR / group).is_dir():
            continue
        print(f"{plural} ({group}=...)")
        for name in options(group):
            print(f"  {name:<25} {description(group, name)}")
        if plural == "cells":
            _print_kernels()


def _print_kernels() -> None:
    """Says how this machine can run cells."""
    from seqmodels.nn import backends  # torch takes its time to load, and only this needs it

    print(f"kernels of this machine, the fastest first (model.backend=...): {', '.join(backends())}")
