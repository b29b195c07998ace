"""Statistics of timings: fresh processes are the unit of replication, paired by round. Pure functions, no I/O.

paired        what one comparison measured: the log ratio of process medians, its interval and its p-value
verdicts      FASTER, SLOWER, SAME or AMBIGUOUS for all cells of a run, false discoveries controlled
stopping      how many rounds: until the intervals are narrow, whatever they say
power         the smallest slowdown that is found four times in five
shares        counts out of so many, with the bounds of what they are an estimate of
groups        raw samples of comparisons of one code with itself, and slowdowns planted in them
rivals        what other tools would say of the same samples
calibration   false alarms and detectable effect of this machine, ours and the rivals'
"""
