"""Requests that are wrong by construction, for every route: in path, method, query, header, JSON, field or value."""

import json
import re
from dataclasses import dataclass, field
from urllib.parse import quote

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from foundry_tui.contract.status import STAGES
from tests.world import Json


@dataclass(frozen=True)
class BadRequest:
    """One request; `content` is its body as bytes, `why` what is wrong with it."""

    method: str
    path: str
    why: str
    content: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Known:
    """What a backend holds that requests can be right about."""

    repo: str
    task_id: str
    session_id: str
    prompt_id: str
    ended_task_id: str
    ended_session_id: str
    permission_id: str
    repo_id: str

    @property
    def ids(self) -> frozenset[str]:
        return frozenset(vars(self).values())


@dataclass(frozen=True)
class Route:
    """A route that takes a body: a right one, and for each field what is not of its kind or no value it can have."""

    method: str
    path: str
    right: Json
    wrong: dict[str, SearchStrategy[object]]


TEXT = st.text(max_size=40)
LOG_STAGES = frozenset({*STAGES, "turn", "release_sandbox", "destroy_sandbox"})
NO_TEXT: SearchStrategy[object] = st.one_of(
    st.integers(), st.booleans(), st.floats(allow_nan=False, allow_infinity=False), st.lists(TEXT, max_size=2)
)
NO_SWITCH: SearchStrategy[object] = st.one_of(st.integers(), TEXT, st.lists(st.booleans(), max_size=2))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
BLANK = st.text(alphabet=" \t\r\n\u2003", max_size=5)
NO_ID = st.one_of(st.just(""), TEXT.filter(lambda text: not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,127}", text)))
NO_BRANCH = st.builds(
    str.__add__,
    st.sampled_from(["-", "/", ".", "a..", "a b", "a~", "a^", "a:", "a?", "a*", "a[", "a\\", "a\x7f", "a@{", "a//"]),
    st.text(alphabet="abc", max_size=5),
) | st.sampled_from(["", "HEAD", "x.lock", "x.", "x/", "main", "main/sub"])
NO_START_NUMBER: SearchStrategy[object] = st.one_of(
    st.integers(max_value=0), st.integers(min_value=2**31), TEXT, st.floats(allow_nan=False, allow_infinity=False)
).filter(lambda number: number not in range(1, 2**31))
NO_START: SearchStrategy[object] = st.one_of(
    st.just({}),
    st.dictionaries(st.sampled_from(["branch", "issue"]), st.none()),
    st.fixed_dictionaries({"branch": NO_TEXT | NO_BRANCH.filter(lambda name: not name.startswith("main"))}),
    st.fixed_dictionaries({"pull_request": NO_START_NUMBER}),
    st.fixed_dictionaries({"issue": NO_START_NUMBER}),
    st.fixed_dictionaries({"issue": st.just(1), "pull_request": st.just(2)}),
    st.fixed_dictionaries({"branch": st.just("main"), "issue": st.just(2)}),
    st.fixed_dictionaries({"tag": TEXT}),
)
NO_TITLE = BLANK | st.text(min_size=201, max_size=210)
NO_NAME = BLANK | st.text(min_size=65, max_size=80) | st.sampled_from(["a\nb", "a\x00b", "\u2028x\u2029"])
NO_REPOSITORY = st.one_of(
    BLANK,
    st.sampled_from(["~", "~root", ".", "..", "/", "/dev/null", "/proc/self/mem", "/no/such", "repo-ffffffffffff"]),
    TEXT.map(lambda text: "/no/such/" + text),
    TEXT.map(lambda text: "./" + text),
    st.sampled_from(["https://u:p@h/x", "ext::id", "ssh://-x/y", "ftp://h/x", "https://h/x?y", "https://", "-x:y"]),
)
NO_TASK_ID = TEXT.filter(lambda text: not re.fullmatch(r"[0-9a-f-]{36}", text)) | st.uuids(version=4).map(str)
NO_NUMBER = st.one_of(
    st.integers(max_value=-2).map(str),
    st.integers(min_value=2**53 + 1).map(str),
    st.floats().map(str),
    TEXT.filter(lambda text: bool(text) and not text.strip().isdigit() and text != "-1"),
)
TOKENS = st.text(alphabet="ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=1, max_size=8)


def bad_requests(known: Known) -> SearchStrategy[BadRequest]:
    """All sorts of them, mixed."""
    routes = _routes(known)
    with_body = st.sampled_from(routes)
    return st.one_of(
        with_body.flatmap(_no_json),
        with_body.flatmap(_no_object),
        with_body.flatmap(_unknown_field),
        with_body.filter(lambda route: bool(route.wrong)).flatmap(_wrong_field),
        with_body.filter(lambda route: bool(_required(route))).flatmap(_missing_field),
        _unknown_ids(known, routes),
        _wrong_methods(known, routes),
        _unknown_routes(),
        _wrong_queries(known),
        _wrong_moments(known),
        with_body.flatmap(_from_a_web_page),
    )


def _routes(known: Known) -> list[Route]:
    create: dict[str, SearchStrategy[object]] = {
        "repo": NO_TEXT | NO_REPOSITORY,
        "prompt": NO_TEXT | BLANK,
        "task_id": NO_TEXT | NO_TASK_ID,
        "title": NO_TEXT | NO_TITLE,
        "branch": NO_TEXT | NO_BRANCH,
        "base_branch": NO_TEXT | NO_BRANCH.filter(lambda name: not name.startswith("main")),
        "agent": NO_TEXT | NO_NAME,
        "provider": NO_TEXT | TEXT.filter(lambda name: name not in ("demo", "local")),
        "session_id": NO_TEXT | NO_ID,
        "from": NO_TEXT | TEXT | NO_START,
        "trust": NO_SWITCH,
    }
    release: dict[str, SearchStrategy[object]] = {"force": NO_SWITCH, "delete_branch": NO_SWITCH}
    task, session = f"/v1/tasks/{known.task_id}", f"/v1/sessions/{known.session_id}"
    return [
        Route("POST", "/v1/tasks", {"repo": known.repo, "prompt": "x"}, create),
        Route("PATCH", task, {}, {"title": NO_TEXT | NO_TITLE, "unread": NO_SWITCH}),
        Route("POST", f"{task}/archive", {}, release),
        Route("POST", f"{task}/kill", {}, release),
        Route("POST", f"{task}/retry", {}, {}),
        Route(
            "POST",
            f"{task}/sessions",
            {},
            {"session_id": NO_TEXT | NO_ID, "agent": NO_TEXT | NO_NAME, "name": NO_TEXT | NO_NAME},
        ),
        Route(
            "POST",
            f"{session}/prompts",
            {"prompt_id": "p", "text": "x"},
            {"prompt_id": NO_TEXT | NO_ID, "text": NO_TEXT | BLANK, "steer": NO_SWITCH},
        ),
        Route("PATCH", f"{session}/prompts/{known.prompt_id}", {"text": "x"}, {"text": NO_TEXT | BLANK}),
        Route("POST", f"{session}/stop", {}, {}),
        Route(
            "POST",
            f"/v1/permissions/{known.permission_id}",
            {"option_id": "allow"},
            {"option_id": NO_TEXT | TEXT.filter(lambda text: text not in ("allow", "deny"))},
        ),
        Route("POST", "/v1/repos", {"path": known.repo}, {"path": NO_TEXT | NO_REPOSITORY, "remote": NO_TEXT}),
        Route("POST", f"/v1/repos/{known.repo_id}/trust", {"digest": "0" * 64}, {"digest": NO_TEXT | TEXT}),
    ]


def _no_json(route: Route) -> SearchStrategy[BadRequest]:
    whole = json.dumps({**route.right, "a": 1}).encode()
    cut = st.integers(min_value=1, max_value=len(whole) - 1).map(lambda end: whole[:end])
    deep = st.integers(min_value=2_000, max_value=20_000).map(lambda depth: b"[" * depth + b"]" * depth)
    body = st.one_of(st.binary(min_size=1, max_size=60).filter(_is_no_json), cut, deep)
    return body.map(lambda content: BadRequest(route.method, route.path, "no JSON", content))


def _is_no_json(content: bytes) -> bool:
    try:
        json.loads(content)
    except (ValueError, RecursionError):
        return True
    return False


def _no_object(route: Route) -> SearchStrategy[BadRequest]:
    value = JSON.filter(lambda each: not isinstance(each, dict))
    return value.map(lambda each: BadRequest(route.method, route.path, "no object", json.dumps(each).encode()))


def _unknown_field(route: Route) -> SearchStrategy[BadRequest]:
    name = TEXT.filter(lambda each: each not in route.wrong)
    return st.tuples(name, JSON).map(
        lambda extra: _with_body(route, {**route.right, extra[0]: extra[1]}, f"field {extra[0]!r}")
    )


def _wrong_field(route: Route) -> SearchStrategy[BadRequest]:
    return st.sampled_from(sorted(route.wrong)).flatmap(
        lambda name: route.wrong[name].map(
            lambda value: _with_body(route, {**route.right, name: value}, f"wrong {name}")
        )
    )


def _required(route: Route) -> list[str]:
    return sorted(route.right)


def _missing_field(route: Route) -> SearchStrategy[BadRequest]:
    return st.tuples(st.sampled_from(_required(route)), st.booleans()).map(
        lambda which: _with_body(
            route,
            {**route.right, which[0]: None}
            if which[1]
            else {name: value for name, value in route.right.items() if name != which[0]},
            f"no {which[0]}",
        )
    )


def _unknown_ids(known: Known, routes: list[Route]) -> SearchStrategy[BadRequest]:
    templates = [(route.method, route.path, route.right) for route in routes] + [
        (method, path, {})
        for method, path in (
            ("GET", f"/v1/tasks/{known.task_id}"),
            ("DELETE", f"/v1/tasks/{known.task_id}"),
            ("GET", f"/v1/tasks/{known.task_id}/history"),
            ("GET", f"/v1/tasks/{known.task_id}/log"),
            ("GET", f"/v1/tasks/{known.task_id}/diff"),
            ("GET", f"/v1/sessions/{known.session_id}"),
            ("DELETE", f"/v1/sessions/{known.session_id}"),
            ("DELETE", f"/v1/sessions/{known.session_id}/prompts/{known.prompt_id}"),
            ("GET", f"/v1/tasks/{known.task_id}/files"),
            ("GET", f"/v1/repos/{known.repo_id}/files"),
            ("GET", f"/v1/repos/{known.repo_id}/branches"),
            ("GET", f"/v1/repos/{known.repo_id}/setup"),
        )
    ]
    ids = known.ids
    with_id = [each for each in templates if any(id_ in each[1] for id_ in ids)]
    id_ = st.one_of(TEXT, st.uuids().map(str)).filter(lambda text: text not in ids and text not in ("", ".", ".."))
    return st.tuples(st.sampled_from(with_id), id_).map(
        lambda chosen: BadRequest(
            chosen[0][0],
            _replaced(chosen[0][1], ids, quote(chosen[1], safe="")),
            "unknown id",
            json.dumps(chosen[0][2]).encode() if chosen[0][0] in ("POST", "PATCH") else b"",
        )
    )


def _replaced(path: str, ids: frozenset[str], id_: str) -> str:
    return "/".join(id_ if part in ids else part for part in path.split("/"))


def _wrong_methods(known: Known, routes: list[Route]) -> SearchStrategy[BadRequest]:
    paths = [route.path for route in routes] + ["/v1/health", "/v1/metrics", "/v1/history", "/v1/events"]
    right = {"GET", "HEAD", "POST", "PATCH", "DELETE", "CONNECT"}
    method = TOKENS.filter(lambda each: each not in right) | st.sampled_from(["PUT", "OPTIONS", "TRACE"])
    return st.tuples(method, st.sampled_from(paths)).map(lambda each: BadRequest(*each, "wrong method"))


def _unknown_routes() -> SearchStrategy[BadRequest]:
    known = {"tasks", "sessions", "permissions", "repos", "history", "events", "health", "metrics", "", ".", ".."}
    name = TEXT.filter(lambda text: text not in known and not text.startswith("."))
    return st.tuples(st.sampled_from(["GET", "POST", "DELETE"]), name, TEXT).map(
        lambda each: BadRequest(
            each[0], f"/v1/{quote(each[1], safe='')}/{quote(each[2].replace('.', ''), safe='')}", "unknown route"
        )
    )


def _wrong_queries(known: Known) -> SearchStrategy[BadRequest]:
    places = [
        *(("/v1/history", name) for name in ("after", "limit")),
        *((f"/v1/tasks/{known.task_id}/history", name) for name in ("after", "limit")),
        (f"/v1/tasks/{known.task_id}/log", "after"),
        ("/v1/tasks", "limit"),
    ]
    numbers = st.tuples(st.sampled_from(places), NO_NUMBER).map(
        lambda each: BadRequest("GET", f"{each[0][0]}?{each[0][1]}={quote(each[1], safe='')}", "no number")
    )
    topic = st.tuples(st.sampled_from(["", "task:", "session:", "log:", "tasks:", "x:"]), TEXT).map("".join)
    topics = topic.filter(lambda text: text != "tasks" and text.partition(":")[2] not in known.ids).map(
        lambda text: BadRequest("GET", f"/v1/events?topic={quote(text, safe='')}", "no topic")
    )
    # A text drawn at random may be a stage by chance: drawn texts come from the program's own words too.
    stages = TEXT.filter(lambda text: bool(text) and text not in LOG_STAGES).map(
        lambda text: BadRequest("GET", f"/v1/tasks/{known.task_id}/log?stage={quote(text, safe='')}", "no stage")
    )
    return numbers | topics | stages


def _wrong_moments(known: Known) -> SearchStrategy[BadRequest]:
    prompt, text = (json.dumps(body).encode() for body in ({"prompt_id": "late", "text": "more"}, {"text": "more"}))
    delivered = f"/v1/sessions/{known.session_id}/prompts/{known.prompt_id}"
    return st.sampled_from(
        [
            BadRequest("POST", f"/v1/tasks/{known.task_id}/retry", "not failed"),
            BadRequest("DELETE", f"/v1/tasks/{known.task_id}", "not ended"),
            BadRequest("POST", f"/v1/tasks/{known.ended_task_id}/retry", "ended"),
            BadRequest("POST", f"/v1/tasks/{known.ended_task_id}/sessions", "ended"),
            BadRequest("POST", f"/v1/sessions/{known.ended_session_id}/prompts", "ended", prompt),
            BadRequest("PATCH", delivered, "delivered", text),
            BadRequest("DELETE", delivered, "delivered"),
        ]
    )


def _from_a_web_page(route: Route) -> SearchStrategy[BadRequest]:
    origin = st.sampled_from(["null", "http://localhost", "https://evil.example", "http://[", "x", ""])
    content = json.dumps(route.right).encode()
    return origin.map(lambda each: BadRequest(route.method, route.path, "web page", content, {"origin": each}))


def _with_body(route: Route, body: Json, why: str) -> BadRequest:
    return BadRequest(route.method, route.path, why, json.dumps(body).encode())
