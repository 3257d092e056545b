"""Megatron-LM: flags, and config_overrides with exact settings for every matrix.

With --mup-base-hidden-size at the target's own hidden size, --use-mup changes no setting by
itself, and its forward multipliers can be given: those on the embedding, on q·k and on logits. The
one on residual branches is folded.
"""

from proxytune.errors import InputError
from proxytune.exports.build import Names, Projected, build_document
from proxytune.exports.document import Dropped, ExportDocument, Group
from proxytune.exports.format import Exported
from proxytune.scaling.projection import Settings
from proxytune.scaling.rules import Role

NAMES: Names = {
    "*word_embeddings.weight": Role.EMBEDDING,
    "*layers.*.self_attention.linear_qkv.weight": Role.QUERY,
    "*layers.*.self_attention.linear_proj.weight": Role.ATTENTION_OUT,
    "*layers.*.self_attention.q_layernorm.weight": Role.QK_NORM,
    "*layers.*.self_attention.k_layernorm.weight": Role.QK_NORM,
    "*layers.*.mlp.linear_fc1.weight": Role.HIDDEN,
    "*layers.*.mlp.linear_fc2.weight": Role.MLP_OUT,
    "*layers.*.self_attention.linear_qkv.layer_norm_weight": Role.NORM,
    "*layers.*.mlp.linear_fc1.layer_norm_weight": Role.NORM,
    "*layers.*.input_layernorm.weight": Role.NORM,
    "*layers.*.pre_mlp_layernorm.weight": Role.NORM,
    "*final_layernorm.weight": Role.FINAL_NORM,
    "*output_layer.weight": Role.UNEMBEDDING,
}
"""With Transformer Engine's layers and with local ones. Q, K and V are one matrix."""
FILE = "megatron_overrides.py"
STYLES = {"cosine": "cosine", "linear": "linear", "wsd": "WSD"}


class Megatron:
    """Megatron-core 0.19."""

    name = "megatron"

    def export(self, projected: Projected) -> Exported:
        """With the K/V rule dropped, since Q, K and V are one matrix.

        Raises InputError where it is to be folded: Megatron has the multipliers as flags.
        """
        if projected.folded:
            raise InputError(
                "--folded: --for megatron has flags for the forward multipliers, so nothing but "
                "the one on residual branches is folded; leave --folded out"
            )
        kept = ("embedding", "attention", "logits")
        document = build_document(
            projected, self.name, NAMES, kept=kept, dropped=_dropped(projected)
        )
        flags = " ".join(_flags(document))
        return Exported(
            document=document,
            files={FILE: _source(document), "flags.txt": flags.replace(" --", "\n--") + "\n"},
            paste=(
                "# the flags in flags.txt, and where the optimizer is made:",
                "from megatron_overrides import CONFIG_OVERRIDES",
                "get_megatron_optimizer(config, model, config_overrides=CONFIG_OVERRIDES)",
                "# before, unless tensor-parallel:",
                "load_projection(FOLDER).init_weights_(model)  # from proxytune_projection",
            ),
            forward="in flags.txt; the one on residual branches is folded",
            clip="it clips inside its optimizer by the global norm, at --clip-grad",
            schedule="in flags.txt",
        )


def _dropped(projected: Projected) -> list[Dropped]:
    """What one matrix for Q, K and V, tensor parallelism and clipping cost."""
    roles, shape = projected.scaling.roles, projected.scaling.target
    query, found = roles[Role.QUERY], []
    for role in (Role.KEY, Role.VALUE):
        if role in roles and (told := _other_than(query, roles[role])):
            found.append((role, told))
    dropped = []
    if found:
        cost = "; ".join(f"{role} trains with {told}" for role, told in found)
        dropped.append(
            Dropped(
                what="the K/V rule: linear_qkv is one matrix, which trains with query's settings",
                roles=tuple(role for role, _ in found),
                cost=f"{cost}. Tune with kv_rule: none, and no learning rate is dropped",
            )
        )
    factor = (2 * shape.n_layers) ** -0.5 / projected.scaling.forward.residual
    dropped.append(
        Dropped(
            what="initial weights under tensor parallelism, where init_weights_ cannot be used",
            roles=(Role.ATTENTION_OUT, Role.MLP_OUT),
            cost=f"Megatron starts linear_proj and linear_fc2 at 1/√(2·num_layers), which is "
            f"{factor:.3g} times the projected std",
        )
    )
    if projected.training.clip_norm is not None and projected.scaling.forward.residual != 1:
        dropped.append(
            Dropped(
                what="exact clipping: gradients of linear_proj and linear_fc2 are those of folded "
                "weights",
                roles=(Role.ATTENTION_OUT, Role.MLP_OUT),
                cost=f"in the norm they count {1 / projected.scaling.forward.residual:.3g} times "
                "as much as in the study, so more steps are clipped",
            )
        )
    return dropped


