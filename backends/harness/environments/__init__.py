"""Environments: where a target's framework is installed, if that is not beside the interpreter that runs this."""
