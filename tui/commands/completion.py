"""Scripts that complete a command line in bash, zsh and fish, made from the parsers that read it.

What a word may be follows from the parser: a fixed choice, or what its metavar names (a folder, a protocol, a study, a
key of the protocol). Nothing of nondet-tui runs while somebody presses the tab key: the scripts hold all the words and
look for studies and files by themselves.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from engine.protocol.sections import SECTIONS

Parsers = Mapping[str, argparse.ArgumentParser]
"""Command → its parser; the empty name is that of the program itself, whose one positional is a path."""

KEYS = tuple(f"{section}.{name}=" for section, keys in SECTIONS.items() for name in keys)

STORE_DEFAULT = "${NONDET_STORE:-./studies}"


@dataclass(frozen=True)
class Word:
    """One thing that may stand on a command line."""

    names: tuple[str, ...]
    """The spellings of an option; empty for a positional."""
    meaning: str
    takes: str
    """What its value is: nothing, choice, file, folder, protocol, study, key or value."""
    choices: tuple[str, ...] = ()
    repeats: bool = False


METAVARS = {"DIR": "folder", "PROTOCOL.toml": "protocol", "STUDY": "study", "STUDY[:ARM]": "study", "KEY=VALUE": "key"}


def read_words(parser: argparse.ArgumentParser) -> list[Word]:
    """Return what may stand on a parser's command line, in its order."""
    return [_read_word(action) for action in parser._actions]


def _read_word(action: argparse.Action) -> Word:
    meaning = "" if action.help in (None, argparse.SUPPRESS) else str(action.help)
    choices = tuple(map(str, action.choices or ()))
    if action.nargs == 0:
        takes = "nothing"
    elif choices:
        takes = "choice"
    elif not action.option_strings and action.metavar is None:
        takes = "file"
    else:
        takes = METAVARS.get(str(action.metavar), "value")
    repeats = isinstance(action.default, list)
    return Word(tuple(action.option_strings), meaning, takes, choices, repeats)


def write_bash(parsers: Parsers) -> str:
    """Return the script for bash."""
    values: list[str] = []
    words: list[str] = []
    for command, parser in parsers.items():
        found = read_words(parser)
        for word in found:
            if word.names and word.takes != "nothing":
                patterns = "|".join(f"{command}:{name}" for name in word.names)
                values.append(f"        {patterns}) {_bash_value(word)}; return ;;")
        options = " ".join(name for word in found for name in word.names)
        positional = next((_bash_value(word) for word in found if not word.names), ":")
        words.append(f"        {command}:-*) _nondet_tui_words {shlex.quote(options)} ;;")
        words.append(f"        {command}:*) {positional} ;;")
    names = " ".join(name for name in parsers if name)
    return f"""\
# bash completion of nondet-tui, made by `nondet-tui completion bash`
_nondet_tui_lines() {{ local line; while IFS= read -r line; do COMPREPLY+=("$line"); done; }}
_nondet_tui_words() {{ _nondet_tui_lines < <(compgen -W "$1" -- "$current"); }}
_nondet_tui_keys() {{ compopt -o nospace 2> /dev/null; _nondet_tui_words "$1"; }}
_nondet_tui_folders() {{ compopt -o filenames 2> /dev/null; _nondet_tui_lines < <(compgen -d -- "$current"); }}
_nondet_tui_files() {{ compopt -o filenames 2> /dev/null; _nondet_tui_lines < <(compgen -f -- "$current"); }}
_nondet_tui_protocols() {{
    _nondet_tui_folders
    _nondet_tui_lines < <(compgen -f -X '!*.toml' -- "$current")
}}
_nondet_tui_studies() {{
    local plan store="{STORE_DEFAULT}" place
    for ((place = 1; place < COMP_CWORD; place++)); do
        [[ ${{COMP_WORDS[place]}} == --store ]] && store=${{COMP_WORDS[place + 1]}}
    done
    for plan in "$store"/*/plan.json; do
        plan=${{plan%/plan.json}} && plan=${{plan##*/}}
        [[ $plan == "$current"* && $plan != '*' ]] && COMPREPLY+=("$plan")
    done
    _nondet_tui_folders
}}
_nondet_tui() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD - 1]}} command=
    COMPREPLY=()
    if ((COMP_CWORD > 1)) && [[ " {names} " == *" ${{COMP_WORDS[1]}} "* ]]; then
        command=${{COMP_WORDS[1]}}
    fi
    case $command:$previous in
{chr(10).join(values)}
    esac
    case $command:$current in
{chr(10).join(words)}
    esac
    if ((COMP_CWORD == 1)) && [[ $current != -* ]]; then _nondet_tui_words '{names}'; fi
}}
complete -F _nondet_tui nondet-tui
"""


def _bash_value(word: Word) -> str:
    return {
        "choice": f"_nondet_tui_words {shlex.quote(' '.join(word.choices))}",
        "file": "_nondet_tui_files",
        "folder": "_nondet_tui_folders",
        "protocol": "_nondet_tui_protocols",
        "study": "_nondet_tui_studies",
        "key": f"_nondet_tui_keys {shlex.quote(' '.join(KEYS))}",
    }.get(word.takes, ":")


