"""WHAT WAS SAID? The SMTP dialogue as bytes in and events out, for both roles. No input or output."""
