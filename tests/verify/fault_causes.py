"""Which cause ids each fault of faults.py must end in. Shared by the fault matrix and the tests; needs no PyTorch."""

CAUSES = """client-text-changed reference-version prompt-missing prompt-wrong prompt-doubled foreign-token-ids wrong-model
special-tokens-missing eos-missing eos-wrong special-tokens-doubled special-tokens-in-text lowercase-missing
lowercase-forced accents basic-tokenization subword-algorithm metaspace-prefix max-length truncation-side
chunk-averaging position-offset rope-theta rope-scaling token-type architecture-component causal-mask
bidirectional-mask padding-attended sliding-window batch-leak gelu-variant layernorm adapter-missing
weights-not-loaded pooling-mode last-token-index pooling-mask unpooled projection-missing normalization
dimensions-order precision-float16 precision-bfloat16 overflow-nan weight-quantization output-quantization
batch-numerics serialization permuted-results constant-output nondeterministic unknown""".split()

# Fault -> cause ids of which one must be named. None: outside the list, only "unknown" (or a wrong model) may be said.
EXPECTED = {
    "html": "client-text-changed", "newlines": "client-text-changed", "strip": "client-text-changed",
    "collapse": "client-text-changed", "nfkc": "client-text-changed",
    "prompt-query": "prompt-wrong", "prompt-passage": "prompt-wrong", "prompt-document": "prompt-wrong",
    "prompt-none": "prompt-missing", "prompt-doubled": "prompt-doubled", "prompt-no-space": "prompt-wrong",
    "ids-shifted": "foreign-token-ids", "ids-foreign": "foreign-token-ids", "fine-tuned": "wrong-model unknown",
    "no-specials": "special-tokens-missing eos-missing", "no-first": "special-tokens-missing",
    "no-last": "special-tokens-missing eos-missing", "eos-im-end": "eos-wrong", "doubled": "special-tokens-doubled",
    "doubled-last": "special-tokens-doubled", "plain-specials": "special-tokens-in-text",
    "cased": "lowercase-missing", "cased-accents": "lowercase-missing", "lowered": "lowercase-forced",
    "keep-accents": "accents", "stripped-accents": "accents", "no-cjk": "basic-tokenization",
    "ascii-punct": "basic-tokenization", "no-basic": "basic-tokenization", "greedy": "subword-algorithm",
    "longest": "subword-algorithm", "no-metaspace": "metaspace-prefix", "metaspace-added": "metaspace-prefix",
    "space-runs": "metaspace-prefix", "max-64": "max-length", "max-77": "max-length", "tail": "truncation-side",
    "middle": "truncation-side", "lost-sep": "truncation-side", "chunks": "chunk-averaging",
    "chunks-weighted": "chunk-averaging", "chunks-overlap": "chunk-averaging", "chunks-50": "chunk-averaging",
    "chunks-90-10": "chunk-averaging", "positions-2": "position-offset", "positions-1": "position-offset",
    "positions-minus-2": "position-offset", "theta-10000": "rope-theta", "theta-123456": "rope-theta",
    "theta-swapped": "rope-theta", "rope-linear-4": "rope-scaling rope-theta", "rope-plain": "rope-scaling rope-theta",
    "types-omitted": "token-type", "types-1": "token-type", "no-embedding-scale": "architecture-component",
    "no-head-norms": "architecture-component", "no-relative-bias": "architecture-component", "causal": "causal-mask",
    "bidirectional": "bidirectional-mask", "causal-single": "causal-mask", "causal-batch": "causal-mask",
    "window-off": "sliding-window", "window-half": "sliding-window", "window-double": "sliding-window",
    "window-causal": "sliding-window", "pad-64": "padding-attended", "pad-100": "padding-attended",
    "attend-right": "padding-attended", "attend-left": "padding-attended", "attend-and-pool": "padding-attended",
    "coalesced": "padding-attended", "pool-pads": "pooling-mask", "last-row": "last-token-index",
    "row-by-sum": "last-token-index", "first-row": "last-token-index pooling-mask", "packed": "batch-leak",
    "sums": "batch-leak", "permuted": "permuted-results", "first-of-batch": "constant-output",
    "gelu-tanh": "gelu-variant", "gelu-erf": "gelu-variant", "gelu-quick": "gelu-variant", "gelu-fp16": "gelu-variant",
    "eps-1e-3": "layernorm", "no-final-norm": "layernorm", "norm-biases": "layernorm", "biases": "weights-not-loaded",
    "norms": "weights-not-loaded", "random-last-layer": "weights-not-loaded",
    # The small models are random themselves: what tells a random one apart is seen on a trained model only.
    "random-all": "weights-not-loaded unknown", "other-tokenizer": "foreign-token-ids",
    "doubled-first": "special-tokens-doubled", "max-more": "max-length", "first-50-words": "client-text-changed max-length",
    "first-250-characters": "client-text-changed max-length", "ascii": "client-text-changed", "nfd": "client-text-changed",
    "pad-multiple-8": "padding-attended", "swapped": "permuted-results", "no-first-norm": "layernorm",
    "cut-renormalised": "dimensions-order", "no-adapter": "adapter-missing", "batch-rounding": "batch-numerics",
    "other-dimension": "wrong-model",
    "no-position-table": "weights-not-loaded", "cls": "pooling-mode", "max": "pooling-mode", "last": "pooling-mode",
    "mean": "pooling-mode", "weighted": "pooling-mode", "mean-no-specials": "pooling-mask",
    "last-content": "last-token-index eos-missing", "sum": "pooling-mask pooling-mode", "without-prompt": "pooling-mask",
    "unpooled": "unpooled", "no-dense": "projection-missing", "one-dense": "projection-missing",
    "no-dense-activation": "projection-missing", "no-norm": "normalization", "normalized": "normalization",
    "scaled": "normalization", "l1": "normalization", "cut-dims": "dimensions-order",
    "reversed-dims": "dimensions-order", "fp16": "precision-float16", "bf16": "precision-bfloat16",
    "bf16-weights": "precision-bfloat16", "q8_0": "weight-quantization", "q4_0": "weight-quantization",
    "int8-rows": "weight-quantization", "onnx-uint8": "weight-quantization", "out-int8": "output-quantization",
    "out-uint8": "output-quantization", "out-binary": "output-quantization", "base64-big": "serialization",
    "base64-double": "serialization", "bytes-swapped": "serialization", "quarter": "serialization",
    "nan": "overflow-nan", "zero": "constant-output", "constant": "constant-output", "dropout": "nondeterministic",
    "max-37": "max-length", "positions-3": "position-offset", "positions-5": "position-offset",
    "prompt-clustering": "prompt-wrong", "q4_1": "weight-quantization", "q5_1": "weight-quantization",
    "int3-groups": "weight-quantization", "int4-groups-16": "weight-quantization", "nf4": "weight-quantization",
    "float8": "weight-quantization", "eps-1e-2": "layernorm", "out-bf16": "output-quantization",
    "out-4-decimals": "output-quantization", "out-3-digits": "output-quantization",
    "nfkd": "client-text-changed accents", "latin1": "client-text-changed", "no-punctuation": "client-text-changed",
    "plus": "client-text-changed", "url-encoded": "client-text-changed", "json-escaped": "client-text-changed",
    "quoted": "client-text-changed", "backslash-n": "client-text-changed", "crlf": "client-text-changed",
    # A tokenizer that lower-cases itself only leaves "[CLS]" in a text to be changed: as plain text it has the same ids.
    "lower-client": "lowercase-forced special-tokens-in-text",
    "outside-reversed-tokens": None, "outside-rotation": None, "outside-skipped-layer": None, "outside-offset": None,
    "outside-square": None, "outside-attention-scale": None,
}
# Named beside the expected cause without being wrong: the same vectors, or a consequence.
BESIDE = {"client-text-changed": {"reference-version"}, "batch-leak": {"normalization"}}


def judge(row):
    """hit, weak (too little said), WRONG (an innocent cause named)."""
    found = set(row["found"])
    if row["kind"] == "healthy" or not row["visible"]:
        return "hit" if not found or found <= set(row.get("allowed", [])) else "WRONG"
    if not found and row.get("verdict") == "identical" and all(
            EXPECTED[f] and EXPECTED[f].startswith("precision-") for f in row["faults"]):
        return "hit"  # within float32's own class
    if row.get("indistinct") and found == {"unknown"}:
        return "hit"  # the weights as loaded are one more random start: no test can tell
    if row["faults"][0].startswith("outside"):
        return "hit" if found and found <= {"unknown"} else "weak" if not found else "WRONG"
    allowed, named = set(), 0
    needed = [f for f in row["faults"] if f not in row.get("hidden", [])]
    for fault in row["faults"]:
        wanted = set(EXPECTED[fault].split())
        named += fault in needed and bool(wanted & found)
        allowed |= wanted
        for cause in wanted:
            allowed |= BESIDE.get(cause, set())
    if found - allowed - {"unknown"}:
        return "WRONG"
    return "hit" if named == len(needed) and "unknown" not in found - allowed else "weak"
