"""The view of neurons: what the page holds is what the model did."""

import base64
import json
import re
import shutil
import subprocess

import numpy as np
import pytest
import torch

from seqmodels.analysis import Feature, Found, Search, watchable
from seqmodels.building import build
from seqmodels.commands.composing import compose
from seqmodels.errors import UserError
from seqmodels.evaluation import build_task
from seqmodels.runs import build_model
from seqmodels.views import Subject, examples_of, neurons, unit_page, write_report
from seqmodels.views.neurons import Neurons
from seqmodels.views.tracks import read_tracks
from seqmodels.views.unit_text import Coloured, draw_texts
from seqmodels.views.view import Looked, Picture, png

TEXTS = ["language_model", "native_language_model", "lines", "text_classifier", "tagger", "encoder_decoder"]
NUMBERS = ["classifier", "transcriber", "forecaster"]

SENTENCES = "".join(f"{word}\tA\nruns\tB\n.\tC\n\n" for word in ("Ann", "Bob", "Cy", "Di", "Eve") * 2)


def data_of(section):
    """Reads what the script of a section reads."""
    return json.loads(section.script.removeprefix("const data = ").splitlines()[0].removesuffix(";"))


def values_of(state):
    raw = np.frombuffer(base64.b64decode(state["values"]), np.int8).reshape(len(state["units"]), -1)
    return raw / 127 * np.array(state["scales"])[:, None]


def looked(section):
    drawn = {key: png(picture) for key, picture in section.pictures.items()}
    return Looked({"neurons": section}, {"neurons": drawn}, {}, [])


@pytest.mark.parametrize("kind", TEXTS + NUMBERS)
def test_every_model_is_shown_as_text_or_as_lines(subjects, kind):
    view = Neurons()
    assert view.misfit(subjects[kind]) is None
    section = view.show(subjects[kind])
    json.dumps(section.numbers)
    if kind in TEXTS:
        data = data_of(section)
        assert data["states"]
        for state in data["states"]:
            assert values_of(state).shape[1] == len(data["tracks"][state["track"]]["names"])
    else:
        assert list(section.pictures) == ["units"]
        assert not section.script
        assert all(section.numbers["liveliest"].values())


def test_activations_of_the_page_are_those_of_the_model(subjects):
    subject = subjects["language_model"]
    data = data_of(Neurons().show(subject))
    kinds = [(layer, kind) for layer in ("layer 1", "layer 2") for kind in ("hidden state", "cell state")]
    assert [(state["layer"], state["kind"]) for state in data["states"]] == kinds
    true = [states[:, 0].numpy() for record in subject.ran().recording.cells for states in record.states]
    for state, expected in zip(data["states"], true, strict=True):
        assert state["units"] == list(range(8))
        step = np.abs(expected).max(0)[:, None] / 127
        assert (np.abs(values_of(state) - expected.T) <= 0.6 * step).all()


def test_what_is_expected_are_the_likeliest_outcomes_of_each_step(subjects):
    subject = subjects["language_model"]
    track = data_of(Neurons().show(subject))["tracks"][0]
    expected = track["expected"]
    logits = subject.ran().outputs[0]
    for step in (0, 17, 59):
        best = logits[step].softmax(0).topk(5)
        names = [expected["names"][place] for place in expected["guesses"][step]]
        assert names == [subject.tokenizer.decode([token]) for token in best.indices.tolist()]
        assert expected["percent"][step] == [round(100 * value) for value in best.values.tolist()]
    assert track["names"][1:] == expected["truth"][:-1]


def test_a_tagger_expects_tags_and_a_classifier_of_whole_texts_nothing(subjects):
    tagger = data_of(Neurons().show(subjects["tagger"]))["tracks"][0]["expected"]
    assert set(tagger["names"]) <= set(map(str, subjects["tagger"].spec["targets"]["classes"]))
    assert len(tagger["truth"]) == len(tagger["guesses"])
    assert data_of(Neurons().show(subjects["text_classifier"]))["tracks"][0]["expected"] is None


def test_a_unit_that_a_feature_of_ones_own_follows_is_found_and_led_to(make_subject):
    subject = make_subject("language_model", steps=400)
    hidden = subject.ran().recording.cells[1].states[0][:, 0]

    def planted(text):
        assert text == "".join(subject.labels().inputs)
        return hidden[:, 5] > hidden[:, 5].median()

    section = Neurons([planted], best=2).show(subject)
    best = section.numbers["inputs"]["found"][0]
    assert (best["feature"], best["state"], best["unit"]) == ("planted", "layer 2, hidden state", 5)
    assert best["score"] > 0.97
    assert section.numbers["inputs"]["units_tried"] == 32
    assert 'data-state="2" data-unit="5">layer 2 h 5<' in section.markup
    assert "a unit reaches 0.8 there and “always” does not: planted." in section.paragraphs[0]


