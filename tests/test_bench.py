"""The benchmark's list of everybody works as the product does, on both databases; how fast is for the benchmark to say."""

from __future__ import annotations

from flowserver.bench import enroll


def test_the_product_and_the_raw_statement_enroll_the_same_people_again_and_again(app, db):
    flow_id, list_id = enroll.a_list(50)
    for _ in range(2):
        assert enroll.product(flow_id, list_id, 50) > 0 and enroll.raw(flow_id, list_id, 50) > 0
