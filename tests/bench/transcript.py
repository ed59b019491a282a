"""A transcript of 100,000 lines: opened, scrolled anywhere, and streamed into."""

import asyncio
import time

from foundry_tui.contract.transcript import TranscriptItem, TranscriptKind
from foundry_tui.widgets.transcript import Transcript
from tests.bench.figure import Figure, against_limit, fastest_half
from tests.bench.reader import Reader

LINES = 100_000
LINES_EACH = 18
TOKENS_A_SECOND = 50
SECONDS = 4.0
FRAME = 0.05
PLACES = 40
"""Places that are jumped to, spread over the transcript."""

PARAGRAPH = "The **redirect** is made in `safe_next()`, which compares the path before it is decoded."
MESSAGE = "\n\n".join(
    [
        *(f"{number}. {PARAGRAPH}" if number % 3 else PARAGRAPH for number in range(7)),
        "```python\ndef safe_next(request):\n    return unquote(request.query.get('next', '/'))\n```",
    ]
)


def item(index: int, body: str, revision: int = 1) -> TranscriptItem:
    return TranscriptItem(
        item_id=f"item-{index}",
        session_id="s",
        index=index,
        kind=TranscriptKind.MESSAGE,
        body=body,
        at=0,
        revision=revision,
    )


async def _load(items: list[TranscriptItem]) -> float:
    app = Reader(Transcript)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        began = time.perf_counter()
        app.query_one(Transcript).show(items)
        await app.painted()
        return time.perf_counter() - began


async def _scroll(items: list[TranscriptItem]) -> tuple[float, int]:
    """The slowest-but-two of many jumps, and how many lines there are."""
    app = Reader(Transcript)
    async with app.run_test(size=(120, 40)) as pilot:
        transcript = app.query_one(Transcript)
        transcript.show(items)
        await pilot.pause()
        taken = []
        for place in range(PLACES):
            began = time.perf_counter()
            transcript.move_to_start()
            transcript.move(transcript.line_count * place // PLACES)
            await app.painted()
            taken.append(time.perf_counter() - began)
        return sorted(taken)[-3], transcript.line_count


async def _stream(items: list[TranscriptItem]) -> float:
    """The share of a core that tokens cost while they arrive, a frame's worth at a time."""
    app = Reader(Transcript)
    async with app.run_test(size=(120, 40)) as pilot:
        transcript = app.query_one(Transcript)
        transcript.show(items)
        await pilot.pause()
        body, frames = "", int(SECONDS / FRAME)
        began, used = time.perf_counter(), time.process_time()
        for frame in range(frames):
            body += "token " * round(TOKENS_A_SECOND * FRAME) if frame % 40 else "\n\nA new **paragraph** "
            transcript.show([*items, item(len(items), body, frame + 1)])
            await asyncio.sleep(max(0.0, began + (frame + 1) * FRAME - time.perf_counter()))
        return (time.process_time() - used) / (time.perf_counter() - began)


def run() -> list[Figure]:
    items = [item(index, MESSAGE) for index in range(LINES // LINES_EACH)]
    load = fastest_half([asyncio.run(_load(items)) for _ in range(3)])
    jump, lines = asyncio.run(_scroll(items))
    share = asyncio.run(_stream(items))
    return [
        against_limit(f"transcript of {lines:,} lines: open", load * 1000, "ms", 1000),
        against_limit("transcript: jump anywhere in it, 95 of 100", jump * 1000, "ms", 100, "two frames"),
        against_limit(f"transcript: {TOKENS_A_SECOND} tokens/s into it", share * 100, "%", 20, "of a core"),
    ]
