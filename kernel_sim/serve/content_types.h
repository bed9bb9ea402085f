// What kind of content a file has, by its name's ending.
//
// Private to serve/.
#pragma once

#include <string_view>

namespace ktlsim::serve {

// "text/html; charset=utf-8" for "a/b.HTML"; "application/octet-stream" for what is not known.
std::string_view ContentTypeOf(std::string_view path);

}  // namespace ktlsim::serve
