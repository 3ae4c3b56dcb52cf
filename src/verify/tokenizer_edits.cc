#include "verify/tokenizer_edits.h"

#include <functional>
#include <map>

namespace truevec {
namespace {

bool IsType(const json::object& object, std::string_view type) {
  const json::value* value = object.if_contains("type");
  return value != nullptr && value->is_string() && std::string_view(value->get_string()) == type;
}

// Calls `change` with every object below `node`; true when some call says that it changed something.
bool Visit(json::value* node, const std::function<bool(json::object*)>& change) {
  bool changed = false;
  if (node->is_object()) {
    changed = change(&node->get_object());
    for (auto& member : node->get_object()) changed = Visit(&member.value(), change) || changed;
  } else if (node->is_array()) {
    for (json::value& element : node->get_array()) changed = Visit(&element, change) || changed;
  }
  return changed;
}

class Editor {
 public:
  explicit Editor(json::object* root) : root_(root) {}

  bool Set(std::string_view part, std::string_view type, std::string_view key, const json::value& value) {
    json::value* node = root_->if_contains(part);
    return node != nullptr && Visit(node, [&](json::object* object) {
             if (!IsType(*object, type)) return false;
             const json::value* old = object->if_contains(key);
             if (old != nullptr && *old == value) return false;
             (*object)[key] = value;
             return true;
           });
  }
  // Replaces every object of `type`.
  bool Replace(std::string_view part, std::string_view type, const json::object& with) {
    json::value* node = root_->if_contains(part);
    return node != nullptr && Visit(node, [&](json::object* object) {
             if (!IsType(*object, type)) return false;
             *object = with;
             return true;
           });
  }
  bool Has(std::string_view part, std::string_view type) {
    json::value* node = root_->if_contains(part);
    return node != nullptr && Visit(node, [&](json::object* object) { return IsType(*object, type); });
  }
  // Puts normalizers before the file's own.
  bool Prepend(const json::array& normalizers) {
    json::array list = normalizers;
    json::value* own = root_->if_contains("normalizer");
    if (own != nullptr && own->is_object()) list.push_back(*own);
    (*root_)["normalizer"] = json::object{{"type", "Sequence"}, {"normalizers", list}};
    return true;
  }
  json::object* root() { return root_; }

