"""Plain PyTorch: param_groups.json and its loader, for Llama's parameter names or any other."""

from proxytune.exports.build import Projected, build_document, kept_when_folded, of_weights
from proxytune.exports.format import Exported, forward_in_words
from proxytune.scaling.names import LLAMA

LLAMA_NAMES = of_weights(LLAMA)
"""The names in Hugging Face's Llama and the classes that name their parameters alike."""
ALL = ("embedding", "attention", "residual", "logits")
"""The forward multipliers."""
LOAD = (
    "from proxytune_projection import load_projection",
    "projection = load_projection(FOLDER)",
    "projection.init_weights_(model)",
    "optimizer = projection.optimizer(model)",
    "scheduler = projection.scheduler(optimizer, steps)",
)
"""How a training loop of the user's own takes the settings."""


class PyTorch:
    """A training loop of the user's own."""

    name = "pytorch"

    def export(self, projected: Projected) -> Exported:
        """The settings of a model that applies the forward multipliers, or of a folded one."""
        shape = projected.scaling.target
        document = build_document(
            projected,
            self.name,
            LLAMA_NAMES,
            kept=kept_when_folded(shape) if projected.folded else ALL,
            biases=True,
        )
        return Exported(
            document=document,
            paste=LOAD,
            forward=forward_in_words(document, head="OUTPUT_HEAD"),
            clip="projection.optimizer clips before each step, at the norm that the study's "
            "gradients would have (each group's clip_scale), so do not clip elsewhere",
            schedule="scheduler.step() after each optimizer.step()",
        )
