"""A diff as a review meets it: changed words, new and renamed files, generated ones, binary ones, long lines."""

import difflib
from collections.abc import Sequence

from foundry_tui.contract.records import FileDiff
from foundry_tui.contract.requests import Diff

_OLD_AUTH = '''"""Where a person lands after signing in."""

from urllib.parse import urlsplit

from shop.settings import settings

DEFAULT = "/"


def safe_next(request):
    """The page to go to, never one of another host."""
    target = request.query.get("next")
    if target.startswith("/"):
        return target
    return DEFAULT


def host_of(url):
    return urlsplit(url).netloc


def is_known(host):
    for known in settings.HOSTS:
        if host == known:
            return True
    return False


def sign_in(request, user):
    request.session["user"] = user.id
    request.session.cycle()
    log.info("signed in %s", user.id)
    return redirect(safe_next(request))
'''

_NEW_AUTH = '''"""Where a person lands after signing in."""

from urllib.parse import unquote, urlsplit

from shop.settings import settings

DEFAULT = "/"


def safe_next(request):
    """The page to go to, never one of another host."""
    target = unquote(request.query.get("next", DEFAULT))
    # `//evil.example` is a host of its own, however it looks.
    if target.startswith("/") and not target.startswith("//"):
        return target
    return DEFAULT


def host_of(url):
    return urlsplit(url).netloc


def is_known(host):
    return host in settings.HOSTS


def sign_in(request, user):
    request.session["user"] = user.id
    request.session.cycle()
    log.info("signed in %s from %s", user.id, request.client.host)
    return redirect(safe_next(request))
'''

_NEW_TEST = '''"""A person lands where they wanted to go, and nowhere else."""

import pytest

from shop.auth import safe_next


@pytest.mark.parametrize("wanted", ["/basket", "/orders?page=2"])
def test_own_pages_are_kept(wanted, request_for):
    assert safe_next(request_for(next=wanted)) == wanted


@pytest.mark.parametrize("wanted", ["//evil.example", "https://evil.example", "%2F%2Fevil.example"])
def test_pages_of_other_hosts_are_not(wanted, request_for):
    assert safe_next(request_for(next=wanted)) == "/"
'''


def file_diff(path: str, old: str, new: str, status: str = "M", head: Sequence[str] = ()) -> FileDiff:
    """The difference between two texts as git would tell it."""
    body = list(difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=3))[2:]
    added = sum(line.startswith("+") for line in body)
    removed = sum(line.startswith("-") for line in body)
    patch = "\n".join([f"diff --git a/{path} b/{path}", *head, f"--- a/{path}", f"+++ b/{path}", *body, ""])
    return FileDiff(path=path, status=status, added=added, removed=removed, patch=patch)


LOCK = FileDiff(
    path="package-lock.json", status="M", added=812, removed=340, patch="@@ -1,1 +1,1 @@\n-{\n+{ \n", cut=False
)
LOGO = FileDiff(
    path="shop/static/logo.png",
    status="M",
    added=None,
    removed=None,
    size=48_213,
    size_before=112_004,
    patch="diff --git a/shop/static/logo.png b/shop/static/logo.png\n"
    "Binary files a/shop/static/logo.png and b/shop/static/logo.png differ\n",
)
HUGE = file_diff("shop/data/cities.csv", "", "".join(f"{n},city {n}\n" for n in range(2_400)), "A")
SPACES = file_diff("deploy/run.sh", "if true\nthen\necho 1\nfi\n", "if true\nthen\n  echo 1\nfi\nexit 0\n")

REVIEW: tuple[FileDiff, ...] = (
    SPACES,
    LOCK,
    file_diff("shop/auth.py", _OLD_AUTH, _NEW_AUTH),
    HUGE,
    LOGO,
    file_diff(
        "shop/text.py",
        'HELLO = "Hello"\n',
        'HELLO = "Hello, you"\n',
        "R",
        head=("similarity index 92%", "rename from shop/strings.py", "rename to shop/text.py"),
    ),
    file_diff("tests/test_auth.py", "", _NEW_TEST, "A", head=("new file mode 100644",)),
)


def large(files: int, lines: int) -> tuple[FileDiff, ...]:
    """Many files, each with so many changed lines in hunks of ten."""
    found = []
    for number in range(files):
        old = [f"    value_{n} = compute(input_{n}, scale={n})" for n in range(lines * 2)]
        new = [
            line.replace("compute", "measure").replace("scale=", "factor=") if n % 20 < 5 else line
            for n, line in enumerate(old)
        ]
        found.append(file_diff(f"src/package_{number // 10}/module_{number}.py", "\n".join(old), "\n".join(new)))
    return tuple(found)


def diff_of(*files: FileDiff) -> Diff:
    """These files as the backend tells of them."""
    return Diff(files=files, computed_at=1)
