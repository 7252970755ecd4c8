#!/usr/bin/env python3
"""Takes a picture of a program in a terminal: runs it in tmux, presses keys, draws the screen as SVG.

    assets/screenshot.py OUT.svg [--size 100x30] [--light] COMMAND [STEP...]

A step is `key:NAME` (as tmux names keys), `text:WORDS` to type them, or `see:WORDS` to wait until
they are on screen. The picture is of what stands there after the last step. Needs tmux, nothing else.

    assets/screenshot.py assets/sessions.svg 'breakglass demo' see:Sessions key:o see:target
"""

import html
import re
import subprocess
import sys
import time
import unicodedata

SOCKET = "breakglass-screenshot"
CELL = (8.4, 18)
MARGIN = 14
LIMIT_SECONDS = 30

# Name: background, text, and the eight colours of the palette.
DARK = ("#1c1f26", "#d5d9e0", ["#3b4048", "#f2777a", "#8ac78a", "#e6c07b", "#7aa6da", "#c397d8", "#5fc4c9", "#d5d9e0"])
LIGHT = ("#fbfbf8", "#2b2f36", ["#2b2f36", "#c0272d", "#2e7d32", "#8a6100", "#1a5fb4", "#8e3aa0", "#00707a", "#6b7078"])


def tmux(*words):
    return subprocess.run(["tmux", "-L", SOCKET, *words], check=True, capture_output=True, text=True).stdout


def wait_for(words):
    until = time.monotonic() + LIMIT_SECONDS
    while words not in tmux("capture-pane", "-p"):
        if time.monotonic() > until:
            sys.exit(f"waited for `{words}` in vain:\n{tmux('capture-pane', '-p')}")
        time.sleep(0.05)


def perform(step):
    kind, _, rest = step.partition(":")
    if kind == "see":
        wait_for(rest)
    elif kind == "key":
        tmux("send-keys", rest)
    elif kind == "text":
        tmux("send-keys", "-l", rest)
    else:
        sys.exit(f"`{step}` is no step; it is key:NAME, text:WORDS or see:WORDS")


def runs(line, codes):
    """Splits a captured line into (text, codes); codes hold on from line to line."""
    for part in re.split(r"(\x1b\[[0-9;]*m)", line):
        if part.startswith("\x1b["):
            for code in (part[2:-1] or "0").split(";"):
                number = int(code or 0)
                if number == 0:
                    codes.clear()
                elif number == 39:
                    codes -= set(range(30, 38))
                else:
                    codes.add(number)
        elif part:
            yield part, frozenset(codes)


def width(text):
    wide = lambda c: 0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
    return sum(wide(c) for c in text)


def svg(lines, size, palette):
    background, body, colours = palette
    across, down = size[0] * CELL[0] + 2 * MARGIN, size[1] * CELL[1] + 2 * MARGIN
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{across:.0f}" height="{down:.0f}" '
        f'font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="14">',
        f'<rect width="100%" height="100%" rx="8" fill="{background}"/>',
    ]
    held = set()
    for row, line in enumerate(lines):
        column = 0
        for text, codes in runs(line, held):
            x, y = MARGIN + column * CELL[0], MARGIN + row * CELL[1]
            long = width(text)
            column += long
            colour = next((colours[code - 30] for code in codes if 30 <= code <= 37), body)
            if 7 in codes:
                out.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{long * CELL[0]:.1f}" height="{CELL[1]}" fill="{colour}"/>')
                colour = background
            if not text.strip():
                continue
            look = ' font-weight="bold"' if 1 in codes else ""
            look += ' opacity="0.6"' if 2 in codes else ""
            out.append(
                f'<text x="{x:.1f}" y="{y + 13.5:.1f}" fill="{colour}"{look} xml:space="preserve" '
                f'textLength="{long * CELL[0]:.1f}">{html.escape(text)}</text>'
            )
    out.append("</svg>\n")
    return "\n".join(out)


def main():
    words = sys.argv[1:]
    palette, size = DARK, (100, 30)
    if "--light" in words:
        words.remove("--light")
        palette = LIGHT
    if "--size" in words:
        at = words.index("--size")
        size = tuple(int(number) for number in words[at + 1].split("x"))
        del words[at : at + 2]
    if len(words) < 2:
        sys.exit(__doc__)
    path, command, *steps = words
    subprocess.run(["tmux", "-L", SOCKET, "kill-server"], capture_output=True)
    bare = ["-f", "/dev/null", "start-server", ";", "set-option", "-g", "status", "off", ";"]
    tmux(*bare, "new-session", "-d", "-x", str(size[0]), "-y", str(size[1]), command)
    try:
        for step in steps:
            perform(step)
        lines = tmux("capture-pane", "-e", "-p").split("\n")
    finally:
        subprocess.run(["tmux", "-L", SOCKET, "kill-server"], capture_output=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(svg(lines, size, palette))


main()
