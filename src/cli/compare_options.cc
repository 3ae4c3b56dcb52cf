#include "cli/compare_options.h"

#include <cstdlib>

#include "base/file.h"
#include "cli/model_path.h"
#include "cli/text_reader.h"
#include "verify/lock.h"

namespace truevec::cli {

void CompareOptions::Configure(CLI::App* app) {
  app->add_option("--texts", texts, "File of texts to compare, in addition to the probes; the rows of a vectors file");
  app->add_option("--api", endpoint.api, std::string(kApis) + "; guessed when left out");
  app->add_option("--remote-model", endpoint.model, "Model name for the requests");
  app->add_option("--api-key-env", key_variable, "Variable that holds the API key");
  app->add_option("--max-requests", endpoint.max_requests, "Bound on requests")->check(CLI::PositiveNumber);
  app->add_option("--concurrency", endpoint.concurrency, "Requests at once in the concurrent part; 1 leaves it out")
      ->check(CLI::Range(1, 64));
  app->add_option("--timeout", endpoint.timeout_seconds, "Seconds for one request")->check(CLI::PositiveNumber);
  app->add_option("--prompt", prompt, "Prompt of the reference");
  app->add_option("--prompt-name", prompt_name, "One of the model's prompts, here and in the target's own field");
  app->add_option("--task", task, "query or document, as encode_query and encode_document");
  app->add_flag("--client-prompts", client_prompts, "Put the prompt in front of the text on our side");
  app->add_option("--python", python, "Python with sentence-transformers, for the target `reference`");
}

PromptChoice CompareOptions::Prompt() const {
  PromptChoice choice;
  if (!prompt.empty()) choice.prompt = prompt;
  if (!prompt_name.empty()) choice.prompt_name = prompt_name;
  choice.task = task;
  return choice;
}

Result<std::vector<Probe>> CompareOptions::GivenProbes() const {
  std::vector<Probe> given;
  if (texts.empty()) return given;
  TV_ASSIGN_OR_RETURN(const std::unique_ptr<TextReader> reader, TextReader::Open(texts, {}));
  TextRecord record;
  for (;;) {
    TV_ASSIGN_OR_RETURN(const bool more, reader->Next(&record));
    if (!more) break;
    given.push_back({"line " + std::to_string(record.line), record.text, "given by --texts"});
  }
  if (given.empty()) return InputError(texts + ": holds no text");
  return given;
}

Result<std::unique_ptr<Target>> CompareOptions::Open(const CommonOptions& common, const std::string& target,
                                                     const std::string& model, const std::string& prompt_text,
                                                     const std::vector<Probe>& given) const {
  if (target.find("://") != std::string::npos) {
    EndpointOptions options = endpoint;
    if (!key_variable.empty()) {
      const char* key = std::getenv(key_variable.c_str());
      if (key == nullptr || *key == '\0') return UsageError("--api-key-env: " + key_variable + " is not set");
      options.api_key = key;
    }
    if (client_prompts) {
      options.client_prompt = prompt_text;
    } else {
      options.prompt_name = prompt_name;
    }
    TV_ASSIGN_OR_RETURN(auto opened, MakeEndpointTarget(target, options));
    if (!common.quiet && endpoint.api.empty()) {
      std::fprintf(stderr, "truevec: API guessed: %s\n", opened->Dialect().c_str());
    }
    return opened;
  }
  if (target == "reference") {
    if (!IsDirectory(model)) return UsageError("reference: MODEL must be a directory, got \"" + model + "\"");
    PromptChoice choice = Prompt();
    if (!choice.prompt.has_value() && !task.empty()) choice.prompt = prompt_text;
    return MakeReferenceTarget(model, choice, python);
  }
  std::string directory = IsDirectory(target) || target.ends_with(".gguf") ? target : "";
  if (directory.empty() && !FileExists(target) && target.find('/') != std::string::npos) {
    // A hub id; a path that is not there keeps its own message.
    if (auto path = ResolveModelPath(target, common); path.ok() && IsDirectory(*path)) directory = *path;
  }
  if (!directory.empty()) {
    TV_ASSIGN_OR_RETURN(const SpecOptions spec, SpecOptionsFrom(common, "", "dense"));
    SpecOptions plain = spec;
    plain.overrides = Overrides();
    return MakeModelTarget(directory, plain, Prompt(), common.threads);
  }
  if (!FileExists(target)) {
    return UsageError("\"" + target + "\": no such directory, file or URL, and not the word reference");
  }
  if (target.ends_with(".json")) {
    TV_ASSIGN_OR_RETURN(const Lock lock, ReadLock(target));
    std::vector<std::string> lines;
    std::vector<Vector> vectors;
    for (const LockCase& one : lock.cases) {
      lines.push_back(one.text);
      vectors.push_back(one.vector);
    }
    return MakeStoredTarget(target + " (lock)", std::move(lines), std::move(vectors));
  }
  std::vector<std::string> lines;
  for (const Probe& probe : given) lines.push_back(probe.text);
  return MakeVectorsTarget(target, std::move(lines));
}

Status WriteWholeFile(const std::string& path, const std::string& text) {
  TV_ASSIGN_OR_RETURN(const auto writer, AtomicFileWriter::Create(path));
  TV_RETURN_IF_ERROR(writer->Write(text));
  return writer->Commit();
}

}  // namespace truevec::cli
