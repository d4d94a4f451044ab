"""For people who test their policy: a server in process, a clock that jumps, DNS as a dict."""
