"""Operations as they go on: a line for each change, and on a terminal one more that is drawn again until there is an end."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone, tzinfo
from typing import Any, Callable, TextIO

from doublehop_remote.calling import Api
from doublehop_remote.shown import state_of
from doublehop_remote.stopping import DONE, NOT_ENDED, REFUSED, UNKNOWN, Stop
from doublehop_remote.tables import parsed, plain

OPEN = ("queued", "running")
"""What ends by itself. Held and unknown wait for a person."""
LOOK_EVERY_SECONDS = (0.5, 1, 1, 2, 2, 3)
CODE_OF = {"done": DONE, "failed": REFUSED, "cancelled": REFUSED, "unknown": UNKNOWN}


class Watch:
    """``as_json``: one object a line (a line whenever something changed), for programs."""

    def __init__(
        self,
        api: Api,
        output: TextIO,
        zone: tzinfo,
        *,
        as_json: bool,
        timeout: float,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.api = api
        self.output = output
        self.zone = zone
        self.as_json = as_json
        self.until = time.monotonic() + timeout
        self.pause = pause
        self._drawn = False
        self._last: dict[str, Any] = {}

    def to_the_end(self, references: Sequence[str]) -> int:
        """Until each has ended or waits for a person. Answers with the worst exit code of them."""
        ended: dict[str, int] = {}
        number = 0
        while True:
            rows = [self.api.get(f"operations/{one}") for one in references if one not in ended]
            for row in rows:
                self._tell(row)
                if row.get("state") not in OPEN:
                    ended[str(row.get("reference"))] = CODE_OF.get(str(row.get("state")), NOT_ENDED)
            if len(ended) == len(references):
                self._wipe()
                return max(ended.values(), default=DONE)
            if time.monotonic() > self.until:
                self._wipe()
                raise Stop(
                    NOT_ENDED,
                    "It has not ended yet, and goes on without being watched.",
                    step=f"operations --watch {' '.join(one for one in references if one not in ended)}",
                )
            self._draw(row for row in rows if row.get("state") in OPEN)
            self.pause(LOOK_EVERY_SECONDS[min(number, len(LOOK_EVERY_SECONDS) - 1)])
            number += 1

    def _tell(self, row: dict[str, Any]) -> None:
        """What is new since the last look."""
        key = str(row.get("reference"))
        steps = self._steps(key)
        before = self._last.get(key, {})
        now = {"state": row.get("state"), "sentence": row.get("sentence"), "steps": steps}
        if now == before:
            return
        self._last[key] = now
        if self.as_json:
            self._line(json.dumps({**row, "steps": steps}))
            return
        if not before:
            self._say(f"{key} {str(row.get('kind') or '').replace('_', ' ')}: {state_of(row)}")
        old = before.get("steps", [])
        for at, step in enumerate(steps):
            state = step.get("state")
            if state != (old[at].get("state") if at < len(old) else None) and (before or state != "pending"):
                self._say(f"{key}   {at + 1}. {step.get('name') or step.get('kind')}: {state}")
        told = f", {row['sentence']}" if row.get("sentence") else ""
        if before or told:
            self._say(f"{key} {state_of(row)}{told}")

    def _steps(self, reference: str) -> list[dict[str, Any]]:
        """Staff read them; to others they are not there."""
        try:
            found = self.api.get(f"operations/{reference}/steps")
        except Stop as stop:
            if stop.problem.get("status") in (403, 404):
                return []
            raise
        rows = found.get("items") if isinstance(found, dict) else found
        return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []

    def _say(self, text: str) -> None:
        self._line(f"{datetime.now(timezone.utc).astimezone(self.zone):%H:%M:%S} {plain(text)}")

    def _line(self, text: str) -> None:
        self._wipe()
        # At once: whoever reads the pipe wants to see it happen.
        print(text, file=self.output, flush=True)

    def _draw(self, rows: Iterable[dict[str, Any]]) -> None:
        if self.as_json or not self.output.isatty():
            return
        now = datetime.now(timezone.utc)
        told = []
        for row in rows:
            asked = parsed(row.get("asked_at"))
            age = f", {max(0, int((now - asked).total_seconds()))} s" if asked else ""
            told.append(f"{row.get('reference')} {row.get('state')}{age}")
        self._wipe()
        self.output.write(plain("  ".join(told))[:78])
        self.output.flush()
        self._drawn = True

    def _wipe(self) -> None:
        if self._drawn:
            self.output.write("\r\x1b[K")
            self.output.flush()
            self._drawn = False
