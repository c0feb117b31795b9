"""The commands: each is a function `NAME_command` in a file of its own or of a command like it (see `app.COMMANDS`)."""
