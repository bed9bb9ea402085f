// Scenes of tokens, impersonation and access checks.
#pragma once

#include <map>
#include <string>

#include "tests/faults/fault_run.h"

namespace ktlsim::test {

// One call of each exported function; the name is the function's.
void AddAuthorizationScenes(std::map<std::string, Scene>& scenes);
// The same for those of SIDs, lists, descriptors and names, in object_scenes.cc.
void AddObjectScenes(std::map<std::string, Scene>& scenes);

}  // namespace ktlsim::test
