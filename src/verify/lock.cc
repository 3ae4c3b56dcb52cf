#include "verify/lock.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <filesystem>

#include "base/file.h"
#include "verify/dialect.h"

namespace truevec {
namespace {

constexpr std::string_view kSchema = "truevec.lock/1";

std::string Sha256(std::span<const std::byte> bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  TV_CHECK(EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(), nullptr) == 1);
  std::string text;
  for (unsigned int i = 0; i < size; ++i) {
    char hex[3];
    std::snprintf(hex, sizeof hex, "%02x", digest[i]);
    text += hex;
  }
  return text;
}

// Files beside the weights that change a vector or its meaning.
bool Decides(const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  const std::string extension = path.extension().string();
  if (name.starts_with("README") || name == "data_config.json" || name.starts_with(".")) return false;
  return extension == ".json" || extension == ".safetensors" || extension == ".bin" || extension == ".gguf" ||
         extension == ".model" || name == "vocab.txt" || name == "merges.txt";
}

std::string VectorText(const Vector& v) {
  return EncodeBase64({reinterpret_cast<const char*>(v.data()), v.size() * sizeof(float)});
}

Status Bad(const std::string& where, const std::string& problem) { return InputError(where + ": " + problem); }

Result<LockCase> ReadCase(const JsonRef& ref) {
  LockCase out;
  TV_ASSIGN_OR_RETURN(out.text, ref["text"].String());
  if (ref["prompt"].present()) {
    TV_ASSIGN_OR_RETURN(out.prompt, ref["prompt"].String());
  }
  if (ref["ids"].present()) {
    TV_ASSIGN_OR_RETURN(const std::vector<JsonRef> ids, ref["ids"].Array());
    for (const JsonRef& id : ids) {
      TV_ASSIGN_OR_RETURN(const int64_t value, id.Int());
      if (value < 0 || value > INT32_MAX) return Bad(id.Where(), "expected a token id, got " + std::to_string(value));
      out.ids.push_back(static_cast<int32_t>(value));
    }
  }
  TV_ASSIGN_OR_RETURN(const std::string coded, ref["vector"].String());
  const auto bytes = DecodeBase64(coded);
  if (!bytes.ok()) return Bad(ref["vector"].Where(), bytes.status().message());
  if (bytes->empty() || bytes->size() % sizeof(float) != 0) {
    return Bad(ref["vector"].Where(), "expected float32 values, got " + std::to_string(bytes->size()) + " bytes");
  }
  out.vector.resize(bytes->size() / sizeof(float));
  std::memcpy(out.vector.data(), bytes->data(), bytes->size());
  if (!IsFinite(out.vector)) return Bad(ref["vector"].Where(), "holds NaN or infinity");
  return out;
}

}  // namespace

std::string WriteLock(const Lock& lock) {
  std::string out = "{\n  \"schema\": " + WriteJson(json::value(kSchema));
  out += ",\n  \"model\": " + WriteJson(lock.model);
  out += ",\n  \"fingerprint\": " + WriteJson(json::value(lock.fingerprint));
  out += ",\n  \"reference\": " + WriteJson(lock.reference);
  out += ",\n  \"settings\": " + WriteJson(lock.settings);
  out += ",\n  \"cases\": [";
  bool first = true;
  for (const LockCase& one : lock.cases) {
    json::array ids;
    for (const int32_t id : one.ids) ids.push_back(id);
    const json::object row = {
        {"text", one.text}, {"prompt", one.prompt}, {"ids", ids}, {"vector", VectorText(one.vector)}};
    out += (first ? "\n    " : ",\n    ") + WriteJson(row);
    first = false;
  }
  return out + "\n  ]\n}\n";
}

Result<Lock> ParseLock(const std::string& text, const std::string& name) {
  TV_ASSIGN_OR_RETURN(const JsonFile file, JsonFile::Parse(text, name, Code::kBadInput));
  const JsonRef root = file.root();
  const auto schema = root["schema"].String();
  if (!schema.ok() || *schema != kSchema) {
    return Bad(name + ": schema", "expected \"" + std::string(kSchema) + "\", got " +
                                      (root["schema"].present() ? WriteJson(root["schema"].value()) : "nothing"));
  }
  Lock lock;
  for (const auto& [key, part] : {std::pair("model", &lock.model), std::pair("reference", &lock.reference),
                                  std::pair("settings", &lock.settings)}) {
    if (!root[key].is_object()) return Bad(name + ": " + key, "expected an object");
    *part = root[key].value().get_object();
  }
  const auto fingerprint = root["fingerprint"].String();
  if (!fingerprint.ok()) return Bad(name, fingerprint.status().message());
  lock.fingerprint = *fingerprint;
  const auto cases = root["cases"].Array();
  if (!cases.ok() || cases->empty()) return Bad(name + ": cases", "expected a list with at least one case");
  for (const JsonRef& ref : *cases) {
    auto one = ReadCase(ref);
    if (!one.ok()) return InputError(one.status().message());
    if (!lock.cases.empty() && one->vector.size() != lock.cases[0].vector.size()) {
      return Bad(ref["vector"].Where(), "expected " + std::to_string(lock.cases[0].vector.size()) + " values, got " +
                                            std::to_string(one->vector.size()));
    }
    lock.cases.push_back(std::move(one).value());
  }
  return lock;
}

Result<Lock> ReadLock(const std::string& path) {
  TV_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, Code::kBadInput));
  return ParseLock(text, path);
}

Result<json::object> DescribeModelFiles(const std::string& directory) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::path root = fs::absolute(directory, error).lexically_normal();
  const fs::path named = root.has_filename() ? root : root.parent_path();
  json::object out = {{"id", named.filename().string()}, {"revision", nullptr}};
  // models--ORG--NAME/snapshots/REVISION
  if (named.parent_path().filename() == "snapshots") {
    std::string id = named.parent_path().parent_path().filename().string();
    if (id.starts_with("models--")) {
      id = id.substr(8);
      if (const size_t at = id.find("--"); at != std::string::npos) id.replace(at, 2, "/");
      out["id"] = id;
      out["revision"] = named.filename().string();
    }
  }
  std::vector<std::string> names;
  if (fs::is_directory(root, error)) {
    for (auto it = fs::recursive_directory_iterator(root, fs::directory_options::follow_directory_symlink, error);
         it != fs::recursive_directory_iterator(); it.increment(error)) {
      if (error) return ModelError(directory + ": " + error.message());
      if (it.depth() > 1) it.disable_recursion_pending();
      if (it->is_regular_file(error) && Decides(it->path())) names.push_back(fs::relative(it->path(), root).string());
    }
  }
  std::sort(names.begin(), names.end());
  json::object files;
  for (const std::string& name : names) {
    TV_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open((root / name).string()));
    files[name] = Sha256(file.bytes());
  }
  out["files"] = files;
  return out;
}

json::object LockSettings(const Pipeline& pipeline) {
  json::object out;
  for (const char* key : {"architecture", "attention", "pooling", "normalize", "max_length", "truncation_side",
                          "default_prompt_name", "truncate_dim", "stored_dtype"}) {
    if (const Setting* setting = pipeline.spec().settings.Find(key); setting != nullptr) out[key] = setting->value;
  }
  return out;
}

}  // namespace truevec
