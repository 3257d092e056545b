"""OLMo-core: a list of OptimGroupOverride for its llama-like transformers, folded."""

from proxytune.exports.build import Names, Projected, build_document, kept_when_folded
from proxytune.exports.document import ExportDocument, Group
from proxytune.exports.format import Exported, adamw_options, forward_in_words, require_swiglu
from proxytune.scaling.rules import Role

NAMES: Names = {
    "*embeddings.weight": Role.EMBEDDING,
    "*blocks.*.attention.w_q.weight": Role.QUERY,
    "*blocks.*.attention.w_k.weight": Role.KEY,
    "*blocks.*.attention.w_v.weight": Role.VALUE,
    "*blocks.*.attention.w_out.weight": Role.ATTENTION_OUT,
    "*blocks.*.attention.q_norm.weight": Role.QK_NORM,
    "*blocks.*.attention.k_norm.weight": Role.QK_NORM,
    "*blocks.*.feed_forward.w1.weight": Role.HIDDEN,
    "*blocks.*.feed_forward.w3.weight": Role.HIDDEN,
    "*blocks.*.feed_forward.w2.weight": Role.MLP_OUT,
    "*blocks.*.attention_norm.weight": Role.NORM,
    "*blocks.*.feed_forward_norm.weight": Role.NORM,
    "*lm_head.norm.weight": Role.FINAL_NORM,
    "*lm_head.w_out.weight": Role.UNEMBEDDING,
}
FILE = "olmo_core_groups.py"
SCHEDULERS = {"cosine": "CosWithWarmup", "linear": "LinearWithWarmup", "wsd": "WSD"}


class OlmoCore:
    """OLMo-core 3."""

    name = "olmo-core"

    def export(self, projected: Projected) -> Exported:
        """Folded: it has fields for two of the four multipliers, so folding all is simpler.

        Raises InputError for a GELU MLP.
        """
        shape = projected.scaling.target
        require_swiglu(self.name, shape)
        document = build_document(projected, self.name, NAMES, kept=kept_when_folded(shape))
        schedule = document.schedule
        return Exported(
            document=document,
            files={FILE: _source(document)},
            paste=(
                "from olmo_core_groups import GROUP_OVERRIDES  # model: llama_like, pre-norm",
                "optim = AdamWConfig(group_overrides=GROUP_OVERRIDES)",
                "# once model and optimizer are built:",
                "projection = load_projection(FOLDER)  # from proxytune_projection",
                "projection.init_weights_(model)",
                "projection.clip_before_steps(optimizer)",
            ),
            forward=forward_in_words(document, "model.lm_head.w_out"),
            clip="leave max_grad_norm at None, and paste the last line above",
            schedule=f"{SCHEDULERS[schedule.kind]}(warmup_fraction={schedule.warmup_fraction:g}, "
            f"…), down to {schedule.final_lr_fraction:g} of the peak",
        )


def _source(document: ExportDocument) -> str:
    """The Python file with the groups."""
    rows = "".join(f"    {_row(group)},\n" for group in document.groups)
    return (
        f'"""Parameter groups of {document.target}, by study {document.study}."""\n\n'
        "from olmo_core.optim import OptimGroupOverride\n\n"
        f"GROUP_OVERRIDES = [\n{rows}]\n"
    )


def _row(group: Group) -> str:
    return f"OptimGroupOverride(params={list(group.patterns)!r}, opts={adamw_options(group)!r})"
