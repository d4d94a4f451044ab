"""THE OFFICE: what operators ask of a running server."""
