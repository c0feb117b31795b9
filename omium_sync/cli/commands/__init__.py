"""The commands, each in a module of its name that defines `command`."""