def write_zsh(parsers: Parsers) -> str:
    """Return the script for zsh; it works sourced, and as a file named _nondet-tui in a folder of $fpath."""
    cases: list[str] = []
    for command, parser in parsers.items():
        specs = "".join(f" \\\n            {shlex.quote(_zsh_spec(word))}" for word in read_words(parser))
        cases.append(f"        {command or '*'}) _arguments -s{specs} ;;")
    commands = "".join(
        f"\n        {shlex.quote(f'{name}:{_first_sentence(parser)}')}" for name, parser in parsers.items() if name
    )
    # The program itself comes last: its pattern matches every word.
    cases.sort(key=lambda case: case.startswith("        *)"))
    return f"""\
#compdef nondet-tui
# zsh completion of nondet-tui, made by `nondet-tui completion zsh`
_nondet_tui_studies() {{
    local store={STORE_DEFAULT} given=${{words[(i)--store]}}
    ((given < CURRENT - 1)) && store=${{words[given + 1]}}
    local -a names=($store/*/plan.json(N:h:t))
    compadd -a names
    _files -/
}}
_nondet_tui_keys() {{ compadd -S '' -- {" ".join(KEYS)} }}
_nondet_tui() {{
    local -a commands=({commands}
    )
    local command=
    if ((CURRENT == 2)); then
        [[ $PREFIX == -* ]] || _describe command commands
    elif ((${{commands[(I)$words[2]:*]}})); then
        command=$words[2]
        shift words
        ((CURRENT--))
    fi
    case $command in
{chr(10).join(cases)}
    esac
}}
if [[ $funcstack[1] == _nondet-tui ]]; then _nondet_tui "$@"; else compdef _nondet_tui nondet-tui; fi
"""


def _zsh_spec(word: Word) -> str:
    value = {
        "choice": f"({' '.join(word.choices)})",
        "file": "_files",
        "folder": "_files -/",
        "protocol": '_files -g "*.toml"',
        "study": "_nondet_tui_studies",
        "key": "_nondet_tui_keys",
    }.get(word.takes, " ")
    if not word.names:
        return f"1:{word.takes}:{value}"
    meaning = word.meaning.replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")
    argument = "" if word.takes == "nothing" else f":{word.takes}:{value}"
    # Each spelling is a specification of its own where an option has several, such as -h and --help.
    names = word.names[-1]
    return f"{'*' if word.repeats else ''}{names}[{meaning}]{argument}"


def write_fish(parsers: Parsers) -> str:
    """Return the script for fish."""
    names = " ".join(name for name in parsers if name)
    lines = [
        "# fish completion of nondet-tui, made by `nondet-tui completion fish`",
        "function __nondet_tui_studies",
        "    set -l store studies",
        "    set -q NONDET_STORE; and set store $NONDET_STORE",
        "    set -l words (commandline -opc)",
        "    set -l given (contains -i -- --store $words); and set store $words[(math $given + 1)]",
        "    for plan in $store/*/plan.json",
        "        path basename (path dirname $plan)",
        "    end",
        "    __fish_complete_directories (commandline -ct)",
        "end",
        "complete -c nondet-tui -f",
    ]
    for command, parser in parsers.items():
        seen = f"__fish_seen_subcommand_from {command or names}"
        condition = shlex.quote(seen if command else f"not {seen}")
        if command:
            meaning = shlex.quote(_first_sentence(parser))
            lines.append(f"complete -c nondet-tui -n __fish_use_subcommand -a {command} -d {meaning}")
        for word in read_words(parser):
            lines.append(f"complete -c nondet-tui -n {condition}{_fish_word(word)}")
    return "\n".join(lines) + "\n"


def _fish_word(word: Word) -> str:
    names = "".join(f" -l {name[2:]}" if name.startswith("--") else f" -s {name[1:]}" for name in word.names)
    meaning = f" -d {shlex.quote(word.meaning)}" if word.meaning else ""
    value = {
        "choice": f"-a {shlex.quote(' '.join(word.choices))}",
        "file": "-F",
        "folder": "-a '(__fish_complete_directories (commandline -ct))'",
        "protocol": "-a '(__fish_complete_path (commandline -ct) | string match -r \\'.*(?:/|\\.toml)(?:\\t.*)?$\\')'",
        "study": "-a '(__nondet_tui_studies)'",
        "key": f"-a {shlex.quote(' '.join(KEYS))}",
    }.get(word.takes, "")
    requires = " -x" if word.names and word.takes != "nothing" else ""
    return f"{names}{requires}{f' {value}' if value else ''}{meaning}"


def _first_sentence(parser: argparse.ArgumentParser) -> str:
    return (parser.description or "").partition(";")[0].rstrip(".").replace("\n", " ")


WRITERS: dict[str, Callable[[Parsers], str]] = {"bash": write_bash, "zsh": write_zsh, "fish": write_fish}
"""Shell → what writes its script."""
