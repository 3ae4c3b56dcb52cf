// Files of web/, embedded gzip-compressed by tools/embed_files.py.
#ifndef TRUEVEC_SERVER_ASSETS_H_
#define TRUEVEC_SERVER_ASSETS_H_

#include <cstddef>
#include <string_view>

namespace truevec {

// The gzip stream of the file; empty: there is none of that name.
std::string_view FindAsset(std::string_view name);

}  // namespace truevec

#endif  // TRUEVEC_SERVER_ASSETS_H_
