"""Which addresses are taken, how messages are signed, and how long is waited."""

import base64

import pytest

from selfheal.db.settings import SettingsError
from selfheal.server.settings import read_settings
from selfheal.server.webhooks.delivery import wait_before
from selfheal.server.webhooks.sender import signature_headers
from selfheal.server.webhooks.url_policy import UrlPolicy, WebhookError, is_public
from tests.support.webhook_receiver import SECRET

PUBLIC = ("8.8.8.8", "93.184.215.14", "2606:4700:4700::1111", "2a00:1450:4001:80b::200e")
PRIVATE = (
    *("127.0.0.1", "127.9.9.9", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255"),
    *("192.168.1.1", "169.254.169.254", "100.64.0.1", "100.127.255.255", "192.0.2.1"),
    *("198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1"),
    *("::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "64:ff9b::a00:1", "64:ff9b:1::1"),
    *("2002:7f00:1::", "2001:0:1::1", "2001:db8::1"),
)


@pytest.mark.parametrize(
    ("address", "wanted"),
    [
        *((each, True) for each in PUBLIC),
        *((each, False) for each in PRIVATE),
    ],
)
def test_only_public_addresses_are_public(address: str, wanted: bool) -> None:
    assert is_public(address) is wanted


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("app.example/hook", "must be an https URL"),
        ("/runs/wait", "must be an https URL"),
        ("https:///hook", "must be an https URL"),
        ("file:///etc/passwd", "must be an https URL"),
        ("ftp://app.example/", "must be an https URL"),
        ("https://me:secret@app.example/", "a user or a password"),
        ("https://me@app.example/", "a user or a password"),
        ("https://app.example:99999/", "port"),
        ("https://app.example:0/", "port"),
        ("https://[::1/", "is not a URL"),
        ("https://app.example/\n", "is not a URL"),
        ("https://\ud800/", "is not a URL"),
        ("http://app.example/", "must be https"),
        ("https://localhost/", "public"),
        ("https://LOCALHOST./", "public"),
        ("https://127.0.0.1:8000/", "public"),
        ("https://169.254.169.254/latest/meta-data", "public"),
        ("https://[::ffff:10.0.0.1]/", "public"),
        ("", "must be an https URL"),
    ],
)
def test_an_address_that_is_not_taken_is_named(url: str, why: str) -> None:
    with pytest.raises(WebhookError, match=why):
        UrlPolicy(configured=True, allow_private=False).check(url)


def test_other_addresses_are_taken() -> None:
    for url in (
        "https://app.example/hook?token=1",
        "https://8.8.8.8:8443/",
        "https://bücher.example",
    ):
        UrlPolicy(configured=True, allow_private=False).check(url)
    for url in ("http://localhost:8000/", "http://10.0.0.1/"):
        UrlPolicy(configured=True, allow_private=True).check(url)


def test_without_a_secret_the_setting_is_named() -> None:
    policy = UrlPolicy(configured=False, allow_private=True)
    policy.check(None)
    with pytest.raises(WebhookError, match="SELFHEAL_WEBHOOK_SECRET"):
        policy.check("https://app.example/hook")


def test_the_signature_is_that_of_the_specifications_own_example() -> None:
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    message = ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    signed = signature_headers((key, b"another key, for a while"), *message)
    first, second = signed["webhook-signature"].split(" ")
    assert first == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert second.startswith("v1,")
    assert second != first
    assert signed["webhook-timestamp"] == "1614265330"


def test_waits_grow_and_are_bounded() -> None:
    waits = [wait_before(attempt) for attempt in range(2, 11)]
    for wait, middle in zip(waits, (5, 20, 80, 320, 1280, 5120, 7200, 7200, 7200), strict=True):
        assert 0.8 * middle <= wait <= 1.2 * middle
    assert len({wait_before(2) for _ in range(9)}) > 1, "not all at the same moment"
    assert wait_before(2, 600) == 600
    assert wait_before(2, 10**9) == 7200


def test_secrets_are_read_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_settings().webhook_keys == ()
    other = "whsec_" + base64.b64encode(bytes(range(32))).decode()
    monkeypatch.setenv("SELFHEAL_WEBHOOK_SECRET", f"{SECRET}, {other}")
    settings = read_settings()
    assert [len(key) for key in settings.webhook_keys] == [24, 32]
    assert SECRET not in repr(settings)
    for wrong in ("hunter2hunter2", "whsec_", "whsec_c2hvcnQ=", "whsec_" + "*" * 40, f"{SECRET},"):
        monkeypatch.setenv("SELFHEAL_WEBHOOK_SECRET", wrong)
        with pytest.raises(SettingsError, match="SELFHEAL_WEBHOOK_SECRET: must be whsec_") as told:
            read_settings()
        assert wrong.removeprefix("whsec_") not in str(told.value) or wrong == "whsec_"
