"""The dialog that creates a task. It closes, and the task's screen opens, before the backend has answered."""

from contextlib import suppress
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from textual import events, on, work
from textual.app import ComposeResult
from textual.containers import Container, Horizontal, Vertical, VerticalScroll
from textual.widgets import Input, Static, TextArea
from textual_autocomplete import DropdownItem, TargetState

from foundry_tui.actions.context import NEW_TASK
from foundry_tui.actions.table import bindings
from foundry_tui.client.creations import CreationState
from foundry_tui.client.errors import RequestError
from foundry_tui.contract.control_characters import harmless
from foundry_tui.contract.known_agents import AgentInfo, AgentState
from foundry_tui.contract.options import OptionValue
from foundry_tui.contract.providers import SIMULATED
from foundry_tui.contract.questions import POLICY_WORDS
from foundry_tui.contract.requests import CreateTask
from foundry_tui.screens.base import FoundryDialog, breakpoint_of
from foundry_tui.screens.editor import edit, lend_terminal
from foundry_tui.screens.repository_check import RepositoryChoice, folders_below, judge
from foundry_tui.view.agent_choices import AgentChoices
from foundry_tui.view.new_task import (
    CHOICES,
    FIELDS,
    HINTS,
    LABELS,
    NOTHING,
    OF_AGENT,
    OPTIONS,
    Remark,
    base_remark,
    branch_remark,
    find_repo,
    is_same_request,
    known_agents,
    location,
    more_options,
    option_summary,
    ordered,
    permissions_remark,
    prompt_remark,
    provider_hint,
    provider_remark,
    remarks_of,
    request_of,
    taken_branches,
    title_remark,
    values_of,
)
from foundry_tui.widgets.bars import ActionBar
from foundry_tui.widgets.completion import Completion, choices_of

if TYPE_CHECKING:
    from foundry_tui.client.changes import Changes
    from foundry_tui.screens.task import TaskScreen

LAST = ""
"""Where the draft that was closed last is kept, whatever its repository."""
STAND_IN = "next"
"""The id of the task that stands in for the one that will be created."""


BREAKPOINTS = [(0, "-tiny"), (22, "-short"), (28, "-tall")]
"""Style classes of the dialog, by rows."""
FRAME = {"-tiny": 4, "-short": 9, "-tall": 10}
"""Rows of the dialog around its fields, by the same classes: the fields scroll where not all of them fit."""
SLIM = 90
"""Columns of the screen below which each choice has a row of its own."""


