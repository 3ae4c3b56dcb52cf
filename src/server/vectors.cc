#include "server/vectors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <map>

namespace truevec {
namespace {

// RFC 4648.
std::string Base64(std::string_view bytes) {
  constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    for (size_t k = 0; k < 3; ++k) {
      group = group << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    }
    for (size_t k = 0; k < 4; ++k) out += i + k <= bytes.size() ? kAlphabet[group >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

const char* PrecisionName(VectorFormat format) {
  switch (format) {
    case VectorFormat::kInt8:
      return "int8";
    case VectorFormat::kUInt8:
      return "uint8";
    case VectorFormat::kBinary:
      return "binary";
    default:
      return "ubinary";
  }
}

}  // namespace

VectorFormat FormatByName(std::string_view name) {
  if (name == "base64") return VectorFormat::kBase64;
  if (name == "int8") return VectorFormat::kInt8;
  if (name == "uint8") return VectorFormat::kUInt8;
  if (name == "binary") return VectorFormat::kBinary;
  if (name == "ubinary") return VectorFormat::kUBinary;
  return VectorFormat::kFloat;
}

size_t CountOf(const TaskResult& result) { return result.text_tokens.size(); }

std::span<const float> RowOf(const TaskResult& result, size_t text) {
  const auto width = static_cast<size_t>(result.width);
  const std::span<const float> values(result.values);
  if (result.offsets.empty()) return values.subspan(text * width, width);
  const auto begin = static_cast<size_t>(result.offsets[text]);
  const auto end = static_cast<size_t>(result.offsets[text + 1]);
  return values.subspan(begin * width, (end - begin) * width);
}

void AppendVector(std::string* out, std::span<const float> row) {
  *out += '[';
  for (size_t i = 0; i < row.size(); ++i) {
    if (i > 0) *out += ',';
    AppendFloat(out, row[i]);
  }
  *out += ']';
}

void AppendFormatted(std::string* out, const ServingModel& model, std::span<const float> row, VectorFormat format) {
  if (format == VectorFormat::kFloat) return AppendVector(out, row);
  if (format == VectorFormat::kBase64) {
    static_assert(std::endian::native == std::endian::little);
    *out += '"' + Base64({reinterpret_cast<const char*>(row.data()), row.size() * sizeof(float)}) + '"';
    return;
  }
  *out += '[';
  bool first = true;
  for (const int value : model.Quantized(row, PrecisionName(format))) {
    *out += (first ? "" : ",") + std::to_string(value);
    first = false;
  }
  *out += ']';
}

std::optional<ApiError> CheckFormat(const ServingModel& model, VectorFormat format, const EmbedOptions& embed) {
  if (format != VectorFormat::kInt8 && format != VectorFormat::kUInt8) return std::nullopt;
  const std::string name = PrecisionName(format);
  if (!model.calibrated()) {
    return ApiError{ErrorKind::kValue,
                    name + " vectors need the ranges of a calibration set: start the server with --calibration FILE"};
  }
  if (embed.truncate_dim.has_value()) {
    return ApiError{ErrorKind::kValue, name +
                                           " vectors cannot be combined with fewer dimensions: the calibration "
                                           "ranges are those of the whole vector"};
  }
  return std::nullopt;
}

std::optional<ApiError> SetDimensions(const ServingModel& model, std::optional<int64_t> dimensions,
                                      const std::string& field, EmbedOptions* embed) {
  if (!dimensions.has_value()) return std::nullopt;
  if (*dimensions < 1 || *dimensions > model.dimension()) {
    return ApiError{
        ErrorKind::kValue,
        field + ": expected 1 to " + std::to_string(model.dimension()) + ", got " + std::to_string(*dimensions), field};
  }
  embed->truncate_dim = dimensions;
  embed->normalize = true;
  return std::nullopt;
}

std::optional<ApiError> SetPromptName(const ServingModel& model, const std::string& name, const std::string& field,
                                      EncodeTextOptions* encode) {
  if (name.empty()) return std::nullopt;
  if (!model.HasPrompt(name)) {
    return ApiError{ErrorKind::kValue, field + ": the model has no prompt \"" + name + "\"", field};
  }
  encode->prompt.prompt_name = name;
  return std::nullopt;
}

void SetTask(const ServingModel& model, const std::string& name, EncodeTextOptions* encode) {
  if (name.ends_with("query")) {
    encode->prompt.task = "query";
  } else if (name.ends_with("document") || name.ends_with("passage")) {
    encode->prompt.task = "document";
  } else if (model.HasPrompt(name)) {
    encode->prompt.prompt_name = name;
  }
}

std::vector<Ranked> Rank(const std::vector<float>& scores, int64_t top) {
  std::vector<Ranked> ranked;
  for (size_t i = 0; i < scores.size(); ++i) ranked.push_back({i, scores[i]});
  std::stable_sort(ranked.begin(), ranked.end(), [](const Ranked& a, const Ranked& b) { return a.score > b.score; });
  if (top >= 0 && ranked.size() > static_cast<size_t>(top)) ranked.resize(static_cast<size_t>(top));
  return ranked;
}

void SubmitScores(const CallPtr& call, const ServedModel& served, ScoreRequest request, ScoreWriter write) {
  const ServingModel& model = *served.model;
  TaskRequest task;
  task.encode = request.encode;
  if (model.as() == "cross-encoder") {
    if (model.labels().size() != 1) {
      return call->Fail({ErrorKind::kWrongModel, "the model has " + std::to_string(model.labels().size()) +
                                                     " labels, not one score: use /predict"});
    }
    task.kind = TaskKind::kScore;
    task.score.raw = request.raw;
    for (auto& [query, document] : request.pairs) {
      task.texts.push_back({.text = std::move(query),
                            .pair = std::move(document),
                            .most_tokens = request.most_query_tokens,
                            .most_pair_tokens = request.most_document_tokens});
    }
    call->Submit(served, std::move(task),
                 [write = std::move(write)](const TaskResult& result) { return write(result.values, result); });
    return;
  }
  // Each distinct text once: a query with a thousand documents is computed once.
  task.kind = model.as() == "multi-vector" ? TaskKind::kMultiVector : TaskKind::kDense;
  EncodeTextOptions query = request.encode;
  query.prompt.task = "query";
  EncodeTextOptions document = request.encode;
  document.prompt = {std::nullopt, std::nullopt, "document"};
  std::map<std::pair<bool, std::string>, size_t> places;
  const auto place = [&](bool is_query, const std::string& text) {
    const auto [found, fresh] = places.try_emplace({is_query, text}, task.texts.size());
    if (fresh) {
      task.texts.push_back(
          {.text = text, .most_tokens = is_query ? request.most_query_tokens : request.most_document_tokens});
      task.encode_texts.push_back(is_query ? query : document);
    }
    return found->second;
  };
  std::vector<std::pair<size_t, size_t>> rows;
  for (const auto& [text, pair] : request.pairs) {
    const size_t first = place(true, text);
    rows.emplace_back(first, place(false, pair));
  }
  call->Submit(
      served, std::move(task),
      [write = std::move(write), rows = std::move(rows), model = served.model](const TaskResult& result) {
        std::vector<float> scores;
        for (const auto& [a, b] : rows) {
          scores.push_back(static_cast<float>(model->Similarity(RowOf(result, a), RowOf(result, b), result.width)));
        }
        return write(scores, result);
      });
}

json::object Usage(const TaskResult& result) {
  return {{"prompt_tokens", result.tokens}, {"total_tokens", result.tokens}};
}

}  // namespace truevec
