"""Which machines stand in the box. Known to the emulators and to the cast, without Django."""

from doublehop.box.emulators import Machine, machines_of

MACHINES: tuple[Machine, ...] = machines_of(10)
SPARE_SWITCH_PORTS = 5
