"""Plain data that crosses the process boundary: cases, observations, conventions, memory layouts, precisions."""
