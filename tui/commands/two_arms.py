"""Two arms compared by the process that measures, with what else differs between them; nothing is computed here."""

from __future__ import annotations

from engine.study.circumstances import read_circumstances
from engine.study.comparison_record import ArmsCompared
from engine.study.paths import StudyPaths
from engine.study.run_records import read_arm_recipes
from engine.study.study_plan import read_plan
from tui.commands.measuring import ask
from tui.text.arms_compared import Pair
from tui.text.circumstances import describe_circumstances, describe_packs
from tui.text.recipes import describe_differences


def compare_pair(
    first: tuple[StudyPaths, str],
    second: tuple[StudyPaths, str],
    measure: str | None,
    margin: float | None,
    *,
    every: bool = False,
) -> Pair:
    """Ask another process how two arms compare, and read in what they differ.

    Args:
        first: A study and the name of its arm.
        second: Likewise.
        measure: One that both have; None for the first of them.
        margin: The smallest difference worth having, in its unit.
        every: Whether all other measures of both are compared, too.

    Raises:
        StudyError: If they cannot be compared, with what the process said.
    """
    arguments = [word for paths, arm in (first, second) for word in (str(paths.folder), arm)]
    asked = [measure or "", "" if margin is None else repr(margin), "every" if every else ""]
    found = ask(ArmsCompared, "compare", *arguments, *asked)
    plans = [read_plan(paths) for paths, _ in (first, second)]
    arms = [
        next(arm for arm in plan.arms if arm.name == name)
        for plan, (_, name) in zip(plans, (first, second), strict=True)
    ]
    recipes = [
        read_arm_recipes(paths, [arm]).get(arm.name) for (paths, _), arm in zip((first, second), arms, strict=True)
    ]
    trained = [read_circumstances(paths, arm.runs) for (paths, _), arm in zip((first, second), arms, strict=True)]
    names = [f"{plan.study}: {arm.name}" for plan, arm in zip(plans, arms, strict=True)]
    return Pair(
        (names[0], names[1]),
        found,
        settings=tuple(describe_differences(*recipes)),
        trained=(*describe_circumstances(*trained), *describe_packs(*recipes)),
    )
