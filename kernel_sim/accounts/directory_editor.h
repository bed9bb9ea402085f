// Changes of the text of a directory's file, which leave everything else as it is, comments too.
//
// Passive level. Throws std::bad_alloc.
#pragma once

#include <string>
#include <string_view>

#include "kernel_sim/accounts/password_hash.h"

namespace ktlsim::accounts {

// The text with another password for the account `name`, or with a first one. Empty: *text is the
// new one. Otherwise what is wrong and the remedy, and *text is unchanged. `file`: how messages
// call it.
std::string SetPassword(const std::string& file, std::string_view name, const PasswordHash& hash,
                        std::string* text);

// The text with another Unix user for the account `name`, or with a first one: a name of the
// system, or digits, which are its number. Its groups are what the file says, or the system. As
// SetPassword.
std::string SetUnixUser(const std::string& file, std::string_view name, std::string_view unix_user,
                        std::string* text);

// The text with a new account at its end. As SetPassword.
std::string AddAccount(const std::string& file, std::string_view name, const PasswordHash& hash,
                       std::string* text);

}  // namespace ktlsim::accounts
