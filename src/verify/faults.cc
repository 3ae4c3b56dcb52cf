// The single faults, by family: client text, prompts, special tokens, tokenizer, length, forward pass, pooling, output.
#include <algorithm>
#include <array>
#include <cmath>

#include "verify/lab.h"

namespace truevec {
namespace {

using Faults = std::vector<Fault>;

Fault* Add(Faults* out, std::string cause, std::string variant, std::string says, std::string fix) {
  Fault fault;
  fault.cause = std::move(cause);
  fault.variant = std::move(variant);
  fault.says = std::move(says);
  fault.fix = std::move(fix);
  out->push_back(std::move(fault));
  return &out->back();
}

std::string Replace(std::string text, std::string_view from, std::string_view to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
  return text;
}

std::string Collapse(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const bool space = c == ' ' || c == '\n' || c == '\t' || c == '\r';
    if (!space) {
      out += c;
    } else if (!out.empty() && out.back() != ' ') {
      out += ' ';
    }
  }
  if (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

void ClientFaults(Faults* out) {
  const std::string fix = "send the text unchanged: switch the client's clean-up off";
  Add(out, "client-text-changed", "newlines", "newlines became spaces", fix)->text = [](const std::string& t) {
    return Replace(t, "\n", " ");
  };
  Add(out, "client-text-changed", "strip", "white space at the ends was removed", fix)->text =
      [](const std::string& t) {
        const size_t first = t.find_first_not_of(" \t\r\n");
        return first == std::string::npos ? std::string() : t.substr(first, t.find_last_not_of(" \t\r\n") - first + 1);
      };
  Add(out, "client-text-changed", "collapse", "runs of white space became one space", fix)->text = Collapse;
  Add(out, "client-text-changed", "html", "the text was HTML-escaped", fix)->text = [](const std::string& t) {
    return Replace(Replace(Replace(Replace(t, "&", "&amp;"), "<", "&lt;"), ">", "&gt;"), "\"", "&quot;");
  };
}

void PromptFaults(const Pipeline& model, Faults* out) {
  const auto resolved = model.ResolvePrompt({});
  const std::string own = resolved.ok() ? *resolved : "";
  const std::string fix = "apply the model's prompt (TEI --default-prompt-name; elsewhere put it in front yourself)";
  if (!own.empty()) {
    Add(out, "prompt-missing", "", "without the prompt the vectors agree", fix)->prompt = "";
    Add(out, "prompt-doubled", "", "with the prompt twice the vectors agree", "client and server both add it")->prompt =
        own + own;
  }
  for (const auto& [name, text] : model.spec().prompts) {
    if (text == own || text.empty()) continue;
    Add(out, "prompt-wrong", name, "with prompt \"" + name + "\" the vectors agree", fix)->prompt = text;
  }
  for (const std::string text : {"query: ", "passage: ", "search_query: ", "search_document: "}) {
    if (text == own) continue;
    Add(out, "prompt-wrong", text, "with \"" + text + "\" in front the vectors agree", fix)->prompt = text;
  }
}

std::vector<EncodedText> WithIds(const EncodedText& text, std::vector<int32_t> ids) {
  EncodedText copy = text;
  if (!copy.type_ids.empty()) copy.type_ids.assign(ids.size(), copy.type_ids.front());
  copy.pooling_mask.clear();
  copy.ids = std::move(ids);
  return {copy};
}

std::vector<int32_t> Cut(const EncodedText& text, size_t front, size_t back) {
  const size_t n = text.ids.size();
  if (front + back >= n) return text.ids;
  return {text.ids.begin() + static_cast<ptrdiff_t>(front), text.ids.end() - static_cast<ptrdiff_t>(back)};
}

void SpecialTokenFaults(const Pipeline& model, Faults* out) {
  const size_t prefix = model.tokenizer().PrefixIds().size();
  const size_t suffix = model.tokenizer().SuffixIds().size();
  const std::string fix =
      "let the server add the special tokens (vLLM add_special_tokens=true; llama.cpp: reconvert the GGUF with "
      "tokenizer.ggml.add_bos_token/add_eos_token; llamafile: update)";
  const auto cut = [&](const char* cause, const char* variant, const char* says, size_t front, size_t back) {
    Add(out, cause, variant, says, fix)->ids = [front, back](const EncodedText& t, const Tokenizer&) {
      return WithIds(t, Cut(t, front, back));
    };
  };
  if (prefix + suffix > 0) {
    cut("special-tokens-missing", "all", "without the special tokens the vectors agree", prefix, suffix);
    Add(out, "special-tokens-doubled", "all", "with the special tokens twice the vectors agree",
        "client and server both add them")
        ->ids = [](const EncodedText& t, const Tokenizer& tokenizer) {
      std::vector<int32_t> ids = tokenizer.PrefixIds();
      ids.insert(ids.end(), t.ids.begin(), t.ids.end());
      const std::vector<int32_t> tail = tokenizer.SuffixIds();
      ids.insert(ids.end(), tail.begin(), tail.end());
      return WithIds(t, std::move(ids));
    };
  }
  if (prefix > 0 && suffix > 0) {
    cut("special-tokens-missing", "first", "without the first special token the vectors agree", prefix, 0);
  }
  if (suffix > 0) cut("eos-missing", "", "without the closing special token the vectors agree", 0, suffix);
}

void TokenizerFaults(Faults* out) {
  const std::string convert = "convert the model again with its own tokenizer.json settings";
  const std::array<std::array<const char*, 4>, 10> rows = {{
      {"lowercase-missing", "cased", "without lower-casing the vectors agree", "cased"},
      {"lowercase-missing", "and accents", "without lower-casing and accent stripping the vectors agree",
       "cased-accents"},
      {"lowercase-forced", "", "with lower-casing the vectors agree", "uncased"},
      {"accents", "kept", "with accents kept the vectors agree", "keep-accents"},
      {"accents", "stripped", "with accents stripped the vectors agree", "strip-accents"},
      {"basic-tokenization", "no-cjk", "without splitting of ideographs the vectors agree", "no-cjk"},
      {"basic-tokenization", "no-clean", "without removal of control characters the vectors agree", "no-clean"},
      {"basic-tokenization", "no-punctuation", "without splitting of punctuation the vectors agree", "no-punctuation"},
      {"basic-tokenization", "none", "with splitting at white space only the vectors agree", "no-basic"},
      {"special-tokens-in-text", "plain", "with special tokens in the text read as plain text the vectors agree",
       "plain-specials"},
  }};
  for (const auto& row : rows) Add(out, row[0], row[1], row[2], convert)->tokenizer = row[3];
}

void LengthFaults(const Pipeline& model, Faults* out) {
  const int64_t own = model.max_length();
  const std::string fix = "set the limit to " + std::to_string(own) +
                          " tokens (vLLM --max-model-len, TEI --max-input-length/--auto-truncate, llama.cpp -c/-b/-ub, "
                          "Ollama num_ctx, Infinity: the model's max_seq_length)";
  for (const int64_t length :
       {16, 32, 48, 64, 96, 100, 126, 128, 192, 200, 254, 256, 300, 384, 400, 510, 512, 1024, 2048, 4096, 8192}) {
    if (length == own) continue;
    Add(out, "max-length", std::to_string(length), "cut at " + std::to_string(length) + " tokens the vectors agree",
        fix)
        ->max_length = length;
  }
  if (own < 4) return;
  Fault* tail = Add(out, "truncation-side", "left", "with the end of long texts kept the vectors agree",
                    "truncate on the right (TEI truncation_direction Right, vLLM truncation_side right)");
  tail->max_length = 1 << 20;
  tail->ids = [own](const EncodedText& t, const Tokenizer& tokenizer) {
    const size_t limit = static_cast<size_t>(own);
    if (t.ids.size() <= limit) return std::vector<EncodedText>{t};
    std::vector<int32_t> ids = tokenizer.PrefixIds();
    const size_t keep = limit - ids.size();
    ids.insert(ids.end(), t.ids.end() - static_cast<ptrdiff_t>(keep), t.ids.end());
    return WithIds(t, std::move(ids));
  };
  Fault* chunks = Add(out, "chunk-averaging", std::to_string(own), "with chunks averaged by length the vectors agree",
                      "switch chunking off; the reference truncates");
  chunks->max_length = 1 << 20;
  chunks->ids = [own](const EncodedText& t, const Tokenizer& tokenizer) {
    const std::vector<int32_t> prefix = tokenizer.PrefixIds();
    const std::vector<int32_t> suffix = tokenizer.SuffixIds();
    if (t.ids.size() <= static_cast<size_t>(own)) return std::vector<EncodedText>{t};
    const std::vector<int32_t> body = Cut(t, prefix.size(), suffix.size());
    const size_t step = static_cast<size_t>(own) - prefix.size() - suffix.size();
    std::vector<EncodedText> parts;
    for (size_t at = 0; at < body.size(); at += step) {
      std::vector<int32_t> ids = prefix;
      ids.insert(ids.end(), body.begin() + static_cast<ptrdiff_t>(at),
                 body.begin() + static_cast<ptrdiff_t>(std::min(at + step, body.size())));
      ids.insert(ids.end(), suffix.begin(), suffix.end());
      parts.push_back(WithIds(t, std::move(ids)).front());
    }
    return parts;
  };
}

void ForwardFaults(Faults* out) {
  Add(out, "causal-mask", "", "with a causal mask the vectors agree",
      "vLLM --hf-overrides '{\"is_causal\": false}'; llama.cpp --attention non-causal")
      ->spec = {{"simulate_causal", 1}};
  for (const int shift : {-2, 1, 2}) {
    Add(out, "position-offset", std::to_string(shift),
        "with positions moved by " + std::to_string(shift) + " the vectors agree",
        "number positions as the model's class does")
        ->spec = {{"simulate_position_shift", shift}};
  }
  Add(out, "token-type", "1", "with token type 1 the vectors agree", "use token type 0 for single texts")->ids =
      [](const EncodedText& t, const Tokenizer&) {
        EncodedText copy = t;
        copy.type_ids.assign(copy.ids.size(), 1);
        return std::vector<EncodedText>{copy};
      };
  Add(out, "gelu-variant", "tanh", "with GELU's tanh form the vectors agree",
      "use the erf GELU (llama.cpp: build without GGML_GELU_FP16)")
      ->spec = {{"hidden_act", "gelu_new"}};
  for (const double eps : {1e-3, 1e-5, 1e-6}) {
    Add(out, "layernorm", "eps " + WriteJson(json::value(eps)), "with another LayerNorm epsilon the vectors agree",
        "read layer_norm_eps from config.json")
        ->spec = {{"layer_norm_eps", eps}};
  }
  for (const int pads : {1, 2, 4, 8, 16, 32}) {
    Add(out, "padding-attended", std::to_string(pads),
        "with " + std::to_string(pads) + " unmasked padding tokens the vectors agree", "pass the attention mask")
        ->ids = [pads](const EncodedText& t, const Tokenizer& tokenizer) {
      std::vector<int32_t> ids = t.ids;
      ids.insert(ids.end(), static_cast<size_t>(pads), tokenizer.pad_id().value_or(0));
      return WithIds(t, std::move(ids));
    };
  }
}

void PoolingFaults(const Pipeline& model, Faults* out) {
  const Setting* own = model.spec().settings.Find("pooling");
  const std::string name = own != nullptr && own->value.is_string() ? std::string(own->value.get_string()) : "";
  for (const std::string mode : {"mean", "cls", "max", "lasttoken", "weightedmean", "mean_sqrt_len_tokens"}) {
    if (mode == name) continue;
    Add(out, "pooling-mode", mode, "the model says " + name + ", the target pools " + mode,
        "set pooling to " + name + " (TEI --pooling, llama.cpp --pooling, vLLM --pooler-config)")
        ->pooling = mode;
  }
  const size_t prefix = model.tokenizer().PrefixIds().size();
  const size_t suffix = model.tokenizer().SuffixIds().size();
  if (name != "mean" || prefix + suffix == 0) return;
  Add(out, "pooling-mask", "specials", "with special tokens left out of the mean the vectors agree",
      "pool over all tokens of the attention mask")
      ->ids = [prefix, suffix](const EncodedText& t, const Tokenizer&) {
    EncodedText copy = t;
    if (t.ids.size() <= prefix + suffix) return std::vector<EncodedText>{copy};
    copy.pooling_mask.assign(t.ids.size(), 1);
    std::fill_n(copy.pooling_mask.begin(), prefix, uint8_t{0});
    std::fill_n(copy.pooling_mask.rbegin(), suffix, uint8_t{0});
    return std::vector<EncodedText>{copy};
  };
}

void OutputFaults(Faults* out) {
  const std::string fix = "ask for float output";
  Add(out, "output-quantization", "binary", "the target's values are the signs", fix)->output = [](Vector* v) {
    for (float& x : *v) x = x > 0 ? 1.0f : -1.0f;
  };
  Add(out, "output-quantization", "int8", "the target's values are rounded to 1/127 of the largest", fix)->output =
      [](Vector* v) {
        float largest = 0;
        for (const float x : *v) largest = std::max(largest, std::abs(x));
        for (float& x : *v) x = largest == 0 ? 0 : std::nearbyint(x / largest * 127);
      };
  Add(out, "dimensions-order", "reversed", "with the dimensions reversed the vectors agree", "keep the order")->output =
      [](Vector* v) { std::reverse(v->begin(), v->end()); };
}

}  // namespace

std::vector<Fault> AllFaults(const Pipeline& model) {
  Faults out;
  ClientFaults(&out);
  PromptFaults(model, &out);
  if (model.has_tokenizer()) {
    SpecialTokenFaults(model, &out);
    TokenizerFaults(&out);
    LengthFaults(model, &out);
    ForwardFaults(&out);
    PoolingFaults(model, &out);
  }
  OutputFaults(&out);
  return out;
}

}  // namespace truevec
