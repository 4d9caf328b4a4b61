"""The sizes of a model before memory is taken for it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as hooks

from seqmodels.errors import UserError

_PARTS_BESIDE = 10_000
_BYTES_BESIDE = 1 << 26
_TIMES = 16


def check_layers(config: Any, weights: Mapping[str, Tensor], place: str) -> None:
    """Refuses more layers than there are weights, of which each layer has one at least.

    Args:
        config: Of a model.
        weights: Those that it is for.
        place: Where the configuration stands, for messages.

    Raises:
        UserError: Where there are.
    """
    for key, value in config.items() if isinstance(config, Mapping) else ():
        if key.startswith("num_") and type(value) is int and value > _PARTS_BESIDE + len(weights):
            raise UserError(f"{place}.{key}={value}: the weights are {len(weights)}")
        check_layers(value, weights, f"{place}.{key}")


@contextmanager
def outlined(weights: Mapping[str, Tensor], place: str) -> Iterator[None]:
    """Makes modules without memory within the block: shapes alone, on torch's `meta` device.

    Args:
        weights: Those that the modules are for; no more parts are made than could have them.
        place: Whose they are, for messages.

    Raises:
        UserError: Where far more parts are made than there are weights, as a number of layers that is absurd does.
    """
    limit = _PARTS_BESIDE + _TIMES * len(weights)
    count = 0

    def counted(*_: object) -> None:
        nonlocal count
        count += 1
        if count > limit:
            raise UserError(f"{place}: describes a model of more than {limit:,} parts; the weights are {len(weights)}")

    handles = [
        hooks.register_module_parameter_registration_hook(counted),
        hooks.register_module_buffer_registration_hook(counted),
        hooks.register_module_module_registration_hook(counted),
    ]
    try:
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            yield
    finally:
        for handle in handles:
            handle.remove()


def check_size(model: nn.Module, weights: Mapping[str, Tensor], place: str) -> None:
    """Refuses a model that takes far more memory than its weights do.

    Args:
        model: As `outlined` makes it.
        weights: Those that it is for, of the same shapes; several may share their values.
        place: Whose they are, for messages.

    Raises:
        UserError: Where it does.
    """
    needed = sum(tensor.numel() * tensor.element_size() for tensor in chain(model.parameters(), model.buffers()))
    stored = {one.untyped_storage().data_ptr(): one.untyped_storage().nbytes() for one in weights.values()}
    there = sum(stored.values())
    if needed > _BYTES_BESIDE + _TIMES * there:
        raise UserError(f"{place}: describes a model of {needed:,} bytes; the weights have {there:,}")
