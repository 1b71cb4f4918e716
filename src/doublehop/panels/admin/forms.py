"""What a person typed, kept while it is refused. Checking is the actions'; a form only carries texts and sentences."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.http import QueryDict

from doublehop.driver_kit.contract import FieldKind, SettingField
from doublehop.fleet.actions.upstreams import BadSettings
from doublehop.organisations.refusals import NotHere, Refusal

_PREFIX = "setting-"
_INPUT = {
    FieldKind.SECRET: "password",
    FieldKind.BOOLEAN: "checkbox",
    FieldKind.LINES: "textarea",
    FieldKind.INTEGER: "number",
    FieldKind.URL: "url",
    FieldKind.CHOICE: "select",
}
_WIDE = frozenset({FieldKind.URL, FieldKind.LINES, FieldKind.FINGERPRINT})
KEPT = "Leave as it is to keep it."
DOTS = "••••••••••••"
"""Stands in the field of a secret that is stored, in the pale ink of what is not typed."""


@dataclass
class Filled:
    """``errors`` is field name to sentence; ``general`` is what belongs to no field. ``status`` of the answer."""

    values: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    general: str = ""
    status: int = 200

    @property
    def summary(self) -> list[tuple[str, str]]:
        """For parts/error_summary.html: (field name or "", sentence)."""
        told = [("", self.general)] if self.general else []
        return told + list(self.errors.items())

    def refuse(self, refusal: Refusal, *, prefix: str = "") -> None:
        """Puts the sentence at its field. What does not exist, or is not theirs, stays a 404."""
        if isinstance(refusal, NotHere):
            raise refusal
        self.status = refusal.http_status
        if isinstance(refusal, BadSettings):
            self.errors.update({(prefix or _PREFIX) + name: text for name, text in refusal.errors.items()})
        elif prefix + refusal.field in self.values:
            self.errors[prefix + refusal.field] = refusal.sentence
        else:
            self.general = refusal.sentence


def typed(post: QueryDict, names: Iterable[str], *, secret: Iterable[str] = ()) -> Filled:
    """The texts of a form. Those of ``secret`` are never given back to the page."""
    hidden = set(secret)
    return Filled({name: "" if name in hidden else post.get(name, "") for name in names})


@dataclass(frozen=True)
class Drawn:
    """One declared setting as parts/field.html draws it."""

    name: str
    label: str
    type: str
    value: Any
    hint: str
    error: str
    required: bool
    placeholder: str
    options: tuple[tuple[str, str], ...]
    narrow: bool

    @property
    def autocomplete(self) -> str:
        """The person's own saved password must not slip into a field of another house."""
        return "new-password" if self.type == "password" else "off"


def draw(
    fields: Iterable[SettingField],
    values: Mapping[str, Any],
    errors: Mapping[str, str],
    *,
    is_new: bool,
    prefix: str = _PREFIX,
    stored: Collection[str] | None = None,
    kept: str = KEPT,
) -> list[Drawn]:
    """Inputs for settings that a kind of upstream declares. Secrets are never echoed.

    ``stored`` names the secrets that are there already (None: unless ``is_new``, all of them); ``kept`` is said below them.
    """
    drawn = []
    for one in fields:
        value = values.get(one.name, one.default)
        if isinstance(value, list | tuple):
            value = "\n".join(str(line) for line in value)
        if one.kind is FieldKind.BOOLEAN:
            value = value in (True, "1", "true", "yes", "on")
        is_kept = one.is_secret and not is_new and (stored is None or one.name in stored)
        drawn.append(
            Drawn(
                name=prefix + one.name,
                label=one.label,
                type=_INPUT.get(one.kind, "text"),
                value="" if one.is_secret else value,
                hint=" ".join(filter(None, (one.hint, kept if is_kept else ""))),
                error=errors.get(prefix + one.name, ""),
                required=one.required and not is_kept and one.kind is not FieldKind.BOOLEAN,
                placeholder=DOTS if is_kept else "",
                options=one.choices if one.required or one.default else (("", "None"), *one.choices),
                narrow=one.kind not in _WIDE,
            )
        )
    return drawn


def typed_settings(post: QueryDict, fields: Iterable[SettingField], prefix: str = _PREFIX) -> dict[str, str]:
    """Raw texts by field name, as the actions take them. A box that is not ticked is an empty text."""
    return {one.name: post.get(prefix + one.name, "") for one in fields}
