// Scenes of accounts, of logging on, and of records of accesses.
#pragma once

#include <map>
#include <string>

#include "tests/faults/fault_run.h"

namespace ktlsim::test {

// One call of each exported function; the name is the function's.
void AddAuthorityScenes(std::map<std::string, Scene>& scenes);

}  // namespace ktlsim::test
