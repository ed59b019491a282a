"""What an agent's errors mean, in words that a person can act on."""

import msgspec
import pytest
from msgspec import Raw

from backend_stub.agents.sandbox_agent.complaints import About, AuthMethod, auth_methods, rpc_error, understood

AGAIN = "send the prompt again"


def sentence(agent: str, code: int, message: object, data: object = None) -> str:
    error = rpc_error(Raw(msgspec.json.encode({"code": code, "message": message, "data": data})))
    complaint = understood(error, agent, [])
    return f"{complaint.words}; {complaint.next}" if complaint.next else complaint.words


@pytest.mark.parametrize(
    ("agent", "code", "message", "data", "said"),
    [
        (
            "codex",
            -32603,
            "Internal error",
            {"message": "unexpected status 401 Unauthorized: no key", "codex_error_info": {"other": 1}},
            f"unexpected status 401 Unauthorized: no key; log in with "
            f"`foundry agent login codex` in a terminal, then {AGAIN}",
        ),
        (
            "codex",
            -32603,
            "Internal error",
            {"message": "exceeded retry limit, last status: 429 Too Many Requests"},
            "exceeded retry limit, last status: 429 Too Many Requests; "
            f"the model's provider was asked too often: {AGAIN} in a while",
        ),
        (
            "claude",
            -32603,
            'Internal error: API Error: 401 {"type":"error","error":{"message":"invalid x-api-key"}}',
            None,
            f"API Error: 401: invalid x-api-key; log in with `foundry agent login claude` in a terminal, then {AGAIN}",
        ),
        (
            "claude",
            -32603,
            "Internal error",
            {"details": "Invalid API key · Please run /login."},
            "Invalid API key · Please run /login; log in with `foundry agent login claude` in a terminal, "
            f"then {AGAIN}",
        ),
        (
            "opencode",
            -32603,
            "Internal error",
            {"error": {"data": {"statusCode": 429, "message": "slow down"}, "message": "slow down"}, "retry_after": 20},
            f"slow down; the model's provider was asked too often: {AGAIN} in 20 s",
        ),
        (
            "codex",
            -32603,
            "Internal error",
            {
                "message": "We're currently experiencing high demand, which may cause temporary errors.",
                "codex_error_info": "internal_server_error",
            },
            "We're currently experiencing high demand, which may cause temporary errors; "
            f"the model's provider has a fault of its own: {AGAIN} later",
        ),
        (
            "opencode",
            -32603,
            "Internal error: The server had an error while processing your request",
            {"service": "session", "errorName": "APIError"},
            "The server had an error while processing your request; "
            f"the model's provider has a fault of its own: {AGAIN} later",
        ),
        (
            "opencode",
            -32603,
            "Too many requests. Try again in 1m30s",
            None,
            f"Too many requests. Try again in 1m30s; the model's provider was asked too often: {AGAIN} when it says",
        ),
        (
            "gemini",
            500,
            '[{"error":{"code":500,"message":"boom"}}]',
            None,
            f"boom; the model's provider has a fault of its own: {AGAIN} later",
        ),
        (
            "gemini",
            401,
            "bad key",
            None,
            f"bad key; log in with `foundry agent login gemini` in a terminal, then {AGAIN}",
        ),
        (
            "codex",
            -32603,
            "Internal error",
            "stream disconnected before completion",
            "stream disconnected before completion; the model's provider cannot be reached: look at the network, "
            f"then {AGAIN}",
        ),
        (
            "gemini",
            500,
            "exception TypeError: fetch failed sending request",
            None,
            "exception TypeError: fetch failed sending request; the model's provider cannot be reached: "
            f"look at the network, then {AGAIN}",
        ),
        (
            "opencode",
            -32603,
            "Internal error: Cannot connect to API: Unable to connect. Is the computer able to access the url?",
            {"service": "session", "errorName": "APIError"},
            "Cannot connect to API: Unable to connect. Is the computer able to access the url?; "
            f"the model's provider cannot be reached: look at the network, then {AGAIN}",
        ),
        ("pi", -32603, "Internal error", None, "Internal error"),
        ("pi", -32603, "Internal error", {"agentStderr": "all that it printed"}, "Internal error"),
        ("pi", -32603, "Internal error", 5, "5"),
        ("pi", -32603, "Internal error", [{"x": 1}], '[{"x": 1}]'),
        ("pi", 7, None, None, "error 7"),
        ("pi", 7, {"message": "deep"}, [["a", "b"]], "deep: a"),
        ("pi", -32603, "out\nof  luck. ", True, "out of luck"),
    ],
)
def test_the_reason_is_found_and_what_to_do_is_said(
    agent: str, code: int, message: object, data: object, said: str
) -> None:
    assert sentence(agent, code, message, data) == said


@pytest.mark.parametrize(
    "raw",
    [
        b"5",
        b'"gone"',
        b"[1]",
        b"true",
        b'{"code": "x", "message": 3}',
        b"{}",
        b'{"code": "--5"}',
        b'{"code": "\\u00b2"}',
    ],
)
def test_an_error_of_any_shape_has_words(raw: bytes) -> None:
    assert understood(rpc_error(Raw(raw)), "pi", []).words


def test_a_login_that_is_wanted_is_told_with_what_the_agent_offers() -> None:
    methods = auth_methods(
        Raw(
            b'[{"id": "chatgpt", "name": "Login with ChatGPT", "description": "Use your plan."}, 5,'
            b' {"id": "key", "name": "Use CODEX_API_KEY", "extra": 1}, {"id": 7}]'
        )
    )
    assert [method.id for method in methods] == ["chatgpt", "key"]
    error = rpc_error(Raw(b'{"code": -32000, "message": "Authentication required"}'))
    complaint = understood(error, "codex", methods, opening=True)
    assert complaint.about is About.LOGIN
    assert complaint.next == (
        "log in with `foundry agent login codex` in a terminal (codex offers: Login with ChatGPT, Use your plan; "
        "Use CODEX_API_KEY), then retry"
    )


def test_an_unknown_agent_says_itself_how_to_log_in() -> None:
    methods = [AuthMethod(id="t", name="Sign in", type="terminal", args=("--setup", "now"))]
    error = rpc_error(Raw(b'{"code": -32000, "message": "Authentication required"}'))
    how = understood(error, "mine", methods, opening=True).next
    assert how.startswith("log in by running mine's own command with `--setup now` in a terminal")


def test_what_is_very_long_is_cut() -> None:
    assert len(sentence("pi", -32603, "x" * 100_000)) < 1_000
