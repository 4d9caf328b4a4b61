"""What the model writes, after each validation: to TensorBoard and to `samples/`."""

from itertools import cycle, islice
from pathlib import Path

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger

from seqmodels.decoding import Sampling, TextWriter


class Samples(Callback):
    """Writes samples after each validation; the global generators are left alone.

    A model that writes by class is given the classes in turn; each sample begins with its class in brackets. What is
    written of images is shown by the pictures of a measure, and not here.

    Args:
        writer: Writes with the model that is trained.
        num_samples: How many.
        length: Tokens in each at most.
        temperature: Of sampling, see `seqmodels.decoding.Sampling`.
        prompt: What each begins with; the start of a line where left out.
        every_n_validations: Validations from one set of samples to the next.

    Raises:
        ValueError: Where a value is out of range.
    """

    def __init__(
        self,
        writer: TextWriter,
        num_samples: int = 3,
        length: int = 300,
        temperature: float = 0.8,
        prompt: str | None = None,
        every_n_validations: int = 1,
    ):
        for name, value in {
            "num_samples": num_samples,
            "length": length,
            "every_n_validations": every_n_validations,
        }.items():
            if value < 1:
                raise ValueError(f"{name}={value}: expected at least 1")
        writer.encode_prompt(prompt)  # refuses now what the vocabulary cannot spell
        self.writer = writer
        self.num_samples = num_samples
        self.length = length
        self.sampling = Sampling(temperature)
        self.prompt = prompt
        self.every_n_validations = every_n_validations
        self.validations = 0

    def texts(self) -> list[str]:
        """Makes the samples, always from the same seed, so that progress shows and not chance."""
        condition = self.writer.condition
        if condition is None:
            return self.writer.write(self.prompt, self.length, self.sampling, self.num_samples, seed=0)
        if not condition.classes:
            return []
        names = list(islice(cycle(condition.classes), self.num_samples))
        contexts = torch.stack([condition.of_class(name) for name in names])
        texts = self.writer.write(self.prompt, self.length, self.sampling, self.num_samples, seed=0, contexts=contexts)
        return [f"[{name}]\n{text}" for name, text in zip(names, texts, strict=True)]

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Makes and writes the samples."""
        if trainer.state.fn != "fit" or not trainer.is_global_zero:
            return
        self.validations += 1
        if (self.validations - 1) % self.every_n_validations:
            return
        texts = self.texts()
        if not texts:
            return
        folder = Path(trainer.default_root_dir) / "samples"
        folder.mkdir(exist_ok=True)
        rule = "\n" + "-" * 40 + "\n"
        (folder / f"step_{trainer.global_step:07d}.txt").write_text(rule.join(texts) + "\n", encoding="utf-8")
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                for number, text in enumerate(texts, 1):
                    indented = "\n".join("    " + line for line in text.splitlines())
                    logger.experiment.add_text(f"sample/{number}", indented, trainer.global_step)
