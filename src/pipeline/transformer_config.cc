// Reads sentence_bert_config.json and its older names.
#include <algorithm>
#include <array>

#include "pipeline/transformer.h"

namespace truevec {
namespace {

struct TaskRow {
  std::string_view name;
  Task task;
  std::string_view method_output;  // the only method_output_name that is implemented
  std::string_view output;         // default module_output_name
};
constexpr std::array<TaskRow, 4> kTasks = {{
    {"feature-extraction", Task::kFeatureExtraction, "last_hidden_state", "token_embeddings"},
    {"sequence-classification", Task::kSequenceClassification, "logits", "scores"},
    {"text-generation", Task::kCausalLm, "logits", "causal_logits"},
    {"fill-mask", Task::kMaskedLm, "logits", "token_embeddings"},
}};

// model_args / model_kwargs that do not change float32 vectors: how PyTorch loads and runs.
constexpr std::array<std::string_view, 12> kHarmlessModelArgs = {
    "trust_remote_code", "torch_dtype", "dtype",         "attn_implementation", "use_safetensors", "device_map",
    "low_cpu_mem_usage", "revision",    "code_revision", "add_pooling_layer",   "use_flash_attn",  "cache_dir"};
constexpr std::array<std::string_view, 5> kHarmlessTokenizerArgs = {"trust_remote_code", "use_fast", "revision",
                                                                    "code_revision", "cache_dir"};
constexpr std::array<std::string_view, 5> kHarmlessConfigArgs = {"trust_remote_code", "revision", "code_revision",
                                                                 "use_memory_efficient_attention", "unpad_inputs"};

template <size_t N>
bool In(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

template <size_t N>
Status CheckArgs(const JsonRef& args, const std::array<std::string_view, N>& harmless, std::string_view what) {
  for (const std::string& key : args.Keys()) {
    if (!In(harmless, key)) {
      return ModelError(args[key].Where() + ": " + std::string(what) + " \"" + key + "\" is not supported");
    }
  }
  return Status::Ok();
}

// Old configs say model_args, new ones model_kwargs.
JsonRef Either(ConfigReader& reader, std::string_view a, std::string_view b) {
  reader.Ignore({a, b});
  const JsonRef first = reader.object()[a];
  return first.present() ? first : reader.object()[b];
}

// One entry of modality_config: how a text reaches the model and what comes back.
Status CheckMethod(const JsonRef& entry, const TaskRow& task) {
  if (const JsonRef method = entry["method"]; !method.is_string() || method.String().value() != "forward") {
    return ModelError(method.Where() + ": only \"forward\" is supported");
  }
  JsonRef output = entry["method_output_name"];
  if (output.is_array() && output.size() == 1) output = output.At(0);
  if (output.is_string() && output.String().value() == task.method_output) return Status::Ok();
  return ModelError(output.Where() + ": only \"" + std::string(task.method_output) + "\" is supported, got " +
                    (output.present() ? WriteJson(output.value()) : "nothing"));
}

// A "message" entry sends every text through the chat template, whatever else is there.
Status ReadModality(const JsonRef& config, const TaskRow& task, TransformerConfig* out) {
  const JsonRef modality = config["modality_config"];
  if (!modality.present() || modality.is_null()) return Status::Ok();
  if (const JsonRef message = modality["message"]; message.present()) {
    ChatConfig chat;
    if (message["format"].present()) {
      TV_ASSIGN_OR_RETURN(chat.format, message["format"].String());
      if (chat.format != "auto" && chat.format != "flat" && chat.format != "structured") {
        return ModelError(message["format"].Where() + ": expected auto, flat or structured");
      }
    }
    out->chat = std::move(chat);
    return CheckMethod(message, task);
  }
  const JsonRef text = modality["text"];
  if (!text.is_object()) return ModelError(modality.Where() + ": the model takes no text");
  return CheckMethod(text, task);
}

// processing_kwargs: keyword arguments of the call to the tokenizer. Those that only pad are harmless.
Status ReadProcessing(const JsonRef& kwargs, TransformerConfig* config) {
  for (const std::string& bucket : kwargs.Keys()) {
    if (bucket == "chat_template") {
      if (!config->chat.has_value()) continue;  // only read for messages
      for (const std::string& key : kwargs[bucket].Keys()) {
        const JsonRef value = kwargs[bucket][key];
        if (key == "restore_suffix") {
          TV_ASSIGN_OR_RETURN(config->chat->restore_suffix, value.Bool());
        } else if (key == "max_length" || key == "truncation") {
          return ModelError(value.Where() + ": not supported");
        } else if (key != "padding" && key != "return_tensors") {
          config->chat->variables[key] = value.value();
        }
      }
      continue;
    }
    if (bucket == "audio" || bucket == "image" || bucket == "video") continue;
    for (const std::string& key : kwargs[bucket].Keys()) {
      const JsonRef value = kwargs[bucket][key];
      const bool cuts =
          key == "truncation" && (value.value() == json::value(true) || value.value() == json::value("longest_first"));
      const bool last = key == "logits_to_keep" && value.is_number();
      if (cuts || last || key == "padding" || key == "pad_to_multiple_of" || key == "return_tensors") continue;
      if (key != "max_length") return ModelError(value.Where() + ": not supported");
      TV_ASSIGN_OR_RETURN(config->max_seq_length, value.Int());
      config->max_seq_source = SettingSource::File(value.file(), value.key());
      config->query_length.reset();
      config->document_length.reset();
    }
  }
  return Status::Ok();
}

Status ReadExpansion(const JsonRef& ref, TransformerConfig* config) {
  if (!ref.present() || ref.is_null()) return Status::Ok();
  ConfigReader reader(ref, nullptr, nullptr, std::string(kReferenceName));
  QueryExpansion expansion;
  TV_ASSIGN_OR_RETURN(const std::string strategy, reader.OneOf({"strategy"}, {"fixed", "min"}));
  expansion.fixed = strategy == "fixed";
  TV_ASSIGN_OR_RETURN(expansion.attend, reader.Bool({"attend"}, false));
  TV_ASSIGN_OR_RETURN(expansion.length, reader.IntIn({"length"}, 1, 1 << 20));
  if (const JsonRef token = reader.Raw({"token"}); token.present() && !token.is_null()) {
    TV_ASSIGN_OR_RETURN(expansion.token, token.String());
  }
  if (const auto unread = reader.UnreadKeys(); !unread.empty()) {
    return reader.Refuse(unread.front(), "unknown key that could change vectors");
  }
  if (config->query_length.has_value() && *config->query_length < expansion.length) {
    return ModelError(ref.Where() + ".length: " + std::to_string(expansion.length) + " is more than query_length " +
                      std::to_string(*config->query_length));
  }
  config->expansion = expansion;
  return Status::Ok();
}

Status ReadLengths(ConfigReader& reader, TransformerConfig* config) {
  const auto length = [&](std::string_view key, std::optional<int64_t>* out) -> Status {
    const JsonRef ref = reader.Raw({key});
    if (!ref.present() || ref.is_null()) return Status::Ok();
    TV_ASSIGN_OR_RETURN(const int64_t value, ref.Int());
    if (value < 1)
      return ModelError(ref.Where() + ": expected a positive number of tokens, got " + std::to_string(value));
    *out = value;
    return Status::Ok();
  };
  TV_RETURN_IF_ERROR(length("max_seq_length", &config->max_seq_length));
  config->max_seq_source = SettingSource::File(reader.object().file(), "max_seq_length");
  TV_RETURN_IF_ERROR(length("query_length", &config->query_length));
  return length("document_length", &config->document_length);
}

Status ReadArgs(ConfigReader& reader, TransformerConfig* config) {
  const JsonRef model_args = Either(reader, "model_args", "model_kwargs");
  TV_RETURN_IF_ERROR(CheckArgs(model_args, kHarmlessModelArgs, "model argument"));
  const JsonRef tokenizer_args = Either(reader, "tokenizer_args", "processor_kwargs");
  for (const std::string& key : tokenizer_args.Keys()) {
    if (key == "model_max_length") {
      TV_ASSIGN_OR_RETURN(config->max_seq_length, tokenizer_args[key].Int());
      config->max_seq_source = SettingSource::File(tokenizer_args.file(), tokenizer_args[key].key());
    } else if (!In(kHarmlessTokenizerArgs, key)) {
      return ModelError(tokenizer_args[key].Where() + ": tokenizer argument \"" + key + "\" is not supported");
    }
  }
  const JsonRef config_args = Either(reader, "config_args", "config_kwargs");
  for (const std::string& key : config_args.Keys()) {
    if (!In(kHarmlessConfigArgs, key)) config->config_overrides.Set(key, config_args[key].value());
  }
  return Status::Ok();
}

}  // namespace

Result<TransformerConfig> TransformerConfig::Read(const ModuleSpec& module, const LoadContext& context) {
  TransformerConfig config;
  ConfigReader reader = context.Reader(module);
  std::vector<std::string_view> known;
  for (const TaskRow& row : kTasks) known.push_back(row.name);
  const std::string default_task = module.type == "MLMTransformer" ? "fill-mask" : "feature-extraction";
  TV_ASSIGN_OR_RETURN(const std::string task_name, reader.OneOf({"transformer_task"}, known, default_task));
  const TaskRow& task =
      *std::find_if(kTasks.begin(), kTasks.end(), [&](const TaskRow& row) { return row.name == task_name; });
  config.task = task.task;
  TV_ASSIGN_OR_RETURN(config.output, reader.String({"module_output_name"}, std::string(task.output)));
  TV_ASSIGN_OR_RETURN(config.lowercase, reader.Bool({"do_lower_case"}, false));
  TV_RETURN_IF_ERROR(ReadModality(module.Config(), task, &config));
  TV_RETURN_IF_ERROR(ReadLengths(reader, &config));
  TV_RETURN_IF_ERROR(ReadArgs(reader, &config));
  TV_RETURN_IF_ERROR(ReadExpansion(reader.Raw({"query_expansion"}), &config));
  if (const JsonRef other = reader.Raw({"tokenizer_name_or_path"}); other.present() && !other.is_null()) {
    return ModelError(other.Where() + ": a tokenizer from another place is not supported");
  }
  TV_RETURN_IF_ERROR(ReadProcessing(reader.Raw({"processing_kwargs"}), &config));
  reader.Ignore({"modality_config", "unpad_inputs"});
  TV_RETURN_IF_ERROR(context.Finish(module, reader));
  for (const auto& [key, value] : context.options->overrides.values()) config.config_overrides.Set(key, value);
  return config;
}

}  // namespace truevec
