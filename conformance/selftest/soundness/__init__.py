"""The bounds against correct algorithms: are they sound, and are they tight?

    python -m bnspec.conformance.selftest.soundness        (make bounds)

``reductions``, ``moments`` and ``passes`` are the pieces, and ``algorithms`` combines them; ``layer_norm`` runs the same
algorithms over rows. ``data`` draws their inputs, ``experiment`` compares one algorithm with the oracle, ``search`` climbs towards
the bounds, ``record`` keeps the largest ratios, and ``__main__`` prints the table.
"""
