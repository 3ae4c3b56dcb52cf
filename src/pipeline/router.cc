// Router (Asym): one list of modules per route, chosen by the task. Reference: base/modules/router.py
// (_resolve_route_name); the modality is always "text" here.
#include <algorithm>
#include <set>

#include "pipeline/modules.h"

namespace truevec {
namespace {

struct Route {
  std::string name;
  std::vector<std::unique_ptr<PipelineModule>> modules;
  const InputModule* input = nullptr;  // when the Router is the first module
};

// A key of route_mappings: "('query', 'text')", "(None, 'text')", "('query', None)".
struct Mapping {
  std::optional<std::string> task;
  std::optional<std::string> modality;
  std::string route;
};

class Router : public InputModule {
 public:
  Router(std::vector<Route> routes, std::vector<Mapping> mappings, std::string default_route)
      : routes_(std::move(routes)), mappings_(std::move(mappings)), default_route_(std::move(default_route)) {}

  Status CheckTask(std::string_view task) const override { return Resolve(task).status(); }
  Result<EncodedText> Encode(const InputText& input) const override {
    TV_ASSIGN_OR_RETURN(const Route* route, Resolve(input.task));
    return route->input->Encode(input);
  }
  const Tokenizer* tokenizer() const override {
    for (const Route& route : routes_) {
      if (route.input != nullptr && route.input->tokenizer() != nullptr) return route.input->tokenizer();
    }
    return nullptr;
  }
  int64_t max_length() const override {
    int64_t longest = 0;
    for (const Route& route : routes_) {
      if (route.input != nullptr) longest = std::max(longest, route.input->max_length());
    }
    return longest;
  }

  Status Forward(const ExecContext& ctx, Features* features) const override {
    const std::string_view task = features->count() > 0 ? std::string_view(features->texts[0]->task) : "";
    TV_ASSIGN_OR_RETURN(const Route* route, Resolve(task));
    for (const auto& module : route->modules) TV_RETURN_IF_ERROR(module->Forward(ctx, features));
    return Status::Ok();
  }

  json::object Describe() const override {
    json::object routes;
    for (const Route& route : routes_) {
      json::array list;
      for (const auto& module : route.modules) list.push_back(module->Describe());
      routes[route.name] = list;
    }
    json::array mappings;
    for (const Mapping& m : mappings_) {
      mappings.push_back(
          json::array{json::value(m.task.value_or("*")), json::value(m.modality.value_or("*")), json::value(m.route)});
    }
    return {{"type", "Router"}, {"routes", routes}, {"default", default_route_}, {"mappings", mappings}};
  }

 private:
  const Route* Find(std::string_view name) const {
    for (const Route& route : routes_) {
      if (route.name == name) return &route;
    }
    return nullptr;
  }

  const Route* Mapped(std::optional<std::string_view> task, std::optional<std::string_view> modality) const {
    for (const Mapping& m : mappings_) {
      if (m.task == task && m.modality == modality) return Find(m.route);
    }
    return nullptr;
  }

  Result<const Route*> Resolve(std::string_view task_name) const {
    const std::optional<std::string_view> task =
        task_name.empty() ? std::nullopt : std::optional<std::string_view>(task_name);
    const Route* route = Mapped(task, "text");
    if (route == nullptr) route = Mapped(task, std::nullopt);
    if (route == nullptr) route = Mapped(std::nullopt, "text");
    if (route == nullptr) route = Mapped(std::nullopt, std::nullopt);
    if (route == nullptr && task.has_value()) route = Find(*task);
    if (route == nullptr) route = Find("text");
    if (route == nullptr && !task.has_value()) route = Find(default_route_);
    if (route != nullptr) return route;
    std::string known;
    for (const Route& r : routes_) known += (known.empty() ? "" : ", ") + r.name;
    if (!task.has_value()) return UsageError("the model needs a task (its Router has no default route): " + known);
    return UsageError("task \"" + std::string(task_name) + "\" has no route in the model's Router; it has: " + known);
  }

