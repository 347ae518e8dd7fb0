"""The chat: a transcript that shows what the events say, and an input."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from textual import work
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from engine.errors import ErrorInfo, FootplateError
from engine.types import ChatMessage
from tui.commands import Where, bindings
from tui.footnote import error_text, footnote
from tui.messages import HostChanged, TurnsMoved
from tui.screens.dialogs import LineInput, Question
from tui.thread import Thread, TurnEvent
from tui.widgets.header import Header, gauges
from tui.widgets.keybar import KeyBar
from tui.widgets.prompt import Prompt
from tui.widgets.transcript import Transcript
from tui.widgets.welcome import Welcome

if TYPE_CHECKING:
    from tui.app import FootplateApp
    from tui.engine import Engine
    from tui.state import HostView


class ChatScreen(Screen[None]):
    """One conversation at a time."""

    BINDINGS = bindings(Where.CHAT)
    AUTO_FOCUS = "Prompt"

    def __init__(self) -> None:
        super().__init__()
        self.thread: Thread | None = None
        """The open conversation; none is a new one that nothing was said in."""
        self._missed: list[TurnEvent] | None = None
        """Events that came while the conversation is being read; none while nothing is read."""
        self._opening = asyncio.Lock()
        self._drafts: dict[int | None, str] = {}
        self._fresh = True
        """Nothing was opened or asked here yet: what was open last is shown again once the host tells of it."""
        self._trouble: ErrorInfo | None = None
        """Why the last thing asked for here was not done."""

    @property
    def _front(self) -> FootplateApp:
        return cast("FootplateApp", self.app)

    @property
    def _engine(self) -> Engine:
        return self._front.engine

    @property
    def writing(self) -> bool:
        """Whether an answer is being written here."""
        return self.thread is not None and self.thread.writing is not None

    def compose(self) -> ComposeResult:
        """Header, transcript or welcome, trouble, input, keys."""
        yield Header()
        yield Welcome()
        yield Transcript()
        yield Static(id="trouble")
        with Horizontal(id="compose"):
            yield Static("❯", classes="mark", markup=False)
            yield Prompt()
        yield KeyBar()

    def on_mount(self) -> None:
        """Begins with an empty chat."""
        self.query_one(Transcript).display = False
        self.show_host(self._front.view)

    def show_host(self, view: HostView) -> None:
        """Shows the host's state: gauges, and what keeps it from working."""
        thread = self.thread
        last = next((m for m in reversed(thread.messages) if m.finish is not None), None) if thread else None
        self.query_one(Header).fields = gauges(view, last, thread.tok_s if thread else None)
        self.query_one(Welcome).show_problem(view.lost)
        self._show_trouble()

    @work(group="open")
    async def open(self, conversation: int | None) -> None:
        """Opens a conversation, or an empty chat; the draft of each is kept."""
        prompt = self.query_one(Prompt)
        self._fresh = False
        async with self._opening:
            self._drafts[self.thread.id if self.thread else None] = prompt.text
            if conversation is None:
                self.thread, self._missed = None, None
                await self._show_all()
            else:
                await self._read(conversation)
            prompt.text = self._drafts.pop(self.thread.id if self.thread else None, "")
        prompt.move_cursor(prompt.document.end)
        prompt.focus()

    async def on_resynchronised(self) -> None:
        """Reads the open conversation again: events may have been missed. At the start that is the one used last."""
        known = self._front.view.conversations
        if self.thread is not None:
            await self._read(self.thread.id)
        elif self._fresh and known and not self.query_one(Prompt).text:
            self._fresh = False
            await self._read(known[0].id)

    async def on_host_changed(self, message: HostChanged) -> None:
        """Shows the host's state, also under an answer that waits for its model."""
        self.show_host(message.view)
        if self.thread is not None and (writing := self.thread.writing) is not None:
            await self.query_one(Transcript).refresh_messages(self.thread.messages, self._note, {writing.id})

    async def on_turns_moved(self, message: TurnsMoved) -> None:
        """Shows what happened to messages, whoever asked for it."""
        events = message.events
        if self._missed is not None:
            self._missed += events
            return
        thread = self.thread
        own = [event for event in events if thread is not None and event.conversation == thread.id]
        if thread is None or not own:
            return
        touched: set[int] = set()
        for event in own:
            if not thread.apply(event):
                await self._read(thread.id)
                return
            touched |= thread.touched(event)
        await self.query_one(Transcript).refresh_messages(thread.messages, self._note, touched)
        self.show_host(self._front.view)

    async def send(self, text: str) -> None:
        """Sends `text`; when it cannot be sent it comes back into the input, and the reason is shown."""
        prompt = self.query_one(Prompt)
        try:
            await self._front.ready()
            thread = self.thread
            if thread is None:
                self.thread = thread = Thread(id=(await self._engine.new_conversation()).id)
                await self._show_all()
            await self._engine.send_turn(text, conversation=thread.id)
        except FootplateError as error:
            if not prompt.text:
                prompt.text = text
                prompt.move_cursor(prompt.document.end)
            self._note_trouble(error.info)

    def on_prompt_sent(self, event: Prompt.Sent) -> None:
        """Sends what is in the input."""
        if self._front.view.connection == "connecting":
            self._front.tell("The host is starting; your message goes out as soon as it runs.")
        self._fresh = False
        self.query_one(Prompt).clear()
        self._note_trouble(None)
        self.query_one(Transcript).anchor()
        self.run_worker(self.send(event.text), group="send")

    def on_welcome_asked(self, event: Welcome.Asked) -> None:
        """Asks the chosen question."""
        self.query_one(Prompt).focus()
        self.on_prompt_sent(Prompt.Sent(event.text))

    def on_prompt_left(self) -> None:
        """Esc: stops the answer; with none being written, goes to the transcript."""
        if self.writing:
            self.action_stop()
        elif self.thread is not None:
            self.query_one(Transcript).focus()
        else:
            self.query_one("#questions").focus()

    def on_questions_left(self) -> None:
        """Back to the input."""
        self.query_one(Prompt).focus()

    def on_transcript_left(self) -> None:
        """Back to the input."""
        self.query_one(Prompt).focus()

    def on_transcript_copied(self, event: Transcript.Copied) -> None:
        """Copies a message."""
        self._front.copy_to_clipboard(event.text)
        self._front.tell(f"Copied {len(event.text)} characters.")

    def action_stop(self) -> None:
        """Stops the answer."""
        if self.thread is not None and self.writing:
            self._front.ask(self._engine.stop_turn(self.thread.id))

    def action_fold(self) -> None:
        """Folds or unfolds reasoning and tool results."""
        self.query_one(Transcript).fold()

    def action_new_chat(self) -> None:
        """An empty chat."""
        self.open(None)

    def action_conversations(self) -> None:
        """Chooses a conversation."""
        self._front.pick_conversation(self.thread.id if self.thread else None)

    def action_rename_conversation(self) -> None:
        """Gives this conversation another title."""
        if self.thread is not None:
            self._front.push_screen(LineInput("Rename this conversation", self._title()), self._rename)

    def _rename(self, title: str | None) -> None:
        if self.thread is not None and title is not None:
            self._front.ask(self._engine.rename_conversation(self.thread.id, title))

    def action_delete_conversation(self) -> None:
        """Deletes this conversation, after asking."""
        if self.thread is not None:
            question = Question(
                "Delete this conversation?",
                f"“{self._title()}” and its messages cannot be brought back.",
                [("keep", "Keep it"), ("delete", "Delete it")],
            )
            self._front.push_screen(question, self._delete)

    def _delete(self, answer: str | None) -> None:
        if self.thread is not None and answer == "delete":
            self._front.ask(self._engine.delete_conversation(self.thread.id))
            self.action_new_chat()

    def _title(self) -> str:
        known = self._front.view.conversations
        return next((summary.title for summary in known if self.thread and summary.id == self.thread.id), "")

    async def _read(self, conversation: int) -> None:
        missed: list[TurnEvent] = []
        self._missed = missed
        try:
            thread = Thread.of(await self._engine.conversation(conversation))
        except FootplateError as error:
            self._note_trouble(error.info)
            return
        finally:
            if self._missed is missed:
                self._missed = None
        for event in missed:
            if event.conversation == conversation:
                thread.apply(event)
        self.thread = thread
        await self._show_all()

    async def _show_all(self) -> None:
        thread = self.thread
        self.query_one(Welcome).display = thread is None
        transcript = self.query_one(Transcript)
        transcript.display = thread is not None
        await transcript.show(thread.messages if thread else [], self._note)
        self._note_trouble(None)
        self.show_host(self._front.view)

    def _note(self, message: ChatMessage) -> str:
        if message.message.role != "assistant":
            return ""
        thread, view = self.thread, self._front.view
        return footnote(
            message,
            prefill=thread.prefill.get(message.id) if thread else None,
            tok_s=thread.tok_s if thread else None,
            worker=next((worker for worker in view.workers if worker.model == message.model), view.worker),
        )

    def _note_trouble(self, error: ErrorInfo | None) -> None:
        self._trouble = error
        self._show_trouble()

    def _show_trouble(self) -> None:
        lost = self._front.view.lost
        error = self._trouble if self.thread is None else lost or self._trouble
        panel = self.query_one("#trouble", Static)
        panel.update(Content(error_text(error)) if error else Content(""))
        panel.display = error is not None
