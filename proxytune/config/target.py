"""target.yaml as a typed value."""

from collections.abc import Iterable
from typing import Self

from pydantic import (
    Field,
    GetJsonSchemaHandler,
    PositiveFloat,
    PositiveInt,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from proxytune.config.base import NAME_PATTERN, Spec
from proxytune.config.experiment import require_same_style
from proxytune.config.horizon import HorizonSpec, RunLength
from proxytune.config.shape import Shape

ROUNDING = 0.01
"""By how much tokens may differ from steps · batch_size · seq_len, as a share."""


class CheckSpec(Spec):
    """The check run of a target, and its limits for a pass."""

    steps: int | None = Field(None, ge=10)
    """Optimizer steps. null: as many as the study's trials."""
    spike: PositiveFloat = 0.5
    """How far the training loss, averaged over ten steps, may rise above its lowest, in nats."""
    update_ratio: float = Field(2.0, gt=1)
    """Largest factor between the target's and the proxy's relative update, for every role."""
    bracket: bool = True
    """Whether the target also trains at half and at twice its learning rate, in the same pack.
    false where three of it are too much to train."""
    workers: PositiveInt = 1
    """Processes that train the target together, each on a share of every batch, with parameters
    and optimizer sharded over them. A trainer of your own gets the resources of all of them."""
    gpus_per_worker: int | None = Field(None, ge=0)
    """GPUs for each worker. null: 1 if there are GPUs, else 0."""
    activation_checkpointing: bool = False
    """Compute the target's activations again for the gradients, instead of keeping them: less
    memory, a third more time. For the built-in trainer."""
    hours: PositiveFloat | None = None
    """After so long the check saves its state and ends; the same command resumes it. null: no
    limit."""


class NotModelled(Spec):
    """Something that a target has and that neither the rules nor a proxy represent."""

    what: str
    """In words."""
    parameters: int = 0
    """How many parameters the model has more than its shape, because of this."""


def count_parameters(shape: Shape, not_modelled: Iterable[NotModelled]) -> int:
    """Parameters of a model of this shape, with what it has beyond its shape."""
    return shape.count_parameters() + sum(item.parameters for item in not_modelled)


class TargetSpec(Spec):
    """A target: the large shape that the base hyperparameters are projected onto."""

    name: str = Field(pattern=NAME_PATTERN)
    """Name of the target. Default: the file's name."""
    config: str | None = None
    """Read the shape from a model's own file: a Hugging Face config.json or a folder that holds
    one, a litgpt model_config.yaml, or a file of Megatron's arguments. Relative paths start at the
    folder of the YAML file."""
    shape: Shape
    """The large shape. Default: that of config; give one of the two."""
    seq_len: PositiveInt | None = None
    """Beside config: tokens in one training sequence. Default: the length that config says."""
    not_modelled: tuple[NotModelled, ...] = ()
    """What neither the rules nor a proxy represent. What config tells is added.
    Default: none."""
    tokens: PositiveFloat | None = None
    """Tokens of its planned training run, such as 15e12; tuning is compared with its cost."""
    steps: PositiveInt | None = None
    """Optimizer steps of that run. Two of tokens, steps and batch_size tell the third."""
    batch_size: PositiveInt | None = None
    """Sequences per step of that run."""
    horizon: HorizonSpec | None = None
    """How settings follow the batch and length of that run, where they are not the study's.
    null: not at all."""
    check: CheckSpec = CheckSpec()
    """The check run, and its limits for a pass."""
    check_shape: Shape | None = None
    """A smaller stand-in for the check run, if the target is too large to train here."""

    @property
    def parameters(self) -> int:
        """Of the whole model: its shape's, and those of what is not modelled."""
        return count_parameters(self.shape, self.not_modelled)

    @property
    def run(self) -> RunLength:
        """Length and batch of the planned run, as far as they are known."""
        return RunLength.of(
            seq_len=self.seq_len or self.shape.seq_len,
            steps=self.steps,
            batch_size=self.batch_size,
            tokens=self.tokens,
        )

    @property
    def flops(self) -> float | None:
        """Floating-point operations of the planned run; None if its tokens are not known."""
        tokens = self.run.tokens
        return tokens and tokens * self.shape.training_flops_per_token()

    @field_validator("seq_len")
    @classmethod
    def _only_with_config(cls, seq_len: int | None, info: ValidationInfo) -> int | None:
        if seq_len is not None and info.data.get("config") is None:
            raise PydanticCustomError("length", "goes with config; beside a shape, shape.seq_len")
        return seq_len

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """In a file, one of shape and config is needed; once read, there is a shape."""
        schema = handler(core_schema)
        if handler.mode == "validation":
            fields = handler.resolve_ref_schema(schema)
            fields["required"].remove("shape")
            fields["oneOf"] = [{"required": ["shape"]}, {"required": ["config"]}]
        return schema

    @model_validator(mode="after")
    def _run_is_one(self) -> Self:
        run, length = self.run, self.seq_len or self.shape.seq_len
        if run.tokens and run.steps and run.batch:
            product = run.steps * run.batch
            if abs(product / run.tokens - 1) > ROUNDING:
                raise PydanticCustomError(
                    "run",
                    "steps · batch_size · seq_len = {product} tokens, with seq_len = {length}; "
                    "leave out one of tokens, steps and batch_size",
                    {"at": "tokens", "product": f"{product:.4g}", "length": length},
                )
        if self.horizon is not None and (lacking := self.horizon.lacks(run.model_dump())):
            raise PydanticCustomError("lacks", "{reason}", {"at": "horizon", "reason": lacking})
        return self

    @model_validator(mode="after")
    def _stand_in_alike(self) -> Self:
        if self.check_shape is not None:
            require_same_style(self.shape, self.check_shape)
        return self
