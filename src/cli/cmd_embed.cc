// truevec embed: texts to vectors, streaming in windows so that memory does not grow with the input.
#include <unistd.h>

#include <chrono>
#include <cstdio>

#include "cli/array_file.h"
#include "cli/command.h"
#include "cli/embed_variable.h"
#include "cli/model_path.h"
#include "cli/text_reader.h"
#include "cli/vector_writer.h"

namespace truevec::cli {
namespace {

// Texts sorted by length and packed together; bounds memory, and is large enough to fill batches well.
constexpr size_t kWindowTexts = 4096;
constexpr size_t kWindowBytes = size_t{8} << 20;

// "1234 texts, 5678 tokens/s" on a terminal, at most ten times a second.
class Progress {
 public:
  explicit Progress(bool enabled) : enabled_(enabled && isatty(STDERR_FILENO) != 0) {}
  ~Progress() {
    if (shown_) std::fputs("\r\x1b[K", stderr);
  }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void Update(int64_t texts, int64_t tokens) {
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    if (!enabled_ || seconds - last_ < 0.1) return;
    last_ = seconds;
    shown_ = true;
    std::fprintf(stderr, "\r\x1b[K%lld texts, %.0f tokens/s", static_cast<long long>(texts),
                 static_cast<double>(tokens) / seconds);
  }

 private:
  bool enabled_;
  bool shown_ = false;
  double last_ = 0;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

class EmbedCommand : public Command {
 public:
  std::string Name() const override { return "embed"; }
  std::string Description() const override { return "Vectors for texts"; }
  void Configure(CLI::App* app) override;
  Status Run(const CommonOptions& common) override;

 private:
  Status CheckUsage() const;
  Result<bool> FillWindow(TextReader* reader, std::vector<TextRecord>* window) const;
  Result<VectorFormat> Format() const;
  bool VariableLength() const { return token_embeddings_ || as_ == "sparse" || as_ == "multi-vector"; }
  Status RunVariable(TextReader* reader, const CommonOptions& common);
  Status EmbedWindow(const std::vector<TextRecord>& window, const std::string& source, VectorWriter* writer);

