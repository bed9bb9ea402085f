// Names of accounts: those that mean the same everywhere, such as BUILTIN\Administrators; those of
// a directory (directory_names.h); and the users and groups of this machine, in the domains "Unix
// User" and "Unix Group", as Samba names them.
//
// Any thread, passive level: the machine's own are asked of the C
// library, which may wait for a server. May throw std::bad_alloc.
#pragma once

#include <ktlsim/security.h>

#include <string>
#include <string_view>

#include "kernel_sim/security/fault.h"
#include "kernel_sim/security/sid.h"

namespace ktlsim::authorization {

struct AccountName {
  std::string domain;
  std::string name;
  SID_NAME_USE use = SidTypeUnknown;
};

// kNoneMapped: it has none; kNoMemory.
security::Fault FindAccountName(security::SidView sid, AccountName* account);

// `name` is name, domain\name or name@domain, in UTF-8. Case counts in the machine's own names
// only. kNoneMapped: nobody has it; kNoMemory.
security::Fault FindAccount(std::string_view name, security::Sid* sid, AccountName* account);

}  // namespace ktlsim::authorization
