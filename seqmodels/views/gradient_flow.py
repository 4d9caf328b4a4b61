"""Gradient flow: what is left of the gradient of a loss after so many steps back."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from seqmodels.analysis import CellRecord, Profile, gradient_norms, lag_profile
from seqmodels.data import Window
from seqmodels.views.gates import rounded
from seqmodels.views.parameter_norms import draw_parameter_norms, read_parameter_norms
from seqmodels.views.subject import Subject, scored, state_name
from seqmodels.views.view import Picture, Section, Table, View

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAPS = 3
WORK = 10**8  # weights times losses: about two seconds


class Flow(NamedTuple):
    """What arrives at one tensor of the state of one cell.

    Attributes:
        name: Of the cell's record, such as "layer 1".
        state: Of the tensor, such as "h".
        norms: Of d loss_t / d h_s `(losses, time)`.
        places: The step of each loss `(losses,)`.
        profile: By t - s; of an encoder by how far a step is from the last that was read, mean over all losses.
    """

    name: str
    state: str
    norms: Tensor
    places: Tensor
    profile: Profile


def measure_flow(subject: Subject, model: nn.Module, window: Window, most_losses: int) -> list[Flow]:
    """Measures the gradient of every loss at every state of a model.

    Args:
        subject: What is looked at.
        model: Its model, or the one before training.
        window: A batch of one.
        most_losses: How many losses to take, evenly spaced.

    Returns:
        One for h, and for an LSTM's c, of each cell.
    """
    with torch.enable_grad():
        ran = subject.run(model, window)
        losses = subject.losses(ran.window, ran.outputs)
    stride = math.ceil(len(losses) / most_losses)
    picked = torch.arange(len(losses) - 1, -1, -stride, device=losses.device).flip(0)  # the last one for certain
    asked = [
        (record, number)
        for record in ran.recording.cells
        for number in range(record.cell.num_states)
        if state_name(record, number) in ("h", "c")
    ]
    states = [step[number] for record, number in asked for step in record.steps]
    norms = gradient_norms(losses[picked], states).cpu()
    sizes = [len(record.steps) for record, _ in asked]
    return [
        _flow(record, state_name(record, number), part, picked.cpu(), len(losses))
        for (record, number), part in zip(asked, norms.split(sizes, 1), strict=True)
    ]


def _flow(record: CellRecord, state: str, norms: Tensor, picked: Tensor, count: int) -> Flow:
    T = norms.shape[1]
    if record.name.startswith("encoder") or count > T:  # no step of it belongs to a loss: all losses come after it
        return Flow(record.name, state, norms, picked, lag_profile(norms.mean(0, keepdim=True), None, record.backward))
    if count == 1:
        return Flow(record.name, state, norms, picked, lag_profile(norms, None, record.backward))
    places = picked + T - count
    return Flow(record.name, state, norms, places, lag_profile(norms, places, record.backward))


class GradientFlow(View):
    """Shows the norm of d loss_t / d h_s, before and after training, and the gradient of each parameter while training.

    It is that of the longest of the examples.

    Bengio et al. (1994, "Learning Long-Term Dependencies with Gradient Descent is Difficult") and Pascanu et al. (2013,
    arXiv:1211.5063) tell why it vanishes or explodes.

    Args:
        steps: How many of the first steps of it to look at, where each has a loss.

    Raises:
        ValueError: It is below 2.

    Example:
        >>> GradientFlow(steps=100).name
        'gradient_flow'
    """

    name: ClassVar[str] = "gradient_flow"
    title: ClassVar[str] = "Gradient flow"

    def __init__(self, steps: int = 200):
        if steps < 2:
            raise ValueError(f"steps={steps}: expected at least 2")
        self.steps = steps

    def misfit(self, subject: Subject) -> str | None:
        """Refuses examples of a single step, over which nothing flows."""
        longest = max(len(record.steps) for record in subject.ran(subject.longest).recording.cells)
        if longest < 2:
            return "the sequence has one step: there is nothing to flow back over"
        if not scored(subject.examples[subject.longest]).any():
            return (
                f"{subject.origin} tells no targets, and without there is no loss; split= looks at the run's own data"
            )
        return None

    def show(self, subject: Subject) -> Section:
        """Looks."""
        window = first_steps(subject.window(subject.longest), self.steps, subject)
        cells = [record.cell for record in subject.ran(subject.longest).recording.cells]
        weights = sum(parameter.numel() for cell in cells for parameter in cell.parameters())
        most_losses = min(self.steps, max(25, WORK // max(1, weights)))
        flows = {"after training": measure_flow(subject, subject.model, window, most_losses)}
        if subject.untrained is not None:
            before = measure_flow(subject, subject.untrained, window, most_losses)
            flows = {"before training": before, **flows}
        section = Section(self.title, _told(flows, subject))
        section.pictures["profile"] = Picture(
            draw_profiles(flows), "What is left of the gradient after so many steps back; dotted: 1%."
        )
        if len(flows["after training"][0].norms) > 1:
            section.pictures["heat_map"] = Picture(
                _draw_heat_maps(flows), "The norm of d loss_t / d h_s for each loss t (downwards) and state s."
            )
        section.tables.append(_table(flows))
        section.numbers = {moment: _numbers(of_all) for moment, of_all in flows.items()}
        self._add_parameters(section, subject)
        return section

    def _add_parameters(self, section: Section, subject: Subject) -> None:
        """Adds the gradient norms that training wrote, where it did."""
        norms = None if subject.run_path is None else read_parameter_norms(subject.run_path)
        if norms is None:
            section.paragraphs.append("The run has no gradient_norms.csv: callbacks.gradient_norms writes it.")
            return
        figure, left_out = draw_parameter_norms(norms)
        more = f" {left_out} with smaller gradients are left out." if left_out else ""
        caption = f"The norm of each parameter's gradient, before clipping, over training.{more}"
        section.pictures["parameters"] = Picture(figure, caption)
        section.numbers["parameters"] = {"step": norms.steps, **norms.by_name}


def first_steps(window: Window, steps: int, subject: Subject) -> Window:
    """Cuts a batch of one after so many steps, where each of its steps has a loss of its own."""
    if subject.spec.get("shape") == "many_to_one" or window.targets.ndim < 2:
        return window
    T = window.inputs.shape[1]
    if window.targets.shape[1] != T or steps >= T:
        return window
    return window._replace(
        inputs=window.inputs[:, :steps],
        targets=window.targets[:, :steps],
        lengths=window.lengths.clamp(max=steps),
        handoff=min(window.handoff, steps),
    )


def _told(flows: dict[str, list[Flow]], subject: Subject) -> list[str]:
    after = flows["after training"]
    losses, steps = after[0].norms.shape[0], max(flow.norms.shape[1] for flow in after)
    told = [
        f"The longest example of the {subject.origin}, {steps} steps, losses: {losses}. Where the norm of "
        "d loss_t / d h_s falls as t - s grows, the gradient vanishes: what happened that many steps ago hardly "
        "changes how the weights are learned. It counts as vanished below 1% of what it is at t - s = 0.",
    ]
    if losses == 1:
        told.append("There is one loss, of the whole sequence: t - s counts back from the last step that was read.")
    if any(flow.name.startswith("encoder") for flow in after):
        told.append("Of an encoder, t - s counts back from the last step that was read, and is a mean over all losses.")
    if "before training" not in flows:
        told.append("The weights before training cannot be made again here, so that only the trained ones are shown.")
    return told


def draw_profiles(flows: dict[str, list[Flow]]) -> "Figure":
    """Draws what is left of the gradient by lag, one panel for each moment of training."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.4, 3.6), layout="constrained")
    panels = figure.subplots(1, len(flows), sharey=True, squeeze=False)[0]
    for panel, (moment, of_all) in zip(panels, flows.items(), strict=True):
        names = list(dict.fromkeys(flow.name for flow in of_all))
        for flow in of_all:
            draw_profile(panel, flow.profile, f"{flow.name}, {flow.state}", names.index(flow.name), flow.state != "h")
        panel.set(title=moment, xlabel="lag t - s (steps)", yscale="log")
        panel.axhline(0.01, color="0.4", linestyle=":", linewidth=1)
    panels[0].set_ylabel("norm, relative to lag 0")
    panels[-1].legend(fontsize="x-small")
    return figure


