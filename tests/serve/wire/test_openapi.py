"""The OpenAPI document: valid, its examples work, and answers are what it says."""

from __future__ import annotations

import copy
from typing import Any

import jsonschema
import pytest

from pegasus_serve.served.models import Model
from pegasus_serve.settings import Settings
from pegasus_serve.wire.openapi import make_openapi
from serve.asgi import Site, run

DOCUMENT = make_openapi(has_token=False)


def schema_of(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}


def test_all_that_is_referred_to_is_there_and_is_a_schema() -> None:
    schemas = DOCUMENT["components"]["schemas"]

    def references(node: object) -> list[str]:
        if isinstance(node, dict):
            own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
            return own + [each for value in node.values() for each in references(value)]
        if isinstance(node, list):
            return [each for value in node for each in references(value)]
        return []

    names = {each.removeprefix("#/components/schemas/") for each in references(DOCUMENT)}
    assert names <= set(schemas)
    assert {"SummarizeRequest", "SummarizeResponse", "ErrorResponse", "Parameters"} <= names
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("path", ["/v1/summarize", "/v1/classify", "/v1/answer"])
def test_examples_are_answered_as_the_document_says(
    path: str, tiny: Model, topics: Model, answers: Model
) -> None:
    async def scenario() -> None:
        site = Site(tiny, topics, answers)
        operation = (await site.get("/openapi.json")).json["paths"][path]["post"]
        asked = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        content = operation["responses"]["200"]["content"]["application/json"]
        answered = content["schema"]["$ref"].rpartition("/")[2]
        schema = DOCUMENT["components"]["schemas"][asked.rpartition("/")[2]]
        assert schema["examples"]
        for example in schema["examples"]:
            body = copy.deepcopy(example)
            body["long"] = "truncate"
            jsonschema.validate(body, schema_of(asked.rpartition("/")[2]))
            reply = await site.post(path, body)
            assert reply.status == 200, reply.body
            jsonschema.validate(reply.json, schema_of(answered))
            assert not any("error" in each for each in reply.json["results"])
        wrong = await site.post(path, {"nothing": 1})
        assert str(wrong.status) in operation["responses"]
        jsonschema.validate(wrong.json, schema_of("ErrorResponse"))
        jsonschema.validate((await site.get("/v1/models")).json, schema_of("ModelsResponse"))

    run(scenario)


def test_every_path_is_there_and_every_answer_of_the_gate_is_named(tiny: Model) -> None:
    async def scenario() -> None:
        site = Site(tiny)
        for path, operations in DOCUMENT["paths"].items():
            for method in operations:
                reply = await site.call(method.upper(), path, body=None).reply()
                assert reply.status not in (404, 405), path
        assert "401" not in DOCUMENT["paths"]["/v1/summarize"]["post"]["responses"]

    run(scenario)


def test_with_a_token_the_document_asks_for_it(tiny: Model) -> None:
    async def scenario() -> None:
        site = Site(tiny, settings=Settings(token="a-token-of-letters"))
        document = (await site.get("/openapi.json")).json
        assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                reply = await site.call(method.upper(), path).reply()
                assert (reply.status == 401) == ("security" in operation), path
                assert ("401" in operation["responses"]) == ("security" in operation)

    run(scenario)
