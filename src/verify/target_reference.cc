// `reference`: Sentence Transformers through a Python child process, in float32 as the claim of equality needs it. One
// child for one comparison; JSON lines over its stdin and stdout.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <mutex>

#include "base/json.h"
#include "pipeline/pipeline.h"
#include "verify/dialect.h"
#include "verify/target.h"

namespace truevec {
namespace {

// Loads in float32, whatever the checkpoint's own dtype; the default dtype's worst error is part of `about`.
constexpr const char* kProgram = R"py(
import base64, json, os, sys
out = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
def send(value):
    out.write(json.dumps(value) + "\n")
    out.flush()
try:
    import numpy, sentence_transformers, tokenizers, torch, transformers
    path, prompt = sys.argv[1], json.loads(sys.argv[2])
    torch.set_grad_enabled(False)
    model = sentence_transformers.SentenceTransformer(path, device="cpu", model_kwargs={"dtype": torch.float32})
    stored = None
    try:
        stored = json.load(open(os.path.join(path, "config.json"))).get("dtype") or json.load(
            open(os.path.join(path, "config.json"))).get("torch_dtype")
    except OSError:
        pass
    send({"sentence_transformers": sentence_transformers.__version__, "transformers": transformers.__version__,
          "torch": torch.__version__, "tokenizers": tokenizers.__version__, "dtype": "float32", "stored_dtype": stored})
except Exception as error:
    send({"error": f"{type(error).__name__}: {error}"})
    sys.exit(1)
def encode(m, texts, **extra):
    return numpy.asarray(m.encode(texts, convert_to_numpy=True, show_progress_bar=False, **prompt, **extra), numpy.float32)
default = None
for line in sys.stdin:
    request = json.loads(line)
    try:
        if "layers" in request:
            transformer = model[0]
            features = model.preprocess([request["layers"]], **prompt) if hasattr(model, "preprocess") else model.tokenize([request["layers"]])
            keys = {k: v for k, v in features.items() if k in ("input_ids", "attention_mask", "token_type_ids")}
            states = transformer.auto_model(**keys, output_hidden_states=True).hidden_states
            names = ["embeddings"] + [f"layer.{i}.output" for i in range(len(states) - 1)]
            send({"layers": [[n, int(s.shape[-1]), base64.b64encode(s[0].float().numpy().astype("<f4").tobytes()).decode()]
                             for n, s in zip(names, states)]})
            continue
        if request.get("default_dtype"):
            if default is None:
                default = sentence_transformers.SentenceTransformer(path, device="cpu")
            vectors = encode(default, request["texts"])
        else:
            vectors = encode(model, request["texts"])
        send({"vectors": [base64.b64encode(v.astype("<f4").tobytes()).decode() for v in vectors]})
    except Exception as error:
        send({"error": f"{type(error).__name__}: {error}"})
)py";

constexpr const char* kInstall =
    "the reference needs Python with sentence-transformers: python3 -m venv reference && reference/bin/pip install "
    "sentence-transformers, then --python reference/bin/python (or TRUEVEC_PYTHON)";

class Child {
 public:
  ~Child() {
    if (fd_ >= 0) close(fd_);
    if (pid_ <= 0) return;
    kill(pid_, SIGTERM);
    waitpid(pid_, nullptr, 0);
  }
  Status Start(const std::string& python, const std::string& directory, const std::string& prompt) {
    std::array<int, 2> ends{};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
      return ResourceError(std::string("socketpair: ") + std::strerror(errno));
    }
    pid_ = fork();
    if (pid_ < 0) return ResourceError(std::string("fork: ") + std::strerror(errno));
    if (pid_ == 0) {
      dup2(ends[1], 0);
      dup2(ends[1], 1);
      execlp(python.c_str(), python.c_str(), "-c", kProgram, directory.c_str(), prompt.c_str(), nullptr);
      _exit(127);
    }
    close(ends[1]);
    fd_ = ends[0];
    return Status::Ok();
  }
  Status Send(const std::string& line) {
    for (size_t sent = 0; sent < line.size();) {
      const ssize_t n = send(fd_, line.data() + sent, line.size() - sent, MSG_NOSIGNAL);
      if (n <= 0) return EndpointError("reference: the Python process ended");
      sent += static_cast<size_t>(n);
    }
    return Status::Ok();
  }
  Result<std::string> Line() {
    for (;;) {
      if (const size_t end = buffer_.find('\n'); end != std::string::npos) {
        std::string line = buffer_.substr(0, end);
        buffer_.erase(0, end + 1);
        return line;
      }
      std::array<char, 65536> chunk{};
      const ssize_t n = read(fd_, chunk.data(), chunk.size());
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return EndpointError(std::string("reference: the Python process ended; ") + kInstall);
      buffer_.append(chunk.data(), static_cast<size_t>(n));
    }
  }

