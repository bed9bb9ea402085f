#include "kernel_sim/digest/directive_writer.h"

#include <algorithm>

#include "kernel_sim/base/characters.h"

namespace ktlsim::digest {
namespace {

// attr-char of RFC 8187 3.2.1: a token character that neither quotes nor escapes.
bool IsPlainInExtended(char c) { return IsTokenCharacter(c) && c != '*' && c != '\'' && c != '%'; }

}  // namespace

void DirectiveWriter::Put(std::string_view text) {
  if (bytes_ + text.size() <= room_.size()) {
    std::ranges::copy(text, room_.begin() + static_cast<std::ptrdiff_t>(bytes_));
  }
  bytes_ += text.size();
}

void DirectiveWriter::Begin(std::string_view name) {
  if (bytes_ != 0) Put(separator_);
  Put(name);
}

void DirectiveWriter::Quoted(std::string_view name, std::string_view value) {
  if (std::ranges::any_of(value, IsControl)) fault_ = Fault::kControlByte;
  Begin(name);
  Put("=\"");
  for (const char c : value) {
    if (c == '"' || c == '\\') Put('\\');
    Put(c);
  }
  Put('"');
}

void DirectiveWriter::Token(std::string_view name, std::string_view value) {
  if (!IsToken(value)) fault_ = Fault::kBadValue;
  Begin(name);
  Put('=');
  Put(value);
}

void DirectiveWriter::Extended(std::string_view name, std::string_view value) {
  static constexpr std::string_view kDigits = "0123456789ABCDEF";
  Begin(name);
  Put("*=UTF-8''");
  for (const char c : value) {
    if (IsPlainInExtended(c)) {
      Put(c);
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    const char escape[] = {'%', kDigits[byte >> 4], kDigits[byte & 15U]};
    Put(std::string_view(escape, sizeof escape));
  }
}

}  // namespace ktlsim::digest
