"""The commands.

To add one, write a function `NAME_command` with a decorator of `connection.py` (`client_command` for most), in a file
of its own or in that of a similar command, and list it in `app.COMMANDS`.
"""
