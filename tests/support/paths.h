// Where the source tree and the command under test are. The paths are compiled into one file alone,
// so that a compiler's cache serves every other test in any checkout.
#pragma once

#include <string>

namespace ktlsim::test {

// "/home/me/ktlsim": no slash at its end.
std::string SourceRoot();
// The `ktlsim` of this build.
std::string CommandPath();

}  // namespace ktlsim::test
