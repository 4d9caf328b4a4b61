"""Settings of forecasting that would do nothing, or that cannot work, are refused in one line."""

import pytest
import torch

from seqmodels.errors import UserError
from seqmodels.models import Forecaster, Identity
from seqmodels.nn import GRUCell
from seqmodels.tasks import MSE, MSLE, Forecasting
from seqmodels.tasks.teacher_forcing import ConstantForcing, InverseSigmoidForcing, LinearForcing


def make(direct, loss=None, **settings):
    model = Forecaster(Identity(1), GRUCell, output_size=1, num_targets=1, horizon=3, hidden_size=4, direct=direct)
    return Forecasting(model, torch.optim.AdamW, loss or MSE(), **settings)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"teacher_forcing": LinearForcing()}, "teacher_forcing=LinearForcing: .*model.direct=true"),
        ({"teacher_forcing": InverseSigmoidForcing()}, "teacher_forcing=InverseSigmoidForcing: .*model.direct=true"),
        ({"teacher_forcing": ConstantForcing(0.5)}, r"teacher_forcing\.value=0\.5: .*model.direct=true"),
        ({"feed": "sample"}, r"task\.feed=sample: .*model.direct=true"),
    ],
)
def test_a_direct_forecaster_refuses_what_it_would_not_heed_and_a_recursive_one_takes_it(settings, words):
    with pytest.raises(UserError, match=words) as error:
        make(direct=True, **settings)
    assert "\n" not in str(error.value)
    make(direct=False, **settings)


def test_a_direct_forecaster_takes_the_settings_that_change_nothing():
    assert make(direct=True).model.direct
    same = make(direct=True, teacher_forcing=ConstantForcing(1.0), feed="point", score_context=False, num_paths=0)
    assert same.teacher_forcing.always


@pytest.mark.parametrize("direct", [False, True])
def test_a_loss_of_numbers_from_zero_up_is_refused_with_those_that_fit(direct):
    with pytest.raises(UserError, match=r"loss=msle: .*scaled.*loss=mse .*quantile") as error:
        make(direct, MSLE())
    assert "\n" not in str(error.value)
