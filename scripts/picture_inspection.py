"""Takes the README's pictures of a page that `seqmodels inspect` wrote, in headless Chromium.

    python scripts/picture_inspection.py RUN/inspection/index.html docs neurons saliency

Each section becomes docs/inspection_NAME.png. Needs a `chromium` (or `google-chrome`) on the path.
"""

import argparse
import shutil
import sys
from pathlib import Path

WIDTH, HEIGHT = 1000, 800


def main() -> None:
    """Takes the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("page", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("sections", nargs="+")
    arguments = parser.parse_args()
    browser_path = shutil.which("chromium") or shutil.which("google-chrome")
    if browser_path is None:
        sys.exit("no chromium or google-chrome on the path")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(arguments.page.resolve().as_uri())
        for name in arguments.sections:
            if page.locator(f"#{name}").count() == 0:
                sys.exit(f"{arguments.page}: has no section {name}")
            page.evaluate("name => document.getElementById(name).scrollIntoView()", name)
            picture = arguments.folder / f"inspection_{name}.png"
            page.screenshot(path=picture)
            print(f"{picture}: {picture.stat().st_size:,} bytes")
        browser.close()


if __name__ == "__main__":
    main()
