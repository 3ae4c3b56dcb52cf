"""One engine in a process of its own, driven by JSON lines: {"texts": [...], "passes": N, "vectors": FILE or null} is
answered by {"wall": [s of each pass], "cpu": s a pass, "rss": bytes, "peak": bytes}.
Usage: worker.py ENGINE MODEL_DIRECTORY THREADS CACHE TRUEVEC_LIBRARY

Every engine starts from raw texts. Those that pad get batches of 32 sorted by length, as sentence-transformers does."""
import ctypes
import json
import os
import signal
import sys
import time
from pathlib import Path

ENGINE, MODEL, THREADS, CACHE, LIBRARY = sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]), sys.argv[5]
# Every pool has as many threads as are asked for.
os.environ.update(OMP_NUM_THREADS=str(THREADS), MKL_NUM_THREADS=str(THREADS), RAYON_NUM_THREADS=str(THREADS),
                  TOKENIZERS_PARALLELISM=str(THREADS > 1).lower(), HF_HUB_OFFLINE="1")
import numpy as np  # noqa: E402

BATCH = 32


def normalized(vectors):
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


class Tokenized:
    """The model's tokenizer as sentence-transformers uses it, and sorted batches."""

    def __init__(self):
        from tokenizers import Tokenizer
        self.tokenizer = Tokenizer.from_file(f"{MODEL}/tokenizer.json")
        path = Path(MODEL, "sentence_bert_config.json")
        config = json.loads(path.read_text()) if path.exists() else {}
        self.tokenizer.enable_truncation(config.get("max_seq_length") or json.loads(
            Path(MODEL, "config.json").read_text())["max_position_embeddings"])
        self.tokenizer.no_padding()

    def ids(self, texts):
        return [encoding.ids for encoding in self.tokenizer.encode_batch_fast(texts)]

    def run(self, texts, forward):
        ids = self.ids(texts)
        order = sorted(range(len(ids)), key=lambda i: -len(ids[i]))
        out = None
        for begin in range(0, len(order), BATCH):
            rows = order[begin:begin + BATCH]
            vectors = forward([ids[i] for i in rows])
            out = np.zeros((len(ids), vectors.shape[1]), np.float32) if out is None else out
            out[rows] = vectors
        return out


def padded(rows):
    width = max(map(len, rows))
    ids = np.zeros((len(rows), width), np.int64)
    mask = np.zeros((len(rows), width), np.int64)
    for i, row in enumerate(rows):
        ids[i, :len(row)] = row
        mask[i, :len(row)] = 1
    return ids, mask


def pooling_mode():
    pooling = json.loads(Path(MODEL, "1_Pooling/config.json").read_text())
    for mode in ("cls", "lasttoken", "mean"):
        old = {"cls": "cls_token", "mean": "mean_tokens"}.get(mode, mode)
        if pooling.get("pooling_mode") == mode or pooling.get(f"pooling_mode_{old}", False):
            return mode
    raise RuntimeError(f"pooling of {MODEL}: not mean, cls or lasttoken")


def export_onnx():
    """Backbone, pooling (mean, first or last token, as the directory says) and normalisation as one graph; cached."""
    path = CACHE / "model.onnx"
    if path.exists():
        return path
    import torch
    from transformers import AutoModel

    mode = pooling_mode()

    class Pooled(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = AutoModel.from_pretrained(MODEL, dtype=torch.float32, attn_implementation="eager").eval()

        def forward(self, input_ids, attention_mask):
            hidden = self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            if mode == "cls":
                return torch.nn.functional.normalize(hidden[:, 0], dim=1)
            if mode == "lasttoken":  # rows are padded on the right
                at = (attention_mask.sum(1) - 1).reshape(-1, 1, 1).expand(-1, 1, hidden.shape[-1])
                return torch.nn.functional.normalize(hidden.gather(1, at)[:, 0], dim=1)
            weights = attention_mask.unsqueeze(-1).to(hidden.dtype)
            return torch.nn.functional.normalize((hidden * weights).sum(1) / weights.sum(1), dim=1)

    example = torch.ones((2, 9), dtype=torch.int64)
    axes = {0: "batch", 1: "length"}
    torch.onnx.export(Pooled(), (example, example), str(path) + ".part", dynamo=False, opset_version=17,
                      input_names=["input_ids", "attention_mask"], output_names=["vectors"],
                      dynamic_axes={"input_ids": axes, "attention_mask": axes, "vectors": {0: "batch"}})
    os.rename(str(path) + ".part", path)
    return path


def truevec(dtype):
    library = ctypes.CDLL(LIBRARY)
    library.truevec_load.restype = ctypes.c_void_p
    library.truevec_dimension.restype = ctypes.c_size_t
    library.truevec_dimension.argtypes = [ctypes.c_void_p]
    library.truevec_last_error.restype = ctypes.c_char_p
    library.truevec_embed.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t,
                                      ctypes.c_char_p, ctypes.c_void_p]
    model = library.truevec_load(MODEL.encode(), json.dumps({"dtype": dtype, "threads": THREADS}).encode())
    if not model:
        raise RuntimeError(library.truevec_last_error().decode())
    width = library.truevec_dimension(model)

    def encode(texts):
        data = [text.encode() for text in texts]
        pointers = (ctypes.c_char_p * len(data))(*data)
        lengths = (ctypes.c_size_t * len(data))(*map(len, data))
        out = np.empty((len(data), width), np.float32)
        if library.truevec_embed(model, pointers, lengths, len(data), None, out.ctypes.data) != 0:
            raise RuntimeError(library.truevec_last_error().decode())
        return out
    return encode


