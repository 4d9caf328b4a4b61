"""`seqmodels generate [run=RUN] [prompt=...]`: text from a trained run, shown as it is made."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from seqmodels.commands.arguments import parse, print_help
from seqmodels.commands.searching import WritingKeys, read_writing, refuse_drawing
from seqmodels.commands.showing import for_reader
from seqmodels.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from seqmodels.decoding import BeamSearch, Constraints, Sampling, TextWriter, Writing

DRAWING = ("temperature", "top_k", "top_p", "num_samples", "seed")
"""Keys that a beam search has no use for."""

TEMPERATURE = 0.8


def main(arguments: list[str]) -> None:
    """Parses the keys and prints the text."""
    if {"-h", "--help"} & set(arguments):
        return print_help(Generation, "generate")
    for piece in generate(Generation(**parse(Generation, arguments))):
        sys.stdout.write(for_reader(piece))
        sys.stdout.flush()
    sys.stdout.write("\n")


@dataclass(frozen=True)
class Generation(WritingKeys):
    """Writes text with a trained run: tokens are drawn one by one, or with `beam_size` the likeliest text is searched.

    Args:
        run: A run directory, a checkpoint file in one, or `latest`.
        prompt: What the text begins with; a new line where left out.
        class_: The class to write for, where the run writes by class.
        image: The file of the image to write of, where the run writes of images.
        source: What to translate, where the run makes one sequence of another: a text, or the file of a recording.
        length: Tokens to write at most; for a source no more than twice the longest target of training.
        temperature: Below 1 more likely tokens, above 1 more surprising ones, 0 the likeliest; where left out 0.8, and
            0 for a source.
        top_k: Draws from the k likeliest tokens alone.
        top_p: Draws from the likeliest tokens that together hold this probability.
        num_samples: How many texts.
        seed: Repeats the same text.
        trusted: Modules of yours, outside the package, whose classes the run may name: `my_module` or `[one,two]`.
    """

    run: str = "latest"
    prompt: str | None = None
    class_: str | None = None
    image: str | None = None
    source: str | None = None
    length: int = 400
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    num_samples: int = 1
    seed: int | None = None
    trusted: str = ""


def generate(chosen: Generation) -> Iterator[str]:
    """Yields the text that the keys ask for, in pieces.

    Raises:
        UserError: For a value out of range, keys that do not go together, or a prompt the vocabulary cannot spell.
    """
    from seqmodels.decoding import read_context
    from seqmodels.models import Transcriber
    from seqmodels.prediction import read_source, transcribe
    from seqmodels.runs import from_files, load_model, load_run, text_writer
    from seqmodels.tasks.language_modelling import longest_target
    from seqmodels.trust import module_names, trusting

    sampling, writing = _read(chosen)
    for key, value in (("class", chosen.class_), ("image", chosen.image)):
        if chosen.source is not None and value is not None:
            raise UserError(f"source={chosen.source}: goes without {key}={value}")
    with trusting(module_names(chosen.trusted)):
        loaded = load_run(chosen.run)
        with from_files(loaded.path):
            model = load_model(loaded)
        if chosen.source is not None and isinstance(model, Transcriber):
            yield transcribe(loaded, chosen.source, _beam_of_labels(chosen, writing))
            return
        with from_files(loaded.path):
            writer = text_writer(model, loaded.spec)
        if chosen.source is None:
            context = read_context(writer.condition, chosen.class_, chosen.image)
        else:
            context, words = read_source(loaded, chosen.source)
            writer = writer.knowing([words])
            chosen = replace(chosen, length=writing.longest(longest_target(loaded.spec)))
        shown = writer.default_prompt() if chosen.prompt is None else chosen.prompt
        writer.encode_prompt(shown)  # refuses what cannot be spelt before anything is shown
        chosen = replace(chosen, prompt=shown)
        if writing.search is not None:
            constraints = writer.requiring(list(writing.required), writing.constraints)
            yield from _search(writer, chosen, writing.search, constraints, context)
        elif chosen.num_samples == 1:
            yield shown.lstrip("\n")
            yield from writer.stream(shown, chosen.length, sampling, chosen.seed, context, writing.constraints)
        else:
            yield from _samples(writer, chosen, sampling, writing.constraints, context)


def _beam_of_labels(chosen: Generation, writing: "Writing") -> int | None:
    """Returns the beam of a run that transcribes, which knows nothing of the other keys.

    Raises:
        UserError: Where one of them was given.
    """
    for field in fields(chosen):
        value = getattr(chosen, field.name)
        if field.name in (*DRAWING, "prompt", "length") and value != field.default:
            raise UserError(f"{field.name}={value}: this run transcribes, which takes beam_size alone; leave it out")
    return replace(writing, length=None).beam_of_labels()


def _search(
    writer: "TextWriter", chosen: Generation, search: "BeamSearch", constraints: "Constraints", context: "Tensor | None"
) -> Iterator[str]:
    """Yields the texts that are found."""
    contexts = None if context is None else context[None]
    (found,) = writer.search(chosen.prompt, chosen.length, search, contexts=contexts, constraints=constraints)
    if not found:
        raise UserError(f"length={chosen.length}: no text of so many tokens was found that does all that is asked")
    begin = (chosen.prompt or "").lstrip("\n")
    if search.n_best == 1:
        yield begin + found[0].text
        return
    for number, one in enumerate(found, 1):
        yield f"--- {number}, score {one.score:.4f} ---\n{begin}{one.text}\n"


def _samples(
    writer: "TextWriter", chosen: Generation, sampling: "Sampling", constraints: "Constraints", context: "Tensor | None"
) -> Iterator[str]:
    """Yields several texts that are drawn."""
    count, begin = chosen.num_samples, (chosen.prompt or "").lstrip("\n")
    contexts = None if context is None else context.expand(count, *context.shape)
    texts = writer.write(chosen.prompt, chosen.length, sampling, count, chosen.seed, contexts, constraints=constraints)
    for number, text in enumerate(texts, 1):
        yield f"--- sample {number} ---\n{begin}{text}\n"


def _read(chosen: Generation) -> "tuple[Sampling, Writing]":
    """Makes of the keys how text is drawn, and what is asked of it.

    Raises:
        UserError: For a value out of range, or keys that do not go together.
    """
    from seqmodels.decoding import Sampling

    if chosen.num_samples < 1:
        raise UserError(f"num_samples={chosen.num_samples}: expected at least 1")
    if chosen.seed is not None and not 0 <= chosen.seed < 2**63:
        raise UserError(f"seed={chosen.seed}: expected an integer from 0 to 2**63 - 1, or null")
    writing = read_writing(chosen, chosen.length)
    if writing.search is not None:
        refuse_drawing(chosen, *DRAWING)
    usual = TEMPERATURE if chosen.source is None else 0.0
    temperature = usual if chosen.temperature is None else chosen.temperature
    try:
        return Sampling(temperature, chosen.top_k, chosen.top_p), writing
    except ValueError as error:
        raise UserError(str(error)) from error
