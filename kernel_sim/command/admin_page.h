// The live page of `ktlsim serve --admin`: HTML with its own style and script, which asks for
// /metrics every second and draws what has changed. It loads nothing else.
#pragma once

#include <string_view>

namespace ktlsim::command {

std::string_view AdminPage();

}  // namespace ktlsim::command
