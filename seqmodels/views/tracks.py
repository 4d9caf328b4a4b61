"""Texts with the states of the layers that read them, and what the model expects at each step."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from seqmodels.views.subject import Ran, Subject, state_name, token_texts

NUM_GUESSES = 5

_KINDS = {"h": "hidden state", "c": "cell state"}


@dataclass
class Expected:
    """What a model expects at each step of a text.

    Attributes:
        names: Of what may come, by number.
        guesses: The likeliest of them, most likely first, `(time, guesses)`.
        probabilities: Theirs.
        truth: The name of what did come at each step; nothing where that is not known.
    """

    names: list[str]
    guesses: Tensor
    probabilities: Tensor
    truth: list[str]


@dataclass
class Track:
    """What some layers read, example after example, and their states after each step.

    Attributes:
        title: "inputs" or "source".
        names: Of the steps of each example, to be shown.
        pieces: The text of each step, which joined are the example's text; nothing for tokens that are no text.
        is_joined: Whether that text is one of words put together, whose spaces are not known.
        states: By layer and kind, such as "layer 1, cell state": `(time, units)` over all examples.
        expected: What the model expects next; `None` where steps predict nothing that has a name.
    """

    title: str
    names: list[list[str]]
    pieces: list[list[str]]
    is_joined: bool
    states: dict[str, Tensor]
    expected: Expected | None

    @property
    def steps(self) -> int:
        """Steps of all examples."""
        return sum(map(len, self.names))


def read_tracks(subject: Subject, most_steps: int) -> list[Track]:
    """Runs a subject's examples, and sorts states by the text that they were reading: inputs, or a source.

    Layers whose steps have no names, as those that read frames, have no track.

    Args:
        subject: A trained model with examples.
        most_steps: No further example is read once there are so many steps.
    """
    places: list[int] = []
    while len(places) < len(subject.examples):
        if sum(len(subject.examples[place].inputs) for place in places) >= most_steps:
            break
        places.append(len(places))
    tracks = (_track(subject, places, title) for title in ("inputs", "source"))
    return [track for track in tracks if track is not None]


def _track(subject: Subject, places: Sequence[int], title: str) -> Track | None:
    is_source = title == "source"
    labels = [subject.labels(place) for place in places]
    named = [names for label in labels if (names := label.source if is_source else label.inputs)]
    if not named or len(named) < len(places):
        return None
    states = [_states(subject, place, len(names), is_source) for place, names in zip(places, named, strict=True)]
    shared = [name for name in states[0] if all(name in part for part in states)]
    if not shared:
        return None
    tokenizer = subject.source_tokenizer if is_source else subject.tokenizer
    special = () if tokenizer is None else tokenizer.special_tokens
    is_joined = tokenizer is None or tokenizer.kind == "word"
    return Track(
        title,
        named,
        [_pieces(names, special, is_joined) for names in named],
        is_joined,
        {name: torch.cat([part[name] for part in states]) for name in shared},
        None if is_source else _expected(subject, places),
    )


def _states(subject: Subject, place: int, steps: int, is_source: bool) -> dict[str, Tensor]:
    """Returns the states of the layers that read these steps."""
    encoder = getattr(subject.model, "encoder", None)
    is_turned = is_source and bool(getattr(encoder, "reverse", False))  # it reads the source from its end
    is_alone = not hasattr(subject.model, "recurrent")  # a model that is all encoder
    states = {}
    for record in subject.ran(place).recording.cells:
        reads_source = encoder is not None and (is_alone or record.name.startswith("encoder"))
        if reads_source != is_source or len(record.steps) != steps:
            continue
        for number, values in enumerate(record.states):
            named = state_name(record, number)
            kind = _KINDS.get(named, named)
            values = values[:, 0].float().cpu()
            states[f"{record.name}, {kind}"] = values.flip(0) if is_turned else values
    return states


def _pieces(names: Sequence[str], special: Sequence[str], is_joined: bool) -> list[str]:
    """Returns the text of each step: words of a line are parted by spaces, `<eos>` and the like are nothing."""
    pieces, before = [], ""
    for name in names:
        is_text = name not in special
        space = " " if is_joined and is_text and name != "\n" and before not in ("", "\n") else ""
        pieces.append(space + name if is_text else "")
        before = name if is_text else before
    return pieces


def _expected(subject: Subject, places: Sequence[int]) -> Expected | None:
    names = _outcomes(subject)
    if names is None:
        return None
    guesses, probabilities, truth = [], [], []
    for place in places:
        found = _guess(subject.ran(place), len(subject.examples[place].inputs), len(names))
        if found is None:
            return None
        guesses.append(found[1])
        probabilities.append(found[0])
        truth += subject.labels(place).targets or [""] * len(found[0])
    return Expected(names, torch.cat(guesses), torch.cat(probabilities), truth)


def _outcomes(subject: Subject) -> list[str] | None:
    """Returns the names of what steps predict, by number; `None` where that has none."""
    targets = subject.spec.get("targets")
    if targets is not None:
        classes = targets.get("classes") if targets.get("kind") == "classes" else None
        return None if classes is None else [str(name) for name in classes]
    tokenizer = subject.tokenizer
    return None if tokenizer is None else token_texts(tokenizer, range(tokenizer.vocab_size))


def _guess(ran: Ran, steps: int, count: int) -> tuple[Tensor, Tensor] | None:
    """Returns probabilities and numbers of the likeliest of `count` outcomes, if each step has scores of them."""
    outputs = ran.outputs
    if outputs.dim() != 3 or outputs.shape[1] != steps or outputs.shape[2] < count:
        return None
    probabilities = outputs[0].float().softmax(-1)[:, :count].cpu()  # words that are copied come behind, unnamed
    best = probabilities.topk(min(NUM_GUESSES, count), -1)
    return best.values, best.indices
