"""WHAT HAPPENED? Records, the segments that hold them, and the operators' own diagnostics."""
