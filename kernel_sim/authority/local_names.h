// LocalNames: the names of the accounts and groups of this process's directory, for LookupAccount
// functions. Its domain is the directory's.
//
// Private to authority/. As DirectoryNames.
#pragma once

#include <string_view>

#include "kernel_sim/authorization/directory_names.h"

namespace ktlsim::authority {

class LocalNames final : public authorization::DirectoryNames {
 public:
  security::Fault FindName(security::SidView sid,
                           authorization::AccountName* account) const override;
  security::Fault FindSid(std::string_view name, security::Sid* sid,
                          authorization::AccountName* account) const override;
};

}  // namespace ktlsim::authority
