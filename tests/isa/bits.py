"""What the tests of equal bits share: hashes by table and name, the NEON table where it can run, the verdict."""
import os
import shutil
import subprocess

CROSS, QEMU = "aarch64-linux-gnu-g++", "qemu-aarch64"


def hashes(command):
    """Lines "table name hash" of a program: table -> name -> hash."""
    result = {}
    for line in subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines():
        table, name, value = line.split()
        result.setdefault(table, {})[name] = value
    return result


def add_neon(found, emulate):
    """Adds emulate() unless NEON ran here; False where it cannot and TRUEVEC_REQUIRE_NEON asks for it."""
    if "neon" in found:
        return True
    missing = [tool for tool in (CROSS, QEMU) if shutil.which(tool) is None]
    if missing:
        print("NEON is not tested:", ", ".join(missing), "not installed")
        return not os.environ.get("TRUEVEC_REQUIRE_NEON")
    found |= emulate()
    return True


def verdict(found, what):
    """Prints the differences from the scalar table, and gives the exit code."""
    expected = found["scalar"]
    bad = [f"{table} {name}: {value}, scalar has {expected[name]}" for table, names in found.items()
           for name, value in names.items() if value != expected[name]]
    bad += [f"{table}: {sorted(set(expected) - set(names))} missing" for table, names in found.items()
            if set(names) != set(expected)]
    print("\n".join(bad) if bad else f"equal bits: {', '.join(found)} ({len(expected)} {what})")
    return 1 if bad else 0
