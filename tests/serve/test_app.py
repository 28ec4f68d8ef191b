"""The API from outside: what each endpoint answers, to whom, and what is logged of it."""

from __future__ import annotations

import asyncio
import json
import threading
import time

import pytest

from exporter.tiny_checkpoint import tiny_sentences
from pegasus_runtime import (
    BundleError,
    EngineError,
    GenerationInterrupted,
    GenerationOptions,
    Summarizer,
)
from pegasus_runtime.tasks.partial import Partial
from pegasus_serve.app import serving_of
from pegasus_serve.routes import events
from pegasus_serve.served.models import Model
from pegasus_serve.served.served_heads import ServedClassifier
from pegasus_serve.settings import Settings
from pegasus_serve.wire.client_gone import SlowClientError
from serve.asgi import Site, run
from serve.fake_batcher import FakeBatcher

TEXT = tiny_sentences()[0]
FEW = {"max_new_tokens": 6}


def test_one_text_is_summarised_as_the_runtime_does(tiny: Model, summarizer: Summarizer) -> None:
    async def scenario() -> None:
        site = Site(tiny)
        reply = await site.post("/v1/summarize", {"inputs": TEXT, "parameters": FEW})
        expected = summarizer.summarize(TEXT, GenerationOptions(**FEW))
        assert reply.status == 200
        assert reply.headers["content-type"] == "application/json"
        assert reply.json["model"] == "tiny"
        (result,) = reply.json["results"]
        assert result["text"] == expected.text
        assert tuple(result["token_ids"]) == expected.token_ids
        assert result["score"] == pytest.approx(expected.score)
        assert result["truncated"] is False
        assert result["alternatives"] == []
        assert "token_scores" not in result
        (line,) = site.logged("request")
        assert line["model"] == "tiny"
        assert line["documents"] == 1
        assert line["source_tokens"] == len(summarizer.encode(TEXT).token_ids)
        assert line["summary_tokens"] == len(expected.token_ids)

    run(scenario)


def test_options_priority_and_time_reach_the_batcher(tiny: Model, batcher: FakeBatcher) -> None:
    async def scenario() -> None:
        await Site(tiny).post(
            "/v1/summarize",
            {
                "inputs": [TEXT],
                "parameters": {"num_beams": 3, "num_return_sequences": 2, **FEW},
                "long": "truncate",
                "priority": 7,
                "timeout_s": 11,
            },
        )
        (held,) = batcher.held
        assert held.options is not None
        assert held.options.num_beams == 3
        assert held.long == "truncate"
        assert held.priority == 7
        assert held.deadline_s is not None
        assert 10 < held.deadline_s < 11

    run(scenario)


def test_of_several_texts_a_failed_one_has_an_error_in_its_place(tiny: Model) -> None:
    async def scenario() -> None:
        site = Site(tiny)
        long_text = " ".join(tiny_sentences() * 200)
        body = {"inputs": [TEXT, "   ", long_text], "parameters": FEW}
        reply = await site.post("/v1/summarize", body)
        assert reply.status == 200
        first, empty, too_long = reply.json["results"]
        assert first["text"]
        assert empty["error"]["code"] == "input"
        assert "empty" in empty["error"]["message"]
        assert "tokens, the bundle takes" in too_long["error"]["message"]
        assert site.logged("request")[0]["failed"] == 2
        (cut,) = (
            await site.post("/v1/summarize", {**body, "inputs": [long_text], "long": "truncate"})
        ).json["results"]
        assert cut["truncated"] is True

    run(scenario)


def test_of_one_text_an_error_is_the_answer(tiny: Model, batcher: FakeBatcher) -> None:
    async def scenario() -> None:
        site = Site(tiny)
        reply = await site.post("/v1/summarize", {"inputs": "  "})
        assert reply.status == 422
        assert reply.error[0] == "input"
        wrong = {"inputs": TEXT, "parameters": {"temperature": 0.5}}
        reply = await site.post("/v1/summarize", wrong)
        assert reply.status == 422
        assert reply.error[0] == "options"
        batcher.error = GenerationInterrupted("generation ran out of time")
        reply = await site.post("/v1/summarize", {"inputs": TEXT})
        assert (reply.status, reply.error) == (504, ("timeout", "generation ran out of time"))
        assert not any(TEXT in line for line in site.lines)

    run(scenario)


