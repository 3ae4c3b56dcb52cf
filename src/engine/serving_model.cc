#include "engine/serving_model.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "pipeline/inspect.h"
#include "pipeline/similarity.h"

namespace truevec {
namespace {

// config.json's id2label; a model directory without one has numbered labels, as transformers names them.
std::vector<std::string> ReadLabels(const std::string& path, int64_t count) {
  std::vector<std::string> labels;
  for (int64_t i = 0; i < count; ++i) labels.push_back("LABEL_" + std::to_string(i));
  const std::string file = path + "/config.json";
  std::error_code ignored;
  if (count == 0 || !std::filesystem::is_regular_file(file, ignored)) return labels;
  const auto config = JsonFile::Load(file, "config.json");
  if (!config.ok()) return labels;
  for (int64_t i = 0; i < count; ++i) {
    const JsonRef name = config->root()["id2label"][std::to_string(i)];
    if (name.is_string()) labels[static_cast<size_t>(i)] = name.String().value();
  }
  return labels;
}

// The template in the folder of the first module that has one.
Result<ChatTemplate> ReadChat(const std::string& path, const ModelSpec& spec) {
  for (const ModuleSpec& module : spec.modules) {
    ChatConfig config;
    const JsonRef format = module.Config()["modality_config"]["message"]["format"];
    if (format.is_string()) config.format = format.String().value();
    auto chat = ChatTemplate::Load(module.path.empty() ? path : path + "/" + module.path, spec.architecture, config);
    if (chat.ok()) return chat;
    if (module.type == "Transformer")
      return UsageError("the model has no chat template that can be used: " + chat.status().message());
  }
  return UsageError("the model has no chat template");
}

std::string Slice(std::string_view text, std::pair<int32_t, int32_t> bytes) {
  const auto begin = static_cast<size_t>(bytes.first);
  const auto end = static_cast<size_t>(bytes.second);
  return begin <= end && end <= text.size() ? std::string(text.substr(begin, end - begin)) : std::string();
}

double Norm(const float* row, int64_t width) {
  double sum = 0;
  for (int64_t i = 0; i < width; ++i) sum += static_cast<double>(row[i]) * static_cast<double>(row[i]);
  return std::sqrt(sum);
}

// Euclidean norms of every token's row, for each intermediate that has one row a token.
class NormTrace : public Trace {
 public:
  explicit NormTrace(int64_t tokens) : tokens_(tokens) {}
  void Record(std::string_view name, ConstMatrix values) override {
    if (values.rows != tokens_) return;
    json::array norms;
    for (int64_t i = 0; i < values.rows; ++i) norms.push_back(Norm(values.row(i), values.cols));
    layers_.push_back(json::object{{"name", name}, {"norms", std::move(norms)}});
  }
  json::array Take() { return std::move(layers_); }

