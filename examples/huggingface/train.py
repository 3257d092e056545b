"""Hugging Face's Trainer, with Granite: its config takes all four forward multipliers."""

import math
from pathlib import Path

import torch
from torch.utils.data import Dataset, SequentialSampler
from transformers import (
    GraniteConfig,
    GraniteForCausalLM,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

import proxytune
from proxytune import trainer
from proxytune.data.batches import training_batch, validation_batches
from proxytune.data.tokens import TokenData

SETTINGS = trainer.load()
SHAPE, TRAINING = SETTINGS["shape"], SETTINGS["training"]
SIZE = (TRAINING["batch_size"], SHAPE["seq_len"])


def granite(forward):
    """The shape as a Granite; its logits are divided by `logits_scaling`."""
    return GraniteForCausalLM(
        GraniteConfig(
            hidden_size=SHAPE["d_model"],
            intermediate_size=SHAPE["d_ff"],
            num_hidden_layers=SHAPE["n_layers"],
            num_attention_heads=SHAPE["n_heads"],
            num_key_value_heads=SHAPE["n_kv_heads"],
            vocab_size=SHAPE["vocab_size"],
            max_position_embeddings=SHAPE["seq_len"],
            tie_word_embeddings=SHAPE["tied"],
            rms_norm_eps=1e-6,
            embedding_multiplier=forward.embedding,
            attention_multiplier=forward.attention,
            residual_multiplier=forward.residual,
            logits_scaling=1 / forward.logits,
            use_cache=False,
            pad_token_id=None,
            bos_token_id=None,
            eos_token_id=None,
        )
    )


class Sequences(Dataset):
    """One sequence per item; `labels` are shifted in the model, so both are the whole sequence."""

    def __init__(self, batches):
        self.sequences = torch.as_tensor(batches).flatten(0, 1)

    def __len__(self):
        return len(self.sequences)

    def __getitem__(self, i):
        return {"input_ids": self.sequences[i], "labels": self.sequences[i]}


class InOrder(Trainer):
    """Takes the sequences in the order of proxytune's batches."""

    def _get_train_sampler(self, *dataset):
        return SequentialSampler(self.train_dataset)


class Report(TrainerCallback):
    """Evaluates when proxytune asks for it, and tells it."""

    def on_step_end(self, args, state, control, **kwargs):
        control.should_evaluate = state.global_step in TRAINING["evaluation_steps"]
        control.should_training_stop |= trainer.should_stop()

    def on_evaluate(self, args, state, control, metrics, **kwargs):
        trainer.report(state.global_step, validation_loss=metrics["eval_loss"])


def rate_factor(step):
    """Linear warm-up, then a cosine; transformers' own is a step behind, and starts at 0."""
    warmup, last = TRAINING["warmup_steps"], TRAINING["final_lr_fraction"]
    if step < warmup:
        return (step + 1) / warmup
    done = min(1, (step - warmup + 1) / (TRAINING["steps"] - warmup))
    return 1 - (1 - last) * (1 - math.cos(math.pi * done)) / 2


def main():
    rules = {
        "base": SETTINGS["base"],
        "target": SHAPE,
        "hyperparameters": SETTINGS["hyperparameters"],
        "parameterization": SETTINGS["parameterization"],
    }
    model = granite(proxytune.forward_multipliers(**rules))
    proxytune.init_weights_(model, **rules, seed=SETTINGS["seed"], as_built_in=True)
    optimizer = torch.optim.AdamW(proxytune.param_groups(model, **rules))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate_factor)
    tokens = TokenData.load(Path(SETTINGS["tokens"]))
    order = SETTINGS["data_seed"]
    train = [training_batch(tokens.train, order, s, *SIZE) for s in range(TRAINING["steps"])]
    held_out = validation_batches(tokens.validation, TRAINING["evaluation_batches"], *SIZE)
    InOrder(
        model=model,
        args=TrainingArguments(
            output_dir="unused",
            max_steps=TRAINING["steps"],
            per_device_train_batch_size=TRAINING["batch_size"],
            per_device_eval_batch_size=TRAINING["batch_size"],
            max_grad_norm=TRAINING["clip_norm"] or 0.0,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
        ),
        train_dataset=Sequences(train),
        eval_dataset=Sequences(held_out),
        optimizers=(optimizer, schedule),
        callbacks=[Report()],
    ).train()


if __name__ == "__main__":
    main()
