"""Before anything is timed: the same weights and inputs must give the same outputs and gradients."""

import torch
from torch import Tensor, nn

from seqmodels.benchmarks.contenders import Batch
from seqmodels.nn import Recurrent

# Of the largest number in a tensor. Rounding in float32 stays two orders below.
TOLERANCE = 1e-3


class Disagreement(RuntimeError):
    """Our layer and what it is held to compute different things; a time would mean nothing."""


def paired_names(layer: nn.Module, twin: nn.Module) -> dict[str, str]:
    """Finds for each parameter of a layer the one of another layer that does the same.

    Args:
        layer: A `Recurrent`, or a layer with torch's names.
        twin: A layer with torch's names, or one of the same kind as `layer`.

    Returns:
        Names in `twin` by names in `layer`; those of which `twin` has none are left out.
    """
    theirs = dict(twin.named_parameters())
    num_directions = layer.num_directions if isinstance(layer, Recurrent) else 1
    pairs = {}
    for name, _ in layer.named_parameters():
        if name in theirs:
            pairs[name] = name
        elif name.startswith("cells."):
            _, number, own_name = name.split(".", 2)
            depth, direction = divmod(int(number), num_directions)
            torch_name = f"{own_name}_l{depth}" + "_reverse" * direction
            if torch_name in theirs:
                pairs[name] = torch_name
    return pairs


@torch.no_grad()
def copy_weights(source: nn.Module, layer: nn.Module) -> None:
    """Copies the parameters of one layer into those of another that do the same."""
    parameters, sources = dict(layer.named_parameters()), dict(source.named_parameters())
    for name, source_name in paired_names(layer, source).items():
        parameters[name].copy_(sources[source_name])


def results(layer: nn.Module, batch: Batch) -> dict[str, Tensor]:
    """Runs a layer forward and backward.

    Returns:
        The outputs, the gradient of the inputs and those of the parameters, by name.
    """
    torch.manual_seed(2)  # what a cell draws is drawn alike
    names = ["outputs", "inputs", *(name for name, _ in layer.named_parameters())]
    return dict(zip(names, batch.backward(layer), strict=True))


def errors(layer: nn.Module, twin: nn.Module, batch: Batch, twin_batch: Batch | None = None) -> dict[str, float]:
    """Compares outputs and gradients of a layer with those of another.

    Args:
        layer: The layer; it gets the weights of the other.
        twin: What defines right.
        batch: What the layer runs on.
        twin_batch: The same numbers in the other's dtype; the batch itself if None.

    Returns:
        For each tensor the largest difference, as a share of the largest number in it.
    """
    copy_weights(twin, layer)
    ours, theirs = results(layer, batch), results(twin, twin_batch or batch)
    pairs = {"outputs": "outputs", "inputs": "inputs", **paired_names(layer, twin)}
    return {name: error(ours[name], theirs[twin_name]) for name, twin_name in pairs.items()}


def check(found: dict[str, float], what: str, tolerance: float = TOLERANCE) -> None:
    """Refuses differences beyond rounding.

    Args:
        found: What `errors` found.
        what: Names the pair, for the message.
        tolerance: The largest difference allowed.

    Raises:
        Disagreement: Names the first tensor that differs, the outputs before the gradients, and by how much.
    """
    for name, difference in found.items():
        if difference > tolerance:
            kind = "the outputs differ" if name == "outputs" else f"the gradients of {name} differ"
            raise Disagreement(
                f"{what}: {kind} by {difference:.2g} of the largest, at most {tolerance:.2g} is rounding"
            )


def error(ours: Tensor, theirs: Tensor) -> float:
    """Gives the largest difference as a share of the largest number; infinite where a number is not finite."""
    theirs = theirs.detach().double()
    difference = (ours.detach().double() - theirs).abs().max() / theirs.abs().max()
    return float(difference) if bool(difference.isfinite()) else float("inf")
