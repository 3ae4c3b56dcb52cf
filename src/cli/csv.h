// Records of RFC 4180 CSV: quoted fields may hold delimiters, doubled quotes and line breaks.
#ifndef TRUEVEC_CLI_CSV_H_
#define TRUEVEC_CLI_CSV_H_

#include <functional>
#include <string>
#include <vector>

#include "base/status.h"

namespace truevec::cli {

// Reads one record through `next`, which gives a line with its line break, or false at the end. Returns false at the
// end. `problem` errors say what is wrong without a place; the caller adds file and line.
Result<bool> ReadCsvRecord(const std::function<Result<bool>(std::string*)>& next, char delimiter,
                           std::vector<std::string>* fields);

}  // namespace truevec::cli

#endif  // TRUEVEC_CLI_CSV_H_
