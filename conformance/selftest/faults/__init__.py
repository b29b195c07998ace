"""Faults injected into runs: processes killed, disks filled, frames and lines changed; and what became of the verdicts."""
