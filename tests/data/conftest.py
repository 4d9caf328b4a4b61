from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keeps the tests out of the user's cache."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("SEQMODELS_CACHE", str(folder))
    return folder
