"""Patterns of pages: what they mean, what they refuse, and why a page is none of them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowserver.domain import urls
from flowserver.errors import Invalid


def matches(pattern, url):
    return urls.matches(urls.parse(pattern), url)


SHOP = "https://shop.example"


@pytest.mark.parametrize(
    ("pattern", "url"),
    [
        ("/espresso", "/espresso"),
        ("/espresso", "/espresso/"),
        ("/espresso/", "/espresso"),
        ("/espresso", "/espresso?utm_source=news#top"),
        ("", "/"),
        ("/", ""),
        ("/espresso*", "/espresso"),
        ("/espresso*", "/espresso-beans"),
        ("/t-shirt/*", "/t-shirt/red"),
        ("/*/red", "/t-shirt/red"),
        ("/**", "/"),
        ("/**", "/a/b/c"),
        ("/shop/**", "/shop"),
        ("/shop/**", "/shop/a/b"),
        ("/shop/**/red", "/shop/red"),
        ("/shop/**/red", "/shop/a/b/red"),
        ("/shop**", "/shop-2/a"),
        ("/caffè", "/caff%C3%A8"),
        ("/a%2Fb", "/a%2fb"),
        ("/?page=2", "/?page=2&sort=price"),
        ("/?b=2&a=1", "/?a=1&b=2"),
        ("/?gclid", "/?gclid=Cj0K"),
        ("/?utm_campaign=spring*", "/?utm_campaign=spring/2026"),
    ],
)
def test_it_means_these_pages(pattern, url):
    assert matches(SHOP + pattern, SHOP + url)


@pytest.mark.parametrize(
    ("pattern", "url", "why"),
    [
        ("/espresso", "/Espresso", "Its path is /Espresso, not /espresso"),
        ("/espresso", "/espresso/beans", "Its path is /espresso/beans, not /espresso"),
        ("/t-shirt/*", "/t-shirt/red/large", "Its path is /t-shirt/red/large, not /t-shirt/*"),
        ("/t-shirt/*", "/t-shirt", "Its path is /t-shirt, not /t-shirt/*"),
        ("/shop/**", "/shopping", "Its path is /shopping, not /shop/**"),
        ("/", "/espresso", "Its path is /espresso, not /"),
        ("/a", "/a%2Fb", "Its path is /a%2Fb, not /a"),
        ("/?page=2", "/", "It has no page after the question mark"),
        ("/?page=2", "/?page=3", "Its page is 3, not 2"),
    ],
)
def test_it_says_why_a_page_is_none_of_them(pattern, url, why):
    assert urls.why_not(urls.parse(SHOP + pattern), SHOP + url) == why


@pytest.mark.parametrize(
    "host",
    ["shop.example", "SHOP.example", "www.shop.example", "WWW.Shop.Example", "shop.example:8443", "shop.example."],
)
def test_www_case_port_and_scheme_of_the_host_do_not_count(host):
    assert matches(f"http://{host}/a", "https://shop.example/a")
    assert matches("https://shop.example/a", f"http://{host}/a")


def test_another_host_is_another_site_and_a_subdomain_too():
    pattern = urls.parse("https://shop.example/a")
    assert urls.why_not(pattern, "https://blog.shop.example/a") == "It is on blog.shop.example, not on shop.example"
    assert urls.why_not(pattern, "https://shop.example.evil.example/a")
    assert not matches("https://shop.example/a", "https://shop.example@evil.example/a")


def test_a_host_with_other_letters_is_known_in_both_spellings():
    assert matches("https://caffè.example/", "https://xn--caff-8oa.example/")


def test_a_star_alone_means_any_page():
    assert urls.parse("*") == urls.parse(" ** ") == urls.Pattern()
    assert matches("*", "https://anything.example/at/all")


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("", "Enter the address of the page"),
        ("   ", "Enter the address of the page"),
        ("/espresso", "Enter the whole address"),
        ("espresso", "Enter the whole address"),
        ("//shop.example/a", "Enter the whole address"),
        ("shop.example/a", "Enter the whole address"),
        ("javascript:alert(1)", "begin with https://"),
        ("mailto:a@shop.example", "begin with https://"),
        ("ftp://shop.example/a", "begin with https://"),
        ("https://", "Enter the whole address"),
        ("https:///a", "Enter the whole address"),
        ("https://-/a", "Enter the whole address"),
        ("https://a@shop.example/", "Enter the whole address"),
        ("https://*.example/a", "Write the name of the site out"),
        ("https://shop.example/a b", "Leave out spaces"),
        ("https://shop.example/<a>", "Leave out spaces"),
        ("https://shop.example/" + "a" * 500, "Use 500 characters at most"),
    ],
)
def test_what_is_no_pattern_is_refused_in_words(pattern, words):
    with pytest.raises(Invalid) as error:
        urls.parse(pattern)
    assert words in str(error.value)


@pytest.mark.parametrize("url", ["", "x", "/a", "javascript:1", "https://", "http://[::1", "https://a b/", "x" * 9000])
def test_what_is_no_page_matches_nothing(url):
    assert not matches("https://shop.example/**", url) and not matches("*", url)


@pytest.mark.parametrize(
    ("typed", "domain"),
    [
        ("shop.example", "shop.example"),
        (" https://www.Shop.example/ ", "shop.example"),
        ("https://shop.example/en/home?x=1#top", "shop.example"),
        ("shop.example/path", "shop.example"),
        ("localhost", "localhost"),
        ("127.0.0.1:8000", "127.0.0.1"),
        ("caffè.example", "xn--caff-8oa.example"),
    ],
)
def test_a_domain_is_read_as_people_type_it(typed, domain):
    assert urls.domain(typed) == domain


@pytest.mark.parametrize(
    "typed", ["", " ", "*.example", "ftp://shop.example/path", "a b", "javascript:alert(1)", "-x-", "é" * 300]
)
def test_what_is_no_domain_is_refused(typed):
    with pytest.raises(Invalid):
        urls.domain(typed)


def test_the_marks_of_an_advertisement_are_read():
    page = urls.read(f"{SHOP}/?UTM_Source=news&utm_source=late&gclid=&fbclid={'x' * 300}&other=1")
    assert urls.marks(page) == {"utm_source": "news", "fbclid": "x" * 120}


# --- properties --------------------------------------------------------------------------------------------

PARTS = st.text("ab-%é", max_size=4)
PATHS = st.lists(PARTS, max_size=4).map(lambda parts: "".join(f"/{part}" for part in parts))
PATTERNS = st.text("ab/*", max_size=8).map(lambda text: f"/{text}")


@given(PATHS)
def test_an_address_without_stars_means_itself_whatever_is_hung_on(path):
    assert matches(SHOP + path, SHOP + path)
    assert matches(SHOP + path, f"http://WWW.SHOP.EXAMPLE{path}/?a=1#b")
    assert matches(SHOP + "/**", SHOP + path)


@given(PATTERNS, st.text("ab/", max_size=8))
def test_it_covers_what_the_plain_meaning_of_the_stars_covers(pattern, text):
    """The same as a regular expression made of it, which could hang."""
    pattern, text = pattern.rstrip("/"), f"/{text}".rstrip("/")
    words = {"/**": "(?:/.*)?", "**": ".*", "*": "[^/]*"}
    made = re.sub(r"/\*\*(?=/|$)|\*\*|\*", lambda found: words[found[0]], pattern)
    if "***" not in pattern:
        assert urls._covers(pattern, text) == bool(re.fullmatch(made, text))


@given(st.text(max_size=60) | st.text("htps:/w.*?#@[]ab=&%", max_size=60).map(lambda text: "https://" + text))
def test_nothing_typed_breaks_it(text):
    try:
        pattern = urls.parse(text)
    except Invalid:
        pattern = urls.Pattern("shop.example", "/a")
    urls.why_not(pattern, text)
    urls.host(text)


def test_a_pattern_full_of_stars_takes_no_time():
    assert not urls._covers("/" + "*a" * 200, "/" + "a" * 900 + "b")
