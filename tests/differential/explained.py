"""Why the two servers may differ: what a label may come out as on either side, and the reason.

docs/specifications.md says the same to people. A difference that no line has is a fault of one of the two.
"""

import re

STRICT = "RFC 5321's grammar; Postfix takes more than it"
LINES = "what is relayed holds no bare CR or LF and no line of more than 998 octets"
UNTOUCHED = "content is relayed as it came; Postfix's cleanup edits it"
_GRAMMAR_OF_PATHS = (
    "(MAIL (bare CR|domain with a dot at the end|dot at the end|local part of 300|no domain"
    "|parameter twice|tab|two at signs|two dots)|RCPT (domain with a dot at the end|dot first|two dots))"
)
_EDITED = "Bcc|Content-Length|Return-Path|mbox line first|no header|space before the colon"
_REASONS: tuple[tuple[str, str, str, str], ...] = (
    # label, theirs, ours, why
    ("EHLO (long name|not a name|raw UTF-8|two words)", "250", "501", STRICT),
    (_GRAMMAR_OF_PATHS, "250", "50[13]", STRICT),
    ("stray (space first|tab as a space)", "250", "501", STRICT),
    ("stray QUIT with an argument", "221", "501", STRICT),
    ("(MAIL|RCPT) UTF-8 undeclared", "250", "553", "RFC 6531: UTF-8 in a path needs SMTPUTF8"),
    ("MAIL AUTH=", "250", "555", "a parameter of an extension that is not offered"),
    ("RCPT postmaster", "250", "550", "the option `postmaster` says who gets it; not set here"),
    ("RCPT literal", "250", "550", "client-written literals do not route; Postfix takes its own address"),
    ("stray ETRN", "250", "502", "no such extension"),
    ("stray HELP", "50[02]", "214", "RFC 5321 section 4.1.1.8"),
    ("stray HTTP", "221", "50[01]", "Postfix hangs up on some header names (smtpd_forbidden_commands)"),
    ("stray line of 3000", "250", "500", LINES),
    ("after XCLIENT", r"\d+( .*)?", "closed", "an unlisted peer's XCLIENT ends its session"),
    ("after MAIL SIZE too big", "55[24]|503", r"\d+( .*)?", "Postfix's verdict outlasts the refused MAIL"),
    ("(content|BDAT) 60 Received", "554", "250", "100 hops (RFC 5321 section 6.3), 50 with Postfix"),
    ("(content|BDAT) (LF only|bare CR|bare LF)", "250", "552", LINES),
    ("(content|BDAT) line of (999|5000)", "250", "500", LINES),
    ("(content|BDAT) NUL in the header", "250", "550", "RFC 5322 forbids it; Postfix takes it out"),
    (r"content smuggled behind .*", r"250 .*", "552 221 closed", LINES),
    (f"arrival: (content|BDAT) ({_EDITED})", "content .*", "content .*", UNTOUCHED),
    ("arrival: BDAT space first", "content .*", "content .*", "it joins Postfix's Received field, not ours"),
    ("arrival: RCPT capitals", "recipient .*", "recipient .*", "domains in small letters"),
    ("arrival: RCPT quoted needlessly", "recipient .*", "recipient .*", "local parts as they came"),
)


def reason(label: str, theirs: str, ours: str) -> str:
    """Why they differ so; "" where nobody knows."""
    for *patterns, why in _REASONS:
        if all(
            re.fullmatch(one, said, re.DOTALL)
            for one, said in zip(patterns, (label, theirs, ours), strict=True)
        ):
            return why
    return ""