 private:
  int64_t tokens_;
  json::array layers_;
};

}  // namespace

Result<std::shared_ptr<const ServingModel>> ServingModel::Load(const std::string& path, const LoadParams& params) {
  return Load(path, params, {}, 0);
}

Result<std::shared_ptr<const ServingModel>> ServingModel::Load(const std::string& path, const LoadParams& params,
                                                               std::span<const float> calibration, int64_t width) {
  SpecOptions options;
  TV_ASSIGN_OR_RETURN(options.overrides, Overrides::Parse(params.overrides));
  TV_ASSIGN_OR_RETURN(options.compute_type, ComputeTypeByName(params.dtype));
  options.as = params.as;
  options.packed_cache.directory = params.packed_cache;
  std::shared_ptr<ServingModel> model(new ServingModel());
  TV_ASSIGN_OR_RETURN(model->pipeline_, Pipeline::Load(path, options, &model->report_));
  model->labels_ = ReadLabels(path, model->pipeline_->labels());
  model->chat_ = ReadChat(path, model->report_.spec);
  model->fingerprint_ = model->report_.spec.fingerprint();
  model->dtype_ = params.dtype;
  if (!calibration.empty()) {
    if (width != model->dimension()) {
      return InputError("the calibration vectors have " + std::to_string(width) + " values, the model's " +
                        std::to_string(model->dimension()));
    }
    RangeCollector collector(width);
    for (size_t i = 0; i + static_cast<size_t>(width) <= calibration.size(); i += static_cast<size_t>(width)) {
      collector.Add(calibration.subspan(i, static_cast<size_t>(width)));
    }
    TV_ASSIGN_OR_RETURN(model->ranges_, collector.Finish());
  }
  return std::shared_ptr<const ServingModel>(std::move(model));
}

std::shared_ptr<const ServingModel> ServingModel::Wrap(std::shared_ptr<const Pipeline> pipeline, LoadReport report) {
  std::shared_ptr<ServingModel> model(new ServingModel());
  model->pipeline_ = std::move(pipeline);
  model->report_ = std::move(report);
  model->labels_ = ReadLabels("", model->pipeline_->labels());
  model->fingerprint_ = model->report_.spec.fingerprint();
  return model;
}

bool ServingModel::HasPrompt(std::string_view name) const { return report_.spec.prompts.contains(std::string(name)); }

std::vector<int> ServingModel::Quantized(std::span<const float> row, std::string_view precision) const {
  const auto type = PrecisionByName(precision);
  TV_CHECK(type.ok() && *type != Precision::kFloat32);
  TV_CHECK(!NeedsRanges(*type) || calibrated());
  std::vector<uint8_t> bytes(static_cast<size_t>(QuantizedBytes(*type, static_cast<int64_t>(row.size()))));
  Quantize(*type, row, ranges_.value_or(QuantizationRanges{}), bytes.data());
  const bool is_signed = *type == Precision::kInt8 || *type == Precision::kBinary;
  std::vector<int> values;
  for (const uint8_t byte : bytes) values.push_back(is_signed ? static_cast<int>(static_cast<int8_t>(byte)) : byte);
  return values;
}

double ServingModel::Similarity(std::span<const float> a, std::span<const float> b, int64_t width) const {
  if (as() != "multi-vector") return VectorSimilarity(truevec::Similarity::kCosine, a.data(), b.data(), width);
  const auto matrix = [width](std::span<const float> rows) {
    return ConstMatrix(rows.data(), static_cast<int64_t>(rows.size()) / width, width, width);
  };
  const auto own = SimilarityByName(similarity());
  const bool mean = own.ok() && *own == truevec::Similarity::kMeanMaxSim;
  return MultiVectorSimilarity(mean ? truevec::Similarity::kMeanMaxSim : truevec::Similarity::kMaxSim, matrix(a),
                               matrix(b));
}

json::object ServingModel::InspectJson() const { return InspectToJson(report_); }

json::value ServingModel::Setting(std::string_view key) const {
  const auto* setting = report_.spec.settings.Find(key);
  return setting == nullptr ? json::value() : setting->value;
}

Result<std::vector<TokenView>> ServingModel::Tokenize(std::string_view text, bool add_special_tokens,
                                                      int64_t max_length) const {
  if (!pipeline_->has_tokenizer()) return UsageError("this model has no tokenizer");
  EncodeOptions options;
  options.add_special_tokens = add_special_tokens;
  options.details = true;
  options.truncation = Truncation{.max_length = max_length, .side = pipeline_->tokenizer().truncation_side()};
  TV_ASSIGN_OR_RETURN(const Encoding encoding, pipeline_->tokenizer().Encode(text, std::nullopt, options));
  std::vector<TokenView> tokens;
  for (size_t i = 0; i < encoding.ids.size(); ++i) {
    TokenView token;
    token.id = encoding.ids[i];
    token.special = encoding.special_tokens_mask[i] != 0;
    if (token.special) {
      token.text = encoding.tokens[i];
    } else {
      token.text = Slice(text, encoding.byte_offsets[i]);
      token.begin = encoding.offsets[i].first;
      token.end = encoding.offsets[i].second;
    }
    tokens.push_back(std::move(token));
  }
  return tokens;
}

Result<std::string> ServingModel::CutToTokens(std::string_view text, int64_t tokens) const {
  if (!pipeline_->has_tokenizer()) return UsageError("this model has no tokenizer");
  EncodeOptions options;
  options.add_special_tokens = false;
  options.details = true;
  options.truncation = Truncation{};
  TV_ASSIGN_OR_RETURN(const Encoding encoding, pipeline_->tokenizer().Encode(text, std::nullopt, options));
  if (static_cast<int64_t>(encoding.ids.size()) <= tokens) return std::string(text);
  return std::string(
      text.substr(0, static_cast<size_t>(encoding.byte_offsets[static_cast<size_t>(tokens - 1)].second)));
}

Result<EncodedText> ServingModel::EncodeAlone(std::string_view text, bool special_tokens,
                                              const EncodeTextOptions& options) const {
  if (!pipeline_->has_tokenizer() || as() == "multi-vector") {
    return UsageError("add_special_tokens and messages: not possible with this model");
  }
  TV_ASSIGN_OR_RETURN(const std::string prompt, pipeline_->ResolvePrompt(options.prompt));
  EncodeOptions how;
  how.add_special_tokens = special_tokens;
  how.truncation = Truncation{.max_length = options.max_length.value_or(max_length()),
                              .side = options.truncation_side.value_or(pipeline_->tokenizer().truncation_side())};
  TV_ASSIGN_OR_RETURN(Encoding encoding, pipeline_->tokenizer().Encode(prompt + std::string(text), std::nullopt, how));
  EncodedText encoded;
  encoded.ids = std::move(encoding.ids);
  const auto& types = encoding.type_ids;
  if (std::any_of(types.begin(), types.end(), [](int32_t type) { return type != 0; })) encoded.type_ids = types;
  encoded.truncated_tokens = encoding.truncated_tokens;
  encoded.task = options.prompt.task;
  if (encoded.ids.empty()) return InputError("the text has no tokens");
  return encoded;
}

Result<std::string> ServingModel::RenderChat(const json::array& messages, const json::object& variables) const {
  if (!chat_.ok()) return chat_.status();
  return chat_->RenderMessages(messages, variables);
}

Status ServingModel::CheckIds(const std::vector<int32_t>& ids) const {
  if (!pipeline_->has_tokenizer()) return UsageError("this model has no tokenizer");
  const int32_t last = pipeline_->tokenizer().max_id();
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] < 0 || ids[i] > last) {
      return InputError("[" + std::to_string(i) + "]: expected a token id from 0 to " + std::to_string(last) +
                        ", got " + std::to_string(ids[i]));
    }
  }
  return Status::Ok();
}

