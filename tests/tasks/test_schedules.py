import pytest

from seqmodels.tasks import Constant, Cosine, Plateau, StepDecay
from seqmodels.tasks.schedules import Progress


def test_warm_up_rises_linearly_and_then_holds():
    schedule = Constant(warmup_steps=4)
    assert [schedule.factor(Progress(step, 0, 0.0)) for step in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]


def test_cosine_ends_at_final_and_stays_there():
    schedule = Cosine(final=0.1)
    factors = [schedule.factor(Progress(0, 0, fraction)) for fraction in (0, 0.25, 0.5, 0.75, 1.0, 1.7)]
    assert factors == sorted(factors, reverse=True)
    assert factors[0] == 1
    assert factors[2] == pytest.approx(0.55)
    assert factors[4] == factors[5] == pytest.approx(0.1)


def test_step_decay_counts_whole_epochs():
    schedule = StepDecay(every_epochs=2, gamma=0.1)
    assert [schedule.factor(Progress(0, epoch, 0)) for epoch in range(5)] == pytest.approx([1, 1, 0.1, 0.1, 0.01])


def test_plateau_waits_for_its_patience_and_survives_a_checkpoint():
    schedule = Plateau(gamma=0.5, patience=1)
    for loss in (1.0, 0.9, 0.95):
        schedule.observe(loss)
    assert schedule.factor(Progress(0, 0, 0)) == 1
    resumed = Plateau(gamma=0.5, patience=1)
    resumed.load_state_dict(schedule.state_dict())
    resumed.observe(0.91)
    assert resumed.factor(Progress(0, 0, 0)) == 0.5


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Cosine(warmup_steps=-1), "warmup_steps=-1"),
        (lambda: Cosine(final=2.0), "final=2.0"),
        (lambda: StepDecay(every_epochs=0), "every_epochs=0"),
        (lambda: Plateau(gamma=1.0), "gamma=1.0"),
    ],
)
def test_values_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
