"""News of our own mail: bounces and complaints that come back, and what a reply means.

`examine(content)` reads a message; it touches no clock, disk or network, and never raises.
"""

from angarium.reports.detect import examine
from angarium.reports.values import Bounce, Feedback, Mta, Original, Recipient, Reply, Report

__all__ = ["Bounce", "Feedback", "Mta", "Original", "Recipient", "Reply", "Report", "examine"]
