#include "models/rope_config.h"

#include <algorithm>
#include <array>

namespace truevec {
namespace {

constexpr std::array<std::string_view, 7> kTypes = {"default",  "linear", "dynamic",     "yarn",
                                                    "longrope", "llama3", "proportional"};
// Keys that the reference warns about and ignores when the type does not use them.
constexpr std::array<std::string_view, 17> kKnownKeys = {"rope_type",        "type",
                                                         "rope_theta",       "partial_rotary_factor",
                                                         "factor",           "attention_factor",
                                                         "mscale",           "mscale_all_dim",
                                                         "beta_fast",        "beta_slow",
                                                         "truncate",         "low_freq_factor",
                                                         "high_freq_factor", "short_factor",
                                                         "long_factor",      "original_max_position_embeddings",
                                                         "finetuned"};

Status BadRope(std::string_view what) { return ModelError("rope_parameters: " + std::string(what)); }

Result<std::vector<double>> ReadList(const JsonRef& ref) {
  std::vector<double> list;
  if (!ref.present() || ref.is_null()) return list;
  if (!ref.is_array()) return ref.TypeError("a list of numbers");
  for (size_t i = 0; i < ref.size(); ++i) {
    TV_ASSIGN_OR_RETURN(const double value, ref.At(i).Double());
    list.push_back(value);
  }
  return list;
}

Status ReadOptional(const JsonRef& ref, std::optional<double>* out) {
  if (!ref.present() || ref.is_null()) return Status::Ok();
  TV_ASSIGN_OR_RETURN(*out, ref.Double());
  return Status::Ok();
}

// A number that is missing, null or 0 keeps its default ("x or default" in the reference).
Status ReadOrDefault(const JsonRef& ref, double* out) {
  std::optional<double> value;
  TV_RETURN_IF_ERROR(ReadOptional(ref, &value));
  if (value.has_value() && *value != 0) *out = *value;
  return Status::Ok();
}

Status RequireNumber(const JsonRef& object, std::string_view key, double* out) {
  TV_ASSIGN_OR_RETURN(*out, object[key].Double());
  return Status::Ok();
}

struct Found {
  JsonRef object;  // the dictionary that speaks of this rope; not present() for none
  JsonRef root;    // the dictionary that holds it
  JsonRef theta;   // where rope_theta may be when `object` has none
};

JsonRef Nested(const JsonRef& dictionary, const RopeKeys& keys) {
  return keys.layer_type.empty() ? dictionary : dictionary[keys.layer_type];
}

// rope_scaling, unless it is empty, comes before rope_parameters; an override of null means no scaling.
Found FindObject(ConfigReader& config, const RopeKeys& keys) {
  const JsonRef scaling = config.Raw({"rope_scaling"});
  const JsonRef parameters = config.Raw({"rope_parameters"});
  const bool overridden = config.overrides() != nullptr && config.overrides()->Use("rope_scaling") != nullptr;
  Found found;
  if (parameters.is_object() && Nested(parameters, keys).is_object()) {
    found = {Nested(parameters, keys), parameters, Nested(parameters, keys)};
  }
  if (!keys.takes_scaling) return found;
  if (scaling.is_object() && scaling.size() > 0) {
    const JsonRef nested = Nested(scaling, keys);
    found.object = nested.is_object() ? nested : scaling;
    found.root = scaling;
    if (!overridden) found.theta = JsonRef();
  } else if (overridden) {
    found.object = found.root = JsonRef();
  }
  return found;
}

Status ReadTheta(ConfigReader& config, const RopeKeys& keys, const Found& found, RopeParameters* p) {
  const json::value* over = config.overrides() == nullptr ? nullptr : config.overrides()->Use(keys.theta);
  JsonRef ref = found.object["rope_theta"];
  if (!ref.present() || ref.is_null()) ref = found.theta["rope_theta"];
  SettingSource source = SettingSource::File(ref.file(), ref.key());
  config.Ignore({keys.theta});
  const JsonRef top = config.object()[keys.theta];
  if (over != nullptr) {
    ref = JsonRef(over, "--override", std::string(keys.theta));
    source = SettingSource::Override(std::string(keys.theta) + "=" + WriteJson(*over));
  } else if (!ref.present() || ref.is_null()) {
    ref = top;
    source = SettingSource::File(ref.file(), ref.key());
  }
  p->theta = keys.default_theta;
  if (ref.present() && !ref.is_null()) {
    TV_ASSIGN_OR_RETURN(p->theta, ref.Double());
  } else {
    source = SettingSource::Default(config.default_source());
  }
  if (config.settings() != nullptr) {
    config.settings()->Record(std::string(keys.theta), json::value(p->theta), std::move(source));
    if (top.is_number() && top.Double().value() != p->theta) {
      config.settings()->AddConflict(keys.theta, top.value(), SettingSource::File(top.file(), top.key()));
    }
  }
  return Status::Ok();
}

Status ReadPartial(ConfigReader& config, const RopeKeys& keys, const Found& found, RopeParameters* p) {
  JsonRef ref = found.object["partial_rotary_factor"];
  const JsonRef top = config.Raw({"partial_rotary_factor"});
  if (!ref.present() || ref.is_null()) ref = top;
  p->partial = keys.default_partial;
  if (ref.present() && !ref.is_null()) {
    TV_ASSIGN_OR_RETURN(p->partial, ref.Double());
  }
  if (!keys.partial && p->partial != 1 && p->type != "proportional") {
    return ModelError(ref.Where() + ": this architecture rotates whole heads; expected 1, got " +
                      WriteJson(ref.value()));
  }
  return Status::Ok();
}

Status ReadType(const RopeKeys& keys, const JsonRef& object, RopeParameters* p) {
  JsonRef ref = object["rope_type"];
  if (!ref.present()) ref = object["type"];
  if (ref.present() && !ref.is_null()) {
    TV_ASSIGN_OR_RETURN(p->type, ref.String());
  }
  if (keys.longrope_aliases && (p->type == "su" || p->type == "yarn")) p->type = "longrope";
  if (std::find(kTypes.begin(), kTypes.end(), p->type) == kTypes.end()) {
    std::string known;
    for (const std::string_view type : kTypes) known += (known.empty() ? "" : ", ") + std::string(type);
    return ModelError(ref.Where() + ": rope type \"" + p->type + "\" is not supported; known: " + known);
  }
  for (const std::string& key : object.Keys()) {
    if (std::find(kKnownKeys.begin(), kKnownKeys.end(), key) == kKnownKeys.end()) {
      return ModelError(object[key].Where() + ": unknown key that could change vectors");
    }
  }
  return Status::Ok();
}

// Length of the texts that the model was first trained on: the config's own key, the dictionary's, or the default.
Status ReadOriginal(ConfigReader& config, const JsonRef& object, RopeParameters* p) {
  JsonRef ref = config.Raw({"original_max_position_embeddings"});
  if (!ref.present() || ref.is_null()) ref = object["original_max_position_embeddings"];
  if (!ref.present() || ref.is_null()) return Status::Ok();
  TV_ASSIGN_OR_RETURN(p->original_positions, ref.Int());
  if (p->original_positions < 1) return ref.TypeError("a positive number of positions");
  return Status::Ok();
}

Status ReadScaling(ConfigReader& config, const Found& found, RopeParameters* p) {
  const JsonRef& object = found.object;
  TV_RETURN_IF_ERROR(ReadOriginal(config, object, p));
  if (p->type == "default") return Status::Ok();
  TV_RETURN_IF_ERROR(ReadOptional(object["factor"], &p->factor));
  TV_RETURN_IF_ERROR(ReadOptional(object["attention_factor"], &p->attention_factor));
  if (p->type == "yarn") {
    TV_RETURN_IF_ERROR(ReadOptional(object["mscale"], &p->mscale));
    TV_RETURN_IF_ERROR(ReadOptional(object["mscale_all_dim"], &p->mscale_all_dim));
    TV_RETURN_IF_ERROR(ReadOrDefault(object["beta_fast"], &p->beta_fast));
    TV_RETURN_IF_ERROR(ReadOrDefault(object["beta_slow"], &p->beta_slow));
    if (const JsonRef truncate = found.root["truncate"]; truncate.present()) {
      TV_ASSIGN_OR_RETURN(p->truncate, truncate.Bool());
    }
    if (!p->factor) p->factor = static_cast<double>(p->max_positions) / static_cast<double>(p->original_positions);
  } else if (p->type == "llama3") {
    TV_RETURN_IF_ERROR(RequireNumber(object, "low_freq_factor", &p->low_freq_factor));
    TV_RETURN_IF_ERROR(RequireNumber(object, "high_freq_factor", &p->high_freq_factor));
  } else if (p->type == "longrope") {
    TV_ASSIGN_OR_RETURN(p->short_factor, ReadList(object["short_factor"]));
    TV_ASSIGN_OR_RETURN(p->long_factor, ReadList(object["long_factor"]));
  }
  const bool needs_factor = p->type == "linear" || p->type == "dynamic" || p->type == "llama3";
  if (needs_factor && !p->factor) return object["factor"].TypeError("a number");
  return Status::Ok();
}

}  // namespace

Result<RopeParameters> ReadRopeParameters(ConfigReader& config, const RopeKeys& keys) {
  RopeParameters p;
  p.max_positions = keys.max_positions;
  p.original_positions = keys.default_original > 0 ? keys.default_original : keys.max_positions;
  const Found found = FindObject(config, keys);
  TV_RETURN_IF_ERROR(ReadType(keys, found.object, &p));
  TV_RETURN_IF_ERROR(ReadTheta(config, keys, found, &p));
  TV_RETURN_IF_ERROR(ReadPartial(config, keys, found, &p));
  TV_RETURN_IF_ERROR(ReadScaling(config, found, &p));
  if (config.settings() != nullptr && keys.takes_scaling) {
    const bool scaled = p.type != "default";
    config.settings()->Record("rope_scaling", scaled ? found.object.value() : json::value(),
                              found.object.present() ? SettingSource::File(found.object.file(), found.object.key())
                                                     : SettingSource::Default(config.default_source()));
  }
  return p;
}

Status CheckRope(const RopeParameters& p, int64_t head_dim, int64_t rotary_dim) {
  if (rotary_dim < 2 || rotary_dim > head_dim || rotary_dim % 2 != 0) {
    return BadRope("a rotary dimension of " + std::to_string(rotary_dim) + " in heads of " + std::to_string(head_dim) +
                   " is not supported; expected an even number of at least 2");
  }
  if (!(p.theta > 1)) return BadRope("rope_theta: expected a number above 1");
  if (p.factor && !(*p.factor > 0)) return BadRope("factor: expected a positive number");
  if (p.type == "dynamic" && rotary_dim == 2) return BadRope("dynamic scaling needs more than one pair");
  if (p.type == "llama3" && !(p.high_freq_factor > p.low_freq_factor && p.low_freq_factor > 0)) {
    return BadRope("high_freq_factor: expected more than low_freq_factor");
  }
  const auto pairs = static_cast<size_t>(rotary_dim / 2);
  if (p.type == "longrope" && (p.short_factor.size() != pairs || p.long_factor.size() != pairs)) {
    return BadRope("short_factor and long_factor: expected " + std::to_string(pairs) + " numbers each, got " +
                   std::to_string(p.short_factor.size()) + " and " + std::to_string(p.long_factor.size()));
  }
  return Status::Ok();
}

}  // namespace truevec
