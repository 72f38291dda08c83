"""A check of docstrings: those of functions begin with a verb, those of classes and modules with a name.

`python -m tests.helpers.docstrings` prints the offenders of engine and tui, and how many there are of how many.

Verbs are listed, not guessed: in English most verbs are nouns too, and "Measures of an arm" is no sentence. A verb
that is not listed is added here. A property is read like a field, so a name is right for it as well.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tests.helpers.source import Module, read_modules

VERB_WORDS = """
abort accept accumulate acquire act adapt add adjust admit advance agree align allocate allow annotate announce
answer appear append apply arrange ask assemble assert assign assume attach augment await begin bind bring broadcast
build cache calculate cancel capture carry catch centre choose classify clean clear clip clone close cluster collect
combine compare compile complete compose compute concatenate configure confirm connect consider construct consume
continue contract convert correct create crop cross decide declare decode decompose decrease deduce define delete
deliver derive describe detach detect determine diagnose differ disable discard distribute divide do download draw
drive edit enable encode ensure enter enumerate equip escape evaluate examine exchange exclude execute expand expect
explain export express extend extract fail fetch fill find finish flatten flush follow forget forward free freeze
fuse gather generate get give go grow guess halve handle hide hold ignore import improve indent inform inherit
initialise insert inspect install interleave interpolate interpret interrupt introduce invert invite iterate join
judge keep know lay learn leave lend let lift load locate look lose make manage merge modify multiply normalise
notice notify observe obtain offer omit open parse paste perform permute perturb predict prefer prepare present
preserve press prevent print produce propose protect prove provide prune publish pull push put quantise query quit
raise randomise read reap rebuild receive recognise recompute reconstruct reduce refer refill refresh refuse
register reject reload rely remember remind remove rename render renumber reorder replace represent reproduce
require reshape resize resolve respect respond restart restore restrict resume retain retrieve retry reuse reveal
revert rewrite save say scroll seal select send separate serialise serve settle shorten shrink shuffle shut simplify
simulate skip slide speak stay submit subtract suggest summarise supervise suppress switch take talk tell terminate tidy
toggle tokenise train translate traverse treat trim try turn undo unfold unify unpack upgrade use validate vary
verify visit wait want warm warn watch weigh widen win write yield
"""
NOUN_WORDS = """
balance call cast change check claim copy count cover cut damage deal drop end estimate exit filter fit fix flip
focus fold fork form group guard hand hash help increase jump kill launch lead limit list lock map mark mask match
measure mix move pack pad paint pass patch pause pick place plot point pool project queue quote reach record release
repair repeat replay reply report request reset return review round run scale scan search seed set share shift show
sign signal slice sort space split spread stack stamp stand start stop strip swap touch trace track transform update
play walk wrap
"""
NAME_WORDS = """
average bound cycle digest display empty figure format label lower mean model name note number order plan rank
sample schedule shape state step store sum target test time title type view weight work
"""

VERBS = frozenset(VERB_WORDS.split())
ALSO_NOUNS = frozenset(NOUN_WORDS.split())
"""Verbs that are nouns before a preposition: "Change of", "Start and size"."""
MORE_OFTEN_NOUNS = frozenset(NAME_WORDS.split())
"""Verbs that are nouns or adjectives unless an object with its article follows: "Mean loss", but "Name the slot"."""

SIGNS = ".,:;"
PREPOSITIONS = {"after", "and", "at", "before", "between", "by", "for", "from", "of", "on", "or", "over", "per", "that"}
ARTICLES = {
    "a", "all", "an", "another", "any", "both", "each", "every", "everything", "its", "it", "nothing", "one", "some",
    "the", "their", "them", "these", "this", "those", "two",
}  # fmt: skip
CLAUSES = {"how", "what", "when", "where", "whether", "who"}
FRAGMENTS = {
    "as", "back", "behind", "beside", "between", "by", "for", "from", "have", "how", "in", "of", "on", "over", "per",
    "see", "than", "that", "those", "to", "what", "when", "where", "whether", "which", "who", "whose", "why", "with",
    "without",
}  # fmt: skip
"""Words that a name does not begin with."""


@dataclass(frozen=True)
class Docstring:
    """A docstring, and what it belongs to."""

    place: str
    """File and line."""
    name: str
    kind: str
    """module, class, function or property."""
    text: str

    @property
    def beginning(self) -> str:
        """Its first line, cut where it is long."""
        return self.text.strip().splitlines()[0][:70] if self.text.strip() else ""


def find_docstrings(modules: Iterable[Module]) -> Iterator[Docstring]:
    """Collect the docstrings of modules, classes, functions and methods, private ones and nested ones too."""
    for module in modules:
        for node in ast.walk(module.tree):
            if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                continue
            text = ast.get_docstring(node)
            if text is not None:
                place = f"{module.file}:{getattr(node, 'lineno', 1)}"
                yield Docstring(place, getattr(node, "name", module.name), _name_kind(node), text)


def is_sound(docstring: Docstring) -> bool:
    """Tell whether a docstring begins as its kind asks: with a verb, or with a name."""
    if docstring.kind == "function":
        return begins_with_verb(docstring.text)
    return begins_with_name(docstring.text)


def begins_with_verb(text: str) -> bool:
    """Tell whether a text begins with a verb: "Return", "Returns"; not "Measures of", "List of", "The"."""
    first, second, ends = _split_beginning(text)
    if first in MORE_OFTEN_NOUNS:
        return not ends and second in ARTICLES | CLAUSES
    if first in ALSO_NOUNS:
        return not ends and second not in PREPOSITIONS
    if first in VERBS:
        return True
    base = _find_base(first)
    return base in VERBS or (bool(base) and second in ARTICLES)


def begins_with_name(text: str) -> bool:
    """Tell whether a text begins with a word that a name or a sentence can begin with."""
    return _split_beginning(text)[0] not in FRAGMENTS


def find_offenders(modules: Iterable[Module]) -> list[str]:
    """List the docstrings that begin otherwise than they should, a line for each."""
    return [describe(found) for found in find_docstrings(modules) if not is_sound(found)]


def describe(docstring: Docstring) -> str:
    """Say in a line where a docstring is, and how it begins."""
    return f"{docstring.place}: {docstring.kind} {docstring.name}: {docstring.beginning}"


def _name_kind(node: ast.AST) -> str:
    if isinstance(node, ast.Module):
        return "module"
    if isinstance(node, ast.ClassDef):
        return "class"
    decorators = [ast.unparse(decorator) for decorator in getattr(node, "decorator_list", ())]
    return "property" if any(name.endswith("property") for name in decorators) else "function"


def _split_beginning(text: str) -> tuple[str, str, bool]:
    """Return the first word and the second, in lower case, and whether a sign ends the phrase after the first."""
    first, second = [*text.split(), "", ""][:2]
    return first.strip(SIGNS).lower(), second.strip(SIGNS).lower(), first[-1:] in SIGNS or not second


def _find_base(word: str) -> str:
    """Return the base form of a verb in the third person, "tries" → "try"; empty for other words."""
    candidates = [word[:-3] + "y"] if word.endswith("ies") else []
    candidates += [word[:-2]] if word.endswith("es") else []
    candidates += [word[:-1]] if word.endswith("s") else []
    return next((base for base in candidates if base in VERBS | ALSO_NOUNS | MORE_OFTEN_NOUNS), "")


def main() -> int:
    """Print the offenders, and counts by kind; 1 where there are offenders."""
    found = list(find_docstrings(read_modules("engine", "tui")))
    offenders = [docstring for docstring in found if not is_sound(docstring)]
    sys.stdout.writelines(f"{describe(docstring)}\n" for docstring in offenders)
    for kind in ("function", "property", "class", "module"):
        wrong, whole = (sum(docstring.kind == kind for docstring in group) for group in (offenders, found))
        sys.stdout.write(f"{kind}: {wrong} of {whole}\n")
    return 1 if offenders else 0


if __name__ == "__main__":
    sys.exit(main())
