"""One command on a console: how it is typed, and how its result is found in what comes back.

A serial line carries everything at once: the echo of what was typed, the shell's prompts, the
command's output, and lines of the kernel in the middle of all that, even in the middle of a word.
So a shell function frames the output with markers that bear the command's token. What is typed
contains no whole marker, split by a variable or by quotes, so no echo is taken for an answer.
"""

from __future__ import annotations

import itertools
import re
import secrets
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from flipside_qemu.alarms import KERNEL_PREFIX

LONGEST = 3000
"""Characters of a command. A terminal in line mode loses what goes beyond 4095 in one line."""

KERNEL_LINE = re.compile(KERNEL_PREFIX + r"[^\n]*\n")

# A subshell, so that `exit` and `cd` end with the command; eval, so that a syntax error is the
# command's and not the console's; no input, so that a question fails instead of hanging.
_FUNCTION = (
    '_run() { echo @begin $1; (eval "$2") </dev/null 2>&1; echo @end $1 $?; };'
    " echo '@re''ady' {token}"
)


@dataclass(frozen=True, slots=True)
class Result:
    """What a command on the device said, and how it ended."""

    code: int
    output: str
    """Standard output and error together, without the last newline and the kernel's lines."""
    kernel: tuple[str, ...] = ()
    """Lines in the kernel's console format that stood in between; those of `dmesg` among them."""


def tokens() -> Iterator[str]:
    """Names for commands, which no output contains by chance or by malice."""
    salt = secrets.token_hex(3)
    return (f"{salt}{number:x}" for number in itertools.count(1))


def greeting(token: str) -> str:
    """The line that makes a shell ready for commands, and makes it say so."""
    return _FUNCTION.replace("{token}", token)


def greeted(text: str, token: str) -> bool:
    """Whether a shell has answered the greeting."""
    return f"@ready {token}\n" in without_kernel(text)


def framed(command: str, token: str) -> str:
    """The line that runs a command between markers."""
    return f"_run {token} {shlex.quote(command)}"


def result(text: str, token: str) -> Result | None:
    """The result of the command with this token, once all of it has come."""
    found = re.search(
        rf"@begin {token}\n(.*?)@end {token} (\d+)\n", without_kernel(text), flags=re.DOTALL
    )
    if found is None:
        return None
    kernel = tuple(line.rstrip("\n") for line in KERNEL_LINE.findall(text))
    return Result(int(found[2]), found[1].removesuffix("\n"), kernel)


def beginning(text: str, token: str) -> int:
    """Where in the text the command's own output begins, after its echo."""
    return max(0, text.find(f"@begin {token}\n"))


def without_kernel(text: str) -> str:
    """The text as it was before the kernel wrote into it."""
    return KERNEL_LINE.sub("", text)
