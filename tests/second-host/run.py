"""Runs the scenarios in the second host, and shows which of them it cannot run.

    run.py COMMAND...   the command that runs the tests, without their own arguments

A scenario that `left-out.md` lists must fail there: otherwise the host has learnt it, and its row can go.
"""

import re
import subprocess
import sys
from pathlib import Path

LEFT_OUT = Path(__file__).with_name("left-out.md")


def left_out():
    """The rows of the table: the name of a scenario, and why the host cannot run it."""
    return dict(re.findall(r"^\| `(.+?)` \| (.+?) \|$", LEFT_OUT.read_text(), re.MULTILINE))


def passed(output):
    return len(re.findall(r"^test \S+ \.\.\. ok$", output, re.MULTILINE))


def run(command, names):
    """Runs the scenarios but for those names, and shows each as it ends; says how many passed."""
    skipped = [argument for name in names for argument in ("--skip", name)]
    lines = []
    with subprocess.Popen([*command, "--", "--exact", *skipped], stdout=subprocess.PIPE, text=True) as tests:
        for line in tests.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    if tests.returncode != 0:
        sys.exit("a scenario fails in the second host")
    return passed("".join(lines))


def check(command, names):
    """Fails if a listed scenario is none, or passes."""
    tests = subprocess.run([*command, "--", "--exact", *names], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    failed = set(re.findall(r"^test (\S+) \.\.\. FAILED$", tests.stdout, re.MULTILINE))
    for name in sorted(set(names) - failed):
        sys.exit(f"listed in {LEFT_OUT.name}, and does not fail: {name}")


def main(command):
    reasons = left_out()
    number = run(command, reasons)
    if not number:
        sys.exit("no scenario passed: nothing was tested")
    if reasons:
        check(command, reasons)
    print(f"{number} scenarios passed, {len(reasons)} left out{':' if reasons else ''}")
    for name, reason in reasons.items():
        print(f"  {name}: {reason}")


if __name__ == "__main__":
    main(sys.argv[1:]) if sys.argv[1:] else sys.exit(__doc__)
