"""A training by Hugging Face's Trainer from an exported folder; under torchrun, with FSDP2.

python -m tests.exports.trainer FOLDER TOKENS LOSSES
"""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
import torch.distributed as dist
import transformers
from accelerate import DistributedType, PartialState
from torch.utils.data import IterableDataset

import proxytune
from proxytune.data.batches import training_batch
from proxytune.data.tokens import TokenData
from proxytune.trainer import describe
from tests.exports.examples import BASE, SEED, TRAINING, TUNED, carried_loader


class Batches(IterableDataset[dict[str, torch.Tensor]]):
    """The sequences of a study's trial, in order."""

    def __init__(self, tokens: Path, seq_len: int) -> None:
        self._tokens, self._seq_len = tokens, seq_len

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        data = TokenData.load(self._tokens).train
        for step in range(TRAINING.steps):
            batch = training_batch(data, SEED, step, TRAINING.batch_size, self._seq_len)
            for row in torch.as_tensor(batch):
                yield {"input_ids": row, "labels": row}


def trained(folder: Path, tokens: Path) -> list[float]:
    """The losses of every step, as the Trainer logs them."""
    loader: ModuleType = carried_loader(folder)
    projection = loader.load_projection(folder)
    config = transformers.AutoConfig.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_config(config)
    # The very weights that the built-in trainer starts from.
    proxytune.init_weights_(
        model,
        base=BASE,
        target=projection.document["shape"],
        hyperparameters=TUNED,
        folded=projection.folded,
        as_built_in=True,
        seed=SEED,
    )
    arguments = json.loads((folder / "training_arguments.json").read_text())
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    given: dict[str, Any] = arguments | ({"fsdp": True} if processes > 1 else {})
    options = transformers.TrainingArguments(
        str(folder / "output"),
        per_device_train_batch_size=TRAINING.batch_size // processes,
        max_steps=TRAINING.steps,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        **given,
    )
    if processes > 1:
        # accelerate shards over devices of any kind but CPUs, though torch would: it looks at
        # this name alone, and finds out by itself that the devices are CPUs.
        assert options.device.type == "cpu"
        PartialState().distributed_type = DistributedType.MULTI_GPU
    trainer = transformers.Trainer(
        model,
        options,
        train_dataset=Batches(tokens, config.max_position_embeddings),
        optimizer_cls_and_kwargs=(loader.AdamWFactory, {"projection": projection}),
    )
    trainer.train()
    in_optimizer = trainer.optimizer.param_groups[0]["params"][0]
    assert hasattr(in_optimizer, "full_tensor") is (processes > 1), "FSDP2 shards, one does not"
    taken = describe(trainer.optimizer, trainer.model)
    if os.environ.get("RANK", "0") == "0":
        (folder / "groups.json").write_text(json.dumps(taken))
    if dist.is_initialized():
        # Else its threads may end after what they use, now and then.
        dist.destroy_process_group()
    return [float(entry["loss"]) for entry in trainer.state.log_history if "loss" in entry]


if __name__ == "__main__":
    torch.set_num_threads(1)
    losses = trained(Path(sys.argv[1]), Path(sys.argv[2]))
    if os.environ.get("RANK", "0") == "0":
        Path(sys.argv[3]).write_text(json.dumps(losses))
