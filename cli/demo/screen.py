"""How the demo tells its story: acts with a rule, steps with their seconds, and what somebody would type."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rich.console import Console
from rich.markup import escape


class Screen:
    """Writes to a console; on a terminal a step shows that it is under way."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the demo began."""
        return time.monotonic() - self._began

    def act(self, title: str) -> None:
        self.console.print()
        self.console.rule(f"[bold]{escape(title)}", align="left", style="cyan")

    def typed(self, command: str) -> None:
        """The command that does the same by hand."""
        self.console.print(f"  [dim]$ wharfinger {escape(command)}[/]", soft_wrap=True)

    def note(self, words: str) -> None:
        self.console.print(f"    {escape(words)}", soft_wrap=True)

    @asynccontextmanager
    async def step(self, words: str) -> AsyncIterator[None]:
        began = time.monotonic()
        with self.console.status(f"{escape(words)} ..."):
            yield
        self.console.print(f"  [green]✓[/] {escape(words)} [dim]{time.monotonic() - began:.1f} s[/]", soft_wrap=True)
