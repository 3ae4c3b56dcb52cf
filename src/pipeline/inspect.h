// What `truevec inspect` shows: the resolved settings with their sources, refusals, warnings, tensors (CONTRACT 10).
#ifndef TRUEVEC_PIPELINE_INSPECT_H_
#define TRUEVEC_PIPELINE_INSPECT_H_

#include "base/json.h"
#include "pipeline/pipeline.h"

namespace truevec {

// Loads `directory` and reports, refused or not. An error only when nothing could be read at all or `options` are
// wrong; a refused model has `supported` false in the report's JSON.
Result<LoadReport> InspectModel(const std::string& directory, const SpecOptions& options);
bool Supported(const LoadReport& report);
json::object InspectToJson(const LoadReport& report);
// The same as a table for people.
std::string InspectToText(const LoadReport& report);

}  // namespace truevec

#endif  // TRUEVEC_PIPELINE_INSPECT_H_
