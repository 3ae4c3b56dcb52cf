#include "spec/model_directory.h"

#include <filesystem>

#include "base/file.h"

namespace truevec {
namespace fs = std::filesystem;
namespace {

constexpr size_t kMaxConfigBytes = size_t{64} << 20;

bool Inside(const std::string& path, const std::string& folder) {
  return path == folder || (path.starts_with(folder) && (folder.back() == '/' || path[folder.size()] == '/'));
}

}  // namespace

Result<ModelDirectory> ModelDirectory::Open(const std::string& directory) {
  ModelDirectory result;
  result.root_ = directory;
  while (result.root_.size() > 1 && result.root_.back() == '/') result.root_.pop_back();
  if (!IsDirectory(result.root_)) {
    return ModelError(directory + (FileExists(directory) ? ": is not a directory" : ": no such model directory"));
  }
  std::error_code error;
  const fs::path canonical = fs::canonical(result.root_, error);
  if (error) return ModelError(directory + ": " + error.message());
  result.canonical_ = canonical.string();
  if (canonical.parent_path().filename() == "snapshots") {
    const fs::path blobs = canonical.parent_path().parent_path() / "blobs";
    if (fs::is_directory(blobs, error)) result.blobs_ = fs::canonical(blobs, error).string();
  }
  return result;
}

bool ModelDirectory::Has(const std::string& relative) const { return FileExists(root_ + "/" + relative); }

Status ModelDirectory::CheckRelative(const std::string& path, const std::string& where) {
  const fs::path p(path);
  bool bad = p.is_absolute() || path.find('\\') != std::string::npos || path.find('\0') != std::string::npos;
  for (const fs::path& part : p) bad = bad || part == "..";
  if (!bad) return Status::Ok();
  return ModelError(where + ": path \"" + path + "\" leaves the model directory");
}

Result<std::string> ModelDirectory::PathOf(const std::string& relative) const {
  TV_RETURN_IF_ERROR(CheckRelative(relative, root_));
  const std::string path = root_ + "/" + relative;
  std::error_code error;
  const fs::path canonical = fs::weakly_canonical(path, error);
  if (error) return ModelError(relative + ": " + error.message());
  const std::string target = canonical.string();
  if (Inside(target, canonical_) || (!blobs_.empty() && Inside(target, blobs_))) return path;
  return ModelError(relative + ": a symbolic link that leaves the model directory (to " + target + ")");
}

Result<JsonFile> ModelDirectory::Json(const std::string& relative) const {
  TV_ASSIGN_OR_RETURN(const std::string path, PathOf(relative));
  std::error_code error;
  const auto size = fs::file_size(path, error);
  if (!error && size > kMaxConfigBytes) {
    return ModelError(relative + ": " + std::to_string(size) + " bytes are too many for a config (limit " +
                      std::to_string(kMaxConfigBytes) + ")");
  }
  return JsonFile::Load(path, relative);
}

Status ModelDirectory::CheckLinks() const {
  std::error_code error;
  auto it = fs::recursive_directory_iterator(root_, fs::directory_options::skip_permission_denied, error);
  for (; !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
    if (it.depth() >= 1) it.disable_recursion_pending();
    std::error_code ignored;
    if (!it->is_symlink(ignored)) continue;
    TV_RETURN_IF_ERROR(PathOf(fs::path(it->path()).lexically_relative(root_).string()).status());
  }
  return Status::Ok();
}

}  // namespace truevec
