"""Mutants: implementations with one defect each, which the suite must detect.

Each is an adapter and can run in a worker process like any backend, as ``bnspec.conformance.selftest.catalogue.adapters:NAME``.
"""
