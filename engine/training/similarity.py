"""Linear CKA between the replicas of every arm, layer by layer, from their kept weights.

Source: Kornblith et al., "Similarity of Neural Network Representations Revisited", ICML 2019; paper, sections 3.1 and
3.2 and figure 1, which leave open how many examples, centring and the treatment of positions. Here: the first
`metrics.cka_examples` test examples, columns centred, all positions and channels of a layer side by side as features.

Beside this biased form, in which layers of many features seem alike that have nothing in common, stands the debiased
one, whose HSIC is the unbiased estimate of Song et al., "Feature Selection via Dependence Maximization", JMLR 2012.

Each replica's centred Gram matrix is computed once and kept as the unit vector of its upper triangle; the CKA of all
pairs is then one product of these vectors. Memory: 4·R·n(n+1)/2 bytes per layer, 0.84 GB for R = 100 at n = 2,048;
as many layers are held at once as GRAM_BYTES allows, and where one does not fit, the first replicas stand for all.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from engine.errors import NondetError
from engine.plan.records import PlannedArm
from engine.recipe import DataRecipe, Recipe
from engine.study.opening import is_regular
from engine.study.paths import StudyPaths
from engine.study.records import find_record, read_record, write_record
from engine.study.run_records import ResultRecord, read_recipe
from engine.study.similarity_record import ArmSimilarity, LayerPairs, StudySimilarity, find_similarity
from engine.study.study_plan import StudyPlan, read_plan
from engine.training.data.datasets import Dataset, load_data
from engine.training.evaluation import EVALUATION_BATCH, autocast
from engine.training.models.builders import ResNet
from engine.training.models.shufflenet import ShuffleNet
from engine.training.pulse import Pulse
from engine.training.random.seeding import set_kernels, use_one_thread
from engine.training.tasks.images import prepare
from engine.training.user_functions import refuse_untrusted
from engine.training.weights import read_weights

LOG = logging.getLogger(__name__)

GRAM_BYTES = 2**31
"""Gram matrices that are held at once."""

PRODUCT_COLUMNS = 2**16
"""Columns whose products are summed in float32; their sums are added in float64."""

DEBIASED_EXAMPLES = 4
"""Fewer give no unbiased estimate."""

LEAST_SIZE = 1e-9
"""An unbiased HSIC of a matrix with itself, times n(n−3), that is no larger beside its biased one is rounding."""

DECIMALS = 7
"""The decimals of the pairs' values in cka.json."""

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.LayerNorm, nn.GroupNorm)


@dataclass(frozen=True)
class Layer:
    """One place in a network whose activations are compared."""

    name: str
    module: nn.Module
    of_input: bool = False
    """Whether what goes into the module is looked at, not what comes out."""


def find_layers(model: nn.Module, example: Tensor) -> list[Layer]:
    """Find the places that are compared, in the order in which data passes them: stem, stages, pooling, logits.

    Children of the model with weights, those of sequences one by one; batch norms belong to what they follow. The
    input of the last linear layer counts where it is a pooled image.

    Args:
        model: A network in evaluation mode.
        example: A few inputs, to see what passes.
    """
    candidates = [Layer(name_layer(model, name), module) for name, module in _iterate_children(model)]
    last = [module for module in model.modules() if isinstance(module, nn.Linear)][-1:]
    candidates += [Layer("AvgPool", module, of_input=True) for module in last]
    order: list[tuple[Layer, Tensor]] = []
    hooks = [_watch(layer, lambda value, layer=layer: order.append((layer, value))) for layer in candidates]
    with torch.no_grad():
        output = model(example)
    for hook in hooks:
        hook.remove()
    found: dict[str, Layer] = {}
    before: Tensor | None = None
    for layer, value in order:
        pooled = before is not None and before.dim() == 4 and value.dim() == 2 and value.shape[1] < before[0].numel()
        if value is not output and (not layer.of_input or pooled):
            found.setdefault(layer.name, layer)
            before = value
    return [*found.values(), Layer("Logits", model)]


