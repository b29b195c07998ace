"""Standalone repros: a deviation as a script of at most 15 statements that needs only the framework and NumPy.

A finding's typed evidence chooses the assertion, its smallest case and a framework's writer give the other statements
(``script``); ``scripts`` does it for a run directory, and ``execute`` runs what was written, each script in a process of its own.
The room reads the run directory only: manifest, records and cases.
"""
