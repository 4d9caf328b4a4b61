"""Where the configuration files are, and what can be chosen from them."""

import os
from pathlib import Path
from typing import Any

import seqmodels

_PACKAGE = Path(seqmodels.__file__).parent
CONFIG_DIR = _PACKAGE / "configs" if (_PACKAGE / "configs").is_dir() else _PACKAGE.parent / "configs"


def options(group: str) -> list[str]:
    """Lists the names a configuration group offers."""
    folder = CONFIG_DIR / group
    return sorted(str(path.relative_to(folder).with_suffix("")) for path in folder.glob("**/*.yaml"))


def takers(group: str) -> list[str]:
    """Lists the choices that a group comes with, such as `["model=many_to_one"]` for `readout`."""
    files = sorted(CONFIG_DIR.glob("*/*.yaml"))
    return [f"{path.parent.name}={path.stem}" for path in files if f"- /{group}@_global_" in path.read_text("utf-8")]


def description(group: str, name: str) -> str:
    """Returns a configuration file's first comment."""
    lines = (CONFIG_DIR / group / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    comments = [line.lstrip("# ").rstrip() for line in lines if line.startswith("#") and "@package" not in line]
    return comments[0] if comments else ""


def compose(overrides: list[str] | None = None) -> dict[str, Any]:
    """Composes the training configuration to plain values.

    Args:
        overrides: As on the command line, such as `["cell=gru", "seed=2"]`.
    """
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from omegaconf import OmegaConf

    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        composed = hydra_compose("train", overrides=overrides or [])
    return to_plain(OmegaConf.to_container(composed, resolve=True, throw_on_missing=True))


def to_plain(config: Any) -> dict[str, Any]:
    """Drops what only the command line needs."""
    return {key: value for key, value in config.items() if key not in ("resume", "experiment", "trusted", "plan")}


def valid_keys(path: str, arguments: list[str]) -> list[str]:
    """Lists the keys under a dotted path of the configuration.

    Args:
        path: Such as `model`; empty for the root.
        arguments: A command line, whose choices of groups count (`data=text_file` has other keys than the default).

    Returns:
        The keys; none where there is no such mapping.
    """
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from omegaconf import DictConfig, OmegaConf

    GlobalHydra.instance().clear()
    choices = [argument.partition("=") for argument in arguments]
    chosen = [f"{group}={name}" for group, _, name in choices if name in options(group)]
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        node = hydra_compose("train", overrides=chosen)
    if path:
        node = OmegaConf.select(node, path)
    return [str(key) for key in node] if isinstance(node, DictConfig) else []


def make_absolute(data: Any) -> None:
    """Makes the user's files known by absolute paths, so that the run is of use from any folder."""
    if not isinstance(data, dict):
        return
    for key, paths in data.items():
        if key == "path" or key.endswith("_path"):
            data[key] = _absolute(paths)


def _absolute(paths: Any) -> Any:
    if isinstance(paths, list):
        return [_absolute(path) for path in paths]
    is_file = isinstance(paths, str) and not paths.startswith("hub:")  # a name on the hub is no file
    return os.path.abspath(paths) if is_file else paths
