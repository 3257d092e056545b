"""For a training script of your own: read the settings, report losses, and see when to stop.

One file without dependencies: import it, or copy it next to your script.

    settings = trainer.load()
    for step in ...:
        ...
        trainer.report(step, validation_loss=loss)
        if trainer.should_stop():
            break

and `describe(optimizer, model)` tells what the optimizer really trains with.
"""

import json
import math
import os
import signal
from typing import Any

_terminated: list[int] = []
_listening: list[bool] = []


def load() -> dict[str, Any]:
    """The settings of this run: settings.json as plain dicts, lists and numbers."""
    with open(os.environ["PROXYTUNE_SETTINGS"], encoding="utf-8") as file:
        settings: dict[str, Any] = json.load(file)
    return settings


def report(step: int, **figures: Any) -> None:
    """Reports figures after `step` steps: validation_loss, train_loss, updates, any number.

    Of several processes (torchrun), only the one of rank 0 reports. A loss that is not finite
    counts as diverged.
    """
    if os.environ.get("RANK", "0") != "0":
        return
    plain = {name: _plain(value) for name, value in figures.items()}
    line = json.dumps({"step": step, **plain}, allow_nan=False) + "\n"
    with open(os.environ["PROXYTUNE_METRICS"], "a", encoding="utf-8") as file:
        file.write(line)


def should_stop() -> bool:
    """Whether the run is to end, within 30 seconds: time to save a checkpoint.

    From its first call on, SIGTERM no longer ends the process at once.
    """
    if not _listening:
        _listening.append(True)
        signal.signal(signal.SIGTERM, lambda number, frame: _terminated.append(number))
    return bool(_terminated) or os.path.exists(os.path.join(os.environ["PROXYTUNE_RUN"], "stop"))


def describe(optimizer: Any, model: Any) -> list[dict[str, Any]]:
    """What every parameter of a PyTorch model trains with, for `proxytune verify GROUPS.json`.

    Call it before the first step, on the optimizer and scheduler as they train, and write the
    list to groups.json in PROXYTUNE_RUN or anywhere else. `lr` is the peak: where a scheduler
    multiplies the groups' own rates by one factor, it is without that factor; else it is the rate
    as it is. `lr` and the others are None for a parameter that the optimizer lacks. Of a sharded
    model (DTensor), all processes have to call it.
    """
    groups = {id(param): group for group in optimizer.param_groups for param in group["params"]}
    factors = {g["lr"] / g["initial_lr"] for g in groups.values() if g.get("initial_lr")}
    one_factor = max(factors, default=1.0) <= min(factors, default=1.0) * (1 + 1e-6)
    return [
        {
            "name": name,
            "shape": list(param.shape),
            "lr": group and group.get("initial_lr" if one_factor else "lr", group["lr"]),
            "weight_decay": group and group["weight_decay"],
            "eps": group and group["eps"],
            "betas": group and list(group["betas"]),
            "std": _std(param),
        }
        for name, param in model.named_parameters()
        for group in [groups.get(id(param))]
    ]


def _std(param: Any) -> float:
    """Standard deviation of a parameter's numbers, whole or sharded."""
    values = param.detach().float()
    mean, square = _whole(values.mean()), _whole(values.square().mean())
    return math.sqrt(max(square - mean * mean, 0.0))


def _whole(value: Any) -> float:
    """A number that may be spread over devices."""
    return float(value.full_tensor() if hasattr(value, "full_tensor") else value)


def _plain(value: Any) -> Any:
    """A number, or a dict of numbers, without NaN; a tensor of one number is a number."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    number = float(value)
    return number if math.isfinite(number) else None
