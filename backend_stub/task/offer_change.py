"""What can happen to what agents offer in a task's sessions: a part of a `TaskChange`."""

from collections.abc import Callable, Mapping, Sequence

from backend_stub.domain.agent import OptionValue
from backend_stub.domain.options import chosen, with_value
from backend_stub.domain.storage import SessionOffer
from backend_stub.task.rows import TaskRows
from foundry_tui.contract.options import find_option
from foundry_tui.contract.records import Accepts, HistoryKind, SessionCommand, SessionOption, Usage
from foundry_tui.contract.replace import replace
from foundry_tui.contract.transcript import TranscriptKind


class OfferChange:
    """Each method raises `KeyError` when the task has no session of this id."""

    def __init__(self, rows: TaskRows, new_id: Callable[[], str]) -> None:
        self._rows = rows
        self._new_id = new_id

    def ask(self, session_id: str, asked: Mapping[str, OptionValue]) -> None:
        """The session is to have these options when it is opened, each by its option_id or its category."""
        if asked:
            asked_options = {**self._rows.private.asked_options, session_id: dict(asked)}
            self._rows.private = replace(self._rows.private, asked_options=asked_options)

    def leave_out(self, names: Sequence[str]) -> str | None:
        """Sessions that are yet to be opened are so without these; the first of them that none was asked for."""
        asked = self._rows.private.asked_options
        strange = next((name for name in names if not any(name in each for each in asked.values())), None)
        if names and strange is None:
            left = {id_: {name: each[name] for name in each if name not in names} for id_, each in asked.items()}
            self._rows.private = replace(self._rows.private, asked_options={k: v for k, v in left.items() if v})
        return strange

    def differs(self, session_id: str, option: SessionOption, value: OptionValue) -> bool:
        """Whether the option is, was refused to be, or is yet to be opened with anything but this value."""
        asked, options = self._rows.private.asked_options.get(session_id, {}), self._rows.offer(session_id).options
        wanted = [each for name, each in asked.items() if find_option(options, name) == option]
        return option.error is not None or any(each != value for each in (option.value, *wanted))

    def set(self, session_id: str, option: SessionOption, value: OptionValue) -> None:
        """A person set an option; its agent is still to be told. A session that is yet to be opened is so with this."""
        before = {option.option_id: option.value, **self._unsent(session_id)}
        self._put_unsent(session_id, before)
        asked = self._rows.private.asked_options.get(session_id, {})
        options = self._rows.offer(session_id).options
        others = {name: each for name, each in asked.items() if find_option(options, name) != option}
        if others != asked:
            self.ask(session_id, {**others, option.option_id: value})
        self._put_options(session_id, with_value(self._rows.offer(session_id).options, option.option_id, value))
        self._rows.record(HistoryKind.OPTION_SET, session_id=session_id, option_id=option.option_id, value=value)

    def finish(self, session_id: str, asked: SessionOption, options: Sequence[SessionOption]) -> None:
        """The agent has set the option as asked; these are all options then."""
        if not self._end_unsent(session_id, asked):
            self._put_unsent(session_id, {**self._unsent(session_id), asked.option_id: asked.value})
        self.learn_options(session_id, options)

    def refuse(self, session_id: str, asked: SessionOption, why: str) -> None:
        """The agent does not set the option as asked: it has the value that it had, and a notice says why."""
        before = self._unsent(session_id).get(asked.option_id)
        if self._end_unsent(session_id, asked) and before is not None:
            self._put_options(
                session_id, with_value(self._rows.offer(session_id).options, asked.option_id, before, why)
            )
        text = f"{asked.name} stays as it was: {why}"
        self._rows.say(session_id, f"{session_id}:option-{self._new_id()}", TranscriptKind.NOTICE, text)

    def learn_options(self, session_id: str, options: Sequence[SessionOption]) -> None:
        """The agent offers these options; what it was not told of yet stays as it was set, and refusals are kept.

        What it was not told of and offers no more is forgotten. An agent that was begun anew may tell what it offers
        only later: until then all stays as it was set.
        """
        if not options and self._unsent(session_id):
            return
        unsent, offered = self._unsent(session_id), {option.option_id for option in options}
        if not offered.issuperset(unsent):
            self._put_unsent(session_id, {each: before for each, before in unsent.items() if each in offered})
        held = {option.option_id: option for option in self._rows.offer(session_id).options}
        for option in options:
            known = held.get(option.option_id)
            if known is not None and option.option_id in self._unsent(session_id):
                options = with_value(options, option.option_id, known.value)
            elif known is not None and known.error is not None and known.value == option.value:
                options = with_value(options, option.option_id, known.value, known.error)
        self._put_options(session_id, tuple(options))

    def learn_commands(self, session_id: str, commands: tuple[SessionCommand, ...]) -> None:
        """The agent has these commands."""
        self._put_offer(session_id, replace(self._rows.offer(session_id), commands=commands))

    def learn_accepts(self, session_id: str, accepts: Accepts) -> None:
        """The agent takes these kinds of content beside text."""
        self._put_offer(session_id, replace(self._rows.offer(session_id), accepts=accepts))

    def learn_usage(self, session_id: str, usage: Usage) -> None:
        """The session has used so much."""
        session = self._rows.session(session_id)
        if usage != session.usage:
            self._rows.put_session(replace(session, usage=usage))

    def opened(self, session_id: str) -> None:
        """The session was opened and has the options that were asked for: they need not be kept any more."""
        asked = {each: options for each, options in self._rows.private.asked_options.items() if each != session_id}
        self._rows.private = replace(self._rows.private, asked_options=asked)

    def _put_options(self, session_id: str, options: tuple[SessionOption, ...]) -> None:
        self._put_offer(session_id, replace(self._rows.offer(session_id), options=options))
        session, model, mode = self._rows.session(session_id), chosen(options, "model"), chosen(options, "mode")
        if (session.model, session.mode) != (model, mode):
            self._rows.put_session(replace(session, model=model, mode=mode))

    def _put_offer(self, session_id: str, offer: SessionOffer) -> None:
        if offer != self._rows.offer(session_id):
            self._rows.put_offer(session_id, offer)

    def _unsent(self, session_id: str) -> dict[str, OptionValue]:
        return self._rows.private.values_before_unsent.get(session_id, {})

    def _put_unsent(self, session_id: str, unsent: dict[str, OptionValue]) -> None:
        others = {
            each: options for each, options in self._rows.private.values_before_unsent.items() if each != session_id
        }
        if unsent:
            others[session_id] = unsent
        self._rows.private = replace(self._rows.private, values_before_unsent=others)

    def _end_unsent(self, session_id: str, asked: SessionOption) -> bool:
        """The agent has answered; False if a person has set another value meanwhile, which is still to be sent."""
        option = find_option(self._rows.offer(session_id).options, asked.option_id)
        if option is not None and option.value != asked.value:
            return False
        left = {each: value for each, value in self._unsent(session_id).items() if each != asked.option_id}
        self._put_unsent(session_id, left)
        return True
