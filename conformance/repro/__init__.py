"""Standalone repros: a deviation as a script of at most 15 lines that needs only the framework and NumPy.

A finding, its smallest case and a framework's writer give the lines (``script``); ``making`` does it for a run directory, and
``running`` runs what was written, each script in a process of its own.
"""
