// Strings and times at the border of the API: UTF-16 in, UTF-8 inside; FILETIME in local time out.
#pragma once

#include <sspi.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ktlsim::sspi {

// Unpaired surrogates become U+FFFD.
std::string ToUtf8(std::u16string_view text);

// A caller's name: of a package, a target, a principal. Null is empty. No value: it is longer than
// KTLSIM_NAME_UNITS_MAX. It is read no further than that, so that a submission takes a bounded time
// and a name without an end does no harm.
std::optional<std::string> ReadName(const char* text);
std::optional<std::string> ReadName(const SEC_WCHAR* text);
// Counted, as in kernel mode. A zero inside becomes U+FFFD, too.
std::optional<std::string> ReadName(const SECURITY_STRING* text);

// ASCII into a fixed array of 16-bit units, always terminated.
void StoreWide(SEC_WCHAR* out, std::size_t units, std::string_view ascii);

// Seconds since 1970 as a TimeStamp: 100 ns since 1601, in local time.
std::int64_t ToTimeStamp(std::int64_t unix_seconds);

}  // namespace ktlsim::sspi
