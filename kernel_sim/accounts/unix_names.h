// The Unix user of an account, from the keys of its table and the system's users and groups.
//
// Private to accounts/. Passive level: the system may ask a server for a name. Throws
// std::bad_alloc.
#pragma once

#include <optional>

#include "kernel_sim/accounts/toml_table.h"
#include "kernel_sim/base/unix_identity.h"

namespace ktlsim::accounts {

// None: the table has no such key, or a mistake was told.
std::optional<UnixIdentity> ReadUnixIdentity(const TomlTable& table);

}  // namespace ktlsim::accounts
