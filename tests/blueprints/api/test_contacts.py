"""Contacts over the API."""


def test_it_makes_a_contact(api):
    answer = api.post("/contacts", {"email": "Ada@Example.com", "first_name": "Ada"})
    assert answer.status_code == 201, answer.json
    assert answer.json["email"] == "ada@example.com"
    assert api.get(f"/contacts/{answer.json['id']}").json == answer.json
