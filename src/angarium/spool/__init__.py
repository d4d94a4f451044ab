"""IS IT SAFE? Append-only segments with group commit; see docs/spool.md."""
