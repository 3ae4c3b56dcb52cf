// ModelDirectory: the files of one model, by relative path. Nothing outside the directory is ever opened: paths with
// ".." or a root are refused, and so are symbolic links that leave it, except into the blobs of the same repository of
// a Hugging Face cache (snapshots/<revision>/file -> ../../blobs/<hash>).
#ifndef TRUEVEC_SPEC_MODEL_DIRECTORY_H_
#define TRUEVEC_SPEC_MODEL_DIRECTORY_H_

#include <string>

#include "base/json.h"
#include "base/status.h"

namespace truevec {

class ModelDirectory {
 public:
  static Result<ModelDirectory> Open(const std::string& directory);
  const std::string& root() const { return root_; }
  // A regular file is there (links followed).
  bool Has(const std::string& relative) const;
  // The absolute path, checked as above.
  Result<std::string> PathOf(const std::string& relative) const;
  Result<JsonFile> Json(const std::string& relative) const;
  // Refuses absolute paths and ".." components; `where` names file and key for the message.
  static Status CheckRelative(const std::string& path, const std::string& where);
  // Every entry two levels deep stays inside; the first that does not is the error.
  Status CheckLinks() const;

 private:
  std::string root_;       // as given, without a trailing slash
  std::string canonical_;  // links resolved
  std::string blobs_;      // canonical blobs folder of a cache snapshot, or empty
};

}  // namespace truevec

#endif  // TRUEVEC_SPEC_MODEL_DIRECTORY_H_
