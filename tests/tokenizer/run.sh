#!/usr/bin/env bash
# The comparisons with tokenizers and transformers: run.sh PYTHON DRIVER [STRINGS] [tokenizer.json ...]
# PYTHON has the packages of tools/requirements-reference.txt, DRIVER is tokenizer_driver. STRINGS: a tokenizer.
# TRUEVEC_SEED sets the seed; else it is the hour, so that runs differ. It is printed.
set -euo pipefail
python=$1 driver=$2 strings=${3:-500}
shift $(($# < 3 ? $# : 3))
here=$(dirname "$0")
seed=${TRUEVEC_SEED:-$(date +%Y%m%d%H)}
echo "seed $seed"
"$python" "$here/differential.py" --driver "$driver" --strings "$strings" --trees "$((strings / 2))" --seed "$seed" "$@"
"$python" "$here/directories.py" --driver "$driver" --strings "$((strings < 1000 ? strings / 2 : 500))" --random "$((strings / 2))" --seed "$seed"
"$python" "$here/sentencepiece_models.py" --driver "$driver" --strings "$((strings < 1000 ? strings / 2 : 500))" --seed "$seed"
"$python" "$here/tekken.py" --driver "$driver" --seed "$seed"
"$python" "$here/patterns.py" --driver "$driver" --patterns "$((strings / 2))" --seed "$seed"
"$python" "$here/classes.py" --driver "$driver"
