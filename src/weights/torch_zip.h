// The zip container of torch.save: entries stored without compression, so tensors can be read in place.
// Format: PKWARE APPNOTE 6.3.10; caffe2/serialize/inline_container.cc.
#ifndef TRUEVEC_WEIGHTS_TORCH_ZIP_H_
#define TRUEVEC_WEIGHTS_TORCH_ZIP_H_

#include <map>
#include <span>
#include <string>

#include "base/status.h"

namespace truevec {

// Entry name without the archive's top folder ("data.pkl", "data/0") -> its bytes inside `bytes`. Refuses compressed,
// encrypted, overlapping-the-end and duplicate entries, naming `file`.
Result<std::map<std::string, std::span<const std::byte>>> ReadTorchZip(std::span<const std::byte> bytes,
                                                                       const std::string& file);

}  // namespace truevec

#endif  // TRUEVEC_WEIGHTS_TORCH_ZIP_H_
