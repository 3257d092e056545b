"""One process of a pack that several train; torchrun starts it in test_sharded.py.

usage: sharded.py PACK.json NUMBERS FOLDER: trains, drops those members after the first evaluation,
and writes what it told.
"""

import json
import sys
from pathlib import Path
from typing import Any

from torch import distributed as dist

from proxytune.errors import Interrupted
from proxytune.packs.pack import PackSpec
from proxytune.testing.runner import plain
from proxytune.training.pack import PackTrainer


def main(spec: str, dropped: str, folder: str) -> None:
    """Trains until the pack is done or its time limit comes."""
    dist.init_process_group("gloo")
    pack = PackSpec.model_validate_json(Path(spec).read_text())
    trainer, told = PackTrainer(pack), list[dict[str, Any]]()
    try:
        while not trainer.done:
            told += plain(trainer.advance())
            trainer.drop([int(number) for number in dropped.split(",") if number])
        details = [of_member.model_dump() for of_member in trainer.details()]
        result = {"told": told, "details": details}
    except Interrupted as error:
        result = {"told": told, "interrupted": str(error)}
    (Path(folder) / f"{dist.get_rank()}.json").write_text(json.dumps(result))
    # Neither leaves while the other still speaks to it.
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
