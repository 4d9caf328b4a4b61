"""What a run will report, found without training it."""

from typing import Any

from seqmodels.building import check_config
from seqmodels.errors import UserError
from seqmodels.trainers import processes_to_start, read_settings
from seqmodels.training import prepare


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
    settings = read_settings(config["trainer"])
    if processes_to_start(settings) > 1:
        raise UserError(f"trainer.devices={settings.devices}: a trial is one process; workers=N trains N at once")
    prepared = prepare(config)
    data = prepared.data
    return [f"val/{name}" for name in prepared.task.metric_names() if "val" in data.splits], data.fingerprint
