#include "cli/model_path.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>

#include "base/file.h"
#include "cli/command.h"

namespace truevec::cli {
namespace {

std::string Variable(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): before any thread starts
  return value == nullptr ? "" : value;
}

bool IsCommit(std::string_view text) {
  return text.size() == 40 && std::all_of(text.begin(), text.end(),
                                          [](char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; });
}

// "name" or "org/name" of the characters that the hub allows.
bool IsRepoId(std::string_view id) {
  if (id.empty() || std::count(id.begin(), id.end(), '/') > 1) return false;
  size_t start = 0;
  for (size_t i = 0; i <= id.size(); ++i) {
    if (i < id.size() && id[i] != '/') {
      const char c = id[i];
      if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '-' && c != '_' && c != '.') return false;
      continue;
    }
    const std::string_view part = id.substr(start, i - start);
    if (part.empty() || part.front() == '.' || part.front() == '-') return false;
    start = i + 1;
  }
  return true;
}

std::string FolderName(std::string_view id) {
  std::string name = "models--";
  for (const char c : id) name += c == '/' ? "--" : std::string(1, c);
  return name;
}

bool SafeRevision(std::string_view revision) {
  return !revision.empty() && revision.front() != '/' && revision.find("..") == std::string_view::npos &&
         revision.find('\0') == std::string_view::npos;
}

// The snapshot of `revision`, or "" when the cache has none.
Result<std::string> Snapshot(const std::string& folder, const std::string& revision) {
  if (!SafeRevision(revision)) return UsageError("revision \"" + revision + "\" is no branch, tag or commit");
  std::string commit = revision;
  if (!IsCommit(revision)) {
    if (!FileExists(folder + "/refs/" + revision)) return std::string();
    TV_ASSIGN_OR_RETURN(commit, ReadFile(folder + "/refs/" + revision, Code::kModelRefused, 4096));
    while (!commit.empty() && std::isspace(static_cast<unsigned char>(commit.back())) != 0) commit.pop_back();
    if (!IsCommit(commit)) return ModelError(folder + "/refs/" + revision + ": expected a commit of 40 hex digits");
  }
  const std::string snapshot = folder + "/snapshots/" + commit;
  return IsDirectory(snapshot) ? snapshot : std::string();
}

}  // namespace

std::string HubCache(const CommonOptions& common) {
  if (!common.cache_dir.empty()) return common.cache_dir;
  for (const char* name : {"SENTENCE_TRANSFORMERS_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"}) {
    if (const std::string value = Variable(name); !value.empty()) return value;
  }
  if (const std::string home = Variable("HF_HOME"); !home.empty()) return home + "/hub";
  if (const std::string cache = Variable("XDG_CACHE_HOME"); !cache.empty()) return cache + "/huggingface/hub";
  return Variable("HOME") + "/.cache/huggingface/hub";
}

std::string DefaultPackedCache() {
  if (const std::string cache = Variable("XDG_CACHE_HOME"); !cache.empty()) return cache + "/truevec/packed";
  const std::string home = Variable("HOME");
  return home.empty() ? "" : home + "/.cache/truevec/packed";
}

Result<std::string> ResolveModelPath(const std::string& model, const CommonOptions& common) {
  if (model.empty()) return UsageError("MODEL is empty");
  if (IsDirectory(model) || FileExists(model)) return model;
  const size_t at = model.rfind('@');
  const std::string id = model.substr(0, at);
  std::string revision = at == std::string::npos ? common.revision : model.substr(at + 1);
  if (at != std::string::npos && !common.revision.empty() && common.revision != revision) {
    return UsageError(model + " and --revision " + common.revision + " name two revisions");
  }
  if (revision.empty()) revision = "main";
  if (!IsRepoId(id)) return ModelError(model + ": no such model directory");
  const std::string cache = HubCache(common);
  // Sentence Transformers looks for a bare name in its own organisation.
  const std::string repo = id.find('/') == std::string::npos ? "sentence-transformers/" + id : id;
  const std::string folder = cache + "/" + FolderName(repo);
  if (!IsDirectory(folder)) {
    return ModelError(model + ": no such directory, and the cache " + cache + " has no " + FolderName(repo) +
                      (common.offline ? " (offline)" : "; download it first, e.g. hf download " + repo));
  }
  TV_ASSIGN_OR_RETURN(std::string snapshot, Snapshot(folder, revision));
  if (!snapshot.empty()) return snapshot;
  return ModelError(
      model + ": " + folder + " has no revision \"" + revision + "\" (refs/" + revision + " and its snapshot)" +
      (common.offline ? " (offline)" : "; download it first, e.g. hf download " + repo + " --revision " + revision));
}

}  // namespace truevec::cli
