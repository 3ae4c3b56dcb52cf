#include "weights/lora.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <map>
#include <regex>
#include <set>

#include "base/config_reader.h"

namespace truevec {
namespace {

class MergedStore : public WeightStore {
 public:
  explicit MergedStore(std::shared_ptr<const WeightStore> base) : base_(std::move(base)) {}
  const WeightEntry* Find(std::string_view name) const override {
    const auto found = changed_.find(name);
    return found == changed_.end() ? base_->Find(name) : &found->second;
  }
  std::vector<std::string> Names() const override {
    std::vector<std::string> names = base_->Names();
    for (const auto& [name, entry] : changed_) names.push_back(name);
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return names;
  }
  std::string Description() const override { return base_->Description() + " with its adapter"; }
  void ReleasePages() const override { base_->ReleasePages(); }

  void Put(const std::string& name, const std::string& file, Shape shape, std::vector<float> values) {
    buffers_.push_back(std::make_unique<std::vector<float>>(std::move(values)));
    changed_[name] = WeightEntry{name, TensorView{buffers_.back()->data(), DType::kF32, std::move(shape)}, file};
  }

 private:
  std::shared_ptr<const WeightStore> base_;
  std::map<std::string, WeightEntry, std::less<>> changed_;
  std::vector<std::unique_ptr<std::vector<float>>> buffers_;
};

struct LoraConfig {
  int64_t rank = 8;
  double alpha = 8;
  std::vector<std::pair<std::string, int64_t>> rank_pattern;
  std::vector<std::pair<std::string, double>> alpha_pattern;
  bool rank_stabilized = false;
  bool fan_in_fan_out = false;
  bool dora = false;
};

// Options that say how the adapter was trained or is stored, not what its weights mean.
constexpr std::array<std::string_view, 22> kHarmless = {
    "peft_type",      "task_type",       "auto_mapping",        "base_model_name_or_path", "revision",
    "inference_mode", "peft_version",    "target_modules",      "exclude_modules",         "lora_dropout",
    "bias",           "modules_to_save", "layers_to_transform", "layers_pattern",          "loftq_config",
    "eva_config",     "corda_config",    "runtime_config",      "qalora_group_size",       "ensure_weight_tying",
    "lora_ga_config", "velora_config"};
// Options that change the meaning when set.
constexpr std::array<std::string_view, 10> kUnsupported = {"layer_replication",
                                                           "megatron_config",
                                                           "trainable_token_indices",
                                                           "alora_invocation_tokens",
                                                           "use_qalora",
                                                           "target_parameters",
                                                           "arrow_config",
                                                           "use_bdlora",
                                                           "monteclora_config",
                                                           "aux_loss_config"};

bool IsEmpty(const JsonRef& ref) {
  if (!ref.present() || ref.is_null()) return true;
  if (ref.is_bool()) return !ref.Bool().value();
  return (ref.is_array() || ref.is_object()) && ref.size() == 0;
}

bool IsFloating(DType type) {
  return type == DType::kF32 || type == DType::kF16 || type == DType::kBF16 || type == DType::kF64;
}

// Initialisations that also change the base's weights, which the adapter's file does not hold.
Status CheckInitialisation(const JsonRef& init) {
  if (!init.is_string()) return Status::Ok();
  const std::string name = init.String().value();
  for (const std::string_view known : {"gaussian", "eva", "orthogonal"}) {
    if (name == known) return Status::Ok();
  }
  return ModelError(init.Where() + ": \"" + name +
                    "\" changes the base's weights when it is loaded; convert the adapter to plain LoRA or merge it");
}

Result<LoraConfig> ReadConfig(const JsonRef& json) {
  TV_RETURN_IF_ERROR(json.ExpectObject());
  ConfigReader reader(json, nullptr, nullptr, "peft LoraConfig");
  LoraConfig config;
  TV_ASSIGN_OR_RETURN(const std::string type, reader.String({"peft_type"}));
  if (type != "LORA") return reader.Refuse("peft_type", "only LORA is supported, got \"" + type + "\"");
  TV_ASSIGN_OR_RETURN(config.rank, reader.IntIn({"r"}, 1, 1 << 16, 8));
  TV_ASSIGN_OR_RETURN(config.alpha, reader.Double({"lora_alpha"}, 8.0));
  TV_ASSIGN_OR_RETURN(config.rank_stabilized, reader.Bool({"use_rslora"}, false));
  TV_ASSIGN_OR_RETURN(config.fan_in_fan_out, reader.Bool({"fan_in_fan_out"}, false));
  TV_ASSIGN_OR_RETURN(config.dora, reader.Bool({"use_dora"}, false));
  TV_RETURN_IF_ERROR(reader.Bool({"lora_bias"}, false).status());
  const JsonRef ranks = reader.Raw({"rank_pattern"});
  for (const std::string& key : ranks.Keys()) {
    TV_ASSIGN_OR_RETURN(const int64_t rank, ranks[key].Int());
    config.rank_pattern.emplace_back(key, rank);
  }
  const JsonRef alphas = reader.Raw({"alpha_pattern"});
  for (const std::string& key : alphas.Keys()) {
    TV_ASSIGN_OR_RETURN(const double alpha, alphas[key].Double());
    config.alpha_pattern.emplace_back(key, alpha);
  }
  TV_RETURN_IF_ERROR(CheckInitialisation(reader.Raw({"init_lora_weights"})));
  for (const std::string_view key : kHarmless) reader.Ignore({key});
  for (const std::string& key : reader.UnreadKeys()) {
    // megatron_core is only a module path, kept beside megatron_config.
    if (key == "megatron_core" || IsEmpty(json[key])) continue;
    const bool known = std::find(kUnsupported.begin(), kUnsupported.end(), key) != kUnsupported.end();
    return reader.Refuse(key, known ? "not supported" : "unknown option of LoRA that could change vectors");
  }
  return config;
}

// peft's get_pattern_key: the first pattern that matches the end of a module's name, from a dot on.
template <typename T>
Result<T> ByPattern(const std::vector<std::pair<std::string, T>>& patterns, const std::string& module, T fallback) {
  for (const auto& [pattern, value] : patterns) {
    if (pattern.size() > 256) return ModelError("adapter_config.json: pattern \"" + pattern + "\" is too long");
    try {
      if (std::regex_match(module, std::regex("(.*\\.)?(" + pattern + ")"))) return value;
    } catch (const std::regex_error&) {
      return ModelError("adapter_config.json: \"" + pattern + "\" is no regular expression that truevec can read");
    }
  }
  return fallback;
}

Result<std::vector<double>> Values(const WeightEntry& entry) {
  if (!IsFloating(entry.view.dtype)) {
    return ModelError(entry.file + ": tensor " + entry.name + ": expected a floating type, got " +
                      std::string(DTypeName(entry.view.dtype)));
  }
  const std::vector<float> values = ToFloat(entry.view);
  return std::vector<double>(values.begin(), values.end());
}

// One adapted module's tensors, by what follows its name: "lora_A.weight", "lora_embedding_B", ...
using Parts = std::map<std::string, const WeightEntry*, std::less<>>;

class Merger {
 public:
  Merger(std::shared_ptr<const WeightStore> base, const WeightStore& adapter, LoraConfig config)
      : base_(base), adapter_(adapter), config_(std::move(config)), store_(std::make_shared<MergedStore>(base)) {}

