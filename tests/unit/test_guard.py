from __future__ import annotations

from ipaddress import ip_address

import pytest

from shared.errors import SourceRefused
from shared.fetch import GuardedClient
from shared.guard import check_url, is_public
from tests.unit.guarded import LOCAL, STRICT


@pytest.mark.parametrize(
    "url",
    [
        "",
        "media.example/a.mp4",
        "http://media.example/a.mp4",
        "ftp://media.example/a.mp4",
        "file:///etc/passwd",
        "gs://bucket/name",
        "https://",
        "https:///a.mp4",
        "https://?q",
        "https://user@media.example/",
        "https://user:password@media.example/",
        "https://@media.example/",
        "https://media.example\\@127.0.0.1/",
        "https://media.example:8443/",
        "https://media.example:0/",
        "https://media.example:x/",
        "https://media.example:99999/",
        "https://media example/",
        "https://media..example/",
        "https://%31%32%37.0.0.1/",
        "https://media.example/\x00",
        "https://media.example/a\r\nX-Evil: 1",
        "https://media.exa\tmple/",
        " https://media.example/",
        "https://media.example/" + "a" * 2048,
        "https://localhost/",
        "https://a.localhost/",
        "https://printer.local/",
        "https://metadata.google.internal/",
        "https://metadata.google.internal./",
        "https://127.0.0.1/",
        "https://127.0.0.1./",
        "https://127.1/",
        "https://2130706433/",
        "https://017700000001/",
        "https://0x7f000001/",
        "https://0x7f.1/",
        "https://0177.0.0.01/",
        "https://\uff11\uff12\uff17.0.0.1/",
        "https://127。0。0。1/",
        "https://0/",
        "https://169.254.169.254/",
        "https://2852039166/",
        "https://4294967296/",
        "https://1.2.3.4.5/",
        "https://10.0.0.1/",
        "https://[::1]/",
        "https://[::]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:8.8.8.8]/",
        "https://[64:ff9b::a9fe:a9fe]/",
        "https://[2002:7f00:1::]/",
        "https://[fe80::1%25eth0]/",
        "https://[fd00:ec2::254]/",
        "https://[2620:fe::fe]media.example/",
        "https://media.example[2620:fe::fe]/",
        "https://[2620:fe::fe%25eth0]/",
        "https://[::1/",
    ],
)
def test_what_is_no_plain_https_url_to_a_public_place_is_refused_without_dns(url: str) -> None:
    with pytest.raises(SourceRefused):
        check_url(url, STRICT)


@pytest.mark.parametrize(
    ("url", "origin", "path"),
    [
        ("https://media.example", "https://media.example", "/"),
        ("HTTPS://Media.Example:443/A.mp4?sig=1#t=5", "https://media.example", "/A.mp4?sig=1"),
        ("https://media.example/a b/ä?x=a@b|c", "https://media.example", "/a%20b/%C3%A4?x=a@b%7Cc"),
        ("https://media.example/a%20b%2Fc", "https://media.example", "/a%20b%2Fc"),
        ("https://media.example/\ud800", "https://media.example", "/?"),
        ("https://bücher.example/", "https://xn--bcher-kva.example", "/"),
        ("https://a_b.media.example./", "https://a_b.media.example", "/"),
        ("https://134744072/", "https://8.8.8.8", "/"),
        ("https://[2620:FE::FE]/", "https://[2620:fe::fe]", "/"),
    ],
)
def test_public_urls_pass_and_have_one_form(url: str, origin: str, path: str) -> None:
    target = check_url(url, STRICT)

    assert (target.origin, target.path.replace("%3F", "?")) == (origin, path)


@pytest.mark.parametrize(
    ("url", "passes"),
    [
        ("http://127.0.0.1:8080/", True),
        ("http://localhost:8080/", True),
        ("https://[::1]:8443/", True),
        ("https://8.8.8.8/", True),
        ("https://8.8.8.8:8443/", False),
        ("http://8.8.8.8/", False),
        ("http://8.8.8.8:443/", False),
        ("http://10.0.0.1/", False),
        ("http://169.254.169.254/", False),
    ],
)
def test_a_local_cloud_may_go_to_loopback_besides_and_nowhere_else(url: str, passes: bool) -> None:
    if passes:
        check_url(url, LOCAL)
    else:
        with pytest.raises(SourceRefused):
            check_url(url, LOCAL)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("172.15.0.1", True),
        ("2620:fe::fe", True),
        ("2a00:1450:4001:80e::200e", True),
        ("0.0.0.0", False),
        ("10.1.2.3", False),
        ("34.118.223.255", True),
        ("34.118.224.1", False),
        ("100.64.0.1", False),
        ("100.100.100.200", False),
        ("127.255.255.254", False),
        ("169.254.169.254", False),
        ("172.16.0.1", False),
        ("192.0.0.9", False),
        ("192.0.2.1", False),
        ("192.88.99.1", False),
        ("192.168.0.1", False),
        ("198.18.0.1", False),
        ("203.0.113.1", False),
        ("224.0.0.1", False),
        ("239.255.255.250", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("::127.0.0.1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:8.8.8.8", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b:1::1", False),
        ("100::1", False),
        ("2001::1", False),
        ("2001:db8::1", False),
        ("2002:7f00:1::", False),
        ("3fff::1", False),
        ("5f00::1", False),
        ("fc00::1", False),
        ("fd00:ec2::254", False),
        ("fe80::1", False),
        ("fec0::1", False),
        ("ff02::1", False),
    ],
)
def test_only_addresses_of_single_public_hosts_count_as_public(address: str, public: bool) -> None:
    assert is_public(ip_address(address)) is public


def test_a_client_checks_urls_under_its_own_policy() -> None:
    GuardedClient(LOCAL).check("http://127.0.0.1:8080/hook")
    with pytest.raises(SourceRefused):
        GuardedClient(STRICT).check("http://127.0.0.1:8080/hook")