def test_what_is_unusable_is_refused_before_a_text_is_read(
    tiny: Model, batcher: FakeBatcher
) -> None:
    async def scenario() -> None:
        site = Site(tiny, settings=Settings(max_documents=2))
        for body, status, code in (
            ({"inputs": [TEXT] * 3}, 422, "limit"),
            ({"inputs": TEXT, "parameters": {"num_beams": 9}}, 422, "limit"),
            ({"inputs": TEXT, "timeout_s": 1000}, 422, "limit"),
            ({"inputs": TEXT, "model": "tinny"}, 404, "model"),
            ({"inputs": [TEXT, TEXT], "stream": True}, 422, "request"),
            ({"inputs": TEXT, "parameters": {"temperature": 0.5}}, 422, "options"),
        ):
            reply = await site.post("/v1/summarize", body)
            assert (reply.status, reply.error[0]) == (status, code), body
        assert batcher.held == []

    run(scenario)


def test_a_full_queue_is_a_503_that_says_when_to_come_back(
    tiny: Model, batcher: FakeBatcher
) -> None:
    async def scenario() -> None:
        batcher.room, batcher.holds = 1, True
        site = Site(tiny)
        first = site.call("POST", "/v1/summarize", body={"inputs": TEXT, "parameters": FEW})
        await asyncio.to_thread(batcher.wait_for_documents, 1)
        for inputs in (TEXT, [TEXT, TEXT]):
            reply = await site.post("/v1/summarize", {"inputs": inputs})
            assert (reply.status, reply.error[0]) == (503, "overloaded")
            assert reply.headers["retry-after"] == "3"
        batcher.finish(batcher.held[0])
        assert (await first.reply()).status == 200

    run(scenario)


def test_a_client_that_goes_withdraws_its_documents(tiny: Model, batcher: FakeBatcher) -> None:
    async def scenario() -> None:
        batcher.holds = True
        site = Site(tiny)
        for stream in (False, True):
            batcher.held.clear()
            body = {"inputs": TEXT if stream else [TEXT, TEXT], "stream": stream}
            call = site.call("POST", "/v1/summarize", body=body)
            await asyncio.to_thread(batcher.wait_for_documents, 1 if stream else 2)
            call.leave()
            await asyncio.wait_for(call.task, 5)
            assert all(each.future.cancelled() for each in batcher.held)
            assert site.logged("request")[-1]["code"] == "client_gone"
        assert [line["status"] for line in site.logged("request")] == [499, 499]
        assert serving_of(site.app).in_flight == 0

    run(scenario)


def test_a_stream_tells_what_is_certain_and_ends_with_the_result(
    tiny: Model, batcher: FakeBatcher
) -> None:
    async def scenario() -> None:
        batcher.holds = True
        site = Site(tiny)
        body = {"inputs": TEXT, "stream": True, "parameters": {"num_beams": 1, **FEW}}
        call = site.call("POST", "/v1/summarize", body=body)
        await asyncio.to_thread(batcher.wait_for_documents, 1)
        (held,) = batcher.held
        assert held.on_partial is not None
        partial = Partial(text="a part", token_ids=(1,))
        await asyncio.to_thread(held.on_partial, partial)
        await call.wait_for(b'event: partial\ndata: {"text":"a part"}\n\n')
        await asyncio.to_thread(batcher.finish, held)
        reply = await call.reply()
        assert reply.headers["content-type"].startswith("text/event-stream")
        assert "content-length" not in reply.headers
        last = reply.body.decode().rstrip().split("\n\n")[-1]
        name, data = last.split("\n")
        assert name == "event: result"
        assert json.loads(data.removeprefix("data: "))["token_ids"]
        assert site.logged("request")[0]["documents"] == 1

    run(scenario)


