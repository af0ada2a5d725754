"""What definitions can be made of, over the API."""

from flowserver.nodes import catalogue


def test_every_type_is_listed_with_its_settings(api):
    found = api.get("/step-types").json["data"]
    names = {(one["kind"], one["type"]) for one in found}
    assert names == {
        (kind, name)
        for kind, group in (
            ("trigger", catalogue.triggers()),
            ("action", catalogue.actions()),
            ("condition", catalogue.conditions()),
        )
        for name in group
    }
    assert all(one["title"] and one["about"] for one in found)
    by_name = {one["type"]: one for one in found}
    assert by_name["join_list"]["settings"] == [{"name": "list", "required": True, "refers_to": "list", "one_of": None}]
    assert by_name["if_else"]["lanes"] == ["then", "else"]
    classes = next(one for one in by_name["send_email"]["settings"] if one["name"] == "class")
    assert classes["one_of"] == ["marketing", "service"]
