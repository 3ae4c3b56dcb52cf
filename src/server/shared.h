// Paths that several dialects use (shared.cc).
#ifndef TRUEVEC_SERVER_SHARED_H_
#define TRUEVEC_SERVER_SHARED_H_

#include <vector>

#include "server/app.h"

namespace truevec {

struct SharedPath {
  const char* path;
  std::vector<const char*> targets;  // the routes it may stand for
};
std::vector<SharedPath> SharedPaths();
std::vector<Route> SharedRoutes();

}  // namespace truevec

#endif  // TRUEVEC_SERVER_SHARED_H_
