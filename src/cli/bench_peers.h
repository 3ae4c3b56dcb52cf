// What `bench` starts from the checkout that this binary was built in (build/<preset>/bin/truevec): the other engines
// (bench/peers), and models of published shapes with random weights (tools/make_shape.py).
#ifndef TRUEVEC_CLI_BENCH_PEERS_H_
#define TRUEVEC_CLI_BENCH_PEERS_H_

#include <string>
#include <vector>

#include "base/status.h"
#include "cli/command.h"

namespace truevec::cli {

// The directory of a shape in the cache, made first where it is missing. Usage errors: an unknown shape, no checkout.
Result<std::string> ShapeModel(const std::string& shape);
// Runs bench/peers/run.py, whose table or JSON goes to stdout.
Status RunPeers(const std::string& model, const std::vector<std::string>& workloads, int repeats,
                const CommonOptions& common);

}  // namespace truevec::cli

#endif  // TRUEVEC_CLI_BENCH_PEERS_H_
