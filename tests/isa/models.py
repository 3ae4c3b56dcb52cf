#!/usr/bin/env python3
"""Same bits of whole models: hashes of model_bits.cc over tests/golden/models, of all tables that run here and, when
Debian's cross compiler and qemu-user are installed (./dev test installs them), of the NEON table under emulation.

Usage: models.py MODEL_BITS SOURCE_DIR BUILD_DIR"""
import shutil
import subprocess
import sys
from pathlib import Path

from bits import CROSS, QEMU, add_neon, hashes, verdict



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
    if not add_neon(found, lambda: neon(source, build, golden)):
        return 1
    # vdpbf16ps and AMX multiply rounded activations: bits of their own, also where int8 leaves a matrix to bfloat16.
    for table in ("avx512_bf16", "avx512_amx"):
        for name in found.get(table, {}):
            if name.endswith(("/bfloat16", "/int8")):
                found[table][name] = found["scalar"][name]
    return verdict(found, "models and dtypes")


sys.exit(main())
