"""The saliency view of every kind of run: what is explained, through what, and what the page shows of it."""

import html
import json
import re
import shutil
import subprocess
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from seqmodels.data import Example
from seqmodels.views import Saliency, write_report
from seqmodels.views.saliency_answers import answer, shortened
from seqmodels.views.saliency_page import markup
from seqmodels.views.saliency_pictures import draw_close, draw_map
from seqmodels.views.saliency_question import Choice
from seqmodels.views.saliency_questions import questions
from seqmodels.views.view import Looked, png

METHODS = ["gradient", "gradient x input", "integrated gradients", "SmoothGrad", "occlusion"]
KINDS = {  # the parts that are asked about of each example
    "language_model": ["prompt and text"],
    "native_language_model": ["prompt and text"],
    "lines": ["prompt and text"],
    "classifier": ["input"],
    "text_classifier": ["input"],
    "tagger": ["input"],
    "encoder_decoder": ["source", "target so far"],
    "transcriber": ["source"],
    "forecaster": ["input"],
}


def ask(subject, choice=Choice(), place=0):  # noqa: B008
    return list(questions(subject, place, choice))


def as_they_are(question):
    with torch.no_grad():
        return question.scores(question.vectors[None])[0]


@pytest.mark.parametrize("kind", KINDS)
def test_of_every_run_scores_are_attributed_to_steps_and_add_up(subjects, kind):
    subject = subjects[kind]
    view = Saliency(count=1, max_steps=30, prompt=20, ahead=6)
    assert view.misfit(subject) is None
    section = view.show(subject)
    assert [example["part"] for example in section.numbers["examples"]] == KINDS[kind]
    closely = 0
    for example in section.numbers["examples"]:
        steps = example["steps"] if isinstance(example["steps"], int) else len(example["steps"])
        for told in example["scores"]:
            for name, found in told["methods"].items():
                assert name in METHODS
                assert len(found["signed"]) == len(found["norm"]) == steps
            if "completeness" not in told:
                continue
            closely += 1
            assert list(told["methods"]) == METHODS
            assert told["completeness"]["error"] < 0.01
            parts = sum(told["methods"]["integrated gradients"]["signed"])
            assert parts == pytest.approx(told["completeness"]["gain"], rel=0.02, abs=1e-4)
            assert any(told["methods"]["occlusion"]["signed"])
    assert closely == len(section.tables[0].rows) >= len(KINDS[kind])
    assert 1 <= len(section.pictures) <= 6
    assert all(len(png(picture)) < 80_000 for picture in section.pictures.values())
    json.dumps(section.numbers, allow_nan=False)


@pytest.mark.parametrize("kind", ["language_model", "native_language_model", "lines"])
def test_each_token_that_is_written_is_explained_by_what_came_before_it(subjects, kind):
    subject = subjects[kind]
    (question,) = ask(subject, Choice(ahead=5))
    ids = subject.window(0).inputs[0, : question.prompt]
    for place, score in enumerate(as_they_are(question)):
        with torch.no_grad():
            logs = subject.model(ids[None])[0][0, -1].log_softmax(-1)
        assert float(score) == pytest.approx(float(logs.max()), abs=1e-5)
        ids = torch.cat([ids, logs.argmax()[None]])
        assert f"token {place + 1} after" in question.outputs[place]
    found = answer(question, subject.model).found
    for place, methods in enumerate(found):
        for attribution in methods.values():
            assert not attribution.importance[question.prompt + place :].any()
            assert attribution.importance[question.prompt + place - 1] > 0


@pytest.mark.parametrize(
    "overrides",
    [[], ["model.encoder.reverse=true", "model.bridge=linear"], ["model.share_embeddings=true", "data.joint=true"]],
)
def test_sources_and_targets_are_explained_step_by_step(make_subject, overrides):
    subject = make_subject("encoder_decoder", *overrides, count=1)
    model, window = subject.model, subject.window(0)
    source, target = ask(subject, Choice(ahead=8))
    inputs = window.inputs[:, :8]
    with torch.no_grad():
        logs = model(inputs, context=window.context)[0].log_softmax(-1)[0]
        told = logs.argmax(-1)
        assert torch.allclose(as_they_are(source), logs.amax(-1), atol=1e-5)
        assert torch.allclose(as_they_are(target), logs.amax(-1), atol=1e-5)
        # Another vector in the place of one is as good as another token there.
        for question, frontend, ids in (
            (source, model.encoder.frontend, window.context),
            (target, model.frontend, inputs),
        ):
            other = ids.clone()
            other[0, 2] = (ids[0, 2] + 1) % 5
            vectors = question.vectors.clone()
            vectors[2] = frontend(other)[0, 2]
            given = (inputs, other) if question is source else (other, window.context)
            expected = model(given[0], context=given[1])[0].log_softmax(-1)[0].gather(-1, told[:, None])[:, 0]
            assert torch.allclose(question.scores(vectors[None])[0], expected, atol=1e-5)
            assert not torch.allclose(expected, as_they_are(question), atol=1e-5)