def test_both_texts_of_an_encoder_decoder_are_there_each_with_its_layers(subjects):
    subject = subjects["encoder_decoder"]
    data = data_of(Neurons().show(subject))
    assert [track["title"] for track in data["tracks"]] == ["inputs", "source"]
    for state in data["states"]:
        assert state["track"] == state["layer"].startswith("encoder")
    names = [name for place in range(len(subject.examples)) for name in subject.labels(place).source]
    assert data["tracks"][1]["names"] == names
    first = len(subject.labels(0).source)
    assert data["tracks"][1]["starts"][0] == first


def test_states_of_an_encoder_that_reads_from_the_end_stand_at_their_own_tokens(make_subject):
    subject = make_subject(
        "encoder_decoder", "model.encoder.reverse=true", "model.encoder.bidirectional=false", count=1
    )
    states = read_tracks(subject, 100)[1].states["encoder layer 1, hidden state"]
    record = next(record for record in subject.ran().recording.cells if record.name == "encoder layer 1")
    assert torch.equal(states, record.states[0][:, 0].flip(0))


def tagger_of_words(path):
    """Makes a subject that tags the words of `SENTENCES`."""
    path.write_text(SENTENCES)
    config = compose(["experiment=tagging", "data=tagged_text", f"data.path={path}", "frontend=words", "trainer=cpu"])
    data = build(config["data"], "data", spec=None)
    data.setup("fit")
    task = build_task(config, watchable(build_model(config, data.spec)), data.spec).eval()
    return Subject(task, data.spec, examples_of(data.evaluation_dataloader("train"), data.spec, 3, 60), "train part")


def test_words_make_a_text_with_spaces_and_special_tokens_are_no_text(subjects, make_subject, tmp_path):
    tagger = tagger_of_words(tmp_path / "words.conll")
    track = read_tracks(tagger, 100)[0]
    first, *rest = tagger.labels().inputs
    assert track.pieces[0] == [first, *(f" {word}" for word in rest)]
    assert set(track.expected.truth) == {"A", "B", "C"}
    words = read_tracks(make_subject("language_model", "tokenizer=word", steps=40), 100)[0]
    text = "".join(words.pieces[0])
    assert " likes " in text
    assert "\n" in text
    assert "\n " not in text
    lines = read_tracks(subjects["lines"], 100)[0]
    assert lines.names[0][0] == "<bos>"
    assert lines.pieces[0][0] == ""


def test_of_too_many_units_those_that_were_found_are_kept(subjects, monkeypatch):
    monkeypatch.setattr(unit_page, "MOST_BYTES", 1200)  # ten units of sixty steps
    section = Neurons(best=1).show(subjects["language_model"])
    data = data_of(section)
    kept = {(f"{state['layer']}, {state['kind']}", unit) for state in data["states"] for unit in state["units"]}
    found = {(row["state"], row["unit"]) for row in section.numbers["inputs"]["found"]}
    assert found
    assert found <= kept
    assert len(kept) <= max(10, len(found) + 4)
    assert f"{len(kept)} of 32 units, those found among them" in section.paragraphs[1]


def test_a_longer_text_is_searched_whole_and_shown_in_part(make_subject):
    subject = make_subject("language_model", steps=150)
    section = Neurons(shown_steps=50).show(subject)
    assert len(data_of(section)["tracks"][0]["names"]) == 50
    assert section.numbers["inputs"]["steps"] == 150
    assert "the first 50 steps" in section.paragraphs[1]


def test_no_further_example_is_read_beyond_what_is_searched(subjects):
    assert len(read_tracks(subjects["lines"], 10_000)[0].names) == 3
    assert len(read_tracks(subjects["lines"], 1)[0].names) == 1


def test_a_text_too_short_to_be_searched_is_shown_all_the_same(make_subject):
    section = Neurons().show(make_subject("language_model", steps=5))
    assert section.paragraphs[0] == "No search: there are 5 steps, and a search needs 20."
    assert len(data_of(section)["tracks"][0]["names"]) == 5
    assert "<table" not in section.markup


@pytest.mark.parametrize(
    "features, told",
    [
        ([Feature("short", lambda text: [True])], r"features: short gave values of shape \(1,\)"),
        ([Feature("one", str.isupper), *[Feature("two", str.isupper)] * 2], "features=two: there is another"),
    ],
)
def test_a_feature_that_does_not_fit_is_told_in_one_line(subjects, features, told):
    with pytest.raises(UserError, match=told) as error:
        Neurons(features).show(subjects["language_model"])
    assert "\n" not in str(error.value)


