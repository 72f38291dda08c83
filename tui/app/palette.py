"""Offers in the palette the actions of the screen that is open, studies, protocols and themes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.types import IgnoreReturnCallbackType

from engine.protocol.faults import printable
from tui.app.messages import OpenBuilder, OpenMonitor, OpenResults
from tui.app.schemes import SCHEMES
from tui.app.screens.start import StartScreen
from tui.text.counts import plural
from tui.text.format import describe_state


@dataclass(frozen=True)
class Offer:
    """Holds one row of the palette."""

    text: str
    help: str
    act: IgnoreReturnCallbackType
    first: bool = True
    """Whether it is shown before anything is typed."""


class Offers(Provider):
    """Offers what the screens know of, as far as it matches what is typed."""

    async def discover(self) -> Hits:
        """Yield what is shown before anything is typed."""
        for offer in self._iterate():
            if offer.first:
                yield DiscoveryHit(offer.text, offer.act, help=offer.help)

    async def search(self, query: str) -> Hits:
        """Yield what matches."""
        matcher = self.matcher(query)
        for offer in self._iterate():
            score = max(matcher.match(offer.text), 0.7 * matcher.match(f"{offer.text} {offer.help}"))
            if score > 0:
                yield Hit(score, matcher.highlight(offer.text), offer.act, help=offer.help)

    def _iterate(self) -> Iterator[Offer]:
        yield from self.iterate_actions()
        yield from self._iterate_places()
        for name in SCHEMES:
            yield Offer(f"Theme: {name}", "changes the colours, and keeps them", self._run(f"app.take_theme('{name}')"))

    def iterate_actions(self) -> Iterator[Offer]:
        """Yield the actions of the screen below the palette with their keys, those at its foot first."""
        keys: dict[str, list[str]] = {}
        acts: dict[str, Callable[[], Any]] = {}
        active = [one for one in self.screen.active_bindings.values() if one.enabled and not one.binding.system]
        for one in sorted(active, key=lambda one: not one.binding.show):
            binding = one.binding
            if binding.description:
                keys.setdefault(binding.description, []).append(
                    binding.key_display or self.app.get_key_display(binding)
                )
                acts.setdefault(binding.description, self._run(binding.action, one.node))
        for what, act in acts.items():
            yield Offer(what, f"key {' '.join(dict.fromkeys(keys[what]))}", act)

    def _iterate_places(self) -> Iterator[Offer]:
        """Yield the studies and the protocols that the start screen lists."""
        start = next((screen for screen in self.app.screen_stack if isinstance(screen, StartScreen)), None)
        if start is None:
            return
        for study in start.studies.values():
            name = printable(study.paths.name)
            state = f"{describe_state(study.state, study.failed)}, {study.done} of {plural(study.total, 'run')}"
            yield Offer(f"Study {name}", state, self._post(OpenMonitor(study.paths)))
            yield Offer(f"Results of {name}", state, self._post(OpenResults(study.paths)), first=False)
        for protocol in start.protocols.values():
            said = printable(protocol.description)
            yield Offer(
                f"Protocol {printable(protocol.name)}", said, self._post(OpenBuilder(protocol.path)), first=False
            )

    def _run(self, action: str, node: Any = None) -> Callable[[], Any]:
        return lambda: self.app.run_action(action, default_namespace=node)

    def _post(self, message: Any) -> Callable[[], Any]:
        return lambda: self.app.post_message(message)