def test_a_stream_that_fails_ends_with_an_error_event(tiny: Model, batcher: FakeBatcher) -> None:
    async def scenario() -> None:
        batcher.error = GenerationInterrupted("out of time")
        site = Site(tiny)
        reply = await site.post("/v1/summarize", {"inputs": TEXT, "stream": True})
        assert reply.status == 200
        assert (
            reply.body
            == b'event: error\ndata: {"error":{"code":"timeout","message":"out of time"}}\n\n'
        )
        assert site.logged("request")[0]["code"] == "timeout"
        batcher.room = 0
        reply = await site.post("/v1/summarize", {"inputs": TEXT, "stream": True})
        assert (reply.status, reply.error[0]) == (503, "overloaded")

    run(scenario)


def test_a_stream_that_nobody_reads_gives_its_document_up(
    tiny: Model, batcher: FakeBatcher
) -> None:
    async def scenario() -> None:
        batcher.holds = True
        site = Site(tiny, settings=Settings(write_timeout_s=0.05))
        body = {"inputs": TEXT, "stream": True}
        call = site.call("POST", "/v1/summarize", body=body, stuck=True)
        await asyncio.to_thread(batcher.wait_for_documents, 1)
        (held,) = batcher.held
        assert held.on_partial is not None
        await asyncio.to_thread(held.on_partial, Partial(text="a part", token_ids=(1,)))
        with pytest.raises(SlowClientError):
            await asyncio.wait_for(call.task, 5)
        assert held.future.cancelled()
        assert serving_of(site.app).in_flight == 0
        assert site.logged("request")[0]["code"] == "slow_client"

    run(scenario)


