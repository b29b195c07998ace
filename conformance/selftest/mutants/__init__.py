"""Planted defects (mutants) and unusual but correct implementations (variants): what tests the suite itself.

Each is an adapter of its own and goes through the same door as a real backend: ``planted:NAME`` in a worker process.
"""
