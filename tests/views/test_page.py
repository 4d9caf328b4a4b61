"""The page in a real browser, and TensorBoard asked over HTTP."""

import json
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

from seqmodels.commands.main import main
from seqmodels.views import VIEWS

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
browser_needed = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium on this machine (Debian: apt install chromium)"
)


@pytest.fixture(scope="module")
def inspected(corpus, train_small, tmp_path_factory):
    """A run of a language model that was looked at: its directory."""
    run = train_small(corpus, tmp_path_factory.mktemp("inspected"), "trainer.max_epochs=2", "model.num_layers=2")
    assert main(["inspect", f"run={run}", "steps=400"]) == 0
    return run


@contextmanager
def browsing(page_path, **options):
    """Opens a file; yields the page and what it complained of and asked for."""
    from playwright.sync_api import sync_playwright

    complaints, requests = [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(**options)
        page.on(
            "console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(page_path.as_uri())
        try:
            yield page, complaints, requests
        finally:
            browser.close()


@browser_needed
@pytest.mark.parametrize("scheme,width", [("light", 1000), ("dark", 360)])
def test_the_page_shows_everything_and_asks_for_nothing(inspected, tmp_path, scheme, width):
    path = inspected / "inspection" / "index.html"
    assert path.stat().st_size < 5_000_000
    size = {"width": width, "height": 900}
    with browsing(path, color_scheme=scheme, viewport=size) as (page, complaints, requests):
        assert page.locator("section h2").count() >= 6
        images = page.locator("img")
        assert all(images.nth(k).evaluate("image => image.naturalWidth > 0") for k in range(images.count()))
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth + 1")
        page.screenshot(path=tmp_path / "page.png", full_page=True)
        assert not complaints
        assert all(url.startswith("data:") or url == path.as_uri() for url in requests)
    with Image.open(tmp_path / "page.png") as picture:
        shown = picture.convert("RGB")
        assert shown.getpixel((width // 2, 2)) == ((252, 252, 253) if scheme == "light" else (17, 17, 19))
        # Every band of the page has something on it, not paper alone.
        bands = [shown.crop((0, top, width, top + 900)) for top in range(0, shown.height - 900, 900)]
        assert bands
        assert all(len(np.unique(np.asarray(band.resize((64, 64))).reshape(-1, 3), axis=0)) > 20 for band in bands)


@browser_needed
def test_the_slider_colours_the_text_by_another_unit(inspected):
    with browsing(inspected / "inspection" / "index.html") as (page, complaints, _):
        colours = (
            "() => [...document.querySelectorAll('#neurons .step b')].map(t => getComputedStyle(t).backgroundColor)"
        )
        slider = page.locator("#neurons input.unit").first
        before = page.evaluate(colours)
        slider.focus()
        page.keyboard.press("ArrowRight")
        after = page.evaluate(colours)
        assert len(before) > 50
        assert before != after
        assert len(set(before)) > 5
        assert not complaints


def test_tokens_that_are_markup_stay_text(tmp_path, train_small):
    nasty = tmp_path / "nasty.txt"
    nasty.write_text("</script><script>alert(1)</script> <img src=x onerror=alert(2)> & 'text'\n" * 60)
    run = train_small(nasty, tmp_path, "trainer.max_steps=3", "tokenizer=word", "data.path=" + str(nasty))
    assert main(["inspect", f"run={run}", "steps=200", "views=neurons,saliency,embeddings,state_space"]) == 0
    page = (run / "inspection" / "index.html").read_text()
    assert "alert" in page
    assert "<script>alert" not in page
    assert "<img" not in page.replace('<img src="data:', "")
    if CHROMIUM is not None:
        with browsing(run / "inspection" / "index.html") as (opened, complaints, requests):
            opened.wait_for_timeout(200)
            assert not complaints
            assert all(url.startswith(("data:", "file:")) and not url.endswith("/x") for url in requests)


@contextmanager
def tensorboard(logdir):
    """Starts TensorBoard; yields what asks it."""
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(logdir), "--port", "0", "--load_fast=false"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        lines = iter(server.stderr.readline, "")
        port = next(found[1] for line in lines if (found := re.search(r"http://[^:]+:(\d+)", line)))

        def ask(path, body=None):
            data = None if body is None else json.dumps(body).encode()
            request = urllib.request.Request(
                f"http://localhost:{port}{path}", data, {"Content-Type": "application/json"}
            )
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)

        yield ask
    finally:
        server.terminate()
        server.communicate(timeout=30)


def test_tensorboard_shows_scalars_images_text_and_settings(inspected):
    with tensorboard(inspected.parent) as ask:
        for _ in range(100):
            runs = ask("/data/runs")
            if runs and ask("/data/plugin/images/tags"):
                break
            time.sleep(0.2)
        (run,) = ask("/data/plugin/scalars/tags")
        scalars = ask("/data/plugin/scalars/tags")[run]
        assert {"train/loss", "val/loss"} <= set(scalars)
        assert any(name.startswith("gradient_norm/") for name in scalars)
        losses = ask(f"/data/plugin/scalars/scalars?run={run}&tag=val%2Floss")
        assert len(losses) >= 2
        images = ask("/data/plugin/images/tags")[run]
        assert any(name.startswith("state_space/") for name in images)
        assert any(name.startswith("gradient_flow/") for name in images)
        texts = ask("/data/plugin/text/tags")
        assert any(name.startswith("sample/") for name in texts[run])
        settings = ask("/data/plugin/hparams/experiment", {"experimentName": ""})
        assert "cell" in json.dumps(settings["hparamInfos"])


def test_every_view_is_in_the_file_that_looks_while_training():
    from seqmodels.commands.composing import compose

    nodes = compose(["callbacks=inspection"])["callbacks"]["inspection"]["views"]
    assert set(nodes) == set(VIEWS)