def _iterate_children(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for name, child in model.named_children():
        inner = list(child.named_children()) if isinstance(child, nn.Sequential) else []
        for module_name, module in [(f"{name}.{n}", m) for n, m in inner] or [(name, child)]:
            if not isinstance(module, NORMS) and any(True for _ in module.parameters()):
                yield module_name, module


def name_layer(model: nn.Module, name: str) -> str:
    """Return the paper's word for a layer of the project's own networks; a module's own name in others."""
    prefix, _, number = name.partition(".")
    if prefix == "layers" and number.isdigit() and isinstance(model, (ResNet, ShuffleNet)):
        return f"{'ResBlock' if isinstance(model, ResNet) else 'Stage'}{int(number) + 1}"
    return name.capitalize() if name.startswith("conv") else name


def _watch(layer: Layer, take: Callable[[Tensor], None]) -> torch.utils.hooks.RemovableHandle:
    def see(value: Any) -> None:
        if isinstance(value, Tensor) and value.dim() >= 2:
            take(value)

    if layer.of_input:
        return layer.module.register_forward_pre_hook(lambda module, inputs: see(inputs[0]))
    return layer.module.register_forward_hook(lambda module, inputs, output: see(output))


def read_activations(
    model: nn.Module,
    data: Dataset,
    recipe: Recipe,
    layers: list[Layer],
    examples: int,
    *,
    move: Callable[[], None] = lambda: None,
) -> list[Tensor]:
    """Return what passes some layers on the first test examples, float32 (n, features) each.

    `move` is called before every batch: the network may be a user's, which may never return.
    """
    parts: list[list[Tensor]] = [[] for _ in layers]
    hooks = [
        _watch(layer, lambda value, part=part: part.append(value.float().flatten(1)))
        for layer, part in zip(layers, parts, strict=True)
    ]
    model.eval()
    with torch.no_grad(), autocast(recipe, data.test_inputs.device):
        for start in range(0, examples, EVALUATION_BATCH):
            move()
            model(data.feed(data.test_inputs[start : min(start + EVALUATION_BATCH, examples)]))
    for hook in hooks:
        hook.remove()
    return [torch.cat(part) for part in parts]


def gram_vector(features: Tensor) -> Tensor | None:
    """Return the centred Gram matrix of some features as a unit vector, float32 (n(n+1)/2,), on the CPU.

    Its diagonal comes first. Entries off the diagonal are weighted by √2, so that products of vectors are those of
    whole matrices.

    Returns:
        None where the features are constant or not finite: their CKA is not defined.
    """
    centred = features - features.mean(0)
    gram = (centred @ centred.T).double()
    gram = gram - gram.mean(0) - gram.mean(1, keepdim=True) + gram.mean()
    size = float(gram.norm())
    if not math.isfinite(size) or size == 0.0:
        return None
    gram /= size
    rows, columns = torch.triu_indices(len(gram), len(gram), 1, device=gram.device)
    return torch.cat([gram.diagonal(), gram[rows, columns] * math.sqrt(2.0)]).float().cpu()


@dataclass(frozen=True)
class PairSimilarity:
    """The CKA of every pair of replicas, float64 (R, R)."""

    biased: np.ndarray
    debiased: np.ndarray | None
    """From −1 to 1; None where it is not defined: below four examples, or of a replica whose estimate is 0."""


def compare_pairs(vectors: Tensor, examples: int) -> PairSimilarity:
    """Return the CKA of all pairs of centred Gram matrices.

    Args:
        vectors: What `gram_vector` gives of each replica, float32 (R, n(n+1)/2).
        examples: n.
    """
    own = vectors[:, :examples].double().numpy()
    others = np.zeros((len(vectors), len(vectors)))
    for start in range(examples, vectors.shape[1], PRODUCT_COLUMNS):
        part = vectors[:, start : start + PRODUCT_COLUMNS]
        others += (part @ part.T).double().numpy()
    return PairSimilarity(np.clip(others + own @ own.T, 0.0, 1.0), _debias(others, own, examples))


def _debias(others: np.ndarray, own: np.ndarray, examples: int) -> np.ndarray | None:
    """Return the debiased CKA from products of Gram matrices off their diagonals, and from these diagonals.

    A centred matrix has rows of sum zero, so that its other entries in a row add up to the negative entry on the
    diagonal. With that, n(n−3) times the unbiased HSIC of K and L without their diagonals k and l is
    Σ KL − 2/(n−2) · k·l + Σk Σl / ((n−1)(n−2)).

    Source: Song et al. (2012), the unbiased estimate of HSIC.
    """
    if examples < DEBIASED_EXAMPLES:
        return None
    traces = own.sum(axis=1)
    shared = np.outer(traces, traces) / ((examples - 1) * (examples - 2))
    products = others - 2 / (examples - 2) * (own @ own.T) + shared
    sizes = np.diagonal(products)
    if (sizes <= LEAST_SIZE).any():
        return None
    return np.clip(products / np.sqrt(np.outer(sizes, sizes)), -1.0, 1.0)


def compare_arm(
    paths: StudyPaths,
    plan: StudyPlan,
    arm: PlannedArm,
    runs: list[str],
    datasets: dict[DataRecipe, Dataset],
    *,
    move: Callable[[], None] = lambda: None,
) -> ArmSimilarity:
    """Compare the layers of one arm's runs; `move` is called whenever the work moves on."""
    recipes = [read_recipe(paths.run(run), run) for run in runs]
    device = torch.device("cuda:0" if recipes[0].device == "cuda" and torch.cuda.is_available() else "cpu")
    search_path = plan.search_folders
    refuse_untrusted(recipes[0], search_path=search_path, trusted=plan.trusted)
    if recipes[0].data not in datasets:
        datasets.clear()
        datasets[recipes[0].data] = load_data(recipes[0].data, root=Path(plan.data_root), search_path=search_path)
    data = datasets[recipes[0].data].to(device)
    examples = min(plan.metrics.cka_examples, len(data.test_labels))
    packed_bytes = 4 * examples * (examples + 1) // 2
    kept = runs[: max(2, GRAM_BYTES // packed_bytes)]
    task = prepare(recipes[0], data, device=device, search_path=search_path)
    layers = find_layers(task.model.eval(), data.feed(data.test_inputs[:2]))
    at_once = max(1, GRAM_BYTES // (packed_bytes * len(kept)))
    entries: list[LayerPairs] = []
    for first in range(0, len(layers), at_once):
        group = layers[first : first + at_once]
        vectors: list[list[Tensor | None]] = [[] for _ in group]
        for run in kept:
            task.model.load_state_dict(read_weights(paths.run(run), _require_result(paths, run)))
            activations = read_activations(task.model, data, recipes[0], group, examples, move=move)
            for held, features in zip(vectors, activations, strict=True):
                held.append(gram_vector(features))
        entries += [_describe(layer, kept, held, examples) for layer, held in zip(group, vectors, strict=True)]
    return ArmSimilarity(
        name=arm.name, runs=tuple(runs), wanted=plan.metrics.cka_examples, examples=examples, layers=tuple(entries)
    )


def _describe(layer: Layer, runs: list[str], vectors: list[Tensor | None], examples: int) -> LayerPairs:
    defined = [run for run, vector in zip(runs, vectors, strict=True) if vector is not None]
    usable = [vector for vector in vectors if vector is not None]
    if not usable:
        return LayerPairs(name=layer.name, runs=(), cka=(), debiased=())
    found = compare_pairs(torch.stack(usable), examples)
    debiased = () if found.debiased is None else _round(found.debiased)
    return LayerPairs(name=layer.name, runs=tuple(defined), cka=_round(found.biased), debiased=debiased)


def _round(matrix: np.ndarray) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(round(value, DECIMALS) for value in row) for row in matrix.tolist())


def _require_result(paths: StudyPaths, run: str) -> ResultRecord:
    result = read_record(paths.run(run).result, ResultRecord)
    if isinstance(result, ResultRecord):
        return result
    raise NondetError(str(result or f"{paths.run(run).result}: has gone"))


def find_runs(paths: StudyPaths, arm: PlannedArm) -> list[str]:
    """Find an arm's finished runs whose weights are there, without those that diverged."""
    found: list[str] = []
    for run in arm.runs:
        result = find_record(paths.run(run).result, ResultRecord)
        if result is not None and not result.diverged and is_regular(paths.run(run).model):
            found.append(run)
    return found


def _is_complete(before: ArmSimilarity, runs: list[str], examples: int) -> bool:
    """Tell whether an arm was compared over the same runs and examples, in both forms: earlier versions had one."""
    both = all(layer.debiased is not None for layer in before.layers)
    return both and before.runs == tuple(runs) and before.wanted == examples


def measure_similarity(paths: StudyPaths) -> int:
    """Bring a study's cka.json up to date; arms whose runs are the same as before are kept.

    Returns:
        The exit status.
    """
    plan = read_plan(paths)
    earlier = {arm.name: arm for arm in find_similarity(paths.cka)}
    search_path = plan.search_folders
    use_one_thread()
    datasets: dict[DataRecipe, Dataset] = {}
    arms: list[ArmSimilarity] = []
    for arm in plan.arms:
        runs = find_runs(paths, arm)
        if arm.group > 1 or len(runs) < 2:
            continue
        before = earlier.get(arm.name)
        if before is not None and _is_complete(before, runs, plan.metrics.cka_examples):
            arms.append(before)
            continue
        set_kernels("deterministic", "fp32")
        try:
            with Pulse(lambda: [paths.similarity_beat], search_path) as pulse:
                arms.append(compare_arm(paths, plan, arm, runs, datasets, move=pulse.move))
        except (NondetError, OSError, RuntimeError) as error:
            LOG.error("no CKA of arm %s: %s", arm.name, error)
    write_record(paths.cka, StudySimilarity(arms=tuple(arms)), compact=True)
    return 0
