"""WHAT IS THIS? Values of mail: addresses, statuses, envelopes, content. No input or output, no clock."""
