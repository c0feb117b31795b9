"""The endpoints of checkpoints, with their state, and of the registered workflows."""

from __future__ import annotations


async def three_steps(run):
    """Read, count and report.

    The second paragraph is not part of the description.
    """
    await run.step("read", lambda: "a b")
    await run.step("count", lambda: {"words": 2, "big": 10**30})
    await run.step("report", lambda: None)


async def test_checkpoints_are_listed_in_the_order_of_their_steps(local, http):
    local.workflow("w")(three_steps)
    detail = await http.ended("w")
    answer = await http.get(f"/checkpoints?execution_id={detail['id']}")
    assert answer.status == 200
    assert {name: answer.json[name] for name in ("total", "limit", "offset")} == {"total": 3, "limit": 50, "offset": 0}
    assert [row["name"] for row in answer.json["items"]] == ["read", "count", "report"]
    for row, checkpoint in zip(answer.json["items"], detail["checkpoints"], strict=True):
        assert (row["id"], row["created_at"]) == (checkpoint["id"], checkpoint["created_at"])
        assert row["execution_id"] == detail["id"]
        assert "state" not in row
    page = (await http.get(f"/checkpoints?execution_id={detail['id']}&limit=1&offset=1")).json
    assert ([row["name"] for row in page["items"]], page["total"]) == (["count"], 3)
    assert (await http.get(f"/checkpoints?execution_id={detail['id']}&offset=9")).json["items"] == []


async def test_the_state_of_a_checkpoint_holds_the_result_of_its_step(local, http):
    local.workflow("w")(three_steps)
    detail = await http.ended("w")
    for checkpoint, result in zip(detail["checkpoints"], ["a b", {"words": 2, "big": 10**30}, None], strict=True):
        path = f"/checkpoints/{checkpoint['id']}"
        for query in ("", "?include_state=false"):
            assert "state" not in (await http.get(path + query)).json
        answer = await http.get(f"{path}?include_state=true")
        assert answer.status == 200
        assert answer.json["state"] == {"current_step": checkpoint["name"], "result": result}
        assert (answer.json["id"], answer.json["execution_id"]) == (checkpoint["id"], detail["id"])


async def test_unknown_ids_are_answered_404_and_bad_queries_400_or_422(http):
    execution_id = await http.create()
    assert (await http.get(f"/checkpoints?execution_id={execution_id}")).json["items"] == []
    for path, status in (
        ("/checkpoints?execution_id=exec_unknown", 404),
        ("/checkpoints/chk_unknown", 404),
        ("/workflows/unknown", 404),
        ("/checkpoints", 400),
        (f"/checkpoints?execution_id={execution_id}&limit=0", 422),
        (f"/checkpoints?execution_id={execution_id}&offset=-1", 422),
        ("/workflows?page=0", 422),
        ("/workflows?status=weird", 422),
    ):
        assert (await http.get(path)).status == status, path


async def test_discarded_checkpoints_are_not_served(local, http):
    local.workflow("w")(three_steps)
    detail = await http.ended("w")
    await http.rollback(detail["id"], detail["checkpoints"][0]["id"])
    assert (await http.get(f"/checkpoints/{detail['checkpoints'][1]['id']}")).status == 404
    rows = (await http.get(f"/checkpoints?execution_id={detail['id']}")).json["items"]
    assert [row["name"] for row in rows] == ["read"]


async def test_registered_workflows_are_listed_in_pages(local, http):
    for name in ("c", "a", "b"):
        local.workflow(name)(three_steps)
    page = (await http.get("/workflows?page=1&page_size=2")).json
    assert {name: page[name] for name in ("total", "page", "page_size")} == {"total": 3, "page": 1, "page_size": 2}
    page["items"] += (await http.get("/workflows?page=2&page_size=2")).json["items"]
    assert [row["id"] for row in page["items"]] == ["a", "b", "c"]
    for row in page["items"]:
        assert (row["name"], row["workflow_type"], row["status"]) == (row["id"], "custom", "published")
    for query, total in (("status=published", 3), ("status=draft", 0), ("workflow_type=custom", 3),
                         ("workflow_type=crewai", 0)):  # fmt: skip
        assert (await http.get(f"/workflows?{query}")).json["total"] == total
    one = (await http.get("/workflows/a")).json
    assert one.items() >= page["items"][0].items()
    assert one["description"] == "Read, count and report."