Result<std::string> ServingModel::Decode(const std::vector<int32_t>& ids, bool skip_special_tokens) const {
  TV_RETURN_IF_ERROR(CheckIds(ids));
  return pipeline_->tokenizer().Decode(ids, skip_special_tokens);
}

Result<json::object> Explain(const ServingModel& model, std::string_view text, const EncodeTextOptions& options,
                             const EmbedOptions& embed, ThreadPool* pool) {
  const Pipeline& pipeline = model.pipeline();
  TV_ASSIGN_OR_RETURN(const std::string prompt, pipeline.ResolvePrompt(options.prompt));
  TV_ASSIGN_OR_RETURN(const EncodedText encoded, pipeline.Encode(text, options));
  const int64_t limit = options.max_length.value_or(model.max_length());
  json::object result{{"text", text},
                      {"bytes", text.size()},
                      {"prompt", prompt},
                      {"fed", prompt + std::string(text)},
                      {"ids", json::array(encoded.ids.begin(), encoded.ids.end())},
                      {"max_length", limit},
                      {"truncated_tokens", encoded.truncated_tokens}};
  if (pipeline.has_tokenizer()) {
    TV_ASSIGN_OR_RETURN(const auto tokens, model.Tokenize(prompt + std::string(text), true, limit));
    json::array list;
    for (const TokenView& token : tokens) {
      list.push_back(json::object{{"id", token.id},
                                  {"text", token.text},
                                  {"special", token.special},
                                  {"begin", token.begin},
                                  {"end", token.end}});
    }
    result["tokens"] = std::move(list);
  }
  NormTrace trace(static_cast<int64_t>(encoded.ids.size()));
  Arena arena;
  const ExecContext context{pool, &arena, &trace};
  const EncodedText* const batch[] = {&encoded};
  if (model.gives_vectors()) {
    const int64_t width = pipeline.OutputWidth(embed);
    std::vector<float> vector(static_cast<size_t>(width));
    TV_RETURN_IF_ERROR(pipeline.Embed(batch, embed, context, {vector.data(), 1, width, width}));
    json::array values;
    for (const float value : vector) values.push_back(value);
    result["norm"] = Norm(vector.data(), width);
    result["vector"] = std::move(values);
  }
  result["layers"] = trace.Take();
  result["fingerprint"] = model.fingerprint();
  return result;
}

}  // namespace truevec
