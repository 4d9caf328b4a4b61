import pytest
import torch

from seqmodels.decoding import Sampling, generate


def drawn(sampling, logits, number=4000):
    generator = torch.Generator().manual_seed(0)
    ids = sampling.draw(logits.expand(number, -1), generator)
    return torch.bincount(ids, minlength=logits.shape[-1]) / number


def test_temperature_scales_the_distribution():
    logits = torch.tensor([0.0, 1.0, 2.0])
    for temperature in (0.5, 1.0, 2.0):
        expected = (logits / temperature).softmax(-1)
        assert torch.allclose(drawn(Sampling(temperature), logits), expected, atol=0.03)


def test_a_tiny_temperature_is_greedy_and_not_nan():
    logits = torch.tensor([[3.0, 1.0, 2.9]])
    assert Sampling(1e-45).draw(logits).item() == 0
    assert Sampling(0).draw(logits).item() == 0


def test_top_k_draws_only_from_the_k_likeliest():
    frequencies = drawn(Sampling(top_k=2), torch.tensor([1.0, 0.0, 2.0, -1.0]))
    assert (frequencies > 0).tolist() == [True, False, True, False]


def test_top_p_keeps_the_smallest_set_that_holds_p():
    logits = torch.tensor([0.1, 0.5, 0.15, 0.25]).log()
    kept = [torch.isfinite(Sampling(top_p=p).filter(logits[None]))[0].tolist() for p in (0.4, 0.6, 0.8, 1.0)]
    assert kept == [
        [False, True, False, False],
        [False, True, False, True],
        [False, True, True, True],
        [True, True, True, True],
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"temperature": -1.0}, "temperature=-1.0"),
        ({"temperature": float("nan")}, "temperature=nan"),
        ({"top_k": 0}, "top_k=0"),
        ({"top_p": 1.5}, r"top_p=1\.5"),
    ],
)
def test_values_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Sampling(**arguments)


class Counter(torch.nn.Module):
    """Predicts the last id plus one, and counts in its state how many ids it has read."""

    def forward(self, ids, state=None):
        read = 0 if state is None else state[0]
        return torch.nn.functional.one_hot((ids + 1) % 5, 5).float(), (read + ids.shape[1],)


def test_the_prompt_is_read_in_one_call_and_each_id_once_after():
    calls = []

    class Spy(Counter):
        def forward(self, ids, state=None):
            calls.append(ids.shape[1])
            return super().forward(ids, state)

    made = [ids.tolist() for ids in generate(Spy(), torch.tensor([[0, 1], [2, 3]]), 3, Sampling(temperature=0))]
    assert made == [[2, 4], [3, 0], [4, 1]]
    assert calls == [2, 1, 1]


def test_a_row_that_met_the_stop_id_repeats_it_and_all_end_together():
    made = [ids.tolist() for ids in generate(Counter(), torch.tensor([[0], [2]]), 9, Sampling(temperature=0), stop=4)]
    assert made == [[1, 3], [2, 4], [3, 4], [4, 4]]


def test_an_empty_prompt_is_refused():
    with pytest.raises(ValueError, match="at least one step"):
        next(generate(Counter(), torch.zeros(1, 0, dtype=torch.long), 1))