def _other_than(query: Settings, own: Settings) -> str:
    """How the query's settings differ from those that K or V should have; "" if they do not."""
    pairs = {
        "learning rate": (query.lr, own.lr),
        "weight decay": (query.weight_decay, own.weight_decay),
        "init std": (query.init_std or 1.0, own.init_std or 1.0),
    }
    off = [f"{theirs / ours:.3g} times its {n}" for n, (theirs, ours) in pairs.items() if ours]
    same = all(theirs == ours for theirs, ours in pairs.values())
    return "" if same else " and ".join(told for told in off if not told.startswith("1 times"))


def _flags(document: ExportDocument) -> list[str]:
    """Command-line arguments: forward multipliers, schedule, clipping and AdamW."""
    hp, schedule, forward = document.hyperparameters, document.schedule, document.forward
    shape, hidden = document.shape, document.group(Role.HIDDEN)
    flags = {
        "use-mup": "",
        "mup-base-hidden-size": f"{shape.d_model}",
        "mup-embedding-mult": f"{forward.embedding!r}",
        "mup-output-mult": f"{forward.logits!r}",
        "mup-attn-scale-power": "1.0",
        "mup-base-head-dim": f"{(forward.attention * shape.head_dim) ** 2!r}",
        "init-method-std": f"{hidden.init_std!r}",
        "embedding-init-method-std": f"{document.group(Role.EMBEDDING).init_std!r}",
        "optimizer": "adam",
        "lr": f"{hidden.lr!r}",
        "min-lr": f"{hidden.lr * schedule.final_lr_fraction!r}",
        "lr-decay-style": STYLES[schedule.kind],
        "lr-warmup-fraction": f"{schedule.warmup_fraction!r}",
        "weight-decay": f"{hp.weight_decay!r}",
        "adam-beta1": f"{hp.beta1!r}",
        "adam-beta2": f"{hp.beta2!r}",
        "adam-eps": f"{hidden.eps!r}",
        "clip-grad": f"{document.clip.norm or 0.0!r}",
        "disable-bias-linear": "",
        "normalization": "RMSNorm",
        "swiglu": "",
    }
    if shape.mlp != "swiglu":
        del flags["swiglu"]
    if document.run and document.run.steps:
        flags["train-iters"] = f"{document.run.steps:.0f}"
    if document.run and document.run.batch:
        flags["global-batch-size"] = f"{document.run.batch / shape.seq_len:.0f}"
    if not shape.tied:
        flags["untie-embeddings-and-output-weights"] = ""
    return [f"--{name} {value}".strip() for name, value in flags.items()]


def _source(document: ExportDocument) -> str:
    """The Python file with the overrides."""
    rows = "".join(f"    {_row(group, document)},\n" for group in document.groups)
    return (
        f'"""Settings of {document.target}, by study {document.study}; in place of Megatron\'s '
        'standard overrides."""\n\n'
        "from megatron.core.optimizer.optimizer_config import ParamKey\n\n"
        f"CONFIG_OVERRIDES = {{\n{rows}}}\n"
    )


def _row(group: Group, document: ExportDocument) -> str:
    """One role's override; wd_mult is over --weight-decay."""
    base = document.hyperparameters.weight_decay
    options = {
        "max_lr": group.lr,
        "min_lr": group.lr * document.schedule.final_lr_fraction,
        "wd_mult": group.weight_decay / base if base else 0.0,
        "eps": group.eps,
    }
    return f"ParamKey(name={group.patterns!r}): {options!r}"
