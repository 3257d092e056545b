"""Hugging Face: a config.json, training arguments, and a factory for the Trainer's optimizer."""

from collections.abc import Mapping
from typing import Any

from proxytune.config.shape import Shape
from proxytune.errors import InputError
from proxytune.exports.build import Projected, build_document, kept_when_folded
from proxytune.exports.document import ExportDocument
from proxytune.exports.format import Exported, as_json, forward_in_words, require_swiglu
from proxytune.exports.pytorch import ALL, LLAMA_NAMES

WITH_MULTIPLIERS = ("granite", "hyperclovax")
"""Classes with a field for each forward multiplier."""
LIKE_LLAMA = ("llama", "mistral", "qwen2", "qwen3", "smollm3", *WITH_MULTIPLIERS)
"""Classes whose parameters have Llama's names and meaning."""
SAVED_AS = ("dtype", "torch_dtype")
"""How a checkpoint was saved. A new model would hold its weights so, and AdamW lose its steps."""
NORM_EPS = 1e-6
"""Of the norms of proxies."""
PASTE = (
    "import json",
    "from transformers import AutoConfig, AutoModelForCausalLM, Trainer, TrainingArguments",
    "from proxytune_projection import AdamWFactory, load_projection",
    "projection = load_projection(FOLDER)",
    "model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(FOLDER))",
    "projection.init_weights_(model)",
    'arguments = json.load(open(FOLDER + "/training_arguments.json"))',
    "trainer = Trainer(model, TrainingArguments(OUTPUT, **arguments, ...), ...,",
    '    optimizer_cls_and_kwargs=(AdamWFactory, {"projection": projection}))',
)
SCHEDULER = (
    "def create_scheduler(steps, optimizer=None):",
    "    trainer.lr_scheduler = projection.scheduler(trainer.optimizer, steps)",
    "    return trainer.lr_scheduler",
    "trainer.create_scheduler = create_scheduler",
)
HEAD = "model.get_output_embeddings()"


class HuggingFace:
    """transformers' Trainer, version 5, on one device or under FSDP2."""

    name = "huggingface"

    def export(self, projected: Projected) -> Exported:
        """With the multipliers in config.json where the class has fields for them, else folded.

        The class is that of the target's own config.json, or else Granite's; where it is folded
        or has QK-norm, Llama's or Qwen3's. Raises InputError for a class that is not like Llama.
        """
        shape = projected.scaling.target
        kind = _kind(projected, shape)
        has_fields = kind in WITH_MULTIPLIERS and not projected.folded
        document = build_document(
            projected,
            self.name,
            LLAMA_NAMES,
            kept=ALL if has_fields else kept_when_folded(shape),
            biases=True,
        )
        config = {
            **_shape_fields(shape),
            **{f: v for f, v in (projected.config or {}).items() if f not in SAVED_AS},
            **_multipliers(kind, document),
            "model_type": kind,
        }
        by_hand = document.schedule.kind != "cosine"
        return Exported(
            document=document,
            files={
                "config.json": as_json(config),
                "training_arguments.json": as_json(_arguments(document)),
            },
            paste=(*PASTE, *(SCHEDULER if by_hand else ())),
            forward="in config.json"
            if kind in WITH_MULTIPLIERS
            else forward_in_words(document, HEAD),
            clip="the factory's optimizer clips before each step at the norm that the study's "
            "gradients would have (each group's clip_scale), so max_grad_norm is 0",
            schedule="by the last lines above"
            if by_hand
            else "in training_arguments.json, for transformers 5",
        )


def _kind(projected: Projected, shape: Shape) -> str:
    """The model_type."""
    if projected.config is not None:
        kind = str(projected.config.get("model_type"))
        if kind not in LIKE_LLAMA:
            raise InputError(
                f"--for huggingface: model_type = {kind!r}: is not like Llama, so it is not known "
                f"where the settings go; known are {', '.join(LIKE_LLAMA)}. Export for pytorch, "
                "and give load_projection's methods the roles of its parameters"
            )
        return kind
    require_swiglu("huggingface", shape)
    if shape.qk_norm:
        return "qwen3"
    return "llama" if projected.folded else "granite"


def _shape_fields(shape: Shape) -> dict[str, Any]:
    """The shape in the words of config.json."""
    return {
        "hidden_size": shape.d_model,
        "num_hidden_layers": shape.n_layers,
        "num_attention_heads": shape.n_heads,
        "num_key_value_heads": shape.n_kv_heads,
        "head_dim": shape.head_dim,
        "intermediate_size": shape.d_ff,
        "vocab_size": shape.vocab_size,
        "max_position_embeddings": shape.seq_len,
        "tie_word_embeddings": shape.tied,
        "rms_norm_eps": NORM_EPS,
        "bos_token_id": None,
        "eos_token_id": None,
    }


def _multipliers(kind: str, document: ExportDocument) -> Mapping[str, Any]:
    """The four fields; those of a folded model say what it would do without them."""
    if kind not in WITH_MULTIPLIERS:
        return {}
    forward = document.forward
    # What a tied and folded model needs on its logits is in no weight, but there is a field.
    logits = forward.logits if kind == "hyperclovax" else 1 / forward.logits
    fields: dict[str, Any] = {
        "embedding_multiplier": forward.embedding,
        "attention_multiplier": forward.attention,
        "residual_multiplier": forward.residual,
        "logits_scaling": logits,
    }
    return fields | ({"use_post_norm": False} if kind == "hyperclovax" else {})


def _arguments(document: ExportDocument) -> dict[str, Any]:
    """What TrainingArguments takes; rates and decays are those of the factory's groups."""
    schedule, run = document.schedule, document.run
    steps = {"max_steps": round(run.steps)} if run and run.steps else {}
    by_name = {
        "lr_scheduler_type": "cosine_warmup_with_min_lr",
        "lr_scheduler_kwargs": {"min_lr_rate": schedule.final_lr_fraction},
        "warmup_steps": schedule.warmup_fraction,
    }
    return {"max_grad_norm": 0.0} | steps | (by_name if schedule.kind == "cosine" else {})
