"""What the new-task dialog offers and what it says beside its fields; pure, the folders looked at elsewhere."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from msgspec import Struct

from foundry_tui.contract.branches import check_branch, conflicting_branch
from foundry_tui.contract.codec import encode
from foundry_tui.contract.control_characters import first_control
from foundry_tui.contract.known_agents import AgentInfo, AgentState
from foundry_tui.contract.options import OptionValue, find_option, value_of
from foundry_tui.contract.problems import LARGEST_BODY, Problem
from foundry_tui.contract.questions import POLICY_WORDS, PermissionPolicy
from foundry_tui.contract.records import Repo, SessionOption, TaskSummary
from foundry_tui.contract.replace import replace
from foundry_tui.contract.requests import CHOSEN_TITLE_LIMIT, CreateTask
from foundry_tui.view.starts import read_start, start_meaning, written_start, wrong_start_field

FIELDS = (
    *("repo", "prompt", "agent", "model", "mode", "provider"),
    *("title", "branch", "base_branch", "permissions", "thought_level", "from"),
)
"""The fields of a new task: by their names in the contract, or the category of the agent's option."""
CHOICES = (("agent", "model"), ("mode", "provider"))
"""Those that are seen without unfolding anything, two in a row."""
OPTIONS = ("title", "branch", "base_branch", "permissions", "thought_level", "from")
"""Those that are folded away."""
OF_AGENT = ("model", "mode", "thought_level")
"""Those that are options of the agent, by their categories."""
LABELS: dict[str, str] = {
    "repo": "Repository",
    "prompt": "Prompt",
    "title": "Title",
    "from": "Start from",
    "branch": "Branch",
    "base_branch": "Base branch",
    "permissions": "Permissions",
    "agent": "Agent",
    "model": "Model",
    "mode": "Mode",
    "thought_level": "Effort",
    "provider": "Provider",
}
HINTS: dict[str, str] = {
    "repo": "a folder or a git URL",
    "prompt": "What should the agent do? Its first line becomes the title.",
    "title": "from the prompt",
    "from": "base (or a branch, pr 7, issue 7)",
    "branch": "from the title",
    "base_branch": "the repository's own",
    "permissions": "ask (or reads, all)",
    "agent": "the provider's own",
    "model": "the agent's own",
    "mode": "the agent's own",
    "thought_level": "the agent's own",
    "provider": "the default one",
}
"""What an empty field stands for."""
AGENTS = ("claude", "codex", "opencode", "amp", "cursor", "pi")
"""Agents that are offered whatever tasks there were."""


class Remark(Struct, frozen=True):
    """What is said beside a field. `bad` keeps the task from being created; `warning` is something to be wary of."""

    text: str
    bad: bool = False
    warning: bool = False


NOTHING = Remark("")
LARGEST_PROMPT = LARGEST_BODY - 16_384
"""Bytes of a prompt, as JSON, that leave the other fields of a request enough room."""


def location(repo: Repo) -> str:
    """Where a repository is: its folder or its URL."""
    return repo.path or repo.remote or repo.repo_id


def repo_names(repos: Sequence[Repo]) -> list[str]:
    """How each repository is written into the field: by its label where that names no other, else by its location."""
    taken = Counter(name for repo in repos for name in {repo.label, location(repo), repo.repo_id})
    alone = (repo.label == repo.label.strip() and taken[repo.label] == 1 for repo in repos)
    return [repo.label if is_alone else location(repo) for repo, is_alone in zip(repos, alone, strict=True)]


def repo_candidates(typed: str, repos: Sequence[Repo]) -> list[str]:
    """The known repositories as the field offers them: by name, and where they are once a path or a URL is typed."""
    return [*repo_names(repos), *(location(repo) for repo in repos if "/" in typed)]


def repo_name(text: str, repos: Collection[Repo]) -> str:
    """What the field begins with for a repository that this text names: its name if it is known, else the text."""
    known = find_repo(text, repos)
    return next((name for repo, name in zip(repos, repo_names([*repos]), strict=True) if repo is known), text)


def ordered(repos: Iterable[Repo], current: str | None) -> list[Repo]:
    """The repositories, that of the current folder first, then by latest activity."""
    return sorted(
        repos,
        key=lambda repo: (location(repo) != current, -(repo.latest_activity or 0), repo.label),
    )


