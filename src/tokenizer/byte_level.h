// GPT-2's byte alphabet: a printable character for each byte (tokenizers byte_level.rs, bytes_char).
#ifndef TRUEVEC_TOKENIZER_BYTE_LEVEL_H_
#define TRUEVEC_TOKENIZER_BYTE_LEVEL_H_

#include <cstdint>
#include <optional>

#include "tokenizer/text.h"

namespace truevec {

inline constexpr const char* kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

// The character that stands for `byte`: itself when printable Latin-1, else 256 + its rank among the others.
uint32_t ByteToChar(uint8_t byte);
// The byte that a character stands for, if it is of the alphabet.
std::optional<uint8_t> CharToByte(uint32_t cp);
// Replaces each character by those of its UTF-8 bytes, all with the character's range.
void ToByteLevel(Text* text);

}  // namespace truevec

#endif  // TRUEVEC_TOKENIZER_BYTE_LEVEL_H_
