// Locks: a model's vectors for the probe set in one plain file, made for a repository and a CI job (CONTRACT section
// 6).
#ifndef TRUEVEC_VERIFY_LOCK_H_
#define TRUEVEC_VERIFY_LOCK_H_

#include <string>
#include <vector>

#include "base/json.h"
#include "verify/compare.h"
#include "verify/lab.h"

namespace truevec {

struct LockCase {
  std::string text;
  std::string prompt;  // put before the text by whoever made the vector
  std::vector<int32_t> ids;
  Vector vector;
};

struct Lock {
  json::object model;       // id, revision, files: {name: sha256}
  std::string fingerprint;  // empty when no truevec model took part
  json::object reference;   // versions and dtype, or {"engine": …}
  json::object settings;
  std::vector<LockCase> cases;
};

// Stable: the same lock gives the same bytes; one case a line.
std::string WriteLock(const Lock& lock);
// Errors are kBadInput and name the case and what is wrong with it.
Result<Lock> ReadLock(const std::string& path);
Result<Lock> ParseLock(const std::string& text, const std::string& name);
// The model part: directory name, revision of a hub snapshot, SHA-256 of the files that decide vectors.
Result<json::object> DescribeModelFiles(const std::string& directory);
// The settings that decide vectors, from the resolved model.
json::object LockSettings(const Pipeline& pipeline);

}  // namespace truevec

#endif  // TRUEVEC_VERIFY_LOCK_H_
