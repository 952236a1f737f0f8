"""Builds what is measured, the way utils/prepare.sh says release programs are built."""

import os
import subprocess
import sys

UTILS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def say(text):
    print(f"==> {text}", file=sys.stderr, flush=True)


def prepare(script):
    """Runs a line of bash with utils/prepare.sh at hand; its output goes to stderr except the last command's."""
    run = subprocess.run(["bash", "-euo", "pipefail", "-c", f'. "{UTILS}/prepare.sh"; {script}'],
                         stdout=subprocess.PIPE, text=True)
    if run.returncode != 0:
        sys.exit(2)
    return run.stdout.strip()


def build(product="spydercache"):
    """The path of a program, built where something changed. The last of two --product counts."""
    say(f"building {product} (release; the first time takes some minutes)")
    flags = f'"${{release_flags[@]}}" --product {product}'
    return prepare(f"need_swift; need_packages zlib1g-dev; swift build {flags} >&2; "
                   f'echo "$(swift build {flags} --show-bin-path)/{product}"')
