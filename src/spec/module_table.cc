#include "spec/module_table.h"

#include <array>
#include <vector>

#include "spec/model_spec.h"

namespace truevec {
namespace {

constexpr std::string_view kTransformerConfigs =
    "sentence_bert_config.json sentence_roberta_config.json sentence_distilbert_config.json "
    "sentence_camembert_config.json sentence_albert_config.json sentence_xlm-roberta_config.json "
    "sentence_xlnet_config.json";
constexpr std::string_view kImages = "encodes images; truevec is a text engine";

constexpr std::array<ModuleType, 24> kTypes = {{
    {"Transformer", "", kTransformerConfigs, ""},
    {"MLMTransformer", "", kTransformerConfigs, ""},
    {"Pooling", "", "config.json", ""},
    {"Dense", "", "config.json", ""},
    {"Normalize", "", "config.json", ""},
    {"LayerNorm", "", "config.json", ""},
    {"Dropout", "", "config.json", ""},
    {"WeightedLayerPooling", "", "config.json", ""},
    {"WordWeights", "", "config.json", ""},
    {"WordEmbeddings", "", "wordembedding_config.json", ""},
    {"CNN", "", "cnn_config.json", ""},
    {"LSTM", "", "lstm_config.json", ""},
    {"BoW", "", "config.json", ""},
    {"StaticEmbedding", "", "", ""},
    {"Router", "Asym", "router_config.json config.json", ""},
    {"SpladePooling", "", "config.json", ""},
    {"SparseStaticEmbedding", "IDF", "config.json", ""},
    {"SparseAutoEncoder", "CSRSparsity", "config.json", ""},
    {"LogitScore", "", "config.json", ""},
    {"MultiVectorMask", "", "config.json", ""},
    {"HierarchicalTokenPooling", "", "config.json", ""},
    {"CLIPModel", "", "config.json", kImages},
    {"CLIPTextModel", "", "config.json", kImages},
    {"CLIPProcessor", "", "config.json", kImages},
}};

std::vector<std::string_view> SplitDots(std::string_view dotted) {
  std::vector<std::string_view> parts;
  size_t start = 0;
  for (size_t i = 0; i <= dotted.size(); ++i) {
    if (i == dotted.size() || dotted[i] == '.') {
      parts.push_back(dotted.substr(start, i - start));
      start = i + 1;
    }
  }
  return parts;
}

}  // namespace

std::span<const ModuleType> ModuleTypes() { return kTypes; }

Result<const ModuleType*> FindModuleType(std::string_view dotted) {
  const std::vector<std::string_view> parts = SplitDots(dotted);
  const std::string_view library = parts.front();
  if (library != "sentence_transformers" && library != "pylate") {
    return ModelError("module type \"" + std::string(dotted) +
                      "\" is code outside sentence_transformers, which is never executed");
  }
  for (const ModuleType& type : kTypes) {
    if (parts.back() != type.name && (type.alias.empty() || parts.back() != type.alias)) continue;
    if (!type.refusal.empty()) {
      return ModelError("module type \"" + std::string(dotted) + "\" " + std::string(type.refusal));
    }
    return &type;
  }
  std::string known;
  for (const std::string& name : SupportedModuleTypes()) known += (known.empty() ? "" : ", ") + name;
  return ModelError("module type \"" + std::string(dotted) + "\" is not supported; known: " + known);
}

std::vector<std::string> SupportedModuleTypes() {
  std::vector<std::string> names;
  for (const ModuleType& type : kTypes) {
    if (type.refusal.empty()) names.emplace_back(type.name);
  }
  return names;
}

}  // namespace truevec
