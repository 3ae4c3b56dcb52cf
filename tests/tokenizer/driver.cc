// Answers ids for the differential tests: tokenizer_driver DIRECTORY MODEL_TYPE, or tokenizer_driver tokenizer.json.
// One {"text": ...} a line on stdin, one {"ids": [...]} or {"error": ...} a line on stdout.
#include <iostream>
#include <string>

#include "base/json.h"
#include "tokenizer/tokenizer.h"

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: tokenizer_driver DIRECTORY MODEL_TYPE | tokenizer_driver tokenizer.json\n";
    return 2;
  }
  auto tokenizer = argc > 2 ? truevec::Tokenizer::LoadDirectory(argv[1], argv[2], {}, nullptr)
                            : truevec::Tokenizer::LoadFile(argv[1]);
  if (!tokenizer.ok()) {
    std::cerr << tokenizer.status().message() << "\n";
    return 1;
  }
  for (std::string line; std::getline(std::cin, line);) {
    auto request = truevec::ParseJson(line, "stdin");
    if (!request.ok()) {
      std::cerr << request.status().message() << "\n";
      return 2;
    }
    const auto text = truevec::JsonRef(&*request, "stdin")["text"].String();
    truevec::json::object answer;
    if (text.ok()) {
      const auto encoding = (*tokenizer)->Encode(*text, std::nullopt, {});
      if (encoding.ok()) {
        answer["ids"] = truevec::json::array(encoding->ids.begin(), encoding->ids.end());
      } else {
        answer["error"] = encoding.status().message();
      }
    } else {
      answer["error"] = text.status().message();
    }
    std::cout << truevec::WriteJson(answer) << "\n";
  }
  return 0;
}
