"""Neurons: what single units follow, on the text itself."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import Any, ClassVar

import numpy as np
import torch

from seqmodels.analysis import Feature, Found, Search, default_features, search_units
from seqmodels.analysis.neurons import LEAST_STEPS
from seqmodels.errors import UserError
from seqmodels.views.subject import Subject, shown
from seqmodels.views.tracks import Track, read_tracks
from seqmodels.views.unit_lines import MOST_LAYERS, draw_lines, liveliest_units
from seqmodels.views.unit_page import kept_units, page_data, search_table, tell_kept
from seqmodels.views.unit_text import Coloured, draw_texts
from seqmodels.views.view import Picture, Section, View

GOOD = 0.8
"""A held-out score from which on a unit is said to follow a feature, where "always" scores less."""

DRAWN = 3
"""Units that are drawn on a picture too, for TensorBoard."""


_JOINED = "goes by marks and spaces as they were written, which of a text of words are not known"


class Neurons(View):
    """A text coloured by the activation of a unit, what the model expects at each step, and a search over all units.

    After Karpathy et al. 2015, "Visualizing and understanding recurrent networks". Of sequences whose steps have no
    names, lines of a few units over time.

    Args:
        features: What units are held against, made of the text: functions of the text, or `Feature`s; the default ones
            where left out.
        best: Units listed for each feature.
        shown_steps: Steps of the text that are shown.
        searched_steps: Steps that are searched, about: no further example is read beyond.
        lines: Units of each layer that are drawn as lines.

    Raises:
        ValueError: Where a number is too small.
        UserError: Where two features have the same name.
    """

    name: ClassVar[str] = "neurons"
    title: ClassVar[str] = "Neurons"

    def __init__(
        self,
        features: Sequence[Feature | Callable[[str], Any]] | None = None,
        best: int = 3,
        shown_steps: int = 1500,
        searched_steps: int = 10_000,
        lines: int = 6,
    ):
        for name, value in {
            "best": best,
            "shown_steps": shown_steps,
            "searched_steps": searched_steps,
            "lines": lines,
        }.items():
            if value < 1:
                raise ValueError(f"{name}={value}: expected an integer of at least 1")
        self.features = default_features() if features is None else [Feature.of(feature) for feature in features]
        _check_names(self.features)
        self.best = best
        self.shown_steps = shown_steps
        self.searched_steps = searched_steps
        self.lines = lines

    def misfit(self, subject: Subject) -> str | None:
        """Fits every model with recurrent layers, and an example to read."""
        if not subject.examples or not len(subject.examples[0].inputs):
            return "there is no example to read"
        return None

    def show(self, subject: Subject) -> Section:
        """Runs the examples, searches, and makes a text to look at, or lines.

        Raises:
            UserError: Where a feature of the user's own gives no value for each character.
        """
        tracks = read_tracks(subject, self.searched_steps)
        return self._show_text(subject, tracks) if tracks else self._show_lines(subject)

    def _show_text(self, subject: Subject, tracks: list[Track]) -> Section:
        searches = [self._search(track) for track in tracks]
        section = Section(self.title)
        for track, search in zip(tracks, searches, strict=True):
            named = f" of the {track.title}" if len(tracks) > 1 else ""
            section.paragraphs.append(_told(search, track, named, subject.origin))
        places = kept_units(tracks, searches, self.shown_steps)
        section.paragraphs.append(tell_kept(tracks, places, self.shown_steps))
        data = page_data(tracks, places, self.shown_steps)
        tables = [search_table(search, track, data["states"]) for track, search in zip(tracks, searches, strict=True)]
        section.markup = _part("neurons.html").replace("@@tables@@", "".join(tables))
        section.pictures = _picture(tracks, searches)
        section.style = _part("neurons.css")
        # `<` in a text could end or open a script wherever it stands.
        section.script = f"const data = {json.dumps(data).replace('<', chr(92) + 'u003c')};\n{_part('neurons.js')}"
        section.numbers = {
            track.title: {
                "steps": track.steps,
                "units_tried": sum(states.shape[1] for states in track.states.values()),
                "found": [found._asdict() | {"gain": found.gain} for found in search.found],
                "left_out": search.left_out,
            }
            for track, search in zip(tracks, searches, strict=True)
        }
        return section

    def _search(self, track: Track) -> Search:
        """Holds a track's units against all features, each made of one example's text at a time."""
        values = {
            feature.name: torch.cat([feature.token_values(pieces) for pieces in track.pieces])
            for feature in self.features
            if not (feature.is_literal and track.is_joined)
        }
        if track.steps < LEAST_STEPS:
            reason = f"there are {track.steps} steps, and a search needs {LEAST_STEPS}"
            return Search((), 0, dict.fromkeys(values, reason))
        found = search_units(track.states, values, self.best)
        unknown = (feature.name for feature in self.features if feature.name not in values)
        return found._replace(left_out=dict.fromkeys(unknown, _JOINED) | found.left_out)

    def _show_lines(self, subject: Subject) -> Section:
        records = subject.ran(0).recording.cells
        example = subject.examples[0]
        steps = next((values for values in (example.inputs, example.context) if _is_numbers(values)), None)
        inputs = None if steps is None else torch.from_numpy(steps).float().flatten(1)
        chosen = {record.name: liveliest_units(record.states[0][:, 0], self.lines) for record in records}
        caption = f"The {self.lines} units of each layer that vary the most, over the first example ({subject.origin})"
        told = "The steps have no names, so that there is no text to search: these are the liveliest units over time."
        if len(records) > MOST_LAYERS:
            told += f" The first {MOST_LAYERS} of {len(records)} layers are drawn."
        return Section(
            self.title,
            paragraphs=[told],
            pictures={"units": Picture(draw_lines(inputs, records, self.lines), caption)},
            numbers={"liveliest": chosen},
        )


def _check_names(features: Sequence[Feature]) -> None:
    counts = Counter(feature.name for feature in features)
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        raise UserError(f"features={', '.join(twice)}: there is another feature of that name; expected one of its own")


def _is_numbers(values: np.ndarray | None) -> bool:
    return values is not None and values.dtype.kind == "f" and values.ndim >= 2


def _picture(tracks: list[Track], searches: list[Search]) -> dict[str, Picture]:
    """Draws the texts of the units that gain most over "always", each once; nothing where none gains."""
    firsts: dict[tuple[int, str], tuple[Track, Found]] = {}
    for number, (track, search) in enumerate(zip(tracks, searches, strict=True)):
        for found in search.found:  # the first of each feature is the one that was chosen
            firsts.setdefault((number, found.feature), (track, found))
    gains = (pair for pair in firsts.values() if pair[1].gain > 0)
    ranked = sorted(gains, key=lambda pair: -pair[1].gain)
    units: dict[tuple[str, int], tuple[Track, Found]] = {}
    for track, found in ranked:
        units.setdefault((found.state, found.unit), (track, found))
    best = list(units.values())[:DRAWN]
    texts = [
        Coloured(
            f"{shown(found.feature)}: {found.state}, unit {found.unit}, held-out {found.measure} {found.score:.2f}",
            [name for names in track.names for name in names],
            track.states[found.state][:, found.unit],
        )
        for track, found in best
    ]
    caption = "The units that gain most over “always”, on the beginning of the text: blue is positive, red is negative"
    return {"units": Picture(draw_texts(texts), caption)} if texts else {}


def _told(search: Search, track: Track, named: str, origin: str) -> str:
    """Tells in words what a search did, and what came of it."""
    if not search.tried:
        return f"No search{named}: {next(iter(search.left_out.values()), 'there is no feature')}."
    good = list(dict.fromkeys(found.feature for found in search.found if found.score >= GOOD > found.base))
    rule = f"a unit reaches {GOOD} there and “always” does not"
    result = f"Features for which {rule}: {', '.join(good)}." if good else f"There is no feature for which {rule}."
    reasons = dict.fromkeys(search.left_out.values())
    names = {why: [name for name, other in search.left_out.items() if other == why] for why in reasons}
    left = "".join(f" Not searched, as it {why}: {', '.join(names[why])}." for why in reasons)
    return (
        f"Search over {search.tried:,} units{named}, those of each kind of state counted, in {track.steps:,} steps "
        f"({origin}). Unit, sign and threshold are chosen on the first half and the score is that of the second, so "
        "that luck is not taken for finding; “always” is what a unit that is always on would score, and the gain is "
        f"how much of the way from there to 1 a unit's score has come. {result}{left}"
    )


def _part(name: str) -> str:
    return files("seqmodels.views").joinpath(name).read_text("utf-8")
