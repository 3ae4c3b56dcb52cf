// The probe set: a small, fixed, versioned list of texts, each with the trap that it is for.
#ifndef TRUEVEC_VERIFY_PROBES_H_
#define TRUEVEC_VERIFY_PROBES_H_

#include <cstdint>
#include <string>
#include <vector>

namespace truevec {

// Raised when a text changes: reports with different versions are not comparable text by text.
inline constexpr std::string_view kProbeSetVersion = "probes/2";

struct Probe {
  std::string name;
  std::string text;
  std::string trap;  // what shows on it and not on the control texts
};

// `max_length`: the model's limit in tokens with specials, 0 for none; long probes are made below, at and above it.
std::vector<Probe> BuiltInProbes(int64_t max_length);

}  // namespace truevec

#endif  // TRUEVEC_VERIFY_PROBES_H_
