// DirectoryNames: the names of a directory's accounts, for those who look names up. This folder
// knows no directory: whoever has one says so.
#pragma once

#include <string_view>

#include "kernel_sim/authorization/account_names.h"
#include "kernel_sim/security/fault.h"
#include "kernel_sim/security/sid.h"

namespace ktlsim::authorization {

// Any thread, passive level. May throw std::bad_alloc.
class DirectoryNames {
 public:
  // kNoneMapped: the directory, if there is one now, has no such SID.
  virtual security::Fault FindName(security::SidView sid, AccountName* account) const = 0;
  // `name` is as a caller wrote it: name, domain\name or name@domain. kNoneMapped: nobody has it.
  virtual security::Fault FindSid(std::string_view name, security::Sid* sid,
                                  AccountName* account) const = 0;

 protected:
  ~DirectoryNames() = default;
};

// From now on they are asked: after the names that mean the same everywhere, before those of the
// machine. `names` lives as long as the process.
void UseDirectoryNames(const DirectoryNames* names);

}  // namespace ktlsim::authorization
