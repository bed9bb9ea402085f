#include "tests/support/paths.h"

namespace ktlsim::test {

std::string SourceRoot() { return KTLSIM_SOURCE_DIR; }

std::string CommandPath() { return KTLSIM_COMMAND; }

}  // namespace ktlsim::test
