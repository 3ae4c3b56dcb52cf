#!/usr/bin/env python3
"""Same bits of whole models: hashes of model_bits.cc over tests/golden/models, of all tables that run here and, when
Debian's cross compiler and qemu-user are installed (./dev test installs them), of the NEON table under emulation.

Usage: models.py MODEL_BITS SOURCE_DIR BUILD_DIR"""
import os
import shutil
import subprocess
import sys
from pathlib import Path

CROSS, QEMU = "aarch64-linux-gnu-g++", "qemu-aarch64"


def hashes(command):
    result = {}
    for line in subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines():
        table, model, value = line.split()
        result.setdefault(table, {})[model] = value
    return result


def neon(source, build, golden):
    boost = build / "include"
    boost.mkdir(parents=True, exist_ok=True)
    if not (boost / "boost").exists():
        (boost / "boost").symlink_to("/usr/include/boost")
    launcher = ["-DCMAKE_CXX_COMPILER_LAUNCHER=ccache"] if shutil.which("ccache") else []
    subprocess.run(["cmake", "-S", str(source / "tests/isa/cross"), "-B", str(build), "-G", "Ninja",
                    "-DCMAKE_SYSTEM_NAME=Linux", "-DCMAKE_SYSTEM_PROCESSOR=aarch64", f"-DCMAKE_CXX_COMPILER={CROSS}",
                    f"-DBOOST_ROOT_DIR={boost}", *launcher], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", str(build), "--", "-j2"], check=True)
    return hashes([QEMU, str(build / "model_bits"), str(golden), "neon"])


def main():
    program, source, build = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    golden = source / "tests/golden/models"
    found = hashes([program, str(golden)])
    if "neon" not in found:
        missing = [tool for tool in (CROSS, QEMU) if shutil.which(tool) is None]
        if missing:
            print("NEON is not tested:", ", ".join(missing), "not installed")
            if os.environ.get("TRUEVEC_REQUIRE_NEON"):
                return 1
        else:
            found |= neon(source, build, golden)
    expected = found["scalar"]
    bad = [f"{table} {model}: {value}, scalar has {expected[model]}" for table, models in found.items()
           for model, value in models.items() if value != expected[model]]
    bad += [f"{table}: {sorted(set(expected) - set(models))} missing" for table, models in found.items()
            if set(models) != set(expected)]
    print("\n".join(bad) if bad else f"equal bits: {', '.join(found)} ({len(expected)} models and dtypes)")
    return 1 if bad else 0


sys.exit(main())
