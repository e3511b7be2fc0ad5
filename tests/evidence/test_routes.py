"""The rule for routes, by example; what the examples promise in general is fuzzed in tests/kernels."""

from __future__ import annotations

import pytest

from perfaudit.evidence.routes import MAX_ROUTE, OTHER, Patterns, RouteTable, normalise


@pytest.mark.parametrize(
    ("target", "route"),
    [
        ("/", "/"),
        ("", "/"),
        ("?a=1", "/"),
        ("*", "*"),
        ("/users/123?token=abc#x", "/users/{id}"),
        ("/users/123/", "/users/{id}/"),
        ("//users///9//", "/users/{id}/"),
        ("/u/550e8400-e29b-41d4-a716-446655440000/x", "/u/{id}/x"),
        ("/u/550E8400-E29B-41D4-A716-446655440000", "/u/{id}"),
        ("/order-550e8400-e29b-41d4-a716-446655440000.pdf", "/order-{id}.pdf"),
        ("/app.3f2a9c1b.js", "/app.{id}.js"),
        ("/order-12345", "/order-{id}"),
        ("/a_17_b", "/a_{id}_b"),
        ("/v1/v2/api2/oauth2/s3/utf8/mp4/index2", "/v1/v2/api2/oauth2/s3/utf8/mp4/index2"),
        ("/facade/decade/added/deface", "/facade/decade/added/deface"),
        ("/rfc2616/sha256/es2015/base64encode", "/rfc2616/sha256/es2015/base64encode"),
        ("/2026-11-23/2026_11_23T08", "/{id}/{id}_23T08"),
        ("/10.0.0.1/1,2,3/1.2.3", "/{id}/{id}/{id}"),
        ("/5f43a9b2c1d0", "/{id}"),
        ("/d41d8cd98f00b204e9800998ecf8427e", "/{id}"),
        ("/01ARZ3NDEKTSV4RRFFQ69G5FAV", "/{id}"),
        ("/dQw4w9WgXcQ", "/{id}"),
        ("/aB0-dE1_fG2hI3jK4lM5nO", "/{id}"),
        ("/anna@example.com/inbox", "/{id}/inbox"),
        ("/anna%40example.com/inbox", "/{id}/inbox"),
        ("/@angular/core", "/@angular/core"),
        ("/search/red%20shoes", "/search/{id}"),
        ("/caf%C3%A9/men%C3%BC", "/caf%C3%A9/men%C3%BC"),
        ("/café", "/café"),
        ("/token=hunter2/x", "/token={id}/x"),
        ("/a;jsessionid=0A1B/b;v=1?c", "/a/b"),
        ("http://shop.example:8080/p/1?q", "/p/{id}"),
        ("https://shop.example", "/"),
        ("shop.example:443", "{authority}"),
        ("/a/:id/<int:id>/{order_id}/:name.json", "/a/{id}/{id}/{id}/{id}.json"),
        ("/orders/{id}:cancel", "/orders/{id}:cancel"),
        ("users/7", "/users/{id}"),
        ("/a\x01b\x7f", "/a?b?"),
    ],
)
def test_a_target_becomes_its_route(target: str, route: str) -> None:
    assert normalise(target.encode()).decode() == route


def test_a_route_is_a_fixed_point() -> None:
    for route in (b"/", b"/users/{id}/", b"/app.{id}.js", b"/token={id}", b"*"):
        assert normalise(route) == route


def test_a_route_is_bounded() -> None:
    assert len(normalise(b"/" + b"a" * 10_000)) == MAX_ROUTE


def test_patterns_name_routes_and_the_first_wins() -> None:
    patterns = Patterns(["/products/{slug}", "/blog/*", "/x/*/edit", "/products/*"])
    assert patterns.apply("/products/blue-shirt") == "/products/{id}"
    assert patterns.apply("/products/blue-shirt/reviews") == "/products/*"
    assert patterns.apply("/blog/a/b/c") == "/blog/*"
    assert patterns.apply("/x/any/edit") == "/x/*/edit"
    assert patterns.apply("/blog") == "/blog"


def test_a_table_of_routes_is_bounded_and_says_so() -> None:
    table = RouteTable(["/p/{slug}"], limit=3)
    codes = [table.code(f"/{name}") for name in ("a", "b", "p/one", "p/two", "c", "d", "a")]
    assert [table.values[code] for code in codes] == ["/a", "/b", "/p/{id}", "/p/{id}", OTHER, OTHER, "/a"]
    assert table.overflowed
