"""What each address answers, and what it refuses."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from PIL import Image

from modiste.artifact.golden import TOLERANCE
from modiste.artifact.model import Artifact
from modiste.errors import ArtifactError
from modiste.serve.answers import Description, Error, Explanation, Predictions, Served, prepare
from modiste.serve.app import State, create_app
from modiste.serve.body import Upload
from modiste.serve.engine import Deadline
from modiste.serve.limits import Limits
from modiste.serve.problem import CODES, Problem
from tests import small
from tests.serving import PNG, Reply, ask, asked, form, png
from tests.shipping import Shipped

WHITE = png(np.full((28, 28), 255, np.uint8))


def golden(shipped: Shipped, number: int = 0) -> bytes:
    return (shipped.folder / "golden" / f"{number:03d}.png").read_bytes()


def of(served: Served, **limits: Any) -> FastAPI:
    return create_app(served, limits=Limits(**limits))


# --- what is answered -----------------------------------------------------------------------------


def test_an_image_gets_the_probabilities_that_it_got_where_it_was_exported(
    app: FastAPI, served: Served, shipped: Shipped
) -> None:
    reply = ask(app, "POST", "/predict", PNG, golden(shipped, 3))
    assert reply.status == 200
    (row,) = Predictions.model_validate(reply.json).predictions
    assert reply.json["model"] == served.digest
    found = np.array([row.probabilities[name] for name in served.artifact.class_names])
    assert np.abs(found - served.golden.expected_NK[3]).max() <= TOLERANCE
    assert row.class_name == served.artifact.class_names[int(found.argmax())]
    assert row.probability == found.max()
    assert row.image is None


def test_a_form_of_many_images_is_answered_in_their_order(
    app: FastAPI, served: Served, shipped: Shipped
) -> None:
    count = len(served.labels)
    parts = [("images", f"{n}.png", golden(shipped, n)) for n in range(count)]
    rows = ask(app, "POST", "/predict", *form(parts)).json["predictions"]
    assert [row["image"] for row in rows] == [f"{n}.png" for n in range(count)]
    best = served.golden.expected_NK.argmax(axis=1)
    assert [row["class"] for row in rows] == [served.artifact.class_names[k] for k in best]


def test_an_image_unlike_the_training_images_is_warned_of(app: FastAPI) -> None:
    (row,) = ask(app, "POST", "/predict", PNG, WHITE).json["predictions"]
    assert row["warning"].startswith("unlike the training images")


def test_the_first_bytes_and_not_the_header_say_what_an_image_is(app: FastAPI) -> None:
    content = io.BytesIO()
    Image.new("RGB", (50, 20), (9, 9, 9)).save(content, "JPEG")
    for kind in ({"content-type": "image/gif"}, {"content-type": "application/octet-stream"}, {}):
        assert ask(app, "POST", "/predict", kind, content.getvalue()).status == 200


def test_an_explanation_shows_what_the_model_sees_and_what_decided(
    app: FastAPI, served: Served, shipped: Shipped
) -> None:
    reply = ask(app, "POST", "/explain", PNG, golden(shipped, 1))
    found = Explanation.model_validate(reply.json)
    kind, _, content = found.seen.partition(",")
    assert kind == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(content))) as image:
        assert np.array_equal(np.asarray(image), served.golden.images_NCHW[1, 0])
    assert found.occlusion.evaluations == 1 + sum(map(len, found.occlusion.drops)) <= 101
    assert max(max(map(abs, row)) for row in found.occlusion.drops) <= 1


def test_the_model_is_described(app: FastAPI, served: Served) -> None:
    found = Description.model_validate(ask(app, "GET", "/model").json)
    assert found.model == served.digest
    assert (found.data, found.name) == (small.NAME, f"mlp on {small.NAME}")
    assert found.size == (28, 28, 1)
    assert [sample.number for sample in found.samples] == list(range(len(served.labels)))
    assert found.limits == {"bytes": 8 << 20, "images": 64}


def test_a_sample_is_the_golden_image(app: FastAPI, served: Served) -> None:
    reply = ask(app, "GET", "/samples/2")
    assert reply.headers["content-type"] == "image/png"
    with Image.open(io.BytesIO(reply.content)) as image:
        assert np.array_equal(np.asarray(image), served.golden.images_NCHW[2, 0])


def test_every_answer_forbids_what_a_browser_would_otherwise_allow(app: FastAPI) -> None:
    for method, path in [("GET", "/"), ("GET", "/model"), ("GET", "/none"), ("PUT", "/predict")]:
        headers = ask(app, method, path).headers
        assert headers["content-security-policy"].startswith(
            "default-src 'none'; script-src 'self'"
        )
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in headers
        assert "server" not in headers


def test_it_is_ready_until_it_is_told_to_end(served: Served) -> None:
    state = State()
    app = create_app(served, state=state)
    assert ask(app, "GET", "/readyz").json == {"status": "ready"}
    state.is_stopping = True
    assert (ask(app, "GET", "/readyz").status, ask(app, "GET", "/readyz").code) == (503, "stopping")
    assert ask(app, "GET", "/healthz").status == 200


def test_the_schema_documents_every_refusal_with_its_code(app: FastAPI) -> None:
    schema = ask(app, "GET", "/openapi.json").json
    assert set(schema["paths"]) == {
        *("/healthz", "/readyz", "/model", "/samples/{number}", "/predict", "/explain")
    }
    documented = json.dumps(schema["paths"])
    # Those two are of no operation: another address, another method. Those of the connection and
    # our own bugs can meet any.
    beside = {"method_not_allowed", "too_long_headers", "internal"}
    assert {code for code in CODES if f"`{code}`" not in documented} == beside


@pytest.mark.parametrize("number", ["x", "1.5", "-1", "99", "1e999", "%00"])
def test_what_a_bad_number_is_answered_is_what_the_schema_says(app: FastAPI, number: str) -> None:
    schema = ask(app, "GET", "/openapi.json").json
    assert set(schema["components"]["schemas"]).isdisjoint(
        {"HTTPValidationError", "ValidationError"}
    )
    assert '"422"' not in json.dumps(schema["paths"]["/samples/{number}"])
    reply = ask(app, "GET", f"/samples/{number}")
    said = schema["paths"]["/samples/{number}"]["get"]["responses"][str(reply.status)]
    wanted = {"$ref": "#/components/schemas/Error"}
    assert said["content"][reply.headers["content-type"]]["schema"] == wanted
    assert f"`{reply.code}`" in said["description"]
    Error.model_validate(reply.json)


def test_nothing_in_an_address_names_a_file_or_a_model(app: FastAPI) -> None:
    for path in ("/samples/../model.onnx", "/samples/%2e%2e", "/page/../card.html", "//etc/passwd"):
        assert ask(app, "GET", path).status in {400, 404}
    schema = ask(app, "GET", "/openapi.json").json
    taken = [
        p
        for path in schema["paths"].values()
        for o in path.values()
        for p in o.get("parameters", [])
    ]
    assert [(p["name"], p["schema"]["type"]) for p in taken] == [("number", "integer")]


# --- what is refused ------------------------------------------------------------------------------

FORM = "multipart/form-data; boundary=b"
HUGE = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\1\0\0\0\1\0\0\x08\0\0\0\0" + b"\xa5\xe4\x12\xa6"


@pytest.mark.parametrize(
    ("headers", "body", "status", "code"),
    [
        (PNG, b"", 400, "no_image"),
        (PNG, b"no image at all", 422, "bad_image"),
        (PNG, WHITE[:-30], 422, "bad_image"),
        (PNG, HUGE, 422, "bad_image"),
        ({"content-type": "image/svg+xml"}, b"<svg/>", 422, "bad_image"),
        ({"content-type": "text/plain"}, WHITE, 415, "unsupported_media_type"),
        ({"content-type": "application/json"}, b"{}", 415, "unsupported_media_type"),
        (
            {"content-type": "application/x-www-form-urlencoded"},
            b"a=b",
            415,
            "unsupported_media_type",
        ),
        ({"content-type": "multipart/form-data"}, b"--b--", 400, "bad_form"),
        ({"content-type": FORM}, b"nothing of a form", 400, "bad_form"),
        (form([])[0], form([("images", "a.png", WHITE)] * 2)[1][:-20], 400, "bad_form"),
        ({"content-type": FORM}, b"--b--\r\n", 400, "no_image"),
        (
            {"content-type": FORM},
            b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n",
            400,
            "bad_form",
        ),
        (*form([("images", None, b"words")]), 422, "bad_image"),
        (*form([("file", "a.png", WHITE)]), 400, "bad_form"),
        (*form([("images", "a.png", b"")]), 400, "no_image"),
        (*form([("images", "a.png", WHITE)] * 65), 422, "too_many_images"),
        (*form([("images", None, b"x")] * 90), 422, "too_many_images"),
        ({**PNG, "content-length": str(9 << 20)}, b"", 413, "too_large"),
        (PNG, [bytes(1 << 20)] * 9, 413, "too_large"),
        ({**PNG, "content-length": "-1"}, b"x", 422, "bad_image"),
    ],
)
@pytest.mark.parametrize("path", ["/predict", "/explain"])
def test_a_bad_body_is_refused_with_its_code(
    app: FastAPI, path: str, headers: dict[str, str], body: Any, status: int, code: str
) -> None:
    reply = ask(app, "POST", path, headers, body)
    assert (reply.status, reply.code) == (status, code), reply.message


def test_a_bad_image_among_good_ones_is_named(app: FastAPI) -> None:
    parts = [("images", "good.png", WHITE), ("images", "<b>.png", b"bad")]
    reply = ask(app, "POST", "/predict", *form(parts))
    assert reply.code == "bad_image"
    assert reply.message.startswith("image 2 of 2 ('<b>.png'): no image")


def test_a_part_is_an_image_with_a_name_in_any_script_or_none(app: FastAPI) -> None:
    parts = [("images", "größe.png", WHITE), ("images", None, WHITE)]
    headers, body = form(parts)
    headers = {"content-type": f"{headers['content-type']}; charset=utf-7"}
    rows = ask(app, "POST", "/predict", headers, body).json["predictions"]
    assert [row["image"] for row in rows] == ["größe.png", None]
    assert rows[0]["probabilities"] == rows[1]["probabilities"]


def test_one_image_is_explained_at_a_time(app: FastAPI) -> None:
    two = form([("images", "a.png", WHITE)] * 2)
    assert ask(app, "POST", "/explain", *two).code == "too_many_images"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/predict", 405, "method_not_allowed"),
        ("DELETE", "/model", 405, "method_not_allowed"),
        ("GET", "/none", 404, "not_found"),
        ("GET", "/samples/10000", 404, "not_found"),
        ("GET", "/samples/-1", 404, "not_found"),
        ("GET", "/samples/one", 400, "bad_request"),
        ("GET", "/samples/%2B0.0", 400, "bad_request"),
        ("GET", "/samples/0_0", 400, "bad_request"),
        ("GET", "/samples/00", 400, "bad_request"),
        ("GET", "/samples/0%0A", 400, "bad_request"),
        ("GET", "/samples/%D9%A0", 400, "bad_request"),  # the Arabic nought
        ("GET", "/docs", 404, "not_found"),
    ],
)
def test_what_is_not_there_is_refused_in_the_same_form(
    app: FastAPI, method: str, path: str, status: int, code: str
) -> None:
    reply = ask(app, method, path)
    assert (reply.status, reply.code) == (status, code)
    assert ("allow" in reply.headers) == (status == 405)


def test_a_body_that_does_not_end_in_time_is_refused(served: Served) -> None:
    app = of(served, body_seconds=0.05)
    reply = ask(app, "POST", "/predict", PNG, [b"\x89PNG", None])
    assert (reply.status, reply.code) == (408, "too_slow")
    assert reply.headers["connection"] == "close"


def test_a_full_queue_tells_when_to_come_again_and_empties(served: Served) -> None:
    app = of(served, workers=1, queued=1)

    async def many() -> list[Reply]:
        asking = [asked(app, "POST", "/predict", PNG, WHITE) for _ in range(12)]
        replies = await asyncio.gather(*asking)
        return [*replies, await asked(app, "POST", "/predict", PNG, WHITE)]

    replies = asyncio.run(many())
    refused = [reply for reply in replies if reply.status != 200]
    # One thread and one place; of twelve at once, ten at most can find neither.
    assert 1 <= len(refused) <= 10
    assert {(reply.status, reply.code) for reply in refused} == {(503, "busy")}
    assert {reply.headers["retry-after"] for reply in refused} == {"1"}
    assert replies[-1].status == 200


def test_bodies_of_all_requests_together_have_a_limit_and_give_it_back(served: Served) -> None:
    app = of(served, held_bytes=len(WHITE) + 10, body_seconds=0.2)

    async def two() -> list[Reply]:
        slow = asyncio.create_task(asked(app, "POST", "/predict", PNG, [WHITE[:20], None]))
        await asyncio.sleep(0)
        refused = await asked(app, "POST", "/predict", PNG, WHITE)
        return [await slow, refused, await asked(app, "POST", "/predict", PNG, WHITE)]

    slow, refused, after = asyncio.run(two())
    assert (slow.code, refused.code, refused.headers["retry-after"]) == ("too_slow", "busy", "1")
    assert after.status == 200


def test_a_deadline_is_looked_at_before_each_batch(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[int] = []
    ask_model = Artifact.probabilities

    def counted(self: Artifact, images: Any) -> Any:
        batches.append(len(images))
        return ask_model(self, images)

    class Passing(Deadline):
        """Passes as the second batch is to be asked: after three images and one batch."""

        def check(self) -> None:
            if len(batches) == 1:
                raise self.passed()

    monkeypatch.setattr(Artifact, "batch_size", property(lambda _: 2))
    monkeypatch.setattr(Artifact, "probabilities", counted)
    uploads = [Upload(None, WHITE)] * 3
    with pytest.raises(Problem, match="not ready after"):
        served.predict(uploads, Passing(10.0))
    assert batches == [2]
    batches.clear()
    assert len(served.predict(uploads, Deadline(60.0))["predictions"]) == 3
    assert batches == [2, 1]


def test_an_answer_that_takes_too_long_is_given_up(served: Served) -> None:
    app = of(served, answer_seconds=0.0)
    reply = ask(app, "POST", "/predict", PNG, WHITE)
    assert (reply.status, reply.code) == (504, "took_too_long")


def test_a_bug_of_ours_is_told_without_its_details(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("/a/secret/path")

    monkeypatch.setattr(Served, "predict", broken)
    app = create_app(served)

    async def one() -> Reply:
        sent: list[Any] = []
        with pytest.raises(KeyError):  # for the log; the client has its answer by then
            await asked(_recorded(app, sent), "POST", "/predict", PNG, WHITE)
        return Reply(sent[0]["status"], {"content-type": "application/json"}, sent[1]["body"])

    reply = asyncio.run(one())
    assert (reply.status, reply.code) == (500, "internal")
    assert "secret" not in reply.message


def _recorded(app: FastAPI, sent: list[Any]) -> Any:
    async def around(scope: Any, receive: Any, send: Any) -> None:
        async def both(message: Any) -> None:
            sent.append(message)
            await send(message)

        await app(scope, receive, both)

    return around


def test_a_model_that_answers_otherwise_here_is_not_served(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modiste.serve.answers.ask", lambda *_: (0.5, 1))
    with pytest.raises(ArtifactError, match="1 golden images get another answer"):
        prepare(served.artifact)