 private:
  json::object* root_;
};

const json::object kNothing = {
    {"type", "Replace"}, {"pattern", json::object{{"String", "\uE0F0"}}}, {"content", "\uE0F0"}};
const json::object kAtSpaces = {{"type", "WhitespaceSplit"}};

bool Cased(Editor* e, bool accents_kept) {
  // strip_accents null follows lowercase, so it is pinned.
  const bool bert = e->Set("normalizer", "BertNormalizer", "lowercase", false);
  if (bert) e->Set("normalizer", "BertNormalizer", "strip_accents", !accents_kept);
  const bool plain = e->Replace("normalizer", "Lowercase", kNothing);
  if (plain && accents_kept) e->Replace("normalizer", "StripAccents", kNothing);
  return bert || plain;
}

bool Uncased(Editor* e) {
  if (e->Has("normalizer", "Lowercase")) return false;
  if (!e->Has("normalizer", "BertNormalizer")) return e->Prepend({json::object{{"type", "Lowercase"}}});
  if (!e->Set("normalizer", "BertNormalizer", "lowercase", true)) return false;
  e->Set("normalizer", "BertNormalizer", "strip_accents", false);
  return true;
}

bool StripAccents(Editor* e) {
  if (e->Has("normalizer", "StripAccents")) return false;
  if (e->Has("normalizer", "BertNormalizer")) return e->Set("normalizer", "BertNormalizer", "strip_accents", true);
  return e->Prepend({json::object{{"type", "NFD"}}, json::object{{"type", "StripAccents"}}});
}

bool KeepAccents(Editor* e) {
  const bool bert = e->Set("normalizer", "BertNormalizer", "strip_accents", false);
  return e->Replace("normalizer", "StripAccents", kNothing) || bert;
}

bool AsciiPunctuation(Editor* e) {
  const json::object split = {{"type", "Split"},
                              {"pattern", json::object{{"Regex", "[!-/:-@\\[-`{-~]"}}},
                              {"behavior", "Isolated"},
                              {"invert", false}};
  return e->Replace("pre_tokenizer", "BertPreTokenizer",
                    {{"type", "Sequence"}, {"pretokenizers", json::array{kAtSpaces, split}}});
}

bool NoBasic(Editor* e, bool clean) {
  if (!e->Replace("pre_tokenizer", "BertPreTokenizer", kAtSpaces)) return false;
  e->Set("normalizer", "BertNormalizer", "handle_chinese_chars", false);
  if (!clean) e->Set("normalizer", "BertNormalizer", "clean_text", false);
  return true;
}

bool PrefixSpace(Editor* e, bool on) {
  bool changed = e->Set("pre_tokenizer", "Metaspace", "prepend_scheme", on ? "always" : "never");
  if (changed) e->Set("pre_tokenizer", "Metaspace", "add_prefix_space", on);
  changed = e->Set("pre_tokenizer", "ByteLevel", "add_prefix_space", on) || changed;
  if (!on) changed = e->Replace("normalizer", "Prepend", kNothing) || changed;
  return changed;
}

// Runs of spaces stay, each a metaspace.
bool KeepRuns(Editor* e) {
  const json::object whole = {
      {"type", "Split"}, {"pattern", json::object{{"Regex", "\\n"}}}, {"behavior", "Isolated"}, {"invert", false}};
  bool changed = e->Replace("pre_tokenizer", "WhitespaceSplit", whole);
  json::value* normalizer = e->root()->if_contains("normalizer");
  changed =
      (normalizer != nullptr && Visit(normalizer,
                                      [](json::object* object) {
                                        if (!IsType(*object, "Replace")) return false;
                                        const json::value* pattern = object->if_contains("pattern");
                                        if (pattern == nullptr || WriteJson(*pattern).find("{2,}") == std::string::npos)
                                          return false;
                                        *object = kNothing;
                                        return true;
                                      })) ||
      changed;
  return changed;
}

bool PlainSpecials(Editor* e) {
  json::value* added = e->root()->if_contains("added_tokens");
  if (added == nullptr || !added->is_array() || added->get_array().empty()) return false;
  *added = json::array();
  return true;
}

}  // namespace

bool EditTokenizerJson(const std::string& name, json::value* root) {
  if (!root->is_object()) return false;
  using Change = std::function<bool(Editor*)>;
  static const std::map<std::string, Change, std::less<>> changes = {
      {"cased", [](Editor* e) { return Cased(e, false); }},
      {"cased-accents", [](Editor* e) { return Cased(e, true); }},
      {"uncased", Uncased},
      {"keep-accents", KeepAccents},
      {"strip-accents", StripAccents},
      {"no-cjk", [](Editor* e) { return e->Set("normalizer", "BertNormalizer", "handle_chinese_chars", false); }},
      {"no-clean", [](Editor* e) { return e->Set("normalizer", "BertNormalizer", "clean_text", false); }},
      {"no-punctuation", [](Editor* e) { return e->Replace("pre_tokenizer", "BertPreTokenizer", kAtSpaces); }},
      {"ascii-punctuation", AsciiPunctuation},
      {"no-basic", [](Editor* e) { return NoBasic(e, true); }},
      {"no-basic-no-clean", [](Editor* e) { return NoBasic(e, false); }},
      {"no-prefix-space", [](Editor* e) { return PrefixSpace(e, false); }},
      {"prefix-space", [](Editor* e) { return PrefixSpace(e, true); }},
      {"keep-space-runs", KeepRuns},
      {"plain-specials", PlainSpecials},
  };
  const auto found = changes.find(name);
  if (found == changes.end()) return false;
  Editor editor(&root->get_object());
  return found->second(&editor);
}

}  // namespace truevec
