"""The formats that settings can be exported in."""

from proxytune.exports.format import Format
from proxytune.exports.huggingface import HuggingFace
from proxytune.exports.megatron import Megatron
from proxytune.exports.olmo_core import OlmoCore
from proxytune.exports.pytorch import PyTorch
from proxytune.exports.torchtitan import TorchTitan

_ALL: tuple[Format, ...] = (PyTorch(), HuggingFace(), TorchTitan(), Megatron(), OlmoCore())
FORMATS: dict[str, Format] = {fmt.name: fmt for fmt in _ALL}
"""By name."""
