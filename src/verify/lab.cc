// Runs the engine with faults.
#include "verify/lab.h"

#include <algorithm>

#include "base/file.h"

namespace truevec {
namespace {

// Changes every "normalizer"/"pre_tokenizer" object of `type` below `node`.
void Visit(json::value* node, const std::function<void(json::object*)>& change) {
  if (node->is_object()) {
    change(&node->get_object());
    for (auto& member : node->get_object()) Visit(&member.value(), change);
  } else if (node->is_array()) {
    for (json::value& element : node->get_array()) Visit(&element, change);
  }
}

bool IsType(const json::object& object, std::string_view type) {
  const json::value* value = object.if_contains("type");
  return value != nullptr && value->is_string() && std::string_view(value->get_string()) == type;
}

// False when the file has nothing that the edit could change.
bool EditTokenizer(const std::string& edit, json::value* root) {
  bool changed = false;
  const auto set = [&](std::string_view type, std::string_view key, const json::value& value) {
    json::value* part = root->get_object().if_contains("normalizer");
    if (part == nullptr) return;
    Visit(part, [&](json::object* object) {
      if (IsType(*object, type)) {
        (*object)[key] = value;
        changed = true;
      }
    });
  };
  if (edit == "cased") {
    // strip_accents null follows lowercase, so it is pinned to what it was.
    set("BertNormalizer", "strip_accents", true);
    set("BertNormalizer", "lowercase", false);
  } else if (edit == "cased-accents") {
    set("BertNormalizer", "strip_accents", false);
    set("BertNormalizer", "lowercase", false);
  } else if (edit == "uncased") {
    set("BertNormalizer", "lowercase", true);
    set("BertNormalizer", "strip_accents", false);
  } else if (edit == "keep-accents") {
    set("BertNormalizer", "strip_accents", false);
  } else if (edit == "strip-accents") {
    set("BertNormalizer", "strip_accents", true);
  } else if (edit == "no-cjk") {
    set("BertNormalizer", "handle_chinese_chars", false);
  } else if (edit == "no-clean") {
    set("BertNormalizer", "clean_text", false);
  } else if (edit == "no-punctuation" || edit == "no-basic") {
    if (edit == "no-basic") set("BertNormalizer", "handle_chinese_chars", false);
    Visit(root, [&](json::object* object) {
      if (IsType(*object, "BertPreTokenizer")) {
        (*object)["type"] = "WhitespaceSplit";
        changed = true;
      }
    });
  } else if (edit == "plain-specials") {
    if (json::value* added = root->get_object().if_contains("added_tokens"); added != nullptr) {
      changed = added->is_array() && !added->get_array().empty();
      *added = json::array();
    }
  }
  return changed;
}

}  // namespace

std::vector<std::string> Lab::TokenizerEdits() {
  return {"cased",  "cased-accents", "uncased",        "keep-accents", "strip-accents",
          "no-cjk", "no-clean",      "no-punctuation", "no-basic",     "plain-specials"};
}

Result<std::unique_ptr<Lab>> Lab::Load(const std::string& directory, const SpecOptions& options,
                                       const PromptChoice& prompt, int threads) {
  auto lab = std::make_unique<Lab>();
  lab->directory_ = directory;
  lab->options_ = options;
  lab->prompt_ = prompt;
  TV_ASSIGN_OR_RETURN(lab->base_, Pipeline::Load(directory, options));
  if (lab->base_->labels() > 0 || lab->base_->dimension() == 0) {
    return UsageError(directory + ": verify compares dense embeddings; this is a " + lab->base_->spec().as + " model");
  }
  lab->pool_ = std::make_unique<ThreadPool>(threads > 0 ? threads : AvailableCpus());
  return lab;
}

Result<const Tokenizer*> Lab::EditedTokenizer(const std::string& edit) {
  if (const auto found = tokenizers_.find(edit); found != tokenizers_.end()) return found->second.get();
  tokenizers_[edit] = nullptr;
  TV_ASSIGN_OR_RETURN(const JsonFile file, JsonFile::Load(directory_ + "/tokenizer.json", "tokenizer.json"));
  json::value root = file.root().value();
  if (!root.is_object() || !EditTokenizer(edit, &root)) return static_cast<const Tokenizer*>(nullptr);
  // As AutoTokenizer: the file's own padding would be attended to.
  root.get_object()["padding"] = nullptr;
  root.get_object()["truncation"] = nullptr;
  TV_ASSIGN_OR_RETURN(const JsonFile edited, JsonFile::Parse(WriteJson(root), "tokenizer.json (" + edit + ")"));
  TV_ASSIGN_OR_RETURN(tokenizers_[edit], Tokenizer::FromJson(edited));
  return tokenizers_[edit].get();
}

Result<std::shared_ptr<const Pipeline>> Lab::EditedPipeline(const std::vector<const Fault*>& faults) {
  SpecOptions options = options_;
  std::string key;
  const auto add = [&](const std::string& name, const json::value& value) {
    options.overrides.Set(name, value);
    key += name + "=" + WriteJson(value) + "\n";
  };
  for (const Fault* fault : faults) {
    for (const auto& [name, value] : fault->spec) add(name, value);
    if (!fault->pooling.empty()) add("pooling", json::value(fault->pooling));
  }
  if (key.empty()) return base_;
  if (const auto found = pipelines_.find(key); found != pipelines_.end()) {
    if (found->second == nullptr) return ModelError("this model has no such setting");
    return found->second;
  }
  pipelines_[key] = nullptr;
  TV_ASSIGN_OR_RETURN(pipelines_[key], Pipeline::Load(directory_, options));
  return pipelines_[key];
}

Result<std::vector<EncodedText>> Lab::Encode(const std::string& original, const std::vector<const Fault*>& faults) {
  std::string text = original;
  EncodeTextOptions options;
  options.prompt = prompt_;
  std::string edit;
  for (const Fault* fault : faults) {
    if (fault->text) text = fault->text(text);
    if (fault->prompt.has_value()) options.prompt.prompt = fault->prompt;
    if (fault->max_length.has_value()) options.max_length = fault->max_length;
    if (!fault->tokenizer.empty()) edit = fault->tokenizer;
  }
  TV_ASSIGN_OR_RETURN(EncodedText encoded, base_->Encode(text, options));
  if (!edit.empty()) {
    TV_ASSIGN_OR_RETURN(const Tokenizer* tokenizer, EditedTokenizer(edit));
    if (tokenizer == nullptr) return ModelError("the tokenizer has no such setting");
    TV_ASSIGN_OR_RETURN(const std::string prompt, base_->ResolvePrompt(options.prompt));
    EncodeOptions how;
    how.truncation = Truncation{options.max_length.value_or(base_->max_length())};
    TV_ASSIGN_OR_RETURN(const Encoding encoding, tokenizer->Encode(prompt + text, std::nullopt, how));
    encoded.ids = encoding.ids;
    encoded.type_ids.clear();
  }
  std::vector<EncodedText> parts = {encoded};
  for (const Fault* fault : faults) {
    if (!fault->ids) continue;
    std::vector<EncodedText> next;
    for (const EncodedText& part : parts) {
      for (EncodedText& piece : fault->ids(part, base_->tokenizer())) next.push_back(std::move(piece));
    }
    parts = std::move(next);
  }
  std::erase_if(parts, [](const EncodedText& part) { return part.ids.empty(); });
  if (parts.empty()) parts.push_back(encoded);
  return parts;
}

Result<std::vector<Vector>> Lab::Run(const std::vector<std::string>& texts, const std::vector<const Fault*>& faults) {
  TV_ASSIGN_OR_RETURN(const std::shared_ptr<const Pipeline> pipeline, EditedPipeline(faults));
  std::vector<EncodedText> encoded;
  std::vector<size_t> owner;
  for (size_t i = 0; i < texts.size(); ++i) {
    TV_ASSIGN_OR_RETURN(std::vector<EncodedText> parts, Encode(texts[i], faults));
    for (EncodedText& part : parts) {
      encoded.push_back(std::move(part));
      owner.push_back(i);
    }
  }
  const int64_t width = pipeline->OutputWidth({});
  std::vector<Vector> out(texts.size(), Vector(static_cast<size_t>(width)));
  // Chunks are averaged by their length; a text of one part keeps the engine's bits.
  std::vector<float> total(texts.size());
  std::vector<int> parts(texts.size());
  for (const size_t text : owner) ++parts[text];
  Arena arena;
  const ExecContext context{pool_.get(), &arena, nullptr};
  constexpr size_t kBatch = 16;
  std::vector<float> buffer(kBatch * static_cast<size_t>(width));
  for (size_t first = 0; first < encoded.size(); first += kBatch) {
    std::vector<const EncodedText*> batch;
    for (size_t i = first; i < std::min(first + kBatch, encoded.size()); ++i) batch.push_back(&encoded[i]);
    const Matrix rows{buffer.data(), static_cast<int64_t>(batch.size()), width, width};
    TV_RETURN_IF_ERROR(pipeline->Embed(batch, {}, context, rows));
    arena.Reset();
    for (size_t i = 0; i < batch.size(); ++i) {
      const size_t text = owner[first + i];
      const float weight = parts[text] == 1 ? 1 : static_cast<float>(batch[i]->ids.size());
      total[text] += weight;
      for (size_t d = 0; d < out[text].size(); ++d) out[text][d] += weight * buffer[i * out[text].size() + d];
    }
  }
  for (size_t i = 0; i < texts.size(); ++i) {
    for (float& value : out[i]) value = parts[i] == 1 ? value : value / total[i];
  }
  for (const Fault* fault : faults) {
    if (!fault->output) continue;
    for (Vector& v : out) fault->output(&v);
  }
  return out;
}

Result<std::vector<int32_t>> Lab::Ids(const std::string& text) {
  EncodeTextOptions options;
  options.prompt = prompt_;
  TV_ASSIGN_OR_RETURN(EncodedText encoded, base_->Encode(text, options));
  return std::move(encoded.ids);
}

}  // namespace truevec
