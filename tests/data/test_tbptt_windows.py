from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seqmodels.data import IGNORE_INDEX, TBPTT, Chunks, cut_window, plan_windows
from seqmodels.errors import UserError

steps = st.one_of(st.none(), st.integers(1, 40))


def spans(length: int, tbptt: TBPTT) -> list[tuple[int, int, int, int]]:
    return [(plan.start, plan.stop, plan.num_targets, plan.handoff) for plan in plan_windows(length, tbptt)]


@pytest.mark.parametrize(
    ("tbptt", "expected"),
    [
        (TBPTT(None, None), [(0, 10, 10, 10)]),
        (TBPTT(10, 10), [(0, 10, 10, 10)]),
        (TBPTT(99, 99), [(0, 10, 10, 10)]),
        (TBPTT(5, 5), [(0, 5, 5, 5), (5, 10, 5, 5)]),
        # The last update has 2 targets, and its gradient flows over 4 steps like any other.
        (TBPTT(4, 4), [(0, 4, 4, 4), (4, 8, 4, 2), (6, 10, 2, 4)]),
        (TBPTT(4, 6), [(0, 4, 4, 2), (2, 8, 4, 2), (4, 10, 2, 6)]),
        # The first windows all start at the beginning, as nothing is before it.
        (TBPTT(3, 7), [(0, 3, 3, 0), (0, 6, 3, 2), (2, 9, 3, 1), (3, 10, 1, 7)]),
        (TBPTT(5, None), [(0, 5, 5, 0), (0, 10, 5, 10)]),
        (TBPTT(4, 1), [(0, 4, 1, 4), (4, 8, 1, 4), (8, 10, 1, 2)]),
        (TBPTT(6, 5), [(0, 6, 5, 5), (5, 10, 4, 5)]),
        (TBPTT(None, 3), [(0, 10, 3, 10)]),
    ],
)
def test_every_regime(tbptt: TBPTT, expected: list[tuple[int, int, int, int]]) -> None:
    assert spans(10, tbptt) == expected


def test_update_at_every_step_with_the_whole_past() -> None:
    assert spans(3, TBPTT(1, None)) == [(0, 1, 1, 0), (0, 2, 1, 0), (0, 3, 1, 3)]


def test_steps_without_gradient_come_first() -> None:
    assert [plan.num_without_gradient for plan in plan_windows(10, TBPTT(4, 1))] == [3, 3, 1]
    assert [plan.num_without_gradient for plan in plan_windows(10, TBPTT(4, 6))] == [0, 0, 0]


@given(length=st.integers(1, 60), k1=steps, k2=steps)
def test_updates_follow_the_definition(length: int, k1: int | None, k2: int | None) -> None:
    plans = plan_windows(length, TBPTT(k1, k2))
    k1, k2 = k1 or length, k2 or length
    scored = [step for plan in plans for step in range(plan.stop - plan.num_targets, plan.stop)]
    assert len(scored) == len(set(scored))
    if k2 >= k1:
        assert scored == list(range(length))
    for index, plan in enumerate(plans):
        assert plan.first == (index == 0)
        assert plan.stop == min((index + 1) * k1, length)
        assert plan.stop - plan.start - plan.num_without_gradient == min(k2, plan.stop)
        assert 0 <= plan.handoff <= plan.stop - plan.start
    for plan, following in pairwise(plans):
        assert plan.start + plan.handoff == following.start


@given(length=st.integers(1, 60), size=st.integers(1, 40))
def test_chunks_lie_side_by_side(length: int, size: int) -> None:
    plans = plan_windows(length, Chunks(size))
    assert [step for plan in plans for step in range(plan.start, plan.stop)] == list(range(length))
    assert all(plan.handoff == plan.num_targets == plan.stop - plan.start for plan in plans)


@pytest.mark.parametrize("name", ["k1", "k2"])
@pytest.mark.parametrize("value", [0, -3])
def test_steps_below_one_are_refused(name: str, value: int) -> None:
    with pytest.raises(UserError, match=rf"^tbptt\.{name}={value}: .*null"):
        TBPTT(**{name: value})


def test_k2_beyond_the_longest_sequence_is_refused() -> None:
    TBPTT(1, 7).check_against(7)
    TBPTT(None, None).check_against(7)
    with pytest.raises(UserError, match=r"^tbptt\.k2=8: the longest sequence has 7 steps.*null"):
        TBPTT(1, 8).check_against(7)


def test_window_scores_the_last_steps_and_marks_padding() -> None:
    plan = plan_windows(6, TBPTT(2, 4))[1]
    window = cut_window(np.arange(100, 120, dtype=np.uint8), np.array([0, 10]), np.array([6, 3]), plan)
    assert (plan.start, plan.stop, plan.num_targets) == (0, 4, 2)
    assert window.inputs.tolist() == [[100, 101, 102, 103], [110, 111, 112, 113]]
    assert window.targets.tolist() == [[103, 104], [113, IGNORE_INDEX]]
    assert window.lengths.tolist() == [4, 3]
    assert window.inputs.dtype == window.targets.dtype == window.lengths.dtype == torch.int64
    assert not window.first
