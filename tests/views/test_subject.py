import torch


def test_watching_changes_nothing_of_what_a_model_of_any_task_gives(subjects, kind):
    subject = subjects[kind]
    window = subject.window(0)
    with torch.no_grad():
        plain = subject.task.run(window, None)[1]
    ran = subject.ran()
    torch.testing.assert_close(ran.outputs, plain)
    assert ran.recording.cells
    record = ran.recording.cells[0]
    assert all(len(states) == len(record.inputs) for states in (*record.states, *record.previous))


def test_losses_of_steps_are_the_loss_of_the_task(subjects, kind):
    subject = subjects[kind]
    ran = subject.ran()
    losses = subject.losses(ran.window, ran.outputs)
    outputs, window = ran.outputs, ran.window
    if kind == "forecaster":
        horizon = subject.model.horizon
        outputs, window = outputs[:, -horizon:], window._replace(targets=window.targets[:, -horizon:])
    total, count = subject.task.score(subject.task.loss, outputs, window)
    torch.testing.assert_close(losses.mean(), (total / count).to(losses.dtype))


def test_steps_have_their_names(subjects):
    labels = subjects["language_model"].labels()
    assert labels.inputs[1:] == labels.targets[:-1]
    assert all(len(character) == 1 for character in labels.inputs)
    labels = subjects["encoder_decoder"].labels()
    assert labels.inputs[0] == "<bos>"
    assert labels.targets[-1] == labels.source[-1] == "<eos>"
    assert labels.source[:-1] == labels.targets[-2::-1]
    assert set(subjects["tagger"].labels().inputs) <= {"(", ")", "."}
    assert subjects["classifier"].labels() == (None, None, None)
    assert "true: " in subjects["classifier"].outcome()


def test_gradients_reach_every_recorded_state(subjects):
    subject = subjects["native_language_model"]
    ran = subject.run(subject.model, subject.window(0))
    losses = subject.losses(ran.window, ran.outputs)
    states = [step[0] for step in ran.recording.cells[0].steps]
    gradients = torch.autograd.grad(losses[10], states, allow_unused=True)
    assert all(gradient is not None and gradient.abs().sum() > 0 for gradient in gradients[:11])
    assert all(gradient is None or not gradient.any() for gradient in gradients[11:])
