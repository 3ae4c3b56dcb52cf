// What verify, diagnose and lock share: the options that name a target, and opening it.
#ifndef TRUEVEC_CLI_COMPARE_OPTIONS_H_
#define TRUEVEC_CLI_COMPARE_OPTIONS_H_

#include <memory>
#include <string>
#include <vector>

#include "cli/command.h"
#include "pipeline/pipeline.h"
#include "verify/lab.h"
#include "verify/probes.h"
#include "verify/target.h"

namespace truevec::cli {

struct CompareOptions {
  std::string texts;
  std::string key_variable;
  std::string prompt;
  std::string prompt_name;
  std::string task;
  std::string python;
  bool client_prompts = false;
  EndpointOptions endpoint;

  void Configure(CLI::App* app);
  PromptChoice Prompt() const;
  // The texts of --texts, each a probe.
  Result<std::vector<Probe>> GivenProbes() const;
  // Opens a TARGET of CONTRACT section 3. `model`: the model compared with, for `reference`; `prompt_text`: its prompt.
  Result<std::unique_ptr<Target>> Open(const CommonOptions& common, const std::string& target, const std::string& model,
                                       const std::string& prompt_text, const std::vector<Probe>& given) const;
};

// Writes atomically.
Status WriteWholeFile(const std::string& path, const std::string& text);

}  // namespace truevec::cli

#endif  // TRUEVEC_CLI_COMPARE_OPTIONS_H_
