// The environment variables that ktlsim reads: a mistyped one is refused, as an option is.
#pragma once

#include <span>
#include <string>

namespace ktlsim::command {

// Empty: every variable of `environment` ("NAME=value", as in environ(7)) that ktlsim reads has a
// value that ktlsim knows, and none looks like a mistyped name of one. Else what is wrong and what
// would be right.
std::string CheckEnvironment(std::span<const char* const> environment);

// The same of this process.
std::string CheckEnvironment();

}  // namespace ktlsim::command
