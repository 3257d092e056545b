"""torchtitan: a list of ParamGroupConfig for its llama3 and qwen3, folded."""

import re

from proxytune.exports.build import Names, Projected, build_document, kept_when_folded
from proxytune.exports.document import ExportDocument, Group
from proxytune.exports.format import Exported, adamw_options, forward_in_words, require_swiglu
from proxytune.scaling.rules import Role

NAMES: Names = {
    "*tok_embeddings.weight": Role.EMBEDDING,
    "*layers.*.attention.qkv_linear.wq.weight": Role.QUERY,
    "*layers.*.attention.qkv_linear.wk.weight": Role.KEY,
    "*layers.*.attention.qkv_linear.wv.weight": Role.VALUE,
    "*layers.*.attention.wo.weight": Role.ATTENTION_OUT,
    "*layers.*.attention.q_norm.weight": Role.QK_NORM,
    "*layers.*.attention.k_norm.weight": Role.QK_NORM,
    "*layers.*.feed_forward.w1.weight": Role.HIDDEN,
    "*layers.*.feed_forward.w3.weight": Role.HIDDEN,
    "*layers.*.feed_forward.w2.weight": Role.MLP_OUT,
    "*layers.*.attention_norm.weight": Role.NORM,
    "*layers.*.ffn_norm.weight": Role.NORM,
    "*norm.weight": Role.FINAL_NORM,
    "*lm_head.weight": Role.UNEMBEDDING,
}
"""Built with fuse_qkv=False: the fused matrix has one setting for Q, K and V."""
FILE = "torchtitan_groups.py"


class TorchTitan:
    """torchtitan 0.3."""

    name = "torchtitan"

    def export(self, projected: Projected) -> Exported:
        """Folded, since its models have no multipliers. Raises InputError for a GELU MLP."""
        shape = projected.scaling.target
        require_swiglu(self.name, shape)
        document = build_document(projected, self.name, NAMES, kept=kept_when_folded(shape))
        schedule = document.schedule
        wsd = f", decay_ratio={schedule.decay_fraction:g}" if schedule.kind == "wsd" else ""
        decay = "linear" if schedule.kind == "wsd" else schedule.kind
        return Exported(
            document=document,
            files={FILE: _source(document)},
            paste=(
                "from torchtitan_groups import PARAM_GROUPS  # model: fuse_qkv=False",
                "optimizer = OptimizersContainer.Config(param_groups=PARAM_GROUPS)",
                "# once model and optimizers are built:",
                "projection = load_projection(FOLDER)  # from proxytune_projection",
                "projection.init_weights_(model)",
                "for part in optimizers: projection.clip_before_steps(part)",
                "# to verify: describe(optimizers.optimizers[0], model)",
            ),
            forward=forward_in_words(document, "model.lm_head"),
            clip="set training.max_norm so high that it never clips, and paste the line with "
            "clip_before_steps (not under pipeline parallelism: it would clip each part apart)",
            schedule=f"LRSchedulersContainer.Config(warmup_steps={schedule.warmup_fraction:g} × "
            f'steps, decay_type="{decay}", min_lr_factor={schedule.final_lr_fraction:g}{wsd})',
        )


def _source(document: ExportDocument) -> str:
    """The Python file with the groups."""
    rows = "".join(f"    {_row(group)},\n" for group in document.groups)
    return (
        f'"""Parameter groups of {document.target}, by study {document.study}. In order, the '
        'first pattern counts."""\n\n'
        "from torchtitan.components.optimizer import ParamGroupConfig\n\n"
        f"PARAM_GROUPS = [\n{rows}]\n"
    )


def _row(group: Group) -> str:
    pattern = "|".join(_regex(p) for p in group.patterns)
    return (
        f'ParamGroupConfig(pattern=r"{pattern}", optimizer_name="AdamW", '
        f"optimizer_kwargs={adamw_options(group)!r})"
    )


def _regex(pattern: str) -> str:
    """A shell pattern as a regular expression for re.search."""
    return "^" + re.escape(pattern).replace(r"\*", ".*") + "$"
