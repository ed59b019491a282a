"""The dialog that creates a task. It closes, and the task's screen opens, before the backend has answered."""

from functools import partial
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, ClassVar

from msgspec.structs import replace
from textual import events, on, work
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Input, Static, TextArea

from foundry_tui.actions.context import NEW_TASK, Context
from foundry_tui.actions.table import bindings
from foundry_tui.client.creations import CreationState
from foundry_tui.contract.attachments import NewAttachments
from foundry_tui.contract.control_characters import harmless
from foundry_tui.contract.known_agents import AgentState
from foundry_tui.contract.options import OptionValue
from foundry_tui.contract.providers import SIMULATED
from foundry_tui.contract.questions import POLICY_WORDS
from foundry_tui.contract.repositories import is_remote
from foundry_tui.contract.requests import CreateTask, FileList
from foundry_tui.screens.attached_files import AttachedFiles, repository_place
from foundry_tui.screens.base import FoundryDialog, breakpoint_of
from foundry_tui.screens.completions import Completions, FileSource
from foundry_tui.screens.editor import edit, lend_terminal
from foundry_tui.screens.new_task_fields import ChoiceFields, OptionFields, field, remark_line, show_remark
from foundry_tui.screens.repository_check import RepositoryChoice, folders_below, judge
from foundry_tui.screens.task_drafts import TaskDrafts
from foundry_tui.screens.told_choices import ToldChoices
from foundry_tui.screens.unsent_text import draft_attachments, local_files
from foundry_tui.view.agent_choices import AgentChoices
from foundry_tui.view.new_task import (
    FIELDS,
    HINTS,
    LABELS,
    NOTHING,
    OPTIONS,
    Remark,
    another_line,
    base_remark,
    branch_remark,
    find_repo,
    is_same_request,
    known_agents,
    location,
    more_options,
    option_summary,
    options_line,
    ordered,
    permissions_remark,
    prompt_remark,
    provider_hint,
    provider_remark,
    remarks_of,
    repo_candidates,
    repo_name,
    request_of,
    start_remark,
    taken_branches,
    title_remark,
    values_of,
)
from foundry_tui.widgets.bars import ActionBar
from foundry_tui.widgets.chips import Chips
from foundry_tui.widgets.completion import Completion, settle_choices
from foundry_tui.widgets.no_agent import NoAgentNote
from foundry_tui.widgets.prompt_field import PromptField

