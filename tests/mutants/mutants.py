"""Chooses the mutants that are tried, and says what became of them.

    sample SIZE   reads `cargo mutants --list --json`, and writes a configuration of cargo-mutants with so many of them
    report FOLDER reads what cargo-mutants wrote there, and fails if too few mutants were caught

A mutant is chosen by a hash of its name without line and column, so that most of the sample stays when code moves.
"""

import hashlib
import json
import re
import sys
from pathlib import Path

SEED = "tracewarden"
LEAST_CAUGHT = 0.9
ALWAYS_TRIED = "StructField"
REASONS = Path(__file__).with_name("missed.md")


def place_free(name):
    """The name without the line and the column: `src/a.rs: replace f -> bool with true`."""
    return re.sub(r"^([^:]+):\d+:\d+: ", r"\1: ", name)


def sample(size):
    mutants = json.load(sys.stdin)
    # cargo-mutants 27.1 tries these whatever its configuration says, so they are part of every sample.
    always = [mutant["name"] for mutant in mutants if mutant["genre"] == ALWAYS_TRIED]
    seen = {}
    ranked = []
    for name in sorted({mutant["name"] for mutant in mutants} - set(always)):
        key = place_free(name)
        seen[key] = seen.get(key, 0) + 1
        ranked.append((hashlib.sha256(f"{SEED} {seen[key]} {key}".encode()).digest(), name))
    chosen = sorted(name for _, name in sorted(ranked)[: size - len(always)])
    print("examine_re = [")
    for name in chosen:
        print(f"    {json.dumps('^' + re.escape(name) + '$')},")
    print("]")


def reasons():
    """The accepted misses, from the rows of the table: name without place, and the reason."""
    rows = re.findall(r"^\| `(.+?)` \| (.+?) \|$", REASONS.read_text(), re.MULTILINE)
    return {name.replace("\\|", "|"): reason for name, reason in rows}


def report(folder):
    outcomes = json.loads((folder / "outcomes.json").read_text())["outcomes"]
    fates = {}
    for outcome in outcomes:
        if outcome["scenario"] != "Baseline":
            fates.setdefault(outcome["summary"], []).append(outcome["scenario"]["Mutant"]["name"])
    missed = sorted(fates.get("MissedMutant", []))
    caught = len(fates.get("CaughtMutant", [])) + len(fates.get("Timeout", []))
    unviable = len(fates.get("Unviable", []))
    known = reasons()
    for name in missed:
        print(f"missed {name}\n       {known.get(place_free(name), 'no reason is known')}")
    for name in sorted(set(known) - {place_free(name) for name in missed}):
        print(f"listed in {REASONS.name}, and not missed: {name}")
    if not caught:
        sys.exit("no mutant was caught: nothing was tested")
    share = caught / (caught + len(missed))
    print(f"{caught} mutants caught, {len(missed)} missed ({share:.1%}); {unviable} do not compile")
    if share < LEAST_CAUGHT:
        sys.exit(f"at least {LEAST_CAUGHT:.0%} must be caught")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["sample", size]:
            sample(int(size))
        case ["report", folder]:
            report(Path(folder))
        case _:
            sys.exit(__doc__)
