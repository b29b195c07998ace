"""Statistics of timings: a fresh process is the unit of replication, and processes are paired by round. Pure, no I/O.

stopping            how many rounds: until the confidence intervals are narrow, whatever they contain
detectable_effect   the minimum detectable effect: the smallest slowdown that is found four times in five
proportions         binomial proportions with one-sided confidence bounds
self_comparison     A/A comparisons of one code with itself, and slowdowns injected into them
other_rules         the verdicts that other tools would give on the same samples
calibration         false alarms and minimum detectable effect of this machine, for our rule and those of other tools

Comparisons of two contenders, and the verdicts on them, are in ``bnspec.reports.statistics``: runs are compared by them, too.
"""
