// modules.json and Router configs into ModuleSpecs. Reference: base/model.py (_load_config_modules),
// base/modules/module.py (load_config), base/modules/router.py (load).
#include <algorithm>
#include <set>
#include <sstream>

#include "spec/module_table.h"
#include "spec/resolve.h"

namespace truevec {
namespace {

constexpr size_t kMaxModules = 64;
constexpr int kMaxRouterDepth = 4;

std::string Join(const std::string& folder, const std::string& file) {
  return folder.empty() ? file : folder + "/" + file;
}

void ReadModuleConfig(const ModelDirectory& directory, const ModuleType& type, ModuleSpec* module, ModelSpec* spec) {
  module->config = std::make_shared<const json::value>(json::object());
  std::istringstream names{std::string(type.config_files)};
  for (std::string name; names >> name;) {
    const std::string file = Join(module->path, name);
    if (!directory.Has(file)) continue;
    Result<JsonFile> parsed = directory.Json(file);
    if (!parsed.ok()) {
      spec->Refuse("unreadable file", file, parsed.status().message());
      return;
    }
    const JsonRef root = parsed->root();
    if (!root.is_object()) {
      spec->Refuse("module config", file, root.TypeError("an object").message());
      return;
    }
    if (root.size() == 0) continue;  // {}: the next candidate, as the reference does
    module->config = std::make_shared<const json::value>(root.value());
    module->config_file = file;
    return;
  }
}

bool ResolveType(const std::string& dotted, const std::string& where, ModuleSpec* module, const ModuleType** type,
                 ModelSpec* spec) {
  Result<const ModuleType*> found = FindModuleType(dotted);
  if (!found.ok()) {
    spec->Refuse("module type \"" + dotted + "\"", where, found.status().message());
    return false;
  }
  *type = found.value();
  module->type = (*type)->name;
  return true;
}

void ReadRouter(const ModelDirectory& directory, int depth, ModuleSpec* router, ModelSpec* spec);

// One module whose dotted type and folder are known.
bool ReadOne(const ModelDirectory& directory, const std::string& dotted, const std::string& where, int depth,
             ModuleSpec* module, ModelSpec* spec) {
  const ModuleType* type = nullptr;
  if (!ResolveType(dotted, where, module, &type, spec)) return false;
  if (const Status status = ModelDirectory::CheckRelative(module->path, where); !status.ok()) {
    spec->Refuse("path", where, status.message());
    return false;
  }
  ReadModuleConfig(directory, *type, module, spec);
  if (module->type == "Router") ReadRouter(directory, depth, module, spec);
  return true;
}

void ReadRoute(const ModelDirectory& directory, const JsonRef& types, const JsonRef& folders, int depth,
               std::vector<ModuleSpec>* route, ModelSpec* spec) {
  for (size_t i = 0; i < folders.size(); ++i) {
    const JsonRef folder = folders.At(i);
    const Result<std::string> id = folder.String();
    if (!id.ok()) {
      spec->Refuse("Router structure", folder.Where(), id.status().message());
      continue;
    }
    const Result<std::string> dotted = types[id.value()].String();
    if (!dotted.ok()) {
      spec->Refuse("Router module \"" + id.value() + "\"", types.Where(), "its type is not in \"types\"");
      continue;
    }
    ModuleSpec module;
    module.name = id.value();
    module.path = id.value();
    if (const Status status = ModelDirectory::CheckRelative(id.value(), folder.Where()); !status.ok()) {
      spec->Refuse("path", folder.Where(), status.message());
      continue;
    }
    const std::string& router_file = types.file();
    const size_t slash = router_file.rfind('/');
    if (slash != std::string::npos) module.path = router_file.substr(0, slash) + "/" + id.value();
    if (ReadOne(directory, dotted.value(), types.Where(), depth, &module, spec)) route->push_back(std::move(module));
  }
}

void ReadRouter(const ModelDirectory& directory, int depth, ModuleSpec* router, ModelSpec* spec) {
  const JsonRef config = router->Config();
  if (depth >= kMaxRouterDepth) {
    spec->Refuse("Router", config.file(), "Routers nested deeper than " + std::to_string(kMaxRouterDepth));
    return;
  }
  const JsonRef structure = config["structure"];
  const JsonRef types = config["types"];
  if (!structure.is_object() || !types.is_object() || structure.size() == 0) {
    spec->Refuse("Router", config.file().empty() ? router->path : config.file(),
                 "expected \"types\", \"structure\" and \"parameters\"");
    return;
  }
  for (const std::string& route : structure.Keys()) {
    const JsonRef folders = structure[route];
    if (!folders.is_array() || folders.size() == 0 || folders.size() > kMaxModules) {
      spec->Refuse("Router route \"" + route + "\"", folders.Where(), "expected a list of 1 to 64 module folders");
      continue;
    }
    ReadRoute(directory, types, folders, depth + 1, &router->routes[route], spec);
    router->route_order.push_back(route);
  }
}

void ReadKwargs(const JsonRef& entry, ModuleSpec* module, ModelSpec* spec) {
  const JsonRef kwargs = entry["kwargs"];
  for (size_t i = 0; i < kwargs.size(); ++i) {
    const Result<std::string> name = kwargs.At(i).String();
    if (name.ok()) {
      module->forward_kwargs.push_back(name.value());
    } else {
      spec->Refuse("module kwargs", kwargs.Where(), name.status().message());
    }
  }
}

// jina-embeddings-v3 names a class of its own (custom_st.py) that is Transformer with the adapter of the call's task;
// known by the implementation that its config.json maps to. Other publishers use the same name for other things.
std::string KnownRemoteType(const ModelDirectory& directory, const std::string& type) {
  if (type != "custom_st.Transformer" || !directory.Has("config.json")) return type;
  const Result<JsonFile> config = directory.Json("config.json");
  if (!config.ok()) return type;
  const JsonRef map = config->root()["auto_map"]["AutoModel"];
  if (!map.is_string() || !map.String().value().starts_with("jinaai/xlm-roberta-flash-implementation--")) return type;
  return "sentence_transformers.models.Transformer";
}

}  // namespace

ModuleSpec SyntheticModule(std::string type, json::object config) {
  ModuleSpec module;
  module.name = type;
  module.type = std::move(type);
  module.config = std::make_shared<const json::value>(std::move(config));
  return module;
}

void ReadModules(const ModelDirectory& directory, const JsonRef& modules_json, ModelSpec* spec) {
  if (!modules_json.is_array() || modules_json.size() == 0 || modules_json.size() > kMaxModules) {
    spec->Refuse("modules", "modules.json", "expected a list of 1 to 64 modules");
    return;
  }
  std::set<std::string> names;
  for (size_t i = 0; i < modules_json.size(); ++i) {
    const JsonRef entry = modules_json.At(i);
    const Result<std::string> type = entry["type"].String();
    const Result<std::string> path = entry["path"].String();
    if (!type.ok() || !path.ok()) {
      spec->Refuse("module", entry.Where(), (type.ok() ? path.status() : type.status()).message());
      continue;
    }
    ModuleSpec module;
    module.path = path.value();
    while (module.path.ends_with('/')) module.path.pop_back();
    module.name = entry["name"].is_string() ? entry["name"].String().value() : std::to_string(i);
    if (!names.insert(module.name).second) {
      spec->Refuse("module name \"" + module.name + "\"", entry["name"].Where(),
                   "two modules have this name; the reference keeps only the last");
    }
    ReadKwargs(entry, &module, spec);
    const std::string dotted = KnownRemoteType(directory, type.value());
    if (ReadOne(directory, dotted, entry["type"].Where(), 0, &module, spec)) {
      spec->modules.push_back(std::move(module));
    }
  }
}

}  // namespace truevec
