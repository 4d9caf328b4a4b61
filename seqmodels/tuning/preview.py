"""What a run will report, found without training it."""

from typing import Any

from seqmodels import runs
from seqmodels.building import build, check_config
from seqmodels.evaluation import build_task
from seqmodels.trainers import read_settings


def reported(config: dict[str, Any]) -> tuple[list[str], str]:
    """Tells what a run of a configuration will report, without training it.

    Args:
        config: Plain configuration.

    Returns:
        The names of the figures of its validation, such as `val/loss`; none where there is no validation part. And what
        tells its data from others.

    Raises:
        UserError: For a mistake in the configuration or the data.
    """
    check_config(config)
    read_settings(config["trainer"])
    data = build(config["data"], "data")
    data.setup("fit")
    task = build_task(config, runs.build_model(config, data.spec), data.spec, data)
    names = [f"val/{name}" for name in task.metric_names()] if "val" in data.splits else []
    return names, data.fingerprint
