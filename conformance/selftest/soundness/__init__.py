"""The bounds against correct algorithms: are they sound, and does anyone come near them?

    python -m bnspec.conformance.selftest.soundness        (make bounds)

``reductions``, ``moments`` and ``passes`` are the pieces, ``algorithms`` puts them together, ``data`` draws what they are fed,
``trial`` compares with the oracle, ``search`` climbs towards the bound, and ``table`` prints what came out.
"""
