"""The runs of a user's own program: the recipe of every replica, and the few runs that test the program first."""

from __future__ import annotations

from dataclasses import dataclass, replace

from engine.catalog.placeholders import find_placeholders
from engine.plan.records import SelfTest
from engine.protocol.command_arms import NO_DATA, NO_MODEL, NO_TRAINING
from engine.protocol.command_section import Command
from engine.protocol.definition import Arm, Protocol
from engine.recipe import NO_SEEDS, CommandRecipe, DeviceType, Recipe

SEEDS_TRIED = {"logits": 1, "probabilities": 1, "classes": 3, "scores": 3}
"""Other seeds of a source that the self-test tries, by what a program leaves: a few figures may agree by chance."""


@dataclass(frozen=True, kw_only=True)
class CommandPlanner:
    """Makes the recipes of one program."""

    protocol: Protocol
    command: Command
    device: DeviceType
    files_sha256: str | None

    def make_recipe(self, arm: Arm, replica: int, numbers: dict[str, int]) -> Recipe:
        """Return the recipe of one replica: sources that vary take their seed from `numbers`, others keep the base."""
        seeds = {name: numbers[name] if name in arm.vary else base for name, base in self.protocol.seeds.items()}
        return self._make(arm, seeds, arm.vary, repeat=None if arm.vary else replica, replica=replica)

    def make_selftest(self, recipes: dict[str, list[Recipe]]) -> tuple[SelfTest, list[Recipe]]:
        """Return which runs are compared before all others, and these runs; those of the arms where they fit.

        Args:
            recipes: The recipes of each arm that trains, by its name.
        """
        trained = [arm for arm in self.protocol.arms if arm.ensemble is None]
        control = next((arm for arm in trained if not arm.vary and len(recipes[arm.name]) > 1), None)
        head = control or trained[0]
        base = self._make(head, self.protocol.seeds, (), repeat=1 if control is not None else None)
        again = replace(base, repeat=2)
        runs = [base, again]
        sources: dict[str, tuple[str, ...]] = {}
        for arm in trained:
            for source in arm.vary:
                if source in sources:
                    continue
                held = base if arm.arguments == head.arguments else self._make(arm, self.protocol.seeds, ())
                others = [n for n in range(1, SEEDS_TRIED[self.command.kind] + 2) if n != self.protocol.seeds[source]]
                tried = others[: SEEDS_TRIED[self.command.kind]]
                varied = [self._make(arm, self.protocol.seeds | {source: seed}, (source,)) for seed in tried]
                runs += [held, *varied]
                sources[source] = (held.id, *(recipe.id for recipe in varied))
        resumed = self._make_resumed(base)
        if resumed is not None:
            runs.append(resumed)
        control_ids = (base.id, again.id)
        return SelfTest(control=control_ids, sources=sources, resumed=resumed.id if resumed else None), runs

    def _make_resumed(self, base: Recipe) -> Recipe | None:
        """Return the control as a run that is cut and goes on; None where the program has no words for that."""
        if not self.command.resume or base.command is None:
            return None
        return replace(base, repeat=None, command=replace(base.command, resume=tuple(self.command.resume)))

    def _make(
        self, arm: Arm, seeds: dict[str, int], varying: tuple[str, ...], *, repeat: int | None = None, replica: int = 1
    ) -> Recipe:
        command = self.command
        words = tuple(command.run or ())
        asks_replica = "replica" in find_placeholders([*words, *command.environment.values()])
        return Recipe(
            data=NO_DATA,
            model=NO_MODEL,
            train=NO_TRAINING,
            seeds=NO_SEEDS,
            lowlevel="order" if "lowlevel" in varying else "deterministic",
            device=self.device,
            repeat=repeat,
            command=CommandRecipe(
                words=words,
                environment=tuple(sorted(command.environment.items())),
                seeds=tuple(sorted(seeds.items())),
                arguments=arm.arguments,
                replica=replica if asks_replica else None,
                files_sha256=self.files_sha256,
                kind=command.kind,
                predictions=command.predictions,
                labels=command.labels,
            ),
        )
