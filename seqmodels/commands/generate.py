"""`seqmodels generate [run=RUN] [prompt=...]`: text from a trained run, shown as it is made."""

import sys
from collections.abc import Iterator

from seqmodels.commands.arguments import parse, print_help


def main(arguments: list[str]) -> None:
    """Parses the keys and prints the text."""
    if {"-h", "--help"} & set(arguments):
        return print_help(generate, "generate")
    for piece in generate(**parse(generate, arguments)):
        sys.stdout.write(piece)
        sys.stdout.flush()
    sys.stdout.write("\n")


def generate(
    run: str = "latest",
    prompt: str | None = None,
    class_: str | None = None,
    image: str | None = None,
    length: int = 400,
    temperature: float = 0.8,
    top_k: int | None = None,
    top_p: float | None = None,
    num_samples: int = 1,
    seed: int | None = None,
    trusted: str = "",
) -> Iterator[str]:
    """Writes text with a trained run.

    Args:
        run: A run directory, a checkpoint file in one, or `latest`.
        prompt: What the text begins with; a new line where left out.
        class_: The class to write for, where the run writes by class.
        image: The file of the image to write of, where the run writes of images.
        length: Tokens to write at most.
        temperature: Below 1 more likely tokens, above 1 more surprising ones, 0 always the likeliest.
        top_k: Draws from the k likeliest tokens alone.
        top_p: Draws from the likeliest tokens that together hold this probability.
        num_samples: How many texts.
        seed: Repeats the same text.
        trusted: Modules of yours, outside the package, whose classes the run may name: `my_module` or `[one,two]`.

    Raises:
        UserError: For a value out of range, or a prompt the vocabulary cannot spell.
    """
    from seqmodels.decoding import Sampling, read_context
    from seqmodels.errors import UserError
    from seqmodels.runs import load_model, load_run, text_writer
    from seqmodels.trust import module_names, trusting

    if num_samples < 1:
        raise UserError(f"num_samples={num_samples}: expected at least 1")
    if seed is not None and not 0 <= seed < 2**63:
        raise UserError(f"seed={seed}: expected an integer from 0 to 2**63 - 1, or null")
    if length < 1:
        raise UserError(f"length={length}: expected at least 1")
    try:
        sampling = Sampling(temperature, top_k, top_p)
    except ValueError as error:
        raise UserError(str(error)) from error
    with trusting(module_names(trusted)):
        loaded = load_run(run)
        writer = text_writer(load_model(loaded), loaded.spec)
        context = read_context(writer.condition, class_, image)
        shown = writer.default_prompt() if prompt is None else prompt
        if num_samples == 1:
            yield shown.lstrip("\n")
            yield from writer.stream(shown, length, sampling, seed, context)
            return
        contexts = None if context is None else context.expand(num_samples, *context.shape)
        for number, text in enumerate(writer.write(shown, length, sampling, num_samples, seed, contexts), 1):
            yield f"--- sample {number} ---\n{shown.lstrip(chr(10))}{text}\n"