  std::vector<Route> routes_;
  std::vector<Mapping> mappings_;
  std::string default_route_;  // empty: none
};

// One element of the tuple: None or a quoted word. Tuples of modalities concern no text and give false.
bool ParseElement(std::string_view text, std::optional<std::string>* out) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  if (text == "None") return true;
  if (text.size() < 2 || (text.front() != '\'' && text.front() != '"') || text.back() != text.front()) return false;
  *out = std::string(text.substr(1, text.size() - 2));
  return true;
}

Result<std::vector<Mapping>> ReadMappings(const JsonRef& ref, const ModuleSpec& router) {
  std::vector<Mapping> mappings;
  for (const std::string& key : ref.Keys()) {
    TV_ASSIGN_OR_RETURN(const std::string target, ref[key].String());
    if (!router.routes.contains(target)) {
      return ModelError(ref[key].Where() + ": maps to route \"" + target + "\", which is not in structure");
    }
    const bool shaped = key.size() > 2 && key.front() == '(' && key.back() == ')';
    if (!shaped) return ModelError(ref[key].Where() + ": expected a key like \"('query', 'text')\"");
    const std::string_view inner = std::string_view(key).substr(1, key.size() - 2);
    if (inner.find('(') != std::string_view::npos) continue;  // several modalities: never text alone
    const size_t comma = inner.find(',');
    Mapping mapping;
    mapping.route = target;
    if (comma == std::string_view::npos || !ParseElement(inner.substr(0, comma), &mapping.task) ||
        !ParseElement(inner.substr(comma + 1), &mapping.modality)) {
      return ModelError(ref[key].Where() + ": expected a key like \"('query', 'text')\"");
    }
    mappings.push_back(std::move(mapping));
  }
  return mappings;
}

Result<Route> LoadRoute(const std::string& name, const std::vector<ModuleSpec>& specs, const LoadContext& context,
                        FeatureWidths* widths) {
  Route route;
  route.name = name;
  LoadContext inner = context;
  inner.widths = widths;
  for (const ModuleSpec& spec : specs) {
    inner.first = context.first && route.modules.empty();
    TV_ASSIGN_OR_RETURN(std::unique_ptr<PipelineModule> module, LoadModule(spec, inner));
    if (inner.first) {
      route.input = dynamic_cast<const InputModule*>(module.get());
      if (route.input == nullptr) {
        return ModelError("Router route \"" + name + "\": " + spec.type + " cannot be the first: it takes no text");
      }
      inner.input = route.input;
    }
    route.modules.push_back(std::move(module));
  }
  return route;
}

// What every route writes; widths must agree, or no fixed output size would exist.
Status MergeWidths(const std::string& route, const FeatureWidths& widths, bool first, const std::string& file,
                   FeatureWidths* merged) {
  if (first) {
    *merged = widths;
    return Status::Ok();
  }
  for (auto it = merged->begin(); it != merged->end();) {
    const auto found = widths.find(it->first);
    if (found == widths.end()) {
      it = merged->erase(it);
      continue;
    }
    if (found->second.width != it->second.width && it->first == "sentence_embedding") {
      return ModelError(file + ": route \"" + route + "\" gives " + std::to_string(found->second.width) +
                        " dimensions, another route " + std::to_string(it->second.width));
    }
    ++it;
  }
  return Status::Ok();
}

}  // namespace

LoadedModule LoadRouter(const ModuleSpec& module, const LoadContext& context) {
  const std::string file = module.Config().file();
  ConfigReader reader = context.Reader(module);
  reader.Ignore({"types", "structure", "parameters"});
  TV_RETURN_IF_ERROR(context.Finish(module, reader));
  ConfigReader parameters(module.Config()["parameters"], nullptr, nullptr, std::string(kReferenceName));
  TV_ASSIGN_OR_RETURN(std::string default_route, parameters.String({"default_route"}, ""));
  TV_ASSIGN_OR_RETURN(const bool allow_empty, parameters.Bool({"allow_empty_key"}, true));
  TV_ASSIGN_OR_RETURN(std::vector<Mapping> mappings, ReadMappings(parameters.Raw({"route_mappings"}), module));
  if (const auto unread = parameters.UnreadKeys(); !unread.empty()) {
    return parameters.Refuse(unread.front(), "unknown key of Router that could change vectors");
  }
  if (!default_route.empty() && !module.routes.contains(default_route)) {
    return ModelError(file + ": parameters.default_route: \"" + default_route + "\" is not a route");
  }
  if (default_route.empty() && allow_empty) default_route = module.route_order.front();
  const FeatureWidths before = *context.widths;
  FeatureWidths merged;
  std::vector<Route> routes;
  for (const std::string& name : module.route_order) {
    FeatureWidths widths = before;
    TV_ASSIGN_OR_RETURN(Route route, LoadRoute(name, module.routes.at(name), context, &widths));
    TV_RETURN_IF_ERROR(MergeWidths(name, widths, routes.empty(), file, &merged));
    routes.push_back(std::move(route));
  }
  *context.widths = merged;
  return LoadedModule(std::make_unique<Router>(std::move(routes), std::move(mappings), std::move(default_route)));
}

}  // namespace truevec
