"""The run directory (records and store) and everything that reads it: tables and the page."""
