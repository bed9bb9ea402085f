#include "kernel_sim/authorization/caller_text.h"

#include <algorithm>
#include <cstring>

#include "kernel_sim/authorization/caller.h"
#include "kernel_sim/authorization/local_memory.h"

namespace ktlsim::authorization {
namespace {

using security::Fault;

constexpr char32_t kReplacement = 0xFFFD;
constexpr char32_t kNoCharacter = 0xFFFFFFFF;

bool IsHighSurrogate(char32_t c) { return c >= 0xD800 && c < 0xDC00; }
bool IsSurrogate(char32_t c) { return c >= 0xD800 && c < 0xE000; }

void AppendUtf8(char32_t c, std::string* text) {
  const auto push = [text](char32_t byte) { text->push_back(static_cast<char>(byte)); };
  if (c < 0x80) return push(c);
  if (c < 0x800) {
    push(0xC0 | c >> 6);
  } else {
    if (c < 0x10000) {
      push(0xE0 | c >> 12);
    } else {
      push(0xF0 | c >> 18);
      push(0x80 | (c >> 12 & 0x3F));
    }
    push(0x80 | (c >> 6 & 0x3F));
  }
  push(0x80 | (c & 0x3F));
}

// How many bytes begin with this one, and the bits of it that count. 0: none do.
struct LeadByte {
  std::size_t bytes;
  char32_t bits;
  char32_t least;  // a smaller character is written with fewer bytes
};
LeadByte ReadLead(unsigned char byte) {
  if (byte < 0x80) return {1, byte, 0};
  if (byte >= 0xC2 && byte < 0xE0) return {2, byte & 0x1FU, 0x80};
  if (byte >= 0xE0 && byte < 0xF0) return {3, byte & 0x0FU, 0x800};
  if (byte >= 0xF0 && byte < 0xF5) return {4, byte & 0x07U, 0x10000};
  return {0, 0, 0};
}

// The character at the front of `*text`, which is taken off. kNoCharacter: there is none, and
// nothing is taken.
char32_t TakeUtf8(std::string_view* text) {
  const LeadByte lead = ReadLead(static_cast<unsigned char>(text->front()));
  if (lead.bytes == 0 || lead.bytes > text->size()) return kNoCharacter;
  char32_t c = lead.bits;
  for (const char one : text->substr(1, lead.bytes - 1)) {
    const auto byte = static_cast<unsigned char>(one);
    if ((byte & 0xC0) != 0x80) return kNoCharacter;
    c = c << 6 | (byte & 0x3FU);
  }
  if (c < lead.least || c > 0x10FFFF || IsSurrogate(c)) return kNoCharacter;
  text->remove_prefix(lead.bytes);
  return c;
}

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    if (TakeUtf8(&text) == kNoCharacter) return false;
  }
  return true;
}

std::string ToUtf8Text(std::u16string_view from) {
  std::string text;
  text.reserve(from.size());
  for (std::size_t i = 0; i < from.size(); ++i) {
    char32_t c = from[i];
    if (IsHighSurrogate(c) && i + 1 < from.size() && from[i + 1] >= 0xDC00 &&
        from[i + 1] < 0xE000) {
      c = 0x10000 + ((c - 0xD800) << 10) + (from[++i] - 0xDC00U);
    } else if (IsSurrogate(c)) {
      c = kReplacement;
    }
    AppendUtf8(c, &text);
  }
  return text;
}

// Of a caller's string; one more than kTextUnitsMax: it is longer.
template <typename Unit>
std::size_t UnitsOf(const Unit* from) {
  std::size_t units = 0;
  while (units <= kTextUnitsMax && LoadElement<Unit>(from, 0, units) != 0) ++units;
  return units;
}

template <typename Unit>
Fault Give(std::string_view text, Unit** out, std::size_t* units) {
  std::basic_string<Unit> converted;
  Convert(text, &converted);
  void* const block = AllocateLocal((converted.size() + 1) * sizeof(Unit));
  if (block == nullptr) return Fault::kNoMemory;
  std::memcpy(block, converted.data(), converted.size() * sizeof(Unit));
  StoreTo(static_cast<void*>(out), block);
  *units = converted.size() + 1;
  return Fault::kNone;
}

template <typename Unit>
Fault StoreUnits(std::string_view text, Unit* buffer, LPDWORD units) {
  if (units == nullptr) return Fault::kNoAccess;
  std::basic_string<Unit> converted;
  Convert(text, &converted);
  if (LoadFrom<DWORD>(units) <= converted.size()) {
    StoreTo(units, static_cast<DWORD>(converted.size() + 1));
    return Fault::kInsufficientBuffer;
  }
  if (buffer == nullptr) return Fault::kNoAccess;
  std::memcpy(static_cast<void*>(buffer), converted.c_str(), (converted.size() + 1) * sizeof(Unit));
  StoreTo(units, static_cast<DWORD>(converted.size()));
  return Fault::kNone;
}

}  // namespace

Fault ReadText(const CHAR* from, std::string* text) {
  if (from == nullptr) return Fault::kInvalidParameter;
  const std::size_t units = strnlen(from, kTextUnitsMax + 1);
  if (units > kTextUnitsMax) return Fault::kInvalidParameter;
  text->assign(from, units);
  // Another thread may have ended it earlier since it was counted.
  text->resize(strnlen(text->c_str(), units));
  return IsUtf8(*text) ? Fault::kNone : Fault::kInvalidParameter;
}

Fault ReadText(const WCHAR* from, std::string* text) {
  if (from == nullptr) return Fault::kInvalidParameter;
  const std::size_t units = UnitsOf(from);
  if (units > kTextUnitsMax) return Fault::kInvalidParameter;
  std::u16string copy(units, u'\0');
  std::memcpy(copy.data(), static_cast<const void*>(from), units * sizeof(WCHAR));
  copy.resize(std::min(copy.find(u'\0'), units));
  *text = ToUtf8Text(copy);
  return Fault::kNone;
}

void Convert(std::string_view text, std::string* converted) { converted->assign(text); }

void Convert(std::string_view text, std::u16string* converted) {
  converted->clear();
  while (!text.empty()) {
    char32_t c = TakeUtf8(&text);
    if (c == kNoCharacter) {
      c = kReplacement;
      text.remove_prefix(1);
    }
    if (c < 0x10000) {
      converted->push_back(static_cast<char16_t>(c));
    } else {
      converted->push_back(static_cast<char16_t>(0xD7C0 + (c >> 10)));
      converted->push_back(static_cast<char16_t>(0xDC00 + (c & 0x3FF)));
    }
  }
}

Fault GiveText(std::string_view text, CHAR** out, std::size_t* units) {
  return Give(text, out, units);
}
Fault GiveText(std::string_view text, WCHAR** out, std::size_t* units) {
  return Give(text, out, units);
}

Fault StoreText(std::string_view text, CHAR* buffer, LPDWORD units) {
  return StoreUnits(text, buffer, units);
}
Fault StoreText(std::string_view text, WCHAR* buffer, LPDWORD units) {
  return StoreUnits(text, buffer, units);
}

}  // namespace ktlsim::authorization
