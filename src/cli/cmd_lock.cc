// truevec lock: a model's vectors for the probe set in a file for the repository (CONTRACT section 6).
#include <cstdio>

#include "base/file.h"
#include "cli/compare_options.h"
#include "cli/model_path.h"
#include "verify/diagnose.h"
#include "verify/lock.h"

namespace truevec::cli {
namespace {

class LockCommand : public Command {
 public:
  std::string Name() const override { return "lock"; }
  std::string Description() const override { return "Writes a lock: the model's vectors for a fixed set of texts"; }
  void Configure(CLI::App* app) override {
    app->add_option("MODEL", model_, "Model directory")->required();
    app->add_option("-o,--output", output_, "Lock file to write (NAME.lock.json)");
    app->add_option("--from", from_, "Who makes the vectors: self, reference, or a target");
    app->add_option("--check", check_, "Compare with this lock instead of writing; exit code 1 when different");
    app->add_option("--tolerance", tolerance_, "For --check: float32, float16, bfloat16, int8");
    compare_.Configure(app);
  }
  Status Run(const CommonOptions& common) override;

 private:
  Result<Lock> Make(const CommonOptions& common, Lab* lab, Target* target, const std::vector<Probe>& given) const;
  Status Check(const CommonOptions& common, Target* target) const;
  std::string model_;
  std::string output_;
  std::string from_ = "self";
  std::string check_;
  std::string tolerance_ = "float32";
  CompareOptions compare_;
};

// Long texts would make most of the file and hold nothing that a text just above the limit does not.
std::vector<Probe> LockProbes(int64_t max_length) {
  std::vector<Probe> probes;
  for (Probe& probe : BuiltInProbes(max_length)) {
    if (probe.text.size() < 6000) probes.push_back(std::move(probe));
  }
  return probes;
}

Result<Lock> LockCommand::Make(const CommonOptions&, Lab* lab, Target* target, const std::vector<Probe>& given) const {
  Lock lock;
  TV_ASSIGN_OR_RETURN(lock.model, DescribeModelFiles(model_));
  lock.fingerprint = lab->pipeline().spec().fingerprint();
  lock.settings = LockSettings(lab->pipeline());
  std::vector<Probe> probes = LockProbes(lab->pipeline().max_length());
  probes.insert(probes.end(), given.begin(), given.end());
  for (const Probe& probe : probes) {
    LockCase one;
    one.text = probe.text;
    one.prompt = lab->prompt();
    if (lab->pipeline().has_tokenizer()) {
      TV_ASSIGN_OR_RETURN(const auto ids, lab->Ids({probe.text}, {}));
      one.ids = ids[0];
    }
    if (target == nullptr) {
      TV_ASSIGN_OR_RETURN(const auto vectors, lab->Reference({probe.text}));
      one.vector = vectors[0];
    } else {
      TV_ASSIGN_OR_RETURN(const TargetReply reply, target->Embed({probe.text}, {}));
      one.vector = reply.vectors[0];
    }
    if (!IsFinite(one.vector)) return InputError("probe " + probe.name + ": the vector holds NaN or infinity");
    lock.cases.push_back(std::move(one));
  }
  if (from_ == "self") {
    // The versions whose vectors these are, to the exact class.
    lock.reference = {
        {"sentence_transformers", "6.2.0"}, {"transformers", "5.23.0"}, {"torch", nullptr},
        {"tokenizers", "0.23.3"},           {"dtype", "float32"},       {"engine", "truevec " TRUEVEC_VERSION}};
  } else if (from_ == "reference") {
    for (const char* key : {"sentence_transformers", "transformers", "torch", "tokenizers", "dtype"}) {
      const json::object about = target->About();
      const json::value* value = about.if_contains(key);
      lock.reference[key] = value == nullptr ? json::value(nullptr) : *value;
    }
  } else {
    lock.reference = {{"target", target->Description()}, {"about", target->About()}};
  }
  return lock;
}

Status LockCommand::Check(const CommonOptions& common, Target* target) const {
  DiagnoseOptions options;
  TV_ASSIGN_OR_RETURN(options.tolerance, ParseTolerance(tolerance_));
  TV_ASSIGN_OR_RETURN(const Lock lock, ReadLock(check_));
  std::vector<Probe> probes;
  std::vector<Vector> vectors;
  for (size_t i = 0; i < lock.cases.size(); ++i) {
    probes.push_back({"case " + std::to_string(i), lock.cases[i].text, "of the lock"});
    vectors.push_back(lock.cases[i].vector);
  }
  TV_ASSIGN_OR_RETURN(const Diagnosis d, DiagnoseStored(probes, vectors, target, options));
  const std::string text = common.json ? WriteJsonPretty(DiagnosisToJson(d)) + "\n" : DiagnosisToText(d);
  std::fwrite(text.data(), 1, text.size(), stdout);
  return d.verdict == "different" ? Status(Code::kDifferent, "") : Status::Ok();
}

Status LockCommand::Run(const CommonOptions& common) {
  if (output_.empty() == check_.empty()) return UsageError("lock: give either -o FILE or --check FILE");
  TV_ASSIGN_OR_RETURN(model_, ResolveModelPath(model_, common));
  TV_ASSIGN_OR_RETURN(const std::vector<Probe> given, compare_.GivenProbes());
  TV_ASSIGN_OR_RETURN(const SpecOptions spec, SpecOptionsFrom(common, "", "dense"));
  TV_ASSIGN_OR_RETURN(const std::unique_ptr<Lab> lab, Lab::Load(model_, spec, compare_.Prompt(), common.threads));
  std::unique_ptr<Target> target;
  if (from_ != "self") {
    TV_ASSIGN_OR_RETURN(target, compare_.Open(common, from_, model_, lab->prompt(), given));
  }
  if (!check_.empty()) {
    if (target == nullptr) {
      TV_ASSIGN_OR_RETURN(target, MakeModelTarget(model_, spec, compare_.Prompt(), common.threads));
    }
    return Check(common, target.get());
  }
  TV_ASSIGN_OR_RETURN(const Lock lock, Make(common, lab.get(), target.get(), given));
  TV_RETURN_IF_ERROR(WriteWholeFile(output_, WriteLock(lock)));
  if (common.json) {
    const std::string text =
        WriteJson(json::object{{"lock", output_}, {"cases", lock.cases.size()}, {"fingerprint", lock.fingerprint}}) +
        "\n";
    std::fwrite(text.data(), 1, text.size(), stdout);
  } else if (!common.quiet) {
    std::fprintf(stderr, "truevec: %s: %zu cases, %s\n", output_.c_str(), lock.cases.size(), lock.fingerprint.c_str());
  }
  return Status::Ok();
}

}  // namespace

std::unique_ptr<Command> MakeLockCommand() { return std::make_unique<LockCommand>(); }

}  // namespace truevec::cli
