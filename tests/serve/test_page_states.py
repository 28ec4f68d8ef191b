"""What the page does about what a server may answer, in Chromium: make serve-test."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping

import pytest

from examples.chromium import CHROMIUM
from serve.fake_serving import FakeServing, Reply, result_of, serve_fake
from serve.tab import Tab, open_tab

MODELS: tuple[Mapping[str, object], ...] = (
    {
        "name": "news",
        "ready": True,
        "task": "summarization",
        "precision": "int8",
        "limits": {"max_source_tokens": 512, "max_target_tokens": 512},
        "defaults": {"num_beams": 8, "max_length": 64, "length_penalty": 0.6},
    },
    {
        "name": "topics",
        "ready": True,
        "task": "text-classification",
        "precision": "fp32",
        "limits": {"max_source_tokens": 4096, "max_target_tokens": 1},
        "defaults": {},
    },
    {
        "name": "answers",
        "ready": True,
        "task": "question-answering",
        "precision": "fp32",
        "limits": {"max_source_tokens": 4096, "max_target_tokens": 1},
        "defaults": {},
    },
)
TEXT = "Prices rose in May. Analysts had expected less."
SUMMARY = "Prices rose in May, more than analysts had expected."
TOO_LONG = "source has 5000 tokens, the bundle takes 512: shorten it, or split it into parts"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium")


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with open_tab(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.fixture
def server(tab: Tab) -> Iterator[FakeServing]:
    """The page is open; at the end nothing went wrong in it, and all replies were asked for."""
    with serve_fake(MODELS) as server:
        tab.page.resize(1040, 660)
        tab.open(server.url)
        yield server
        assert server.replies == []
        assert tab.problems() == []


def test_only_what_was_changed_is_asked_for(tab: Tab, server: FakeServing) -> None:
    server.replies = [Reply.summary(SUMMARY)] * 3
    assert tab.run(TEXT) == SUMMARY
    tab.set("[data-option=num_beams]", 2)
    tab.set("[data-option=max_new_tokens]", 20)
    tab.set("#long", "truncate")
    tab.run()
    tab.click("reset")
    tab.run()
    asked = {"path": "/v1/summarize", "model": "news", "inputs": TEXT, "stream": True}
    plain = {**asked, "parameters": {}, "long": "error"}
    changed = {"parameters": {"num_beams": 2, "max_new_tokens": 20}, "long": "truncate"}
    assert server.asked == [plain, {**asked, **changed}, plain]


def test_what_sampling_needs_is_asked_for_with_it(tab: Tab, server: FakeServing) -> None:
    server.replies = [Reply.summary(SUMMARY)]
    tab.click("more-button")
    tab.set("[data-option=length_penalty]", 2)
    tab.click("sample")
    tab.set("[data-option=top_p]", 0.9)
    tab.run(TEXT)
    sampling = {"num_beams": 1, "top_p": 0.9, "seed": 0, "do_sample": True}
    assert server.asked[0]["parameters"] == sampling  # and no penalty, which ranks beams


def test_text_is_shown_as_it_comes_and_is_never_markup(tab: Tab, server: FakeServing) -> None:
    text = "<img src=x onerror=alert(1)> <b>Prices</b> ↑ rose ↑ &amp; 😀 fell ↓"
    server.replies = [Reply.summary(f"{text}<n> in May")]
    assert tab.run(TEXT) == f"{text}\n in May".replace("\n ", "\n")
    assert tab.page.evaluate("document.querySelectorAll('#output *').length") == 0
    assert tab.shown()[0] == "<img"


def test_a_selection_stays_while_text_comes(tab: Tab, server: FakeServing) -> None:
    server.replies = [Reply.summary(SUMMARY, pause_s=0.05)]
    tab.set("#text", TEXT)
    tab.click("run")
    tab.wait("document.getElementById('output').textContent.length > 8")
    tab.page.evaluate("getSelection().setBaseAndExtent(output.firstChild, 0, output.firstChild, 3)")
    assert tab.finish() == SUMMARY
    assert tab.page.evaluate("String(getSelection())") == SUMMARY[:3]


def test_stop_closes_the_connection_and_keeps_what_came(tab: Tab, server: FakeServing) -> None:
    server.replies = [Reply.summary(SUMMARY, pause_s=0.1)]
    tab.set("#text", TEXT)
    tab.key("Enter", ctrl=True)
    tab.wait("document.getElementById('output').textContent.length > 8")
    assert tab.page.evaluate("document.getElementById('output').ariaBusy") == "true"
    tab.key("Escape")
    text = tab.finish()
    assert SUMMARY.startswith(text)
    assert tab.text("status") == "Stopped."
    assert tab.text("timings") == ""
    assert server.left.wait(5)


def test_a_run_that_another_one_replaces_shows_nothing_any_more(
    tab: Tab, server: FakeServing
) -> None:
    server.replies = [Reply.error(422, "input", TOO_LONG), Reply.summary("One two three four.")]
    tab.run(TEXT)
    server.replies.insert(0, Reply.summary(SUMMARY, pause_s=0.2))
    tab.page.evaluate("window.button = document.querySelector('.note button')")
    tab.click("run")
    tab.wait("document.getElementById('output').textContent.length > 5")
    tab.page.evaluate("button.click()")
    assert tab.finish() == "One two three four."
    time.sleep(0.3)
    assert tab.text("output") == "One two three four."
    assert "Stopped." not in tab.page.evaluate("said")


def test_a_busy_server_is_asked_again_when_it_said(tab: Tab, server: FakeServing) -> None:
    busy = Reply.error(503, "overloaded", "the queue is full", Retry_After="2")
    server.replies = [busy, Reply.summary(SUMMARY)]
    tab.set("#text", TEXT)
    tab.click("run")
    tab.wait("!!document.querySelector('.note')")
    assert tab.notes()[0].endswith("Next try in 2 seconds.")
    tab.wait("document.querySelector('.note').textContent.includes('in 1 second.')")
    assert not tab.is_shown("run")
    assert tab.finish() == SUMMARY
    assert tab.notes() == []


def test_waiting_for_a_busy_server_can_be_stopped_or_cut_short(
    tab: Tab, server: FakeServing
) -> None:
    busy = Reply.error(503, "overloaded", "the queue is full", Retry_After="30")
    server.replies = [busy, busy, Reply.summary(SUMMARY)]
    for act in (lambda: tab.click("stop"), lambda: tab.press("Try now")):
        tab.set("#text", TEXT)
        tab.click("run")
        tab.wait("!!document.querySelector('.note button')")
        act()
        tab.finish()
    assert tab.text("output") == SUMMARY


def test_a_server_that_stays_busy_is_not_asked_for_ever(tab: Tab, server: FakeServing) -> None:
    server.replies = [Reply.error(503, "overloaded", "the queue is full", Retry_After="1")] * 5
    tab.set("#text", TEXT)
    tab.click("run")
    for _ in range(4):
        tab.wait("!!document.querySelector('.note button')")
        tab.press("Try now")
        tab.wait("!document.querySelector('.note') || run.hidden === false")
    tab.finish()
    assert tab.notes() == ["The queue is full."]


def test_a_token_is_asked_for_and_kept_in_memory_alone(tab: Tab, server: FakeServing) -> None:
    server.token = "sesame-open"
    tab.open(server.url)
    assert tab.notes() == ["This server asks for an access token: enter it below."]
    assert tab.is_shown("token")
    assert tab.page.evaluate("document.activeElement.id") == "token"
    tab.set("#token", "wrong")
    tab.wait("document.querySelectorAll('.note').length === 1")
    tab.set("#token", server.token)
    tab.wait("!!document.querySelector('#model option')")
    server.replies = [Reply.summary(SUMMARY)]
    assert tab.run(TEXT) == SUMMARY
    stored = "[localStorage.length, sessionStorage.length, document.cookie.length]"
    assert tab.page.evaluate(stored) == [0, 0, 0]
    assert server.token not in tab.page.evaluate("location.href + document.title")


@pytest.mark.parametrize(
    ("reply", "note", "buttons"),
    [
        (
            Reply.error(422, "input", TOO_LONG),
            "The text has 5,000 tokens, and this model reads 512.",
            ["Cut its end", "Summarise it in parts"],
        ),
        (
            Reply.error(422, "options", "num_beams is 99, the bundle takes 32"),
            "num_beams is 99, the bundle takes 32.",
            [],
        ),
        (
            Reply.error(413, "body", "the body has more than 8 MiB"),
            "The text is larger than this server takes. The body has more than 8 MiB.",
            [],
        ),
        (
            Reply.error(404, "model", "unknown model 'news'"),
            "Unknown model 'news'. If the server was started anew, reload the page.",
            [],
        ),
        (
            Reply.error(504, "timeout", "took longer than 60 s"),
            "Took longer than 60 s. Fewer beams, or fewer tokens, take less time.",
            ["Try again"],
        ),
        (
            Reply.error(503, "shutting_down", "the server is shutting down"),
            "The server is shutting down.",
            ["Try again"],
        ),
        (Reply.error(500, "internal", "the server failed"), "The server failed.", ["Try again"]),
        (Reply(status=502, body={}), "The server answers 502.", ["Try again"]),
        (
            Reply(events=[("partial", {"text": "Prices"})]),
            "The connection ended before the summary did: try again.",
            [],
        ),
        (
            Reply(events=[("error", {"error": {"code": "timeout", "message": "out of time"}})]),
            "Out of time. Fewer beams, or fewer tokens, take less time.",
            ["Try again"],
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_error_says_what_to_do(
    reply: Reply, note: str, buttons: list[str], tab: Tab, server: FakeServing
) -> None:
    server.replies = [reply]
    tab.run(TEXT)
    assert tab.notes() == [note]
    labels = "[...document.querySelectorAll('.note button')].map((each) => each.textContent)"
    assert tab.page.evaluate(labels) == buttons
    assert tab.is_shown("run")


def test_a_server_that_is_gone_is_told(tab: Tab) -> None:
    with serve_fake(MODELS) as server:
        tab.open(server.url)
    tab.run(TEXT)
    assert tab.notes() == ["The server does not answer: is it running?"]


def test_a_summary_in_parts_says_where_they_came_from(tab: Tab, server: FakeServing) -> None:
    text = "😀😀 Prices rose in May. Analysts had expected less."
    parts = [
        {"start": 0, "end": 25, "text": "Prices rose.", "kept": "Prices rose.", "round": 1},
        {"start": 24, "end": 50, "text": "Less was expected.", "kept": "", "round": 1},
        {"start": 0, "end": 50, "text": "Prices rose.", "kept": "Prices rose.", "round": 2},
    ]
    server.replies = [Reply(body={"results": [result_of(SUMMARY, windows=parts)]})]
    tab.set("#long", "chunk")
    assert tab.run(text) == SUMMARY
    assert server.asked[0]["stream"] is False
    assert "tokens/s" not in tab.text("timings")
    made = tab.page.evaluate("windows.querySelector('summary').textContent")
    assert made == "Made of 2 parts of the text, in 2 rounds"
    rows = "[...windows.querySelectorAll('.quiet')].map((each) => each.textContent)"
    assert tab.page.evaluate(rows) == [
        "round 1 · 0 % to 50 % of the text",
        "round 1 · 48 % to 100 % of the text · left out, as it repeats",
        "round 2 · 0 % to 100 % of the text",
    ]
    tab.page.evaluate("windows.querySelectorAll('button')[1].click()")
    field = "document.getElementById('text')"
    selected = f"{field}.value.slice({field}.selectionStart, {field}.selectionEnd)"
    assert tab.page.evaluate(selected) == text[24:50]


def test_notes_tell_what_was_odd_about_the_text(tab: Tab, server: FakeServing) -> None:
    odd = {"unknown_share": 0.25, "looks_like_html": True, "control_characters": 2}
    server.replies = [Reply.summary(SUMMARY, **odd), Reply.summary(SUMMARY, unknown_share=0.19)]
    html = (
        "<style>p {}</style><p>Prices rose<br>in&nbsp;May &amp; June.</p>\n<p>1 &lt; 2</p>"
        "<script>alert(1)</script><!-- no -->"
    )
    tab.run(html)
    assert [note.partition(":")[0] for note in tab.notes()] == [
        "25 % of the text's characters are unknown to this model",
        "The text looks like HTML, whose tags are read as words.",
        "The text has 2 control characters",
    ]
    tab.press("Take the tags out")
    tab.finish()
    assert server.asked[1]["inputs"] == "Prices rose\nin May & June.\n1 < 2"
    assert tab.notes() == []


def test_labels_and_answers_have_forms_of_their_own(tab: Tab, server: FakeServing) -> None:
    scores = {"economy": 0.9, "sport": 0.1}
    label = {"label": "economy", "score": 0.9, "scores": scores, "unknown_share": 0}
    server.replies = [Reply(body={"results": [label]})]
    tab.set("#model", "topics")
    assert not tab.is_shown("options")
    assert tab.run(TEXT) == "economy0.900sport0.100"
    assert server.asked[-1] == {"path": "/v1/classify", "model": "topics", "inputs": TEXT}
    text = f"{'😀' * 300} {TEXT}"
    start = text.index("May")
    answer = {"text": "May", "start": start, "end": start + 3, "score": 0.9, "unknown_share": 0}
    server.replies = [Reply(body={"results": [answer]})]
    tab.set("#model", "answers")
    tab.set("#text", text)
    tab.click("run")
    assert server.replies, "there is no question yet"
    tab.set("#question", "When did prices rise?")
    shown = tab.run()
    assert shown.startswith("… 😀")
    assert shown.endswith(TEXT[TEXT.index("May") :])
    assert tab.page.evaluate("document.querySelector('mark').textContent") == "May"
    asked = {"question": "When did prices rise?", "context": text}
    assert server.asked[-1] == {"path": "/v1/answer", "model": "answers", **asked}


def test_a_file_can_be_dropped_and_the_summary_copied(tab: Tab, server: FakeServing) -> None:
    tab.page.evaluate(
        "(() => { const data = new DataTransfer();"
        f"data.items.add(new File([{json.dumps(TEXT)}], 'a.txt', {{ type: 'text/plain' }}));"
        "for (const name of ['dragover', 'drop']) document.body.dispatchEvent("
        "new DragEvent(name, { dataTransfer: data, bubbles: true, cancelable: true })); })()"
    )
    tab.wait("document.getElementById('text').value !== ''")
    assert tab.text("size") == "8 words · 47 characters"
    server.replies = [Reply.summary(SUMMARY)]
    tab.run()
    tab.page.evaluate("navigator.clipboard.writeText = async (text) => void (window.copied = text)")
    tab.click("copy")
    tab.wait("document.getElementById('copy').textContent === 'Copied'")
    assert tab.page.evaluate("copied") == SUMMARY


def test_everything_has_a_name_and_can_be_reached_by_keys(tab: Tab, server: FakeServing) -> None:
    tab.click("more-button")
    tree = tab.page.send("Accessibility.getFullAXTree")["nodes"]
    roles = ("button", "textbox", "spinbutton", "combobox", "checkbox")
    found = [
        (node["role"]["value"], node["name"]["value"])
        for node in tree
        if not node["ignored"] and node["role"]["value"] in roles
    ]
    assert len(found) >= 16
    assert [each for each in found if not each[1].strip()] == []
    reachable = "[...document.querySelectorAll('button, input, select, textarea')]"
    assert tab.page.evaluate(f"{reachable}.every((each) => each.tabIndex === 0)")


@pytest.mark.parametrize("width", [320, 390, 700, 1040, 1600])
def test_it_fits_the_window(width: int, tab: Tab, server: FakeServing) -> None:
    tab.page.resize(width, 700, mobile=width < 600)
    server.replies = [Reply.summary(SUMMARY, truncated=True)]
    tab.click("more-button")
    tab.run(TEXT)
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= width
    corners = "JSON.stringify(document.getElementById('run').getBoundingClientRect())"
    box = json.loads(tab.page.evaluate(corners))
    assert box["top"] >= 0
    assert box["bottom"] <= 701, "the button is in reach"


def test_the_theme_is_the_systems_until_it_is_chosen(tab: Tab, server: FakeServing) -> None:
    colour = "getComputedStyle(document.body).backgroundColor"
    light = tab.page.evaluate(colour)
    tab.page.resize(1040, 660, dark=True)
    dark = tab.page.evaluate(colour)
    assert dark != light
    tab.wait("document.getElementById('theme').textContent === 'Light'")
    tab.click("theme")
    assert tab.page.evaluate(colour) == light
    tab.page.resize(1040, 660)


def test_models_that_are_not_known_yet_are_waited_for(tab: Tab, server: FakeServing) -> None:
    server.models = [{"name": "news", "ready": False}]
    tab.page.goto(server.url)
    time.sleep(0.1)
    server.models = MODELS
    tab.wait("!!document.querySelector('#model option')")
    assert tab.text("facts") == "int8 · reads up to 512 tokens"
