// The layer view: the first intermediate that two local models compute differently, by name.
#ifndef TRUEVEC_VERIFY_LAYERS_H_
#define TRUEVEC_VERIFY_LAYERS_H_

#include "verify/diagnose.h"

namespace truevec {

// Fills d->layers from the probe with the largest difference, when the target can show its intermediates.
void CompareLayers(Lab* lab, Target* target, Diagnosis* d);

}  // namespace truevec

#endif  // TRUEVEC_VERIFY_LAYERS_H_