def test_of_a_sequence_the_likeliest_class_is_explained_or_the_one_that_is_asked_for(subjects):
    subject = subjects["classifier"]
    logits = subject.ran().outputs[0]
    (question,) = ask(subject)
    assert float(as_they_are(question)) == pytest.approx(float(logits.max()), abs=1e-5)
    assert question.outputs == [f"logit of class {int(logits.argmax())}"]
    (question,) = ask(subject, Choice(output=3))
    assert float(as_they_are(question)) == pytest.approx(float(logits[3]), abs=1e-5)


def test_with_one_logit_for_two_classes_each_class_has_its_sign(make_subject):
    subject = make_subject("text_classifier", "loss=binary_cross_entropy", count=1)
    logit = float(subject.ran().outputs[0])
    for label, sign in ((0, -1), (1, 1)):
        (question,) = ask(subject, Choice(output=label))
        assert float(as_they_are(question)) == pytest.approx(sign * logit, abs=1e-5)
        assert question.outputs[0].endswith(str(subject.spec["targets"]["classes"][label]))
    (question,) = ask(subject)
    assert float(as_they_are(question)) == pytest.approx(abs(logit), abs=1e-5)


def test_of_steps_the_one_is_explained_that_the_model_is_least_sure_of_or_that_is_asked_for(subjects):
    subject = subjects["tagger"]
    outputs = subject.ran().outputs[0]
    half = len(outputs) // 2
    step = half + int(outputs[half:].softmax(-1).amax(-1).argmin())
    for choice, place in ((Choice(), step), (Choice(step=2), 1)):
        (question,) = ask(subject, choice)
        assert float(as_they_are(question)) == pytest.approx(float(outputs[place].max()), abs=1e-5)
        assert f"at step {place + 1} " in question.outputs[0]


def test_of_a_forecast_the_ends_of_the_horizon_are_explained_by_what_is_read(subjects):
    subject = subjects["forecaster"]
    model, window = subject.model, subject.window(0)
    (question,) = ask(subject)
    with torch.no_grad():
        outputs = model.forecast(window.inputs, lambda outputs: subject.task.loss.describe(outputs)["value"])
        values = subject.task.loss.describe(outputs[:, -model.horizon :])["value"][0, :, 0]
    assert torch.allclose(as_they_are(question), values[[0, -1]], atol=1e-5)
    assert len(question.vectors) == window.inputs.shape[1] - model.horizon + 1
    found = answer(question, model).found
    assert all(one["gradient"].importance[-1] > 0 for one in found)


def test_of_a_transcription_the_labels_of_the_likeliest_path_are_explained(subjects):
    subject = subjects["transcriber"]
    with torch.no_grad():
        logs = subject.model(subject.window(0).context)[0].log_softmax(-1)
    likeliest, path = logs.max(-1)
    says = path != subject.model.blank
    (question,) = ask(subject)
    assert float(as_they_are(question)) == pytest.approx(
        float(likeliest[says if says.any() else ~says].sum()), abs=1e-4
    )
    assert question.vectors.shape == subject.window(0).context[0].shape


def test_long_examples_are_cut_where_it_matters_least_and_that_is_said(subjects):
    text, taggings, forecasts = (subjects[kind] for kind in ("language_model", "tagger", "forecaster"))
    short, cut = shortened(text, 2, 50, 20)
    assert short.examples[0].inputs.tolist() == text.examples[0].inputs[-20:].tolist()
    assert not cut
    short, cut = shortened(taggings, 1, 5, 9)
    assert short.examples[0].inputs.tolist() == taggings.examples[0].inputs[:5].tolist()
    assert cut
    assert any("cut" in paragraph for paragraph in Saliency(count=1, max_steps=5).show(taggings).paragraphs)
    short, _ = shortened(forecasts, 1, 5, 9)
    assert len(short.examples[0].inputs) == forecasts.model.horizon + 1
    long = Example(taggings.examples[0].inputs.repeat(9), taggings.examples[0].targets.repeat(9))
    short, cut = shortened(replace(taggings, examples=[long, *taggings.examples], _ran={}), 1, 60, 9)
    assert len(short.examples[0].inputs) == len(taggings.examples[0].inputs)
    assert not cut


def test_the_page_has_every_step_with_its_colour_and_escapes_it(subjects, tmp_path):
    section = Saliency(count=1, ahead=4).show(subjects["lines"])
    (example,) = section.numbers["examples"]
    spans = re.findall(r'<span[^>]* title="([^"]*)" style="background-color: rgba\(var\(--(\w+)\)', section.markup)
    assert len(spans) == len(example["steps"]) + 1
    signed = next(one for one in example["scores"] if "completeness" in one)["methods"]["integrated gradients"][
        "signed"
    ]
    for (title, colour), label, value in zip(spans, example["steps"], signed, strict=False):
        assert html.unescape(title).endswith(f"{label!r}: {value:.3g}")
        assert colour == ("negative" if value < 0 else "positive")
    assert "<bos>" not in section.markup
    assert "&lt;bos&gt;" in section.markup