def find_repo(text: str, repos: Iterable[Repo]) -> Repo | None:
    """The known repository that a text names: by folder, URL, id, or a label that only one has."""
    text = text.strip()
    known = list(repos)
    for repo in known:
        if text and text in (repo.path, repo.remote, repo.repo_id):
            return repo
    labelled = [repo for repo in known if repo.label == text]
    return labelled[0] if len(labelled) == 1 else None


def prompt_remark(prompt: str, *, tried: bool) -> Remark:
    """An empty prompt cannot be created, which is said once that was `tried`; nor one that no request can carry."""
    if len(prompt) > LARGEST_PROMPT // 6 and (size := len(encode(prompt))) > LARGEST_PROMPT:
        return Remark(f"too long: it takes {size:,} bytes, and the limit is {LARGEST_PROMPT:,}", bad=True)
    return NOTHING if prompt.strip() or not tried else Remark("say what the agent should do", bad=True)


def title_remark(title: str) -> Remark:
    """A title is one line that a list has room for, without control characters."""
    found = first_control(title)
    if found is not None:
        return Remark(f"cannot contain {found}, a control character", bad=True)
    if len(title) > CHOSEN_TITLE_LIMIT:
        return Remark(f"too long: it has {len(title):,} characters, and the limit is {CHOSEN_TITLE_LIMIT}", bad=True)
    return NOTHING


def branch_remark(branch: str, existing: Collection[str]) -> Remark:
    """What git would say to a new branch of this name, and whether it is taken."""
    if not branch:
        return NOTHING
    problem = check_branch(branch)
    if problem is not None:
        return Remark(problem, bad=True)
    taken = conflicting_branch(branch, existing)
    if taken is None:
        return NOTHING
    return Remark("exists already" if taken == branch else f"cannot stand beside the branch {taken}", bad=True)


def base_remark(base: str, existing: Collection[str]) -> Remark:
    """A base that is not among the known branches may still be a tag or a commit, so it is only remarked upon."""
    if not base or not existing or base in existing:
        return NOTHING
    return Remark("no branch of this name is known")


def start_remark(values: Mapping[str, str], existing: Collection[str]) -> Remark:
    """What the task would start from, and what of that cannot be."""
    why = wrong_start_field(values["from"], values["branch"], values["base_branch"])
    return Remark(start_meaning(values["from"], existing)) if why is None else Remark(why, bad=True)


def known_agents(tasks: Iterable[TaskSummary], configured: Iterable[str]) -> list[str]:
    """The agents that are offered: those that tasks had, those of the config, then those that everybody knows."""
    had = sorted({task.agent for task in tasks if task.agent})
    return list(dict.fromkeys((*had, *configured, *AGENTS)))


def permissions_remark(text: str) -> Remark:
    """What the permissions let the agent do."""
    if text not in ("", *POLICY_WORDS.values()):
        return Remark(f"one of {', '.join(POLICY_WORDS.values())}", bad=True)
    if text == PermissionPolicy.ALL:
        return Remark("every question about permission is answered with allow once", warning=True)
    return Remark("questions about reading in the sandbox are answered with allow once" if text == "reads" else "")


def values_of(request: CreateTask | None) -> dict[str, str]:
    """What stands in the fields for a request, but for that of the repository."""
    if request is None:
        return dict.fromkeys(FIELDS[1:], "")
    options = request.options or {}
    values = {name: str(options.get(name, "")) for name in OF_AGENT}
    values["from"] = written_start(request.from_)
    return {name: values[name] if name in values else getattr(request, name) or "" for name in FIELDS[1:]}


def request_of(
    repo: str, values: Mapping[str, str], offered: Sequence[SessionOption], more: Mapping[str, OptionValue]
) -> CreateTask:
    """What the fields ask for; a model or mode that was `offered` by its value. `more` are further options."""
    options = dict(more)
    for name in OF_AGENT:
        if values[name]:
            option = find_option(offered, name)
            if option is not None:
                options.pop(option.option_id, None)
            options[name] = values[name] if option is None else value_of(option, values[name])
    permissions = next((word for word in POLICY_WORDS.values() if word == values["permissions"]), None)
    return CreateTask(
        repo=repo,
        prompt=values["prompt"],
        title=values["title"] or None,
        branch=values["branch"] or None,
        base_branch=values["base_branch"] or None,
        from_=read_start(values["from"]),
        agent=values["agent"] or None,
        provider=values["provider"] or None,
        options=options or None,
        permissions=permissions,
    )