def test_a_stream_of_what_is_stuck_ends_with_its_time(
    tiny: Model, batcher: FakeBatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        monkeypatch.setattr(events, "_LATE_S", 0.05)
        batcher.holds = True
        site = Site(tiny)
        reply = await site.post("/v1/summarize", {"inputs": TEXT, "stream": True, "timeout_s": 0.1})
        assert b"event: error" in reply.body
        assert b"out of time, and not done: allow more with timeout_s" in reply.body
        assert batcher.held[0].future.cancelled()

    run(scenario)


def test_a_stream_that_is_silent_has_comments(
    tiny: Model, batcher: FakeBatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        monkeypatch.setattr(events, "_BEAT_S", 0.02)
        batcher.holds = True
        call = Site(tiny).call("POST", "/v1/summarize", body={"inputs": TEXT, "stream": True})
        await call.wait_for(b": \n\n: \n\n")
        call.leave()
        await asyncio.wait_for(call.task, 5)
        assert batcher.held[0].future.cancelled()

    run(scenario)


def test_a_stream_tells_nothing_twice(tiny: Model, batcher: FakeBatcher) -> None:
    async def scenario() -> None:
        batcher.holds = True
        body = {"inputs": TEXT, "stream": True, "parameters": FEW}
        call = Site(tiny).call("POST", "/v1/summarize", body=body)
        await asyncio.to_thread(batcher.wait_for_documents, 1)
        (held,) = batcher.held
        assert held.on_partial is not None
        for text in ("one", "one", "one two"):
            await asyncio.to_thread(held.on_partial, Partial(text=text, token_ids=(1,)))
            await call.wait_for(f'"{text}"'.encode())
            await asyncio.sleep(0.02)
        held.future.cancel()
        reply = await call.reply()
        assert reply.body.count(b"event: partial") == 2
        assert reply.body.endswith(b'allow more with timeout_s"}}\n\n')

    run(scenario)


def test_a_text_in_a_queue_is_told_when_its_time_is_over(topics: Model) -> None:
    async def scenario() -> None:
        goes_on = threading.Event()
        served = topics.served
        assert isinstance(served, ServedClassifier)
        until = time.monotonic() + 20
        held = served.queue.submit(lambda cancel, timeout_s: goes_on.wait(20), ends_at=until)
        start = time.monotonic()
        reply = await Site(topics).post("/v1/classify", {"inputs": TEXT, "timeout_s": 0.2})
        assert (reply.status, reply.error[0]) == (504, "timeout")
        assert time.monotonic() - start < 2
        goes_on.set()
        assert await asyncio.to_thread(held.result, 5)

    run(scenario)


def test_labels_and_answers(topics: Model, answers: Model) -> None:
    async def scenario() -> None:
        site = Site(topics, answers)
        reply = await site.post("/v1/classify", {"inputs": [TEXT, " "]})
        label, error = reply.json["results"]
        assert reply.json["model"] == "topics"
        assert label["scores"][label["label"]] == label["score"]
        assert error["error"]["code"] == "input"
        body = {"question": "What is closed?", "context": TEXT, "top_k": 2}
        reply = await site.post("/v1/answer", body)
        assert reply.json["model"] == "answers"
        assert len(reply.json["results"]) == 2
        for passage in reply.json["results"]:
            assert TEXT[passage["start"] : passage["end"]] == passage["text"]
        reply = await site.post("/v1/summarize", {"inputs": TEXT})
        assert (reply.status, reply.error[0]) == (404, "model")
        reply = await site.post("/v1/answer", {**body, "model": "topics"})
        assert reply.status == 422
        assert reply.error[1] == "topics is for text-classification, not for question-answering"
        reply = await site.post("/v1/answer", {**body, "timeout_s": 1e-6})
        assert (reply.status, reply.error[0]) == (504, "timeout")

    run(scenario)


def test_an_engine_that_fails_is_a_500_whose_reason_is_in_the_log_alone(
    tiny: Model, batcher: FakeBatcher
) -> None:
    async def scenario() -> None:
        site = Site(tiny)
        for error in (EngineError("/srv/bundle: no memory"), ZeroDivisionError("SECRET")):
            batcher.error = error
            reply = await site.post("/v1/summarize", {"inputs": TEXT})
            assert (reply.status, reply.error[0]) == (500, "internal")
            assert b"/srv" not in reply.body
            assert b"Traceback" not in reply.body
            line = site.logged("error")[-1]
            assert line["type"] == type(error).__name__
            assert line["id"] == reply.headers["x-request-id"]
            assert "traceback" in line
        reply = await site.post("/v1/summarize", {"inputs": [TEXT, TEXT]})
        assert [each["error"]["code"] for each in reply.json["results"]] == ["internal"] * 2
        assert site.logged("error")[0]["message"] == "/srv/bundle: no memory"
        assert not any("SECRET" in each for each in site.lines)

    run(scenario)


def test_models_are_loaded_in_the_background(tiny: Model, batcher: FakeBatcher) -> None:
    async def scenario() -> None:
        goes_on = threading.Event()
        served = tiny.served
        assert served is not None

        def load() -> object:
            goes_on.wait(5)
            return served

        site = Site(Model("slow", load))  # type: ignore[arg-type]
        async with site.app.router.lifespan_context(site.app):
            assert (await site.get("/health")).status == 200
            reply = await site.get("/ready")
            assert (reply.status, reply.json["status"]) == (503, "loading")
            reply = await site.post("/v1/summarize", {"inputs": TEXT})
            assert (reply.status, reply.error[0]) == (503, "loading")
            assert "retry-after" in reply.headers
            goes_on.set()
            until = time.monotonic() + 5
            while (await site.get("/ready")).status != 200:
                assert time.monotonic() < until
                await asyncio.sleep(0.01)
            reply = await site.post("/v1/summarize", {"inputs": TEXT, "parameters": FEW})
            assert reply.status == 200
        assert batcher.closed == [True]
        assert site.logged("ready") == [{**site.logged("ready")[0], "models": ["slow"]}]

    run(scenario)


def test_a_model_that_is_there_after_the_end_is_let_go(tiny: Model, batcher: FakeBatcher) -> None:
    async def scenario() -> None:
        goes_on, began = threading.Event(), threading.Event()
        served = tiny.served
        assert served is not None

        def load() -> object:
            began.set()
            goes_on.wait(5)
            return served

        site = Site(Model("slow", load))  # type: ignore[arg-type]
        async with site.app.router.lifespan_context(site.app):
            await asyncio.to_thread(began.wait, 5)
            threading.Timer(0.2, goes_on.set).start()
        assert batcher.closed == [True]  # it was waited for: no interpreter may end under it
        assert site.logged("ready") == []

    run(scenario)


def test_a_model_that_cannot_be_loaded_is_told(tiny: Model) -> None:
    async def scenario() -> None:
        def load() -> object:
            raise BundleError("no bundle there")

        site = Site(Model("bad", load))  # type: ignore[arg-type]
        async with site.app.router.lifespan_context(site.app):
            while not site.logged("error"):
                await asyncio.sleep(0.01)
            reply = await site.get("/ready")
            assert (reply.status, reply.json["status"]) == (503, "failed")
        assert site.logged("error")[0]["message"] == "no bundle there"

    run(scenario)


def test_a_server_that_ends_refuses_what_comes_and_finishes_what_runs(
    tiny: Model, batcher: FakeBatcher
) -> None:
    async def scenario() -> None:
        batcher.holds = True
        site = Site(tiny)
        serving = serving_of(site.app)
        running = site.call("POST", "/v1/summarize", body={"inputs": TEXT, "parameters": FEW})
        await asyncio.to_thread(batcher.wait_for_documents, 1)
        serving.is_stopping = True
        reply = await site.get("/ready")
        assert (reply.status, reply.json["status"]) == (503, "shutting_down")
        assert (await site.get("/health")).status == 200
        reply = await site.post("/v1/summarize", {"inputs": TEXT})
        assert (reply.status, reply.error[0]) == (503, "shutting_down")
        assert reply.headers["retry-after"] == "5"
        assert reply.headers["connection"] == "close"
        batcher.finish(batcher.held[0])
        assert (await running.reply()).status == 200
        cut_off = site.call("POST", "/v1/summarize", body={"inputs": TEXT})
        assert (await cut_off.reply()).status == 503

    run(scenario)


def test_what_is_cut_off_at_the_end_of_the_grace_is_told(tiny: Model, batcher: FakeBatcher) -> None:
    async def scenario() -> None:
        batcher.holds = True
        site = Site(tiny)
        running = site.call("POST", "/v1/summarize", body={"inputs": TEXT})
        await asyncio.to_thread(batcher.wait_for_documents, 1)
        await asyncio.to_thread(serving_of(site.app).cancel_rest)
        reply = await running.reply()
        assert (reply.status, reply.error[0]) == (503, "shutting_down")
        assert batcher.closed == [False]

    run(scenario)


def test_models_are_described(tiny: Model, topics: Model) -> None:
    async def scenario() -> None:
        site = Site(tiny, topics, Model("later", lambda: tiny.served))  # type: ignore[arg-type,return-value]
        reply = await site.get("/v1/models")
        first, second, third = reply.json["models"]
        assert first["name"] == "tiny"
        assert first["ready"] is True
        assert first["task"] == "summarization"
        assert first["precision"] == "fp32"
        assert first["limits"]["max_source_tokens"] > 0
        assert "num_beams" in first["defaults"] or "max_length" in first["defaults"]
        assert second["labels"]
        assert third == {"name": "later", "ready": False}
        assert reply.json["limits"]["max_documents"] == 64

    run(scenario)


def test_a_path_or_a_method_that_is_not_there_is_told_in_json(tiny: Model) -> None:
    async def scenario() -> None:
        site = Site(tiny)
        reply = await site.get("/v1/sumarize")
        assert reply.status == 404
        assert reply.error == ("path", "there is nothing at this path: did you mean /v1/summarize?")
        for path in ("/docs", "/redoc", "/page/../app.py", "/page/none.mjs", "/nothing"):
            assert (await site.get(path)).error[0] == "path"
        reply = await site.get("/v1/summarize")
        assert (reply.status, reply.error[0]) == (405, "method")
        assert reply.headers["allow"] == "POST"
        reply = await site.post("/v1/models", {})
        assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD")

    run(scenario)
