// What `ktlsim --version -v` prints: what this program was made of, and what it finds on this
// machine.
#pragma once

#include <string>

namespace ktlsim::command {

// Lines of text, with a heading for each part. Tries to set up a ring; starts nothing. Passive
// level.
std::string DescribeTool();

}  // namespace ktlsim::command
