"""What the repro scripts of every framework share: the interface of a script writer, and literals."""
