"""Timing one workload under one condition, and the verdict of what was timed."""
