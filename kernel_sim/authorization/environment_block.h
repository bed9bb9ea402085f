// The environment of a process that is started: what its caller gives, and the token's identity.
//
// What a newcomer gets wrong: whoever has the identity's variables already, because it was started
// like this itself, does not hand them on.
//
// Private to authorization/. Any thread, passive level. May throw std::bad_alloc.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "kernel_sim/security/fault.h"
#include "kernel_sim/security/token.h"

namespace ktlsim::authorization {

// The names of the identity's variables begin with it; README.md lists them.
inline constexpr char kTokenVariables[] = "KTLSIM_TOKEN_";

// What a caller's block may have, in units of its encoding.
inline constexpr std::size_t kEnvironmentUnitsMax = std::size_t{1} << 20;

// One text for each variable, NAME=VALUE, without those of an identity. `block` is a caller's, in
// UTF-16 or in UTF-8, texts one behind the other with an empty one at the end; null: this process's
// own. kInvalidParameter: it is too long, malformed, or a text has no name.
security::Fault ReadEnvironment(const void* block, bool wide, std::vector<std::string>* variables);

// Adds the identity that `state` has.
void AddIdentity(const security::TokenState& state, std::vector<std::string>* variables);

}  // namespace ktlsim::authorization