 private:
  pid_t pid_ = -1;
  int fd_ = -1;
  std::string buffer_;
};

class ReferenceTarget : public Target {
 public:
  Status Init(const std::string& directory, const PromptChoice& prompt, const std::string& python) {
    json::object how;
    if (prompt.prompt.has_value()) how["prompt"] = *prompt.prompt;
    if (prompt.prompt_name.has_value()) how["prompt_name"] = *prompt.prompt_name;
    TV_RETURN_IF_ERROR(child_.Start(python, directory, WriteJson(how)));
    TV_ASSIGN_OR_RETURN(const std::string line, child_.Line());
    TV_ASSIGN_OR_RETURN(const JsonFile file, JsonFile::Parse(line, "reference", Code::kEndpoint));
    if (file.root()["error"].is_string()) {
      const std::string message = file.root()["error"].String().value();
      const bool missing = message.find("ModuleNotFoundError") != std::string::npos;
      return EndpointError("reference: " + message + (missing ? std::string("; ") + kInstall : ""));
    }
    about_ = file.root().value().get_object();
    return Status::Ok();
  }
  std::string Description() const override { return "reference (Sentence Transformers, float32)"; }
  json::object About() const override { return about_; }
  Result<TargetReply> Embed(const std::vector<std::string>& texts, const AskOptions&) override {
    TV_ASSIGN_OR_RETURN(TargetReply reply, Ask(texts, false));
    MeasureDefault(texts, reply.vectors);
    return reply;
  }

  Result<std::vector<Layer>> Layers(const std::string& text) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    TV_RETURN_IF_ERROR(child_.Send(WriteJson(json::object{{"layers", text}}) + "\n"));
    TV_ASSIGN_OR_RETURN(const std::string line, child_.Line());
    TV_ASSIGN_OR_RETURN(const JsonFile file, JsonFile::Parse(line, "reference", Code::kEndpoint));
    TV_ASSIGN_OR_RETURN(const std::vector<JsonRef> rows, file.root()["layers"].Array());
    std::vector<Layer> layers;
    for (const JsonRef& row : rows) {
      Layer layer;
      TV_ASSIGN_OR_RETURN(layer.name, row.At(0).String());
      TV_ASSIGN_OR_RETURN(layer.width, row.At(1).Int());
      TV_ASSIGN_OR_RETURN(const std::string coded, row.At(2).String());
      TV_ASSIGN_OR_RETURN(const std::string bytes, DecodeBase64(coded));
      layer.values.resize(bytes.size() / sizeof(float));
      std::memcpy(layer.values.data(), bytes.data(), layer.values.size() * sizeof(float));
      layers.push_back(std::move(layer));
    }
    return layers;
  }

 private:
  Result<TargetReply> Ask(const std::vector<std::string>& texts, bool default_dtype) {
    json::array list;
    for (const std::string& text : texts) list.emplace_back(text);
    const std::lock_guard<std::mutex> lock(mutex_);
    TV_RETURN_IF_ERROR(child_.Send(WriteJson(json::object{{"texts", list}, {"default_dtype", default_dtype}}) + "\n"));
    TV_ASSIGN_OR_RETURN(const std::string line, child_.Line());
    TV_ASSIGN_OR_RETURN(const JsonFile file, JsonFile::Parse(line, "reference", Code::kEndpoint));
    if (file.root()["error"].is_string()) {
      return InputError("reference: " + file.root()["error"].String().value());
    }
    json::object answer = {{"data", file.root()["vectors"].value()}};
    return ReadEmbedAnswer(WriteJson(answer), "reference", texts.size());
  }
  // What Sentence Transformers' own choice of dtype would change, for checkpoints that are not float32.
  void MeasureDefault(const std::vector<std::string>& texts, const std::vector<Vector>& vectors) {
    const json::value* stored = about_.if_contains("stored_dtype");
    if (stored == nullptr || !stored->is_string() || stored->get_string() == "float32" || measured_ >= 8) return;
    ++measured_;
    const auto own = Ask(texts, true);
    if (!own.ok()) return;
    for (size_t i = 0; i < vectors.size(); ++i) {
      worst_ = std::max(worst_, CosineDistance(vectors[i], own->vectors[i]));
    }
    about_["default_dtype_cosine"] = 1 - worst_;
  }

  Child child_;
  std::mutex mutex_;
  json::object about_;
  int measured_ = 0;
  double worst_ = 0;
};

}  // namespace

Result<std::unique_ptr<Target>> MakeReferenceTarget(const std::string& directory, const PromptChoice& prompt,
                                                    const std::string& python) {
  auto target = std::make_unique<ReferenceTarget>();
  TV_RETURN_IF_ERROR(target->Init(directory, prompt, python.empty() ? "python3" : python));
  return std::unique_ptr<Target>(std::move(target));
}

}  // namespace truevec
