// PatternContent: 200 and so many bytes of the pattern for every request; `/bytes/<n>` gets n.
//
// Private to serve/.
#pragma once

#include <cstdint>

#include "kernel_sim/serve/http_content.h"

namespace ktlsim::serve {

// Null: no memory.
HttpContent* MakePatternContent(std::uint64_t respond_bytes);

}  // namespace ktlsim::serve