  std::string model_;
  std::vector<std::string> texts_;
  std::string input_;
  std::string output_ = "-";
  std::string as_;
  std::string on_long_ = "truncate";
  std::string precision_ = "float32";
  std::string calibration_;
  bool token_embeddings_ = false;
  int64_t max_active_ = 0;
  TextReader::Options columns_;
  EmbedParams params_;
  std::optional<std::string> pooling_;
  int normalize_ = 0;  // > 0: --normalize, < 0: --no-normalize
  std::shared_ptr<const Embedder> embedder_;
  EmbedStats stats_;
  int64_t done_ = 0;
};

void EmbedCommand::Configure(CLI::App* app) {
  app->add_option("MODEL", model_, "Model directory")->required();
  app->add_option("TEXT", texts_, "Texts; or give --input");
  app->add_option("--input", input_,
                  "File of texts, .txt (a text a line), .jsonl or .csv, also as .gz or .zst; - for stdin");
  app->add_option("--output", output_,
                  "File of vectors, .npy .npz .jsonl .csv .safetensors; - for JSON lines on stdout");
  app->add_option("--text-column", columns_.text_column,
                  "Member of a .jsonl record, or .csv column, that holds the text");
  app->add_option("--id-column", columns_.id_column, "Member or column that is written back as \"id\"");
  app->add_option("--prompt", params_.prompt, "Text put before every input");
  app->add_option("--prompt-name", params_.prompt_name, "One of the model's own prompts");
  app->add_option("--task", params_.task, "query or document: the model's prompt for it")
      ->check(CLI::IsMember({"query", "document"}));
  app->add_flag("--normalize,!--no-normalize", normalize_, "L2-normalise, or leave the model's Normalize out");
  app->add_option("--truncate-dim", params_.truncate_dim, "Keep the first N values")->check(CLI::PositiveNumber);
  app->add_option("--pooling", pooling_, "Pooling mode in place of the model's");
  app->add_option("--max-length", params_.max_length, "Tokens a text, specials included")->check(CLI::PositiveNumber);
  app->add_option("--on-long", on_long_, "truncate or error")->check(CLI::IsMember({"truncate", "error"}));
  app->add_option("--precision", precision_, "float32, int8, uint8, binary or ubinary")
      ->check(CLI::IsMember({"float32", "int8", "uint8", "binary", "ubinary"}));
  app->add_option("--calibration", calibration_, "float32 .npy whose ranges int8 and uint8 use");
  app->add_flag("--token-embeddings", token_embeddings_, "One vector per token, before pooling");
  app->add_option("--max-active-dims", max_active_, "Keep the N largest values of a sparse vector")
      ->check(CLI::PositiveNumber);
  app->add_option("--as", as_, "Which Sentence Transformers class loads a directory that does not say");
  app->add_option("--batch-tokens", params_.batch_tokens, "Tokens that run together")->check(CLI::PositiveNumber);
}

Status EmbedCommand::CheckUsage() const {
  if (!texts_.empty() && !input_.empty()) return UsageError("give texts or --input, not both");
  if (texts_.empty() && input_.empty()) return UsageError("no texts: give TEXT arguments or --input FILE");
  return Status::Ok();
}

Result<bool> EmbedCommand::FillWindow(TextReader* reader, std::vector<TextRecord>* window) const {
  window->clear();
  size_t bytes = 0;
  TextRecord record;
  while (window->size() < kWindowTexts && bytes < kWindowBytes) {
    TV_ASSIGN_OR_RETURN(const bool more, reader->Next(&record));
    if (!more) return false;
    bytes += record.text.size();
    window->push_back(std::move(record));
  }
  return true;
}

Status EmbedCommand::EmbedWindow(const std::vector<TextRecord>& window, const std::string& source,
                                 VectorWriter* writer) {
  const size_t width = embedder_->width(params_);
  std::vector<std::string_view> views(window.size());
  for (size_t i = 0; i < window.size(); ++i) views[i] = window[i].text;
  std::vector<float> vectors(window.size() * width);
  if (const Error error = embedder_->Embed(views, params_, vectors, &stats_); !error.ok()) {
    const std::string where =
        source.empty() ? "" : source + " (lines from " + std::to_string(window.front().line) + "): ";
    return FromError({error.code, where + error.message});
  }
  for (size_t i = 0; i < window.size(); ++i) {
    TV_RETURN_IF_ERROR(writer->Write(window[i].id, {vectors.data() + i * width, width}));
  }
  done_ += static_cast<int64_t>(window.size());
  return Status::Ok();
}

Result<VectorFormat> EmbedCommand::Format() const {
  VectorFormat format;
  TV_ASSIGN_OR_RETURN(format.precision, PrecisionByName(precision_));
  if (calibration_.empty()) return format;
  TV_ASSIGN_OR_RETURN(const FloatMatrix matrix, ReadNpy(calibration_));
  RangeCollector collector(matrix.cols);
  for (int64_t r = 0; r < matrix.rows; ++r) {
    collector.Add(std::span<const float>(matrix.values)
                      .subspan(static_cast<size_t>(r * matrix.cols), static_cast<size_t>(matrix.cols)));
  }
  TV_ASSIGN_OR_RETURN(format.ranges, collector.Finish());
  return format;
}

Status EmbedCommand::RunVariable(TextReader* reader, const CommonOptions& common) {
  if (precision_ != "float32") return UsageError("--precision is for one dense vector per text");
  if (params_.truncate_dim) return UsageError("--truncate-dim is for one dense vector per text");
  const bool multi_vector = as_ == "multi-vector" && !token_embeddings_;
  if (normalize_ < 0 || (normalize_ > 0 && !multi_vector)) {
    return UsageError("--normalize is for dense vectors and multi-vectors, --no-normalize for dense vectors");
  }
  TV_ASSIGN_OR_RETURN(const auto runner, PipelineRunner::Load(model_, common, as_, "dense"));
  VariableEmbed what;
  what.sparse = as_ == "sparse";
  what.multi_vector = multi_vector;
  what.normalize = normalize_ > 0;
  what.encode.prompt = {params_.prompt, params_.prompt_name, params_.task};
  what.encode.max_length = params_.max_length;
  what.encode.error_when_long = params_.error_when_long;
  what.max_active = max_active_;
  what.batch_tokens = params_.batch_tokens;
  std::vector<TextRecord> records;
  for (const std::string& text : texts_) records.push_back({text, {}, {}, 0});
  TextRecord record;
  while (reader != nullptr) {
    TV_ASSIGN_OR_RETURN(const bool more, reader->Next(&record));
    if (!more) break;
    records.push_back(std::move(record));
  }
  return EmbedVariableLength(*runner, what, records, output_);
}

Status EmbedCommand::Run(const CommonOptions& common) {
  TV_RETURN_IF_ERROR(CheckUsage());
  if (normalize_ != 0) params_.normalize = normalize_ > 0;
  params_.error_when_long = on_long_ == "error";
  CommonOptions options = common;
  if (pooling_) options.overrides.push_back("pooling=" + *pooling_);
  std::unique_ptr<TextReader> reader;
  if (!input_.empty()) {
    TV_ASSIGN_OR_RETURN(reader, TextReader::Open(input_, columns_));
  }
  TV_ASSIGN_OR_RETURN(const VectorFormat format, Format());
  if (as_.empty()) {
    // What modules.json says counts; a directory that does not say is dense.
    TV_ASSIGN_OR_RETURN(const SpecOptions spec_options, SpecOptionsFrom(options, "", "dense"));
    TV_ASSIGN_OR_RETURN(const std::string path, ResolveModelPath(model_, options));
    TV_ASSIGN_OR_RETURN(const ModelSpec spec, ResolveModelSpec(path, spec_options));
    as_ = spec.as;
  }
  if (VariableLength()) return RunVariable(reader.get(), options);
  TV_RETURN_IF_ERROR(LoadEmbedder(model_, options, as_, &embedder_));
  TV_ASSIGN_OR_RETURN(const std::unique_ptr<VectorWriter> writer,
                      VectorWriter::Create(output_, embedder_->width(params_), format));
  Progress progress(!common.quiet);
  std::vector<TextRecord> window;
  if (reader == nullptr) {
    for (const std::string& text : texts_) window.push_back({text, {}, {}, 0});
    TV_RETURN_IF_ERROR(EmbedWindow(window, "", writer.get()));
  }
  for (bool more = reader != nullptr; more;) {
    if (InterruptRequested()) return Interrupted();
    TV_ASSIGN_OR_RETURN(more, FillWindow(reader.get(), &window));
    if (!window.empty()) TV_RETURN_IF_ERROR(EmbedWindow(window, reader->name(), writer.get()));
    progress.Update(done_, stats_.tokens);
  }
  if (InterruptRequested()) return Interrupted();
  TV_RETURN_IF_ERROR(writer->Commit());
  if (stats_.truncated_texts > 0 && !common.quiet) {
    std::fprintf(stderr, "truevec: %lld of %lld texts were truncated to %lld tokens (%lld tokens lost)\n",
                 static_cast<long long>(stats_.truncated_texts), static_cast<long long>(done_),
                 static_cast<long long>(params_.max_length.value_or(embedder_->max_length())),
                 static_cast<long long>(stats_.truncated_tokens));
  }
  return Status::Ok();
}

}  // namespace

std::unique_ptr<Command> MakeEmbedCommand() { return std::make_unique<EmbedCommand>(); }

}  // namespace truevec::cli