def test_the_picture_shows_the_text_under_the_unit_that_scores_best(subjects):
    subject = subjects["language_model"]
    section = Neurons(best=1).show(subject)
    axes = section.pictures["units"].figure.axes
    found = sorted(section.numbers["inputs"]["found"], key=lambda row: -row["gain"])
    titles = [axis.get_title(loc="left").partition(", held-out")[0] for axis in axes]
    assert titles[0] == f"{found[0]['feature']}: {found[0]['state']}, unit {found[0]['unit']}"
    assert 1 < len({title.partition(":")[2] for title in titles}) == len(titles)
    drawn = "".join(text.get_text() for text in axes[0].texts)
    assert drawn == "".join("".join(subject.labels().inputs).split())[: len(drawn)]
    assert len(drawn) > 40


def unit(feature, score, base):
    return Found(feature, "F1", "layer 1, hidden state", 0, score, score, base, 1, 0.0)


def test_units_are_ranked_by_what_they_gain_over_always(subjects, monkeypatch):
    found = unit("mostly", 0.95, 0.94), unit("seldom", 0.6, 0.1), unit("worse", 0.85, 0.9), unit("good", 0.82, 0.5)
    found = tuple(one._replace(unit=number) for number, one in enumerate(found))
    monkeypatch.setattr(neurons, "search_units", lambda *given: Search(found, 8, {}))
    section = Neurons().show(subjects["language_model"])
    heads = re.findall(r'<tr><th scope="row">(\w+)<', section.markup)
    assert heads == ["good", "seldom", "mostly", "worse"]
    titles = [axis.get_title(loc="left").partition(":")[0] for axis in section.pictures["units"].figure.axes]
    assert titles == ["good", "seldom", "mostly"]  # what "always" does better is not drawn
    gains = [row["gain"] for row in section.numbers["inputs"]["found"]]
    assert gains == pytest.approx([0.01 / 0.06, 0.5 / 0.9, -0.5, 0.64])
    assert "Features for which a unit reaches 0.8 there and “always” does not: good." in section.paragraphs[0]


def test_of_words_no_feature_is_searched_that_goes_by_marks_and_spaces(make_subject):
    section = Neurons().show(make_subject("language_model", "tokenizer=word", steps=200))
    left = section.numbers["inputs"]["left_out"]
    literal = {name for name, why in left.items() if why.startswith("goes by marks and spaces")}
    assert {"inside quotes", "inside single quotes", "inside brackets", "indentation"} <= literal
    assert not {"word start", "digit", "upper case", "distance since newline"} & literal
    assert not set(left) & {row["feature"] for row in section.numbers["inputs"]["found"]}
    assert section.paragraphs[0].count("goes by marks and spaces as they were written") == 1


def test_what_is_not_searched_is_told_once_for_each_reason(subjects):
    features = [Feature(name, lambda text: [True] * len(text)) for name in ("one", "two")]
    told = Neurons(features).show(subjects["language_model"]).paragraphs[0]
    assert told.endswith(" Not searched, as it is the same throughout the first half: one, two.")


def test_what_is_no_finite_number_is_not_shown_as_zero(subjects):
    subject = subjects["language_model"]
    track = read_tracks(subject, 100)[0]
    state = track.states["layer 1, hidden state"]
    state[3, 0], state[4, 0] = float("nan"), float("inf")
    found = data_of(Neurons()._show_text(subject, [track]))["states"][0]
    raw = np.frombuffer(base64.b64decode(found["values"]), np.int8).reshape(8, -1)
    assert (raw[0] == -128).nonzero()[0].tolist() == [3, 4]
    assert (raw[1:] >= -127).all()
    (axes,) = draw_texts([Coloured("unit", track.names[0], state[:, 0])]).axes
    assert axes.collections[0].get_array().mask.nonzero()[0].tolist() == [3, 4]


def test_names_of_users_are_no_formulas_and_have_room(tmp_path):
    text = Coloured("$x_^$ " + "a" * 5000, ["_a", "$x_^$", "b" * 5000], torch.rand(3))
    figure = draw_texts([text])
    assert len(figure.axes[0].get_title(loc="left")) <= 80
    png(Picture(figure, ""))


@pytest.mark.parametrize("name", ["best", "shown_steps", "searched_steps", "lines"])
def test_numbers_out_of_range_are_refused(name):
    with pytest.raises(ValueError, match=f"{name}=0: expected an integer of at least 1"):
        Neurons(**{name: 0})


