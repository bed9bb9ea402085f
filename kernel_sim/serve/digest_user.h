// The user that an Authorization field of Digest claims to be from, for records: nobody has
// verified it.
//
// Private to serve/. Any level.
#pragma once

#include <string>
#include <string_view>

namespace ktlsim::serve {

// The value of `username`, or of `username*` as it is written, of `token`, which is the field
// without the scheme; empty: there is none. A quoted text has lost its quotes and backslashes. May
// throw std::bad_alloc.
std::string ClaimedUser(std::string_view token);

}  // namespace ktlsim::serve
