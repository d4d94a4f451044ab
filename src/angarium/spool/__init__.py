"""IS IT SAFE? Messages on stable storage: segments, group commit, recovery."""
