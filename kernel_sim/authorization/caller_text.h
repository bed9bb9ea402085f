// Texts at the border of the access functions: UTF-8 or UTF-16 outside, UTF-8 inside.
//
// Private to authorization/. Overloaded for char, of the A functions, and WCHAR, of the W
// functions. May throw std::bad_alloc.
#pragma once

#include <ktlsim/security.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "kernel_sim/security/fault.h"

namespace ktlsim::authorization {

// Characters that are read of a caller's text: more than any list of ACEs has.
inline constexpr std::size_t kTextUnitsMax = std::size_t{1} << 20;

// kInvalidParameter: `from` is null, longer than kTextUnitsMax, or no UTF-8. It is read no further.
// Unpaired surrogates become U+FFFD.
security::Fault ReadText(const CHAR* from, std::string* text);
security::Fault ReadText(const WCHAR* from, std::string* text);

// `text`, UTF-8, as a caller's string without the null character at the end.
void Convert(std::string_view text, std::string* converted);
void Convert(std::string_view text, std::u16string* converted);

// In a block for LocalFree. `*units` counts the null character at the end. kNoMemory.
security::Fault GiveText(std::string_view text, CHAR** out, std::size_t* units);
security::Fault GiveText(std::string_view text, WCHAR** out, std::size_t* units);

// Into a caller's buffer of `*units`. kInsufficientBuffer: `*units` is what it needs with the null
// character; kNoAccess: `units`, or a buffer that would be large enough, is null. Otherwise
// `*units` is what is stored, without the null character.
security::Fault StoreText(std::string_view text, CHAR* buffer, LPDWORD units);
security::Fault StoreText(std::string_view text, WCHAR* buffer, LPDWORD units);

}  // namespace ktlsim::authorization
