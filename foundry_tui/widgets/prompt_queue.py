"""The lines above the composer: what was said and waits to be delivered."""

from collections.abc import Sequence

from textual.geometry import Size
from textual.strip import Strip

from foundry_tui.contract.records import Prompt
from foundry_tui.view.attachments import count_text
from foundry_tui.view.glyphs import glyph_set
from foundry_tui.view.prompt_queue import shown_of
from foundry_tui.widgets.drawn import Drawn
from foundry_tui.widgets.styles import style_of
from foundry_tui.widgets.text_lines import Text, spread, strip_of


class PromptQueue(Drawn):
    """One line for each prompt that waits, the next to be delivered first, and how many more there are."""

    def __init__(self, *, ascii_only: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self._glyphs = glyph_set(ascii_only)
        self.prompts: Sequence[Prompt] = ()
        self._changed: str | None = None
        self._held = False

    def show(self, prompts: Sequence[Prompt], changed: str | None, *, held: bool = False) -> None:
        """Show these, in the order of their delivery; `changed` is the prompt_id of the one that is being changed.

        `held`: none of them is delivered by itself.
        """
        if (prompts, changed, held) != (self.prompts, self._changed, self._held):
            taller = len(prompts) != len(self.prompts)
            self.prompts, self._changed, self._held = prompts, changed, held
            self.refresh(layout=taller)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        shown, more = shown_of(self.prompts, self._changed)
        return len(shown) + (more > 0)

    def render_line(self, y: int) -> Strip:
        shown, more = shown_of(self.prompts, self._changed)
        width = self.size.width
        if y < len(shown):
            line = self._line(shown[y], width - 1)
        else:
            line = Text(f"   + {more:,} more", style_of(self, "prompt-queue--dim"))
        return strip_of(line, width - 1, self.base).adjust_cell_length(width, self.base)

    def _line(self, prompt: Prompt, width: int) -> Text:
        name = "changed" if prompt.prompt_id == self._changed else "steers" if prompt.steer else "waits"
        if self._held and name != "changed":
            name = "held"
        glyph, word = {
            "held": (self._glyphs.stale, "held back"),
            "changed": (self._glyphs.cursor, "changing"),
            "steers": (self._glyphs.arrow, "steers"),
            "waits": (self._glyphs.queued, "queued"),
        }[name]
        mark = style_of(self, f"prompt-queue--{name}")
        text = " ".join(prompt.text.split())
        said = Text.assemble((f" {glyph} ", mark), (text, style_of(self, "prompt-queue--text")))
        attached = count_text(prompt.attachments)
        corner = Text.assemble((f"{attached}  " if attached else "", style_of(self, "prompt-queue--dim")), (word, mark))
        return spread(said, corner, width)
