// truevec verify and diagnose: are a target's vectors the reference's, and if not, why.
#include <cstdio>

#include "base/file.h"
#include "cli/compare_options.h"
#include "cli/model_path.h"
#include "verify/diagnose.h"
#include "verify/layers.h"
#include "verify/lock.h"

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
  Result<Diagnosis> WithLock(const CommonOptions& common, const std::vector<Probe>& given) const;
  Result<Diagnosis> WithModel(const CommonOptions& common, const std::vector<Probe>& given) const;
  bool diagnose_;
  std::string model_;
  std::string against_;
  std::string lock_;
  std::string report_;
  std::string tolerance_ = "int8";
  CompareOptions compare_;
};

void VerifyCommand::Configure(CLI::App* app) {
  app->add_option("MODEL", model_, "Model directory; a name suffices with --lock");
  app->add_option("--against", against_,
                  "Model directory, http(s) URL, vectors file with --texts, lock file, or the word reference");
  app->add_option("--lock", lock_, "Compare with this lock's vectors; no model is needed");
  app->add_option("--report", report_, "HTML report to write");
  app->add_option("--tolerance", tolerance_, "What still counts as equivalent: float32, float16, bfloat16, int8");
  compare_.Configure(app);
}

std::vector<Probe> ProbesOfLock(const Lock& lock, std::vector<Vector>* vectors) {
  std::vector<Probe> probes;
  for (size_t i = 0; i < lock.cases.size(); ++i) {
    probes.push_back({"case " + std::to_string(i), lock.cases[i].text, "of the lock"});
    vectors->push_back(lock.cases[i].vector);
  }
  return probes;
}

// Ids that the target tells, where the lock has them.
void CompareLockIds(const Lock& lock, Target* target, Diagnosis* d) {
  for (size_t i = 0; i < lock.cases.size() && i < 6; ++i) {
    if (lock.cases[i].ids.empty()) continue;
    const auto ids = target->Tokenize(lock.cases[i].text);
    if (!ids.ok()) return;
    if (*ids == lock.cases[i].ids) continue;
    IdDifference row{"case " + std::to_string(i), "the target", {}, {}};
    for (const int32_t id : lock.cases[i].ids) row.reference.emplace_back(id, std::to_string(id));
    for (const int32_t id : *ids) row.target.emplace_back(id, std::to_string(id));
    d->id_differences.push_back(std::move(row));
  }
}

Result<Diagnosis> VerifyCommand::WithLock(const CommonOptions& common, const std::vector<Probe>& given) const {
  DiagnoseOptions options;
  TV_ASSIGN_OR_RETURN(options.tolerance, ParseTolerance(tolerance_));
  TV_ASSIGN_OR_RETURN(const Lock lock, ReadLock(lock_));
  const std::string against = against_.empty() ? model_ : against_;
  if (against.empty()) return UsageError("--lock: name what is compared with --against");
  std::string prompt;
  for (const LockCase& one : lock.cases) prompt = one.prompt;
  TV_ASSIGN_OR_RETURN(const std::unique_ptr<Target> target, compare_.Open(common, against, model_, prompt, given));
  std::vector<Vector> vectors;
  const std::vector<Probe> probes = ProbesOfLock(lock, &vectors);
  TV_ASSIGN_OR_RETURN(Diagnosis d, DiagnoseStored(probes, vectors, target.get(), options));
  d.model = {{"lock", lock_}, {"fingerprint", lock.fingerprint}, {"reference", lock.reference}};
  CompareLockIds(lock, target.get(), &d);
  return d;
}

Result<Diagnosis> VerifyCommand::WithModel(const CommonOptions& common, const std::vector<Probe>& given) const {
  DiagnoseOptions options;
  options.find_causes = diagnose_;
  TV_ASSIGN_OR_RETURN(options.tolerance, ParseTolerance(tolerance_));
  TV_ASSIGN_OR_RETURN(const SpecOptions spec, SpecOptionsFrom(common, "", "dense"));
  TV_ASSIGN_OR_RETURN(const std::unique_ptr<Lab> lab, Lab::Load(model_, spec, compare_.Prompt(), common.threads));
  TV_ASSIGN_OR_RETURN(const std::unique_ptr<Target> target,
                      compare_.Open(common, against_, model_, lab->prompt(), given));
  std::vector<Probe> probes = given;
  if (!target->FixedTexts().empty()) {
    if (probes.empty()) {
      for (const std::string& text : target->FixedTexts()) {
        probes.push_back({"text " + std::to_string(probes.size()), text, "of the target"});
      }
    }
  } else {
    probes = BuiltInProbes(lab->pipeline().max_length());
    probes.insert(probes.end(), given.begin(), given.end());
  }
  TV_ASSIGN_OR_RETURN(Diagnosis d, Diagnose(lab.get(), target.get(), probes, options));
  if (d.verdict == "different" || d.verdict == "equivalent") CompareLayers(lab.get(), target.get(), &d);
  return d;
}

Status VerifyCommand::Run(const CommonOptions& common) {
  if (!model_.empty() && lock_.empty()) {
    TV_ASSIGN_OR_RETURN(model_, ResolveModelPath(model_, common));
  }
  if (against_.empty() && lock_.empty()) return UsageError("--against: name what is compared; see --help");
  TV_ASSIGN_OR_RETURN(const std::vector<Probe> given, compare_.GivenProbes());
  Result<Diagnosis> diagnosis = UsageError("");
  if (!lock_.empty()) {
    diagnosis = WithLock(common, given);
  } else if (model_.empty()) {
    TV_ASSIGN_OR_RETURN(const std::unique_ptr<Target> target, compare_.Open(common, against_, "", "", given));
    std::vector<Probe> probes = target->FixedTexts().empty() ? BuiltInProbes(0) : given;
    diagnosis = DiagnoseAlone(target.get(), probes);
  } else {
    diagnosis = WithModel(common, given);
  }
  if (!diagnosis.ok()) return diagnosis.status();
  if (!report_.empty()) TV_RETURN_IF_ERROR(WriteWholeFile(report_, DiagnosisToHtml(*diagnosis)));
  const std::string text =
      common.json ? WriteJsonPretty(DiagnosisToJson(*diagnosis)) + "\n" : DiagnosisToText(*diagnosis);
  std::fwrite(text.data(), 1, text.size(), stdout);
  return diagnosis->verdict == "different" ? Status(Code::kDifferent, "") : Status::Ok();
}

}  // namespace

std::unique_ptr<Command> MakeVerifyCommand() { return std::make_unique<VerifyCommand>(false); }
std::unique_ptr<Command> MakeDiagnoseCommand() { return std::make_unique<VerifyCommand>(true); }

}  // namespace truevec::cli
