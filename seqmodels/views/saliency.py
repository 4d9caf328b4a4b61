"""Saliency: which steps of what was read a prediction comes from."""

from typing import ClassVar

from seqmodels.views.saliency_answers import Answer, answer, numbers, shortened
from seqmodels.views.saliency_page import markup, script, style
from seqmodels.views.saliency_pictures import draw_close, draw_map
from seqmodels.views.saliency_question import Choice
from seqmodels.views.saliency_questions import can_ask, questions
from seqmodels.views.subject import Subject
from seqmodels.views.view import Section, Table, View

_MOST_PICTURES, _MOST_MAPS = 6, 2


class Saliency(View):
    """Colours the steps of an example by what they have to do with a prediction, by several methods.

    What is explained, unless it is chosen: of a sequence with one prediction the likeliest class; of one with a
    prediction at each step that of the step the model is least sure of; of a language model each token that it writes
    after a prompt; of an encoder-decoder each token of the target, by the source and by the target so far; of a
    transcriber the labels of the likeliest path; of a forecaster the first and the last step of the horizon.

    Args:
        count: Examples.
        max_steps: Steps of one at most.
        prompt: Tokens of a text that goes on that are read before it is written on, at most. From far away the way from
            the baseline is rough, and integrated gradients take long to be complete.
        ahead: Tokens that are written, or read of a target, at most.
        step: The step whose prediction all methods are asked about, from 1.
        output: The class, label, token or target that is explained in place of the one that is predicted.

    Raises:
        ValueError: Where a number is too small.

    Example:
        >>> Saliency(count=1).title
        'Saliency'
    """

    name: ClassVar[str] = "saliency"
    title: ClassVar[str] = "Saliency"

    def __init__(
        self,
        count: int = 2,
        max_steps: int = 300,
        prompt: int = 60,
        ahead: int = 20,
        step: int | None = None,
        output: int | None = None,
    ):
        numbers = {"count": count, "max_steps": max_steps, "prompt": prompt, "ahead": ahead, "step": step}
        for name, value in numbers.items():
            if value is not None and value < 1:
                raise ValueError(f"{name}={value}: expected an integer of at least 1")
        self.count, self.max_steps, self.prompt = count, max_steps, prompt
        self.choice = Choice(ahead, step, output)

    def misfit(self, subject: Subject) -> str | None:
        """Refuses models of which it is not known how they are asked."""
        if not can_ask(subject.model):
            return f"{type(subject.model).__name__}: it is not known which of its outputs would be explained"
        return None

    def show(self, subject: Subject) -> Section:
        """Looks."""
        short, cut = shortened(subject, self.count, self.max_steps, self.prompt)
        answers = [
            answer(question, short.model)
            for place in range(len(short.examples))
            for question in questions(short, place, self.choice)
        ]
        section = Section(self.title, _paragraphs(subject, answers, cut))
        texts = [one for one in answers if one.question.labels is not None]
        if texts:
            section.markup, section.style, section.script = markup(texts), style(), script(texts)
        self._draw(section, answers)
        section.tables = [_table(answers)]
        section.numbers = {"origin": subject.origin, "baseline": "zero", "examples": numbers(answers)}
        return section

    def _draw(self, section: Section, answers: list[Answer]) -> None:
        """Adds pictures, of the first examples where there would be too many."""
        maps = [one for one in answers if one.question.drawn is not None and len(one.question.drawn) > 1]
        for number, one in enumerate(maps[:_MOST_MAPS], 1):
            section.pictures[f"map_{number}"] = draw_map(one)
        closest = [(one, place) for one in answers for place in one.question.close]
        for number, (one, place) in enumerate(closest[: _MOST_PICTURES - len(section.pictures)], 1):
            section.pictures[f"steps_{number}"] = draw_close(one, place)


def _paragraphs(subject: Subject, answers: list[Answer], cut: bool) -> list[str]:
    told = [
        f"Examples from the {subject.origin}. Each step is attributed its part of a score: of tokens through the "
        "vectors that the front end makes of them, of series through their numbers. The baseline, what would be read "
        "were nothing there, is the zero vector: for scaled series that is their mean. Occlusion puts it in place of "
        "one step and runs the model again, without any gradient; it is the check of the others.",
        "Integrated gradients sum to what the score gains over the baseline; how nearly they do is in the table. Where "
        "they do not, the score is too rough on the way from the baseline for the points that were taken, and they "
        "should not be believed. A gradient says what a small change would do: of a score that is saturated, which "
        "rises no further, it is small where the cause is.",
    ]
    if any(one.question.prompt is not None for one in answers):
        told.append(
            "The prompt is read from the zero state, without what stood before it. Tap a token that was written, "
            "underlined, to see what mattered for it."
        )
    if cut:
        told.append("Examples are cut to their first steps, and explained as if they ended there.")
    return told


def _table(answers: list[Answer]) -> Table:
    rows = []
    for one in answers:
        for place, whole in one.complete.items():
            agreed = one.agreed(place)
            rows.append(
                [
                    f"{one.question.title.split(':')[0]}, {one.question.part}",
                    one.question.outputs[place],
                    whole.gain,
                    whole.total,
                    f"{whole.error:.2%}",
                    *(f"{value:.2f}" for value in agreed.values()),
                ]
            )
    return Table(
        "Completeness of integrated gradients, and how each method ranks the steps beside occlusion (Spearman's "
        "correlation of sizes).",
        ["example", "score", "gain over baseline", "sum of parts", "error", *agreed],
        rows,
    )
