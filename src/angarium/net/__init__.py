"""The I/O shell: connections, TLS, DNS, limits."""