  Result<std::shared_ptr<const WeightStore>> Run() {
    std::map<std::string, Parts> modules;
    for (const std::string& name : adapter_.Names()) {
      const std::string_view key = WithoutWrappers(name);
      const size_t at = key.find(".lora_");
      if (at != std::string_view::npos) {
        std::string part(key.substr(at + 1));
        if (part.ends_with(".default")) part.resize(part.size() - 8);  // an adapter's name left in the key
        modules[std::string(key.substr(0, at))][part] = adapter_.Find(name);
      } else {
        TV_RETURN_IF_ERROR(Replace(std::string(key), *adapter_.Find(name)));
      }
    }
    if (modules.empty()) return ModelError(adapter_.Description() + ": has no LoRA tensors");
    for (const auto& [module, parts] : modules) TV_RETURN_IF_ERROR(Merge(module, parts));
    return std::shared_ptr<const WeightStore>(store_);
  }

 private:
  static std::string_view WithoutWrappers(std::string_view name) {
    constexpr std::string_view kPrefix = "base_model.model.";
    if (name.starts_with(kPrefix)) name.remove_prefix(kPrefix.size());
    return name;
  }

  // The base's name for `key`: itself, or the only one that ends in it or that it ends in, from a dot on.
  Result<std::string> BaseName(const std::string& key) const {
    if (store_->Find(key) != nullptr) return key;
    std::vector<std::string> found;
    for (const std::string& name : base_->Names()) {
      if (name.ends_with("." + key) || key.ends_with("." + name)) found.push_back(name);
    }
    if (found.size() == 1) return found.front();
    return ModelError(
        adapter_.Description() + ": " + key + ": the base has " +
        (found.empty() ? "no such tensor" : std::to_string(found.size()) + " tensors that it could mean"));
  }