def test_series_are_drawn_and_have_no_text(subjects):
    section = Saliency(count=1).show(subjects["forecaster"])
    assert not section.markup
    assert set(section.pictures) == {"steps_1", "steps_2"}


def with_hole(found):
    """Returns what the page and the pictures are made of, with a step that is no finite number."""
    for attribution in found.found[found.question.close[0]].values():
        attribution.values[1] = float("nan")
    return found


def test_a_step_without_a_finite_number_is_not_shown_as_zero(subjects):
    subject = subjects["language_model"]
    (question,) = ask(shortened(subject, 1, 30, 20)[0], Choice(ahead=4))
    found = with_hole(answer(question, subject.model))
    spans = re.findall(r"<span[^>]*>", markup([found]))
    assert ["no finite number" in span for span in spans].index(True) == 1
    assert 'class="no-number"' in spans[1]
    assert "transparent" in spans[1]
    assert sum("no-number" in span for span in spans) == 1
    assert not all(" 0.000)" in span for span in spans[2:20])  # the others are coloured all the same
    picture = draw_close(found, question.close[0])
    drawn = picture.figure.axes[-1].images[0].get_array()
    assert drawn.mask[:, 1].all()
    assert not drawn.mask[:, 2].any()


def test_names_of_users_are_no_formulas_and_have_room(subjects):
    subject = subjects["lines"]
    (question,) = ask(subject, Choice(ahead=3))
    labels = ["$x_^$", "a" * 5000, *question.labels[2:]]
    drawn = ["_$x_^$", *["b" * 5000] * (len(question.drawn) - 1)]
    named = replace(question, labels=labels, drawn=drawn, outputs=["$x_^$ " + "c" * 5000] * len(question.outputs))
    found = answer(named, subject.model)
    for picture in (draw_map(found), draw_close(found, named.close[0])):
        png(picture)
        shown = [label.get_text() for axes in picture.figure.axes for label in axes.get_xticklabels()]
        assert "$x_^$" in shown
        assert max(map(len, shown)) == 20


@pytest.mark.parametrize("setting", [{"count": 0}, {"max_steps": 0}, {"prompt": 0}, {"ahead": 0}, {"step": 0}])
def test_settings_out_of_range_are_refused(setting):
    with pytest.raises(ValueError, match="=0: expected an integer of at least 1"):
        Saliency(**setting)


def test_a_model_that_nobody_can_ask_is_refused_in_a_line():
    reason = Saliency().misfit(SimpleNamespace(model=nn.Linear(1, 1)))
    assert reason.startswith("Linear: ")
    assert "\n" not in reason


PROBE = """
<script>
const box = document.querySelector('.saliency'), seen = [];
const look = () => seen.push([...box.querySelectorAll('.steps span')].map((span) => span.style.backgroundColor));
look();
for (const name of ['gradient', 'occlusion', 'integrated gradients']) {
  box.querySelector('.method').value = name;
  box.querySelector('.method').dispatchEvent(new Event('change'));
  look();
}
box.querySelectorAll('.written')[2].click();
look();
const told = [box.querySelector('.output').value, box.querySelector('.method').value, box.querySelector('output').textContent];
const text = box.querySelector('.steps'), walked = [text.tabIndex];
for (const key of ['Home', 'ArrowRight', 'End', 'ArrowLeft', 'Enter']) {
  text.dispatchEvent(new KeyboardEvent('keydown', { key }));
  walked.push([box.querySelector('output').textContent.split(' ')[1], box.querySelector('.output').value]);
}
const direction = getComputedStyle(text.firstChild).unicodeBidi;
document.body.innerHTML = '';
document.body.textContent = JSON.stringify({ seen, told, walked, direction });
</script>
"""


def test_in_a_browser_methods_and_tokens_are_chosen(subjects, tmp_path):
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("needs chromium")
    section = Saliency(prompt=20, ahead=4).show(subjects["language_model"])
    section.pictures.clear()
    page = write_report(tmp_path, "A run", {}, Looked({"saliency": section}, {"saliency": {}}, {}, []))
    page.write_text(page.read_text("utf-8").replace("</body>", PROBE + "</body>"), "utf-8")
    command = [
        browser,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--dump-dom",
        f"--user-data-dir={tmp_path / 'user'}",
    ]
    dumped = subprocess.run([*command, page.as_uri()], capture_output=True, text=True, timeout=60, check=True).stdout
    found = json.loads(html.unescape(re.search(r"<body>(.*)</body>", dumped, re.DOTALL)[1]))
    first, gradient, occlusion, again, other = found["seen"]
    assert first == again
    assert len({json.dumps(colours) for colours in found["seen"]}) == 4
    assert all("--negative" not in colour for colour in gradient)
    number, method, told = found["told"]
    assert (number, method) == ("2", "gradient x input")  # the others are asked about the first token alone
    assert told.startswith("step ")
    assert other != occlusion
    assert found["walked"] == [0, ["1", "2"], ["2", "2"], ["24", "2"], ["23", "2"], ["23", "2"]]
    assert found["direction"] == "isolate"
