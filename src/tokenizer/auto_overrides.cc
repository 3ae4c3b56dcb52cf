#include "tokenizer/auto_overrides.h"

#include <algorithm>

namespace truevec {
namespace {

bool IsType(const json::value& part, std::string_view type) {
  return part.is_object() && part.get_object().contains("type") && part.get_object().at("type") == json::value(type);
}

// The normalizer's steps, nested sequences flattened; the chain is written back as one Sequence.
void Flatten(const json::value& normalizer, json::array* chain) {
  if (IsType(normalizer, "Sequence")) {
    for (const json::value& part : normalizer.get_object().at("normalizers").as_array()) Flatten(part, chain);
  } else if (normalizer.is_object()) {
    chain->push_back(normalizer);
  }
}

void Store(json::array chain, json::value* normalizer) {
  if (chain.empty()) {
    *normalizer = nullptr;
  } else if (chain.size() == 1) {
    *normalizer = chain[0];
  } else {
    *normalizer = json::object{{"type", "Sequence"}, {"normalizers", std::move(chain)}};
  }
}

json::value* FindType(json::array* chain, std::string_view type) {
  for (json::value& part : *chain) {
    if (IsType(part, type)) return &part;
  }
  return nullptr;
}

void Erase(json::array* chain, std::string_view type) {
  for (size_t i = chain->size(); i-- > 0;) {
    if (IsType((*chain)[i], type)) chain->erase(chain->begin() + static_cast<std::ptrdiff_t>(i));
  }
}

void Prepend(json::array* chain, std::string_view type) { chain->insert(chain->begin(), json::object{{"type", type}}); }

// do_lower_case puts Lowercase in front, unless the chain (not looked into deeper) has one.
void PrependLowercase(json::value* normalizer) {
  json::array chain;
  if (IsType(*normalizer, "Sequence")) {
    chain = normalizer->get_object().at("normalizers").as_array();
  } else if (normalizer->is_object()) {
    chain.push_back(*normalizer);
  }
  if (FindType(&chain, "Lowercase") != nullptr) return;
  Prepend(&chain, "Lowercase");
  *normalizer = json::object{{"type", "Sequence"}, {"normalizers", std::move(chain)}};
}

void SetLowercase(bool value, json::array* chain) {
  json::value* bert = FindType(chain, "BertNormalizer");
  if (bert != nullptr) {
    json::object& object = bert->get_object();
    // strip_accents null follows lowercase: what it was stays.
    const json::value* strip = object.if_contains("strip_accents");
    if (strip == nullptr || strip->is_null()) {
      const json::value* old = object.if_contains("lowercase");
      object["strip_accents"] = old != nullptr && old->is_bool() ? old->get_bool() : true;
    }
    object["lowercase"] = value;
  } else if (value && FindType(chain, "Lowercase") == nullptr) {
    Prepend(chain, "Lowercase");
  }
  if (!value) Erase(chain, "Lowercase");
}

void SetStripAccents(bool value, json::array* chain) {
  if (json::value* bert = FindType(chain, "BertNormalizer"); bert != nullptr) {
    bert->get_object()["strip_accents"] = value;
  } else if (value && FindType(chain, "StripAccents") == nullptr) {
    chain->push_back(json::object{{"type", "NFD"}});
    chain->push_back(json::object{{"type", "StripAccents"}});
  }
  if (!value) Erase(chain, "StripAccents");
}

}  // namespace

void ApplyTokenizerOptions(const TokenizerLoadOptions& options, json::object* root) {
  json::value& normalizer = (*root)["normalizer"];
  if (options.prepend_lowercase) PrependLowercase(&normalizer);
  if (options.lowercase.has_value() || options.strip_accents.has_value()) {
    json::array chain;
    Flatten(normalizer, &chain);
    if (options.lowercase.has_value()) SetLowercase(*options.lowercase, &chain);
    if (options.strip_accents.has_value()) SetStripAccents(*options.strip_accents, &chain);
    Store(std::move(chain), &normalizer);
  }
  if (options.register_special.empty()) return;
  json::value& added = (*root)["added_tokens"];
  if (!added.is_array()) added = json::array();
  for (const std::string& token : options.register_special) {
    added.get_array().push_back(json::object{{"id", 0},  // the vocabulary gives the id
                                             {"content", token},
                                             {"single_word", false},
                                             {"lstrip", false},
                                             {"rstrip", false},
                                             {"normalized", false},
                                             {"special", true}});
  }
}

}  // namespace truevec
