"""Every command of Dropzone that was ever seen, and ours."""

from doublehop.leap.dropzone import order, refused, server, tandem, user

COMMANDS = (*server.COMMANDS, *tandem.COMMANDS, *user.COMMANDS, *order.COMMANDS, *refused.COMMANDS)
