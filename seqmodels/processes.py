"""Several processes that train one model: which of them this is, what each takes, what they tell each other.

They are started by `seqmodels train trainer.devices=N`, by torchrun or by srun; without these there is one, and all
that is asked here answers at once. What is told goes by gloo where it lies on the processor, by NCCL where on a GPU.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch import distributed as dist

from seqmodels.errors import UserError

T = TypeVar("T")

PATIENCE = timedelta(hours=2)
"""So long one process waits for another, which may be writing samples or building a cache."""

_store: dist.Store | None = None


@dataclass(frozen=True)
class Place:
    """Which of several processes this one was started as.

    Args:
        rank: Its number, from 0.
        count: How many there are.
        local_rank: Its number on this machine.
        local_count: How many there are on this machine.
    """

    rank: int
    count: int
    local_rank: int
    local_count: int


@dataclass(frozen=True)
class Share:
    """The rows of a batch that one of several processes takes: row `rank` and every `count`-th behind it.

    A process for which a batch has no row takes the first one, so that it goes through the same steps as the others,
    and counts for nothing.

    Args:
        rank: The process, from 0.
        count: How many there are.

    Example:
        >>> [list(range(5))[Share(rank, 2).rows(5)] for rank in (0, 1)]
        [[0, 2, 4], [1, 3]]
        >>> Share(1, 2).rows(1), Share(1, 2).stands_in(1)
        (slice(0, 1, None), True)
    """

    rank: int = 0
    count: int = 1

    def stands_in(self, num_rows: int) -> bool:
        """Whether a batch of so many rows has none for this process."""
        return self.rank >= num_rows

    def rows(self, num_rows: int) -> slice:
        """Returns which rows it takes of so many."""
        return slice(0, 1) if self.stands_in(num_rows) else slice(self.rank, None, self.count)


def join_rows(parts: Sequence[Tensor]) -> Tensor:
    """Puts rows that `Share` dealt out back in their order.

    Args:
        parts: Those of each process that had any, by its number; rows are at dimension 1.

    Example:
        >>> join_rows([torch.tensor([[0, 2, 4]]), torch.tensor([[1, 3]])])
        tensor([[0, 1, 2, 3, 4]])
    """
    whole = parts[0].new_empty((parts[0].shape[0], sum(part.shape[1] for part in parts), *parts[0].shape[2:]))
    for rank, part in enumerate(parts):
        whole[:, rank :: len(parts)] = part
    return whole


def find_place(environment: Mapping[str, str] | None = None) -> Place | None:
    """Returns which of several processes this one is, by what torchrun and srun say; `None` where it is alone.

    Args:
        environment: Variables by name; the process's own where left out.

    Example:
        >>> find_place({"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"})
        Place(rank=3, count=4, local_rank=1, local_count=2)
    """
    env = os.environ if environment is None else environment
    if {"RANK", "WORLD_SIZE", "LOCAL_RANK"} <= env.keys():
        count = int(env["WORLD_SIZE"])
        place = Place(int(env["RANK"]), count, int(env["LOCAL_RANK"]), int(env.get("LOCAL_WORLD_SIZE", count)))
    elif {"SLURM_STEP_ID", "SLURM_PROCID", "SLURM_LOCALID"} <= env.keys():  # a step is what srun starts
        count = int(env.get("SLURM_STEP_NUM_TASKS") or env.get("SLURM_NTASKS", "1"))
        machines = int(env.get("SLURM_STEP_NUM_NODES") or env.get("SLURM_NNODES", "1"))
        place = Place(int(env["SLURM_PROCID"]), count, int(env["SLURM_LOCALID"]), count // machines)
    else:
        return None
    return place if place.count > 1 else None


def join(cuda: bool) -> None:
    """Meets the other processes; does nothing where there are none.

    Args:
        cuda: Whether each of them has a GPU.

    Raises:
        UserError: Where they do not meet.
    """
    global _store
    place = find_place()
    if place is None:
        return
    _name_meeting_place(place)
    if cuda:
        torch.cuda.set_device(place.local_rank)
    try:
        store, rank, count = next(dist.rendezvous("env://", timeout=PATIENCE))
        backend = "cpu:gloo,cuda:nccl" if cuda else "gloo"
        dist.init_process_group(backend, store=store, rank=rank, world_size=count, timeout=PATIENCE)
    except (OSError, ValueError, RuntimeError) as error:
        where = f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"
        raise UserError(f"process {place.rank} of {place.count} cannot meet the others at {where}: {error}") from error
    _store = dist.PrefixStore("seqmodels", store)


def _name_meeting_place(place: Place) -> None:
    """Gives srun's processes the variables that torchrun sets, so that all that follows knows one way."""
    if "RANK" in os.environ:
        return
    from lightning.fabric.plugins.environments import SLURMEnvironment

    nodes = os.environ.get("SLURM_STEP_NODELIST") or os.environ.get("SLURM_NODELIST", "127.0.0.1")
    os.environ.setdefault("MASTER_ADDR", SLURMEnvironment.resolve_root_node_address(nodes))
    job, step = int(os.environ.get("SLURM_JOB_ID", 0)), int(os.environ["SLURM_STEP_ID"])
    os.environ.setdefault("MASTER_PORT", str(20000 + (job + step) % 10000))
    os.environ["RANK"], os.environ["WORLD_SIZE"] = str(place.rank), str(place.count)
    os.environ["LOCAL_RANK"], os.environ["LOCAL_WORLD_SIZE"] = str(place.local_rank), str(place.local_count)
    os.environ["GROUP_RANK"] = str(place.rank // place.local_count)


def leave() -> None:
    """Parts from the other processes, once all are ready to; what is asked from then on is asked of this one alone."""
    global _store
    if joined():
        dist.barrier()
        dist.destroy_process_group()
        _store = None


def joined() -> bool:
    """Whether this process has met others."""
    return dist.is_available() and dist.is_initialized()


def rank() -> int:
    """Returns the number of this process among those that it has met."""
    return dist.get_rank() if joined() else 0


def count() -> int:
    """Returns how many processes have met, this one included."""
    return dist.get_world_size() if joined() else 1


def share() -> Share:
    """Returns what this process takes of each batch."""
    return Share(rank(), count())


@contextmanager
def one_ahead() -> Iterator[None]:
    """Has one process of each machine go through a block before the others, which then find what it has cached."""
    place = find_place() if joined() else None
    if place is not None and place.local_rank > 0:
        dist.barrier()
    yield
    if place is not None and place.local_rank == 0:
        dist.barrier()


def total(values: Tensor) -> Tensor:
    """Returns the sum of a tensor over all processes."""
    if joined():
        values = values.clone()
        dist.all_reduce(values)
    return values


def largest(value: float) -> float:
    """Returns the largest of a number that each process has, so that all decide alike by it."""
    if not joined():
        return value
    values = torch.tensor([value], dtype=torch.float64)
    dist.all_reduce(values, dist.ReduceOp.MAX)
    return float(values)


def of_first(value: T) -> T:
    """Returns what the first process has; plain values."""
    if not joined():
        return value
    values = [value]
    dist.broadcast_object_list(values, src=0, device=torch.device("cpu"))
    return values[0]


def of_all(value: T) -> list[T]:
    """Returns what each process has, by its number; plain values and tensors on the processor."""
    values: list[Any] = [value]
    if joined():
        values = [None] * count()
        dist.all_gather_object(values, value)
    return values


def part_of_mean(mean: Tensor, weight: Tensor | int) -> Tensor:
    """Scales a mean over this process's items so that the average over processes is the mean over all items.

    Args:
        mean: Over this process's items; its gradient goes through.
        weight: How many these are.

    Returns:
        The mean itself where there is one process.
    """
    if not joined():
        return mean
    own = torch.as_tensor(weight, device=mean.device).double()
    everyone = total(own)
    return mean * (count() * own / torch.where(everyone > 0, everyone, 1)).to(mean.dtype)


def first_to_tell() -> bool:
    """Whether it is for this process to tell why it fails: the first to fail does, the others fail for its sake."""
    place = find_place()
    if place is None:
        return True
    if _store is None:  # what goes wrong before processes meet goes wrong in all of them
        return place.rank == 0
    try:
        return _store.compare_set("failed", "", str(place.rank)).decode() == str(place.rank)
    except RuntimeError:  # gone with the process that keeps it
        return False


def is_loss_of_others(error: BaseException) -> bool:
    """Whether an error says no more than that another process is gone."""
    told = str(error)
    lost = isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "gloo" in told)
    return joined() and lost
