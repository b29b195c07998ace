"""Environments: where a target's framework lives, where that is not the interpreter that runs this."""
