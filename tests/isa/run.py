#!/usr/bin/env python3
"""Same bits on every instruction set: hashes of kernel results (kernel_bits.cc) of all tables that run here and, when
Debian's cross compiler and qemu-user are installed (./dev test installs them), of the NEON table under emulation; of the
AVX-512 and AMX tables through SIMDe where the CPU lacks them.

Usage: run.py KERNEL_BITS SOURCE_DIR BUILD_DIR"""
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bits import CROSS, QEMU, add_neon, hashes, verdict

FLAGS = ["-std=c++20", "-O3", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror"]


def neon(source, build):
    build.mkdir(parents=True, exist_ok=True)
    program = build / "kernel_bits"
    files = ["src/kernels/isa_neon.cc", "src/kernels/isa_scalar.cc", "src/kernels/dispatch.cc", "tests/isa/kernel_bits.cc"]
    subprocess.run([CROSS, *FLAGS, "-static", f"-I{source}/src", *(str(source / f) for f in files), "-o", str(program)],
                   check=True)
    return hashes([QEMU, str(program), "neon"])


TABLES = ("avx512_amx", "avx512_bf16", "avx512_vnni", "avx512", "avx_vnni")


def emulated(source, build, tables):
    build.mkdir(parents=True, exist_ok=True)
    flags = ["-std=c++20", "-O0", "-ffp-contract=off", "-mavx2", "-mfma", "-Wno-psabi", "-DTRUEVEC_SIMDE"]
    files = [*(f"src/kernels/isa_{name}.cc" for name in (*TABLES, "avx2", "scalar")), "src/kernels/dispatch.cc",
             "tests/isa/kernel_bits.cc"]
    objects = [str(build / Path(file).stem) + ".emulated.o" for file in files]

    def compiled(file, to):
        subprocess.run(["g++", *flags, f"-I{source}/src", "-c", str(source / file), "-o", to], check=True)
    with ThreadPoolExecutor(2) as pool:  # each takes ten seconds
        list(pool.map(compiled, files, objects))
    program = build / "kernel_bits_emulated"
    subprocess.run(["g++", *objects, "-o", str(program)], check=True)
    return hashes([str(program), *tables])


def main():
    program, source, build = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    found = hashes([program])
    if not add_neon(found, lambda: neon(source, build)):
        return 1
    # SIMDe's emulation of AVX-512 needs AVX2 for fused multiply-adds.
    missing = [name for name in TABLES if name not in found]
    if "avx2" in found and missing:
        if Path("/usr/include/simde/x86/avx512.h").exists():
            found |= emulated(source, build, missing)
        else:
            print(", ".join(missing), "not tested: libsimde-dev is not installed")
    return verdict(found, "kernels")


sys.exit(main())
