"""A text that does not print."""


class Secret:
    """Holds a password, key or community. ``reveal()`` is the only way to its text, so a search finds every use."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__
    __format__ = None  # type: ignore[assignment]

    def __reduce__(self) -> str:
        raise TypeError("a Secret is not pickled")
