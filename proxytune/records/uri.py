"""URIs as they may be shown."""

from urllib.parse import urlsplit, urlunsplit


def masked(uri: str) -> str:
    """The URI without its user's password."""
    parts = urlsplit(uri)
    if parts.password is None:
        return uri
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{parts.username}:***@{host}"))
