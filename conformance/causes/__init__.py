"""Causes: findings of a target grouped by what the deviation needs, found by experiment."""
