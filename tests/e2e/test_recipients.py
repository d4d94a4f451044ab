"""Mail for nobody is refused at RCPT, where a domain's recipients are known."""

DOMAINS = """\
["inside.example"]
relay_to = true
recipients = "inside.txt"
["bounces.example"]
relay_to = true
log_oob = true
recipients = "inside.txt"
"""


def test_who_does_not_exist(serve, tmp_path):
    """Strangers reach who exists, and get 550 5.1.1 for everybody else, with the line that decided."""
    (tmp_path / "inside.txt").write_text("anna\n")

    async def test(house):
        client = await house.stranger()
        known, unknown = await client.begin("a@far.example", "anna@inside.example", "eve@inside.example")
        assert known.startswith("250")
        assert unknown == "550 5.1.1 there is no such recipient here"
        [record] = house.records("Rejection")
        assert (record["decided_by"]["file"][-12:], record["decided_by"]["line"]) == ("domains.toml", 3)
        (tmp_path / "inside.txt").write_text("anna\neve\n")
        house.take()
        assert (await client.say("RCPT TO:<eve@inside.example>")).startswith("250")

    serve(test, domains=DOMAINS)


def test_peers_with_a_right_of_their_own(serve, tmp_path):
    """The list limits `relay_to` alone: a peer that may relay anywhere may, and learns of it by a bounce."""
    (tmp_path / "inside.txt").write_text("anna\n")

    async def test(house):
        client = await house.connect()
        assert (await client.begin("a@far.example", "eve@inside.example"))[0].startswith("250")

    serve(test, domains=DOMAINS)


def test_reports_for_nobody_are_still_logged(serve, tmp_path):
    """A domain that logs bounces takes them for any recipient, whoever exists."""
    (tmp_path / "inside.txt").write_text("anna\n")

    async def test(house):
        client = await house.stranger()
        assert (await client.begin("", "b-17@bounces.example"))[0].endswith("for reports only")

    serve(test, domains=DOMAINS)
