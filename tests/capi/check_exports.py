#!/usr/bin/env python3
"""libtruevec.so must export exactly the API: truevec_* functions and the Embedder API of truevec.h."""
import re
import subprocess
import sys

names = subprocess.check_output(["nm", "-DC", "--defined-only", sys.argv[1]], text=True).splitlines()
allowed = re.compile(r"^(truevec_\w+|(vtable for |typeinfo for |typeinfo name for )?truevec::(Embedder|Version|Isa|UseIsa)\b.*)$")
foreign = [n for n in (line.split(maxsplit=2)[2] for line in names) if not allowed.match(n)]
wanted = {"truevec_version", "truevec_last_error", "truevec_load", "truevec_free", "truevec_dimension", "truevec_embed",
          "truevec_inspect", "truevec_tokenize", "truevec_free_string"}
missing = wanted - {line.split()[-1] for line in names}
print("foreign:", foreign[:20], "missing:", sorted(missing))
sys.exit(1 if foreign or missing else 0)