def more_options(request: CreateTask | None) -> dict[str, OptionValue]:
    """The options of the agent that have no field of their own."""
    options = (request.options or {}) if request is not None else {}
    return {name: value for name, value in options.items() if name not in OF_AGENT}


def agent_remark(agent: str, known: Sequence[str], told: Iterable[AgentInfo] = ()) -> Remark:
    """What the backend would say to this agent, by what it `told` of the provider's agents.

    While it has told nothing, one that nobody has heard of is only questioned.
    """
    infos = {info.name: info for info in told}
    if agent and infos:
        info = infos.get(agent)
        if info is None:
            return Remark(f"there is no such agent; there is {', '.join(infos)}", bad=True)
        if info.state is AgentState.MISSING:
            return Remark(f"not installed: {info.how}", bad=True)
        return Remark(f"it wants a login: {info.how}") if info.state is AgentState.NEEDS_LOGIN else NOTHING
    if not agent or agent in known:
        return NOTHING
    return Remark(f"no task has had this agent yet; known are {', '.join(known)}")


def provider_remark(provider: str, states: Mapping[str, str]) -> Remark:
    """What the backend would say to this provider; `states` is empty while it has not told which there are."""
    if not provider or not states:
        return NOTHING
    if provider not in states:
        return Remark(f"there is no such provider; there is {', '.join(states)}", bad=True)
    state = states[provider]
    return NOTHING if state == "ready" else Remark(state)


def provider_hint(states: Mapping[str, str]) -> str:
    """What an empty provider stands for: the backend names its default first."""
    if not states:
        return HINTS["provider"]
    first, *others = states
    return f"the default: {first}" + (f" (or {', '.join(others)})" if others else "")


def taken_branches(repo: Repo | None, branches: Sequence[str], tasks: Iterable[TaskSummary]) -> frozenset[str]:
    """The branches that a new task cannot have: those of the repository and of its other tasks."""
    if repo is None:
        return frozenset(branches)
    return frozenset(branches) | {task.branch for task in tasks if task.branch and task.repo_id == repo.repo_id}


def remarks_of(problem: Problem | None) -> dict[str, Remark]:
    """The backend's reasons, by the field they belong to; what belongs to none is said at the prompt."""
    if problem is None:
        return {}
    remarks = {_field_of(error.field): Remark(error.message, bad=True) for error in problem.errors}
    if not remarks:
        remarks["prompt"] = Remark(problem.detail or problem.title, bad=True)
    return remarks


def _field_of(name: str) -> str:
    """The field that a field of the request, or one within that, is written in."""
    outer = name.partition(".")[0]
    return outer if outer in FIELDS else "prompt"


def is_same_request(one: CreateTask, other: CreateTask) -> bool:
    """Whether two requests ask for the same, whatever their ids."""
    written = (replace(each, task_id=None, session_id=None, attachments=(), trust=False) for each in (one, other))
    return next(written) == next(written)


def option_summary(
    values: dict[str, str], nothing: str = "title, branch, base branch, permissions, effort, start from"
) -> str:
    """What is set among the folded options, `nothing` if that is what they would be by themselves."""
    told = [f"{LABELS[name].lower()} {values[name]}" for name in OPTIONS if values.get(name) not in ("", None, "ask")]
    return ", ".join(told) if told else nothing


def options_line(values: dict[str, str], key: str, *, folded: bool, ascii_only: bool) -> str:
    """The line below which the options are. Its key comes first: what does not fit on the line is cut."""
    arrow = (">" if folded else "v") if ascii_only else ("▸" if folded else "▾")
    return f"{arrow} Options {key}{f': {option_summary(values)}' if folded else ''}"


def another_line(another: bool, key: str, *, ascii_only: bool) -> str:
    """The line that says whether the dialog stays open for another task."""
    box = ("[ ]", "[x]") if ascii_only else ("☐", "☑")
    return f"{box[another]} Stay open to create another  {key}"