def sentence_transformers(double=False, bfloat16=False, singly=False):
    import torch
    from sentence_transformers import SentenceTransformer
    torch.set_num_threads(THREADS)
    model = SentenceTransformer(MODEL, device="cpu",
                                model_kwargs={"dtype": torch.bfloat16 if bfloat16 else torch.float32})
    if double:
        model = model.double()
    if double or singly:
        return lambda texts: np.stack([model.encode(text, show_progress_bar=False) for text in texts])
    return lambda texts: model.encode(texts, batch_size=BATCH, show_progress_bar=False)


def onnxruntime(quantized):
    path = export_onnx()
    import onnxruntime as ort
    if quantized:
        from onnxruntime.quantization import quantize_dynamic
        target = CACHE / "model.int8.onnx"
        if not target.exists():
            quantize_dynamic(str(path), str(target))
        path = target
    options = ort.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    tokenized = Tokenized()

    def forward(rows):
        ids, mask = padded(rows)
        return session.run(None, {"input_ids": ids, "attention_mask": mask})[0]
    return lambda texts: tokenized.run(texts, forward)


def openvino(precision):
    path = export_onnx()
    import openvino as ov
    config = {"INFERENCE_NUM_THREADS": THREADS, "PERFORMANCE_HINT": "LATENCY"}
    if precision:
        config["INFERENCE_PRECISION_HINT"] = precision
    core = ov.Core()
    request = core.compile_model(core.read_model(str(path)), "CPU", config).create_infer_request()
    tokenized = Tokenized()

    def forward(rows):
        ids, mask = padded(rows)
        return request.infer({"input_ids": ids, "attention_mask": mask})["vectors"]
    return lambda texts: tokenized.run(texts, forward)


def ctranslate2(compute_type):
    import ctranslate2 as ct2
    target = CACHE / "ctranslate2"
    if not target.exists():
        from ctranslate2.converters import TransformersConverter
        TransformersConverter(MODEL).convert(str(target))
    encoder = ct2.Encoder(str(target), device="cpu", compute_type=compute_type, inter_threads=1, intra_threads=THREADS)
    tokenized, mode = Tokenized(), pooling_mode()
    if mode == "lasttoken":
        raise RuntimeError("CTranslate2 runs encoders here")

    def forward(rows):
        hidden = np.array(encoder.forward_batch(rows).last_hidden_state)
        if mode == "cls":
            return normalized(hidden[:, 0])
        mask = padded(rows)[1][:, :, None].astype(np.float32)
        return normalized((hidden * mask).sum(1) / mask.sum(1))
    return lambda texts: tokenized.run(texts, forward)


def vllm(dtype):
    os.environ.update(VLLM_CPU_OMP_THREADS_BIND="nobind", VLLM_CPU_KVCACHE_SPACE="1", VLLM_NO_USAGE_STATS="1",
                      VLLM_ENABLE_V1_MULTIPROCESSING="0")
    import torch
    from vllm import LLM
    torch.set_num_threads(THREADS)
    positions = json.loads(Path(MODEL, "config.json").read_text()).get("max_position_embeddings", 512)
    longest = {} if positions <= 4096 else {"max_model_len": 4096}  # else its cache of keys asks for gigabytes
    engine = LLM(MODEL, runner="pooling", dtype=dtype, enforce_eager=True, disable_log_stats=True, **longest)
    torch.set_num_threads(THREADS)
    tokenized = Tokenized()

    def encode(texts):
        prompts = [{"prompt_token_ids": ids} for ids in tokenized.ids(texts)]
        return np.array([out.outputs.embedding for out in engine.embed(prompts, use_tqdm=False)], np.float32)
    return encode


def model2vec():
    from model2vec import StaticModel
    model = StaticModel.from_pretrained(MODEL)
    return lambda texts: model.encode(texts, max_length=None, use_multiprocessing=False)


ENGINES = {
    "truevec": lambda: truevec("float32"),
    "truevec-bfloat16": lambda: truevec("bfloat16"),
    "truevec-int8": lambda: truevec("int8"),
    "reference": lambda: sentence_transformers(double=True),
    "reference-float32": lambda: sentence_transformers(singly=True),
    "sentence-transformers": sentence_transformers,
    "onnxruntime": lambda: onnxruntime(False),
    "onnxruntime-int8": lambda: onnxruntime(True),
    "openvino-f32": lambda: openvino("f32"),
    "openvino-default": lambda: openvino(None),
    "ctranslate2": lambda: ctranslate2("float32"),
    "ctranslate2-int8": lambda: ctranslate2("int8"),
    "sentence-transformers-bfloat16": lambda: sentence_transformers(bfloat16=True),
    "openvino-bfloat16": lambda: openvino("bf16"),
    "vllm": lambda: vllm("float32"),
    "vllm-bfloat16": lambda: vllm("bfloat16"),
    "model2vec": model2vec,
}


def memory():
    """Resident now, and at most."""
    with open("/proc/self/status", encoding="ascii") as file:
        lines = dict(line.split(":", 1) for line in file)
    return {"rss": int(lines["VmRSS"].split()[0]) * 1024, "peak": int(lines["VmHWM"].split()[0]) * 1024}


def main():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: a stopped process would outlive its parent
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not disturb the answers
    start = time.perf_counter()
    encode = ENGINES[ENGINE]()
    print(json.dumps({"load": time.perf_counter() - start}), file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        passes, walls = request.get("passes", 1), []
        cpu = time.process_time()
        for _ in range(passes):
            wall = time.perf_counter()
            vectors = encode(request["texts"])
            walls.append(time.perf_counter() - wall)
        cpu = time.process_time() - cpu
        if request.get("vectors"):
            np.save(request["vectors"], np.asarray(vectors, np.float32))
        print(json.dumps({"wall": walls, "cpu": cpu / passes, **memory()}), file=answers, flush=True)


main()
