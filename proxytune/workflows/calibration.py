"""What was measured of a shape on a device, kept in home for later studies and for `plan`.

These functions run where packs train: only there the device is known, and torch loaded.
"""

import hashlib
import importlib.metadata
import json
import re
from pathlib import Path

from proxytune import __version__
from proxytune.config.execution import ExecutionSpec
from proxytune.config.shape import Shape
from proxytune.config.training import TrainingSpec
from proxytune.files import write_json
from proxytune.packs.calibration import Calibration, Compiling


def kept(
    folder: Path, shape: Shape, training: TrainingSpec, execution: ExecutionSpec
) -> Calibration | None:
    """What is known of the shape here; None if nothing is, or nothing that can be read.

    Memory is that of now.
    """
    from proxytune.training.calibration import pack_memory

    file = _file(folder, shape, training, execution)
    try:
        found = Calibration.model_validate_json(file.read_bytes())
    except (OSError, ValueError):
        return None
    return found.model_copy(update={"memory": pack_memory(execution)})


def calibration_of(
    folder: Path, shape: Shape, training: TrainingSpec, execution: ExecutionSpec
) -> Calibration:
    """What is known of the shape here, measured if need be."""
    found = kept(folder, shape, training, execution)
    if found is None or not found.speeds:
        from proxytune.training.calibration import calibrate

        measured = calibrate(shape, training, execution)
        limits = [c.too_large for c in (found, measured) if c and c.too_large]
        found = measured.model_copy(update={"too_large": min(limits, default=None)})
        write_json(_file(folder, shape, training, execution), found.model_dump(mode="json"))
    return found


def compiling_of(
    shape: Shape, training: TrainingSpec, execution: ExecutionSpec, members: int
) -> Compiling | None:
    """What torch.compile gains for a pack of so many here, measured; None where it cannot pay."""
    from proxytune.training.calibration import calibrate_compiling

    return calibrate_compiling(shape, training, execution, members)


def memory_here() -> int:
    """Bytes that a pack can have here if it trains alone."""
    from proxytune.training.calibration import most_memory

    return most_memory()


def remember_too_large(
    folder: Path, shape: Shape, training: TrainingSpec, execution: ExecutionSpec, members: int
) -> None:
    """Keeps that a pack of so many did not fit here."""
    from proxytune.training.calibration import device_name, pack_memory

    found = kept(folder, shape, training, execution) or Calibration(
        device=device_name(execution.cpus_per_pack), memory=pack_memory(execution), speeds=()
    )
    limit = min(members, found.too_large or members)
    document = found.model_copy(update={"too_large": limit}).model_dump(mode="json")
    write_json(_file(folder, shape, training, execution), document)


def _file(folder: Path, shape: Shape, training: TrainingSpec, execution: ExecutionSpec) -> Path:
    from proxytune.training.calibration import device_name

    device = device_name(execution.cpus_per_pack)
    key = [
        shape.model_dump(),
        training.batch_size,
        training.precision,
        __version__,
        importlib.metadata.version("torch"),
    ]
    digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]
    return folder / f"{re.sub('[^a-z0-9]+', '-', device.lower())}-{digest}.json"
