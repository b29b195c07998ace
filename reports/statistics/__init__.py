"""Statistics of timings that benchmarks and reports share: a fresh process is the unit of replication. Pure, no I/O.

paired     one comparison within a run: the log ratio of process medians, its confidence interval and its p-value
unpaired   the same of two runs, whose processes have no rounds in common
verdicts   FASTER, SLOWER, SAME or AMBIGUOUS for all cells of a run, with the false discovery rate controlled
"""
