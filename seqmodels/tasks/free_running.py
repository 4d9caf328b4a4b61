"""Running a language model on its own predictions, or on a mixture of these and the truth."""

from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from seqmodels.models import EncoderDecoder, SequenceModel
from seqmodels.nn import State

Feed = Literal["argmax", "sample", "mixed"]


def check_feed(feed: str) -> None:
    """Refuses an unknown way to feed predictions back.

    Raises:
        ValueError: With those that there are.
    """
    if feed not in get_args(Feed):
        raise ValueError(f"feed={feed}: expected one of {', '.join(get_args(Feed))}")


def run_freely(
    model: SequenceModel | EncoderDecoder,
    inputs: Tensor,
    forced: Tensor,
    feed: Feed = "argmax",
    state: State | None = None,
    memory: Any = None,
) -> tuple[Tensor, Tensor, State]:
    """Runs a model step by step, each step reading the truth or what the step before predicted.

    Fed back are the likeliest token ("argmax") or one that is drawn ("sample"), as in Bengio et al. 2015, "Scheduled
    sampling", where no gradient flows through the choice; or the embeddings of all tokens, mixed as likely as they are
    ("mixed"), through which it does (Goyal, Dyer and Berg-Kirkpatrick 2017, "Differentiable scheduled sampling").

    Args:
        model: The model.
        inputs: The true tokens `(batch, time)`.
        forced: Where they are read `(batch, time)`, bool; at the first step they are anyhow.
        feed: What is read elsewhere.
        state: Where to begin; at the beginning of sequences where left out.
        memory: What `model.remember` made of what sequences are conditioned on.

    Returns:
        The hidden outputs `(batch, time, features)`, the logits `(batch, time, vocab_size)`, and the state after the
        last step.

    Example:
        >>> from seqmodels.models import LanguageModel
        >>> from seqmodels.nn import GRUCell
        >>> model = LanguageModel(vocab_size=5, cell=GRUCell, hidden_size=8)
        >>> inputs = torch.tensor([[1, 2, 3]])
        >>> _, free, _ = run_freely(model, inputs, torch.zeros(1, 3, dtype=torch.bool))
        >>> _, forced, _ = run_freely(model, inputs, torch.ones(1, 3, dtype=torch.bool))
        >>> torch.allclose(forced, model(inputs)[0], atol=1e-6), torch.equal(free[:, 0], forced[:, 0])
        (True, True)
    """
    hidden: list[Tensor] = []
    logits: list[Tensor] = []
    read = inputs[:, :1]
    for step in range(inputs.shape[1]):
        if step:
            read = _mixed(inputs[:, step], logits[-1][:, 0], forced[:, step], feed)[:, None]
        one, state = model.hidden(read, state, memory=memory)
        hidden.append(one)
        logits.append(model.outputs(one, memory=memory))
    assert state is not None
    return torch.cat(hidden, 1), torch.cat(logits, 1), state


def _mixed(truth: Tensor, logits: Tensor, forced: Tensor, feed: Feed) -> Tensor:
    """Returns what a step reads: ids `(batch,)`, or how likely each token is `(batch, vocab_size)`."""
    if feed == "mixed":
        probabilities = logits.softmax(-1)
        true = one_hot(truth, logits.shape[-1]).to(probabilities.dtype)
        return torch.where(forced[:, None], true, probabilities)
    if feed == "argmax":
        return torch.where(forced, truth, logits.argmax(-1))
    # Drawn on the processor, so that a seed gives the same on all devices.
    drawn = torch.multinomial(logits.detach().float().softmax(-1).cpu(), 1).squeeze(1)
    return torch.where(forced, truth, drawn.to(truth.device))
