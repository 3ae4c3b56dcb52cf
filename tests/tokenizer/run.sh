#!/usr/bin/env bash
# The comparisons with tokenizers and transformers: run.sh PYTHON BIN_FOLDER [STRINGS] [tokenizer.json ...]
# PYTHON has the packages of tools/requirements-reference.txt. The seed is the hour, so that runs differ; it is printed.
set -euo pipefail
python=$1 bin=$2 strings=${3:-500}
shift $(($# < 3 ? $# : 3))
here=$(dirname "$0")
seed=$(date +%Y%m%d%H)
echo "seed $seed"
"$python" "$here/differential.py" --driver "$bin/tokenizer_driver" --strings "$strings" --seed "$seed" "$@"
"$python" "$here/directories.py" --driver "$bin/tokenizer_driver" --strings "$((strings / 2))" --seed "$seed"
"$python" "$here/sentencepiece_models.py" --driver "$bin/tokenizer_driver" --strings "$((strings / 2))" --seed "$seed"
"$python" "$here/patterns.py" --truevec "$bin/truevec" --patterns "$((strings / 2))" --seed "$seed"
