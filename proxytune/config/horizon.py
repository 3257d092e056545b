"""The horizon block of a target: how settings follow the batch size and length of its run."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from proxytune.config.base import NAME_PATTERN, Spec, fields_or_label
from proxytune.config.training import TrainingSpec

Ratio = Literal["steps", "batch", "tokens"]
"""What a rule compares between the target's run and the proxy's."""


class HorizonSpec(Spec):
    """Rules for a run of another length or batch size than the study's. All but sde compose."""

    rule: Literal["sde"] | None = None
    """sde: all settings by one rule, so it goes without the others."""
    batch: Literal["sqrt"] | None = None
    """sqrt: learning rate, eps and betas follow the tokens per step."""
    power: float | None = Field(None, ge=0, le=1)
    """The learning rate falls as this power of the tokens in all."""
    fitted: str | None = Field(None, pattern=NAME_PATTERN)
    """In place of power: the name of an evidence run along tokens, which measures it."""
    decay: Literal["ema", "power-lines"] | None = None
    """Weight decay follows steps and learning rate: ema keeps 1/(lr · decay) the same share of the
    run; power-lines shortens that share as tokens per parameter grow."""
    beta2: Literal["tokens"] | None = None
    """tokens: β₂ remembers as many tokens as in the study, and β₁ stays."""

    @model_validator(mode="before")
    @classmethod
    def _from_label(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        parts = [part.partition("=") for part in value.split(":")]
        return {
            name if equals else "rule": said if equals else name for name, equals, said in parts
        }

    @model_validator(mode="after")
    def _compose(self) -> Self:
        given = self.model_dump(exclude_none=True)
        if not given:
            known = ", ".join(HorizonSpec.model_fields)
            raise PydanticCustomError("none", "names no rule; known are {known}", {"known": known})
        if self.rule and len(given) > 1:
            others = ", ".join(name for name in given if name != "rule")
            raise PydanticCustomError(
                "alone", "sde sets everything itself; leave out {others}", {"others": others}
            )
        if self.power is not None and self.fitted:
            raise PydanticCustomError("one_power", "takes power or fitted, not both")
        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """A label may be written in place of the fields."""
        return fields_or_label(core_schema, handler, "A label: sde, or RULE=VALUE:RULE=VALUE.")

    @property
    def label(self) -> str:
        """As it may be written: sde, or batch=sqrt:decay=ema."""
        given = self.model_dump(exclude_none=True)
        return ":".join(v if name == "rule" else f"{name}={v}" for name, v in given.items())

    @property
    def needs(self) -> frozenset[Ratio]:
        """The ratios that these rules cannot do without."""
        found: set[Ratio] = set()
        if self.rule or self.decay:
            found.add("steps")
        if self.batch or self.beta2:
            found.add("batch")
        if self.power is not None or self.fitted or self.decay == "power-lines":
            found.add("tokens")
        return frozenset(found)

    def lacks(self, known: Mapping[str, float | None]) -> str | None:
        """What these rules need of a run and `known` does not have, in words; None: nothing."""
        missing = [name for name in ("steps", "batch", "tokens") if known[name] is None]
        if not self.needs.intersection(missing):
            return None
        needed = ", ".join(name for name in missing if name in self.needs)
        return f"needs the {needed} of the run: give two of tokens, steps and batch_size"


class RunLength(Spec):
    """Length and batch of a training run, as far as they are known."""

    steps: float | None = None
    """Optimizer steps."""
    batch: float | None = None
    """Tokens per step."""
    tokens: float | None = None
    """Tokens in all."""

    @classmethod
    def of(
        cls,
        *,
        seq_len: int,
        steps: float | None = None,
        batch_size: float | None = None,
        tokens: float | None = None,
    ) -> Self:
        """From any of the three; two of them tell the third."""
        batch = batch_size and batch_size * seq_len
        if tokens is None and steps and batch:
            tokens = steps * batch
        elif steps is None and tokens and batch:
            steps = tokens / batch
        elif batch is None and tokens and steps:
            batch = tokens / steps
        return cls(steps=steps, batch=batch, tokens=tokens)

    @classmethod
    def of_training(cls, training: TrainingSpec, seq_len: int) -> Self:
        """That of a study's trials."""
        return cls.of(seq_len=seq_len, steps=training.steps, batch_size=training.batch_size)

    @property
    def text(self) -> str:
        """In words; empty where nothing is known."""
        if self.steps and self.batch:
            steps = f"{self.steps:,.0f} steps of {self.batch:,.0f} tokens"
            return f"{steps} ({self.steps * self.batch:.3g} in all)"
        known = {
            "{:.3g} tokens": self.tokens,
            "{:,.0f} steps": self.steps,
            "batches of {:,.0f} tokens": self.batch,
        }
        return "".join(words.format(value) for words, value in known.items() if value)
