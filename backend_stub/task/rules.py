"""Which of the config's rules about permission count in a repository."""

from backend_stub.task.services import Services
from foundry_tui.contract.rules import Rule


async def rules_of(services: Services, repo_id: str) -> tuple[Rule, ...]:
    """The rules of the config for this repository."""
    configured = services.settings.rules
    if not configured:
        return ()
    repo = await services.storage.repo(repo_id)
    if repo is None:
        return tuple(each.rule for each in configured if each.repository is None)
    return tuple(each.rule for each in configured if each.is_about(repo.label, repo.path, repo.remote))