  // Whole tensors: biases, modules_to_save, resized embeddings.
  Status Replace(std::string key, const WeightEntry& entry) {
    for (const std::string_view inner : {".base_layer.", ".modules_to_save.default.", ".modules_to_save."}) {
      if (const size_t at = key.find(inner); at != std::string::npos) key.replace(at, inner.size(), ".");
    }
    if (key.find("trainable_tokens") != std::string::npos || key.find("token_adapter") != std::string::npos) {
      return ModelError(entry.file + ": tensor " + entry.name + ": trainable tokens are not supported");
    }
    TV_ASSIGN_OR_RETURN(const std::vector<double> values, Values(entry));
    const Result<std::string> name = BaseName(key);
    // A head that the base does not have is new; anything else must fit what it replaces.
    if (name.ok()) {
      const Shape& old = store_->Find(*name)->view.shape;
      const bool rows_may_grow = old.size() == 2 && entry.view.shape.size() == 2 && old[1] == entry.view.shape[1];
      if (old != entry.view.shape && !rows_may_grow) {
        return ModelError(entry.file + ": tensor " + entry.name + ": expected shape " + ShapeText(old) + ", got " +
                          ShapeText(entry.view.shape));
      }
    }
    store_->Put(name.ok() ? *name : key, entry.file, entry.view.shape,
                std::vector<float>(values.begin(), values.end()));
    return Status::Ok();
  }

  Status Merge(const std::string& module, const Parts& parts) {
    const bool embedding = parts.contains("lora_embedding_A");
    const std::string a_name = embedding ? "lora_embedding_A" : "lora_A.weight";
    const std::string b_name = embedding ? "lora_embedding_B" : "lora_B.weight";
    std::set<std::string, std::less<>> known = {a_name, b_name, "lora_B.bias", "lora_magnitude_vector",
                                                "lora_magnitude_vector.weight"};
    for (const auto& [part, entry] : parts) {
      if (!known.contains(part)) return ModelError(entry->file + ": tensor " + entry->name + ": not supported");
    }
    if (!parts.contains(a_name) || !parts.contains(b_name)) {
      return ModelError(adapter_.Description() + ": " + module + ": expected " + a_name + " and " + b_name);
    }
    const WeightEntry& a = *parts.at(a_name);
    const WeightEntry& b = *parts.at(b_name);
    if (a.view.shape.size() != 2 || b.view.shape.size() != 2 || a.view.shape[0] != b.view.shape[1]) {
      return ModelError(a.file + ": " + module + ": LoRA matrices of shapes " + ShapeText(a.view.shape) + " and " +
                        ShapeText(b.view.shape) +
                        " cannot be multiplied; only linear and embedding layers are supported");
    }
    TV_ASSIGN_OR_RETURN(const double scale, Scale(module, a));
    TV_ASSIGN_OR_RETURN(const std::string name, BaseName(module + ".weight"));
    TV_RETURN_IF_ERROR(MergeWeight(name, a, b, scale, embedding || config_.fan_in_fan_out, parts));
    return MergeBias(name, parts, scale);
  }

  Result<double> Scale(const std::string& module, const WeightEntry& a) const {
    TV_ASSIGN_OR_RETURN(const int64_t rank, ByPattern(config_.rank_pattern, module, config_.rank));
    TV_ASSIGN_OR_RETURN(const double alpha, ByPattern(config_.alpha_pattern, module, config_.alpha));
    if (rank != a.view.shape[0]) {
      return ModelError(a.file + ": tensor " + a.name + ": expected rank " + std::to_string(rank) +
                        " (adapter_config.json), got " + std::to_string(a.view.shape[0]));
    }
    return alpha / (config_.rank_stabilized ? std::sqrt(static_cast<double>(rank)) : static_cast<double>(rank));
  }