if TYPE_CHECKING:
    from foundry_tui.client.changes import Changes
    from foundry_tui.screens.task import TaskScreen

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
    CSS_PATH: ClassVar[list[str | PurePath]] = ["new_task.tcss", "../widgets/choices.tcss", "../widgets/chips.tcss"]
    VERTICAL_BREAKPOINTS = BREAKPOINTS

    def __init__(self, repo: str | None = None, draft: CreateTask | None = None) -> None:
        """`repo` is a path, a URL or a repo_id; `draft` a request to begin from, else the one kept for `repo`."""
        super().__init__()
        self._asked_repo = repo
        self._given = draft
        self._more_options: dict[str, OptionValue] = {}
        self._refused_values: dict[str, tuple[str, Remark]] = {}
        self._replaces: str | None = None
        self._sent: dict[str, tuple[str, ...]] = {}
        """The tasks that were created while the dialog stayed open, and the files that were attached to each."""
        self._files_at_first: tuple[str, ...] = ()
        self._kept: dict[str, str] = {}
        self._tried = False
        self._another = False
        self._folder = Path.cwd()
        self._ready: TaskScreen | None = None

    # What stands in the dialog.

    def compose(self) -> ComposeResult:
        values = self._first_values()
        self._told = ToldChoices(self.foundry.commands, self.foundry.options.task_defaults, self._take_told)
        self._no_agent = NoAgentNote()
        prompt = self._prompt = PromptField(values["prompt"], id="prompt", placeholder=HINTS["prompt"])
        self._completions = Completions(self, prompt, self._files)
        self._attached = AttachedFiles(self, prompt)
        with Vertical(id="dialog"):
            yield Static("New task", id="heading")
            yield self._no_agent
            with VerticalScroll(id="fields", can_focus=False):
                yield from field("repo", values["repo"])
                yield remark_line("repo")
                yield prompt
                yield prompt.chips
                yield remark_line("prompt")
                yield ChoiceFields(values)
                yield Static("", id="options-line", markup=False)
                yield OptionFields(values)
            yield Static("", id="another", markup=False)
            yield ActionBar()
        yield prompt.choices
        yield Completion("#repo", candidates=self._repo_candidates)
        for name in ("from", "base_branch"):
            yield Completion(f"#{name}", candidates=lambda _: self._told.branches_of(self.place.repo))
        yield Completion("#agent", candidates=lambda _: self._agents())
        yield Completion("#model", candidates=lambda _: self._choices().names("model"))
        yield Completion("#mode", candidates=lambda _: self._choices().names("mode"))
        yield Completion("#thought_level", candidates=lambda _: self._choices().names("thought_level"))
        yield Completion("#provider", candidates=lambda _: self._told.providers)
        yield Completion("#permissions", candidates=lambda _: POLICY_WORDS.values())

    def _first_values(self) -> dict[str, str]:
        """What the fields begin with: see `TaskDrafts.first`."""
        app = self.foundry
        repos = app.store.repos.values()
        asked = self._asked_repo or app.options.repo or ""
        known = find_repo(asked, repos)
        asked = location(known) if known is not None else asked
        self._drafts = TaskDrafts(app.commands.drafts, self._given)
        draft = self._drafts.first(asked)
        if draft is not None:
            asked = draft.repo or asked
        asked = asked or next(map(location, ordered(repos, app.options.repo)), "")
        self._files_at_first = local_files(draft) if draft is not None else ()
        self._more_options = more_options(draft)
        return {"repo": repo_name(asked, repos), **values_of(draft)}

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
        self._completions.expect(prompt.text)
        self._prompt.chips.show(self._files_at_first)
        self._kept = self.values
        self.call_after_refresh(self._make_ready)
        self.run_worker(self._told.ask_for_agents(), group="providers", exit_on_error=False)

    def on_resize(self, event: events.Resize) -> None:
        frame = FRAME[breakpoint_of(BREAKPOINTS, event.size.height)] + self._no_agent.rows
        self.query_one("#fields").styles.max_height = max(3, event.size.height - frame)
        slim = event.size.width < SLIM
        self.set_class(slim, "-slim")
        self.query_one(ChoiceFields).stack(slim)

    # What was written.

    def context(self) -> Context:
        prompt = self._prompt
        here = replace(super().context(), no_agent=self._no_agent.missing is not None)
        return replace(here, naming=prompt.naming, choosing=prompt.choosing, detachable=prompt.detachable)

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
        branches, meant = self._told.branches_of(place.repo), self._told.defaults_for(values["provider"])
        remarks = {
            "repo": place.remark if values["repo"] or self._tried else Remark(place.remark.text),
            "prompt": prompt_remark(values["prompt"], tried=self._tried),
            "title": title_remark(values["title"]),
            "from": start_remark(values, branches),
            "branch": branch_remark(values["branch"], taken_branches(place.repo, branches, store.tasks.values())),
            "base_branch": base_remark(values["base_branch"], branches),
            "permissions": permissions_remark(values["permissions"] or meant.permissions or ""),
            **self._choices().remarks(values, self._agents()),
            "provider": provider_remark(values["provider"] or meant.provider or "", self._told.providers),
        }
        refused = {name: remark for name, (value, remark) in self._refused_values.items() if values[name] == value}
        return {**remarks, **refused}

    def _note_refusal(self, remarks: dict[str, Remark]) -> None:
        values = self.values
        self._refused_values = {name: (values[name], remark) for name, remark in remarks.items()}

    def _judge_all(self) -> None:
        remarks = self._remarks()
        for name in LABELS:
            line = self.query_one(f"#{name}-remark", Static)
            show_remark(line, remarks.get(name, NOTHING), ascii_only=self.foundry.options.ascii)
        hints = {**self._choices().hints(), **self._told.hints_for(self.values["provider"])}
        self.query_one(ChoiceFields).show(hints, remarks)
        meant = self.values["provider"] in ("", self._told.default_provider)
        self._no_agent.show(self.foundry.no_agent if meant else None, self.key_of("install_agent"))
        ascii_only, folded = self.foundry.options.ascii, not self.has_class("-unfolded")
        options = options_line(self.values, self.key_of("toggle_options"), folded=folded, ascii_only=ascii_only)
        self.query_one("#options-line", Static).update(options)
        another = another_line(self._another, self.key_of("toggle_another"), ascii_only=ascii_only)
        self.query_one("#another", Static).update(another)
        repo = self.place.repo
        if repo is not None and repo.repo_id not in self._told.asked:
            self._told.asked.add(repo.repo_id)
            self.run_worker(self._told.ask_for_branches(repo.repo_id), group="branches", exit_on_error=False)

    def _take_told(self) -> None:
        told = self._told
        self.query_one("#provider", Input).placeholder = harmless(provider_hint(told.providers))
        if told.agents:
            self.foundry.take_agents(told.providers, told.agents)
            if self.foundry.no_agent is None:
                # It may have been refused for want of an agent that is there now.
                self._refused_values.pop("provider", None)
        self._judge_all()

    def on_screen_resume(self, _: events.ScreenResume) -> None:
        """The screen is on top again; what all screens do then, Textual has done by their own method."""
        if self._no_agent.told:
            self.run_worker(self._told.ask_for_agents(), group="providers", exit_on_error=False)

    @on(Input.Changed)
    @on(TextArea.Changed)
    def _changed(self, message: Input.Changed | TextArea.Changed) -> None:
        self._judge_all()
        # A repository that is only passed while its path is typed keeps its own draft.
        self.keep_written(of_repo=message.control.id != "repo")

    @on(Chips.Changed)
    def _attached_changed(self) -> None:
        self._keep(self.values)
        self.show_actions()

    @on(TextArea.SelectionChanged)
    def _cursor_moved(self) -> None:
        if self._prompt.chips.files:
            self.show_actions()

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

    def _files(self) -> FileSource | None:
        """The files that can be named: those of the chosen repository, where it is known or in a folder here."""
        place, commands = self.place, self.foundry.commands
        if place.value is None or (place.repo is None and is_remote(place.value)):
            return None

        async def ask(newer: int | None) -> FileList:
            repo = place.repo or await commands.add_repo(path=place.value)
            return await commands.repo_files(repo.repo_id, newer)

        return FileSource(place.value, ask)

    @on(PromptField.Asked)
    def _complete(self, message: PromptField.Asked) -> None:
        self._completions.asked(message.query)

    def _repo_candidates(self, typed: str) -> list[str]:
        known = ordered(self.foundry.store.repos.values(), self.foundry.options.repo)
        places = dict.fromkeys((*repo_candidates(typed, known), *folders_below(typed, self._folder)))
        return [place for place in places if place != typed]

    def _agents(self) -> list[str]:
        here = self._choices().here
        ready = [info.name for info in here if info.state is AgentState.READY]
        names = (*ready, *(info.name for info in here)) or self.foundry.options.agents
        return known_agents(() if here else self.foundry.store.tasks.values(), names)

    def _choices(self) -> AgentChoices:
        """What there is to choose from for the agent that is meant."""
        provider, agent = (self.query_one(f"#{name}", Input).value.strip() for name in ("provider", "agent"))
        return AgentChoices(provider, agent, tuple(self._told.providers), self._told.agents, self._told.default_agents)

    # News.

    def on_store_changed(self, changes: "Changes") -> None:
        if changes.repos or changes.freshness:
            self._judge_all()
        for task_id in changes.creations.intersection(self._sent.keys()):
            creation = self.foundry.store.creations.get(task_id)
            if creation is not None and creation.state is CreationState.REFUSED:
                self._take_back(task_id, creation.request, remarks_of(creation.problem))

    def _take_back(self, task_id: str, request: CreateTask, remarks: dict[str, Remark]) -> None:
        """A task created while the dialog stayed open was refused: its text comes back if nothing else was begun."""
        files = self._sent.pop(task_id)
        if self.values["prompt"].strip():
            self.notify("A task was refused; it stands in the list with the reason.", severity="warning")
            return
        self.query_one(TextArea).load_text(request.prompt)
        self._prompt.chips.show(files)
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
        return self._told.filled(request_of(place.value, values, self._choices().offered, self._more_options))

    def action_create(self) -> None:
        self._tried = True
        settle_choices(self, lambda name: self._remarks()[name].bad)
        request = self.request()
        if request is None:
            self._go_to_wrong_field()
            return
        if self._no_agent.missing is not None:
            self.run_worker(self.foundry.action_act("install_agent"))
            return
        named = self._completions.attachments(request.prompt)
        self._attached.read(named, repository_place(self.place), partial(self._create, request))

    def _create(self, request: CreateTask, attachments: NewAttachments) -> None:
        app, files = self.foundry, self._prompt.chips.files
        request = replace(request, attachments=attachments)
        if self._replaces is not None:
            app.commands.discard_creation(self._replaces)
            self._replaces = None
        task_id = app.commands.create(request, self._told.owed(request))
        self._ask_for_trust(request)
        self._forget(request.repo)
        self._drafts.keep_files(task_id, files)
        if self._another:
            self._begin_another(task_id, files)
        else:
            self.app.switch_screen(self._task_screen(task_id))

    def _ask_for_trust(self, request: CreateTask) -> None:
        """Ask about a set-up that nobody trusted yet, over whatever is on the screen by then."""
        if (request.provider or self._told.default_provider) != SIMULATED:
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

    def _begin_another(self, task_id: str, files: tuple[str, ...]) -> None:
        self._sent[task_id] = files
        self._prompt.chips.show(())
        self._given = None
        self._drafts.begin_anew()
        self._tried = False
        for name in ("title", "from", "branch"):
            self.query_one(f"#{name}", Input).value = ""
        prompt = self.query_one(TextArea)
        prompt.load_text("")
        prompt.focus()
        self.notify("Created. Write the next one.", timeout=2)

    def _go_to_wrong_field(self) -> None:
        wrong = next((name for name in LABELS if self._remarks().get(name, NOTHING).bad), None)
        if wrong in OPTIONS:
            self.add_class("-unfolded")
        self._judge_all()
        if wrong is not None:
            self.query_one(f"#{wrong}").focus()
            self.call_after_refresh(self.query_one(f"#{wrong}-remark").scroll_visible, animate=False)

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
            self._completions.expect(text)
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

    def _keep(self, values: dict[str, str], *, of_repo: bool = True) -> None:
        """Keep what is written for the next time, also after a restart; `of_repo`: as its repository's draft too."""
        self._kept = values
        repo = judge(values["repo"], self.foundry.store.repos.values(), self._folder).value or values["repo"]
        files = draft_attachments(self._prompt.chips.files)
        written = files or any(values[name].strip() for name in FIELDS if name != "repo")
        draft = replace(request_of(repo, values, (), self._more_options), attachments=files)
        self._drafts.keep(repo, draft if written else None, of_repo=of_repo)

    def _forget(self, repo: str) -> None:
        """What was written has been handed over."""
        self._kept = self.values
        self._drafts.forget((repo, self._kept["repo"]))
