"""Files that reports leave behind."""

import json
import os
from pathlib import Path
from typing import Any


def write_json(path: Path, document: Any) -> None:
    """Writes the document; a file that is there is replaced as a whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    new.write_text(text + "\n", encoding="utf-8")
    os.replace(new, path)