  // weight [out, in] += scale * B A, transposed when the weight lies as [in, out] (Conv1D) or [vocabulary, width].
  Status MergeWeight(const std::string& name, const WeightEntry& a, const WeightEntry& b, double scale, bool transposed,
                     const Parts& parts) {
    const WeightEntry& base = *store_->Find(name);
    const int64_t rank = a.view.shape[0];
    const int64_t in = a.view.shape[1];
    const int64_t out = b.view.shape[0];
    const Shape wanted = transposed ? Shape{in, out} : Shape{out, in};
    if (base.view.shape != wanted) {
      return ModelError(a.file + ": tensor " + a.name + ": the base's " + name + " has shape " +
                        ShapeText(base.view.shape) + ", the adapter needs " + ShapeText(wanted));
    }
    TV_ASSIGN_OR_RETURN(std::vector<double> weight, Values(base));
    TV_ASSIGN_OR_RETURN(const std::vector<double> av, Values(a));
    TV_ASSIGN_OR_RETURN(const std::vector<double> bv, Values(b));
    std::vector<double> row(static_cast<size_t>(in));
    const WeightEntry* magnitude = nullptr;
    for (const char* key : {"lora_magnitude_vector", "lora_magnitude_vector.weight"}) {
      if (const auto found = parts.find(key); found != parts.end()) magnitude = found->second;
    }
    std::vector<double> norms;
    if (magnitude != nullptr) {
      TV_ASSIGN_OR_RETURN(norms, Values(*magnitude));
    }
    if ((magnitude != nullptr) != config_.dora || (magnitude != nullptr && norms.size() != static_cast<size_t>(out))) {
      return ModelError(a.file + ": " + name + ": use_dora and the magnitude vectors do not agree");
    }
    for (int64_t o = 0; o < out; ++o) {
      std::fill(row.begin(), row.end(), 0.0);
      for (int64_t k = 0; k < rank; ++k) {
        const double factor = scale * bv[static_cast<size_t>(o * rank + k)];
        const double* from = av.data() + k * in;
        for (int64_t i = 0; i < in; ++i) row[static_cast<size_t>(i)] += factor * from[i];
      }
      const auto at = [&](int64_t i) { return static_cast<size_t>(transposed ? i * out + o : o * in + i); };
      double square = 0;
      for (int64_t i = 0; i < in; ++i) {
        double& w = weight[at(i)];
        w += row[static_cast<size_t>(i)];
        square += w * w;
      }
      if (magnitude == nullptr) continue;
      const double factor = norms[static_cast<size_t>(o)] / std::sqrt(square);
      for (int64_t i = 0; i < in; ++i) weight[at(i)] *= factor;
    }
    store_->Put(name, base.file, wanted, std::vector<float>(weight.begin(), weight.end()));
    return Status::Ok();
  }

  Status MergeBias(const std::string& weight_name, const Parts& parts, double scale) {
    const auto found = parts.find("lora_B.bias");
    if (found == parts.end()) return Status::Ok();
    const std::string name = weight_name.substr(0, weight_name.size() - std::string_view("weight").size()) + "bias";
    const WeightEntry* bias = store_->Find(name);
    if (bias == nullptr || bias->view.shape != found->second->view.shape) {
      return ModelError(found->second->file + ": tensor " + found->second->name +
                        ": the base has no bias of its shape");
    }
    TV_ASSIGN_OR_RETURN(std::vector<double> values, Values(*bias));
    TV_ASSIGN_OR_RETURN(const std::vector<double> more, Values(*found->second));
    for (size_t i = 0; i < values.size(); ++i) values[i] += scale * more[i];
    store_->Put(name, bias->file, bias->view.shape, std::vector<float>(values.begin(), values.end()));
    return Status::Ok();
  }

  std::shared_ptr<const WeightStore> base_;
  const WeightStore& adapter_;
  LoraConfig config_;
  std::shared_ptr<MergedStore> store_;
};

}  // namespace

Result<std::shared_ptr<const WeightStore>> MergeLora(std::shared_ptr<const WeightStore> base,
                                                     const WeightStore& adapter, const JsonRef& config) {
  TV_ASSIGN_OR_RETURN(LoraConfig read, ReadConfig(config));
  return Merger(std::move(base), adapter, std::move(read)).Run();
}

}  // namespace truevec