def draw_profile(axes: "Axes", profile: Profile, label: str, color: int, dashed: bool = False) -> None:
    """Draws one profile relative to lag 0; what is exactly 0 is not drawn, as the axis is logarithmic."""
    relative = profile.norms / profile.norms[0].clamp(min=torch.finfo(profile.norms.dtype).tiny)
    values = [value if value > 0 else math.nan for value in relative.tolist()]
    style = "--" if dashed else "-"
    axes.plot(range(len(values)), values, linestyle=style, color=f"C{color % 10}", linewidth=1.5, label=label)


def _draw_heat_maps(flows: dict[str, list[Flow]]) -> "Figure":
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure

    shown = {moment: [flow for flow in of_all if flow.state == "h"][:MAPS] for moment, of_all in flows.items()}
    rows = len(shown["after training"])
    figure = Figure(figsize=(7, 0.8 + 2.3 * rows), layout="constrained")
    panels = figure.subplots(rows, len(shown), squeeze=False)
    top = max(float(flow.norms.max()) for of_all in shown.values() for flow in of_all)
    scale = LogNorm(max(top, 1e-30) * 1e-6, max(top, 1e-30), clip=True)
    for column, (moment, of_all) in enumerate(shown.items()):
        for row, flow in enumerate(of_all):
            panel = panels[row, column]
            first, last = int(flow.places[0]), int(flow.places[-1])
            stretch = (-0.5, flow.norms.shape[1] - 0.5, last + 0.5, first - 0.5)
            reached = flow.norms.masked_fill(flow.norms == 0, math.nan).numpy()  # the rest stays white
            image = panel.imshow(reached, norm=scale, aspect="auto", extent=stretch, interpolation="nearest")
            panel.set_title(f"{flow.name}, {moment}", fontsize="small")
            panel.set(xlabel="state s (step)", ylabel="loss t (step)")
    figure.colorbar(image, ax=panels, label="norm (darkest: a millionth of the largest and less)", shrink=0.8)
    return figure


def _table(flows: dict[str, list[Flow]]) -> Table:
    rows: list[Sequence[Any]] = []
    for numbers in zip(*flows.values(), strict=True):
        cells: list[Any] = [numbers[0].name, numbers[0].state]
        for flow in numbers:
            below = flow.profile.below
            never = f"not within {len(flow.profile.norms) - 1}"
            cells += [never if below is None else below, f"{flow.profile.vanished:.1%}"]
        rows.append(cells)
    columns = ["layer", "state"]
    for moment in flows:
        columns += [f"below 1% at lag, {moment}", f"pairs that vanish, {moment}"]
    return Table("Where the gradient has vanished.", columns, rows)


def _numbers(flows: list[Flow]) -> dict[str, Any]:
    return {
        f"{flow.name} {flow.state}": {
            "below_1_percent_at_lag": flow.profile.below,
            "share_of_pairs_that_vanish": flow.profile.vanished,
            "norm_by_lag": rounded(flow.profile.norms),
        }
        for flow in flows
    }
