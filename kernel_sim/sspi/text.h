// Strings and times at the border of the API: UTF-16 in, UTF-8 inside; FILETIME in local time out.
#pragma once

#include <sspi.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace ktlsim::sspi {

// Null is empty. Unpaired surrogates become U+FFFD.
std::string ToUtf8(const SEC_WCHAR* text);
std::string ToUtf8(std::u16string_view text);
// Counted, as in kernel mode. A zero inside is no character either.
std::string ToUtf8(const SECURITY_STRING* text);
inline std::string ToUtf8(const char* text) { return text == nullptr ? "" : text; }

// ASCII into a fixed array of 16-bit units, always terminated.
void StoreWide(SEC_WCHAR* out, std::size_t units, std::string_view ascii);

// Seconds since 1970 as a TimeStamp: 100 ns since 1601, in local time.
std::int64_t ToTimeStamp(std::int64_t unix_seconds);

}  // namespace ktlsim::sspi
