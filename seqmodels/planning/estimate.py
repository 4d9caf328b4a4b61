"""The estimate: what it holds and how it is told."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """What a run will take. Bytes are bytes, times are seconds.

    Args:
        name: The run's name.
        parameters: How many numbers are trained.
        updates: How many there will be.
        by_time: Whether the limit of time ends the run, so that their number is open.
        windows: Batches of an epoch.
        tokens: Tokens that an update is made of, on average.
        padding: The share of padding beside them.
        update: Time of an update.
        timed: Updates that this is the mean of.
        validations: How often the validation part is measured while training.
        validation: Time of one, and of the samples and pictures that come with it, on average.
        inspections: How often the model is looked into.
        inspection: Time of one.
        measuring: Time to measure the best model at the end, on validation and test, with pictures and samples.
        writing: Whether measuring has the model write texts, which takes as long as they are.
        saving: Time of all checkpoints.
        checkpoint: Bytes of one, of which three are kept.
        memory: The most that this process has used, in bytes.
        worker: The most that one worker has used, in bytes; 0 where there is none.
        num_workers: How many there are.
        gpu: The most that was used of the GPU's memory, in bytes; 0 where there is none.
        may_stop: Whether the run may end before, as it does by early stopping.
    """

    name: str
    parameters: int
    updates: int
    by_time: bool
    windows: int
    tokens: float
    padding: float
    update: float
    timed: int
    validations: int
    validation: float
    inspections: int
    inspection: float
    measuring: float
    writing: bool
    saving: float
    checkpoint: int
    memory: int
    worker: int
    num_workers: int
    gpu: int
    may_stop: bool

    @property
    def seconds(self) -> float:
        """The time of the whole run."""
        training = self.updates * self.update + self.validations * self.validation
        return training + self.inspections * self.inspection + self.saving + self.measuring

    def text(self) -> str:
        """Returns what is printed."""
        about = "about " if self.by_time else ""
        padding = f", {self.padding:.0%} padding beside them" if self.padding else ""
        lines = {
            "plan": f"{self.name}, from {self.timed} updates; nothing was written",
            "parameters": f"{self.parameters:,}",
            "updates": f"{about}{self.updates:,}, {self.windows:,} windows an epoch",
            "tokens": f"{self.tokens:,.0f} an update{padding}, {about}{round(self.tokens * self.updates):,} in all",
            "time": f"{'at most ' if self.may_stop else 'about '}{duration(self.seconds)}: {self._parts()}",
            "memory": self._memory(),
            "disk": f"{size(3 * self.checkpoint)}: three checkpoints of {size(self.checkpoint)}",
        }
        return "\n".join(f"{name:<12} {line}" for name, line in lines.items())

    def _parts(self) -> str:
        parts = [f"{duration(self.update)} an update"]
        for what, count, seconds in (
            ("validation", self.validations, self.validation),
            ("inspection", self.inspections, self.inspection),
        ):
            if count:
                parts.append(f"{what} {'once' if count == 1 else f'{count:,} times'} {duration(seconds)}")
        texts = ", with texts as long as the model writes them now" if self.writing else ""
        return ", ".join([*parts, f"{duration(self.measuring)} to measure at the end{texts}"])

    def _memory(self) -> str:
        parts = [f"{size(self.memory)} at most so far"]
        if self.num_workers:
            parts.append(f"up to {size(self.worker)} in each of {self.num_workers} workers, much of it shared")
        return ", ".join([*parts, *([f"{size(self.gpu)} on the GPU"] if self.gpu else [])])


def duration(seconds: float) -> str:
    """Writes a time in the units that suit it.

    Example:
        >>> duration(0.0123), duration(4.56), duration(754), duration(7500), duration(200000)
        ('12.3 ms', '4.6 s', '12 min 34 s', '2 h 05 min', '2 d 7 h')
    """
    if seconds < 1:
        return f"{1000 * seconds:.3g} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds) // 60
    if minutes < 60:
        return f"{minutes} min {round(seconds) % 60:02d} s"
    hours = minutes // 60
    return f"{hours} h {minutes % 60:02d} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def size(count: float) -> str:
    """Writes a number of bytes.

    Example:
        >>> size(812), size(5_300_000), size(2_500_000_000)
        ('0.8 kB', '5.3 MB', '2.5 GB')
    """
    unit, factor = next((pair for pair in (("GB", 1e9), ("MB", 1e6)) if count >= pair[1]), ("kB", 1e3))
    return f"{count / factor:.1f} {unit}"
