#!/usr/bin/env bash
# The comparison with tokenizers that ./dev test runs: short_run.sh DRIVER
# TRUEVEC_TEST_TOKENIZERS: a Python with tests/tokenizer/requirements.txt (./dev test installs one).
set -euo pipefail
python=${TRUEVEC_TEST_TOKENIZERS:?is not set: a Python with tests/tokenizer/requirements.txt, which ./dev test installs}
here=$(dirname "$0")
"$python" "$here/differential.py" --driver "$1" --strings 60 --trees 400 --seconds 20 --seed 20261125 --quiet
"$python" "$here/patterns.py" --driver "$1" --patterns 60 --seed 20261125
