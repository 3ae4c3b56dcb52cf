// Options of `truevec serve`: ours, and Text Embeddings Inference's flags and variables as aliases.
#ifndef TRUEVEC_CLI_SERVE_OPTIONS_H_
#define TRUEVEC_CLI_SERVE_OPTIONS_H_

#include <string>
#include <vector>

#include "cli/command.h"
#include "net/http_server.h"
#include "server/app.h"

namespace truevec::cli {

struct ServeOptions {
  std::vector<std::string> models;
  std::vector<std::string> names;
  std::string as;
  std::string calibration;
  HttpServerOptions server;
  AppOptions app;
  int drain_seconds = 30;

  void Configure(CLI::App* app);
  // Variables of TEI, keys from files and variables, names of models; checks what belongs together. `common` gets what
  // TEI's flags mean there (--pooling).
  Status Resolve(CommonOptions* common);
  // All names of model `i`, the id first.
  std::vector<std::string> NamesOf(size_t i) const;

 private:
  struct Alias {
    CLI::Option* option;
    const char* variable;
  };
  CLI::Option* Add(CLI::Option* option, const char* tei_variable);
  Status ReadTeiVariables();
  Status ReadKeys();
  Status CheckNames();

  std::vector<Alias> aliases_;
  std::string key_variable_;
  std::string key_file_;
  std::string pooling_;
  std::string metrics_ = "open";
  std::string ignored_;
  bool json_output_ = false;
  double request_timeout_ = 0;
  double max_wait_ = 10;
  double idle_timeout_ = 300;
};

}  // namespace truevec::cli

#endif  // TRUEVEC_CLI_SERVE_OPTIONS_H_
