"""Professor forcing: a discriminator that a model's own runs shall not be told from forced ones by."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import softplus

from seqmodels import processes
from seqmodels.nn import make_recurrent, valid_mask


class ProfessorForcing(nn.Module):
    """Tells by the hidden outputs whether a model was given the truth, and lets the model learn to leave no difference.

    The discriminator reads a sequence of hidden outputs from both ends and takes the mean over its steps. It learns by
    `-log D(forced) - log(1 - D(free))`; the model gets `-log D(free)` beside its own loss, where the discriminator is
    right often enough (Lamb et al. 2016, "Professor forcing: a new algorithm for training recurrent networks", which
    gives the two bounds).

    Args:
        features: Of the hidden outputs.
        cell: Makes the discriminator's cell, see `seqmodels.nn.make_recurrent`.
        hidden_size: Its units in each direction.
        weight: Factor on what the model gets.
        learn_below: The discriminator learns while it is right less often than this.
        teach_above: The model gets its term while the discriminator is right more often than this.

    Raises:
        ValueError: Where a value is out of range.

    Example:
        >>> professor = ProfessorForcing(4, torch.nn.GRU, hidden_size=8)
        >>> forced, free = torch.randn(2, 5, 4), torch.randn(2, 5, 4, requires_grad=True)
        >>> professor(forced, free, torch.tensor([5, 3])).shape
        torch.Size([])
    """

    def __init__(
        self,
        features: int,
        cell: Callable[..., nn.Module],
        hidden_size: int = 64,
        weight: float = 1.0,
        learn_below: float = 0.99,
        teach_above: float = 0.75,
    ):
        super().__init__()
        if not weight > 0:
            raise ValueError(f"weight={weight}: expected more than 0")
        for name, share in (("learn_below", learn_below), ("teach_above", teach_above)):
            if not 0 <= share <= 1:
                raise ValueError(f"{name}={share}: expected a share, 0 <= s <= 1")
        self.weight, self.learn_below, self.teach_above = weight, learn_below, teach_above
        self.judge = _Judge(features, cell, hidden_size)

    def forward(self, forced: Tensor, free: Tensor, lengths: Tensor, weight: Tensor | int | None = None) -> Tensor:
        """Returns what is added to the loss.

        Args:
            forced: Hidden outputs under teacher forcing `(batch, time, features)`; no gradient flows back into them.
            free: Those of the model reading its own predictions, likewise.
            lengths: Steps of each row `(batch,)`.
            weight: How many of the rows count among those of all processes, see `part_of_mean`; all where left out.
        """
        weight = len(lengths) if weight is None else weight
        on_forced, on_free = self.judge(forced.detach(), lengths), self.judge(free.detach(), lengths)
        is_right = torch.cat([on_forced > 0, on_free < 0]).float().mean()
        right = float(processes.total(processes.part_of_mean(is_right, weight))) / processes.count()
        loss = free.new_zeros(())
        if right < self.learn_below:
            loss = loss + (softplus(-on_forced) + softplus(on_free)).mean()
        if right > self.teach_above:
            fixed = {name: parameter.detach() for name, parameter in self.judge.named_parameters()}
            loss = loss + self.weight * softplus(-functional_call(self.judge, fixed, (free, lengths))).mean()
        return processes.part_of_mean(loss, weight)


class _Judge(nn.Module):
    """Scores hidden outputs `(batch, time, features)`, high where it takes them for forced: `(batch,)`."""

    def __init__(self, features: int, cell: Callable[..., nn.Module], hidden_size: int):
        super().__init__()
        self.recurrent = make_recurrent(cell, features, hidden_size, bidirectional=True)
        self.score = nn.Sequential(nn.Linear(2 * hidden_size, hidden_size), nn.ReLU(), nn.Linear(hidden_size, 1))

    def forward(self, hidden: Tensor, lengths: Tensor) -> Tensor:
        outputs, _ = self.recurrent(hidden, lengths=lengths)
        mask = valid_mask(lengths, hidden.shape[1])[..., None]
        mean = (outputs * mask).sum(1) / mask.sum(1).clamp(min=1)
        return self.score(mean)[:, 0]
