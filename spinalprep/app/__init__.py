"""The run: command line, participants, status, exit codes."""