def test_what_a_text_or_a_feature_says_is_never_markup(subjects, tmp_path):
    evil = "</script><!--<script>alert(1)</script>"
    subject = subjects["tagger"]
    track = read_tracks(subject, 100)[0]
    track.names[0][0] = evil
    section = Neurons([Feature(evil, lambda text: [c in "aeiou" for c in text])])._show_text(subject, [track])
    page = write_report(tmp_path, "Report", {}, looked(section)).read_text("utf-8")
    assert evil in data_of(section)["tracks"][0]["names"]
    assert "alert(1)" in page
    assert "<!--" not in page
    assert page.count("<script>") == 1


def told_by_browser(section, script, folder):
    """Opens a page, runs a script where that of the section has run, and returns what it makes of it."""
    section.script += f"document.title = JSON.stringify((() => {{{script}}})());"
    page = write_report(folder, "Report", {}, looked(section))
    browser = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    given = subprocess.run([*browser, "--dump-dom", page.as_uri()], capture_output=True, text=True, timeout=60)
    return json.loads(given.stdout.partition("<title>")[2].partition("</title>")[0])


in_browser = pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium on the path to open the page in")


@in_browser
def test_in_a_browser_the_slider_changes_the_colours_and_a_row_leads_to_its_unit(subjects, tmp_path):
    script = """
    const colours = () => [...section.querySelectorAll(".step b")].map((b) => b.style.background).join();
    const before = colours();
    slider.value = (Number(slider.value) + 1) % 8;
    slider.dispatchEvent(new Event("input"));
    const moved = colours() !== before && Number(number.textContent) === Number(slider.value);
    const button = section.querySelector("tbody tr:last-child button");
    button.click();
    const led = number.textContent === button.dataset.unit && state === data.states[button.dataset.state];
    text.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" }));
    return [steps.length, moved, led, told.textContent];
    """
    steps, moved, led, told = told_by_browser(Neurons(best=1).show(subjects["language_model"]), script, tmp_path)
    assert (steps, moved, led) == (60, True, True)
    assert "; expected: " in told


@in_browser
def test_in_a_browser_a_layer_brings_the_text_that_it_reads(subjects, tmp_path):
    script = """
    return ["decoder layer 1", "encoder layer 1 backward"].map((name) => {
      layer.value = name;
      layer.dispatchEvent(new Event("change"));
      return [steps.length, find("expects").hidden];
    });
    """
    section = Neurons().show(subjects["encoder_decoder"])
    inputs, source = (len(track["names"]) for track in data_of(section)["tracks"])
    assert told_by_browser(section, script, tmp_path) == [[inputs, False], [source, True]]


@in_browser
def test_in_a_browser_home_and_end_lead_to_the_first_and_the_last_step(subjects, tmp_path):
    script = """
    return ["End", "ArrowLeft", "Home"].map((key) => {
      text.dispatchEvent(new KeyboardEvent("keydown", { key }));
      return at;
    });
    """
    section = Neurons(best=1).show(subjects["language_model"])
    assert told_by_browser(section, script, tmp_path) == [59, 58, 0]


@in_browser
def test_in_a_browser_an_emoji_is_no_word_and_what_is_no_number_is_hatched(subjects, tmp_path):
    track = read_tracks(subjects["language_model"], 100)[0]
    track.names[0][0] = "\N{GRINNING FACE}"
    for states in track.states.values():
        states[5] = float("nan")
    script = """
    goTo(5);
    const hatched = steps.flatMap((step, place) => (step.classList.contains("no-number") ? [place] : []));
    return [text.classList.contains("words"), hatched, steps[5].firstChild.style.background, told.textContent];
    """
    section = Neurons()._show_text(subjects["language_model"], [track])
    words, hatched, background, told = told_by_browser(section, script, tmp_path)
    assert (words, hatched, background) == (False, [5], "")
    assert ": no finite number; expected: " in told


@in_browser
def test_on_paper_nothing_is_behind_a_scroll_bar(subjects, tmp_path):
    script = """
    const sheet = [...document.styleSheets[0].cssRules].find((rule) => rule.media?.mediaText === "print");
    document.head.append(Object.assign(document.createElement("style"), {
      textContent: [...sheet.cssRules].map((rule) => rule.cssText).join(""),
    }));
    return [text, section.querySelector(".found")].map((box) => getComputedStyle(box).maxHeight);
    """
    section = Neurons(best=1).show(subjects["language_model"])
    assert told_by_browser(section, script, tmp_path) == ["none", "none"]