class NewTaskScreen(FoundryDialog[None]):
    """Asks for a repository and a prompt, and for the rest if one unfolds it."""

    SCREEN_NAME = NEW_TASK
    BINDINGS = bindings(NEW_TASK)
    CSS_PATH = "new_task.tcss"
    VERTICAL_BREAKPOINTS = BREAKPOINTS

    def __init__(self, repo: str | None = None, draft: CreateTask | None = None) -> None:
        """`repo` is a path, a URL or a repo_id; `draft` a request to begin from, else the one kept for `repo`."""
        super().__init__()
        self._asked_repo = repo
        self._given = draft
        self._branches: dict[str, tuple[str, ...]] = {}
        self._asked_branches: set[str] = set()
        self._providers: dict[str, str] = {}
        self._agents_told: tuple[AgentInfo, ...] = ()
        self._default_agents: dict[str, str] = {}
        self._more_options: dict[str, OptionValue] = {}
        self._refused_values: dict[str, tuple[str, Remark]] = {}
        self._replaces: str | None = None
        self._sent: list[str] = []
        self._kept: dict[str, str] = {}
        self._tried = False
        self._another = False
        self._folder = Path.cwd()
        self._ready: TaskScreen | None = None

    # What stands in the dialog.

    def compose(self) -> ComposeResult:
        values = self._first_values()
        with Vertical(id="dialog"):
            yield Static("New task", id="heading")
            with VerticalScroll(id="fields", can_focus=False):
                with Horizontal(classes="field"):
                    yield Static(LABELS["repo"], classes="label")
                    yield Input(values["repo"], placeholder=HINTS["repo"], id="repo", compact=True)
                yield Static("", id="repo-remark", classes="remark", markup=False)
                yield TextArea(
                    values["prompt"],
                    id="prompt",
                    placeholder=HINTS["prompt"],
                    soft_wrap=True,
                    tab_behavior="focus",
                    show_line_numbers=False,
                    compact=True,
                )
                yield Static("", id="prompt-remark", classes="remark", markup=False)
                with Vertical(id="choices"):
                    for pair in CHOICES:
                        with Container(classes="pair"):
                            for name in pair:
                                with Horizontal(classes="field"):
                                    yield Static(LABELS[name], classes="label")
                                    yield Input(values[name], placeholder=HINTS[name], id=name, compact=True)
                        for name in pair:
                            yield Static("", id=f"{name}-remark", classes="remark", markup=False)
                yield Static("", id="options-line", markup=False)
                with Vertical(id="options"):
                    for name in OPTIONS:
                        with Horizontal(classes="field"):
                            yield Static(LABELS[name], classes="label")
                            yield Input(values[name], placeholder=HINTS[name], id=name, compact=True)
                        yield Static("", id=f"{name}-remark", classes="remark", markup=False)
            yield Static("", id="another", markup=False)
            yield ActionBar()
        yield Completion("#repo", candidates=self._repo_candidates)
        yield Completion("#base_branch", candidates=self._base_candidates)
        yield Completion("#agent", candidates=self._agent_candidates)
        for name in OF_AGENT:
            yield Completion(f"#{name}", candidates=partial(self._option_candidates, name))
        yield Completion("#provider", candidates=self._provider_candidates)
        yield Completion("#permissions", candidates=lambda _: choices_of(POLICY_WORDS.values()))

    def _first_values(self) -> dict[str, str]:
        """What the fields begin with: the given draft, else the one kept for the repository, else the last one."""
        app = self.foundry
        repos = app.store.repos.values()
        asked = self._asked_repo or app.options.repo or ""
        known = find_repo(asked, repos)
        asked = location(known) if known is not None else asked
        drafts = app.commands.drafts
        kept = (asked, LAST) if self._given is None else (self._again,)
        draft = next((draft for key in kept if (draft := drafts.get(key)) is not None), self._given)
        if draft is not None:
            known = find_repo(draft.repo, repos)
            asked = (location(known) if known is not None else draft.repo) or asked
        if not asked:
            first = next(iter(ordered(repos, app.options.repo)), None)
            asked = location(first) if first is not None else ""
        self._more_options = more_options(draft)
        return {"repo": asked, **values_of(draft)}

    def on_mount(self) -> None:
        creations = self.foundry.store.creations.values()
        if self._given is not None:
            for creation in creations:
                if creation.state is CreationState.REFUSED and is_same_request(creation.request, self._given):
                    self._replaces = creation.task_id
                    self._note_refusal(remarks_of(creation.problem))
        unfold = bool(option_summary(self.values, "")) or any(name in OPTIONS for name in self._refused_values)
        self.set_class(unfold, "-unfolded")
        self._judge_all()
        wrong = next((name for name in FIELDS if name in self._refused_values), None)
        # At once: a widget that focuses itself does so later, and the first frame would have the keys of no field.
        self.set_focus(self.query_one(f"#{wrong}" if wrong else "#prompt" if self.place.value else "#repo"))
        prompt = self.query_one(TextArea)
        prompt.move_cursor(prompt.document.end)
        self._kept = self.values
        self.call_after_refresh(self._make_ready)
        self.run_worker(self._fetch_providers(), group="providers", exit_on_error=False)

    def on_resize(self, event: events.Resize) -> None:
        frame = FRAME[breakpoint_of(BREAKPOINTS, event.size.height)]
        self.query_one("#fields").styles.max_height = max(3, event.size.height - frame)
        self.set_class(event.size.width < SLIM, "-slim")

    # What was written.

    @property
    def values(self) -> dict[str, str]:
        """The texts of all fields, by their names in the contract."""
        fields = {name: self.query_one(f"#{name}", Input).value.strip() for name in FIELDS if name != "prompt"}
        fields["prompt"] = self.query_one(TextArea).text
        return fields

    @property
    def place(self) -> RepositoryChoice:
        """What the repository field means."""
        return judge(self.query_one("#repo", Input).value, self.foundry.store.repos.values(), self._folder)

    def _remarks(self) -> dict[str, Remark]:
        """What is to be said beside each field; the backend's word stands while the field has what it refused."""
        values, place, store = self.values, self.place, self.foundry.store
        branches = self._branches.get(place.repo.repo_id, ()) if place.repo is not None else ()
        remarks = {
            "repo": place.remark if values["repo"] or self._tried else Remark(place.remark.text),
            "prompt": prompt_remark(values["prompt"], tried=self._tried),
            "title": title_remark(values["title"]),
            "branch": branch_remark(values["branch"], taken_branches(place.repo, branches, store.tasks.values())),
            "base_branch": base_remark(values["base_branch"], branches),
            "permissions": permissions_remark(values["permissions"]),
            **self._choices().remarks(values, self._agents()),
            "provider": provider_remark(values["provider"], self._providers),
        }
        refused = {name: remark for name, (value, remark) in self._refused_values.items() if values[name] == value}
        return {**remarks, **refused}

    def _note_refusal(self, remarks: dict[str, Remark]) -> None:
        values = self.values
        self._refused_values = {name: (values[name], remark) for name, remark in remarks.items()}

    def _judge_all(self) -> None:
        remarks = self._remarks()
        mark = "! " if self.foundry.options.ascii else "✗ "
        for name in LABELS:
            remark = remarks.get(name, NOTHING)
            line = self.query_one(f"#{name}-remark", Static)
            line.update(harmless(f"{mark if remark.bad else ''}{remark.text}", lines=True))
            line.set_class(remark.bad, "-bad")
            line.set_class(remark.warning, "-warning")
            line.display = bool(remark.text)
        self.query_one("#mode").set_class(remarks["mode"].warning, "-warning")
        for name, hint in self._choices().hints().items():
            self.query_one(f"#{name}", Input).placeholder = harmless(hint)
        folded = not self.has_class("-unfolded")
        arrow = (">" if folded else "v") if self.foundry.options.ascii else ("▸" if folded else "▾")
        summary = f": {option_summary(self.values)}" if folded else ""
        self.query_one("#options-line", Static).update(f"{arrow} Options{summary}  {self.key_of('toggle_options')}")
        boxes = ("[ ]", "[x]") if self.foundry.options.ascii else ("☐", "☑")
        self.query_one("#another", Static).update(
            f"{boxes[self._another]} Stay open to create another  {self.key_of('toggle_another')}"
        )
        repo = self.place.repo
        if repo is not None and repo.repo_id not in self._asked_branches:
            self._asked_branches.add(repo.repo_id)
            self.run_worker(self._fetch_branches(repo.repo_id), group="branches", exit_on_error=False)

    async def _fetch_branches(self, repo_id: str) -> None:
        """Ask for the branches of a repository, for completion and for the check; without an answer there are none."""
        try:
            self._branches[repo_id] = tuple(await self.foundry.commands.branches(repo_id))
        except RequestError:
            self._asked_branches.discard(repo_id)
            return
        self._judge_all()

    async def _fetch_providers(self) -> None:
        """Ask which providers there are, the default one first; without an answer any is taken for good."""
        with suppress(RequestError):
            self._providers = (await self.foundry.commands.health()).providers
            self.query_one("#provider", Input).placeholder = harmless(provider_hint(self._providers))
            self._judge_all()
            told = await self.foundry.commands.agents()
            self._agents_told, self._default_agents = told.agents, told.defaults
            self._judge_all()

    @on(Input.Changed)
    @on(Completion.Taken)
    @on(TextArea.Changed)
    def _changed(self, message: Input.Changed | TextArea.Changed | Completion.Taken) -> None:
        self._judge_all()
        # A repository that is only passed while its path is typed keeps its own draft.
        self.keep_written(of_repo=message.control.id != "repo")

    @on(Input.Submitted)
    def _next_field(self) -> None:
        self.focus_next()

    @on(events.Click, "#another")
    def _another_clicked(self) -> None:
        self.action_toggle_another()

    @on(events.Click, "#options-line")
    def _options_clicked(self) -> None:
        self.action_toggle_options()

    # Completion.

    def _repo_candidates(self, state: TargetState) -> list[DropdownItem]:
        typed = state.text[: state.cursor_position]
        known = [location(repo) for repo in ordered(self.foundry.store.repos.values(), self.foundry.options.repo)]
        places = dict.fromkeys((*known, *folders_below(typed, self._folder)))
        return choices_of(place for place in places if place != typed)

    def _base_candidates(self, _: TargetState) -> list[DropdownItem]:
        repo = self.place.repo
        return choices_of(self._branches.get(repo.repo_id, ())) if repo is not None else []

    def _agent_candidates(self, _: TargetState) -> list[DropdownItem]:
        return choices_of(self._agents())

    def _provider_candidates(self, _: TargetState) -> list[DropdownItem]:
        return choices_of(self._providers)

    def _option_candidates(self, category: str, _: TargetState) -> list[DropdownItem]:
        return choices_of(self._choices().names(category))

    def _agents(self) -> list[str]:
        here = self._choices().here
        ready = [info.name for info in here if info.state is AgentState.READY]
        names = (*ready, *(info.name for info in here)) or self.foundry.options.agents
        return known_agents(() if here else self.foundry.store.tasks.values(), names)

    def _choices(self) -> AgentChoices:
        """What there is to choose from for the agent that is meant."""
        provider, agent = (self.query_one(f"#{name}", Input).value.strip() for name in ("provider", "agent"))
        return AgentChoices(provider, agent, tuple(self._providers), self._agents_told, self._default_agents)

    # News.

    def on_store_changed(self, changes: "Changes") -> None:
        if changes.repos:
            self._judge_all()
        for task_id in changes.creations.intersection(self._sent):
            creation = self.foundry.store.creations.get(task_id)
            if creation is not None and creation.state is CreationState.REFUSED:
                self._take_back(task_id, creation.request, remarks_of(creation.problem))

    def _take_back(self, task_id: str, request: CreateTask, remarks: dict[str, Remark]) -> None:
        """A task created while the dialog stayed open was refused: its text comes back if nothing else was begun."""
        self._sent.remove(task_id)
        if self.values["prompt"].strip():
            self.notify("A task was refused; it stands in the list with the reason.", severity="warning")
            return
        self.query_one(TextArea).load_text(request.prompt)
        self._more_options = more_options(request)
        for name, value in values_of(request).items():
            if name != "prompt":
                self.query_one(f"#{name}", Input).value = value
        self._replaces = task_id
        self._note_refusal(remarks)
        if any(name in OPTIONS for name in remarks):
            self.add_class("-unfolded")
        self._judge_all()

    # Actions.

    def request(self) -> CreateTask | None:
        """The request as it is written; None while something keeps it from being sent."""
        values, place = self.values, self.place
        if place.value is None or any(remark.bad for remark in self._remarks().values()):
            return None
        values["prompt"] = values["prompt"].strip("\n")
        return request_of(place.value, values, self._choices().offered, self._more_options)

    def action_create(self) -> None:
        self._tried = True
        request = self.request()
        if request is None:
            self._judge_all()
            self._go_to_wrong_field()
            return
        app = self.foundry
        if self._replaces is not None:
            app.commands.discard_creation(self._replaces)
            self._replaces = None
        task_id = app.commands.create(request)
        self._ask_for_trust(request)
        self._forget(request.repo)
        if self._another:
            self._begin_another(task_id)
        else:
            self.app.switch_screen(self._task_screen(task_id))

    def _ask_for_trust(self, request: CreateTask) -> None:
        """Ask about a set-up that nobody trusted yet, over whatever is on the screen by then."""
        if (request.provider or next(iter(self._providers), None)) != SIMULATED:
            self.foundry.ask_for_trust(request)

    async def _make_ready(self) -> None:
        """Draw the screen of a task like the one to come while its prompt is written, so that it stands at once."""
        from foundry_tui.client.store import Store
        from foundry_tui.screens.task import TaskScreen

        stand_in = Store(now_ms=self.foundry.clock.now_ms)
        stand_in.create(CreateTask(repo=self.place.value or "", prompt="…", task_id=STAND_IN, session_id=STAND_IN))
        screen = TaskScreen(STAND_IN, stand_in)
        await screen.prerender()
        self._ready = screen

    def _task_screen(self, task_id: str) -> "TaskScreen":
        from foundry_tui.screens.task import TaskScreen

        screen, self._ready = self._ready, None
        if screen is None:
            return TaskScreen(task_id)
        screen.open(task_id)
        return screen

    def on_unmount(self) -> None:
        if self._ready is not None:
            self._ready.remove()

    def _begin_another(self, task_id: str) -> None:
        self._sent.append(task_id)
        self._given = None
        self._tried = False
        for name in ("title", "branch"):
            self.query_one(f"#{name}", Input).value = ""
        prompt = self.query_one(TextArea)
        prompt.load_text("")
        prompt.focus()
        self.notify("Created. Write the next one.", timeout=2)

    def _go_to_wrong_field(self) -> None:
        wrong = next((name for name in LABELS if self._remarks().get(name, NOTHING).bad), None)
        if wrong is not None:
            if wrong in OPTIONS:
                self.add_class("-unfolded")
                self._judge_all()
            self.query_one(f"#{wrong}").focus()

    def action_open_editor(self) -> None:
        self._edit_prompt()

    @work(group="editor", exclusive=True)
    async def _edit_prompt(self) -> None:
        prompt, values = self.query_one(TextArea), self.values

        def keep(saved: str) -> None:
            self._keep({**values, "prompt": saved})

        text = await lend_terminal(self, lambda: edit(prompt.text, keep=keep))
        if text is not None:
            prompt.load_text(text)
            prompt.move_cursor(prompt.document.end)
            prompt.focus()

    def action_toggle_options(self) -> None:
        self.toggle_class("-unfolded")
        self._judge_all()
        self.query_one("#title" if self.has_class("-unfolded") else "#prompt").focus()

    def action_toggle_another(self) -> None:
        self._another = not self._another
        self._judge_all()

    def action_line_break(self) -> None:
        if isinstance(self.focused, TextArea):
            self.focused.insert("\n")

    def action_close_dialog(self) -> None:
        """Close; what was written is there the next time."""
        if self._given is None:
            self._keep(self.values)
        self.dismiss(None)

    # Drafts.

    def keep_written(self, *, of_repo: bool = True) -> None:
        values = self.values
        if values != self._kept:
            self._keep(values, of_repo=of_repo)

    @property
    def _again(self) -> str:
        """Where is kept what was made of the given request, for when it is given again."""
        return f"again:{sha256(msgspec.json.encode(self._given)).hexdigest()}"

    def _keep(self, values: dict[str, str], *, of_repo: bool = True) -> None:
        """Keep what is written for the next time, also after a restart; `of_repo`: as its repository's draft too."""
        self._kept = values
        drafts = self.foundry.commands.drafts
        repo = judge(values["repo"], self.foundry.store.repos.values(), self._folder).value or values["repo"]
        keys = {self._again} if self._given is not None else {LAST, repo} if of_repo else {LAST}
        written = any(values[name].strip() for name in FIELDS if name != "repo")
        draft = request_of(repo, values, (), self._more_options)
        for key in keys:
            if written:
                drafts.put(key, draft)
            else:
                drafts.discard(key)

    def _forget(self, repo: str) -> None:
        """What was written has been handed over."""
        self._kept = self.values
        for key in {LAST, repo, self._kept["repo"], *([self._again] if self._given is not None else [])}:
            self.foundry.commands.drafts.discard(key)
