"""The tab that says whether one arm is better than another: of one study or of two, found by letters in order.

Another process compares them; while it does, the page says so, and only the latest question is asked after it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import events, getters, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.fuzzy import Matcher
from textual.reactive import var
from textual.widgets import Input

from engine.protocol.faults import printable
from engine.study.comparison_record import Comparison
from engine.study.decision_record import CompareSettings
from engine.study.paths import StudyPaths
from tui.app.options import Options
from tui.app.schemes import arm_style
from tui.app.screens.compare_data import (
    Candidate,
    CandidatesListed,
    Question,
    QuestionAnswered,
    Shown,
    answer,
    begin_margin,
    find_settings,
    list_candidates,
    step_margin,
)
from tui.app.screens.compare_lines import make_comparison
from tui.app.screens.dialogs import Prompt
from tui.app.screens.results_data import ShownMeasures
from tui.app.widgets.lines import Line, LinesView
from tui.app.widgets.owner import app_class
from tui.app.widgets.panes import LinesPane
from tui.app.widgets.titles import set_border_title
from tui.text.arms_compared import describe_pair, unit_of
from tui.text.format import Symbols, mark_arm
from tui.text.tables import arm_name

ASKED = "Is A better than B?"


class Picker(LinesPane):
    """Lists the arms of which one is chosen; the cursor is the choice."""

    SHOWS = ("candidates", "needle")
    candidates: var[tuple[Candidate, ...]] = var(())
    needle: var[str] = var("")

    def __init__(self, symbols: Symbols, title: str, *, name_id: str) -> None:
        """Take what can be shown, and what is chosen."""
        super().__init__(name_id=name_id, classes="box")
        self.symbols = symbols
        self.border_title = title

    def make_lines(self, width: int) -> Sequence[Line]:
        """Make a line per arm that fits what is typed, the best fit first."""
        matcher = Matcher(self.needle) if self.needle else None
        known = [f"{one.label} {printable(one.paths.name)}" for one in self.candidates]
        scores = {n: matcher.match(text) if matcher else 1.0 for n, text in enumerate(known)}
        places = sorted((n for n, score in scores.items() if score > 0), key=lambda n: -scores[n])
        lines: list[Line] = []
        for one in (self.candidates[place] for place in places):
            name = f"{mark_arm(one.number, self.symbols)} {arm_name(one.arm)}"
            text = Text(no_wrap=True).append(name, arm_style(one.number, self.app.theme))
            text.append(one.label[len(arm_name(one.arm)) :], arm_style(one.number, self.app.theme, strong=False))
            lines.append(Line(text, one.key))
        return lines or [Line(Text(f"no arm like {self.needle}" if self.needle else "no measured arm", "dim"))]


class Verdict(LinesPane):
    """Says whether one arm is better, and shows what that rests on."""

    SHOWS = ("shown", "comparing")
    shown: var[Shown | None] = var(None)
    comparing: var[bool] = var(False)

    def __init__(self, symbols: Symbols) -> None:
        """Take what can be shown."""
        super().__init__(name_id="judged", classes="box", cursor=False)
        self.symbols = symbols

    def make_lines(self, width: int) -> Sequence[Line]:
        """Make the verdict, the intervals and the rest."""
        set_border_title(self, f"{ASKED} comparing {self.symbols.ellipsis}" if self.comparing else ASKED)
        return make_comparison(self.shown, width, self.app.theme, self.symbols)


class ComparePage(Vertical):
    """Lets two arms be chosen, and says whether one is better than the other."""

    app = getters.app(app_class)

    measured: var[ShownMeasures | None] = var(None)
    page: var[str] = var("")
    against: var[StudyPaths | None] = var(None)
    """The study whose arm the second list begins at; None for this one."""
    candidates: var[tuple[Candidate, ...]] = var(())
    shown: var[Shown | None] = var(None)
    comparing: var[bool] = var(False)
    measure: var[str | None] = var(None)
    """What the verdict is about; None for the first that both have."""
    margin: var[float | None] = var(None)
    """The smallest difference worth having, in its unit."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("tab", "app.focus_next", "Next list"),
        Binding("w", "margin", "Worth having"),
        Binding("plus,equals_sign", "step(True)", "Margin", key_display="+ -"),
        Binding("minus", "step(False)", "Smaller margin", show=False),
        Binding("n", "measure", "Next measure"),
        Binding("S", "swap", "Swap A and B", show=False),
    ]

    def __init__(self, paths: StudyPaths, options: Options) -> None:
        """Take the study that comes first, and the app's options."""
        super().__init__(id="comparepage")
        self.paths, self.store, self.symbols = paths, options.store, options.symbols
        self.filtered = 0
        self.settings: CompareSettings | None = None
        """Which two arms the protocol compares, once that is known."""
        self.known: dict[tuple[object, ...], Shown] = {}
        """Answers by the key of their question."""

    def compose(self) -> ComposeResult:
        """Lay out filter, lists and result."""
        cls = ComparePage
        yield Input(placeholder="letters of an arm or a study", id="armfilter")
        with Horizontal(id="pickers"):
            yield Picker(self.symbols, "A", name_id="first").data_bind(cls.candidates)
            yield Picker(self.symbols, "B", name_id="second").data_bind(cls.candidates)
        yield Verdict(self.symbols).data_bind(cls.shown, cls.comparing)

    def on_mount(self) -> None:
        """Hide the filter until it is asked for."""
        self.query_one("#armfilter", Input).display = False

    # Two arms --------------------------------------------------------------------------------------------------

    def watch_measured(self) -> None:
        """List the arms again, since one may have more replicas."""
        if self.measured is not None:
            self._list()

    def watch_page(self) -> None:
        """Compare when the tab is opened."""
        self.compare()

    @work(thread=True, exclusive=True, group="candidates")
    def _list(self) -> None:
        """Read the measures of all studies outside the event loop."""
        self.post_message(CandidatesListed(list_candidates(self.paths, self.store), find_settings(self.paths)))

    def on_candidates_listed(self, event: CandidatesListed) -> None:
        """Show the arms; choose two at first, and take what the protocol says of them."""
        first = not self.candidates
        self.candidates, self.settings = event.candidates, event.settings
        if first:
            if self.settings is not None:
                self.measure, self.margin = self.settings.measure, self.settings.margin
            self.choose_first()
        self.compare()

    def watch_against(self) -> None:
        """Begin with an arm of this study, and one of another."""
        self.choose_first()
        self.compare()

    def choose_first(self) -> None:
        """Choose arms that the protocol compares, or the first sentence is about; without own ones, two of another."""
        own = [one for one in self.candidates if one.paths.folder == self.paths.folder] or list(self.candidates)
        if not own or self.measured is None:
            return
        said = [name for answer in self.measured.answers[:1] for name in answer.arms]
        if self.settings is not None:
            said = [self.settings.a, self.settings.b]
        wanted = [one for name in said for one in own if one.arm.name == name]
        a = wanted[0] if wanted else own[0]
        others = [one for one in own if one is not a] or [one for one in self.candidates if one is not a] or own
        b = wanted[1] if len(wanted) > 1 else others[0]
        if self.against is not None:
            there = [one for one in self.candidates if one.paths.folder == self.against.folder] or [b]
            b = next((one for one in there if one.arm.name == a.arm.name), there[0])
        for name, one in (("#first", a), ("#second", b)):
            self.query_one(name, Picker).move_to(one.key)

    def on_lines_view_moved(self, event: LinesView.Moved) -> None:
        """Compare what the cursors are on now."""
        event.stop()
        self.compare()

    @property
    def question(self) -> Question | None:
        """The question that is asked now; None before two arms are chosen."""
        places = {one.key: one for one in self.candidates}
        found = [places.get(picker.key or "") for picker in self.query(Picker)]
        first, second = found if len(found) == 2 else (None, None)
        return None if first is None or second is None else Question(first, second, self.measure, self.margin)

    def compare(self) -> None:
        """Show the answer for the two arms under the cursors; have it looked for where it is not known."""
        question = self.question
        if question is None or self.page != "compare":
            return
        known = self.known.get(question.key)
        if known is not None:
            self.shown = known
            return
        if self.shown is None or self.shown.question.arms != question.arms or self.shown.fault:
            self.shown = Shown(question)
        if not self.comparing:
            self.comparing = True
            self._ask(question)

    @work(thread=True, group="pair", description="compare two arms")  # not with all of their figures
    def _ask(self, question: Question) -> None:
        """Compare two arms in a process of its own."""
        self.post_message(QuestionAnswered(answer(question)))

    def on_question_answered(self, event: QuestionAnswered) -> None:
        """Keep the answer; show it, or ask what is wanted by now."""
        self.comparing = False
        self.known[event.shown.question.key] = event.shown
        self.compare()

    # What would matter -----------------------------------------------------------------------------------------

    @property
    def found(self) -> Comparison | None:
        """The comparison that is shown."""
        return None if self.shown is None or self.shown.pair is None else self.shown.pair.found.comparison

    def action_step(self, up: bool) -> None:
        """Take the next margin, larger or smaller; the first is about as large as half the interval."""
        found = self.found
        if found is None or found.ci_test_set is None:
            return
        half = (found.ci_test_set[1] - found.ci_test_set[0]) / 2
        self.margin = begin_margin(half) if self.margin is None else step_margin(self.margin, up=up)
        self.compare()

    def action_margin(self) -> None:
        """Ask for the smallest difference worth having."""
        found = self.found
        unit = "" if found is None else f", in{unit_of(found) or ' the unit of ' + printable(found.measure)}"

        def check(text: str) -> str | None:
            return None if not text.strip() or read_margin(text) is not None else "a number above 0; nothing for none"

        def take(text: str | None) -> None:
            if text is not None:
                self.margin = read_margin(text)
                self.compare()

        value = "" if self.margin is None else f"{self.margin:g}"
        self.app.push_screen(
            Prompt(f"The smallest difference worth having{unit}", value, hint="nothing for none", check=check), take
        )

    def action_measure(self) -> None:
        """Judge the next measure that both arms have; a margin has another unit, and is forgotten."""
        if self.shown is None or self.shown.pair is None:
            self.measure = self.margin = None  # these arms may have none of that name
            self.compare()
            return
        others = self.shown.pair.found.others
        if not others:
            self.notify("these arms have no other measure")
            return
        self.measure, self.margin = others[0].measure, None
        self.compare()

    def action_swap(self) -> None:
        """Let A and B change places."""
        first, second = self.query_one("#first", Picker), self.query_one("#second", Picker)
        keys = first.key, second.key
        first.move_to(keys[1] or "")
        second.move_to(keys[0] or "")

    def describe(self) -> tuple[str, str] | None:
        """Return the comparison as `nondet-tui compare` prints it, and that command; None where there is none."""
        if self.shown is None or self.shown.pair is None:
            return None
        pair, question = self.shown.pair, self.shown.question
        sides = " ".join(
            "'" + f"{one.paths.folder}:{one.arm.name}".replace("'", "'\\''") + "'"
            for one in (question.first, question.second)
        )
        measure = "" if question.measure is None else f" --measure '{question.measure}'"
        margin = "" if question.margin is None else f" --margin {question.margin:g}"
        return "\n".join(describe_pair(pair)), f"nondet-tui compare {sides}{measure}{margin}"

    # The filter ----------------------------------------------------------------------------------------------------

    def action_filter(self) -> None:
        """Ask for letters of the arm that is looked for in the list with the focus."""
        self.filtered = 1 if self.query_one("#second").has_focus else 0
        field = self.query_one("#armfilter", Input)
        field.value, field.display = self._find_picker().needle, True
        field.focus()

    def _find_picker(self) -> Picker:
        return self.query_one("#second" if self.filtered else "#first", Picker)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Show the arms that fit what is typed, with the cursor on the best."""
        picker = self._find_picker()
        picker.needle = event.value
        picker.action_first()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go back to the list, on the arm that was found."""
        self._close()

    def on_key(self, event: events.Key) -> None:
        """Leave the filter at Esc, with all arms in the list again."""
        if event.key == "escape" and self.query_one("#armfilter", Input).has_focus:
            event.stop()
            self._find_picker().needle = ""
            self._close()

    def _close(self) -> None:
        field = self.query_one("#armfilter", Input)
        field.display = False
        self._find_picker().focus()


def read_margin(text: str) -> float | None:
    """Return the margin that was typed; None where it is no number above 0."""
    try:
        margin = float(text)
    except ValueError:
        return None
    return margin if math.isfinite(margin) and margin > 0 else None
