"""False alarms of accuracy.errors_are_unbiased: how often its tests accuse a correct variant.

python -m bnspec.conformance.selftest.false_alarms [SEEDS]        (make false-alarms)
"""
