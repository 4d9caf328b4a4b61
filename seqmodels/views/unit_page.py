"""What the page of units is made of: activations in few bytes, and the table that leads to them."""

import base64
import re
from html import escape
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seqmodels.analysis import Found, Search
from seqmodels.views.tracks import Expected, Track

MOST_BYTES = 2_000_000
"""Of activations in a page, so that it stays small."""

UNIT_BYTES = 30
"""What a unit takes beside its activations."""


def kept_units(tracks: list[Track], searches: list[Search], steps: int) -> list[dict[str, list[int]]]:
    """Chooses the units of each state that go into the page: those that were found, then as many as fit.

    Args:
        tracks: What was read.
        searches: What was found, of each track.
        steps: Steps of each that are shown.

    Returns:
        Of each track the units of each state, in their order.
    """
    size = sum(states.shape[1] for track in tracks for states in track.states.values())
    each = max(_unit_bytes(track, steps) for track in tracks)
    room = max(1, MOST_BYTES // each)
    kept = []
    for track, search in zip(tracks, searches, strict=True):
        chosen: dict[str, list[int]] = {}
        for name, states in track.states.items():
            units = states.shape[1]
            first = [found.unit for found in search.found if found.state == name]
            share = units if size <= room else max(1, room * units // size, len(set(first)))
            chosen[name] = sorted(list(dict.fromkeys([*first, *range(units)]))[:share])
        kept.append(chosen)
    return kept


def _unit_bytes(track: Track, steps: int) -> int:
    return 4 * -(-min(steps, track.steps) // 3) + UNIT_BYTES


def tell_kept(tracks: list[Track], kept: list[dict[str, list[int]]], steps: int) -> str:
    """Tells how much of it all that is."""
    units = sum(states.shape[1] for track in tracks for states in track.states.values())
    shown = sum(len(places) for chosen in kept for places in chosen.values())
    of_units = f"all {units:,} units" if shown == units else f"{shown:,} of {units:,} units, those found among them"
    longest = max(track.steps for track in tracks)
    of_steps = "all steps" if longest <= steps else f"the first {steps:,} steps"
    return f"Below are {of_steps} and {of_units}, at a precision of 8 bits."


def page_data(tracks: list[Track], kept: list[dict[str, list[int]]], steps: int) -> dict[str, Any]:
    """Makes what the script reads, plain JSON.

    Args:
        tracks: What was read.
        kept: What `kept_units` chose.
        steps: Steps of each track that are shown.
    """
    states = []
    for number, (track, chosen) in enumerate(zip(tracks, kept, strict=True)):
        for name, places in chosen.items():
            layer, _, kind = name.rpartition(", ")
            values = track.states[name][:steps, places].T
            scale = values.nan_to_num(0.0, 0.0, 0.0).abs().amax(1)
            states.append(
                {
                    "track": number,
                    "layer": layer,
                    "kind": kind,
                    "units": places,
                    "scales": [float(f"{value:.4g}") for value in scale.tolist()],
                    "values": _quantised(values, scale),
                }
            )
    return {"tracks": [_track_data(track, steps) for track in tracks], "states": states}


def _quantised(values: Tensor, scale: Tensor) -> str:
    """Writes `(units, time)` as signed bytes, 127 being each unit's largest magnitude and -128 no number, in base64."""
    bytes_ = (values.nan_to_num(0.0, 0.0, 0.0) / scale.clamp(min=1e-30)[:, None] * 127).round().to(torch.int8)
    bytes_ = bytes_.masked_fill(~values.isfinite(), -128)
    return base64.b64encode(bytes_.contiguous().numpy().tobytes()).decode()


def _track_data(track: Track, steps: int) -> dict[str, Any]:
    names = [name for example in track.names for name in example][:steps]
    starts = np.cumsum([0, *(len(example) for example in track.names)])[1:-1]
    return {
        "title": track.title,
        "names": names,
        "starts": [int(start) for start in starts if start < steps],
        "expected": None if track.expected is None else _expected_data(track.expected, steps),
    }


def _expected_data(expected: Expected, steps: int) -> dict[str, Any]:
    guesses = expected.guesses[:steps]
    present, places = guesses.unique(return_inverse=True)
    return {
        "names": [expected.names[number] for number in present.tolist()],
        "guesses": places.tolist(),
        "percent": (100 * expected.probabilities[:steps]).round().to(torch.uint8).tolist(),
        "truth": expected.truth[:steps],
    }


def search_table(search: Search, track: Track, states: list[dict[str, Any]]) -> str:
    """Makes the table of a search, whose rows lead to their units; nothing where nothing was found.

    Args:
        search: What was found.
        track: Where.
        states: Those of `page_data`.
    """
    if not search.found:
        return ""
    caption = f"What units follow, of the {track.title}: {search.tried:,} units were tried for each feature"
    heads = ("feature", "unit", "held-out score", "measure", "first half", "“always” scores", "gain", "high where")
    best: dict[str, float] = {}
    for found in search.found:  # the first of each feature is the one that was chosen
        best.setdefault(found.feature, found.gain)
    rows = "".join(_row(found, states) for found in sorted(search.found, key=lambda found: -best[found.feature]))
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    return (
        f'<div class="scroll found"><table class="search"><caption>{escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _row(found: Found, states: list[dict[str, Any]]) -> str:
    layer, _, kind = found.state.rpartition(", ")
    place = next(n for n, state in enumerate(states) if (state["layer"], state["kind"]) == (layer, kind))
    where = ("it holds" if found.sign > 0 else "it does not") if found.threshold is not None else ""
    where = where or ("it is large" if found.sign > 0 else "it is small")
    label = re.sub(", hidden state$", " h", re.sub(", cell state$", " c", found.state))
    leads_to = f'data-state="{place}" data-unit="{found.unit}"'
    button = f'<button type="button" {leads_to}>{escape(label)} {found.unit}</button>'
    base = "" if found.threshold is None else f"{found.base:.3f}"
    numbers = [f"{found.score:.3f}", found.measure, f"{found.chosen_by:.3f}", base, f"{found.gain:.3f}", where]
    cells = "".join(f"<td>{escape(cell)}</td>" for cell in numbers)
    return f'<tr><th scope="row">{escape(found.feature)}</th><td>{button}</td>{cells}</tr>'
