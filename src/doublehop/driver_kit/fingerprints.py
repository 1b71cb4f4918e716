"""One spelling for certificate fingerprints: ``AB:CD:…``, 32 bytes of SHA-256."""

import re

_HEX = re.compile(r"[0-9A-F]{64}")


def spell(text: str) -> str:
    """Accepts what people paste (``sha256:ab cd…``, with or without colons). Empty when it is no fingerprint."""
    bare = re.sub(r"^sha-?256\s*(fingerprint)?\s*[:=]\s*", "", text.strip(), flags=re.IGNORECASE)
    bare = re.sub(r"[\s:]", "", bare).upper()
    if not _HEX.fullmatch(bare):
        return ""
    return ":".join(bare[i : i + 2] for i in range(0, 64, 2))
