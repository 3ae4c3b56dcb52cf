// truevec verify and diagnose: are a target's vectors the reference's, and if not, why.
#include <cstdio>
#include <cstdlib>

#include "base/file.h"
#include "cli/command.h"
#include "cli/text_reader.h"
#include "verify/diagnose.h"

namespace truevec::cli {
namespace {

class VerifyCommand : public Command {
 public:
  explicit VerifyCommand(bool diagnose) : diagnose_(diagnose) {}
  std::string Name() const override { return diagnose_ ? "diagnose" : "verify"; }
  std::string Description() const override {
    return diagnose_ ? "Compares a target with the model and names the root causes"
                     : "Compares a target's vectors with the model's";
  }
  void Configure(CLI::App* app) override;
  Status Run(const CommonOptions& common) override;

 private:
  Result<std::unique_ptr<Target>> OpenTarget(const CommonOptions& common, const std::vector<Probe>& given) const;
  bool diagnose_;
  std::string model_;
  std::string against_;
  std::string texts_;
  std::string report_;
  std::string tolerance_ = "int8";
  std::string key_variable_;
  EndpointOptions endpoint_;
};

void VerifyCommand::Configure(CLI::App* app) {
  app->add_option("MODEL", model_, "Model directory")->required();
  app->add_option("--against", against_, "Model directory, http(s) URL, or vectors file with --texts")->required();
  app->add_option("--texts", texts_, "File of texts to compare, in addition to the probes (endpoints, models)");
  app->add_option("--report", report_, "HTML report to write");
  app->add_option("--tolerance", tolerance_, "What still counts as equivalent: float32, float16, bfloat16, int8");
  app->add_option("--api", endpoint_.api, "openai, tei, ollama, llamacpp, vllm; guessed when left out");
  app->add_option("--remote-model", endpoint_.model, "Model name for the requests");
  app->add_option("--api-key-env", key_variable_, "Variable that holds the API key");
  app->add_option("--max-requests", endpoint_.max_requests, "Bound on requests")->check(CLI::PositiveNumber);
}

Result<std::unique_ptr<Target>> VerifyCommand::OpenTarget(const CommonOptions& common,
                                                          const std::vector<Probe>& given) const {
  if (against_.find("://") != std::string::npos) {
    EndpointOptions options = endpoint_;
    if (!key_variable_.empty()) {
      const char* key = std::getenv(key_variable_.c_str());
      if (key == nullptr) return UsageError("--api-key-env: the variable " + key_variable_ + " is not set");
      options.api_key = key;
    }
    return MakeEndpointTarget(against_, options);
  }
  if (IsDirectory(against_)) return MakeModelTarget(against_, SpecOptions{}, common.threads);
  if (!FileExists(against_)) return UsageError("--against " + against_ + ": no such directory, file or URL");
  std::vector<std::string> texts;
  for (const Probe& probe : given) texts.push_back(probe.text);
  return MakeVectorsTarget(against_, std::move(texts));
}

Status VerifyCommand::Run(const CommonOptions& common) {
  DiagnoseOptions options;
  options.find_causes = diagnose_;
  TV_ASSIGN_OR_RETURN(options.tolerance, ParseTolerance(tolerance_));
  std::vector<Probe> given;
  if (!texts_.empty()) {
    TV_ASSIGN_OR_RETURN(const std::unique_ptr<TextReader> reader, TextReader::Open(texts_, {}));
    TextRecord record;
    for (;;) {
      TV_ASSIGN_OR_RETURN(const bool more, reader->Next(&record));
      if (!more) break;
      given.push_back({"line " + std::to_string(record.line), record.text, "given by --texts"});
    }
  }
  TV_ASSIGN_OR_RETURN(const SpecOptions spec, SpecOptionsFrom(common, ""));
  TV_ASSIGN_OR_RETURN(const std::unique_ptr<Lab> lab, Lab::Load(model_, spec, {}, common.threads));
  TV_ASSIGN_OR_RETURN(const std::unique_ptr<Target> target, OpenTarget(common, given));
  std::vector<Probe> probes = given;
  if (target->FixedTexts().empty()) {
    probes = BuiltInProbes(lab->pipeline().max_length());
    probes.insert(probes.end(), given.begin(), given.end());
  }
  TV_ASSIGN_OR_RETURN(const Diagnosis diagnosis, Diagnose(lab.get(), target.get(), probes, options));
  if (!report_.empty()) {
    TV_ASSIGN_OR_RETURN(const auto writer, AtomicFileWriter::Create(report_));
    TV_RETURN_IF_ERROR(writer->Write(DiagnosisToHtml(diagnosis)));
    TV_RETURN_IF_ERROR(writer->Commit());
  }
  const std::string text =
      common.json ? WriteJsonPretty(DiagnosisToJson(diagnosis)) + "\n" : DiagnosisToText(diagnosis);
  std::fwrite(text.data(), 1, text.size(), stdout);
  return diagnosis.verdict == "different" ? Status(Code::kDifferent, "") : Status::Ok();
}

}  // namespace

std::unique_ptr<Command> MakeVerifyCommand() { return std::make_unique<VerifyCommand>(false); }
std::unique_ptr<Command> MakeDiagnoseCommand() { return std::make_unique<VerifyCommand>(true); }

}  // namespace truevec::cli
