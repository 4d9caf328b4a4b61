"""What a language model's recurrent layers can be, from the command line."""

import pytest
import torch

from seqmodels.building import build
from seqmodels.commands.composing import compose
from seqmodels.errors import UserError
from seqmodels.models import LanguageModel
from seqmodels.nn import FeedForward, LSTMCell, Stacking, VariationalDropout

VOCABULARY = 7
DEEP = ["cell=gru", "model.num_layers=3", "model.embedding_size=6"]
BETWEEN = "model.stacking.between={_target_:seqmodels.nn.FeedForward,_partial_:true,output_size:6}"


def make(*overrides):
    torch.manual_seed(0)
    return build(compose(["model.hidden_size=6", *overrides])["model"], "model", vocab_size=VOCABULARY)


OPTIONS = {
    "widths": (["model.hidden_size=[6,5,4]"], 4),
    "residual": (["model.stacking.connections=residual"], 6),
    "dense": (["model.stacking.connections=dense", "model.hidden_size=[6,5,4]"], 4),
    "sum": (["model.stacking.outputs=sum"], 6),
    "concat": (["model.stacking.outputs=concat", "model.hidden_size=[6,5,4]"], 15),
    "between": ([BETWEEN, "model.hidden_size=[5,6,4]"], 4),
    "variational": (["model.stacking.variational_dropout=true", "model.dropout=0.5"], 6),
    "noisy": (["model.initial_state=noisy", "model.noise=0.5"], 6),
    "tied": (["model.stacking.outputs=concat", "model.tie_weights=true"], 18),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_learns_and_takes_one_step_at_a_time(name):
    overrides, features = OPTIONS[name]
    model = make(*DEEP, *overrides)
    assert model.recurrent.output_size == features
    ids = torch.arange(12).remainder(VOCABULARY).expand(2, -1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    losses = []
    for _ in range(30):
        logits, _ = model(ids[:, :-1])
        losses.append(torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten()))
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < 0.6 * losses[0]
    model.eval()
    with torch.no_grad():
        logits, final = model(ids)
        state = None
        for t in range(12):
            step_logits, state = model(ids[:, t : t + 1], state)
            torch.testing.assert_close(step_logits, logits[:, t : t + 1], rtol=0, atol=1e-5)
    torch.testing.assert_close(state, final, rtol=0, atol=1e-6)


@pytest.mark.parametrize("cell", ["native_lstm", "lstm"])
def test_variational_dropout_holds_for_inputs_and_outputs_too(cell):
    model = make(f"cell={cell}", "model.stacking.variational_dropout=true", "model.input_dropout=0.5")
    assert isinstance(model.output_dropout, VariationalDropout)
    seen = model.input_dropout(torch.ones(3, 5, 40))
    assert torch.equal(seen, seen[:, :1].expand_as(seen))
    assert set(seen.unique().tolist()) == {0.0, 2.0}
    assert isinstance(make(f"cell={cell}").input_dropout, torch.nn.Dropout)


def test_noise_is_as_strong_as_said():
    model = make("model.initial_state=noisy", "model.noise=0.5")
    (h, _) = model.recurrent.initial_state(5000)
    assert h.std().item() == pytest.approx(0.5, rel=0.05)


def test_the_plain_choices_change_nothing():
    plain, explicit = (
        LanguageModel(VOCABULARY, LSTMCell, hidden_size, num_layers=2, stacking=stacking)
        for hidden_size, stacking in [(6, None), ([6, 6], Stacking(between=None))]
    )
    assert plain.state_dict().keys() == explicit.state_dict().keys()
    explicit.load_state_dict(plain.state_dict())
    ids = torch.arange(5)[None]
    assert torch.equal(plain(ids)[0], explicit(ids)[0])
    assert isinstance(make(*DEEP, BETWEEN).recurrent.between[1], FeedForward)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "model.hidden_size=[6,5]",
            r"model: hidden_size: expected an integer or 3 of them, one per layer, got \[6, 5\]",
        ),
        ("model.hidden_size=[6,0,5]", "model.hidden_size=0: expected at least 1"),
        ("model.stacking.connections=skip", "model.stacking.connections=skip: expected one of plain, residual, dense"),
        ("model.stacking.outputs=1", "model.stacking.outputs=1: expected one of last, sum, concat"),
        ("+model.stacking.dropout=0.1", "model.stacking.dropout=0.1: no such key"),
        ("model.noise=-1", "model: noise: expected a standard deviation of at least 0, got -1"),
    ],
)
def test_wrong_choices_say_what_is_valid(override, message):
    with pytest.raises(UserError, match=message):
        make(*DEEP, override)


def test_torchs_own_layers_say_what_they_cannot_do():
    with pytest.raises(UserError, match=r"model: stacking: expected none for torch's own layers, got .*dense"):
        make("cell=native_gru", "model.num_layers=2", "model.stacking.connections=dense")
    with pytest.raises(
        UserError, match=r"model: hidden_size: expected one for all of torch's own layers, got \[6, 5\]"
    ):
        make("cell=native_gru", "model.num_layers=2", "model.hidden_size=[6,5]")
