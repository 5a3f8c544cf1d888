"""The command line: ``main.py`` and a file for each command. Nothing of the library imports it."""
