// Remote code that model directories name in config.json's auto_map. None is executed: what is known is mapped to the
// architecture that computes the same, the rest is refused with what is missing.
#ifndef TRUEVEC_SPEC_REMOTE_CODE_H_
#define TRUEVEC_SPEC_REMOTE_CODE_H_

#include "base/json.h"
#include "base/settings.h"
#include "base/status.h"

namespace truevec {

// Checks `config` (config.json). Records `remote_code` with its source when it names some.
Status CheckRemoteCode(const JsonRef& config, Settings* settings);

}  // namespace truevec

#endif  // TRUEVEC_SPEC_REMOTE_CODE_H_
